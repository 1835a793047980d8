//! Changes of a queue as bytes: a block is a version, a header, and one record after another.
//!
//! The header says when the block was written, on the clock of that boot and on the wall's, and
//! the records' moments are µs from then. So the wall clock may be set at any time: how much
//! time has passed is only asked of it after the machine booted. What is itself a moment of the
//! wall clock, an `at`, is in µs since 1970. postcard writes no names, so a record may only ever
//! gain variants at its end. Whatever changes is another [`VERSION`], so that an older program
//! refuses a block by its version, and not as a damaged one.
//!
//! In version 5 no payload left in slices, in version 4 no channel was made by API, in version 3 nothing
//! said what was told over HTTP, in version 2 nothing said how many calls were open, and in version 1
//! there was no header, so that every moment was on the wall clock.

use std::collections::HashSet;
use std::sync::Arc;

use engine::{
    Change, Content, Data, DeadLetterReason, End, Fate, Merge, Priority, QueuedEvent, Scheduled,
    Slices, StateChange, StateEntry, Time, Wall,
};
use serde::{Deserialize, Serialize};

use super::definition::{Defined, Definition};
use crate::clock::Clock;
pub(crate) use when::Reading;
use when::{Header, offset};

mod when;

/// The first byte of every block.
const VERSION: u8 = 6;

/// From here on a block has a header. Later versions have more kinds of records, and nothing else is different.
const FIRST_WITH_HEADER: u8 = 2;

/// What the first program wrote.
const WALL_TIMES: u8 = 1;

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A change of the queue.
    Change(Change),
    /// The channel was paused or resumed.
    Pause(Pause),
    /// So many calls of the channel may still be handled. The last one counts.
    Open(u32),
    /// The channel was made, changed or removed by API. The last one counts.
    Defined(Defined),
}

/// What a block says beside the changes of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The channel was paused or resumed.
    pub pause: Option<Pause>,
    /// So many calls of the channel may still be handled: in flight, given up, or inherited.
    pub open: Option<u32>,
    /// The channel was made, changed or removed by API.
    pub defined: Option<Defined>,
}

/// Whether a channel is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It is, since that moment.
    Since(Time),
    /// No longer.
    Over,
}

/// `S`: how an event says that it has an `at`.
#[derive(Debug, Serialize, Deserialize)]
enum Record<'a, S> {
    #[serde(borrow)]
    Queued(Event<'a, S>),
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
    Paused {
        since: i64,
    },
    Resumed,
    /// Of an event with an id: who asks is told how it ended.
    EndedAs {
        seq: u64,
        end: EndCode,
    },
    RememberedAs {
        id: &'a str,
        until: i64,
        end: EndCode,
    },
    #[serde(borrow)]
    State(StateRecord<'a>),
    /// Since version 3.
    Open {
        calls: u32,
    },
    /// Since version 5.
    Defined {
        alias: &'a str,
        number: u64,
        revision: u64,
        settings: &'a str,
    },
    /// Since version 5.
    Undefined,
    /// [`Record::Packed`] of a payload that leaves in slices. Since version 6.
    Sliced {
        n: u64,
        text: &'a str,
        seqs: Vec<u64>,
        count: u8,
        since: i64,
    },
}

/// [`StateChange`].
#[derive(Debug, Serialize, Deserialize)]
enum StateRecord<'a> {
    Began {
        n: u64,
    },
    Off,
    Holds {
        key: &'a str,
        data: &'a str,
        kind: Option<&'a str>,
        merge: &'a str,
        n: u64,
        at: i64,
    },
    Ends {
        key: &'a str,
        asked: bool,
    },
    Gone {
        key: &'a str,
    },
    Forgotten {
        key: &'a str,
    },
    /// Since version 4.
    Told {
        n: u64,
        text: &'a str,
        at: i64,
    },
    /// Since version 4.
    Untold,
}

impl<'a> StateRecord<'a> {
    fn of(change: &'a StateChange, from: &impl Fn(Time) -> i64) -> Self {
        match change {
            StateChange::Began { n } => Self::Began { n: *n },
            StateChange::Off => Self::Off,
            StateChange::Holds { entry, n, at } => Self::Holds {
                key: &entry.key,
                data: &entry.data,
                kind: entry.kind.as_deref(),
                merge: entry.merge.name(),
                n: *n,
                at: from(*at),
            },
            StateChange::Ends { key, asked } => Self::Ends { key, asked: *asked },
            StateChange::Gone { key } => Self::Gone { key },
            StateChange::Forgotten { key } => Self::Forgotten { key },
            StateChange::Told { n, text, at } => Self::Told {
                n: *n,
                text,
                at: from(*at),
            },
            StateChange::Untold => Self::Untold,
        }
    }

    fn change(self, time: &impl Fn(i64) -> Time) -> Result<StateChange, Unreadable> {
        Ok(match self {
            Self::Began { n } => StateChange::Began { n },
            Self::Off => StateChange::Off,
            Self::Holds {
                key,
                data,
                kind,
                merge,
                n,
                at,
            } => StateChange::Holds {
                entry: StateEntry {
                    key: key.into(),
                    data: data.into(),
                    kind: kind.map(Into::into),
                    merge: Merge::from_name(merge).ok_or(Unreadable::Word)?,
                },
                n,
                at: time(at),
            },
            Self::Ends { key, asked } => StateChange::Ends {
                key: key.into(),
                asked,
            },
            Self::Gone { key } => StateChange::Gone { key: key.into() },
            Self::Forgotten { key } => StateChange::Forgotten { key: key.into() },
            Self::Told { n, text, at } => StateChange::Told {
                n,
                text: text.into(),
                at: time(at),
            },
            Self::Untold => StateChange::Untold,
        })
    }
}

/// A [`Fate`]: its end's place in [`ENDS`], and the moment in µs since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct EndCode {
    code: u8,
    n: Option<u64>,
    at: Option<i64>,
}

/// Every end. A code is a place in this list, which may only grow at its end.
const ENDS: [End; 12] = [
    End::Delivered,
    End::Merged,
    End::Expired,
    End::Cancelled,
    End::Evicted,
    End::DeadLettered(DeadLetterReason::Offline),
    End::DeadLettered(DeadLetterReason::AccessDenied),
    End::DeadLettered(DeadLetterReason::NoSuchChannel),
    End::DeadLettered(DeadLetterReason::Validation),
    End::DeadLettered(DeadLetterReason::TooLarge),
    End::DeadLettered(DeadLetterReason::Expired),
    End::DeadLettered(DeadLetterReason::Unknown),
];

impl EndCode {
    /// None: the end is not in the list, which a test excludes.
    fn of(fate: &Fate) -> Option<Self> {
        let place = ENDS.iter().position(|end| *end == fate.end)?;
        Some(Self {
            code: u8::try_from(place).ok()?,
            n: fate.n,
            at: fate.at.map(Wall::micros),
        })
    }

    fn fate(self) -> Result<Fate, Unreadable> {
        let end = ENDS.get(usize::from(self.code)).ok_or(Unreadable::Word)?;
        Ok(Fate {
            end: *end,
            n: self.n,
            at: self.at.map(Wall::from_micros),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Event<'a, S> {
    seq: u64,
    place_seq: u64,
    due: i64,
    deadline: i64,
    ttl_ms: u32,
    dedup_until: Option<i64>,
    rises: Option<i64>,
    scheduled: S,
    sent: bool,
    #[serde(borrow)]
    content: Words<'a>,
    level: &'a str,
}

/// [`Content`].
#[derive(Debug, Serialize, Deserialize)]
struct Words<'a> {
    verbatim: bool,
    data: &'a str,
    kind: Option<&'a str>,
    id: Option<&'a str>,
    key: Option<&'a str>,
    merge: Option<&'a str>,
    priority: &'a str,
}

impl<'a> Words<'a> {
    fn of(content: &'a Content) -> Self {
        Self {
            verbatim: matches!(content.data, Data::Verbatim(_)),
            data: content.data.text(),
            kind: content.kind.as_deref(),
            id: content.id.as_deref(),
            key: content.key.as_deref(),
            merge: content.merge.map(Merge::name),
            priority: content.priority.name(),
        }
    }

    fn content(&self) -> Result<Content, Unreadable> {
        let merge = match self.merge {
            None => None,
            Some(name) => Some(Merge::from_name(name).ok_or(Unreadable::Word)?),
        };
        Ok(Content {
            data: if self.verbatim {
                Data::Verbatim(self.data.into())
            } else {
                Data::Json(self.data.into())
            },
            kind: self.kind.map(Into::into),
            id: self.id.map(Into::into),
            key: self.key.map(Into::into),
            merge,
            priority: priority(self.priority)?,
        })
    }
}

/// [`Scheduled`]: moments of the wall clock in µs since 1970, others from the header's.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Moments {
    at: i64,
    accepted: i64,
    latest_at: Option<i64>,
    latest_accepted: i64,
}

/// A block that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(
        "it is of version {0}, this program reads versions up to {VERSION}: use the program that wrote it"
    )]
    Version(u8),
    #[error("it is empty")]
    Empty,
    #[error("a record is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    #[error("a record names a merge or a priority that does not exist")]
    Word,
}

/// A block of these changes, and of what there is beside them; none if nothing of them
/// need be kept. What came and went within them leaves only its id.
pub(crate) fn encode(changes: &[Change], beside: &Beside, clock: &Clock) -> Option<Vec<u8>> {
    let passing = passing(changes);
    let moment = clock.moment();
    let from = |time: Time| offset(time, moment.now);
    let header = Header {
        boot: moment.boot,
        wall: moment.wall.micros(),
    };
    // Writing into memory fails for want of memory only.
    let mut block = postcard::to_extend(&header, vec![VERSION]).ok()?;
    let empty = block.len();
    let pause = beside.pause.map(|pause| match pause {
        Pause::Since(since) => Record::Paused { since: from(since) },
        Pause::Over => Record::Resumed,
    });
    let records = changes
        .iter()
        .filter_map(|change| record(change, &passing, &from));
    let open = beside.open.map(|calls| Record::Open { calls });
    let defined = beside.defined.as_ref().map(definition_record);
    for record in records.chain(pause).chain(open).chain(defined) {
        block = postcard::to_extend(&record, block).ok()?;
    }
    (block.len() > empty).then_some(block)
}

fn definition_record<S>(defined: &Defined) -> Record<'_, S> {
    match defined {
        Defined::As(definition) => Record::Defined {
            alias: &definition.alias,
            number: definition.number,
            revision: definition.revision,
            settings: &definition.settings,
        },
        Defined::NoLonger => Record::Undefined,
    }
}

/// Events without an id that were queued and ended within these changes.
fn passing(changes: &[Change]) -> HashSet<u64> {
    let queued: HashSet<u64> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Queued(kept) if kept.content.id.is_none() => Some(kept.seq),
            _ => None,
        })
        .collect();
    let ended = changes.iter().filter_map(|change| match change {
        Change::Ended { seq, .. } => Some(*seq),
        _ => None,
    });
    ended.filter(|seq| queued.contains(seq)).collect()
}

fn record<'a>(
    change: &'a Change,
    passing: &HashSet<u64>,
    from: &impl Fn(Time) -> i64,
) -> Option<Record<'a, Option<Moments>>> {
    Some(match change {
        Change::Queued(kept) if passing.contains(&kept.seq) => return None,
        Change::Ended { seq, .. } if passing.contains(seq) => return None,
        Change::Packed { seqs, .. } if seqs.iter().all(|seq| passing.contains(seq)) => return None,
        Change::Queued(kept) => Record::Queued(event(kept, from)),
        Change::Ended { seq, fate } => match EndCode::of(fate) {
            Some(end) if fate.at.is_some() => Record::EndedAs { seq: *seq, end },
            _ => Record::Ended {
                seq: *seq,
                cancelled: fate.end == End::Cancelled,
            },
        },
        Change::Packed {
            n,
            text,
            seqs,
            slices: None,
        } => Record::Packed {
            n: *n,
            text,
            seqs: seqs.clone(),
        },
        Change::Packed {
            n,
            text,
            seqs,
            slices: Some(slices),
        } => Record::Sliced {
            n: *n,
            text,
            seqs: seqs.clone(),
            count: slices.count,
            since: from(slices.since),
        },
        Change::Returned { n } => Record::Returned { n: *n },
        Change::Dissolved { n } => Record::Dissolved { n: *n },
        Change::Remembered { id, until, fate } => match EndCode::of(fate) {
            Some(end) if fate.at.is_some() => Record::RememberedAs {
                id,
                until: from(*until),
                end,
            },
            _ => Record::Remembered {
                id,
                until: from(*until),
                cancelled: fate.end == End::Cancelled,
            },
        },
        Change::State(change) => Record::State(StateRecord::of(change, from)),
    })
}

fn event<'a>(kept: &'a QueuedEvent, from: &impl Fn(Time) -> i64) -> Event<'a, Option<Moments>> {
    Event {
        seq: kept.seq,
        place_seq: kept.place_seq,
        due: from(kept.due),
        deadline: from(kept.deadline),
        ttl_ms: kept.ttl_ms,
        dedup_until: kept.dedup_until.map(from),
        rises: Some(kept.rises)
            .filter(|rises| *rises != Time::NEVER)
            .map(from),
        scheduled: kept.scheduled.map(|scheduled| Moments {
            at: scheduled.at.micros(),
            accepted: from(scheduled.accepted),
            latest_at: scheduled.latest_at.map(Wall::micros),
            latest_accepted: from(scheduled.latest_accepted),
        }),
        sent: kept.sent,
        content: Words::of(&kept.content),
        level: kept.level.name(),
    }
}

/// What a block holds, in order.
pub(crate) fn decode(
    block: &[u8],
    reading: &Reading,
    mut each: impl FnMut(Entry),
) -> Result<(), Unreadable> {
    let (&version, rest) = block.split_first().ok_or(Unreadable::Empty)?;
    match version {
        FIRST_WITH_HEADER..=VERSION => {
            let (header, rest) = postcard::take_from_bytes::<Header>(rest)?;
            let age = reading.age(header);
            let time = |offset: i64| reading.time(age, offset);
            let scheduled = |event: &Event<'_, Option<Moments>>| {
                event.scheduled.map(|scheduled| Scheduled {
                    at: Wall::from_micros(scheduled.at),
                    accepted: time(scheduled.accepted),
                    latest_at: scheduled.latest_at.map(Wall::from_micros),
                    latest_accepted: time(scheduled.latest_accepted),
                })
            };
            records(rest, &time, &scheduled, &mut each)
        }
        WALL_TIMES => {
            let time = |wall: i64| Wall::from_micros(wall).time(reading.wall_origin);
            records(rest, &time, &scheduled_by_wall, &mut each)
        }
        other => Err(Unreadable::Version(other)),
    }
}

/// Of version 1: when the events were accepted is not known, but that they had an `at`.
fn scheduled_by_wall(event: &Event<'_, bool>) -> Option<Scheduled> {
    let ttl = i64::from(event.ttl_ms).saturating_mul(1000);
    let begins = event.deadline.saturating_sub(ttl);
    event.scheduled.then_some(Scheduled {
        at: Wall::from_micros(event.due),
        accepted: Time::ZERO,
        latest_at: Some(Wall::from_micros(begins)),
        latest_accepted: Time::ZERO,
    })
}

fn records<'a, S: Deserialize<'a>>(
    mut rest: &'a [u8],
    time: &impl Fn(i64) -> Time,
    scheduled: &impl Fn(&Event<'a, S>) -> Option<Scheduled>,
    each: &mut impl FnMut(Entry),
) -> Result<(), Unreadable> {
    while !rest.is_empty() {
        let (record, after) = postcard::take_from_bytes::<Record<'a, S>>(rest)?;
        each(entry(record, time, scheduled)?);
        rest = after;
    }
    Ok(())
}

fn entry<'a, S>(
    record: Record<'a, S>,
    time: &impl Fn(i64) -> Time,
    scheduled: &impl Fn(&Event<'a, S>) -> Option<Scheduled>,
) -> Result<Entry, Unreadable> {
    Ok(Entry::Change(match record {
        Record::Queued(event) => {
            let scheduled = scheduled(&event);
            Change::Queued(kept(&event, time, scheduled)?)
        }
        Record::Ended { seq, cancelled } => Change::Ended {
            seq,
            fate: fate_of(cancelled),
        },
        Record::EndedAs { seq, end } => Change::Ended {
            seq,
            fate: end.fate()?,
        },
        Record::Packed { n, text, seqs } => Change::Packed {
            n,
            text: text.into(),
            seqs,
            slices: None,
        },
        Record::Sliced {
            n,
            text,
            seqs,
            count,
            since,
        } => Change::Packed {
            n,
            text: text.into(),
            seqs,
            slices: Some(Slices {
                count,
                since: time(since),
            }),
        },
        Record::Returned { n } => Change::Returned { n },
        Record::Dissolved { n } => Change::Dissolved { n },
        Record::Remembered {
            id,
            until,
            cancelled,
        } => Change::Remembered {
            id: id.into(),
            until: time(until),
            fate: fate_of(cancelled),
        },
        Record::RememberedAs { id, until, end } => Change::Remembered {
            id: id.into(),
            until: time(until),
            fate: end.fate()?,
        },
        Record::State(change) => Change::State(change.change(time)?),
        Record::Paused { since } => return Ok(Entry::Pause(Pause::Since(time(since)))),
        Record::Resumed => return Ok(Entry::Pause(Pause::Over)),
        Record::Open { calls } => return Ok(Entry::Open(calls)),
        Record::Defined {
            alias,
            number,
            revision,
            settings,
        } => {
            let definition = Definition {
                alias: alias.into(),
                number,
                revision,
                settings: settings.into(),
            };
            return Ok(Entry::Defined(Defined::As(Arc::new(definition))));
        }
        Record::Undefined => return Ok(Entry::Defined(Defined::NoLonger)),
    }))
}

/// The end of an event that nobody can ask for, or that an older program wrote: only a cancellation
/// is told apart.
const fn fate_of(cancelled: bool) -> Fate {
    Fate::of(if cancelled {
        End::Cancelled
    } else {
        End::Delivered
    })
}

fn kept<S>(
    event: &Event<'_, S>,
    time: &impl Fn(i64) -> Time,
    scheduled: Option<Scheduled>,
) -> Result<QueuedEvent, Unreadable> {
    Ok(QueuedEvent {
        seq: event.seq,
        place_seq: event.place_seq,
        due: time(event.due),
        deadline: time(event.deadline),
        ttl_ms: event.ttl_ms,
        dedup_until: event.dedup_until.map(time),
        rises: event.rises.map_or(Time::NEVER, time),
        scheduled,
        sent: event.sent,
        content: event.content.content()?,
        level: priority(event.level)?,
    })
}

fn priority(name: &str) -> Result<Priority, Unreadable> {
    Priority::from_name(name).ok_or(Unreadable::Word)
}

#[cfg(test)]
mod tests;
