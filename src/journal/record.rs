//! Changes of a queue as bytes: a block is a version and one record after another.
//!
//! Moments are on the wall clock in µs since 1970, because the engine's clock does not
//! outlive the process. postcard writes no names, so a record may only ever gain variants
//! at its end; anything else is another [`VERSION`].

use std::collections::HashSet;

use engine::{Change, Data, End, Kept, Merge, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::dispatch::Clock;

/// The first byte of every block.
const VERSION: u8 = 1;

#[derive(Debug, Serialize, Deserialize)]
enum Record<'a> {
    #[serde(borrow)]
    Queued(Event<'a>),
    Ended {
        seq: u64,
        cancelled: bool,
    },
    Packed {
        n: u64,
        text: &'a str,
        seqs: Vec<u64>,
    },
    Returned {
        n: u64,
    },
    Dissolved {
        n: u64,
    },
    Remembered {
        id: &'a str,
        until: i64,
        cancelled: bool,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Event<'a> {
    seq: u64,
    place_seq: u64,
    due: i64,
    deadline: i64,
    ttl_ms: u32,
    dedup_until: Option<i64>,
    rises: Option<i64>,
    scheduled: bool,
    sent: bool,
    verbatim: bool,
    data: &'a str,
    kind: Option<&'a str>,
    id: Option<&'a str>,
    key: Option<&'a str>,
    merge: Option<&'a str>,
    priority: &'a str,
    level: &'a str,
}

/// A block that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(
        "it is of version {0}, this program reads version {VERSION}: use the program that wrote it"
    )]
    Version(u8),
    #[error("it is empty")]
    Empty,
    #[error("a record is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    #[error("a record names a merge or a priority that does not exist")]
    Word,
}

/// A block of these changes; none if nothing of them need be kept. What came and went within
/// them leaves only its id.
pub(crate) fn encode(changes: &[Change], clock: &Clock) -> Option<Vec<u8>> {
    let passing = passing(changes);
    let mut block = vec![VERSION];
    for change in changes {
        if let Some(record) = record(change, &passing, clock) {
            // Writing into memory fails for want of memory only.
            block = postcard::to_extend(&record, block).ok()?;
        }
    }
    (block.len() > 1).then_some(block)
}

/// Events without an id that were queued and ended within these changes.
fn passing(changes: &[Change]) -> HashSet<u64> {
    let queued: HashSet<u64> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Queued(kept) if kept.id.is_none() => Some(kept.seq),
            _ => None,
        })
        .collect();
    let ended = changes.iter().filter_map(|change| match change {
        Change::Ended { seq, .. } => Some(*seq),
        _ => None,
    });
    ended.filter(|seq| queued.contains(seq)).collect()
}

fn record<'a>(change: &'a Change, passing: &HashSet<u64>, clock: &Clock) -> Option<Record<'a>> {
    Some(match change {
        Change::Queued(kept) if passing.contains(&kept.seq) => return None,
        Change::Ended { seq, .. } if passing.contains(seq) => return None,
        Change::Packed { seqs, .. } if seqs.iter().all(|seq| passing.contains(seq)) => return None,
        Change::Queued(kept) => Record::Queued(event(kept, clock)),
        Change::Ended { seq, end } => Record::Ended {
            seq: *seq,
            cancelled: *end == End::Cancelled,
        },
        Change::Packed { n, text, seqs } => Record::Packed {
            n: *n,
            text,
            seqs: seqs.clone(),
        },
        Change::Returned { n } => Record::Returned { n: *n },
        Change::Dissolved { n } => Record::Dissolved { n: *n },
        Change::Remembered {
            id,
            until,
            cancelled,
        } => Record::Remembered {
            id,
            until: clock.wall_us(*until),
            cancelled: *cancelled,
        },
    })
}

fn event<'a>(kept: &'a Kept, clock: &Clock) -> Event<'a> {
    Event {
        seq: kept.seq,
        place_seq: kept.place_seq,
        due: clock.wall_us(kept.due),
        deadline: clock.wall_us(kept.deadline),
        ttl_ms: kept.ttl_ms,
        dedup_until: kept.dedup_until.map(|until| clock.wall_us(until)),
        rises: Some(kept.rises)
            .filter(|rises| *rises != Time::NEVER)
            .map(|rises| clock.wall_us(rises)),
        scheduled: kept.scheduled,
        sent: kept.sent,
        verbatim: matches!(kept.data, Data::Verbatim(_)),
        data: kept.data.text(),
        kind: kept.kind.as_deref(),
        id: kept.id.as_deref(),
        key: kept.key.as_deref(),
        merge: kept.merge.map(Merge::name),
        priority: kept.priority.name(),
        level: kept.level.name(),
    }
}

/// The changes of a block, in order.
pub(crate) fn decode(
    block: &[u8],
    clock: &Clock,
    mut each: impl FnMut(Change),
) -> Result<(), Unreadable> {
    let (&version, mut rest) = block.split_first().ok_or(Unreadable::Empty)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    while !rest.is_empty() {
        let (record, after) = postcard::take_from_bytes::<Record<'_>>(rest)?;
        each(change(record, clock)?);
        rest = after;
    }
    Ok(())
}

fn change(record: Record<'_>, clock: &Clock) -> Result<Change, Unreadable> {
    Ok(match record {
        Record::Queued(event) => Change::Queued(kept(&event, clock)?),
        Record::Ended { seq, cancelled } => Change::Ended {
            seq,
            // Of an end, only a cancellation shows afterwards.
            end: if cancelled {
                End::Cancelled
            } else {
                End::Delivered
            },
        },
        Record::Packed { n, text, seqs } => Change::Packed {
            n,
            text: text.into(),
            seqs,
        },
        Record::Returned { n } => Change::Returned { n },
        Record::Dissolved { n } => Change::Dissolved { n },
        Record::Remembered {
            id,
            until,
            cancelled,
        } => Change::Remembered {
            id: id.into(),
            until: clock.time_of(until),
            cancelled,
        },
    })
}

fn kept(event: &Event<'_>, clock: &Clock) -> Result<Kept, Unreadable> {
    let merge = match event.merge {
        None => None,
        Some(name) => Some(Merge::from_name(name).ok_or(Unreadable::Word)?),
    };
    let time = |wall: i64| -> Time { clock.time_of(wall) };
    Ok(Kept {
        seq: event.seq,
        place_seq: event.place_seq,
        due: time(event.due),
        deadline: time(event.deadline),
        ttl_ms: event.ttl_ms,
        dedup_until: event.dedup_until.map(time),
        rises: event.rises.map_or(Time::NEVER, time),
        scheduled: event.scheduled,
        sent: event.sent,
        data: if event.verbatim {
            Data::Verbatim(event.data.into())
        } else {
            Data::Json(event.data.into())
        },
        kind: event.kind.map(Into::into),
        id: event.id.map(Into::into),
        key: event.key.map(Into::into),
        merge,
        priority: priority(event.priority)?,
        level: priority(event.level)?,
    })
}

fn priority(name: &str) -> Result<Priority, Unreadable> {
    Priority::from_name(name).ok_or(Unreadable::Word)
}
