//! The journal's directory: who holds it, which generation is the present one, how much
//! space it takes and how much there is.
//!
//! `lock` is held by its process for as long as it lives and says who that is. `current`
//! names the generation; it changes by a rename, so that there is one at any moment. `reserve`
//! is room set aside, to be given back when others have filled the disk. `promised` is
//! [`super::promise`]'s.
//!
//! Events are their owner's: the directory is made for its owner alone, and what an earlier version
//! left open to others is closed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::journal::OpenError;

const LOCK: &str = "lock";
pub(super) const CURRENT: &str = "current";
const RESERVE: &str = "reserve";
const GENERATION: &str = "generation-";

/// A directory that this process holds.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Unlocked by the system when the process ends, however it does.
    _lock: Option<File>,
}

impl Directory {
    /// Makes the directory if there is none, and takes it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        make(path).map_err(OpenError::io(path))?;
        let name = path.join(LOCK);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(OpenError::io(&name))?;
        let mut lock = hold(path, lock, File::try_lock)?;
        let sign = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            write!(lock, "process {}", std::process::id())
        };
        sign(&mut lock).map_err(OpenError::io(&name))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Takes a directory to read it, and writes nothing there: no process may open it meanwhile,
    /// others may read it too.
    pub(super) fn look(path: &Path) -> Result<Self, OpenError> {
        let name = path.join(LOCK);
        let lock = match File::open(&name) {
            Ok(lock) => Some(hold(path, lock, File::try_lock_shared)?),
            // Nobody has ever held it.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io(&name)(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn current_number(&self) -> Result<Option<u64>, OpenError> {
        current_number(&self.path)
    }

    /// A place for the generation after all there are, and its number.
    pub(super) fn next(&self) -> Result<(u64, PathBuf), OpenError> {
        let last = generations(&self.path)?.last().map_or(0, |(n, _)| *n);
        let number = self.current_number()?.unwrap_or(0).max(last) + 1;
        Ok((number, generation(&self.path, number)))
    }

    /// Makes a generation the present one: from now on it is what a start reads. Only of a
    /// whole one: the storage does not open what a crash kept it from making.
    pub(super) fn switch(&self, number: u64) -> Result<(), OpenError> {
        let (new, current) = (self.path.join("current.new"), self.path.join(CURRENT));
        let switch = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            writeln!(file, "{GENERATION}{number}")?;
            file.sync_all()?;
            std::fs::rename(&new, &current)?;
            File::open(&self.path)?.sync_all()
        };
        switch().map_err(OpenError::io(&current))
    }

    /// Removes what other generations left behind, once this one was read.
    pub(super) fn remove_others(&self, number: u64) -> Result<(), OpenError> {
        for (other, path) in generations(&self.path)? {
            if other != number {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Closes to others what an earlier version left open. What is not ours to change stays.
    pub(super) fn close_to_others(&self) {
        for name in [LOCK, CURRENT, RESERVE] {
            let _ = set_mode(&self.path.join(name), 0o600);
        }
        for (_, path) in generations(&self.path).unwrap_or_default() {
            close_to_others(&path);
        }
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
            .mode(0o600)
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

/// Makes a directory for its owner alone, and sees to it that its name is on the disk.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    make(parent)?;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !path.is_dir() => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

/// Locks a directory's lock, or says who holds it.
fn hold(
    dir: &Path,
    mut lock: File,
    take: fn(&File) -> Result<(), TryLockError>,
) -> Result<File, OpenError> {
    match take(&lock) {
        Ok(()) => Ok(lock),
        Err(TryLockError::Error(error)) => Err(OpenError::io(&dir.join(LOCK))(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder may not have written its name yet.
            let _ = lock.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                holder => holder.to_owned(),
            };
            Err(OpenError::InUse {
                dir: dir.to_owned(),
                holder,
            })
        }
    }
}

/// The generation that `current` names; none: there is no `current`.
pub(super) fn current_number(dir: &Path) -> Result<Option<u64>, OpenError> {
    let path = dir.join(CURRENT);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io(&path)(error)),
    };
    let text = String::from_utf8_lossy(&text);
    match text.trim().strip_prefix(GENERATION).map(str::parse) {
        Some(Ok(number)) => Ok(Some(number)),
        _ => Err(OpenError::damaged(&path, "it does not name a generation")),
    }
}

/// The generations there are, oldest first.
pub(super) fn generations(dir: &Path) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let mut generations = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(generations),
        Err(error) => return Err(OpenError::io(dir)(error)),
    };
    for entry in entries {
        let path = entry.map_err(OpenError::io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(GENERATION)?.parse().ok());
        if let Some(number) = number.filter(|_| path.is_dir()) {
            generations.push((number, path));
        }
    }
    generations.sort();
    Ok(generations)
}

pub(super) fn generation(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{GENERATION}{number}"))
}

fn close_to_others(dir: &Path) {
    let _ = set_mode(dir, 0o700);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => close_to_others(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let _ = set_mode(&entry.path(), 0o600);
            }
            _ => {}
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(OpenError::io(path)(error)),
        _ => Ok(()),
    }
}

/// What cannot be looked at (a file that was just removed) does not count.
pub(super) fn used(path: &Path) -> u64 {
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
