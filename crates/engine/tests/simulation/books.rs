//! The books of every event and every payload, kept apart from the queue's own: payloads
//! that parse, order, one end for each, and nothing under two numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use engine::{End, Ended, Ledger, Queue, Reader, Span, Time, Wall};
use serde_json::value::RawValue;

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = (
            usize::try_from(number / 64).expect("small"),
            1 << (number % 64),
        );
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    fn remove(&mut self, number: u64) {
        let word = self.0.get_mut(usize::try_from(number / 64).expect("small"));
        if let Some(word) = word {
            *word &= !(1 << (number % 64));
        }
    }

    fn has(&self, number: u64) -> bool {
        let word = self.0.get(usize::try_from(number / 64).expect("small"));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// A payload on its way out.
#[derive(Clone, Copy)]
pub struct Taken<'a> {
    pub n: u64,
    pub text: &'a str,
    pub events: usize,
}

/// What every event's data says of it: key, number, and when it may leave, in µs.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    /// 0: no key.
    key: u64,
    seq: u64,
    due: u64,
    deadline: u64,
}

/// When an event with an `at` is due by the clock of its acceptance, and how long it lives.
pub struct Appointment {
    pub due: Time,
    pub ttl: Span,
    pub merges: bool,
}

/// An event that waits for a moment of the wall clock: when it may leave, as the clock was last
/// set before it was first sent.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    at: Wall,
    accepted: Time,
    ttl: Span,
    /// It may have merged into another, with which it moves.
    merges: bool,
    due: Time,
    deadline: Time,
    sent: bool,
}

enum Shown {
    Event(Stamp),
    Count(u64),
}

#[derive(serde::Deserialize)]
struct Cue<'a> {
    v: u8,
    n: u64,
    #[serde(borrow)]
    e: Vec<Item<'a>>,
}

#[derive(serde::Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    d: &'a RawValue,
}

/// Parses any payload, or fails the run. Nothing: a slice that is not the last.
fn parse(reader: &mut Reader, taken: Taken<'_>) -> Vec<Shown> {
    let Some(text) = reader.read(taken.text) else {
        return Vec::new();
    };
    let taken = Taken {
        text: &text,
        ..taken
    };
    let bad = |error: serde_json::Error| -> ! { panic!("{error}: {}", taken.text) };
    let data: Vec<&RawValue> = if taken.text.starts_with("{\"v\"") {
        let cue: Cue<'_> = serde_json::from_str(taken.text).unwrap_or_else(|error| bad(error));
        assert_eq!((cue.v, cue.n), (1, taken.n), "{}", taken.text);
        cue.e.iter().map(|item| item.d).collect()
    } else if taken.text.starts_with('[') && taken.text.ends_with("\"]") {
        // `raw`: the event's own data, whose last member is a string.
        vec![serde_json::from_str(taken.text).unwrap_or_else(|error| bad(error))]
    } else {
        serde_json::from_str(taken.text).unwrap_or_else(|error| bad(error))
    };
    let shown = |data: &&RawValue| {
        if data.get().starts_with('[') {
            let (key, seq, due, deadline, _): (u64, u64, u64, u64, &str) =
                serde_json::from_str(data.get()).unwrap_or_else(|error| bad(error));
            Shown::Event(Stamp {
                key,
                seq,
                due,
                deadline,
            })
        } else {
            Shown::Count(data.get().parse().expect("a count"))
        }
    };
    let items: Vec<Shown> = data.iter().map(shown).collect();
    assert_eq!(items.len(), taken.events, "{}", taken.text);
    items
}

fn is_slice(taken: Taken<'_>) -> bool {
    taken.text.starts_with("~2")
}

/// The events of one channel: what came in, what showed, and how each ended.
#[derive(Debug, Default)]
pub struct Books {
    /// Slices that left, and those that a player has.
    sent: Reader,
    read: Reader,
    /// How many slices left.
    pub slices: u64,
    accepted: Bits,
    pub accepted_count: u64,
    ended: Bits,
    ended_count: u64,
    /// The ledgers of its queues before this one.
    pub retired: Ledger,
    /// Events were recovered from torn records: the ends of these are not told to anybody.
    is_torn: bool,
    /// Those events: some have showed under a number of which no record was left.
    repeatable: Bits,
    /// What queues had that nobody has since their process was killed.
    pub lost: u64,
    counts: Bits,
    pub counts_accepted: u64,
    pub counts_shown: u64,
    shown: Bits,
    /// The last number that showed, by key.
    last: HashMap<u64, u64>,
    /// Payload numbers that showed, the recent ones.
    shown_n: BTreeSet<u64>,
    newest_n: u64,
    /// Those with an `at` that were accepted and have not ended.
    waiting: BTreeMap<u64, Waiting>,
    /// How many of them had another place after the clock was set.
    pub moved: u64,
}

impl Books {
    pub fn accepted(&mut self, seq: u64, is_count: bool) {
        assert!(self.accepted.insert(seq));
        self.accepted_count += 1;
        if is_count {
            self.counts.insert(seq);
            self.counts_accepted += 1;
        }
    }

    /// An accepted event has an `at`.
    pub fn waits(&mut self, seq: u64, at: Wall, accepted: Time, event: &Appointment) {
        let waiting = Waiting {
            at,
            accepted,
            ttl: event.ttl,
            merges: event.merges,
            due: event.due,
            deadline: event.due + event.ttl,
            sent: false,
        };
        self.waiting.insert(seq, waiting);
    }

    /// What is still to come, by the clock before or by this one, has its place by this one.
    pub fn clock_is_set(&mut self, now: Time, origin: Wall) {
        for waiting in self.waiting.values_mut().filter(|waiting| !waiting.sent) {
            let due = waiting.at.time(origin).max(waiting.accepted);
            if due != waiting.due && due.max(waiting.due) > now {
                waiting.due = due;
                waiting.deadline = due + waiting.ttl;
                self.moved += 1;
            } else if waiting.merges {
                waiting.deadline = waiting.deadline.max(due + waiting.ttl);
            }
        }
    }

    /// An event came to its end: its first and only one.
    pub fn ended(&mut self, ended: Ended) {
        let seq = ended.waiter - 1;
        assert!(self.accepted.has(seq), "{ended:?} was never accepted");
        assert!(self.ended.insert(seq), "{ended:?} ended twice");
        self.ended_count += 1;
        self.waiting.remove(&seq);
        if ended.end == End::Delivered && !self.counts.has(seq) {
            assert!(self.shown.has(seq), "{ended:?} never showed");
        }
    }

    /// Invariant 8, with the queue counted on its own and the books kept twice.
    pub fn balance(&self, queue: &Queue) {
        let (mut ledger, queued) = (self.retired.clone(), queue.len() as u64);
        ledger += queue.ledger();
        let left = queued + self.lost;
        assert_eq!(ledger.entered(), ledger.ended() + left, "{ledger:?}");
        assert_eq!(ledger.accepted, self.accepted_count, "{ledger:?}");
        let is_told = ledger.ended() == self.ended_count;
        assert!(is_told || self.is_torn, "{ledger:?}");
    }

    /// The queue is forgotten, empty as it is.
    pub fn retire(&mut self, queue: &Queue) {
        assert!(queue.is_empty());
        self.retired += queue.ledger();
    }

    /// The process was killed: what the next one does not have never ends. Numbers go on growing.
    pub fn killed(&mut self, before: &Queue, after: &Queue) {
        self.retired += before.ledger();
        self.lost += before.len() as u64;
        assert!(after.next_n() > self.newest_n, "{}", self.newest_n);
    }

    /// Records of these events were found, and not all that came after them: one may have ended already, and
    /// ends again. Nobody waits for its end any more.
    pub fn recovered<'a>(&mut self, events: impl IntoIterator<Item = &'a str>) {
        self.is_torn = true;
        self.last.clear();
        for data in events {
            let stamp: Result<(u64, u64, u64, u64, &str), _> = serde_json::from_str(data);
            if let Ok((_, seq, ..)) = stamp {
                assert!(self.accepted.has(seq), "{data} was never accepted");
                self.ended.remove(seq);
                self.repeatable.insert(seq);
            }
        }
    }

    /// Invariant 3, growing numbers, and nothing early or late.
    pub fn taken(&mut self, now: Time, limit: usize, taken: Taken<'_>) {
        if taken.n <= self.newest_n {
            return;
        }
        self.newest_n = taken.n;
        assert!(
            !taken.text.is_empty() && taken.text.len() <= limit,
            "{} bytes",
            taken.text.len()
        );
        self.slices += u64::from(is_slice(taken));
        for shown in parse(&mut self.sent, taken) {
            if let Shown::Event(stamp) = shown {
                let Stamp {
                    seq,
                    mut due,
                    mut deadline,
                    ..
                } = stamp;
                if let Some(waiting) = self.waiting.get_mut(&seq) {
                    waiting.sent = true;
                    (due, deadline) = (waiting.due.micros(), waiting.deadline.micros());
                }
                assert!(
                    self.accepted.has(seq) && !self.ended.has(seq),
                    "{stamp:?} left"
                );
                // That of slices is decided with the first.
                let is_over = now.micros() >= deadline && !is_slice(taken);
                assert!(due <= now.micros() && !is_over, "{now}: {stamp:?}");
            }
        }
    }

    /// The API took a payload. Invariant 6, as a player sees it that drops numbers it saw;
    /// one that came to its end before it showed is out of order by its nature.
    pub fn applied(&mut self, taken: Taken<'_>, live: bool) {
        if !self.shown_n.insert(taken.n) {
            return;
        }
        while self.shown_n.len() > 1024 {
            self.shown_n.pop_first();
        }
        for shown in parse(&mut self.read, taken) {
            match shown {
                Shown::Count(count) => self.counts_shown += count,
                Shown::Event(stamp) => {
                    let Stamp { key, seq, .. } = stamp;
                    let is_new = self.shown.insert(seq);
                    if !is_new && (is_slice(taken) || self.repeatable.has(seq)) {
                        // The stream ended while nobody knew of the last slice, or no record was left of the
                        // payload that showed it.
                        continue;
                    }
                    assert!(
                        is_new,
                        "{stamp:?} under two numbers, the second {}",
                        taken.n
                    );
                    if live && key > 0 {
                        let last = self.last.insert(key, seq);
                        assert!(
                            last.is_none_or(|last| last < seq),
                            "{stamp:?} after {last:?}"
                        );
                    }
                }
            }
        }
    }

    /// At the end of a run nothing is left without an end.
    pub fn closed(&self) {
        let ended = self.ended_count + self.lost;
        let all_ended = self.accepted_count == ended;
        assert!(all_ended || self.is_torn, "events without an end");
    }
}
