//! A journal as its owner's tools see it: read from a copy, so that nothing of it changes, whatever
//! is found. The storage writes when it opens, and has no opening to read only.

use std::path::Path;
use std::sync::Arc;

use super::directory::{self, Directory};
use super::present::{self, Copy, Found};
use super::store::{Durability, Store};
use super::wal_tail;
use crate::clock::Clock;
use crate::journal::OpenError;
use crate::journal::recovery::{self, Recovery};

/// What a journal holds.
#[derive(Default)]
pub struct Inspection {
    /// Its channels with their events.
    pub recovery: Recovery,
    /// Bytes of a torn write at its end, which a start would drop.
    pub dropped: u64,
    /// Blocks that were not promised to survive the machine and have not.
    pub lost: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What could not be read.
    pub damage: Vec<String>,
}

/// Reads the journal in `dir`, which no process may hold.
///
/// # Errors
/// What would stop a start, and that there is none.
pub fn inspect(dir: &Path, clock: &Arc<Clock>) -> Result<Inspection, OpenError> {
    let directory = Directory::look(dir)?;
    let present = match present::find(dir)? {
        Found::Nothing => return Err(none(dir)),
        Found::CutShort => return Ok(Inspection::default()),
        Found::Present(present) => present,
    };
    let copy = Copy::of(&present.path)?;
    present.end.cut(copy.path())?;
    let store = Store::open_copy(copy.path(), &present.path, Durability::Process)?;
    Ok(Inspection {
        recovery: recovery::read(&store, clock)?,
        dropped: present.end.dropped(),
        lost: present.lost,
        bytes: directory.used(),
        damage: Vec::new(),
    })
}

/// Reads what can be read of a damaged journal: of the generation that `current` names, else of the
/// newest.
///
/// # Errors
/// Nothing can be read, or there is no room for the copy.
pub fn salvage(dir: &Path, clock: &Arc<Clock>) -> Result<Inspection, OpenError> {
    let directory = Directory::look(dir)?;
    let generations = directory::generations(dir)?;
    let named = directory.current_number().ok().flatten();
    let named = generations
        .iter()
        .find(|(number, _)| Some(*number) == named);
    let Some((_, generation)) = named.or(generations.last()) else {
        return Err(none(dir));
    };
    let copy = Copy::of(generation)?;
    if let Ok(seen) = wal_tail::examine(copy.path()) {
        seen.end.cut(copy.path())?;
    }
    let mut damage = Vec::new();
    let store = Store::open_copy(copy.path(), generation, Durability::Process)?;
    let recovery = recovery::read_some(&store, clock, |error| damage.push(error.to_string()))?;
    Ok(Inspection {
        recovery,
        bytes: directory.used(),
        damage,
        ..Inspection::default()
    })
}

fn none(dir: &Path) -> OpenError {
    OpenError::None {
        dir: dir.to_owned(),
    }
}
