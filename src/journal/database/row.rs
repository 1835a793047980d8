//! A group as bytes, in rows, and the log's contents out of them.
//!
//! Entries are numbered one after another through all epochs, so that a reader sees that one is
//! missing. A snapshot is some entries of the kind [`Kind::Part`] and one [`Kind::Snapshot`] behind
//! them, in whose place all before it may be deleted. Parts that no such entry follows are of an
//! owner that came no further: they do not count.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use engine::Span;
use serde::{Deserialize, Serialize};

use crate::cluster::rows::ROW_BYTES;
use crate::journal::error::OpenError;
use crate::journal::log::{Block, Contents, Group, Handed, Held, Phase};

/// The first byte of an entry.
const VERSION: u8 = 1;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The first group of an owner.
    Begin,
    /// A group.
    Group,
    /// The last group of an owner. True: the API counts none of its calls any more.
    End(bool),
    /// Some blocks of a snapshot whose first entry has this number.
    Part(u64),
    /// The end of a snapshot whose first entry has this number, with what is kept beside the blocks.
    Snapshot(u64),
    /// Nothing: an entry whose confirmation confirms those before it.
    Confirmation,
}

impl Kind {
    pub(super) const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Begin => Self::Begin,
            Phase::Within => Self::Group,
            Phase::End { clean } => Self::End(clean),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    version: u8,
    kind: Kind,
    n_floor: Option<u64>,
    counts: bool,
    #[serde(borrow)]
    blocks: Vec<WrittenBlock<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenBlock<'a> {
    arn: &'a str,
    replaces: Range<u64>,
    number: u64,
    bytes: &'a [u8],
}

/// What an owner handed over, behind the last group of an owner whose end is not a clean one: a
/// program that does not know of it withholds more.
#[derive(Serialize, Deserialize)]
struct WrittenToken<'a> {
    arn: &'a str,
    left_us: u64,
    open: bool,
}

/// A group in parts that a row takes. Its letters go beside it.
pub(super) fn encode(kind: Kind, group: &Group) -> Result<Vec<Vec<u8>>, postcard::Error> {
    let blocks = group.blocks.iter().map(|block| WrittenBlock {
        arn: &block.arn,
        replaces: block.replaces.clone(),
        number: block.number,
        bytes: &block.bytes,
    });
    let written = Written {
        version: VERSION,
        kind,
        n_floor: group.n_floor,
        counts: group.counts,
        blocks: blocks.collect(),
    };
    let mut bytes = postcard::to_stdvec(&written)?;
    if !group.handed.is_empty() {
        let handed = group.handed.iter().map(|handed| WrittenToken {
            arn: &handed.arn,
            left_us: handed.left.micros(),
            open: handed.open,
        });
        bytes = postcard::to_extend(&handed.collect::<Vec<_>>(), bytes)?;
    }
    Ok(bytes.chunks(ROW_BYTES).map(<[u8]>::to_vec).collect())
}

/// The blocks of each channel, by number.
type Channels = BTreeMap<String, BTreeMap<u64, Vec<u8>>>;

/// What a log says, entry by entry.
#[derive(Default)]
pub(super) struct Replay {
    channels: Channels,
    /// A snapshot that has no end yet.
    building: Option<(u64, Channels)>,
    /// The number of the last entry; 0: there is none.
    pub last: u64,
    /// The bytes of all entries.
    pub bytes: u64,
    pub letters: Vec<(u64, Vec<u8>)>,
    n_floor: u64,
    unclean: bool,
    handed: Vec<Handed>,
    counts: bool,
    /// What cannot be read, unless a snapshot has made up for it.
    pub damage: Option<String>,
    place: String,
}

impl Replay {
    /// Of a log of which nothing was read but its letters.
    pub(super) fn new(place: String, letters: Vec<(u64, Vec<u8>)>) -> Self {
        Self {
            letters,
            place,
            ..Self::default()
        }
    }

    /// Learns the next entry.
    pub(super) fn learn(&mut self, seq: u64, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let expected = self.last + 1;
        self.last = seq;
        if seq != expected {
            self.is_damaged(format!(
                "entry {expected} is missing, the next one is {seq}"
            ));
        }
        match postcard::take_from_bytes::<Written<'_>>(bytes) {
            Ok((written, rest)) if written.version == VERSION => {
                self.apply(seq, &written);
                if written.kind == Kind::End(false) && !rest.is_empty() {
                    self.hand_over(seq, rest);
                }
            }
            Ok((written, _)) => self.is_damaged(format!(
                "entry {seq} is of version {}, which a newer program wrote",
                written.version
            )),
            Err(error) => self.is_damaged(format!("entry {seq}: {error}")),
        }
    }

    /// The owner that ended handed its tokens over.
    fn hand_over(&mut self, seq: u64, rest: &[u8]) {
        match postcard::from_bytes::<Vec<WrittenToken<'_>>>(rest) {
            Ok(handed) => {
                let handed = handed.into_iter().map(|it| Handed {
                    arn: it.arn.to_owned(),
                    left: Span::from_micros(it.left_us),
                    open: it.open,
                });
                self.handed = handed.collect();
                self.unclean = false;
            }
            Err(error) => self.is_damaged(format!("entry {seq}: {error}")),
        }
    }

    fn is_damaged(&mut self, what: String) {
        self.building = None;
        self.damage.get_or_insert(what);
    }

    fn apply(&mut self, seq: u64, written: &Written<'_>) {
        match written.kind {
            Kind::Part(first) => {
                if first == seq {
                    self.building = Some((first, Channels::new()));
                }
                if let Some((_, channels)) = &mut self.building {
                    put(channels, &written.blocks);
                }
            }
            Kind::Snapshot(first) => match self.building.take() {
                Some((begun, channels)) if begun == first => self.replace(channels, written),
                None if first == seq => self.replace(Channels::new(), written),
                _ => self.is_damaged(format!("the snapshot from entry {first} to {seq} has gaps")),
            },
            Kind::Begin | Kind::Group | Kind::End(_) => {
                self.building = None;
                put(&mut self.channels, &written.blocks);
                self.mark(written);
            }
            Kind::Confirmation => {}
        }
    }

    fn replace(&mut self, channels: Channels, written: &Written<'_>) {
        self.channels = channels;
        self.damage = None;
        self.mark(written);
    }

    /// What is kept beside the blocks.
    fn mark(&mut self, written: &Written<'_>) {
        self.n_floor = written.n_floor.unwrap_or(self.n_floor);
        match written.kind {
            Kind::End(true) => self.unclean = false,
            Kind::Begin | Kind::Snapshot(_) => {
                self.unclean = true;
                self.handed.clear();
                self.counts = written.counts;
            }
            Kind::Group | Kind::End(false) => self.counts |= written.counts,
            Kind::Part(_) | Kind::Confirmation => {}
        }
    }

    /// A block as it was read, for a snapshot of a channel that nobody has opened.
    pub(super) fn block(&self, arn: &Arc<str>, number: u64) -> Option<Block> {
        let bytes = self.channels.get(&**arn)?.get(&number)?.clone();
        Some(Block {
            arn: Arc::clone(arn),
            replaces: 0..0,
            number,
            bytes,
        })
    }
}

impl Contents for Replay {
    fn read(&self, each: &mut dyn FnMut(&str, u64, &[u8])) -> Result<Held, OpenError> {
        if let Some(damage) = &self.damage {
            return Err(self.damaged(damage));
        }
        for (arn, blocks) in &self.channels {
            for (number, bytes) in blocks {
                each(arn, *number, bytes);
            }
        }
        Ok(Held {
            letters: self.letters.clone(),
            n_floor: self.n_floor,
            unclean: self.unclean,
            handed: self.handed.clone(),
            counts: self.unclean && self.counts,
        })
    }

    fn damaged(&self, what: &dyn Display) -> OpenError {
        OpenError::Storage {
            path: Path::new(&self.place).to_owned(),
            error: format!("it is damaged: {what}"),
        }
    }
}

fn put(channels: &mut Channels, blocks: &[WrittenBlock<'_>]) {
    for block in blocks {
        let known = channels.entry(block.arn.to_owned()).or_default();
        known.retain(|number, _| !block.replaces.contains(number));
        if !block.bytes.is_empty() {
            known.insert(block.number, block.bytes.to_vec());
        }
        if known.is_empty() {
            channels.remove(block.arn);
        }
    }
}
