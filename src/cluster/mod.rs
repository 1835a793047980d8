//! The tables that the nodes of a cluster share, and every statement about them.
//!
//! - `schema`: the tables, their versions, the rights that a role needs, the settings they rely on;
//! - `lease`: who owns an account and region, and the epoch that fences;
//! - `nodes`: which nodes there are, and whether they are alive;
//! - `rows`: an owner's log, as rows of bytes, and its dead letters;
//! - `trial`: what the database is and costs, for who sets it up.
//!
//! It decides nothing: who takes, and when, is asked elsewhere. Each function is one statement, so
//! that no node that is paused holds a lock.

mod lease;
mod nodes;
pub mod rows;
mod schema;
pub mod trial;

pub use lease::{Holder, Lease, Taken, ask_to_move, read, read_all, release, take};
pub use nodes::{Node, beat, nodes, prune};
pub use schema::{Durability, SchemaError, VERSION, check_version, durability, grants, init};

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::postgres::{Error, Row, ToSql};

/// How long a statement that is not a commit of events may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// An account in a region, of one cluster: what is owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The cluster's name: two clusters may share a database.
    pub cluster: String,
    /// 12 digits.
    pub account: String,
    /// As `eu-west-1`.
    pub region: String,
}

impl Key {
    /// The first three parameters of a statement.
    fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 3] {
        [
            (&self.cluster, Type::TEXT),
            (&self.account, Type::TEXT),
            (&self.region, Type::TEXT),
        ]
    }
}

/// A column of a row.
fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, nth: usize) -> Result<T, Error> {
    row.try_get(nth)
        .map_err(|error| Error::Answer(error.to_string()))
}

/// A column that counts.
fn number(row: &Row, nth: usize) -> Result<u64, Error> {
    let number: i64 = column(row, nth)?;
    u64::try_from(number).map_err(|_| Error::Answer(format!("{number} is below zero")))
}

/// A number as the database has it, which knows none above this.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
