//! The data directory: locked against a second process, read once, written whole.
//!
//! Blocking. A snapshot replaces the one before it by a rename, so that a kill at any moment
//! leaves one of the two. When to write is `server::saver`'s business.

use crate::state::Snapshot;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The format of the file. A new one must still read the old ones.
const FORMAT: u32 = 2;

const FILE: &str = "state.json";
const NEW_FILE: &str = "state.json.new";
const LOCK_FILE: &str = "lock";

/// Why a data directory cannot be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system refused.
    #[error("data directory {}: {error}", dir.display())]
    Io {
        /// As it was given.
        dir: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// Another process uses it.
    #[error("data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A later version wrote it.
    #[error(
        "{} is of format {format}, and this version reads up to {FORMAT}: use the version that wrote it, or another directory",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is not what was once written.
    #[error("{} is damaged: {what}; move it away to begin anew", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    _lock: File,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    state: &'a Snapshot,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Deserialize)]
struct Read {
    state: Snapshot,
}

impl Store {
    /// Makes the directory if there is none, locks it, and gives what was last saved there.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Option<Snapshot>), DataError> {
        let failed = |error| DataError::Io {
            dir: dir.to_owned(),
            error,
        };
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let file = dir.join(FILE);
        let snapshot = match fs::read(&file) {
            Ok(bytes) => Some(parse(&file, &bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let store = Self {
            dir: dir.to_owned(),
            _lock: lock,
        };
        Ok((store, snapshot))
    }

    /// The file's name, for errors that only show when it is put to use.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Replaces what was saved; it is durable when this returns.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let new = self.dir.join(NEW_FILE);
        let mut writer = BufWriter::new(File::create(&new)?);
        let written = Written {
            format: FORMAT,
            state: snapshot,
        };
        serde_json::to_writer(&mut writer, &written)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&new, self.file())?;
        // The rename itself is durable only with the directory.
        #[cfg(unix)]
        File::open(&self.dir)?.sync_all()?;
        Ok(())
    }
}

fn parse(file: &Path, bytes: &[u8]) -> Result<Snapshot, DataError> {
    let damaged = |error: serde_json::Error| DataError::Damaged {
        file: file.to_owned(),
        what: error.to_string(),
    };
    // The format first: the rest of a newer one may look like anything.
    let Head { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(DataError::Newer {
            file: file.to_owned(),
            format,
        });
    }
    let read: Read = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(read.state)
}
