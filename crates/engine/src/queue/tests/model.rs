//! The queue against a naive reference under random operations.
//!
//! A failure names its seed; `CUEGATE_QUEUE_SEED` runs that one alone, with every operation.

mod crash;

use crash::Journal;

use super::reference::Reference;
use super::*;
use crate::call::{ChannelCondition, Entry, Rejection, ThrottleScope};
use crate::envelope::EnvelopeFields;
use crate::policy::{Compress, Keyframes, Offline, OnUnknown, Overflow};
use crate::queue::{Ledger, Replaced};

/// `SplitMix64` (Steele, Lea and Flood, 2014): all that a test needs of randomness.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")].clone()
    }

    fn size(&mut self, of: std::ops::Range<u64>) -> usize {
        usize::try_from(of.start + self.below(of.end - of.start)).expect("small")
    }
}

/// `compress`: about half of the policies of the envelope `cue` do.
fn policy(random: &mut Random, compress: bool) -> ChannelPolicy {
    // Either the window or the number bounds what is remembered, not both at a time.
    let by_time = random.chance(50);
    ChannelPolicy {
        envelope: random.pick(&[Envelope::Cue, Envelope::Cue, Envelope::Array, Envelope::Raw]),
        fields: EnvelopeFields {
            kind: random.chance(50),
            key: random.chance(50),
            id: random.chance(50),
        },
        compress: if compress {
            random.pick(&[Compress::Off, Compress::Deflate, Compress::Deflate])
        } else {
            Compress::Off
        },
        event_max_bytes: 0,
        keyframes: Keyframes::default(),
        ttl_ms: random.pick(&[50, 500, 10_000]),
        queue_max_events: random.size(1..60),
        queue_max_bytes: random.size(50..3000),
        overflow: random.pick(&[
            Overflow::DropLowestPriority,
            Overflow::Reject,
            Overflow::DropOldest,
        ]),
        offline: random.pick(&[Offline::Hold, Offline::Hold, Offline::Drop, Offline::Reject]),
        on_unknown: random.pick(&[OnUnknown::Retry, OnUnknown::Drop]),
        dedup_window: Span::from_millis(if by_time {
            random.pick(&[20, 300])
        } else {
            1 << 40
        }),
        dedup_max_ids: if by_time { 1 << 30 } else { random.size(0..20) },
        lookahead: random.size(0..3),
    }
}

fn payload_max(random: &mut Random) -> usize {
    random.pick(&[70, 100, 100, 200, 1024])
}

fn some_event(random: &mut Random, now: Time, origin: Wall, waiter: u64) -> Event {
    let merge = random.pick(&[
        None,
        None,
        Some(Merge::Replace),
        Some(Merge::Sum),
        Some(Merge::Max),
        Some(Merge::Min),
        Some(Merge::Patch),
    ]);
    let number = random.below(40).to_string();
    let data = match random.below(10) {
        0 => format!(r#"{{"{}":{number}}}"#, random.pick(&["a", "b", "é"])),
        1 => format!("\"{}\"", "x".repeat(random.size(0..90))),
        2 => format!(r#""\n{number}\"""#),
        3 => format!(r#"{{"a":null,"b":{{"c":{number}}}}}"#),
        4 if random.chance(30) => format!("\"{}\"", "y".repeat(random.size(480..1030))),
        _ => number,
    };
    let mut event = event(&data).waiter(waiter);
    if random.chance(4) {
        event = Event::new(Data::Verbatim(data.into())).waiter(waiter);
    } else if merge.is_some() || random.chance(30) {
        event = event.key(random.pick(&["k", "l", "m\""]));
        event.content.merge = merge;
    }
    if random.chance(30) {
        event = event.id(&format!("i{}", random.below(30)));
    }
    if random.chance(30) {
        event = event.kind(random.pick(&["t", "u\t"]));
    }
    event.content.priority = random.pick(&[
        Priority::Low,
        Priority::Normal,
        Priority::Normal,
        Priority::High,
    ]);
    if random.chance(40) {
        event = event.ttl(random.pick(&[1, 20, 100, 400, 2000]));
    }
    if random.chance(20) {
        let ahead = Span::from_millis(random.below(500));
        let at = if random.chance(20) {
            now - ahead
        } else {
            now + ahead
        };
        event.at = Some(Wall::from_micros(wall(at).micros() + origin.micros()));
    }
    event
}

struct Pair {
    random: Random,
    queue: Queue,
    model: Reference,
    now: Time,
    /// The wall clock at 0.
    origin: Wall,
    /// Payloads taken, by n, and whether their call is in flight. Those that a crash has left
    /// have no call that could end.
    calls: Vec<(u64, Option<PayloadId>, bool)>,
    in_flight_max: usize,
    waiter: u64,
    /// Some policies compress.
    compress: bool,
    /// Payloads that left compressed.
    compressed: u64,
    verbose: bool,
    /// Batches of which one event was refused.
    taken_back: u64,
    /// Queued events that another took the place of.
    replaced: u64,
    /// What was recorded, in runs with crashes.
    journal: Option<Journal>,
    /// The books of the queues before the last crash.
    before: Ledger,
}

impl Pair {
    fn new(seed: u64, verbose: bool) -> Self {
        let mut random = Random(seed);
        let compress = seed.is_multiple_of(3);
        let policy = Arc::new(policy(&mut random, compress));
        let payload_max = payload_max(&mut random);
        let link = ChannelCondition {
            health: Health::Live,
            entry: Entry::Open,
            next_call: Time::ZERO,
            interval: Span::from_millis(10),
        };
        let n = random.pick(&[1, 1_800_000_000_000, (1 << 53) - 10_000]);
        let mut queue = Queue::new(Arc::clone(&policy), payload_max, n, link.interval);
        queue.set_condition(link);
        let journal = (seed % 2 == 1).then(|| {
            queue.keep_changes();
            Journal::default()
        });
        Self {
            model: Reference::new(policy, payload_max, n, link),
            queue,
            now: ms(1000),
            origin: Wall::default(),
            calls: Vec::new(),
            in_flight_max: random.size(1..4),
            journal,
            before: Ledger::default(),
            waiter: 0,
            compress,
            compressed: 0,
            verbose,
            taken_back: 0,
            replaced: 0,
            random,
        }
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.verbose {
            println!("{} {what}", self.now);
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..46 => self.accept(),
            46..50 => self.accept_all(),
            50..65 => self.take(),
            65..80 => self.settle(),
            80..86 => {
                let id = format!("i{}", self.random.below(30));
                let answer = self.queue.cancel(self.now, &id);
                self.say(format_args!("cancel {id}: {answer:?}"));
                assert_eq!(answer, self.model.cancel(self.now, &id), "cancel {id}");
            }
            86..89 => self.replace(),
            89 => {
                let kind = self.random.pick(&[None, Some("t")]);
                let key = self.random.pick(&[None, Some("k"), Some("l")]);
                let count = self.queue.purge(self.now, kind, key);
                self.say(format_args!("purge {kind:?} {key:?}: {count}"));
                assert_eq!(count, self.model.purge(self.now, kind, key), "purge");
            }
            90..96 => {
                let micros = self.random.pick(&[1, 1000, 20_000, 100_000, 400_000]);
                self.now += Span::from_micros(1 + self.random.below(micros));
            }
            96..98 => {
                let from = self.now + Span::from_millis(self.random.below(300));
                let link = ChannelCondition {
                    entry: self.random.pick(&[Entry::Open, Entry::ProbeFrom(from)]),
                    health: self
                        .random
                        .pick(&[Health::Live, Health::Failing, Health::Offline]),
                    next_call: self.now + Span::from_millis(self.random.below(300)),
                    interval: Span::from_millis(self.random.pick(&[0, 10, 200])),
                };
                self.queue.set_condition(link);
                self.model.link = link;
            }
            98 => self.journal_step(),
            _ if self.random.chance(60) => {
                let mut policy = policy(&mut self.random, self.compress);
                let limit = payload_max(&mut self.random);
                // What is remembered by number alone and by time alone does not mix.
                policy.dedup_window = self.model.policy.dedup_window;
                policy.dedup_max_ids = self.model.policy.dedup_max_ids;
                if self.journal.is_some() {
                    // Nor what a crash does to payloads that went out under the other rule.
                    policy.on_unknown = self.model.policy.on_unknown;
                }
                let policy = Arc::new(policy);
                self.say(format_args!("policy {policy:?} {limit}"));
                self.queue.set_policy(Arc::clone(&policy), limit);
                (self.model.policy, self.model.payload_max) = (policy, limit);
            }
            _ => self.set_wall_clock(),
        }
        self.compare();
    }

    fn set_wall_clock(&mut self) {
        let micros = self.random.below(1_200_000).cast_signed() - 600_000;
        self.origin = Wall::from_micros(self.origin.micros() + micros);
        self.say(format_args!("the wall clock is set by {micros} µs"));
        self.queue.set_wall_origin(self.now, self.origin);
        self.model.set_wall_origin(self.now, self.origin);
        self.write_anew();
    }

    fn accept(&mut self) {
        self.waiter += 1;
        let event = some_event(&mut self.random, self.now, self.origin, self.waiter);
        self.say(format_args!("accept {event:?}"));
        let answer = self.queue.accept(self.now, event.clone());
        assert_eq!(answer, self.model.accept(self.now, event), "accept");
    }

    /// Another event for one of the same id, which may be queued.
    fn replace(&mut self) {
        self.waiter += 1;
        let mut event = some_event(&mut self.random, self.now, self.origin, self.waiter);
        event.content.id = Some(format!("i{}", self.random.below(30)).into());
        self.say(format_args!("replace {event:?}"));
        self.model.advance(self.now);
        self.queue.demand(self.now);
        let before = self.queue.snapshot();
        let answer = self.queue.replace(self.now, event.clone());
        assert_eq!(answer, self.model.replace(self.now, event), "replace");
        match answer {
            Ok(Replaced::Replaced) => self.replaced += 1,
            Ok(Replaced::Accepted) => {}
            Ok(Replaced::Gone) | Err(_) => {
                assert_eq!(self.queue.snapshot(), before, "nothing changed");
            }
        }
    }

    /// Some events, all or none.
    fn accept_all(&mut self) {
        let mut events = Vec::new();
        for _ in 0..=self.random.below(5) {
            self.waiter += 1;
            let (random, now, origin) = (&mut self.random, self.now, self.origin);
            events.push(some_event(random, now, origin, self.waiter));
        }
        self.say(format_args!("accept all or none of {events:?}"));
        self.model.advance(self.now);
        let mut trial = self.model.clone();
        trial.trying = true;
        trial.shut = !trial.lets_through(self.now, &[]);
        let expected: Result<Vec<_>, _> = events
            .iter()
            .map(|event| trial.accept(self.now, event.clone()))
            .collect();
        if expected.is_ok() {
            self.model = trial;
            self.model.trying = false;
        }
        self.queue.begin(self.now);
        let before = self.queue.snapshot();
        let answer: Result<Vec<_>, _> = events
            .into_iter()
            .map(|event| self.queue.accept(self.now, event))
            .collect();
        assert_eq!(answer, expected, "all or none");
        if answer.is_ok() {
            self.queue.commit();
        } else {
            self.queue.roll_back();
            assert_eq!(self.queue.snapshot(), before, "taken back");
            self.taken_back += 1;
        }
    }

    fn take(&mut self) {
        if self
            .calls
            .iter()
            .filter(|(.., in_flight)| *in_flight)
            .count()
            >= self.in_flight_max
        {
            return;
        }
        let payload = self.queue.take(self.now);
        self.say(format_args!("take {payload:?}"));
        let text = payload.as_ref().map(|payload| &*payload.text);
        let expected = self.model.take(self.now, text);
        assert_eq!(
            payload
                .as_ref()
                .map(|payload| (payload.n, payload.text.to_string())),
            expected
        );
        let Some(payload) = payload else { return };
        // One that goes again keeps its text, whatever the limit has become.
        let again = self.calls.iter().any(|(n, ..)| *n == payload.n);
        assert!(again || payload.text.len() <= self.queue.payload_max());
        assert!(!payload.text.is_empty());
        let plain = crate::form::decode(&payload.text);
        self.compressed += u64::from(plain.is_ok());
        let plain_bytes = plain.map_or(payload.text.len(), |plain| plain.len());
        assert_eq!(payload.plain_bytes, plain_bytes);
        self.calls.retain(|(n, ..)| *n != payload.n);
        self.calls.push((payload.n, Some(payload.id), true));
    }

    fn settle(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = self.random.size(0..self.calls.len() as u64);
        let (n, Some(id), in_flight) = self.calls[at] else {
            return;
        };
        // Of a call that is not in flight only the late answer can be told.
        let outcome = if in_flight {
            self.random.pick(&[
                Outcome::Delivered,
                Outcome::Delivered,
                Outcome::Delivered,
                Outcome::Throttled(ThrottleScope::Channel),
                Outcome::Failed,
                Outcome::Unknown,
                Outcome::Offline,
                Outcome::TooLarge,
                Outcome::Rejected(Rejection::Validation),
            ])
        } else if self.random.chance(20) {
            Outcome::Delivered
        } else {
            return;
        };
        self.say(format_args!("settle {n} {outcome:?}"));
        self.calls[at].2 = false;
        self.queue.settle(self.now, id, outcome);
        self.model.settle(self.now, n, outcome);
    }

    fn compare(&mut self) {
        let now = self.now;
        self.model.advance(now);
        let demand = self.queue.demand(now);
        let depth = self.queue.depth(now);
        assert_eq!(
            (depth.events, depth.bytes),
            (self.model.len(), self.model.bytes()),
            "depth"
        );
        let mut books = self.before.clone();
        books += self.queue.ledger();
        books.recovered = 0;
        assert_eq!(books, self.model.ledger, "ledger");
        let own = self.queue.ledger();
        assert_eq!(own.entered(), own.ended() + self.queue.len() as u64);
        assert_eq!(self.queue.has_dead(), !self.model.dead.is_empty());
        assert_eq!(
            self.queue.take_dead(),
            std::mem::take(&mut self.model.dead),
            "dead letters"
        );
        assert_eq!(self.queue.payload_max(), self.model.payload_max, "limit");
        assert_eq!(
            self.model.ledger.entered(),
            self.model.ledger.ended() + self.model.len() as u64
        );
        let ended: Vec<_> = self
            .queue
            .take_ended()
            .iter()
            .map(|ended| (ended.waiter, ended.end))
            .collect();
        assert_eq!(ended, std::mem::take(&mut self.model.ended), "ends");
        let id = format!("i{}", self.random.below(30));
        let state = self.queue.state_of(now, &id);
        assert_eq!(state, self.model.state_of(now, &id), "state of {id}");
        if self.model.outs.iter().any(|out| out.again) {
            assert!(
                demand.is_some_and(|demand| demand.full),
                "a payload goes again"
            );
        } else if self.model.outs.is_empty() {
            assert_eq!(
                demand.map(|demand| demand.oldest),
                self.model.oldest(now),
                "oldest"
            );
            if let Some(demand) = demand {
                assert_eq!(demand.full, self.model.full(now), "full");
            }
        }
    }
}

fn run(seed: u64, steps: u64, verbose: bool) -> Pair {
    let mut pair = Pair::new(seed, verbose);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            pair.step();
        }
    }));
    assert!(result.is_ok(), "failed: CUEGATE_QUEUE_SEED={seed}");
    pair
}

#[test]
fn behaves_as_the_naive_queue_does() {
    if let Ok(seed) = std::env::var("CUEGATE_QUEUE_SEED") {
        run(seed.parse().expect("a number"), 2000, true);
        return;
    }
    // Unoptimised, a tenth of it has to do.
    let seeds = if cfg!(debug_assertions) { 60 } else { 600 };
    let mut sum = Ledger::default();
    let (mut crashes, mut taken_back, mut replaced, mut compressed) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let pair = run(seed, 2000, false);
        sum += &pair.model.ledger;
        taken_back += pair.taken_back;
        replaced += pair.replaced;
        compressed += pair.compressed;
        crashes += pair.journal.map_or(0, |journal| journal.crashes);
    }
    assert!(crashes > 4 * seeds, "crashes: {crashes} in {seeds} runs");
    assert!(taken_back > 4 * seeds, "{taken_back} in {seeds} runs");
    assert!(replaced > 4 * seeds, "{replaced} in {seeds} runs");
    assert!(compressed > 4 * seeds, "{compressed} in {seeds} runs");
    // Every way to end was taken: the test tests something.
    for (count, what) in [
        (sum.delivered, "delivered"),
        (sum.merged, "merged"),
        (sum.expired, "expired"),
        (sum.cancelled, "cancelled"),
        (sum.evicted, "evicted"),
        (sum.duplicates, "duplicates"),
        (sum.dead_lettered.iter().sum(), "dead_lettered"),
    ] {
        assert!(count > 4 * seeds, "{what}: {count} in {seeds} runs");
    }
}
