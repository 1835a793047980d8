//! The log on this machine's disk: one fjall database for all accounts.
//!
//! A *generation* is one database. The whole log can be written anew into the next one, and a rename
//! makes it the present one: that is how it recovers from a failed disk, and how it stays within its
//! bound. One process holds the directory's lock for as long as it lives.
//!
//! - `directory`: the lock, the generations, the space they take;
//! - `promise`: how far the journal has promised;
//! - `present`: the present generation, held against the promise;
//! - `store`: one generation, in fjall; the only file that knows it;
//! - `wal_tail`: what a crash left at the end of the storage's log;
//! - `inspect`: the same, for tools;
//! - `space`: when there is room, and when to write anew.

mod directory;
mod inspect;
mod present;
mod promise;
mod space;
mod store;
pub(crate) mod wal_tail;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use inspect::{Inspection, inspect, salvage};

use super::error::OpenError;
use super::log::{Block, CommitError, Group, Log, Phase, Repair, Verdict, Whole};
use super::recovery::{self, Recovery};
use crate::clock::Clock;
use directory::Directory;
use present::{Found, Present};
use promise::Promises;
use space::Space;
pub(super) use store::Durability;
use store::{Mark, Store};

/// Bytes of disk that the journal in this directory takes; 0: there is none, or it cannot be looked at.
#[must_use]
pub fn space_used(dir: &Path) -> u64 {
    directory::used(dir)
}

/// The log of a process that holds its directory.
pub(super) struct DiskLog {
    directory: Directory,
    store: Store,
    max_bytes: u64,
    /// Bytes on disk right after it was written anew; 0: it was not.
    anew: u64,
    /// The number of the last block that was written.
    sequence: u64,
    /// None before the first commit of this process.
    promises: Option<Promises>,
}

/// Takes the directory, repairs the log's tail, and reads what it holds.
pub(super) fn open(
    dir: &Path,
    max_bytes: u64,
    durability: Durability,
    clock: &Arc<Clock>,
) -> Result<(DiskLog, Recovery), OpenError> {
    let directory = Directory::lock(dir)?;
    let found = present::find(directory.path())?;
    // A start needs some room; it is set aside again when there is enough.
    directory.give_back();
    let (store, recovery, number, sequence) = match found {
        Found::Nothing | Found::CutShort => {
            let (number, path) = directory.next()?;
            let store = Store::open(&path, durability)?;
            directory.switch(number)?;
            (store, Recovery::unknown(), number, 0)
        }
        Found::Present(present) => {
            let (store, recovery) = reopen(&present, durability, clock)?;
            let sequence = store.sequence()?.max(present.sequence);
            (store, recovery, present.number, sequence)
        }
    };
    // Not before: what replaces them was read.
    directory.remove_others(number)?;
    directory.close_to_others();
    let log = DiskLog {
        directory,
        store,
        max_bytes,
        anew: 0,
        sequence,
        promises: None,
    };
    Ok((log, recovery))
}

/// Opens the present generation of an earlier process, and reads what it holds.
fn reopen(
    present: &Present,
    durability: Durability,
    clock: &Arc<Clock>,
) -> Result<(Store, Recovery), OpenError> {
    let (dropped, lost) = (present.end.dropped(), present.lost);
    present.end.cut(&present.path)?;
    let store = Store::open(&present.path, durability)?;
    let mut recovery = recovery::read(&store, clock)?;
    recovery.lost = lost;
    recovery.counted &= present.tells_of_calls;
    if lost > 0 {
        // The mark of a clean end may be older than what is missing.
        recovery.unclean = true;
        recovery.counted = false;
        tracing::warn!(
            blocks = lost,
            "the machine went down before the journal's last blocks were on its disk, which journal.mode = \"os\" does not promise; they are lost"
        );
    } else if dropped > 0 {
        tracing::warn!(
            bytes = dropped,
            "the journal ended within a write, which nobody was promised; it was dropped"
        );
    }
    Ok((store, recovery))
}

impl Log for DiskLog {
    fn place(&self) -> String {
        self.store.path().display().to_string()
    }

    fn commit(&mut self, group: Group) -> Result<(), CommitError> {
        let phase = group.phase;
        self.write(group)?;
        match phase {
            Phase::Begin => self.promise_anew().map_err(failed),
            Phase::Within => Ok(()),
            Phase::End { .. } => match &mut self.promises {
                Some(promises) => promises.sync().map_err(failed),
                None => Ok(()),
            },
        }
    }

    fn repair(&mut self) -> Result<Repair, CommitError> {
        Ok(Repair::Rewrite)
    }

    fn set_calls_told(&mut self, told: bool) -> Result<(), CommitError> {
        match &mut self.promises {
            Some(promises) => promises.set_failing(!told).map_err(failed),
            None => Err(failed("it was not begun")),
        }
    }

    fn rewrite(
        &mut self,
        channels: &mut dyn Iterator<Item = Whole>,
        rest: Group,
    ) -> Result<(), OpenError> {
        let (number, path) = self.directory.next()?;
        let (store, sequence) = match self.write_generation(&path, channels, rest) {
            Ok(written) => written,
            Err(error) => {
                // What was begun would take the room the next attempt needs.
                let _ = std::fs::remove_dir_all(&path);
                return Err(OpenError::Storage {
                    path,
                    error: error.to_string(),
                });
            }
        };
        self.switch(number, &path, store, sequence)
    }

    fn measure(&mut self, alive: u64) -> (u64, Verdict) {
        let used = self.directory.used();
        let space = Space {
            used,
            alive,
            anew: self.anew,
            // Where the system does not say, the bound alone counts.
            free: self.directory.free().unwrap_or(u64::MAX),
        };
        (used, space::judge(space, self.max_bytes))
    }

    fn set_aside(&mut self) {
        let reserve = space::reserve(self.max_bytes);
        if self.directory.free().is_ok_and(|free| free > 4 * reserve) {
            // A file system that cannot do that has none.
            let _ = self.directory.set_aside(reserve);
        }
    }

    fn give_back(&mut self) -> bool {
        self.directory.give_back()
    }

    fn look_after(&mut self) -> Result<(), CommitError> {
        match &mut self.promises {
            Some(promises) => promises.look_after().map_err(failed),
            None => Ok(()),
        }
    }
}

impl DiskLog {
    /// Writes a group into the present generation, and moves the mark.
    fn write(&mut self, group: Group) -> Result<(), CommitError> {
        let is_end = matches!(group.phase, Phase::End { .. });
        let mut batch = self.store.batch();
        fill(&mut batch, group);
        let sequence = batch.number(self.sequence);
        batch.commit().map_err(failed)?;
        if is_end {
            self.store.sync().map_err(failed)?;
        }
        self.sequence = sequence;
        // From now on it is promised.
        if let Some(promises) = &mut self.promises {
            promises.promise(sequence).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes everything into a generation of its own.
    fn write_generation(
        &self,
        path: &Path,
        channels: &mut dyn Iterator<Item = Whole>,
        rest: Group,
    ) -> store::Result<(Store, u64)> {
        let store = Store::open_raw(path, self.store.durability())?;
        let mut sequence = self.sequence;
        for channel in channels {
            let mut batch = store.batch();
            match channel {
                Whole::Snapshot(block) => put(&mut batch, block),
                Whole::Unopened { arn, numbers } => {
                    for number in numbers {
                        if let Some(block) = self.store.block(&arn, number)? {
                            batch.put(&arn, number, block);
                        }
                    }
                }
            }
            sequence = batch.number(sequence);
            batch.commit()?;
        }
        let mut batch = store.batch();
        let rest = Group {
            phase: Phase::Begin,
            ..rest
        };
        fill(&mut batch, rest);
        sequence = batch.number(sequence);
        batch.commit()?;
        store.sync()?;
        Ok((store, sequence))
    }

    /// Makes a generation the present one.
    fn switch(
        &mut self,
        number: u64,
        path: &PathBuf,
        store: Store,
        sequence: u64,
    ) -> Result<(), OpenError> {
        let switched = self.directory.switch(number);
        if switched.is_err() && self.directory.current_number()? != Some(number) {
            let _ = std::fs::remove_dir_all(path);
            return switched;
        }
        // It is what a start reads, even if that could not be synced.
        self.store = store;
        self.sequence = sequence;
        switched?;
        let begun = self.promise_anew();
        begun.map_err(OpenError::io(self.directory.path()))?;
        self.directory.remove_others(number)?;
        self.anew = self.directory.used();
        Ok(())
    }

    /// The mark in a file of its own making: the one before may be what failed.
    fn promise_anew(&mut self) -> std::io::Result<()> {
        let dir = self.directory.path();
        let failing = self.promises.as_ref().is_some_and(Promises::is_failing);
        let begun = Promises::begin(dir, self.store.durability(), self.sequence, failing)?;
        self.promises = Some(begun);
        Ok(())
    }
}

fn fill(batch: &mut store::Batch<'_>, group: Group) {
    for block in group.blocks {
        put(batch, block);
    }
    for (number, letter) in group.letters {
        batch.shelve(number, letter);
    }
    if let Some(floor) = group.n_floor {
        batch.set(Mark::NFloor, i64::try_from(floor).unwrap_or(i64::MAX));
        batch.synced();
    }
    match group.phase {
        Phase::End { clean: true } => batch.unset(Mark::Unclean),
        Phase::Begin => {
            batch.set(Mark::Unclean, store::unclean(group.counts));
            batch.synced();
        }
        Phase::Within | Phase::End { clean: false } => {
            if group.counts {
                batch.set(Mark::Unclean, store::unclean(true));
            }
        }
    }
}

fn put(batch: &mut store::Batch<'_>, block: Block) {
    for number in block.replaces {
        batch.remove(&block.arn, number);
    }
    if !block.bytes.is_empty() {
        batch.put(&block.arn, block.number, block.bytes);
    }
}

fn failed(error: impl Display) -> CommitError {
    CommitError::Failed(error.to_string())
}
