//! The queue against the rules of the surface: scripts as data, run by one `check`.
//!
//! Payloads are mostly looked at through the `array` envelope: their text is then the order.

mod bounds;
mod compressed;
mod cost;
mod dedup;
mod keyframes;
mod lateness;
mod listing;
mod memory;
mod merging;
mod model;
mod ordering;
mod payloads;
mod policies;
mod public_state;
mod receipts;
mod recovery;
mod reference;
mod settling;
mod shares;
mod slices;
mod torn;
mod varied;
mod wall_clock;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::item::{Item, Stage};
use super::{Admission, Cancelled, End, Fate, PayloadId, Queue, Refusal};
use crate::call::{Demand, Health, Outcome};
use crate::envelope::Envelope;
use crate::event::{Data, Event, Priority, Producer};
use crate::merge::Merge;
use crate::policy::ChannelPolicy;
use crate::time::{Span, Time, Wall};

/// One step of a script. Times are in ms.
#[derive(Clone, Debug)]
enum Step {
    /// It is that late now.
    Now(u64),
    Put(Event),
    Duplicate(Event),
    Refuse(Event, Refusal),
    /// The next payload has this text.
    Take(&'static str),
    /// There is no payload.
    Nothing,
    /// The call of the payload taken last ended so.
    Settle(Outcome),
    /// The call of the payload taken as the nth, from 0, ended so.
    SettleNth(usize, Outcome),
    Cancel(&'static str, Cancelled),
    /// By type and key; so many were taken back.
    Purge(Option<&'static str>, Option<&'static str>, usize),
    /// The waiters told since this was last asked.
    Ends(Vec<(u64, End)>),
    ChannelCondition(Health, u64, u64),
    Policy(ChannelPolicy, usize),
    /// The wall clock is set: it was so many ms at 0.
    WallOrigin(i64),
    /// Events and bytes queued.
    Holds(usize, usize),
    /// `ready_at`, `oldest` and `full`.
    Wants(Option<(u64, u64, bool)>),
    Timer(Option<u64>),
}

use Step::*;

fn ms(at: u64) -> Time {
    Time::from_micros(at * 1000)
}

/// The wall clock that was 0 at [`Time::ZERO`].
fn wall(time: Time) -> Wall {
    Wall::from_micros(i64::try_from(time.micros()).expect("a moment of a test"))
}

fn array() -> ChannelPolicy {
    ChannelPolicy {
        envelope: Envelope::Array,
        ..ChannelPolicy::default()
    }
}

fn event(data: &str) -> Event {
    Event::new(Data::Json(data.into()))
}

/// Builds events in one line.
trait Say: Sized {
    fn say(self, change: impl FnOnce(&mut Event)) -> Self;
    fn key(self, key: &str) -> Self {
        self.say(|event| event.content.key = Some(key.into()))
    }
    fn id(self, id: &str) -> Self {
        self.say(|event| event.content.id = Some(id.into()))
    }
    fn kind(self, kind: &str) -> Self {
        self.say(|event| event.content.kind = Some(kind.into()))
    }
    fn merge(self, merge: Merge) -> Self {
        self.say(|event| event.content.merge = Some(merge))
    }
    fn priority(self, priority: Priority) -> Self {
        self.say(|event| event.content.priority = priority)
    }
    fn low(self) -> Self {
        self.priority(Priority::Low)
    }
    fn high(self) -> Self {
        self.priority(Priority::High)
    }
    fn ttl(self, ttl_ms: u32) -> Self {
        self.say(|event| event.ttl_ms = Some(ttl_ms))
    }
    fn at(self, at_ms: u64) -> Self {
        self.say(|event| event.at = Some(wall(ms(at_ms))))
    }
    /// Sent by this producer, which may hold so many percent.
    fn by(self, id: u32, percent: u8) -> Self {
        let id = NonZeroU32::new(id).expect("not 0");
        self.say(|event| event.producer = Some(Producer { id, percent }))
    }
    fn waiter(self, waiter: u64) -> Self {
        self.say(|event| event.waiter = waiter)
    }
}

impl Say for Event {
    fn say(mut self, change: impl FnOnce(&mut Event)) -> Self {
        change(&mut self);
        self
    }
}

/// A queue under a script.
struct Run {
    queue: Queue,
    now: Time,
    taken: Vec<PayloadId>,
}

impl Run {
    fn new(policy: ChannelPolicy, payload_max: usize) -> Self {
        Self {
            queue: Queue::new(Arc::new(policy), payload_max, 100, Span::from_millis(200)),
            now: ms(1000),
            taken: Vec::new(),
        }
    }

    fn balanced(&mut self) {
        let ledger = self.queue.ledger();
        assert_eq!(
            ledger.entered(),
            ledger.ended() + self.queue.len() as u64,
            "{ledger:?}"
        );
        let mut held: HashMap<NonZeroU32, (usize, usize)> = HashMap::new();
        for (_, item) in self.queue.order.items.iter() {
            if let Some(producer) = item.producer {
                let held = held.entry(producer).or_default();
                *held = (held.0 + 1, held.1 + item.content.bytes());
            }
        }
        for (producer, held) in held {
            assert_eq!(self.queue.shares.held(producer), held, "{producer}");
            let items = &self.queue.order.items;
            let mut line = self.queue.shares.line(producer, items);
            line.sort_unstable();
            let its = |item: &Item| item.producer == Some(producer) && item.stage != Stage::Packed;
            let waiting = items.iter().filter(|(_, item)| its(item));
            let waiting: Vec<u32> = waiting.map(|(index, _)| index).collect();
            assert_eq!(line, waiting, "{producer}");
        }
    }

    fn step(&mut self, step: Step) {
        let (queue, now) = (&mut self.queue, self.now);
        match step {
            Now(at) => self.now = ms(at),
            Put(event) => assert_eq!(queue.accept(now, event), Ok(Admission::Accepted)),
            Duplicate(event) => assert_eq!(queue.accept(now, event), Ok(Admission::Duplicate)),
            Refuse(event, refusal) => {
                let before = (queue.len(), queue.ledger().clone());
                assert_eq!(queue.accept(now, event), Err(refusal));
                assert_eq!((queue.len(), queue.ledger().clone()), before, "a refusal");
            }
            Take(text) => {
                let payload = queue.take(now).expect("a payload");
                assert_eq!(&*payload.text, text);
                self.taken.push(payload.id);
            }
            Nothing => assert_eq!(queue.take(now), None),
            Settle(outcome) => {
                queue.settle(now, *self.taken.last().expect("a payload"), outcome);
            }
            SettleNth(nth, outcome) => {
                queue.settle(now, self.taken[nth], outcome);
            }
            Cancel(id, expected) => assert_eq!(queue.cancel(now, id), expected),
            Purge(kind, key, count) => assert_eq!(queue.purge(now, kind, key), count),
            Ends(expected) => {
                queue.demand(now);
                let ended: Vec<_> = queue
                    .take_ended()
                    .iter()
                    .map(|ended| (ended.waiter, ended.end))
                    .collect();
                assert_eq!(ended, expected);
            }
            ChannelCondition(health, next_call, interval) => {
                queue.set_condition(crate::call::ChannelCondition {
                    health,
                    entry: crate::call::Entry::ProbeFrom(ms(next_call)),
                    next_call: ms(next_call),
                    interval: Span::from_millis(interval),
                });
            }
            Policy(policy, payload_max) => queue.set_policy(Arc::new(policy), payload_max),
            WallOrigin(ms) => {
                queue.set_wall_origin(now, Wall::from_micros(ms * 1000));
            }
            Holds(events, bytes) => {
                let depth = queue.depth(now);
                assert_eq!((depth.events, depth.bytes), (events, bytes));
            }
            Wants(expected) => {
                let expected = expected.map(|(ready_at, oldest, full)| Demand {
                    ready_at: ms(ready_at),
                    oldest: ms(oldest),
                    full,
                });
                assert_eq!(queue.demand(now), expected);
            }
            Timer(expected) => {
                queue.demand(now);
                assert_eq!(queue.timer(), expected.map(ms));
            }
        }
        self.balanced();
    }
}

/// Runs a script on a queue that starts at 1,000 ms with n = 100.
fn check_with(name: &str, policy: ChannelPolicy, payload_max: usize, steps: Vec<Step>) -> Queue {
    let mut run = Run::new(policy, payload_max);
    for (index, step) in steps.into_iter().enumerate() {
        let label = format!("{name}, step {index}: {step:?}");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.step(step)));
        assert!(result.is_ok(), "failed: {label}");
    }
    run.queue
}

/// The same with the `array` envelope and payloads of 1,024 bytes.
fn check(name: &str, steps: Vec<Step>) -> Queue {
    check_with(name, array(), 1024, steps)
}
