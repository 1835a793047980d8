//! An owner's log as rows of bytes, and its dead letters. Every write is fenced: it is done while
//! the lease has the owner's epoch, or not at all.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{Key, PATIENCE, column, number, signed};
use crate::postgres::{Error, Session, SqlState};

/// Most bytes of a row.
pub const ROW_BYTES: usize = 256 << 10;

/// Rows read at once: at most 16 MiB.
const PAGE: i64 = 64;

/// Rows deleted at once, so that no delete holds up a commit for long.
const PRUNED: i64 = 500;

/// What is appended: one group, and the dead letters that go with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number, one more than the one before, whoever wrote that.
    pub seq: u64,
    /// The group in parts of at most [`ROW_BYTES`], one at least.
    pub parts: Vec<Vec<u8>>,
    /// Dead letters that are added or changed, by number.
    pub letters: Vec<(u64, Vec<u8>)>,
    /// The numbers of those that are removed.
    pub removed: Vec<u64>,
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It survives what the database promises, and so does all before it.
    Durable,
    /// It is in, and the standby may not have it.
    Unconfirmed,
    /// The lease has another epoch: nothing was written.
    Fenced,
}

/// Appends an entry under an epoch. The same entry may be sent again.
///
/// # Errors
/// After [`Error::Lost`] it may be in, even later: send it again.
pub async fn append(
    session: &mut Session,
    key: &Key,
    epoch: u64,
    entry: &Entry,
    patience: Duration,
) -> Result<Appended, Error> {
    let statement = "WITH l AS (
            SELECT 1 FROM cuegate_lease
            WHERE cluster = $1 AND account = $2 AND region = $3 AND epoch = $4 FOR SHARE),
        removed AS (
            DELETE FROM cuegate_letter USING l
            WHERE cluster = $1 AND account = $2 AND region = $3 AND id = ANY ($7)),
        added AS (
            INSERT INTO cuegate_letter (cluster, account, region, id, letter)
            SELECT $1, $2, $3, t.id, t.letter FROM l, unnest($8, $9) AS t (id, letter)
            ON CONFLICT (cluster, account, region, id) DO UPDATE SET letter = excluded.letter)
        INSERT INTO cuegate_log (cluster, account, region, epoch, seq, part, block)
        SELECT $1, $2, $3, $4, $5, t.part, t.block
        FROM l, unnest($6) WITH ORDINALITY AS t (block, part)
        RETURNING part";
    let [cluster, account, region] = key.parameters();
    let (epoch, seq) = (signed(epoch), signed(entry.seq));
    let removed: Vec<i64> = entry.removed.iter().map(|id| id.cast_signed()).collect();
    let (ids, letters): (Vec<i64>, Vec<&[u8]>) = entry
        .letters
        .iter()
        .map(|(id, letter)| (id.cast_signed(), letter.as_slice()))
        .unzip();
    let parameters = [
        cluster,
        account,
        region,
        (&epoch as _, Type::INT8),
        (&seq as _, Type::INT8),
        (&entry.parts as _, Type::BYTEA_ARRAY),
        (&removed as _, Type::INT8_ARRAY),
        (&ids as _, Type::INT8_ARRAY),
        (&letters as _, Type::BYTEA_ARRAY),
    ];
    match session.run(statement, &parameters, patience).await {
        Ok(answer) if answer.rows.is_empty() => Ok(Appended::Fenced),
        Ok(answer) if answer.unconfirmed => Ok(Appended::Unconfirmed),
        Ok(_) => Ok(Appended::Durable),
        // An attempt before this one wrote it, and its commit may have been cancelled.
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            Ok(Appended::Unconfirmed)
        }
        Err(error) => Err(error),
    }
}

/// Where a reader is: an epoch, a number, a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    epoch: i64,
    seq: i64,
    part: i64,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Of whom.
    pub epoch: u64,
    /// Of which entry.
    pub seq: u64,
    /// Which part of it: the first is 1.
    pub part: u64,
    /// What was written.
    pub block: Vec<u8>,
}

/// Reads some rows behind `position`, in the order of epoch, number and part, and moves it. None are
/// left when it returns none.
///
/// # Errors
/// The database's.
pub async fn page(
    session: &mut Session,
    key: &Key,
    position: &mut Position,
) -> Result<Vec<LogRow>, Error> {
    let question = "SELECT epoch, seq, part, block FROM cuegate_log
        WHERE cluster = $1 AND account = $2 AND region = $3 AND (epoch, seq, part) > ($4, $5, $6)
        ORDER BY epoch, seq, part LIMIT $7";
    let [cluster, account, region] = key.parameters();
    let at = *position;
    let parameters = [
        cluster,
        account,
        region,
        (&at.epoch as _, Type::INT8),
        (&at.seq as _, Type::INT8),
        (&at.part as _, Type::INT8),
        (&PAGE as _, Type::INT8),
    ];
    let answer = session.run(question, &parameters, PATIENCE).await?;
    let rows = answer.rows.iter().map(|row| {
        Ok(LogRow {
            epoch: number(row, 0)?,
            seq: number(row, 1)?,
            part: number(row, 2)?,
            block: column(row, 3)?,
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_, Error>>()?;
    if let Some(last) = rows.last() {
        *position = Position {
            epoch: signed(last.epoch),
            seq: signed(last.seq),
            part: signed(last.part),
        };
    }
    Ok(rows)
}

/// Reads the dead letters, by number. All numbers are in use: those from 2^63 on are below zero in the
/// table.
///
/// # Errors
/// The database's.
pub async fn letters(session: &mut Session, key: &Key) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let question = "SELECT id, letter FROM cuegate_letter
        WHERE cluster = $1 AND account = $2 AND region = $3 ORDER BY id < 0, id";
    let answer = session.run(question, &key.parameters(), PATIENCE).await?;
    let letters = answer.rows.iter();
    letters
        .map(|row| Ok((column::<i64>(row, 0)?.cast_unsigned(), column(row, 1)?)))
        .collect()
}

/// Deletes some rows of entries below `seq`, the oldest first, under an epoch. True: there may be
/// more. Nothing is deleted for an owner that is fenced.
///
/// # Errors
/// The database's.
pub async fn prune(session: &mut Session, key: &Key, epoch: u64, seq: u64) -> Result<bool, Error> {
    let statement = "WITH l AS (
            SELECT 1 FROM cuegate_lease
            WHERE cluster = $1 AND account = $2 AND region = $3 AND epoch = $4 FOR SHARE),
        old AS (
            SELECT epoch, seq, part FROM cuegate_log
            WHERE cluster = $1 AND account = $2 AND region = $3 AND seq < $5
            ORDER BY epoch, seq, part LIMIT $6)
        DELETE FROM cuegate_log AS g USING l, old
        WHERE g.cluster = $1 AND g.account = $2 AND g.region = $3
            AND g.epoch = old.epoch AND g.seq = old.seq AND g.part = old.part
        RETURNING 1";
    let [cluster, account, region] = key.parameters();
    let (epoch, seq) = (signed(epoch), signed(seq));
    let parameters = [
        cluster,
        account,
        region,
        (&epoch as _, Type::INT8),
        (&seq as _, Type::INT8),
        (&PRUNED as _, Type::INT8),
    ];
    let answer = session.run(statement, &parameters, PATIENCE).await?;
    Ok(!answer.rows.is_empty())
}
