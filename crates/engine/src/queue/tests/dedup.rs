//! Ids: duplicates within the window, its bounds, and cancelling.

use super::*;
use crate::policy::Overflow;
use crate::queue::ids::ENTRY_BYTES;
use crate::queue::{EventState, Replaced};

fn window(ms: u64, ids: usize) -> ChannelPolicy {
    ChannelPolicy {
        dedup_window: Span::from_millis(ms),
        dedup_max_ids: ids,
        ..array()
    }
}

#[test]
fn the_same_id_again_within_the_window() {
    let queue = check_with(
        "window",
        window(1000, 10),
        1024,
        vec![
            Put(event("1").id("a")),
            Duplicate(event("2").id("a")),
            Take("[1]"),
            Duplicate(event("2").id("a")),
            Settle(Outcome::Delivered),
            Now(1999),
            Duplicate(event("2").id("a")),
            // Counted from its acceptance; a duplicate does not prolong it.
            Now(2000),
            Put(event("2").id("a")),
            Duplicate(event("3").id("a")),
            Take("[2]"),
        ],
    );
    assert_eq!((queue.ledger().duplicates, queue.ledger().accepted), (4, 2));
}

#[test]
fn a_refused_event_is_not_remembered() {
    let policy = ChannelPolicy {
        queue_max_events: 1,
        ..window(1000, 10)
    };
    let full = Refusal::QueueFull {
        retry_after: Span::from_millis(200),
    };
    check_with(
        "refused",
        policy,
        1024,
        vec![
            Put(event("1")),
            Refuse(event("2").id("a"), full),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Put(event("2").id("a")),
        ],
    );
}

#[test]
fn beyond_the_bound_the_first_settled_are_forgotten() {
    check_with(
        "two settled ids",
        window(100_000, 2),
        1024,
        vec![
            Put(event("1").id("a")),
            Put(event("2").id("b")),
            Put(event("3").id("c").at(5000)),
            Put(event("4").id("d")),
            // All are queued, and queued ones do not count.
            Duplicate(event("0").id("a")),
            Cancel("d", Cancelled::Done),
            Take("[1,2]"),
            Settle(Outcome::Delivered),
            // d ended first.
            Duplicate(event("0").id("a")),
            Duplicate(event("0").id("b")),
            Duplicate(event("0").id("c")),
            Cancel("d", Cancelled::NeverSeen),
            Put(event("4").id("d")),
        ],
    );
    check_with(
        "no settled ids at all",
        window(100_000, 0),
        1024,
        vec![
            Put(event("1").id("a")),
            Duplicate(event("1").id("a")),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Put(event("1").id("a")),
        ],
    );
}

#[test]
fn a_queued_event_outlives_the_window() {
    check_with(
        "queued twice",
        window(100, 10),
        1024,
        vec![
            Put(event("1").id("a").at(5000).waiter(1)),
            Now(1100),
            Put(event("2").id("a").at(5000).waiter(2)),
            // The latest of the name is the one that is meant.
            Cancel("a", Cancelled::Done),
            Ends(vec![(2, End::Cancelled)]),
            Now(1200),
            Cancel("a", Cancelled::NeverSeen),
            Now(5000),
            Take("[1]"),
        ],
    );
    check_with(
        "cancelled after the window",
        window(100, 10),
        1024,
        vec![
            Put(event("1").id("a").at(5000)),
            Now(3000),
            Cancel("a", Cancelled::Done),
            Cancel("a", Cancelled::NeverSeen),
        ],
    );
}

#[test]
fn cancelling() {
    check(
        "the ways it ends",
        vec![
            Cancel("a", Cancelled::NeverSeen),
            Put(event("1").id("a").waiter(1)),
            Put(event("2").id("b")),
            Cancel("a", Cancelled::Done),
            Ends(vec![(1, End::Cancelled)]),
            // Asked again the answer is the same, and a resend is a duplicate.
            Cancel("a", Cancelled::Done),
            Duplicate(event("1").id("a")),
            Take("[2]"),
            Cancel("b", Cancelled::Gone),
            Settle(Outcome::Failed),
            Cancel("b", Cancelled::Gone),
            Take("[2]"),
            Settle(Outcome::Delivered),
            Cancel("b", Cancelled::Gone),
            Put(event("3").id("c").ttl(10)),
            Now(1010),
            Cancel("c", Cancelled::Gone),
        ],
    );
}

#[test]
fn purging() {
    let all = || {
        vec![
            Put(event("1").kind("t").key("k")),
            Put(event("2").kind("t")),
            Put(event("3").key("k").at(2000)),
            Put(event("4")),
            Put(event("5").kind("u").key("l")),
        ]
    };
    for (name, kind, key, count, text) in [
        ("by type", Some("t"), None, 2, "[4,5]"),
        ("by key", None, Some("k"), 2, "[2,4,5]"),
        ("by both", Some("t"), Some("k"), 1, "[2,4,5]"),
        ("nothing fits", Some("x"), None, 0, "[1,2,4,5]"),
    ] {
        check(
            name,
            [all(), vec![Purge(kind, key, count), Take(text)]].concat(),
        );
    }
    check(
        "all but what is in a payload",
        [
            all(),
            vec![
                Take("[1,2,4,5]"),
                Put(event("6")),
                Purge(None, None, 2),
                Settle(Outcome::Delivered),
                Holds(0, 0),
            ],
        ]
        .concat(),
    );
}

#[test]
fn nothing_waits_for_what_was_purged() {
    let scheduled = || vec![Put(event("1").at(3_600_000)), Timer(Some(3_600_000))];
    check(
        "with nothing else",
        [scheduled(), vec![Purge(None, None, 1), Timer(None)]].concat(),
    );
    check(
        "beside one that stays",
        [
            scheduled(),
            vec![
                Put(event("2").kind("t").at(1_800_000)),
                Timer(Some(1_800_000)),
                Purge(Some("t"), None, 1),
                Timer(Some(3_600_000)),
            ],
        ]
        .concat(),
    );
}

/// Else its channel would be kept until the moment of an event that is gone.
#[test]
fn the_scheduler_hears_that_there_is_nothing_to_wait_for() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 1, Span::ZERO);
    let events = [event("1").at(3_600_000), event("2").at(3_600_000).kind("t")];
    for event in events {
        queue.accept(ms(1000), event).expect("taken");
    }
    assert!(queue.wake());
    assert_eq!(
        (queue.demand(ms(1000)), queue.timer()),
        (None, Some(ms(3_600_000)))
    );
    assert!(!queue.wake());
    assert_eq!(queue.purge(ms(2000), Some("t"), None), 1);
    assert!(!queue.wake(), "the other one is still waited for");
    assert_eq!(queue.purge(ms(2000), None, None), 1);
    assert!(queue.wake());
    assert_eq!((queue.demand(ms(2000)), queue.timer()), (None, None));
    assert!(!queue.wake());
}

/// A queue with the ids of so many delivered events, all accepted at 1,000 ms.
fn with_ids(ids: usize, policy: &ChannelPolicy) -> Queue {
    let policy = ChannelPolicy {
        queue_max_events: 1 << 20,
        queue_max_bytes: 1 << 30,
        ..policy.clone()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    for number in 0..ids {
        let event = event("1").id(&format!("i{number}"));
        queue.accept(ms(1000), event).expect("taken");
    }
    while let Some(payload) = queue.take(ms(1000)) {
        queue.settle(ms(1000), payload.id, Outcome::Delivered);
    }
    queue
}

#[test]
fn ids_are_forgotten_by_themselves_and_few_at_a_time() {
    let mut queue = with_ids(100_000, &window(5000, 1 << 20));
    // The event of the first window to end is the last to end.
    queue
        .accept(ms(1000), event("1").id("late"))
        .expect("taken");
    queue
        .accept(ms(4000), event("2").id("next"))
        .expect("taken");
    assert_eq!(queue.cancel(ms(4000), "next"), Cancelled::Done);
    assert_eq!(queue.cancel(ms(4001), "late"), Cancelled::Done);
    let an_id = "i12345".len() + ENTRY_BYTES;
    assert!(queue.footprint() > 100_000 * (an_id - 6));
    let mut calls = 0;
    let mut at = ms(0);
    while queue.footprint() > "next".len() + ENTRY_BYTES {
        let before = queue.footprint();
        at = queue.timer().expect("something is to be forgotten");
        queue.demand(at);
        assert!(
            before - queue.footprint() <= 256 * an_id,
            "too many at once"
        );
        calls += 1;
    }
    assert!((ms(7000)..ms(8000)).contains(&at), "{at}");
    assert!(calls <= 400, "{calls}");
    assert_eq!(queue.timer(), Some(ms(10_000)), "a second late");
    queue.demand(ms(10_000));
    assert!(queue.is_idle());
    assert_eq!(queue.timer(), None);
}

#[test]
fn fewer_ids_are_remembered_at_once_and_go_a_few_at_a_time() {
    let mut queue = with_ids(10_000, &window(1 << 30, 10_000));
    queue.set_policy(Arc::new(window(1 << 30, 100)), 1024);
    let mut at = ms(1000);
    let mut left = queue.footprint();
    while left > 100 * (ENTRY_BYTES + 6) {
        at = queue.timer().expect("something is to be forgotten");
        queue.demand(at);
        assert!(left - queue.footprint() <= 256 * (ENTRY_BYTES + 6));
        left = queue.footprint();
    }
    assert!(at < ms(1100), "{at}");
}

#[test]
fn the_oldest_ids_make_room() {
    let mut queue = with_ids(1000, &window(1 << 30, 10_000));
    let queued = event("1").id("queued");
    queue.accept(ms(1000), queued.clone()).expect("taken");
    queue.accept(ms(1001), event("2").id("new")).expect("taken");
    assert_eq!(queue.cancel(ms(1001), "new"), Cancelled::Done);
    let before = queue.footprint();
    let freed = queue.forget_ids(ms(1001), 1000);
    // An id of "i0" to "i6" costs 154 bytes.
    assert_eq!(freed, 7 * 154);
    assert_eq!(queue.footprint(), before - freed);
    assert_eq!(queue.forget_ids(ms(1001), 0), 0);
    let again = queue.accept(ms(1001), event("1").id("i0"));
    assert_eq!(again, Ok(Admission::Accepted));
    let again = queue.accept(ms(1001), event("1").id("i999"));
    assert_eq!(again, Ok(Admission::Duplicate));
    let mut calls = 0;
    while queue.forget_ids(ms(1001), usize::MAX) > 0 {
        calls += 1;
    }
    assert_eq!(calls, 4, "256 a call");
    // What is queued is known still.
    let again = queue.accept(ms(1001), queued);
    assert_eq!(again, Ok(Admission::Duplicate));
    assert_eq!(queue.cancel(ms(1001), "queued"), Cancelled::Done);
    assert_eq!(queue.cancel(ms(1001), "new"), Cancelled::NeverSeen);
}

#[test]
fn whoever_drives_the_queue_hears_of_ids() {
    let policy = ChannelPolicy {
        offline: crate::policy::Offline::Drop,
        ..window(1000, 10)
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    queue.set_condition(crate::call::ChannelCondition {
        health: Health::Offline,
        entry: crate::call::Entry::ProbeFrom(ms(9000)),
        next_call: ms(9000),
        interval: Span::ZERO,
    });
    assert_eq!((queue.demand(ms(1000)), queue.timer()), (None, None));
    queue.accept(ms(1000), event("1").id("a")).expect("taken");
    assert!(queue.wake(), "an event that never was queued leaves its id");
    assert_eq!(queue.timer(), Some(ms(3000)));
    assert!(!queue.wake());
}

/// A queue with this policy, and what `replace` answers at 1 s.
fn replaced(queue: &mut Queue, event: Event) -> Result<Replaced, Refusal> {
    queue.replace(ms(1000), event)
}

/// The texts of all payloads that can be taken at `now`, as delivered.
fn delivered(queue: &mut Queue, now: u64) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(payload) = queue.take(ms(now)) {
        queue.settle(ms(now), payload.id, Outcome::Delivered);
        texts.push(payload.text.to_string());
    }
    texts
}

#[test]
fn another_event_takes_the_place_of_a_queued_one() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 1, Span::from_millis(10));
    for put in [
        event("1").id("a").key("k"),
        event("2").id("b").key("k"),
        event("3").id("c").key("k"),
        event("4").id("d"),
    ] {
        assert_eq!(queue.accept(ms(1000), put), Ok(Admission::Accepted));
    }
    let done = Ok(Replaced::Replaced);
    // With its key, or without one, it keeps its place; with another it goes behind that one's.
    assert_eq!(replaced(&mut queue, event("20").id("b").key("k")), done);
    assert_eq!(replaced(&mut queue, event("10").id("a")), done);
    assert_eq!(replaced(&mut queue, event("40").id("d").key("k")), done);
    assert_eq!(queue.ledger().cancelled, 3);
    assert_eq!(delivered(&mut queue, 1000), ["[10,20,3,40]"]);
    let Some(EventState::Ended(fate)) = queue.state_of(ms(1000), "b") else {
        panic!("it is remembered");
    };
    let expected = Fate {
        end: End::Delivered,
        n: Some(1),
        at: Some(wall(ms(1000))),
    };
    assert_eq!(fate, expected);
    // What was delivered stays so.
    assert_eq!(replaced(&mut queue, event("5").id("b")), Ok(Replaced::Gone));
    assert_eq!(
        replaced(&mut queue, event("6").id("new")),
        Ok(Replaced::Accepted)
    );
}

#[test]
fn a_cue_is_moved_and_keeps_its_moment_without_a_new_one() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 1, Span::from_millis(10));
    let scheduled = |at| Some(EventState::Scheduled { due: ms(at) });
    let put = event("1").id("a").at(5000);
    assert_eq!(queue.accept(ms(1000), put), Ok(Admission::Accepted));
    let done = Ok(Replaced::Replaced);
    assert_eq!(replaced(&mut queue, event("2").id("a")), done);
    assert_eq!(queue.state_of(ms(1000), "a"), scheduled(5000));
    assert_eq!(replaced(&mut queue, event("3").id("a").key("k")), done);
    assert_eq!(queue.state_of(ms(1000), "a"), scheduled(5000));
    assert_eq!(replaced(&mut queue, event("4").id("a").at(3000)), done);
    assert_eq!(queue.state_of(ms(1000), "a"), scheduled(3000));
    assert_eq!(delivered(&mut queue, 2999), [""; 0]);
    assert_eq!(delivered(&mut queue, 3000), ["[4]"]);
}

#[test]
fn a_replacement_that_is_refused_leaves_the_old_event() {
    let policy = ChannelPolicy {
        queue_max_bytes: 1024,
        overflow: Overflow::Reject,
        ..array()
    };
    let mut queue = Queue::new(Arc::new(policy), 1000, 1, Span::from_millis(10));
    let long = |length: usize| format!("\"{}\"", "x".repeat(length));
    for (id, length) in [("a", 10), ("b", 900)] {
        let put = event(&long(length)).id(id);
        assert_eq!(queue.accept(ms(1000), put), Ok(Admission::Accepted));
    }
    let before = queue.snapshot();
    let full = Err(Refusal::QueueFull {
        retry_after: Span::from_millis(10),
    });
    assert_eq!(replaced(&mut queue, event(&long(300)).id("a")), full);
    assert_eq!(queue.snapshot(), before);
    assert_eq!(queue.ledger().cancelled, 0);
}
