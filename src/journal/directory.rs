//! The journal's directory: who holds it, which generation is the present one, how much
//! space it takes and how much there is.
//!
//! `lock` is held by its process for as long as it lives and says who that is. `current`
//! names the generation; it changes by a rename, so that there is one at any moment. `reserve`
//! is room set aside, to be given back when others have filled the disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::record::Unreadable;

const LOCK: &str = "lock";
const CURRENT: &str = "current";
const RESERVE: &str = "reserve";
const GENERATION: &str = "generation-";

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the journal in {dir} is in use by {holder}; one process owns an account: stop the other one, or give this one a journal.dir of its own"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// What it says of itself.
        holder: String,
    },
    /// The system refused.
    #[error("journal.dir: {0}")]
    Io(#[from] std::io::Error),
    /// The storage refused.
    #[error("the journal in {path} cannot be opened: {error}")]
    Storage {
        /// The generation.
        path: PathBuf,
        /// What the storage said.
        error: String,
    },
    /// What was written cannot be read, and not only at the end.
    #[error(
        "the journal in {path} is damaged: {what}. Nothing was changed. `cuegate journal export` prints the events that can still be read; to go on without them, move the whole journal.dir away"
    )]
    Damaged {
        /// The generation.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

impl OpenError {
    pub(super) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }

    pub(super) fn block(path: &Path, arn: &str, number: u64, error: &Unreadable) -> Self {
        Self::damaged(path, format_args!("block {number} of {arn}: {error}"))
    }
}

/// A directory that this process holds.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Unlocked by the system when the process ends, however it does.
    _lock: File,
}

impl Directory {
    /// Makes the directory if there is none, and takes it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(path)?;
        Self::take(path)
    }

    /// Takes a directory that must be there.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder may not have written its name yet.
                let _ = lock.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    holder => holder.to_owned(),
                };
                return Err(OpenError::InUse {
                    dir: path.to_owned(),
                    holder,
                });
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        write!(lock, "process {}", std::process::id())?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The present generation's path; none: there is none yet. What other generations left
    /// behind is removed.
    pub(super) fn current(&self) -> Result<Option<PathBuf>, OpenError> {
        let Some(number) = self.current_number()? else {
            return Ok(None);
        };
        self.remove_others(number)?;
        Ok(Some(self.generation(number)))
    }

    pub(super) fn current_number(&self) -> Result<Option<u64>, OpenError> {
        let text = match std::fs::read_to_string(self.path.join(CURRENT)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match text.trim().strip_prefix(GENERATION).map(str::parse) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => Err(OpenError::damaged(
                &self.path.join(CURRENT),
                "it does not name a generation",
            )),
        }
    }

    /// An empty place for the generation after the present one, and its number.
    pub(super) fn next(&self) -> Result<(u64, PathBuf), OpenError> {
        let number = self.current_number()?.unwrap_or(0) + 1;
        let path = self.generation(number);
        remove(&path)?;
        Ok((number, path))
    }

    /// Makes a generation the present one: from now on it is what a start reads. Only of a
    /// whole one: the storage does not open what a crash kept it from making.
    pub(super) fn switch(&self, number: u64) -> Result<(), OpenError> {
        let new = self.path.join("current.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{GENERATION}{number}")?;
        file.sync_all()?;
        std::fs::rename(&new, self.path.join(CURRENT))?;
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    pub(super) fn remove_others(&self, number: u64) -> Result<(), OpenError> {
        let keep = self.generation(number);
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            let is_generation = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(GENERATION));
            if is_generation && path != keep {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn generation(&self, number: u64) -> PathBuf {
        self.path.join(format!("{GENERATION}{number}"))
    }

    /// Bytes of disk taken by everything in it: blocks, not lengths, because the storage's
    /// log is laid out ahead of its use.
    pub(super) fn used(&self) -> u64 {
        used(&self.path)
    }

    /// Sets room aside, unless it is already.
    pub(super) fn set_aside(&self, bytes: u64) -> std::io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(RESERVE))?;
        if file.metadata()?.len() == bytes {
            return Ok(());
        }
        let flags = rustix::fs::FallocateFlags::empty();
        let allocated = rustix::fs::fallocate(&file, flags, 0, bytes);
        if allocated.is_err() {
            self.give_back();
        }
        Ok(allocated?)
    }

    /// Gives back the room that was set aside; whether there was any.
    pub(super) fn give_back(&self) -> bool {
        std::fs::remove_file(self.path.join(RESERVE)).is_ok()
    }

    /// Bytes of disk that are free for this process.
    pub(super) fn free(&self) -> std::io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// What cannot be looked at (a file that was just removed) does not count.
fn used(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => used(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
