//! The tables, as `cuegate cluster init` makes them and a later version changes them.

use tokio_postgres::types::Type;

use super::{PATIENCE, column};
use crate::postgres::{Error, Session, SqlState};

/// The version that this program reads and writes.
pub const VERSION: i32 = 2;

/// What leads to each version from the one before. A statement may be repeated: each is a
/// transaction of its own, and the version is noted at the end.
const MIGRATIONS: &[(i32, &[&str])] = &[(1, FIRST), (2, MOVES)];

/// Who is asked to hand an account over: its owner of that epoch. To whom; empty: to any other node.
const MOVES: &[&str] = &[
    "ALTER TABLE cuegate_lease ADD COLUMN IF NOT EXISTS move_epoch bigint NOT NULL DEFAULT 0",
    "ALTER TABLE cuegate_lease ADD COLUMN IF NOT EXISTS move_to text NOT NULL DEFAULT ''",
];

const FIRST: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS cuegate_lease (
            cluster text, account text, region text,
            epoch bigint NOT NULL,
            node text NOT NULL, nonce text NOT NULL, address text NOT NULL,
            taken timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (cluster, account, region))",
    "CREATE TABLE IF NOT EXISTS cuegate_node (
            cluster text, node text,
            name text NOT NULL, address text NOT NULL, version text NOT NULL,
            beat bigint NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (cluster, node))",
    "CREATE TABLE IF NOT EXISTS cuegate_log (
            cluster text, account text, region text,
            epoch bigint, seq bigint, part bigint,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            block bytea NOT NULL,
            PRIMARY KEY (cluster, account, region, epoch, seq, part))",
    "CREATE TABLE IF NOT EXISTS cuegate_letter (
            cluster text, account text, region text, id bigint,
            letter bytea NOT NULL,
            PRIMARY KEY (cluster, account, region, id))",
    "CREATE TABLE IF NOT EXISTS cuegate_pause (
            cluster text, arn text,
            PRIMARY KEY (cluster, arn))",
];

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS cuegate_schema (version integer PRIMARY KEY)";

const TABLES: &str = "cuegate_lease, cuegate_node, cuegate_log, cuegate_letter, cuegate_pause";

/// Why the tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database said so.
    #[error(transparent)]
    Database(#[from] Error),
    /// There are none.
    #[error("the database has no tables of Cuegate; run `cuegate cluster init`")]
    Missing,
    /// An older program made them.
    #[error(
        "the tables have version {0}, and this program needs {VERSION}; run `cuegate cluster init`"
    )]
    Older(i32),
    /// A newer program made them.
    #[error("the tables have version {0}, and this program knows {VERSION}; update this program")]
    Newer(i32),
    /// Its commits do not survive it.
    #[error(
        "the database has synchronous_commit = off, so what it confirms could be lost; set it to on for this role or database"
    )]
    CommitsAreNotWaitedFor,
}

/// Makes the tables, or brings them to [`VERSION`]. Returns the version that was found; 0: none.
///
/// # Errors
/// [`SchemaError::Newer`], and what the database refuses.
pub async fn init(session: &mut Session) -> Result<i32, SchemaError> {
    let found = found(session).await?.unwrap_or(0);
    if found > VERSION {
        return Err(SchemaError::Newer(found));
    }
    if found == 0 {
        make(session, VERSIONS).await?;
    }
    for (version, statements) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        for statement in *statements {
            make(session, statement).await?;
        }
        let note = "INSERT INTO cuegate_schema (version) VALUES ($1) ON CONFLICT DO NOTHING";
        session
            .run(note, &[(version, Type::INT4)], PATIENCE)
            .await?;
    }
    Ok(found)
}

/// `IF NOT EXISTS` does not see what another session is making at this moment, and fails once that is made: the
/// second time it sees it.
async fn make(session: &mut Session, statement: &str) -> Result<(), Error> {
    const MEANWHILE: [SqlState; 3] = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
    ];
    let made = session.run(statement, &[], PATIENCE).await;
    match made {
        Err(error) if error.code().is_some_and(|code| MEANWHILE.contains(code)) => {
            session.run(statement, &[], PATIENCE).await.map(drop)
        }
        made => made.map(drop),
    }
}

/// Checks that the tables are there and of this program's version.
///
/// # Errors
/// [`SchemaError`]: what they are instead.
pub async fn check_version(session: &mut Session) -> Result<(), SchemaError> {
    match found(session).await? {
        None | Some(0) => Err(SchemaError::Missing),
        Some(VERSION) => Ok(()),
        Some(older) if older < VERSION => Err(SchemaError::Older(older)),
        Some(newer) => Err(SchemaError::Newer(newer)),
    }
}

async fn found(session: &mut Session) -> Result<Option<i32>, Error> {
    let question = "SELECT coalesce(max(version), 0) FROM cuegate_schema";
    match session.run(question, &[], PATIENCE).await {
        Ok(answer) => answer.rows.first().map(|row| column(row, 0)).transpose(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The rights of a role that runs nodes and may not create tables, as statements.
#[must_use]
pub fn grants(role: &str) -> String {
    let role = role.replace('"', "\"\"");
    format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLES} TO \"{role}\";\nGRANT SELECT ON cuegate_schema TO \"{role}\";"
    )
}

/// What the server promises of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// `synchronous_commit` of this session.
    pub synchronous_commit: String,
    /// `synchronous_standby_names`.
    pub standbys: String,
}

impl Durability {
    /// What an operator should know: a commit that survives this server only, if it does.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        if self.standbys.is_empty() {
            return Some(
                "synchronous_standby_names is empty: unless the storage itself is replicated, as Aurora's is, what was acknowledged is lost with this server",
            );
        }
        (self.synchronous_commit == "local").then_some(
            "synchronous_commit = local does not wait for the standby: what was acknowledged is lost with this server",
        )
    }
}

/// Asks what the server promises of a commit.
///
/// # Errors
/// [`SchemaError::CommitsAreNotWaitedFor`].
pub async fn durability(session: &mut Session) -> Result<Durability, SchemaError> {
    let question = "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names')";
    let answer = session.run(question, &[], PATIENCE).await?;
    let row = answer
        .rows
        .first()
        .ok_or_else(|| Error::Answer("no settings".to_owned()))?;
    let durability = Durability {
        synchronous_commit: column(row, 0)?,
        standbys: column(row, 1)?,
    };
    if durability.synchronous_commit == "off" {
        return Err(SchemaError::CommitsAreNotWaitedFor);
    }
    Ok(durability)
}
