//! Queues built again after a crash: scripts before it, the moment of it, scripts after it.
//! Each runs from every change since the start, and from a snapshot.

use super::*;
use crate::call::ThrottleScope;
use crate::event::Content;
use crate::policy::{Offline, OnUnknown};
use crate::queue::{Change, DeadLetter, DeadLetterReason, QueuedEvent, Rebuild, Unusable};

fn rebuilt(
    policy: ChannelPolicy,
    payload_max: usize,
    next_n: u64,
    at: Time,
    changes: Vec<Change>,
) -> Queue {
    let mut rebuild = Rebuild::default();
    for change in changes {
        rebuild.apply(change).expect("written by a queue");
    }
    let interval = Span::from_millis(200);
    Queue::rebuild(
        Arc::new(policy),
        payload_max,
        next_n,
        interval,
        at,
        Wall::default(),
        rebuild,
    )
}

/// Runs `before` from 1,000 ms on, builds the queue again at `at` ms, runs `after`.
fn check_crash(
    name: &str,
    policy: &ChannelPolicy,
    before: &[Step],
    at: u64,
    after: &[Step],
) -> Queue {
    let run = |from_snapshot: bool| {
        let mut first = Run::new(policy.clone(), 1024);
        first.queue.keep_changes();
        let mut label = format!("{name}, before");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for step in before {
                label = format!("{name}, before the crash: {step:?}");
                first.step(step.clone());
            }
            let changes = if from_snapshot {
                first.queue.snapshot()
            } else {
                first.queue.take_changes()
            };
            let limit = first.queue.payload_max();
            label = format!("{name}, crash");
            let mut second = Run {
                queue: rebuilt(policy.clone(), limit, 0, ms(at), changes),
                now: ms(at),
                taken: Vec::new(),
            };
            assert_eq!(second.queue.ledger().recovered, first.queue.len() as u64);
            second.balanced();
            for (index, step) in after.iter().enumerate() {
                label = format!("{name}, step {index} after the crash: {step:?}");
                second.step(step.clone());
            }
            second.queue
        }));
        let Ok(queue) = result else {
            panic!("failed: {label}, from_snapshot {from_snapshot}");
        };
        queue
    };
    let (from_snapshot, from_changes) = (run(true), run(false));
    assert_eq!(from_snapshot.ledger(), from_changes.ledger(), "{name}");
    from_changes
}

fn cue() -> ChannelPolicy {
    ChannelPolicy::default()
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn what_was_queued_goes_on() {
    let sum = |data: &str| event(data).key("k").merge(Merge::Sum);
    check_crash(
        "merged",
        &array(),
        &[
            Put(sum("1").id("a")),
            Put(event("9")),
            Put(sum("2").id("b")),
        ],
        1000,
        &[
            Holds(2, 4),
            Duplicate(event("0").id("a")),
            Cancel("a", Cancelled::Gone),
            Put(sum("4")),
            Cancel("b", Cancelled::Gone),
            Take("[7,9]"),
        ],
    );
    check_crash(
        "lines of keys",
        &array(),
        &[
            Put(event("1").key("k").at(2000)),
            Put(event("2").key("k").high()),
            Put(event("3").low()),
            Put(event("4").high()),
        ],
        1500,
        &[
            Timer(Some(2000)),
            Take("[4,3]"),
            Settle(Outcome::Delivered),
            Nothing,
            Now(2000),
            Take("[1,2]"),
        ],
    );
    check_crash(
        "ages",
        &array(),
        &[
            Put(event("1").low().ttl(1000)),
            Now(1500),
            Put(event("2").high().ttl(1000)),
            Put(event("3").ttl(400)),
            Put(event("4").ttl(1000)),
        ],
        1600,
        // The first has risen once and goes before those of its new priority.
        &[Take("[2,1,3,4]")],
    );
}

#[test]
fn payloads_that_were_out_go_again() {
    let before = [
        Put(event("1").id("a")),
        Take(r#"{"v":1,"n":100,"e":[{"d":1}]}"#),
        Put(event("2").high()),
    ];
    let after = [
        Cancel("a", Cancelled::Gone),
        Duplicate(event("0").id("a")),
        Wants(Some((1000, 1000, true))),
        Take(r#"{"v":1,"n":100,"e":[{"d":1}]}"#),
        Settle(Outcome::Failed),
        Take(r#"{"v":1,"n":100,"e":[{"d":1}]}"#),
        Settle(Outcome::Delivered),
        // Numbers go on beyond every one seen, whatever was reserved.
        Take(r#"{"v":1,"n":101,"e":[{"d":2}]}"#),
    ];
    check_crash("in flight", &cue(), &before, 1000, &after);
    let mut throttled = before.to_vec();
    throttled.push(Settle(Outcome::Throttled(ThrottleScope::Channel)));
    check_crash("waiting to go again", &cue(), &throttled, 1000, &after);
    let queue = check_crash(
        "sent in vain until its time was over",
        &cue(),
        &before[..2],
        50_000,
        &[Nothing, Holds(0, 0)],
    );
    assert_eq!(
        queue.ledger().dead_lettered[DeadLetterReason::Expired as usize],
        1
    );
}

#[test]
fn a_dissolved_payload_is_packed_anew() {
    let (one, two) = ("1".repeat(500), "2".repeat(510));
    let both = leaked(format!("[{one},{two}]"));
    let first = leaked(format!("[{one}]"));
    let queue = check_crash(
        "dissolved",
        &array(),
        &[
            Put(event(&one).key("k")),
            Put(event(&two).key("k")),
            Take(both),
            Put(event("3").key("k")),
            Settle(Outcome::TooLarge),
        ],
        1000,
        &[
            Take(first),
            Settle(Outcome::Delivered),
            Now(50_000),
            Nothing,
        ],
    );
    // The second was sent before, in vain; the third was not.
    assert_eq!(
        queue.ledger().dead_lettered[DeadLetterReason::Expired as usize],
        1
    );
    assert_eq!(queue.ledger().expired, 1);
}

#[test]
fn an_unknown_outcome_ends_events_where_the_policy_says_so() {
    let at_most_once = ChannelPolicy {
        on_unknown: OnUnknown::Drop,
        ..array()
    };
    let unknown = DeadLetterReason::Unknown as usize;
    let sent = [Put(event("1").id("a")), Take("[1]")];
    let queue = check_crash("in flight", &at_most_once, &sent, 1000, &[Nothing]);
    assert_eq!(queue.ledger().dead_lettered[unknown], 1);

    let mut refused = sent.to_vec();
    refused.push(Settle(Outcome::Throttled(ThrottleScope::Channel)));
    let queue = check_crash("not taken", &at_most_once, &refused, 1000, &[Take("[1]")]);
    assert_eq!(queue.ledger().dead_lettered[unknown], 0);

    refused.push(Take("[1]"));
    let mut queue = check_crash("sent again", &at_most_once, &refused, 1000, &[Nothing]);
    assert_eq!(queue.ledger().dead_lettered[unknown], 1);
    // The end is in the journal, and the letter is handed out.
    let changes = queue.take_changes();
    assert!(
        matches!(changes[..], [Change::Ended { seq: 0, .. }]),
        "{changes:?}"
    );
    let dead = queue.take_dead();
    assert_eq!(
        (dead[0].n, dead[0].reason),
        (Some(100), DeadLetterReason::Unknown)
    );
}

#[test]
fn the_wall_clock_may_step() {
    let far = ChannelPolicy {
        dedup_window: Span::from_millis(1000),
        ttl_ms: 5000,
        ..array()
    };
    let back = check_crash(
        "back by 50 s",
        &far,
        &[
            Now(100_000),
            Put(event("1").id("a").low()),
            Put(event("2").at(110_000)),
        ],
        50_000,
        &[
            Wants(Some((50_000, 50_000, false))),
            Now(50_999),
            Duplicate(event("0").id("a")),
            Now(51_000),
            Put(event("3").id("a").ttl(60_000)),
            // It rises at half of what it has left.
            Now(52_500),
            Put(event("4").ttl(1)),
            Take("[1,3,4]"),
            Settle(Outcome::Delivered),
            Timer(Some(110_000)),
            Now(110_000),
            Take("[2]"),
        ],
    );
    assert_eq!(back.ledger().ended(), 3);
    let queue = check_crash(
        "what lives longer than it may",
        &far,
        &[Now(100_000), Put(event("1"))],
        50_000,
        &[Now(54_999), Holds(1, 1), Now(55_000), Holds(0, 0)],
    );
    assert_eq!(queue.ledger().expired, 1);
    let latest = |data: &str| event(data).key("k").merge(Merge::Replace);
    check_crash(
        "an item merged for long lives as long as its latest event",
        &far,
        &[
            Now(100_000),
            Put(latest("1")),
            Now(104_000),
            Put(latest("2")),
            Now(108_000),
            Put(latest("3").ttl(3000)),
        ],
        50_000,
        &[Now(52_999), Holds(1, 2), Now(53_000), Holds(0, 0)],
    );
    let queue = check_crash(
        "forward by a day",
        &far,
        &[Put(event("1")), Put(event("2").id("a").at(2000))],
        86_400_000,
        &[Put(event("3").id("a")), Take("[3]")],
    );
    assert_eq!((queue.ledger().recovered, queue.ledger().expired), (2, 2));
}

#[test]
fn ids_are_remembered() {
    let policy = ChannelPolicy {
        dedup_window: Span::from_millis(1000),
        dedup_max_ids: 2,
        ..array()
    };
    check_crash(
        "ended ids, the last two of them",
        &policy,
        &[
            Put(event("1").id("a")),
            Put(event("2").id("b")),
            Cancel("a", Cancelled::Done),
            Cancel("b", Cancelled::Done),
            Now(1500),
            Put(event("3").id("c")),
            Take("[3]"),
            Settle(Outcome::Delivered),
        ],
        1900,
        &[
            Cancel("a", Cancelled::NeverSeen),
            Cancel("b", Cancelled::Done),
            Cancel("c", Cancelled::Gone),
            Duplicate(event("0").id("b")),
            Now(2000),
            Cancel("b", Cancelled::NeverSeen),
            Cancel("c", Cancelled::Gone),
            Now(2500),
            Put(event("0").id("c")),
        ],
    );
    check_crash(
        "an id that was accepted twice",
        &policy,
        &[
            Put(event("1").id("a").at(60_000)),
            Now(2000),
            Put(event("2").id("a")),
            Take("[2]"),
            Settle(Outcome::Delivered),
        ],
        2500,
        &[
            Duplicate(event("0").id("a")),
            Cancel("a", Cancelled::Gone),
            Now(3000),
            Cancel("a", Cancelled::NeverSeen),
            Holds(1, 2),
        ],
    );
    check_crash(
        "an id whose window was over before its event ended counts for nothing",
        &policy,
        &[
            Put(event("1").id("a").at(1900)),
            Now(1950),
            Put(event("2").id("b")),
            Put(event("3").id("c")),
            Cancel("b", Cancelled::Done),
            Cancel("c", Cancelled::Done),
            Now(2100),
            Take("[1]"),
            Settle(Outcome::Delivered),
        ],
        2200,
        &[
            Cancel("a", Cancelled::NeverSeen),
            Cancel("b", Cancelled::Done),
            Cancel("c", Cancelled::Done),
        ],
    );
    let dropping = ChannelPolicy {
        offline: Offline::Drop,
        ..policy
    };
    let queue = check_crash(
        "dropped while offline",
        &dropping,
        &[
            ChannelCondition(Health::Offline, 9000, 200),
            Put(event("1").id("a").waiter(7)),
            Put(event("2")),
        ],
        1999,
        &[
            Duplicate(event("0").id("a")),
            Cancel("a", Cancelled::Gone),
            Now(2000),
            Put(event("3").id("a")),
            Take("[3]"),
        ],
    );
    assert_eq!(queue.ledger().recovered, 0);
}

#[test]
fn limits_that_fell_meanwhile_keep_what_is_queued() {
    let mut first = Run::new(array(), 1024);
    first.queue.keep_changes();
    for data in ["1", "22222222", "3"] {
        first.step(Put(event(data).id(data)));
    }
    let policy = ChannelPolicy {
        queue_max_events: 1,
        queue_max_bytes: 1,
        ..array()
    };
    let changes = first.queue.take_changes();
    let mut second = Run {
        queue: rebuilt(policy, 8, 7, ms(1000), changes),
        now: ms(1000),
        taken: Vec::new(),
    };
    second.step(Holds(3, 20));
    second.step(Take("[1,3]"));
    let dead = second.queue.take_dead();
    assert_eq!(
        dead,
        [DeadLetter {
            content: event("22222222").id("22222222").content,
            due: ms(1000),
            reason: DeadLetterReason::TooLarge,
            n: None,
        }]
    );
}

#[test]
fn what_fits_nothing_is_ignored() {
    let kept = |seq: u64, data: &str| QueuedEvent {
        seq,
        place_seq: seq,
        due: ms(1000),
        scheduled: None,
        deadline: ms(9000),
        ttl_ms: 8000,
        content: Content::new(Data::Json(data.into())),
        level: Priority::Normal,
        rises: ms(5000),
        dedup_until: None,
        sent: false,
    };
    let fate = Fate::of(End::Delivered);
    let packed = |n: u64, seqs: &[u64]| Change::Packed {
        n,
        text: format!("[{n}]").into(),
        seqs: seqs.to_vec(),
        slices: None,
    };
    let changes = vec![
        Change::Ended { seq: 4, fate },
        Change::Ended {
            seq: u64::MAX,
            fate,
        },
        Change::Dissolved { n: 4 },
        Change::Returned { n: 4 },
        packed(4, &[17]),
        Change::Queued(kept(3, "3")),
        Change::Queued(kept(3, "33")),
        Change::Queued(kept(1, "1")),
        Change::Queued(kept(2, "\"torn")),
        Change::Queued(kept(1 << 53, "5")),
        // In one payload only, and in none of an impossible number.
        packed(u64::MAX, &[1]),
        packed(9, &[3, 3, 8]),
        packed(10, &[3]),
    ];
    let mut rebuild = Rebuild::default();
    let applied = changes.into_iter().map(|change| rebuild.apply(change));
    let refused: Vec<_> = applied.filter_map(Result::err).collect();
    assert_eq!(
        refused,
        [
            Unusable::Twice { seq: 3 },
            Unusable::Data { seq: 2 },
            Unusable::Number { number: 1 << 53 },
            Unusable::Number { number: u64::MAX },
        ]
    );
    let interval = Span::from_millis(200);
    let policy = Arc::new(array());
    let mut queue = Queue::rebuild(
        policy,
        1024,
        0,
        interval,
        ms(1000),
        Wall::default(),
        rebuild,
    );
    assert_eq!((queue.len(), queue.ledger().recovered), (2, 2));
    let texts: Vec<_> = std::iter::from_fn(|| queue.take(ms(1000)))
        .map(|payload| (payload.n, payload.text.to_string(), payload.events))
        .collect();
    assert_eq!(texts, [(9, "[9]".to_owned(), 1), (11, "[1]".to_owned(), 1)]);

    // The journal ends in the middle of a payload's end.
    let changes = vec![
        Change::Queued(kept(5, "5")),
        Change::Queued(kept(6, "6")),
        packed(7, &[5, 6]),
        Change::Ended { seq: 5, fate },
    ];
    let mut queue = rebuilt(array(), 1024, 0, ms(1000), changes);
    let payload = queue.take(ms(1000)).expect("the rest of it");
    assert_eq!((payload.n, payload.events), (7, 1));
    queue.settle(ms(1000), payload.id, Outcome::Delivered);
    assert!(queue.is_empty());
}

#[test]
fn nothing_is_recorded_unasked() {
    let mut run = Run::new(array(), 1024);
    for step in [
        Put(event("1").id("a")),
        Take("[1]"),
        Settle(Outcome::Rejected(crate::call::Rejection::Validation)),
    ] {
        run.step(step);
        assert!(!run.queue.has_changes());
        assert_eq!(run.queue.take_changes(), []);
    }
    assert!(run.queue.has_dead());
    assert_eq!(run.queue.take_dead().len(), 1);
    assert!(!run.queue.has_dead());
    // From now on, in a copy too.
    run.queue.keep_changes();
    run.step(Put(event("2")));
    let mut trial = run.queue.clone();
    trial.accept(ms(1000), event("3")).expect("taken");
    run.queue.keep_changes();
    assert_eq!(run.queue.take_changes().len(), 1);
    assert_eq!(trial.take_changes().len(), 2);
}

/// What no queue can have written is refused by name, and never left out in silence.
#[test]
fn what_cannot_be_used_is_told() {
    let mut queue = Queue::new(
        Arc::new(ChannelPolicy::default()),
        1024,
        1,
        Span::from_millis(200),
    );
    queue.keep_changes();
    let now = Time::from_micros(1_000_000);
    queue
        .accept(now, Event::new(Data::Json("1".into())))
        .expect("accepted");
    let mut changes = queue.take_changes();
    let Some(Change::Queued(kept)) = changes.pop() else {
        panic!("it is queued");
    };
    let with = |change: fn(&mut QueuedEvent)| {
        let mut kept = kept.clone();
        change(&mut kept);
        Change::Queued(kept)
    };
    let mut rebuild = Rebuild::default();
    assert_eq!(rebuild.apply(with(|_| {})), Ok(()));
    let seq = kept.seq;
    assert_eq!(rebuild.apply(with(|_| {})), Err(Unusable::Twice { seq }));
    let broken = with(|kept| kept.content.data = Data::Json(r#"{"d":000000}"#.into()));
    assert_eq!(rebuild.apply(broken), Err(Unusable::Data { seq }));
    let number = u64::MAX;
    let impossible = with(|kept| kept.place_seq = u64::MAX);
    assert_eq!(rebuild.apply(impossible), Err(Unusable::Number { number }));
    let packed = Change::Packed {
        n: number,
        text: "".into(),
        seqs: vec![],
        slices: None,
    };
    assert_eq!(rebuild.apply(packed), Err(Unusable::Number { number }));
    assert_eq!(rebuild.len(), 1);
}

/// Changes that were written apart have moments that were read apart.
#[test]
fn a_replaced_event_keeps_its_place_whatever_its_moment_is_off_by() {
    for off in [Span::ZERO, Span::from_micros(7)] {
        let mut first = Queue::new(Arc::new(array()), 1024, 1, Span::from_millis(200));
        first.keep_changes();
        for data in ["1", "2"] {
            let event = event(data).id(data).ttl(60_000);
            first.accept(ms(1000), event).expect("taken");
        }
        let mut changes = first.take_changes();
        let moved = event("10").id("1").ttl(60_000);
        first.replace(ms(1500), moved).expect("taken");
        changes.extend(first.take_changes().into_iter().map(|change| match change {
            Change::Queued(queued) => Change::Queued(QueuedEvent {
                due: queued.due + off,
                ..queued
            }),
            change => change,
        }));
        let mut second = rebuilt(array(), 1024, 1, ms(2000), changes);
        let payload = second.take(ms(2000)).expect("two events");
        assert_eq!(&*payload.text, "[10,2]", "{off:?}");
    }
}
