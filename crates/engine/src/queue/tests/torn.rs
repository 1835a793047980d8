//! Whatever is read from a journal, a queue comes of it: arbitrary changes in arbitrary order,
//! at an arbitrary moment, and then some use of the queue.

use proptest::prelude::*;

use super::*;
use crate::call::Rejection;
use crate::event::Content;
use crate::policy::OnUnknown;
use crate::queue::{Change, DeadLetterReason, QueuedEvent, Rebuild, Scheduled, Slices};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => 0..8_u64,
        1 => (1_u64 << 53) - 2..(1 << 53) + 2,
        1 => u64::MAX - 1..=u64::MAX,
        1 => any::<u64>(),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        10 => (0..30_000_u64).prop_map(ms),
        1 => Just(Time::ZERO),
        1 => Just(Time::NEVER),
        1 => any::<u64>().prop_map(Time::from_micros),
    ]
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        Just("1"),
        Just("-1.5e3"),
        Just(""),
        Just("\""),
        Just("\"ab"),
        Just("\"a\\u00e9\\n\""),
        Just("{\"a\":1}"),
        Just("{\"a\":"),
        Just("\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\""),
        Just("nul\0"),
    ]
    .prop_map(Into::into)
}

fn short() -> impl Strategy<Value = Option<Arc<str>>> {
    prop_oneof![Just(None), Just(Some("a")), Just(Some("b\"\u{1}"))]
        .prop_map(|text| text.map(Into::into))
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        Just(Priority::Low),
        Just(Priority::Normal),
        Just(Priority::High)
    ]
}

fn merge() -> impl Strategy<Value = Option<Merge>> {
    prop_oneof![
        Just(None),
        Just(Some(Merge::Sum)),
        Just(Some(Merge::Replace)),
        Just(Some(Merge::Patch))
    ]
}

fn kept() -> impl Strategy<Value = QueuedEvent> {
    let numbers = (number(), number(), any::<u32>());
    let times = (time(), time(), time(), proptest::option::of(time()));
    let flags = (scheduled(), any::<bool>(), any::<bool>());
    let words = (text(), short(), short(), short());
    let kinds = (merge(), priority(), priority());
    (numbers, times, flags, words, kinds).prop_map(
        |(numbers, times, flags, (text, kind, id, key), kinds)| QueuedEvent {
            seq: numbers.0,
            place_seq: numbers.1,
            ttl_ms: numbers.2,
            due: times.0,
            deadline: times.1,
            rises: times.2,
            dedup_until: times.3,
            scheduled: flags.0,
            sent: flags.1,
            content: Content {
                data: if flags.2 {
                    Data::Verbatim(text)
                } else {
                    Data::Json(text)
                },
                kind,
                id,
                key,
                merge: kinds.0,
                priority: kinds.1,
            },
            level: kinds.2,
        },
    )
}

fn scheduled() -> impl Strategy<Value = Option<Scheduled>> {
    let at = || prop_oneof![10 => 0..30_000_000_i64, 1 => any::<i64>()].prop_map(Wall::from_micros);
    let latest_at = proptest::option::of(at());
    let scheduled =
        (at(), time(), latest_at, time()).prop_map(|(at, accepted, latest_at, latest_accepted)| {
            Scheduled {
                at,
                accepted,
                latest_at,
                latest_accepted,
            }
        });
    proptest::option::of(scheduled)
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Delivered),
        Just(End::Cancelled),
        Just(End::Merged),
        Just(End::DeadLettered(DeadLetterReason::Unknown))
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    (end(), proptest::option::of(number()), any::<Option<i64>>()).prop_map(|(end, n, at)| Fate {
        end,
        n,
        at: at.map(Wall::from_micros),
    })
}

fn slices() -> impl Strategy<Value = Slices> {
    (any::<u8>(), time()).prop_map(|(count, since)| Slices { count, since })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => kept().prop_map(Change::Queued),
        2 => (number(), fate()).prop_map(|(seq, fate)| Change::Ended { seq, fate }),
        3 => (number(), text(), proptest::collection::vec(number(), 0..5), proptest::option::of(slices()))
            .prop_map(|(n, text, seqs, slices)| Change::Packed { n, text, seqs, slices }),
        1 => number().prop_map(|n| Change::Returned { n }),
        1 => number().prop_map(|n| Change::Dissolved { n }),
        1 => (short(), time(), fate()).prop_map(|(id, until, fate)| {
            Change::Remembered { id: id.unwrap_or_default(), until, fate }
        }),
    ]
}

fn policy() -> impl Strategy<Value = ChannelPolicy> {
    let envelope = prop_oneof![
        Just(Envelope::Cue),
        Just(Envelope::Array),
        Just(Envelope::Raw)
    ];
    let on_unknown = prop_oneof![Just(OnUnknown::Retry), Just(OnUnknown::Drop)];
    (envelope, on_unknown, 0..4_usize, 0..3_usize).prop_map(
        |(envelope, on_unknown, dedup_max_ids, lookahead)| ChannelPolicy {
            envelope,
            on_unknown,
            dedup_max_ids,
            lookahead,
            queue_max_events: 4,
            ..ChannelPolicy::default()
        },
    )
}

fn balanced(queue: &mut Queue, now: Time) {
    let depth = queue.depth(now);
    let ledger = queue.ledger();
    assert_eq!(ledger.entered(), ledger.ended() + depth.events as u64);
    let dead: u64 = ledger.dead_lettered.iter().sum();
    assert!(queue.take_dead().len() as u64 <= dead);
}

const LIMIT: usize = 100;

fn use_it(queue: &mut Queue, now: Time, outcomes: &[Outcome]) {
    let sent_before: Vec<u64> = queue.outs.iter().map(|out| out.n).collect();
    balanced(queue, now);
    let _ = queue.cancel(now, "a");
    let mut merged = event("1").key("a").merge(Merge::Sum);
    merged.ttl_ms = Some(100);
    let _ = queue.accept(now, merged);
    balanced(queue, now);
    for (round, outcome) in outcomes.iter().enumerate() {
        let now = now + Span::from_millis(round as u64 * 500);
        queue.timer();
        if let Some(payload) = queue.take(now) {
            if !sent_before.contains(&payload.n) {
                assert!(payload.text.len() <= LIMIT, "{payload:?}");
                assert!(!payload.text.is_empty());
            }
            queue.settle(now, payload.id, *outcome);
        }
        balanced(queue, now);
        let _ = queue.accept(now, event("2").high());
    }
    queue.purge(now, None, None);
    balanced(queue, now);
    if outcomes
        .iter()
        .all(|outcome| *outcome == Outcome::Delivered)
    {
        assert!(queue.is_empty(), "what is queued can leave");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 20_000 }))]
    #[test]
    fn anything_makes_a_queue(
        changes in proptest::collection::vec(change(), 0..40),
        policy in policy(),
        now in time(),
        next_n in number(),
        delivered in any::<bool>(),
        outcomes in proptest::collection::vec(prop_oneof![
            Just(Outcome::Delivered),
            Just(Outcome::Failed),
            Just(Outcome::Unknown),
            Just(Outcome::TooLarge),
            Just(Outcome::Rejected(Rejection::Validation)),
        ], 12),
    ) {
        // Payloads that were out go first; after as many deliveries the rest is new.
        let outcomes = if delivered { vec![Outcome::Delivered; 40] } else { outcomes };
        let mut rebuild = Rebuild::default();
        for change in changes {
            let _ = rebuild.apply(change);
        }
        rebuild.forget(now, policy.dedup_max_ids);
        let count = rebuild.len();
        let mut queue =
            Queue::rebuild(Arc::new(policy), LIMIT, next_n, Span::from_millis(200), now, Wall::default(), rebuild);
        prop_assert_eq!(queue.ledger().recovered, count as u64);
        let snapshot = queue.snapshot();
        let mut copy = queue.clone();
        use_it(&mut queue, now, &outcomes);
        // What it would write down makes a queue again.
        let mut again = Rebuild::default();
        for change in snapshot {
            prop_assert_eq!(again.apply(change), Ok(()));
        }
        prop_assert_eq!(again.len(), copy.len());
        use_it(&mut copy, Time::NEVER, &outcomes);
    }
}
