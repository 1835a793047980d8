//! Which generation is the present one, and whether it is all that was promised. Only reads: what
//! is to be dropped is dropped by the caller, from the generation itself or from a copy.

use std::path::{Path, PathBuf};

use super::directory;
use super::promise::{self, Promise};
use super::store::{Durability, Store};
use super::wal_tail::{self, End};
use crate::journal::OpenError;
use crate::journal::log::Contents as _;

/// What a directory holds.
pub(super) enum Found {
    /// Nothing of a journal.
    Nothing,
    /// What a first start began and did not end; nobody was promised anything of it.
    CutShort,
    /// A generation that may be opened.
    Present(Present),
}

/// The present generation.
#[derive(Debug)]
pub(super) struct Present {
    pub number: u64,
    pub path: PathBuf,
    /// What the end of its log needs before it is opened.
    pub end: End,
    /// Blocks that were written but not synced before the machine went down: `os` does not
    /// promise them.
    pub lost: u64,
    /// The number of the last block that was ever promised, as far as is known.
    pub sequence: u64,
    /// Its records tell of every call that its last process made, if that process wrote them.
    pub tells_of_calls: bool,
}

/// Looks for the present generation in `dir`.
pub(super) fn find(dir: &Path) -> Result<Found, OpenError> {
    let promised = Promise::read(dir)?;
    let generations = directory::generations(dir)?;
    let Some(number) = directory::current_number(dir)? else {
        let current = dir.join(directory::CURRENT);
        let mut found = 0;
        for (_, path) in &generations {
            if holds_something(path)? {
                let what = format_args!("it is missing, and {} holds something", path.display());
                return Err(OpenError::damaged(&current, what));
            }
            found = found.max(wal_tail::examine(path)?.sequence.unwrap_or(0));
        }
        if promised.is_some_and(|promised| promised.sequence > found && promised.binds()) {
            let what = "it is missing, and so is what was promised";
            return Err(OpenError::damaged(&current, what));
        }
        return Ok(if generations.is_empty() {
            Found::Nothing
        } else {
            Found::CutShort
        });
    };
    let path = directory::generation(dir, number);
    if !generations.iter().any(|(other, _)| *other == number) {
        let what = format_args!("it names generation-{number}, which is not there");
        return Err(OpenError::damaged(&dir.join(directory::CURRENT), what));
    }
    let present = judge(number, path, promised.as_ref())?;
    Ok(Found::Present(present))
}

/// Holds what is there against what was promised.
fn judge(number: u64, path: PathBuf, promised: Option<&Promise>) -> Result<Present, OpenError> {
    let seen = wal_tail::examine(&path)?;
    let binds = promised.is_none_or(Promise::binds);
    if let Some(what) = seen.damage.as_ref().filter(|_| binds) {
        return Err(OpenError::damaged(&path, what));
    }
    let mut present = Present {
        number,
        end: seen.end,
        lost: 0,
        tells_of_calls: promised.is_some_and(Promise::tells_of_calls),
        sequence: seen.sequence.unwrap_or(0),
        path,
    };
    let Some(promised) = promised else {
        // Commits with numbers come with a mark. Without it nobody knows whether what was
        // torn was promised.
        if seen.sequence.is_some() && present.end.dropped() > 0 {
            let what = format_args!(
                "its last write is torn, and {} is missing, which says whether it was promised",
                promise::FILE
            );
            return Err(OpenError::damaged(&present.path, what));
        }
        return Ok(present);
    };
    // Right after the storage began a new log, the last number is in its tables.
    let found = match seen.sequence {
        Some(found) => found,
        None => in_tables(&present.path, &present.end)?,
    };
    let missing = promised.sequence.saturating_sub(found);
    if missing > 0 && binds {
        let what = format_args!("{missing} blocks that were promised are missing from its end");
        return Err(OpenError::damaged(&present.path, what));
    }
    present.lost = missing;
    present.sequence = found.max(promised.sequence);
    Ok(present)
}

/// The last block's number, asked of a copy, because the storage writes when it opens.
fn in_tables(path: &Path, end: &End) -> Result<u64, OpenError> {
    let copy = Copy::of(path)?;
    end.cut(copy.path())?;
    let store = Store::open_copy(copy.path(), path, Durability::Process)?;
    store.sequence()
}

/// Whether a generation that `current` does not name has anything in it.
fn holds_something(path: &Path) -> Result<bool, OpenError> {
    if !wal_tail::is_begun(path)? {
        return Ok(false);
    }
    let copy = Copy::of(path)?;
    let seen = wal_tail::examine(copy.path())?;
    seen.end.cut(copy.path())?;
    // What cannot be opened was begun and may hold anything.
    let Ok(store) = Store::open_copy(copy.path(), path, Durability::Process) else {
        return Ok(true);
    };
    let mut blocks = 0;
    let held = store.read(&mut |_, _, _| blocks += 1);
    let is_empty = held.is_ok_and(|held| blocks == 0 && held.letters.is_empty());
    Ok(!is_empty || seen.damage.is_some())
}

/// A copy of a generation in the system's temporary directory, gone when it is dropped.
pub(super) struct Copy(tempfile::TempDir);

impl Copy {
    pub(super) fn of(generation: &Path) -> Result<Self, OpenError> {
        let temporary = outside(generation, &std::env::temp_dir())?;
        let copy = tempfile::Builder::new()
            .prefix("cuegate-journal-")
            .tempdir_in(&temporary)
            .map_err(OpenError::io(&temporary))?;
        copy_all(generation, copy.path())?;
        Ok(Self(copy))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The temporary directory, if it is not inside the journal that this generation is of: a tool that only
/// reads would write there. Links are followed, because only the real places tell.
fn outside(generation: &Path, temporary: &Path) -> Result<PathBuf, OpenError> {
    let real = |path: &Path| path.canonicalize().map_err(OpenError::io(path));
    let (journal, temporary) = (generation.parent().unwrap_or(generation), real(temporary)?);
    if temporary.starts_with(real(journal)?) {
        return Err(OpenError::TemporaryInside {
            dir: journal.to_owned(),
            temporary,
        });
    }
    Ok(temporary)
}

fn copy_all(from: &Path, to: &Path) -> Result<(), OpenError> {
    let entries = std::fs::read_dir(from).map_err(OpenError::io(from))?;
    for entry in entries {
        let entry = entry.map_err(OpenError::io(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(OpenError::io(&from))?;
        if kind.is_dir() {
            std::fs::create_dir(&to).map_err(OpenError::io(&to))?;
            copy_all(&from, &to)?;
        } else if wal_tail::is_log(&from) {
            // 64 MiB are laid out for a few bytes.
            wal_tail::copy(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).map_err(OpenError::io(&to))?;
        }
    }
    Ok(())
}
