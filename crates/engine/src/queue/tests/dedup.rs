//! Ids: duplicates within the window, its bounds, and cancelling.

use super::*;

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
