//! Who owns an account and region. A lease changes at takes and releases only, and each take counts
//! its epoch up: rows of the log are written under the epoch, so that an owner of before writes none.

use tokio_postgres::types::Type;

use super::{Key, PATIENCE, column, number, signed};
use crate::postgres::{Error, Row, Session};

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node's name.
    pub node: String,
    /// Of this take: unguessable and never used again.
    pub nonce: String,
    /// Where other nodes reach it.
    pub address: String,
}

/// A lease as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Of its last take.
    pub epoch: u64,
    /// `None`: it was released.
    pub holder: Option<Holder>,
    /// Its owner under this epoch is asked to hand it over to the node of that name in the database; empty:
    /// to any other.
    pub asked: Option<String>,
}

impl Lease {
    /// Whether it was taken with this nonce. So a node whose take had no answer learns of it.
    #[must_use]
    pub fn is_of(&self, nonce: &str) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.nonce == nonce)
    }

    /// From the columns epoch, node, nonce, address, `move_epoch` and `move_to`, the first of which is the `nth`.
    fn of(row: &Row, nth: usize) -> Result<Self, Error> {
        let holder = Holder {
            node: column(row, nth + 1)?,
            nonce: column(row, nth + 2)?,
            address: column(row, nth + 3)?,
        };
        let epoch = number(row, nth)?;
        let is_asked = epoch > 0 && number(row, nth + 4)? == epoch;
        Ok(Self {
            epoch,
            asked: is_asked.then(|| column(row, nth + 5)).transpose()?,
            holder: (!holder.nonce.is_empty()).then_some(holder),
        })
    }
}

/// What came of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is ours, under this epoch.
    Ours(u64),
    /// The lease is no longer as it was seen.
    Changed,
}

/// Reads a lease. `None`: nobody has ever held it.
///
/// # Errors
/// The database's.
pub async fn read(session: &mut Session, key: &Key) -> Result<Option<Lease>, Error> {
    let question = "SELECT epoch, node, nonce, address, move_epoch, move_to FROM cuegate_lease
        WHERE cluster = $1 AND account = $2 AND region = $3";
    let answer = session.run(question, &key.parameters(), PATIENCE).await?;
    answer.rows.first().map(|row| Lease::of(row, 0)).transpose()
}

/// Reads every lease of a cluster: account, region, lease.
///
/// # Errors
/// The database's.
pub async fn read_all(
    session: &mut Session,
    cluster: &str,
) -> Result<Vec<(String, String, Lease)>, Error> {
    let question = "SELECT account, region, epoch, node, nonce, address, move_epoch, move_to
        FROM cuegate_lease
        WHERE cluster = $1 ORDER BY account, region";
    let answer = session
        .run(question, &[(&cluster, Type::TEXT)], PATIENCE)
        .await?;
    let leases = answer.rows.iter().map(|row| {
        let lease = Lease::of(row, 2)?;
        Ok((column(row, 0)?, column(row, 1)?, lease))
    });
    leases.collect()
}

/// Takes a lease that was seen with the epoch `seen`; 0: it was never held. It waits for commits
/// of the owner that are under way. Its standby may not have it when this returns: it counts once
/// the first commit under the epoch is confirmed.
///
/// # Errors
/// After [`Error::Lost`] it may be taken, even later: read the lease with another session, and look
/// whether [`Lease::is_of`] your nonce.
pub async fn take(
    session: &mut Session,
    key: &Key,
    seen: u64,
    me: &Holder,
) -> Result<Taken, Error> {
    let [cluster, account, region] = key.parameters();
    let seen = signed(seen);
    let common = [
        cluster,
        account,
        region,
        (&me.node as _, Type::TEXT),
        (&me.nonce as _, Type::TEXT),
        (&me.address as _, Type::TEXT),
    ];
    let answer = if seen == 0 {
        let first =
            "INSERT INTO cuegate_lease (cluster, account, region, epoch, node, nonce, address)
            VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING epoch";
        session.run(first, &common, PATIENCE).await?
    } else {
        let next = "UPDATE cuegate_lease
            SET epoch = epoch + 1, node = $4, nonce = $5, address = $6, taken = clock_timestamp()
            WHERE cluster = $1 AND account = $2 AND region = $3 AND epoch = $7 RETURNING epoch";
        let mut parameters = common.to_vec();
        parameters.push((&seen as _, Type::INT8));
        session.run(next, &parameters, PATIENCE).await?
    };
    match answer.rows.first() {
        Some(row) => Ok(Taken::Ours(number(row, 0)?)),
        None => Ok(Taken::Changed),
    }
}

/// Gives a lease back. False: it is no longer held under that epoch.
///
/// # Errors
/// The database's. After [`Error::Lost`] it may be released.
pub async fn release(session: &mut Session, key: &Key, epoch: u64) -> Result<bool, Error> {
    let statement = "UPDATE cuegate_lease
        SET node = '', nonce = '', address = '', taken = clock_timestamp()
        WHERE cluster = $1 AND account = $2 AND region = $3 AND epoch = $4 RETURNING epoch";
    let [cluster, account, region] = key.parameters();
    let epoch = signed(epoch);
    let parameters = [cluster, account, region, (&epoch as _, Type::INT8)];
    let answer = session.run(statement, &parameters, PATIENCE).await?;
    Ok(!answer.rows.is_empty())
}

/// Asks the owner under that epoch to hand the account over, to the node of that name in the database; empty:
/// to any other. False: there is no such owner any more.
///
/// # Errors
/// The database's. After [`Error::Lost`] it may be asked.
pub async fn ask_to_move(
    session: &mut Session,
    key: &Key,
    epoch: u64,
    to: &str,
) -> Result<bool, Error> {
    let statement = "UPDATE cuegate_lease SET move_epoch = epoch, move_to = $5
        WHERE cluster = $1 AND account = $2 AND region = $3 AND epoch = $4 AND nonce <> ''
        RETURNING epoch";
    let [cluster, account, region] = key.parameters();
    let epoch = signed(epoch);
    let parameters = [
        cluster,
        account,
        region,
        (&epoch as _, Type::INT8),
        (&to as _, Type::TEXT),
    ];
    let answer = session.run(statement, &parameters, PATIENCE).await?;
    Ok(!answer.rows.is_empty())
}
