//! State and keyframes against a player that is written from the description alone, and against
//! the fold of what reached the stream: over random runs with drops, duplicates, payloads that
//! come late, viewers who join, crashes, deletions and resets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::model::Random;
use super::*;
use crate::call::{Rejection, ThrottleScope};
use crate::envelope::EnvelopeFields;
use crate::form::decode;
use crate::policy::{Compress, Keyframes, OnUnknown};
use crate::queue::{Payload, Rebuild};

/// Behind every item of a payload.
const END: usize = usize::MAX;

fn policy() -> ChannelPolicy {
    ChannelPolicy {
        keyframes: Keyframes {
            on: true,
            ..Keyframes::default()
        },
        fields: EnvelopeFields {
            kind: true,
            key: true,
            id: false,
        },
        ttl_ms: 2000,
        ..ChannelPolicy::default()
    }
}

fn queue(policy: ChannelPolicy) -> Queue {
    let mut queue = Queue::new(Arc::new(policy), 1024, 100, Span::from_millis(200));
    queue.keep_changes();
    queue
}

pub(super) fn parsed(text: &str) -> Value {
    let plain = decode(text);
    let plain = plain.as_deref().unwrap_or(text);
    serde_json::from_str(plain).unwrap_or_else(|error| panic!("{error}: {plain}"))
}

fn patched(value: Option<&Value>, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else {
        return patch.clone();
    };
    let mut made = value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (name, member) in patch {
        if member.is_null() {
            made.remove(name);
        } else {
            let value = patched(made.get(name), member);
            made.insert(name.clone(), value);
        }
    }
    Value::Object(made)
}

fn number(merge: &str, a: &Value, b: &Value) -> Value {
    let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) else {
        return b.clone();
    };
    json!(match merge {
        "sum" => a + b,
        "max" => a.max(b),
        _ => a.min(b),
    })
}

/// What a value becomes by an item; none: it is deleted.
fn applied(held: Option<&Value>, merge: &str, data: &Value) -> Option<Value> {
    match merge {
        "replace" => (!data.is_null()).then(|| data.clone()),
        "patch" => Some(patched(held, data)),
        _ => Some(match (held, data) {
            (None, data) => data.clone(),
            (Some(Value::Object(held)), Value::Object(data)) => {
                let mut made: Map<String, Value> = held.clone();
                for (name, value) in data {
                    let before = held.get(name).cloned().unwrap_or(Value::Null);
                    made.insert(name.clone(), number(merge, &before, value));
                }
                Value::Object(made)
            }
            (Some(held), data) => number(merge, held, data),
        }),
    }
}

fn of_item(item: &Value) -> Option<(&str, &str, &Value)> {
    let merge = item
        .get("m")
        .map_or("replace", |merge| merge.as_str().expect("a word"));
    (merge != "none").then_some(())?;
    Some((item.get("k")?.as_str()?, merge, &item["d"]))
}

/// The fold of what reached the stream.
#[derive(Clone, Default)]
pub(super) struct Fold(pub BTreeMap<String, Value>);

impl Fold {
    pub fn payload(&mut self, text: &str) {
        let payload = parsed(text);
        for entry in payload["s"].as_array().into_iter().flatten() {
            if entry.get("x").is_some() {
                self.0.remove(entry["k"].as_str().expect("a key"));
            }
        }
        for item in payload["e"].as_array().expect("items") {
            let Some((key, merge, data)) = of_item(item) else {
                continue;
            };
            match applied(self.0.get(key), merge, data) {
                Some(value) => _ = self.0.insert(key.to_owned(), value),
                None => _ = self.0.remove(key),
            }
        }
    }
}

/// A key's value, its place, and the payload that last told of it.
type Known = (Option<Value>, (u64, usize), u64);

#[derive(Default)]
struct Player {
    keys: BTreeMap<String, Known>,
    floor: u64,
    seen: BTreeSet<u64>,
    cycle: Option<(u64, BTreeSet<u64>, Option<u64>)>,
    complete: bool,
}

impl Player {
    fn sees(&mut self, text: &str) {
        let payload = parsed(text);
        let n = payload["n"].as_u64().expect("a number");
        if !self.seen.insert(n) {
            return;
        }
        if let Some(r) = payload.get("r").and_then(Value::as_u64)
            && r > self.floor
        {
            // A player rebuilds what it holds from r on.
            self.floor = r;
            self.keys.retain(|_, (_, place, _)| place.0 >= r);
        }
        if n >= self.floor {
            self.entries(n, &payload);
            for (position, item) in payload["e"].as_array().expect("items").iter().enumerate() {
                self.item(n, position, item);
            }
        }
        self.end(n, &payload);
    }

    fn entries(&mut self, n: u64, payload: &Value) {
        for entry in payload["s"].as_array().into_iter().flatten() {
            let key = entry["k"].as_str().expect("a key");
            let held = self.keys.get(key);
            if held.is_some_and(|(_, place, _)| n <= place.0) {
                continue;
            }
            let value = if entry.get("x").is_some() {
                None
            } else {
                entry
                    .get("d")
                    .cloned()
                    .or_else(|| held.and_then(|held| held.0.clone()))
            };
            self.keys.insert(key.to_owned(), (value, (n - 1, END), n));
        }
    }

    fn item(&mut self, n: u64, position: usize, item: &Value) {
        let Some((key, merge, data)) = of_item(item) else {
            return;
        };
        let held = self.keys.get(key);
        if held.is_some_and(|(_, place, _)| (n, position) <= *place) {
            return;
        }
        let value = applied(held.and_then(|held| held.0.as_ref()), merge, data);
        self.keys.insert(key.to_owned(), (value, (n, position), n));
    }

    fn end(&mut self, n: u64, payload: &Value) {
        let Some(cycle) = payload.get("c").and_then(Value::as_array) else {
            return;
        };
        let part = |place: usize| cycle[place].as_u64().expect("an integer");
        let start = n - part(0);
        if self.cycle.as_ref().is_none_or(|cycle| start > cycle.0) {
            self.cycle = Some((start, BTreeSet::new(), None));
        }
        let cycle = self.cycle.as_mut().expect("a cycle");
        if start < cycle.0 {
            return;
        }
        cycle.1.insert(part(1));
        if part(2) == 1 {
            cycle.2 = Some(part(1));
        }
        if cycle
            .2
            .is_some_and(|last| (0..=last).all(|part| cycle.1.contains(&part)))
        {
            for (value, _, told) in self.keys.values_mut() {
                if *told < start {
                    *value = None;
                }
            }
            self.complete = true;
        }
    }

    fn values(&self) -> BTreeMap<String, Value> {
        let present =
            |(key, held): (&String, &(Option<Value>, _, _))| Some((key.clone(), held.0.clone()?));
        self.keys.iter().filter_map(present).collect()
    }
}

fn state(queue: &Queue) -> BTreeMap<String, Value> {
    let entries = queue.state().expect("a state");
    let value = |text: &str| serde_json::from_str(text).expect("JSON");
    entries
        .iter()
        .map(|entry| (entry.key.to_string(), value(&entry.data)))
        .collect()
}

pub(super) fn event_of(random: &mut Random, keys: u64) -> Event {
    let number = random.below(20).to_string();
    let object = format!(r#"{{"a":{},"b":{}}}"#, random.below(9), random.below(9));
    let merge = random.pick(&[
        None,
        Some(Merge::Replace),
        Some(Merge::Sum),
        Some(Merge::Sum),
        Some(Merge::Max),
        Some(Merge::Min),
        Some(Merge::Patch),
    ]);
    let data = match merge {
        Some(Merge::Sum | Merge::Max | Merge::Min) => random.pick(&[number, object]),
        Some(Merge::Patch) => random.pick(&[
            object,
            r#"{"a":null,"c":{"d":1}}"#.to_owned(),
            r#"{"c":{"d":null,"e":"f"}}"#.to_owned(),
            number,
        ]),
        _ => random.pick(&[object, number, "null".to_owned(), r#""text""#.to_owned()]),
    };
    let mut event = Event::new(Data::Json(data.as_str().into()));
    event.content.key = Some(format!("key {}", random.below(keys)).into());
    event.content.merge = merge;
    if random.chance(30) {
        event.content.kind = Some("a.type".into());
    }
    event
}

/// A payload that was sent and has not ended, as the test has it.
struct Out {
    payload: Payload,
    own: bool,
    maybe: bool,
    in_flight: bool,
}

struct Run {
    random: Random,
    queue: Queue,
    policy: Arc<ChannelPolicy>,
    rebuild: Rebuild,
    now: u64,
    outs: Vec<Out>,
    fold: Fold,
    /// Payloads below count no more.
    reset: u64,
    players: Vec<Player>,
    /// Payloads that some players see later.
    late: Vec<(usize, Arc<str>)>,
    /// The bounds are out of the way: the state is the fold at any time.
    is_exact: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let is_exact = random.chance(70);
        let policy = Arc::new(ChannelPolicy {
            keyframes: Keyframes {
                on: true,
                max_keys: if is_exact { 1000 } else { 6 },
                max_bytes: if is_exact { 262_144 } else { 200 },
                ttl: Span::from_millis(if !is_exact && random.chance(50) {
                    3000
                } else {
                    0
                }),
                idle: Span::from_millis(100),
                ..Keyframes::default()
            },
            compress: random.pick(&[Compress::Off, Compress::Deflate]),
            on_unknown: random.pick(&[OnUnknown::Retry, OnUnknown::Drop]),
            ..policy()
        });
        Self {
            queue: queue(ChannelPolicy::clone(&policy)),
            policy,
            random,
            rebuild: Rebuild::default(),
            now: 1000,
            outs: Vec::new(),
            fold: Fold::default(),
            reset: 0,
            players: vec![Player::default(), Player::default()],
            late: Vec::new(),
            is_exact,
        }
    }

    fn step(&mut self) {
        self.now += self.random.below(60);
        match self.random.below(20) {
            0..=7 => {
                let keys = self.random.pick(&[3, 40]);
                let event = event_of(&mut self.random, keys);
                let _ = self.queue.accept(ms(self.now), event);
            }
            8 => {
                let key = format!("key {}", self.random.below(40));
                self.queue.delete_state(ms(self.now), &key);
            }
            9 if self.random.chance(5) => {
                self.reset = self.queue.next_n();
                self.queue.clear_state(ms(self.now));
                self.fold = Fold::default();
            }
            10 if self.random.chance(20) => self.crash(),
            11 if self.random.chance(20) => self.players.push(Player::default()),
            _ => self.send(),
        }
        self.keep_changes();
        self.reap();
        if self.is_exact {
            assert_eq!(state(&self.queue), self.fold.0, "the fold");
        } else {
            let rules = self.policy.keyframes;
            assert!(self.queue.state_keys() <= 2 * rules.max_keys);
        }
    }

    fn keep_changes(&mut self) {
        for change in self.queue.take_changes() {
            self.rebuild.apply(change).expect("usable");
        }
    }

    /// The process is killed and starts again with what is in the journal.
    fn crash(&mut self) {
        self.keep_changes();
        let mut rebuild = std::mem::take(&mut self.rebuild);
        if self.random.chance(50) {
            rebuild = Rebuild::default();
            for change in self.queue.snapshot() {
                rebuild.apply(change).expect("usable");
            }
        }
        for out in &mut self.outs {
            out.maybe |= out.in_flight;
            out.in_flight = false;
        }
        // What was told alone and had not ended is told again.
        self.outs.retain(|out| !out.own);
        self.queue = Queue::rebuild(
            Arc::clone(&self.policy),
            1024,
            self.queue.next_n() + self.random.below(9),
            Span::from_millis(200),
            ms(self.now),
            Wall::default(),
            rebuild,
        );
        for change in self.queue.snapshot() {
            self.rebuild.apply(change).expect("usable");
        }
        self.queue.take_changes();
        if self.policy.on_unknown == OnUnknown::Drop {
            self.reap();
        }
    }

    /// What ended without a call of ours: its time was over.
    fn reap(&mut self) {
        let queue = &self.queue;
        let ended = |out: &Out| !out.in_flight && !queue.waits_again(out.payload.n);
        let (ended, outs) = std::mem::take(&mut self.outs).into_iter().partition(ended);
        self.outs = outs;
        let ended: Vec<Out> = ended;
        for out in ended {
            if out.maybe {
                self.ends(&out.payload);
            }
        }
    }

    /// The next payload with events. Those of others may be over by now.
    fn take(&mut self) -> Option<Payload> {
        let payload = self.queue.take(ms(self.now));
        for out in &mut self.outs {
            let is_taken = |payload: &Payload| payload.n == out.payload.n;
            out.in_flight |= payload.as_ref().is_some_and(is_taken);
        }
        self.reap();
        payload
    }

    fn ends(&mut self, payload: &Payload) {
        if payload.n >= self.reset {
            self.fold.payload(&payload.text);
        }
    }

    fn send(&mut self) {
        if self.outs.iter().any(|out| out.in_flight) {
            return;
        }
        let events = self.take();
        let (payload, own) = match events {
            Some(payload) => (payload, false),
            None => match self.queue.take_state(ms(self.now)) {
                Some(payload) => (payload, true),
                None => return,
            },
        };
        assert!(
            payload.text.len() <= self.queue.payload_max(),
            "{}",
            payload.text
        );
        let maybe = self.outs.iter().position(|out| out.payload.n == payload.n);
        let maybe = maybe.is_some_and(|place| self.outs.remove(place).maybe);
        let applied = match self.random.below(12) {
            0 => self.settle(
                &payload,
                own,
                maybe,
                Outcome::Throttled(ThrottleScope::Channel),
            ),
            1 => self.settle(&payload, own, maybe, Outcome::Offline),
            2 => self.settle(&payload, own, maybe, Outcome::Unknown) | self.random.chance(50),
            3 if payload.text.len() > 1000 => self.settle(&payload, own, maybe, Outcome::TooLarge),
            4 if self.random.chance(30) => {
                // In flight at a crash.
                self.outs.push(Out {
                    payload: payload.clone(),
                    own,
                    maybe,
                    in_flight: true,
                });
                let applied = self.random.chance(50);
                if applied {
                    self.shows(&payload.text);
                }
                self.crash();
                false
            }
            _ => self.settle(&payload, own, maybe, Outcome::Delivered),
        };
        if applied {
            self.shows(&payload.text);
        }
    }

    /// Whether it was applied for certain.
    fn settle(&mut self, payload: &Payload, own: bool, maybe: bool, outcome: Outcome) -> bool {
        self.queue.settle(ms(self.now), payload.id, outcome);
        let maybe = maybe || outcome == Outcome::Unknown;
        match outcome {
            Outcome::Delivered => self.ends(payload),
            Outcome::Unknown if own || self.policy.on_unknown == OnUnknown::Drop => {
                self.ends(payload);
            }
            _ if own => {}
            // It was packed anew, unless it may have been taken.
            Outcome::Offline | Outcome::TooLarge if !maybe || outcome == Outcome::TooLarge => {}
            _ => self.outs.push(Out {
                payload: payload.clone(),
                own,
                maybe,
                in_flight: false,
            }),
        }
        outcome == Outcome::Delivered
    }

    fn shows(&mut self, text: &Arc<str>) {
        for player in 0..self.players.len() {
            match self.random.below(10) {
                0 => {}
                1 => self.late.push((player, Arc::clone(text))),
                2 => {
                    self.players[player].sees(text);
                    self.players[player].sees(text);
                }
                _ => self.players[player].sees(text),
            }
        }
        if self.random.chance(30) && !self.late.is_empty() {
            let index = usize::try_from(self.random.below(self.late.len() as u64)).expect("small");
            let (player, text) = self.late.swap_remove(index);
            self.players[player].sees(&text);
        }
    }

    /// Nothing goes wrong any more, and one more viewer joins.
    fn calm(&mut self) {
        for (player, text) in std::mem::take(&mut self.late) {
            self.players[player].sees(&text);
        }
        self.players.push(Player::default());
        for _ in 0..200 {
            self.now += 100;
            let payload = self.take();
            let payload = payload.or_else(|| self.queue.take_state(ms(self.now)));
            let Some(payload) = payload else { continue };
            self.outs.retain(|out| out.payload.n != payload.n);
            self.queue
                .settle(ms(self.now), payload.id, Outcome::Delivered);
            self.ends(&payload);
            for player in &mut self.players {
                player.sees(&payload.text);
            }
        }
        let state = state(&self.queue);
        if self.is_exact {
            assert_eq!(state, self.fold.0, "the fold at the end");
        }
        for (number, player) in self.players.iter().enumerate() {
            assert!(player.complete, "viewer {number} knows all");
            assert_eq!(player.values(), state, "viewer {number}");
        }
    }
}

fn run(seed: u64) {
    let mut run = Run::new(seed);
    for _ in 0..600 {
        run.step();
    }
    run.calm();
}

#[test]
fn every_viewer_has_the_state_of_the_gateway() {
    let seeds = std::env::var("CUEGATE_STATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..if cfg!(debug_assertions) { 20 } else { 200 }, |seed| {
        seed..seed + 1
    }) {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "failed: CUEGATE_STATE_SEED={seed}");
    }
}

#[test]
fn a_rejected_payload_of_state_is_not_sent_again_at_once() {
    let keyframes = Keyframes {
        on: true,
        ..Keyframes::default()
    };
    let policy = ChannelPolicy {
        keyframes,
        ..ChannelPolicy::default()
    };
    let start = Time::from_micros(1);
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::from_millis(200));
    for (outcome, pause_ms) in [
        (Outcome::Delivered, 1000),
        (Outcome::Rejected(Rejection::AccessDenied), 10_000),
        (Outcome::Rejected(Rejection::NoSuchChannel), 10_000),
        (Outcome::Failed, 1000),
    ] {
        let now = queue.state_due().expect("a moment").max(start);
        let payload = queue.take_state(now).expect("a payload");
        queue.settle(now, payload.id, outcome);
        let pause = Span::from_millis(pause_ms);
        assert_eq!(queue.state_due(), Some(now + pause), "{outcome:?}");
    }
}
