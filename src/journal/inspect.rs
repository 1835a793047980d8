//! A journal as its owner's tools see it: opened like at a start, with nothing served.
//!
//! A journal that a start refuses because it is damaged can still be read in part: from a
//! copy, so that nothing of it changes.

use std::path::Path;
use std::sync::Arc;

use super::directory::{Directory, OpenError};
use super::recovery::{self, Recovery};
use super::store::{Durability, Store};
use super::tail;
use crate::dispatch::Clock;

/// What a journal holds.
#[derive(Default)]
pub struct Inspection {
    /// Its channels with their events.
    pub recovery: Recovery,
    /// Bytes of a torn write at its end, dropped as a start would have.
    pub dropped: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What could not be read.
    pub damage: Vec<String>,
}

/// Reads the journal in `dir`, which no process may hold.
///
/// # Errors
/// What would stop a start.
pub fn inspect(dir: &Path, clock: &Arc<Clock>) -> Result<Inspection, OpenError> {
    let directory = Directory::take(dir)?;
    let Some(generation) = directory.current()? else {
        return Ok(Inspection::default());
    };
    let dropped = tail::repair(&generation)?;
    let store = Store::open(&generation, Durability::Process)?;
    Ok(Inspection {
        recovery: recovery::read(&store, clock)?,
        dropped,
        bytes: directory.used(),
        damage: Vec::new(),
    })
}

/// Reads what can be read of a damaged journal, from a copy beside it.
///
/// # Errors
/// Nothing can be read, or there is no room for the copy.
pub fn salvage(dir: &Path, clock: &Arc<Clock>) -> Result<Inspection, OpenError> {
    let directory = Directory::take(dir)?;
    let Some(generation) = directory.current()? else {
        return Ok(Inspection::default());
    };
    let copy = dir.join("salvage");
    copy_all(&generation, &copy)?;
    let mut damage = Vec::new();
    let read = Store::open(&copy, Durability::Process).and_then(|store| {
        recovery::read_some(&store, clock, |error| damage.push(error.to_string()))
    });
    std::fs::remove_dir_all(&copy)?;
    Ok(Inspection {
        recovery: read?,
        dropped: 0,
        bytes: directory.used(),
        damage,
    })
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
