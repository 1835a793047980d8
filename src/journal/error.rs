//! Why a journal cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the journal in {dir} is in use by {holder}; one process owns an account: stop that one first"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// What it says of itself.
        holder: String,
    },
    /// The system refused.
    #[error("the journal: {path}: {error}")]
    Io {
        /// What it is about.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is none.
    #[error("no journal in {dir}")]
    None {
        /// The directory.
        dir: PathBuf,
    },
    /// A copy to read would be made in the journal itself.
    #[error(
        "the journal in {dir} is read from a copy, which would be made inside it, in {temporary}: set TMPDIR to a directory outside the journal"
    )]
    TemporaryInside {
        /// The directory.
        dir: PathBuf,
        /// The system's temporary directory.
        temporary: PathBuf,
    },
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

    /// What is wrong, without advice.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Damaged { path, what } => format!("{}: {what}", path.display()),
            other => other.to_string(),
        }
    }

    /// The system's errors about this path.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}
