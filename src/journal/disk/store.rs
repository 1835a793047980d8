//! One generation of the journal, in fjall. The only file that knows the storage.
//!
//! A block's key is its channel's ARN, a zero byte and its number, so that a scan meets the
//! channels one after another and each one's blocks in their order.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::journal::OpenError;
use crate::journal::log::{Contents, Held};

/// Bytes of changes held in memory before the storage writes them to a table: below its
/// default of 64 MiB because the process should stay small, and far above what a second
/// brings.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// Cached tables: they are read at starts only.
const CACHE_BYTES: u64 = 1 << 20;

/// Files that the storage keeps open at most, where its default is 900: three keyspaces of small
/// tables have a dozen, and descriptors are short.
const CACHED_FILES: usize = 64;

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum Durability {
    /// The death of the process.
    Process,
    /// That of the machine.
    Machine,
}

/// A number kept beside the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Numbers of payloads are below this: reserved ahead.
    NFloor,
    /// There while a process has the journal, gone after a clean end: [`unclean`].
    Unclean,
    /// The number of the last block of the commit that set it, in every commit.
    Sequence,
}

/// The key of [`Mark::Sequence`], which is also looked for in the storage's log. No key of a block
/// or of a thing on the shelf is like it: those end with a zero and eight bytes, or have eight.
pub(super) const SEQUENCE: &str = "block_sequence";

const COUNTS: i64 = 2;

/// The value of [`Mark::Unclean`]. `counts`: the records say how many calls are open. They do not
/// where an older program wrote them, nor as long as nobody knows of the calls before this process.
pub(super) const fn unclean(counts: bool) -> i64 {
    if counts { COUNTS } else { 1 }
}

impl Mark {
    const fn key(self) -> &'static str {
        match self {
            Self::NFloor => "n_floor",
            Self::Unclean => "unclean",
            Self::Sequence => SEQUENCE,
        }
    }
}

/// The storage did not do its work.
pub(super) type Result<T> = std::result::Result<T, fjall::Error>;

pub(super) struct Store {
    path: PathBuf,
    database: Database,
    blocks: Keyspace,
    marks: Keyspace,
    shelf: Keyspace,
    durability: Durability,
}

/// Writes that are done together or not at all.
pub(super) struct Batch<'a> {
    store: &'a Store,
    writes: fjall::OwnedWriteBatch,
    sync: bool,
    blocks: u64,
}

impl Store {
    /// Opens a generation, made if there is none; a torn write at its end is dropped.
    pub(super) fn open(
        path: &Path,
        durability: Durability,
    ) -> std::result::Result<Self, OpenError> {
        Self::open_raw(path, durability).map_err(|error| OpenError::Storage {
            path: path.to_owned(),
            error: error.to_string(),
        })
    }

    /// Opens a copy of a generation, which errors call by the name of what it is a copy of.
    pub(super) fn open_copy(
        path: &Path,
        of: &Path,
        durability: Durability,
    ) -> std::result::Result<Self, OpenError> {
        let mut store = Self::open_raw(path, durability).map_err(|error| OpenError::Storage {
            path: of.to_owned(),
            error: error.to_string(),
        })?;
        of.clone_into(&mut store.path);
        Ok(store)
    }

    pub(super) fn open_raw(path: &Path, durability: Durability) -> Result<Self> {
        let database = Database::builder(path)
            // One for flushes and compactions; commits have the committer's.
            .worker_threads(1)
            .cache_size(CACHE_BYTES)
            .max_cached_files(Some(CACHED_FILES))
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .manual_journal_persist(true)
        };
        Ok(Self {
            path: path.to_owned(),
            blocks: database.keyspace("blocks", options)?,
            marks: database.keyspace("marks", options)?,
            shelf: database.keyspace("shelf", options)?,
            database,
            durability,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn durability(&self) -> Durability {
        self.durability
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            store: self,
            writes: self.database.batch(),
            sync: self.durability == Durability::Machine,
            blocks: 0,
        }
    }

    /// Everything is on the disk when this returns.
    pub(super) fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll)
    }

    fn mark(&self, mark: Mark) -> Result<Option<i64>> {
        let value = self.marks.get(mark.key())?;
        Ok(value.and_then(|bytes| bytes.as_ref().try_into().ok().map(i64::from_be_bytes)))
    }

    /// Everything on the shelf, by number.
    fn shelved(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut things = Vec::new();
        for guard in self.shelf.iter() {
            let (key, thing) = guard.into_inner()?;
            if let Ok(number) = key.as_ref().try_into() {
                things.push((u64::from_be_bytes(number), thing.to_vec()));
            }
        }
        Ok(things)
    }

    pub(super) fn block(&self, arn: &str, number: u64) -> Result<Option<Vec<u8>>> {
        let block = self.blocks.get(key(arn, number))?;
        Ok(block.map(|block| block.to_vec()))
    }

    /// The number of the last block that was written.
    pub(super) fn sequence(&self) -> std::result::Result<u64, OpenError> {
        self.number(Mark::Sequence)
    }

    fn number(&self, mark: Mark) -> std::result::Result<u64, OpenError> {
        let number = self.mark(mark).map_err(|error| self.damaged(&error))?;
        Ok(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }
}

impl Contents for Store {
    /// Those of a channel come together.
    fn read(&self, each: &mut dyn FnMut(&str, u64, &[u8])) -> std::result::Result<Held, OpenError> {
        for guard in self.blocks.iter() {
            let (key, block) = guard.into_inner().map_err(|error| self.damaged(&error))?;
            let (arn, number) = split(&key)
                .ok_or_else(|| self.damaged(&"a block does not say which channel it is of"))?;
            each(arn, number, &block);
        }
        let unclean = self
            .mark(Mark::Unclean)
            .map_err(|error| self.damaged(&error))?;
        Ok(Held {
            letters: self.shelved().map_err(|error| self.damaged(&error))?,
            n_floor: self.number(Mark::NFloor)?,
            handed: Vec::new(),
            unclean: unclean.is_some(),
            counts: unclean == Some(COUNTS),
        })
    }

    fn damaged(&self, what: &dyn Display) -> OpenError {
        OpenError::damaged(&self.path, what)
    }
}

impl Batch<'_> {
    pub(super) fn put(&mut self, arn: &str, number: u64, block: Vec<u8>) {
        self.blocks += 1;
        self.writes
            .insert(&self.store.blocks, key(arn, number), block);
    }

    pub(super) fn remove(&mut self, arn: &str, number: u64) {
        self.writes.remove(&self.store.blocks, key(arn, number));
    }

    /// Puts a thing on the shelf, or takes it off.
    pub(super) fn shelve(&mut self, number: u64, thing: Option<Vec<u8>>) {
        let (place, key) = (&self.store.shelf, number.to_be_bytes());
        match thing {
            Some(thing) => self.writes.insert(place, key, thing),
            None => self.writes.remove(place, key),
        }
    }

    pub(super) fn set(&mut self, mark: Mark, value: i64) {
        let bytes = value.to_be_bytes();
        self.writes.insert(&self.store.marks, mark.key(), bytes);
    }

    pub(super) fn unset(&mut self, mark: Mark) {
        self.writes.remove(&self.store.marks, mark.key());
    }

    /// Numbers the commit: its last block is as many after `before` as it has blocks, or one if it
    /// has none.
    pub(super) fn number(&mut self, before: u64) -> u64 {
        let number = before + self.blocks.max(1);
        self.set(Mark::Sequence, i64::try_from(number).unwrap_or(i64::MAX));
        number
    }

    /// This batch survives the machine whatever the mode.
    pub(super) fn synced(&mut self) {
        self.sync = true;
    }

    pub(super) fn commit(self) -> Result<()> {
        let mode = if self.sync {
            PersistMode::SyncData
        } else {
            PersistMode::Buffer
        };
        self.writes.durability(Some(mode)).commit()
    }
}

fn key(arn: &str, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(arn.len() + 9);
    key.extend_from_slice(arn.as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn split(key: &[u8]) -> Option<(&str, u64)> {
    let (head, number) = key.split_last_chunk::<8>()?;
    let (zero, arn) = head.split_last()?;
    let arn = std::str::from_utf8(arn).ok().filter(|_| *zero == 0)?;
    Some((arn, u64::from_be_bytes(*number)))
}
