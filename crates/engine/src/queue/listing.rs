//! What is queued, in the order it would leave: for people, a page at a time.
//!
//! Nobody may hold a long queue for as long as it takes to look at all of it. So the items are read a
//! part at a time ([`Queue::outline`]), put in order without the queue ([`Outline::page`]), and looked up
//! again to be shown ([`Queue::listed`]). An event that comes or leaves meanwhile may be missing. One
//! that stays is there once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Queue;
use super::item::{Item, Stage};
use super::state::EventState;
use crate::envelope::Envelope;
use crate::event::{Data, Priority};
use crate::merge::Merge;
use crate::time::{Span, Time};

/// Items that one call reads: 0.3 ms where memory is slow.
const PART: usize = 4096;

/// Where an event stands on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    /// It is in a payload.
    Sent,
    /// It can go.
    Waiting,
    /// It, or an event of its key before it, is not due.
    Scheduled,
}

/// The place of an event among all that is queued: what leaves earlier is less.
///
/// An event behind one of its key leaves right after that if its own place would be an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    section: Section,
    /// 0 is the highest priority, and that of all that is not waiting.
    level: u8,
    due: Time,
    seq: u64,
    /// How many of its key are behind the one that gives it this place.
    behind: u32,
}

impl Rank {
    fn of(item: &Item) -> Self {
        let section = match item.stage {
            Stage::Packed => Section::Sent,
            Stage::Waiting => Section::Waiting,
            Stage::Blocked | Stage::Scheduled => Section::Scheduled,
        };
        let level = match (section, item.level) {
            (Section::Waiting, Priority::Normal) => 1,
            (Section::Waiting, Priority::Low) => 2,
            _ => 0,
        };
        Self {
            section,
            level,
            due: item.place.due,
            seq: item.place.seq,
            behind: 0,
        }
    }

    /// The same behind an event of the same key.
    fn after(self, earlier: Self) -> Self {
        if self > earlier {
            return self;
        }
        Self {
            behind: earlier.behind + 1,
            ..earlier
        }
    }
}

/// As text that can be read again: where the next page begins.
impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (section, due) = (self.section as u8, self.due.micros());
        let (level, seq, behind) = (self.level, self.seq, self.behind);
        write!(f, "{section}-{level}-{due}-{seq}-{behind}")
    }
}

impl FromStr for Rank {
    type Err = NoRank;

    fn from_str(text: &str) -> Result<Self, NoRank> {
        let parts: Vec<&str> = text.split('-').collect();
        let [section, level, due, seq, behind] = parts[..] else {
            return Err(NoRank);
        };
        let section = match section {
            "0" => Section::Sent,
            "1" => Section::Waiting,
            "2" => Section::Scheduled,
            _ => return Err(NoRank),
        };
        Ok(Self {
            section,
            level: level.parse().map_err(|_| NoRank)?,
            due: Time::from_micros(due.parse().map_err(|_| NoRank)?),
            seq: seq.parse().map_err(|_| NoRank)?,
            behind: behind.parse().map_err(|_| NoRank)?,
        })
    }
}

/// The text is no [`Rank`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRank;

/// What is read of an item while the queue is held.
#[derive(Clone, Copy, Debug)]
struct Line {
    index: u32,
    /// Of its place, which it keeps when another merges into it.
    seq: u64,
    rank: Rank,
    /// The one of its key before it.
    prev: Option<u32>,
    size: u32,
    slices: u8,
    is_alone: bool,
    is_wanted: bool,
}

/// How fast a queue leaves.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    interval: Span,
    /// What the next call waits beyond an interval.
    wait: Span,
    /// Calls that the payloads on their way take.
    outs: u64,
    /// Bytes of a payload beside its envelope's, before it is compressed.
    room: usize,
    /// An event is a payload.
    is_raw: bool,
}

impl Pace {
    /// How long it takes until so many waiting events are sent: as [`Depth::leaves_in`](super::Depth::leaves_in).
    fn leaves_in(&self, bytes: usize, count: usize, alone: usize, slices: usize) -> Span {
        let full = if self.is_raw {
            count
        } else {
            (bytes / self.room.max(1)).max(alone.min(count))
        };
        self.interval
            .times((full + slices).max(1) as u64 + self.outs)
            + self.wait
    }
}

/// What has been read of a queue.
#[derive(Debug, Default)]
pub struct Outline {
    lines: Vec<Line>,
    next: usize,
    pace: Pace,
    now: Option<Time>,
}

/// An event on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    index: u32,
    seq: u64,
    /// Its place.
    pub rank: Rank,
    /// How long it takes until it leaves: a lower bound where it is scheduled.
    pub leaves_in: Span,
}

/// Some of what is queued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order they would leave.
    pub spots: Vec<Spot>,
    /// There are more after these.
    pub has_more: bool,
}

/// A queued event, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `id`.
    pub id: Option<Arc<str>>,
    /// `type`.
    pub kind: Option<Arc<str>>,
    /// `key`.
    pub key: Option<Arc<str>>,
    /// How it merges.
    pub merge: Option<Merge>,
    /// Its time to live.
    pub ttl_ms: u32,
    /// What the players get.
    pub data: Data,
    /// As it is now: it rises with age.
    pub priority: Priority,
    /// Where it is on its way.
    pub state: EventState,
}

impl Outline {
    /// The first `limit` events after a place, of those that are wanted.
    #[must_use]
    pub fn page(mut self, after: Option<Rank>, limit: usize) -> Page {
        self.rank();
        self.lines.sort_unstable_by_key(|line| line.rank);
        let (mut bytes, mut count, mut alone, mut slices) = (0, 0, 0, 0);
        let mut page = Page::default();
        for line in &self.lines {
            if line.rank.section == Section::Waiting && line.slices > 0 {
                slices += usize::from(line.slices);
            } else if line.rank.section == Section::Waiting {
                bytes += line.size as usize + 1;
                count += 1;
                alone += usize::from(line.is_alone);
            }
            if !line.is_wanted || after.is_some_and(|after| line.rank <= after) {
                continue;
            }
            if page.spots.len() == limit {
                page.has_more = true;
                break;
            }
            let leaves_in = match line.rank.section {
                Section::Sent => Span::ZERO,
                Section::Waiting => self.pace.leaves_in(bytes, count, alone, slices),
                Section::Scheduled => line.rank.due.since(self.now.unwrap_or(Time::ZERO)),
            };
            page.spots.push(Spot {
                index: line.index,
                seq: line.seq,
                rank: line.rank,
                leaves_in,
            });
        }
        page
    }

    /// Puts each event behind the one of its key before it.
    fn rank(&mut self) {
        let slots = self.lines.iter().map(|line| line.index as usize + 1).max();
        let mut at = vec![None; slots.unwrap_or(0)];
        for (position, line) in self.lines.iter().enumerate() {
            at[line.index as usize] = Some(position);
        }
        let mut behind = Vec::new();
        for start in 0..self.lines.len() {
            // Back to one that stands where it stays, then forth again.
            let mut position = start;
            while let Some(prev) = self.lines[position].prev.take() {
                behind.push(position);
                let Some(Some(earlier)) = at.get(prev as usize).copied() else {
                    break;
                };
                position = earlier;
            }
            while let Some(later) = behind.pop() {
                if later != position {
                    let earlier = self.lines[position].rank;
                    self.lines[later].rank = self.lines[later].rank.after(earlier);
                }
                position = later;
            }
        }
    }
}

impl Queue {
    /// Reads the next few thousand items; whether there are more. Only those of this type and this key
    /// (none: any) are wanted.
    pub fn outline(
        &mut self,
        now: Time,
        outline: &mut Outline,
        kind: Option<&str>,
        key: Option<&str>,
    ) -> bool {
        self.advance(now);
        outline.now = Some(self.now);
        outline.pace = self.pace();
        let is_of = |wanted: Option<&str>, has: &Option<Arc<str>>| {
            wanted.is_none_or(|wanted| has.as_deref() == Some(wanted))
        };
        let end = outline.next + PART;
        for index in outline.next..end.min(self.order.items.slots()) {
            let index = super::items::slot(index);
            let Some(item) = self.order.items.get(index) else {
                continue;
            };
            outline.lines.push(Line {
                index,
                seq: item.place.seq,
                rank: Rank::of(item),
                prev: item.prev,
                size: item.size,
                slices: item.slices,
                is_alone: item.is_alone(&self.policy),
                is_wanted: is_of(kind, &item.content.kind) && is_of(key, &item.content.key),
            });
        }
        outline.next = end;
        end < self.order.items.slots()
    }

    /// What is at a spot, if it is still queued.
    #[must_use]
    pub fn listed(&self, spot: &Spot) -> Option<Listed> {
        let item = self.order.item(spot.index)?;
        (item.place.seq == spot.seq).then(|| Listed {
            id: item.content.id.clone(),
            kind: item.content.kind.clone(),
            key: item.content.key.clone(),
            merge: item.content.merge,
            ttl_ms: item.ttl_ms,
            data: item.content.data.clone(),
            priority: item.level,
            state: self.state_at(spot.index, item),
        })
    }

    fn pace(&self) -> Pace {
        let overhead = self.policy.envelope.overhead();
        Pace {
            interval: self.link.interval,
            wait: self.leaves_in() - self.eta(),
            outs: self.calls_left() as u64,
            room: self.plain_max().saturating_sub(overhead),
            is_raw: self.policy.envelope == Envelope::Raw,
        }
    }
}
