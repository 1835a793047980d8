//! Events that are larger than a payload and leave in slices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::model::Random;
use super::*;
use crate::call::{Rejection, ThrottleScope};
use crate::envelope::EnvelopeFields;
use crate::form::{DECODED_MAX, Reader, decode};
use crate::policy::{Compress, Keyframes, Offline, OnUnknown};
use crate::queue::{
    Change, DeadLetterReason, EventState, Payload, Rebuild, Replaced, Slices, Unusable,
};
use crate::state::PublicState;

fn sliced() -> ChannelPolicy {
    ChannelPolicy {
        compress: Compress::Deflate,
        event_max_bytes: DECODED_MAX,
        fields: EnvelopeFields {
            kind: true,
            key: true,
            id: true,
        },
        queue_max_bytes: 1 << 20,
        ..ChannelPolicy::default()
    }
}

fn queue(policy: ChannelPolicy) -> Queue {
    let mut queue = Queue::new(Arc::new(policy), 1024, 100, Span::from_millis(200));
    queue.keep_changes();
    queue
}

/// An event of so many hexadecimal digits, which hardly compress: 1,490 make a slice.
fn large(random: &mut Random, digits: usize) -> Event {
    let mut text = String::new();
    while text.len() < digits {
        let _ = write!(text, "{:015x}", random.below(1 << 60));
    }
    event(&format!("\"{}\"", &text[..digits]))
}

fn put(queue: &mut Queue, event: Event) {
    assert_eq!(queue.accept(ms(1000), event), Ok(Admission::Accepted));
}

fn delivered(queue: &mut Queue, now: u64) -> Option<Payload> {
    let payload = queue.take(ms(now))?;
    let settled = queue.settle(ms(now), payload.id, Outcome::Delivered);
    assert_eq!(
        settled.delivered,
        Some((payload.n, Arc::clone(&payload.text)))
    );
    Some(payload)
}

fn slice_of(payload: &Payload) -> bool {
    assert!(payload.text.len() <= 1024, "{}", payload.text.len());
    payload.text.starts_with("~2")
}

/// The queue that these changes make.
fn again(policy: ChannelPolicy, changes: Vec<Change>, now: u64) -> Queue {
    let mut rebuild = Rebuild::default();
    for change in changes {
        rebuild.apply(change).expect("usable");
    }
    Queue::rebuild(
        Arc::new(policy),
        1024,
        1,
        Span::from_millis(200),
        ms(now),
        Wall::default(),
        rebuild,
    )
}

#[test]
fn a_large_event_is_one_event_in_slices() {
    let mut random = Random(1);
    let mut queue = queue(sliced());
    let event = large(&mut random, 7000).id("i").waiter(7);
    put(&mut queue, event.clone());
    // It takes five calls.
    assert_eq!(queue.depth(ms(1000)).eta.millis_ceil(), 1000);
    assert!(queue.demand(ms(1000)).expect("a demand").full);
    let mut reader = Reader::default();
    let mut numbers = Vec::new();
    let plain = loop {
        assert_eq!(queue.ledger().delivered, 0);
        let payload = delivered(&mut queue, 1000).expect("a slice");
        assert!(slice_of(&payload));
        assert_eq!(payload.events, 1);
        numbers.push(payload.n);
        if let Some(plain) = reader.read(&payload.text) {
            assert_eq!(payload.plain_bytes, plain.len());
            break plain;
        }
        assert_eq!(payload.plain_bytes, 0);
        let state = queue.state_of(ms(1000), "i");
        assert_eq!(state, Some(EventState::InFlight { n: 108 }));
        let left = 5 - numbers.len() as u64;
        assert_eq!(queue.depth(ms(1000)).eta.millis_ceil(), left * 200);
    };
    assert_eq!(numbers, [100, 102, 104, 106, 108]);
    let json: Value = serde_json::from_str(&plain).expect("JSON");
    assert_eq!(json["n"], 108);
    assert_eq!(json["e"][0]["d"].to_string(), **event.content.data.text());
    let ended = queue.take_ended();
    assert_eq!((ended.len(), ended[0].end), (1, End::Delivered));
    assert_eq!(queue.ledger().plain_bytes, plain.len() as u64);
    let Some(EventState::Ended(fate)) = queue.state_of(ms(1000), "i") else {
        panic!("not ended");
    };
    assert_eq!((fate.end, fate.n), (End::Delivered, Some(108)));
    assert_eq!((queue.next_n(), queue.is_empty()), (109, true));
}

#[test]
fn what_fits_a_payload_leaves_as_ever() {
    let mut queue = queue(sliced());
    put(&mut queue, event("1"));
    put(&mut queue, event(&format!("\"{}\"", "x".repeat(3000))));
    let payload = delivered(&mut queue, 1000).expect("a payload");
    assert!(payload.text.starts_with("~0") && payload.events == 2);
}

#[test]
fn what_is_too_large() {
    let mut random = Random(2);
    let limited = |event_max_bytes| ChannelPolicy {
        event_max_bytes,
        ..sliced()
    };
    let answer = |policy, event: &Event| {
        queue(policy)
            .accept(ms(1000), event.clone())
            .expect_err("it is refused")
    };
    let some = large(&mut random, 3000);
    for policy in [
        limited(0),
        ChannelPolicy {
            compress: Compress::Off,
            ..sliced()
        },
    ] {
        let refusal = answer(policy, &some);
        assert!(matches!(refusal, Refusal::TooLarge { limit: 1024, .. }));
    }
    assert_eq!(
        answer(limited(3000), &some),
        Refusal::TooLargeForChannel {
            size: 3043,
            limit: 3000
        }
    );
    put(&mut queue(limited(3043)), some);
    // In sixteen slices of 1,016 characters.
    let Refusal::TooManySlices {
        size,
        limit: 16_256,
    } = answer(sliced(), &large(&mut random, 40_000))
    else {
        panic!("taken");
    };
    assert!((20_000..30_000).contains(&size), "{size}");
    put(&mut queue(sliced()), large(&mut random, 22_000));
    // 64 KiB that compress well.
    let text = large(&mut random, 4000)
        .content
        .data
        .text()
        .replace('"', "");
    let most = event(&format!("\"{}\"", text.repeat(17)[..65_490].to_owned()));
    put(&mut queue(sliced()), most);
    let more = event(&format!("\"{}\"", text.repeat(17)[..65_500].to_owned()));
    assert!(matches!(
        answer(sliced(), &more),
        Refusal::TooLarge { size, .. } if size > DECODED_MAX
    ));
    // A text that leaves as it is has no slices.
    let verbatim = Event::new(Data::Verbatim("x".repeat(2000).into()));
    assert!(matches!(
        answer(sliced(), &verbatim),
        Refusal::TooLarge {
            size: 2000,
            limit: 1024
        }
    ));
}

/// What DEFLATE makes no shorter may leave in slices all the same.
#[test]
fn what_does_not_compress() {
    let mut random = Random(3);
    let text: String = (0..900)
        .filter_map(|_| {
            char::from_u32(0x4e00 + u32::try_from(random.below(20_000)).expect("small"))
        })
        .collect();
    let mut queue = queue(sliced());
    put(&mut queue, event(&format!("\"{text}\"")));
    let mut reader = Reader::default();
    let plain = loop {
        let payload = delivered(&mut queue, 1000).expect("a slice");
        assert!(slice_of(&payload));
        if let Some(plain) = reader.read(&payload.text) {
            break plain;
        }
    };
    assert!(plain.contains(&text));
}

#[test]
fn it_can_be_taken_back_until_its_first_slice_left() {
    let mut random = Random(4);
    for sent in [false, true] {
        let mut queue = queue(sliced());
        for id in ["a", "b"] {
            put(&mut queue, large(&mut random, 4000).id(id));
        }
        if sent {
            delivered(&mut queue, 1000).expect("a slice");
        }
        let other = large(&mut random, 5000).id("a");
        let replaced = queue.replace(ms(1000), other).expect("not refused");
        let expected = if sent {
            Replaced::Gone
        } else {
            Replaced::Replaced
        };
        assert_eq!(replaced, expected);
        let expected = if sent {
            Cancelled::Gone
        } else {
            Cancelled::Done
        };
        assert_eq!(queue.cancel(ms(1000), "a"), expected);
        assert_eq!(queue.cancel(ms(1000), "b"), Cancelled::Done);
        while delivered(&mut queue, 1000).is_some() {}
        assert_eq!(queue.ledger().delivered, u64::from(sent));
        assert!(queue.is_empty());
    }
}

#[test]
fn replacing_merges_whatever_the_size() {
    let mut random = Random(5);
    let mut queue = queue(sliced());
    let state = |event: Event| event.key("board").merge(Merge::Replace);
    put(&mut queue, state(event("1")));
    put(&mut queue, state(large(&mut random, 8000)));
    assert_eq!(
        (queue.len(), queue.depth(ms(1000)).eta.millis_ceil()),
        (1, 1200)
    );
    put(&mut queue, state(event("2")));
    assert_eq!(
        (queue.len(), queue.depth(ms(1000)).eta.millis_ceil()),
        (1, 200)
    );
    put(&mut queue, state(large(&mut random, 2500)));
    assert!(slice_of(&delivered(&mut queue, 1000).expect("a slice")));
    put(&mut queue, state(event("3")));
    assert_eq!((queue.len(), queue.ledger().merged), (2, 3));
    while delivered(&mut queue, 1000).is_some() {}
    assert_eq!(queue.ledger().delivered, 2);
    // Others only within a payload.
    let patch = |event: Event| event.key("p").merge(Merge::Patch);
    let member = |random: &mut Random, name: &str| {
        let data = large(random, 1000).content.data.text().to_string();
        patch(event(&format!(r#"{{"{name}":{data}}}"#)))
    };
    for name in ["a", "b", "c"] {
        put(&mut queue, member(&mut random, name));
    }
    assert_eq!(queue.len(), 3);
}

/// Between two slices one payload with events of higher priority may go, and nothing else.
#[test]
fn what_goes_between_slices() {
    let mut random = Random(6);
    let mut queue = queue(sliced());
    put(&mut queue, large(&mut random, 5500).key("k"));
    let first = delivered(&mut queue, 1000).expect("a slice");
    assert!(slice_of(&first));
    put(&mut queue, event("\"same key\"").key("k").high());
    put(&mut queue, event("\"as high\""));
    put(&mut queue, event("\"lower\"").low());
    put(&mut queue, large(&mut random, 2500).high().id("other"));
    // Twice as much as one payload.
    for _ in 0..2 {
        put(&mut queue, large(&mut random, 1200).high().kind("high"));
    }
    let mut order = Vec::new();
    let mut reader = Reader::default();
    reader.read(&first.text);
    let mut newest = first.n;
    while let Some(payload) = delivered(&mut queue, 1000) {
        assert!(payload.n > newest);
        newest = payload.n;
        let plain = reader.read(&payload.text);
        let Some(plain) = plain else {
            order.push("slice");
            continue;
        };
        let json: Value = serde_json::from_str(&plain).expect("JSON");
        assert_eq!(json["n"], payload.n);
        order.extend(json["e"].as_array().expect("items").iter().map(|item| {
            match (&item["t"], &item["i"], &item["d"]) {
                (Value::String(_), ..) => "high",
                (_, Value::String(_), _) => "other",
                (.., Value::String(text)) if text.len() > 2000 => "large",
                (.., Value::String(text)) if text == "same key" => "same key",
                (.., Value::String(text)) if text == "as high" => "as high",
                _ => "lower",
            }
        }));
    }
    assert_eq!(
        order,
        [
            "high", "slice", "high", "slice", "large", "same key", "slice", "other", "as high",
            "lower"
        ]
    );
}

#[test]
fn the_ttl_counts_until_the_first_slice() {
    let mut random = Random(7);
    let start = |random: &mut Random, ttl: u32| {
        let mut queue = queue(sliced());
        put(&mut queue, large(random, 5500).ttl(ttl));
        queue
    };
    let mut late = start(&mut random, 500);
    assert_eq!(late.take(ms(1500)), None);
    assert_eq!(late.ledger().expired, 1);
    // What began goes on.
    let mut begun = start(&mut random, 500);
    delivered(&mut begun, 1400).expect("a slice");
    let refused = begun.take(ms(5000)).expect("a slice");
    begun.settle(ms(5000), refused.id, Outcome::Failed);
    for now in [9000, 12_000, 21_000] {
        assert!(slice_of(&delivered(&mut begun, now).expect("a slice")));
    }
    assert_eq!(begun.ledger().delivered, 1);
    // For 20 s; then it is dead, or goes again where it still lives.
    for (ttl, lives) in [(20_000, false), (60_000, true)] {
        let mut queue = start(&mut random, ttl);
        let first = delivered(&mut queue, 2000).expect("a slice");
        assert_eq!(queue.timer(), Some(ms(22_000)));
        let next = queue.take(ms(22_000));
        assert_eq!(next.is_some(), lives);
        let Some(next) = next else {
            let dead = queue.take_dead();
            assert_eq!(dead[0].reason, DeadLetterReason::Expired);
            assert!(queue.is_empty());
            continue;
        };
        assert_ne!(next.text[..8], first.text[..8]);
        assert!(next.n > first.n);
        queue.settle(ms(22_000), next.id, Outcome::Delivered);
        while delivered(&mut queue, 22_000).is_some() {}
        assert_eq!(queue.ledger().delivered, 1);
    }
}

fn condition(health: Health) -> crate::call::ChannelCondition {
    crate::call::ChannelCondition {
        health,
        entry: crate::call::Entry::Open,
        next_call: ms(1000),
        interval: Span::from_millis(200),
    }
}

#[test]
fn another_stream_gets_all_slices() {
    let mut random = Random(8);
    // By an answer, or by the list of live streams; the latter also while the last one is in flight.
    for (by_answer, delivered_before) in [(true, 1), (false, 1), (false, 3)] {
        let mut queue = queue(sliced());
        put(&mut queue, large(&mut random, 5500));
        let mut first = None;
        for _ in 0..delivered_before {
            let payload = delivered(&mut queue, 1000).expect("a slice");
            first.get_or_insert(payload);
        }
        let first = first.expect("a slice");
        let in_flight = queue.take(ms(1000)).expect("a slice");
        queue.set_condition(condition(Health::Offline));
        let outcome = if by_answer {
            Outcome::Offline
        } else {
            Outcome::Delivered
        };
        queue.settle(ms(1000), in_flight.id, outcome);
        assert_eq!(queue.ledger().delivered, 0);
        queue.set_condition(condition(Health::Live));
        let mut slices = 0;
        while let Some(payload) = delivered(&mut queue, 2000) {
            assert_ne!(payload.text[..6], first.text[..6], "another identity");
            slices += 1;
        }
        assert_eq!((slices, queue.ledger().delivered), (4, 1));
    }
    // Where nothing is held it is dead.
    let mut queue = queue(ChannelPolicy {
        offline: Offline::Drop,
        ..sliced()
    });
    put(&mut queue, large(&mut random, 5500));
    delivered(&mut queue, 1000).expect("a slice");
    let payload = queue.take(ms(1000)).expect("a slice");
    queue.settle(ms(1000), payload.id, Outcome::Offline);
    assert_eq!(queue.take_dead()[0].reason, DeadLetterReason::Offline);
    assert!(queue.is_empty());
}

#[test]
fn a_restart_sends_all_slices_again() {
    let mut random = Random(9);
    for by_snapshot in [false, true] {
        let mut before = queue(sliced());
        put(&mut before, large(&mut random, 5500).ttl(60_000));
        let sent: Vec<Payload> = (0..3)
            .filter_map(|_| delivered(&mut before, 1000))
            .collect();
        let changes = if by_snapshot {
            before.snapshot()
        } else {
            before.take_changes()
        };
        let mut after = again(sliced(), changes.clone(), 1500);
        assert!(after.next_n() > 106);
        // Nothing goes between them.
        put(&mut after, event("1").high());
        for earlier in &sent {
            let payload = delivered(&mut after, 1500).expect("a slice");
            assert_eq!((payload.n, &payload.text), (earlier.n, &earlier.text));
        }
        let last = delivered(&mut after, 1500).expect("a slice");
        assert_eq!((last.n, after.ledger().delivered), (106, 1));
        // Players have forgotten slices that old.
        let mut late = again(sliced(), changes.clone(), 21_000);
        let payload = late.take(ms(21_000)).expect("a slice");
        assert!(payload.n > 106 && payload.text[..6] != sent[0].text[..6]);
        // Nobody knows whether they were taken.
        let at_most_once = ChannelPolicy {
            on_unknown: OnUnknown::Drop,
            ..sliced()
        };
        let mut dead = again(at_most_once, changes, 1500);
        assert_eq!(dead.take(ms(1500)), None);
        assert_eq!(dead.take_dead()[0].reason, DeadLetterReason::Unknown);
    }
}

#[test]
fn slices_that_no_queue_can_have_written() {
    let mut random = Random(10);
    let mut before = queue(sliced());
    put(&mut before, large(&mut random, 5500));
    let _ = before.take(ms(1000));
    let changes = before.take_changes();
    for wrong in [0, 1, 17, 255] {
        let mut rebuild = Rebuild::default();
        for change in changes.clone() {
            let Change::Packed {
                n,
                text,
                seqs,
                slices,
            } = change
            else {
                rebuild.apply(change).expect("usable");
                continue;
            };
            let slices = slices.map(|slices| Slices {
                count: wrong,
                ..slices
            });
            let packed = Change::Packed {
                n,
                text,
                seqs,
                slices,
            };
            assert_eq!(rebuild.apply(packed), Err(Unusable::Slices { n: 100 }));
        }
        assert_eq!(rebuild.len(), 1);
    }
}

#[test]
fn a_slice_that_ends_undelivered_ends_the_event() {
    let mut random = Random(11);
    let mut queue = queue(ChannelPolicy {
        on_unknown: OnUnknown::Drop,
        ..sliced()
    });
    for (outcome, reason) in [
        (
            Outcome::Rejected(Rejection::Validation),
            DeadLetterReason::Validation,
        ),
        (Outcome::Unknown, DeadLetterReason::Unknown),
    ] {
        put(&mut queue, large(&mut random, 5500).key("k"));
        put(&mut queue, event("1").key("k"));
        delivered(&mut queue, 1000).expect("a slice");
        let payload = queue.take(ms(1000)).expect("a slice");
        queue.settle(ms(1000), payload.id, outcome);
        let dead = queue.take_dead();
        assert_eq!((dead.len(), dead[0].reason), (1, reason));
        let next = delivered(&mut queue, 1000).expect("a payload");
        assert!(!slice_of(&next));
        assert!(queue.is_empty());
    }
}

#[test]
fn a_smaller_kilobyte_cuts_it_anew() {
    let mut random = Random(12);
    let mut digits = 7000;
    // Slices of more than 1,000 bytes.
    let (mut queue, first) = loop {
        let mut queue = queue(sliced());
        put(&mut queue, large(&mut random, digits));
        let first = delivered(&mut queue, 1000).expect("a slice");
        if first.text.len() > 1000 {
            break (queue, first);
        }
        digits += 5;
    };
    let payload = queue.take(ms(1000)).expect("a slice");
    assert!(payload.text.len() > 1000, "{}", payload.text.len());
    let settled = queue.settle(ms(1000), payload.id, Outcome::TooLarge);
    assert_eq!(settled.payload_max, Some(1000));
    let mut reader = Reader::default();
    let mut whole = None;
    while let Some(payload) = delivered(&mut queue, 1000) {
        assert!(payload.text.len() <= 1000 && payload.n > first.n);
        whole = reader.read(&payload.text);
    }
    assert!(whole.is_some());
    assert_eq!(queue.ledger().delivered, 1);
}

/// A late answer to a slice that was given up counts for that slice alone.
#[test]
fn late_answers() {
    let mut random = Random(13);
    let mut queue = queue(sliced());
    put(&mut queue, large(&mut random, 5500));
    let first = queue.take(ms(1000)).expect("a slice");
    queue.settle(ms(1000), first.id, Outcome::Unknown);
    let same = queue.take(ms(1000)).expect("a slice");
    assert_eq!(same, first);
    queue.settle(ms(1000), first.id, Outcome::Delivered);
    let second = queue.take(ms(1000)).expect("a slice");
    assert_eq!(second.n, 102);
    // The second call of the first slice ends.
    queue.settle(ms(1000), same.id, Outcome::Delivered);
    queue.settle(ms(1000), second.id, Outcome::Delivered);
    assert_eq!(queue.take(ms(1000)).expect("a slice").n, 104);
}

/// With several calls at once the slices of an event still go one after another.
#[test]
fn several_calls_at_once() {
    let mut random = Random(14);
    let mut queue = queue(sliced());
    put(&mut queue, large(&mut random, 2500));
    put(&mut queue, large(&mut random, 2500));
    put(&mut queue, event("1").low());
    let first = queue.take(ms(1000)).expect("a slice");
    assert_eq!(queue.take(ms(1000)), None);
    assert_eq!(queue.demand(ms(1000)), None, "nothing may go");
    put(&mut queue, event("2").high());
    let between = queue.take(ms(1000)).expect("a payload");
    assert!(!slice_of(&between) && between.n == first.n + 1);
    assert_eq!(queue.take(ms(1000)), None);
    queue.settle(ms(1000), first.id, Outcome::Delivered);
    let last = queue.take(ms(1000)).expect("a slice");
    assert_eq!(last.n, first.n + 2);
    // While the last one is out others may go, but no other large event.
    let low = queue.take(ms(1000)).expect("a payload");
    assert!(!slice_of(&low) && low.n > last.n);
    assert_eq!(queue.take(ms(1000)), None);
    queue.settle(ms(1000), last.id, Outcome::Delivered);
    assert!(slice_of(&queue.take(ms(1000)).expect("a slice")));
}

/// A state that is cleared while an event is on its way in slices does not get it.
#[test]
fn clearing_the_state_in_between() {
    let mut random = Random(15);
    let mut queue = queue(ChannelPolicy {
        keyframes: Keyframes {
            on: true,
            ..Keyframes::default()
        },
        ..sliced()
    });
    let state = |event: Event| event.key("k").merge(Merge::Replace);
    put(&mut queue, state(large(&mut random, 2500)));
    delivered(&mut queue, 1000).expect("a slice");
    queue.clear_state(ms(1000));
    let last = delivered(&mut queue, 1000).expect("a slice");
    assert!(slice_of(&last));
    assert_eq!(queue.state_keys(), 0);
    put(&mut queue, state(event("1")));
    let next = delivered(&mut queue, 1000).expect("a payload");
    assert!(next.n > last.n);
    assert_eq!(queue.state_keys(), 1);
}

/// Over HTTP it is told whole: who joins late may have no slice of it.
#[test]
fn the_public_state_has_it_whole() {
    let mut random = Random(16);
    let mut queue = queue(ChannelPolicy {
        keyframes: Keyframes {
            on: true,
            http: true,
            ..Keyframes::default()
        },
        ..sliced()
    });
    let state = |event: Event| event.key("k").merge(Merge::Replace);
    put(&mut queue, state(large(&mut random, 2500)));
    let mut reader = Reader::default();
    let mut last = None;
    let plain = loop {
        let payload = delivered(&mut queue, 1000).expect("a slice");
        last.replace(payload.n);
        if let Some(plain) = reader.read(&payload.text) {
            break plain;
        }
    };
    let PublicState::Told(told) = queue.public_state(ms(8000)) else {
        panic!("not told");
    };
    let [(n, text)] = &told.since[..] else {
        panic!("{:?}", told.since);
    };
    assert_eq!((Some(*n), decode(text)), (last, Ok(plain)));
}

/// A run in which everything happens, and a viewer who misses nothing that reached the stream.
struct Run {
    random: Random,
    policy: ChannelPolicy,
    queue: Queue,
    rebuild: Rebuild,
    now: u64,
    next: u64,
    reader: Reader,
    numbers: BTreeSet<u64>,
    newest: u64,
    /// Events that were seen whole.
    seen: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    last_of: BTreeMap<String, u64>,
    state: BTreeMap<String, Value>,
    slices: u64,
    /// Outcomes are certain, and nothing is killed: the viewer knows what the queue knows.
    is_certain: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let is_certain = random.chance(50);
        let policy = ChannelPolicy {
            on_unknown: random.pick(&[OnUnknown::Retry, OnUnknown::Drop]),
            keyframes: Keyframes {
                on: true,
                idle: Span::ZERO,
                ..Keyframes::default()
            },
            lookahead: random.pick(&[0, 2]),
            ..sliced()
        };
        Self {
            queue: queue(policy.clone()),
            random,
            policy,
            rebuild: Rebuild::default(),
            now: 1000,
            next: 0,
            reader: Reader::default(),
            numbers: BTreeSet::new(),
            newest: 0,
            seen: BTreeSet::new(),
            delivered: BTreeSet::new(),
            last_of: BTreeMap::new(),
            state: BTreeMap::new(),
            slices: 0,
            is_certain,
        }
    }

    fn step(&mut self) {
        self.now += self.random.below(200);
        match self.random.below(12) {
            0..=2 => self.offer(),
            3 => {
                let id = format!("i{}", self.next.saturating_sub(self.random.below(5)));
                self.queue.cancel(ms(self.now), &id);
            }
            4 if !self.is_certain && self.random.chance(10) => self.crash(),
            _ => self.send(),
        }
        self.look();
    }

    fn offer(&mut self) {
        let seq = self.next;
        self.next += 1;
        let digits = self.random.pick(&[10, 300, 2500, 9000]);
        let text = large(&mut self.random, digits)
            .content
            .data
            .text()
            .to_string();
        let mut event = event(&format!("[{seq},{text}]"))
            .id(&format!("i{seq}"))
            .waiter(seq + 1)
            .ttl(self.random.pick(&[300, 3000, 30_000]));
        event.content.priority =
            self.random
                .pick(&[Priority::Low, Priority::Normal, Priority::High]);
        if self.random.chance(70) {
            event = event.key(&format!("k{}", self.random.below(4)));
            event.content.merge = self.random.pick(&[None, Some(Merge::Replace)]);
        }
        let _ = self.queue.accept(ms(self.now), event);
    }

    fn send(&mut self) {
        let Some(payload) = self.queue.take(ms(self.now)) else {
            return;
        };
        assert!(payload.text.len() <= 1024);
        self.slices += u64::from(payload.text.starts_with("~2"));
        let outcome = match self.random.below(14) {
            0 => Outcome::Throttled(ThrottleScope::Channel),
            1 => Outcome::Offline,
            2 => Outcome::Rejected(Rejection::Validation),
            3 | 4 if !self.is_certain => Outcome::Unknown,
            5 if !self.is_certain && self.random.chance(20) => {
                if self.random.chance(50) {
                    self.shows(&payload);
                }
                return self.crash();
            }
            _ => Outcome::Delivered,
        };
        let reaches = match outcome {
            Outcome::Delivered => true,
            Outcome::Unknown => self.random.chance(50),
            _ => false,
        };
        if reaches {
            self.shows(&payload);
        }
        self.queue.settle(ms(self.now), payload.id, outcome);
    }

    fn shows(&mut self, payload: &Payload) {
        if self.is_certain {
            assert!(payload.n > self.newest, "numbers grow");
            self.newest = payload.n;
        }
        let Some(plain) = self.reader.read(&payload.text) else {
            return;
        };
        let json: Value = serde_json::from_str(&plain).expect("JSON");
        assert_eq!(json["n"], payload.n);
        if !self.numbers.insert(payload.n) {
            return;
        }
        for item in json["e"].as_array().expect("items") {
            let seq = item["d"][0].as_u64().expect("a number");
            let is_new = self.seen.insert(seq);
            let Some(key) = item["k"].as_str() else {
                continue;
            };
            if self.is_certain {
                assert!(is_new, "{seq} twice");
                let last = self.last_of.insert(key.to_owned(), seq);
                assert!(last.is_none_or(|last| last < seq), "{seq} after {last:?}");
            }
            if item.get("m").is_none() {
                self.state.insert(key.to_owned(), item["d"].clone());
            }
        }
    }

    fn look(&mut self) {
        self.queue.demand(ms(self.now));
        self.queue.depth(ms(self.now));
        let ledger = self.queue.ledger();
        let queued = self.queue.len() as u64;
        assert_eq!(ledger.entered(), ledger.ended() + queued, "{ledger:?}");
        for ended in self.queue.take_ended() {
            if ended.end == End::Delivered {
                assert!(self.seen.contains(&(ended.waiter - 1)), "{ended:?}");
                self.delivered.insert(ended.waiter - 1);
            }
        }
        for change in self.queue.take_changes() {
            self.rebuild.apply(change).expect("usable");
        }
        if self.is_certain {
            assert_eq!(self.delivered, self.seen);
            let state = self.queue.state().expect("a state");
            let state: BTreeMap<String, Value> = state
                .iter()
                .map(|it| {
                    (
                        it.key.to_string(),
                        serde_json::from_str(&it.data).expect("JSON"),
                    )
                })
                .collect();
            assert_eq!(state, self.state);
        }
    }

    fn crash(&mut self) {
        for change in self.queue.take_changes() {
            self.rebuild.apply(change).expect("usable");
        }
        let rebuild = std::mem::take(&mut self.rebuild);
        self.now += self.random.pick(&[10, 25_000]);
        self.queue = Queue::rebuild(
            Arc::new(self.policy.clone()),
            1024,
            self.queue.next_n(),
            Span::from_millis(200),
            ms(self.now),
            Wall::default(),
            rebuild,
        );
        for change in self.queue.snapshot() {
            self.rebuild.apply(change).expect("usable");
        }
        self.queue.take_changes();
    }
}

#[test]
fn everything_at_random() {
    let (mut slices, mut delivered) = (0, 0);
    for seed in 0..60 {
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..400 {
                run.step();
            }
            for _ in 0..400 {
                run.now += 200;
                if let Some(payload) = run.queue.take(ms(run.now)) {
                    run.shows(&payload);
                    run.queue
                        .settle(ms(run.now), payload.id, Outcome::Delivered);
                }
                run.look();
            }
            assert!(run.queue.is_empty(), "{} are left", run.queue.len());
            (run.slices, run.delivered.len())
        });
        let Ok(run) = result else {
            panic!("failed: seed {seed}");
        };
        slices += run.0;
        delivered += run.1;
    }
    println!("{slices} slices, {delivered} events delivered");
    assert!(slices > 1000 && delivered > 1000, "{slices} {delivered}");
}
