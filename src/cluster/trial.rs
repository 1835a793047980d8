//! What `cuegate cluster check` asks of a database: its settings and its clock, and what takes and fenced
//! commits cost there.
//!
//! It takes an account of a cluster of its own, which no node looks at, and removes it afterwards.

use tokio_postgres::types::Type;

use super::rows::{Appended, Entry, append};
use super::{Holder, Key, PATIENCE, Taken, column, number, take};
use crate::postgres::{Error, Session};

/// The bytes of a commit: some events.
const BLOCK_BYTES: usize = 1 << 10;

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its version.
    pub version: String,
    /// Whether it forces what it confirms to its disk.
    pub fsync: String,
    /// How transactions see each other, unless they say.
    pub isolation: String,
    /// Sessions that it has, and has at most.
    pub sessions: (u64, u64),
}

/// Reads them.
///
/// # Errors
/// The database's.
pub async fn settings(session: &mut Session) -> Result<Settings, Error> {
    let question = "SELECT current_setting('server_version'), current_setting('fsync'),
        current_setting('transaction_isolation'),
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('max_connections')::bigint";
    let answer = session.run(question, &[], PATIENCE).await?;
    let row = answer
        .rows
        .first()
        .ok_or_else(|| Error::Answer("no settings".to_owned()))?;
    Ok(Settings {
        version: column(row, 0)?,
        fsync: column(row, 1)?,
        isolation: column(row, 2)?,
        sessions: (number(row, 3)?, number(row, 4)?),
    })
}

/// The server's wall clock, in µs since 1970.
///
/// # Errors
/// The database's.
pub async fn clock(session: &mut Session) -> Result<u64, Error> {
    let question = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let answer = session.run(question, &[], PATIENCE).await?;
    let row = answer.rows.first();
    number(row.ok_or_else(|| Error::Answer("no time".to_owned()))?, 0)
}

/// An account that is taken for a trial.
pub struct Trial {
    key: Key,
    epoch: u64,
    seq: u64,
}

impl Trial {
    /// Of a cluster beside that one. What an earlier trial left is removed.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(session: &mut Session, cluster: &str) -> Result<Self, Error> {
        let trial = Self {
            key: Key {
                cluster: format!("{cluster} (cuegate cluster check)"),
                account: "000000000000".to_owned(),
                region: String::new(),
            },
            epoch: 0,
            seq: 0,
        };
        trial.clear(session).await?;
        Ok(trial)
    }

    /// Takes the account. False: another trial has taken it meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&mut self, session: &mut Session) -> Result<bool, Error> {
        let me = Holder {
            node: "check".to_owned(),
            nonce: "check".to_owned(),
            address: String::new(),
        };
        let taken = take(session, &self.key, self.epoch, &me).await?;
        if let Taken::Ours(epoch) = taken {
            self.epoch = epoch;
        }
        Ok(taken != Taken::Changed)
    }

    /// Commits some bytes under the trial's epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn commit(&mut self, session: &mut Session) -> Result<Appended, Error> {
        self.seq += 1;
        self.append(session, self.epoch).await
    }

    /// The same under the epoch before, which is to write nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn commit_late(&self, session: &mut Session) -> Result<Appended, Error> {
        self.append(session, self.epoch.saturating_sub(1)).await
    }

    async fn append(&self, session: &mut Session, epoch: u64) -> Result<Appended, Error> {
        let entry = Entry {
            seq: self.seq,
            parts: vec![vec![0; BLOCK_BYTES]],
            ..Entry::default()
        };
        append(session, &self.key, epoch, &entry, PATIENCE).await
    }

    /// Removes what the trial wrote.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(self, session: &mut Session) -> Result<(), Error> {
        self.clear(session).await
    }

    async fn clear(&self, session: &mut Session) -> Result<(), Error> {
        // Each by itself, as every statement here.
        for statement in [
            "DELETE FROM cuegate_log WHERE cluster = $1",
            "DELETE FROM cuegate_lease WHERE cluster = $1",
        ] {
            let cluster = [(&self.key.cluster as _, Type::TEXT)];
            session.run(statement, &cluster, PATIENCE).await?;
        }
        Ok(())
    }
}
