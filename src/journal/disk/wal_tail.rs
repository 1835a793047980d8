//! The end of the storage's write-ahead log, looked at before the storage opens it.
//!
//! The storage ends its reading at the first thing it cannot read and drops what follows, or
//! refuses to open where only the last write was torn. So it is told apart here: nothing
//! whole after the damage means a write that a crash cut off, which no one was promised and
//! which is dropped; anything whole after it means that what was promised is damaged, and
//! nothing may be changed.
//!
//! The format is fjall's, version 3 (`src/journal/entry.rs` and `batch_reader.rs` there): a
//! batch is a start (tag 1, count, sequence number), that many items (tag 2) or clears
//! (tag 4), and an end (tag 3, xxh3 of the items, four bytes of magic). Integers are little
//! endian. The rest of the file is zeros, laid out ahead.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::store::SEQUENCE;
use crate::journal::OpenError;

const START: u8 = 1;
const MAGIC: &[u8; 4] = b"FJL\x03";
const EXTENSION: &str = "jnl";

/// What is at the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The last batch, and nothing but zeros.
    Whole,
    /// A write that was cut off: the log ends with the batch before it.
    Torn { at: usize },
    /// A damaged batch before one that is whole.
    Damaged { at: usize },
}

/// What a look at a generation's logs tells.
#[derive(Debug)]
pub(super) struct Seen {
    pub end: End,
    /// What is wrong, where it is more than a write that was cut off.
    pub damage: Option<String>,
    /// The last number that a commit carries ([`super::store::SEQUENCE`]); none: no commit in
    /// them carries one.
    pub sequence: Option<u64>,
}

/// Where the last log ends with whole batches.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The log's name in its generation, where it is cut, and the bytes dropped.
    cut: Option<(OsString, u64, u64)>,
}

impl End {
    /// The bytes of a torn write.
    pub(super) fn dropped(&self) -> u64 {
        self.cut.as_ref().map_or(0, |(_, _, bytes)| *bytes)
    }

    /// Drops the torn write from this generation, or from a copy of it.
    pub(super) fn cut(&self, generation: &Path) -> Result<(), OpenError> {
        let Some((name, at, _)) = &self.cut else {
            return Ok(());
        };
        let path = generation.join(name);
        let cut = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(*at)?;
            file.sync_all()
        };
        cut().map_err(OpenError::io(&path))
    }
}

/// Looks at the logs of this generation. Changes nothing.
pub(super) fn examine(generation: &Path) -> Result<Seen, OpenError> {
    let logs = logs(generation)?;
    let mut seen = Seen {
        end: End::default(),
        damage: gap(&logs),
        sequence: None,
    };
    for (position, (_, path)) in logs.iter().enumerate() {
        let log = std::fs::read(path).map_err(OpenError::io(path))?;
        let scan = scan(&log);
        seen.sequence = scan.sequence.or(seen.sequence);
        let is_last = position + 1 == logs.len();
        let (Tail::Torn { at } | Tail::Damaged { at }) = scan.tail else {
            continue;
        };
        if is_last {
            let name = path.file_name().unwrap_or_default().to_owned();
            seen.end.cut = Some((name, at as u64, used(&log[at..]) as u64));
        } else {
            // It was synced before the next one was begun, whatever the mode.
            let what = format_args!(
                "{} is torn at byte {at}, with logs after it",
                path.display()
            );
            return Err(OpenError::damaged(generation, what));
        }
        if matches!(scan.tail, Tail::Damaged { .. }) {
            let what = format!("{} at byte {at}, with more after it", path.display());
            seen.damage.get_or_insert(what);
        }
    }
    Ok(seen)
}

/// The storage numbers its logs one after another, removes the oldest, and always has one.
fn gap(logs: &[(u64, PathBuf)]) -> Option<String> {
    if logs.is_empty() {
        return Some("its log is missing".to_owned());
    }
    let mut pairs = logs.iter().zip(logs.iter().skip(1));
    let (before, _) = pairs.find(|((before, _), (after, _))| before + 1 != *after)?;
    Some(format!("the log after {} is missing", before.1.display()))
}

/// Whether anything was ever written into this generation: a first start may end before it was.
pub(super) fn is_begun(generation: &Path) -> Result<bool, OpenError> {
    for (_, path) in logs(generation)? {
        let log = std::fs::read(&path).map_err(OpenError::io(&path))?;
        if used(&log) > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == EXTENSION)
}

/// Copies a log with the room after it, which takes none.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    let log = std::fs::read(from).map_err(OpenError::io(from))?;
    let write = || {
        std::fs::write(to, &log[..used(&log)])?;
        let file = OpenOptions::new().write(true).open(to)?;
        file.set_len(log.len() as u64)
    };
    write().map_err(OpenError::io(to))
}

/// The logs of a generation with their numbers, oldest first.
fn logs(generation: &Path) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let entries = std::fs::read_dir(generation).map_err(OpenError::io(generation))?;
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry.map_err(OpenError::io(generation))?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_log(&path)) {
            logs.push((number, path));
        }
    }
    logs.sort();
    Ok(logs)
}

/// A log, read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub tail: Tail,
    /// The last number that a whole batch before the damage carries.
    pub sequence: Option<u64>,
}

/// What is at the end of a log.
#[cfg(test)]
pub(crate) fn tail(log: &[u8]) -> Tail {
    scan(log).tail
}

/// Reads a log up to its end, or to the first thing that is no whole batch.
pub(crate) fn scan(log: &[u8]) -> Scan {
    let (mut at, mut last, mut sequence) = (0, None, None);
    while let Some(batch) = batch(&log[at..]) {
        // The checksum does not cover the number, which grows.
        if last.is_some_and(|last| last >= batch.number) {
            let tail = Tail::Damaged { at };
            return Scan { tail, sequence };
        }
        last = Some(batch.number);
        sequence = batch.sequence.or(sequence);
        at += batch.length;
    }
    let rest = &log[at..];
    let mut starts = memchr::memchr_iter(START, rest);
    let tail = if used(rest) == 0 {
        Tail::Whole
    } else if starts.any(|start| batch(&rest[start..]).is_some()) {
        Tail::Damaged { at }
    } else {
        Tail::Torn { at }
    };
    Scan { tail, sequence }
}

/// Bytes before the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    // By pages: nearly all of the 64 MiB laid out ahead are zeros.
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    while end >= ZEROS.len() && bytes[end - ZEROS.len()..end] == ZEROS {
        end -= ZEROS.len();
    }
    let last = bytes[..end].iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last + 1)
}

/// A whole batch.
struct Batch {
    length: usize,
    number: u64,
    sequence: Option<u64>,
}

/// The batch that begins here, if it is whole.
fn batch(log: &[u8]) -> Option<Batch> {
    let mut reader = Reader { log, at: 0 };
    if reader.byte()? != START {
        return None;
    }
    let count = reader.u32()?;
    let number = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
    let items = reader.at;
    let mut sequence = None;
    for _ in 0..count {
        reader.item(&mut sequence)?;
    }
    let checksum = xxhash_rust::xxh3::xxh3_64(&log[items..reader.at]);
    let is_end = reader.byte()? == 3;
    let is_right = reader.take(8)? == checksum.to_le_bytes();
    let is_whole = reader.take(MAGIC.len())? == MAGIC;
    (is_end && is_right && is_whole).then_some(Batch {
        length: reader.at,
        number,
        sequence,
    })
}

struct Reader<'a> {
    log: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.log.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(bytes)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// An item; a number that it gives the commit goes to `sequence`.
    fn item(&mut self, sequence: &mut Option<u64>) -> Option<()> {
        match self.byte()? {
            2 => {
                // The kind of the value, its compression, the keyspace.
                self.skip(1 + 1 + 8)?;
                let key = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
                self.skip(4)?;
                let value = self.u32()?;
                let key = self.take(usize::from(key))?;
                let value = self.take(usize::try_from(value).ok()?)?;
                if key == SEQUENCE.as_bytes() {
                    *sequence = value.try_into().ok().map(u64::from_be_bytes);
                }
                Some(())
            }
            4 => self.skip(8),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::disk::store::{Durability, Store};

    /// A log of the storage's own making, cut off after its last batch: three batches, and
    /// where they end.
    fn log() -> (Vec<u8>, [usize; 3]) {
        let dir = tempfile::tempdir().expect("a directory");
        let generation = dir.path().join("generation-1");
        let store = Store::open(&generation, Durability::Process).expect("a store");
        let path = logs(&generation).expect("its logs").remove(0).1;
        let ends = [1_u64, 2, 3].map(|number| {
            let mut batch = store.batch();
            batch.put("arn", number, vec![b'x'; 40]);
            batch.put("arn", number + 10, MAGIC.repeat(5));
            batch.remove("arn", number + 20);
            batch.commit().expect("written");
            used(&std::fs::read(&path).expect("the log"))
        });
        let mut log = std::fs::read(&path).expect("the log");
        log.truncate(ends[2] + 64);
        (log, ends)
    }

    #[test]
    fn whole_batches_are_found() {
        let (log, ends) = log();
        assert_eq!(tail(&log), Tail::Whole);
        assert_eq!(tail(&log[..ends[2]]), Tail::Whole);
        assert_eq!(tail(&[]), Tail::Whole);
        assert_eq!(tail(&[0; 100]), Tail::Whole);
    }

    #[test]
    fn a_write_cut_off_anywhere_is_torn() {
        let (log, ends) = log();
        for end in ends[1] + 1..ends[2] {
            assert_eq!(tail(&log[..end]), Tail::Torn { at: ends[1] }, "{end}");
            // What the system had not written yet is zeros. Those it left out at the end of a
            // batch that ends with zeros cannot be told from those that were never there.
            let mut zeros = log.clone();
            zeros[end..].fill(0);
            assert_eq!(tail(&zeros), Tail::Torn { at: ends[1] }, "{end}");
        }
        // Pages may reach the disk in any order.
        for at in ends[1]..ends[2] {
            // Of the last batch nothing says whether its number is right, and nothing hangs on it.
            if (ends[1] + 5..ends[1] + 13).contains(&at) {
                continue;
            }
            let mut hole = log.clone();
            hole[at] ^= 0xff;
            assert_eq!(tail(&hole), Tail::Torn { at: ends[1] }, "{at}");
        }
    }

    #[test]
    fn damage_before_a_whole_batch_is_no_torn_write() {
        let (log, ends) = log();
        for at in 0..ends[1] {
            let mut damaged = log.clone();
            damaged[at] ^= 0x55;
            let tail = tail(&damaged);
            assert!(matches!(tail, Tail::Damaged { .. }), "{at}: {tail:?}");
        }
    }
}
