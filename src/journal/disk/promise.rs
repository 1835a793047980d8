//! How far the journal has promised: the mark beside the generations.
//!
//! Every commit carries the number of its last block ([`super::store::Mark::Sequence`]), and after
//! the commit, before anyone hears of it, that number goes into the file `promised`. So the mark is
//! never ahead of what was written, and never behind what was acknowledged. A start that finds less
//! than the mark knows that something is missing, where a log that merely ends says nothing.
//!
//! The mark costs one `pwrite` of some 70 bytes a commit. With `fsync` it is synced too, but after the
//! group was acknowledged and at most every [`SYNC_EVERY`], because a second sync in every commit
//! would halve the rate. So after a power cut the mark may be that much behind; it is never ahead.
//!
//! Two slots are written in turn, each in a sector of its own: a write that a power cut tears leaves
//! the other one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::store::Durability;
use crate::journal::OpenError;

/// The mark's file, beside the generations.
pub(super) const FILE: &str = "promised";

/// Least time between two syncs of the mark.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// A disk writes a sector whole; none in use is smaller.
const SLOT: usize = 512;
const MAGIC: &[u8; 8] = b"CUEMARK1";
const BOOT: usize = 36;
const DURABLE: u8 = 1;
const FAILING: u8 = 2;
const USED: usize = 8 + 8 + 8 + 1 + BOOT;

/// What an earlier process promised last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// The number of the last block that was promised.
    pub sequence: u64,
    /// The promise was to survive the machine.
    pub durable: bool,
    /// What came after it could not be written, and calls went on. An older program takes it for
    /// `durable`, and then at worst refuses a journal that lost something with the machine.
    pub failing: bool,
    /// The boot in which it was given.
    pub boot: String,
    /// Grows with every write of the mark.
    count: u64,
}

impl Promise {
    /// Whether the records tell of every call: nothing was lost with a boot of the machine, not even
    /// this mark's own last write, and none was made that could not be recorded.
    pub(super) fn tells_of_calls(&self) -> bool {
        !self.failing && !self.boot.is_empty() && self.boot == boot_id()
    }

    /// Whether what was promised must still be there now.
    pub(super) fn binds(&self) -> bool {
        self.durable || self.boot == boot_id()
    }

    /// The mark in this directory; none: nobody has promised anything, or an earlier version did.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(FILE);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(2 * SLOT as u64).read_to_end(&mut bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(OpenError::io(&path))?;
        let slots = bytes.chunks(SLOT).filter_map(Self::decode);
        let newest = slots.max_by_key(|promise| promise.count);
        newest.map(Some).ok_or_else(|| {
            OpenError::damaged(&path, "it does not say how far the journal promised")
        })
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let (used, rest) = slot.split_at_checked(USED)?;
        let checksum = u64::from_le_bytes(*rest.first_chunk()?);
        if xxhash_rust::xxh3::xxh3_64(used) != checksum {
            return None;
        }
        let rest = used.strip_prefix(MAGIC)?;
        let (count, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (flags, boot) = rest.split_first()?;
        Some(Self {
            count: u64::from_le_bytes(*count),
            sequence: u64::from_le_bytes(*sequence),
            durable: flags & DURABLE != 0,
            failing: flags & FAILING != 0,
            boot: std::str::from_utf8(boot).ok()?.trim_end().to_owned(),
        })
    }

    fn encode(&self) -> [u8; SLOT] {
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(MAGIC);
        slot.extend_from_slice(&self.count.to_le_bytes());
        slot.extend_from_slice(&self.sequence.to_le_bytes());
        let durable = if self.durable { DURABLE } else { 0 };
        let failing = if self.failing { FAILING } else { 0 };
        slot.push(durable | failing);
        let boot: String = self.boot.chars().take(BOOT).collect();
        slot.extend_from_slice(format!("{boot:BOOT$}").as_bytes());
        let checksum = xxhash_rust::xxh3::xxh3_64(&slot);
        slot.extend_from_slice(&checksum.to_le_bytes());
        let mut whole = [0; SLOT];
        whole[..slot.len()].copy_from_slice(&slot);
        whole
    }
}

/// The mark, held open to be moved.
pub(super) struct Promises {
    file: File,
    last: Promise,
    /// What the file says of [`Promise::failing`], if that is known.
    noted: Option<bool>,
    synced: Instant,
    is_dirty: bool,
}

impl Promises {
    /// Writes the mark of this process, on the disk when this returns. The one before stays
    /// readable until then. `failing`: calls that nothing records go on.
    pub(super) fn begin(
        dir: &Path,
        durability: Durability,
        sequence: u64,
        failing: bool,
    ) -> io::Result<Self> {
        let last = Promise {
            sequence,
            durable: durability == Durability::Machine,
            failing,
            boot: boot_id(),
            count: 1,
        };
        let (new, path) = (dir.join("promised.new"), dir.join(FILE));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&last.encode())?;
        file.set_len(2 * SLOT as u64)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self {
            file,
            last,
            noted: Some(failing),
            synced: Instant::now(),
            is_dirty: false,
        })
    }

    /// Everything up to this block is written.
    pub(super) fn promise(&mut self, sequence: u64) -> io::Result<()> {
        self.last.sequence = sequence;
        self.write()
    }

    /// The last number stands, what comes after it cannot be written, and calls go on (or no longer).
    /// The mark's own blocks are on the disk since it was begun, so a full disk takes it. It is not
    /// synced: it counts within this boot only.
    pub(super) fn set_failing(&mut self, failing: bool) -> io::Result<()> {
        if self.noted == Some(failing) {
            return Ok(());
        }
        // After an error nobody knows what the file says.
        self.noted = None;
        self.last.failing = failing;
        self.write()?;
        self.noted = Some(failing);
        Ok(())
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.last.failing
    }

    /// A write that fails is tried again in the same slot: the other one stays whole.
    fn write(&mut self) -> io::Result<()> {
        let count = self.last.count + 1;
        let at = count % 2 * SLOT as u64;
        let next = Promise {
            count,
            ..self.last.clone()
        };
        self.file.write_all_at(&next.encode(), at)?;
        self.last.count = count;
        self.is_dirty = true;
        Ok(())
    }

    /// Syncs the mark where the mode asks for it and it is time.
    pub(super) fn look_after(&mut self) -> io::Result<()> {
        if self.is_dirty && self.last.durable && self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = Instant::now();
        self.is_dirty = false;
        Ok(())
    }
}

/// This boot of the machine; empty where the system does not say, so that a promise of `os` then
/// always binds.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Promise::read(dir.path()).expect("none"), None);
        let mut promises =
            Promises::begin(dir.path(), Durability::Process, 7, false).expect("begun");
        let read = |dir: &Path| Promise::read(dir).expect("read").expect("a mark");
        assert_eq!(read(dir.path()).sequence, 7);
        assert!(read(dir.path()).binds());
        for sequence in 8..12 {
            promises.promise(sequence).expect("written");
            assert_eq!(read(dir.path()).sequence, sequence);
        }
        // The last write, of the even slot or the odd one, is torn: the one before counts.
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).expect("the mark");
        let at = usize::try_from(promises.last.count % 2).expect("0 or 1") * SLOT;
        for torn in at..at + USED {
            let mut bytes = whole.clone();
            bytes[torn] ^= 0x10;
            std::fs::write(&path, bytes).expect("written");
            assert_eq!(read(dir.path()).sequence, 10, "{torn}");
        }
        std::fs::write(&path, [0; 2 * SLOT]).expect("written");
        assert!(Promise::read(dir.path()).is_err());
    }

    #[test]
    fn a_mark_tells_of_calls_within_its_boot_and_while_they_are_recorded() {
        let dir = tempfile::tempdir().expect("a directory");
        let begin = |failing| Promises::begin(dir.path(), Durability::Machine, 7, failing);
        let read = || Promise::read(dir.path()).expect("read").expect("a mark");
        let mut promises = begin(false).expect("begun");
        assert!(read().tells_of_calls());
        promises.set_failing(true).expect("written");
        assert!(!read().tells_of_calls());
        assert_eq!(read().sequence, 7);
        promises.promise(8).expect("written");
        assert!(!read().tells_of_calls(), "a promise does not take it back");
        let mut promises = begin(promises.is_failing()).expect("begun");
        assert!(!read().tells_of_calls(), "nor does a journal written anew");
        promises.set_failing(false).expect("written");
        assert!(read().tells_of_calls());
        assert!(read().durable, "it is the same promise");
        for boot in ["", "another"] {
            let other = Promise {
                boot: boot.to_owned(),
                ..read()
            };
            assert!(!other.tells_of_calls());
        }
    }

    #[test]
    fn a_promise_binds_within_its_boot_or_with_fsync() {
        let promise = |durable, boot: &str| Promise {
            sequence: 1,
            durable,
            failing: false,
            boot: boot.to_owned(),
            count: 1,
        };
        assert!(promise(false, &boot_id()).binds());
        assert!(!promise(false, "another").binds());
        assert!(promise(true, "another").binds());
    }
}
