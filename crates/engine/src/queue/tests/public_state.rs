//! What is told of the state over HTTP, against everything that ended: over random runs with unknown
//! outcomes, streams that go offline, deletions, resets, crashes, and rules that are changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keyframes::{Fold, event_of};
use super::model::Random;
use super::*;
use crate::policy::Keyframes;
use crate::queue::Rebuild;
use crate::state::{PublicState, StateEntry, ToldState};

const WINDOW: u64 = 2000;
const DELAY: u64 = 500;

fn policy(http: bool) -> Arc<ChannelPolicy> {
    Arc::new(ChannelPolicy {
        keyframes: Keyframes {
            on: true,
            idle: Span::from_millis(100),
            http,
            delay: Span::from_millis(DELAY),
            window: Span::from_millis(WINDOW),
            ..Keyframes::default()
        },
        ttl_ms: 3_600_000,
        ..ChannelPolicy::default()
    })
}

fn values(entries: &[StateEntry]) -> BTreeMap<String, Value> {
    let pairs = entries.iter().map(|entry| {
        let value = serde_json::from_str(&entry.data).expect("JSON");
        (entry.key.to_string(), value)
    });
    pairs.collect()
}

/// A payload that ended, and what was before it.
struct Ended {
    n: u64,
    text: Arc<str>,
    at: u64,
    before: Fold,
}

struct Run {
    queue: Queue,
    random: Random,
    rebuild: Rebuild,
    now: u64,
    /// All that ended since the state is told over HTTP.
    ended: Vec<Ended>,
    fold: Fold,
    reset: u64,
    /// Since when all payloads are known.
    since: u64,
    told: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut queue = Queue::new(policy(true), 1024, 100, Span::from_millis(200));
        queue.keep_changes();
        Self {
            queue,
            random: Random(seed),
            rebuild: Rebuild::default(),
            now: 1000,
            ended: Vec::new(),
            fold: Fold::default(),
            reset: 0,
            since: 0,
            told: 0,
        }
    }

    fn step(&mut self) {
        self.now += self.random.below(120);
        match self.random.below(20) {
            0..=7 => {
                let _ = self
                    .queue
                    .accept(ms(self.now), event_of(&mut self.random, 8));
            }
            8 => {
                let key = format!("key {}", self.random.below(8));
                self.queue.delete_state(ms(self.now), &key);
            }
            9 if self.random.chance(10) => {
                self.reset = self.queue.next_n();
                self.queue.clear_state(ms(self.now));
                self.fold = Fold::default();
            }
            10 if self.random.chance(30) => self.crash(),
            11 if self.random.chance(10) => self.now += self.random.below(3 * WINDOW),
            12 if self.random.chance(10) => self.is_off_for_a_while(),
            _ => self.send(),
        }
        self.keep_changes();
        self.check();
    }

    fn keep_changes(&mut self) {
        for change in self.queue.take_changes() {
            self.rebuild.apply(change).expect("usable");
        }
    }

    fn crash(&mut self) {
        self.keep_changes();
        let mut rebuild = std::mem::take(&mut self.rebuild);
        if self.random.chance(50) {
            rebuild = Rebuild::default();
            for change in self.queue.snapshot() {
                rebuild.apply(change).expect("usable");
            }
        }
        self.queue = Queue::rebuild(
            policy(true),
            1024,
            self.queue.next_n() + self.random.below(9),
            Span::from_millis(200),
            ms(self.now),
            Wall::default(),
            rebuild.clone(),
        );
        self.rebuild = rebuild;
        self.since = self.now;
    }

    /// Payloads that nobody is told of.
    fn is_off_for_a_while(&mut self) {
        self.queue.set_policy(policy(false), 1024);
        assert_eq!(self.queue.public_state(ms(self.now)), PublicState::Off);
        for _ in 0..5 {
            self.now += 200;
            self.send();
        }
        self.queue.set_policy(policy(true), 1024);
        self.since = self.now;
        self.ended.clear();
    }

    fn send(&mut self) {
        let now = ms(self.now);
        let payload = self.queue.take(now);
        let is_own = payload.is_none();
        let payload = payload.or_else(|| self.queue.take_state(now));
        let Some(payload) = payload else { return };
        let outcome = match self.random.below(8) {
            0 => Outcome::Unknown,
            1 => Outcome::Offline,
            _ => Outcome::Delivered,
        };
        self.now += self.random.below(50);
        self.queue.settle(ms(self.now), payload.id, outcome);
        let ends = outcome == Outcome::Delivered || (is_own && outcome == Outcome::Unknown);
        if !ends {
            return;
        }
        self.ended.push(Ended {
            n: payload.n,
            text: Arc::clone(&payload.text),
            at: self.now,
            before: self.fold.clone(),
        });
        if payload.n >= self.reset {
            self.fold.payload(&payload.text);
        }
    }

    fn check(&mut self) {
        let (now, ended) = (self.now, &self.ended);
        let old = ended.iter().filter(|it| it.at + DELAY <= now).count();
        let last = ended.last().map_or(self.since, |last| last.at);
        match self.queue.public_state(ms(now)) {
            PublicState::Off => panic!("it is on"),
            PublicState::NotYet => {
                assert_eq!(old, 0, "there is something to tell");
                assert!(last + WINDOW > now, "nothing is on its way");
            }
            PublicState::Told(told) if told.since.is_empty() => {
                assert!(last + WINDOW <= now, "nothing is on its way");
                let n = ended.last().map(|last| last.n + 1);
                assert!(n.is_none_or(|n| n == told.n));
                assert_eq!(values(&told.entries), self.fold.0);
            }
            PublicState::Told(told) => {
                self.told += 1;
                self.check_payloads(&told, old);
            }
        }
    }

    fn check_payloads(&self, told: &ToldState, old: usize) {
        let (now, ended) = (self.now, &self.ended);
        let first = ended.iter().position(|it| it.n == told.n);
        let first = first.expect("a payload that ended");
        assert_eq!(values(&told.entries), ended[first].before.0);
        let since = ended[first..old].iter();
        let since: Vec<_> = since.map(|it| (it.n, Arc::clone(&it.text))).collect();
        assert_eq!(told.since, since);
        let is_in_window = |it: &Ended| it.at + WINDOW > now;
        assert!(
            is_in_window(&ended[first]) || first + 1 == old,
            "one is kept of what is older"
        );
        let earlier = first.checked_sub(1).map(|earlier| &ended[earlier]);
        assert!(
            earlier.is_none_or(|earlier| !is_in_window(earlier)),
            "all of the window"
        );
    }
}

#[test]
fn viewers_are_told_the_payloads_of_the_window_and_the_state_before_them() {
    let given = std::env::var("CUEGATE_STATE_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    for seed in given.map_or(0..40, |seed: u64| seed..seed + 1) {
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..600 {
                run.step();
            }
            assert!(run.told > 100, "it is told: {}", run.told);
        });
        assert!(result.is_ok(), "failed: CUEGATE_STATE_SEED={seed}");
    }
}

#[test]
fn a_window_takes_no_more_than_its_bytes() {
    let mut queue = Queue::new(policy(true), 1024, 100, Span::from_millis(200));
    let before = queue.footprint();
    for step in 0..3000 {
        // A key of 60 KB that changes with each payload: each is another value.
        let long = "x".repeat(if step == 0 { 900 } else { 500 });
        let data = format!(r#"{{"{step}":"{long}"}}"#);
        let patch = event(&data).key("k").merge(Merge::Patch);
        let _ = queue.accept(ms(step), patch);
        let payload = queue.take(ms(step)).expect("a payload");
        queue.settle(ms(step), payload.id, Outcome::Delivered);
        assert!(queue.footprint() - before < 2 << 20, "{step}");
    }
}
