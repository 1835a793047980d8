//! Files that something was made of, and whether they have changed since.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longest file: a set of keys or a chain of certificates takes a few KB.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// What of a file changes when its text does: a rename puts another inode there, a write another
/// time. None: it cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    fn of(metadata: io::Result<Metadata>) -> Self {
        let stamp = |file: Metadata| (file.ino(), file.size(), file.mtime(), file.mtime_nsec());
        Self(metadata.ok().map(stamp))
    }
}

/// Files as they were when they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamped(Vec<(PathBuf, Stamp)>);

impl Stamped {
    /// Reads a file, and remembers it as it is.
    ///
    /// # Errors
    /// As of [`read_bounded`].
    pub fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        // Looked at first: what is written meanwhile is seen as a change.
        self.0.push((path.to_owned(), Stamp::of(path.metadata())));
        read_bounded(path)
    }

    /// The same files as they are now.
    #[must_use]
    pub fn now(&self) -> Self {
        let now = |(path, _): &(PathBuf, Stamp)| (path.clone(), Stamp::of(path.metadata()));
        Self(self.0.iter().map(now).collect())
    }

    /// Whether there are any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The bytes of a file of at most 1 MiB.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!(
            "longer than {FILE_MAX_BYTES} bytes: is it the right file?"
        )));
    }
    Ok(bytes)
}
