//! Bounds: what a full queue evicts or refuses, and what would expire.

use super::*;
use crate::policy::Overflow::{self, DropLowestPriority, DropOldest, Reject};

const FULL: Refusal = Refusal::QueueFull {
    retry_after: Span::from_millis(200),
};

fn of(overflow: Overflow, events: usize, bytes: usize) -> ChannelPolicy {
    ChannelPolicy {
        overflow,
        queue_max_events: events,
        queue_max_bytes: bytes,
        ..array()
    }
}

#[test]
fn a_full_queue_of_events() {
    let policy = |overflow| of(overflow, 3, 1000);
    let three = || {
        vec![
            Put(event("1").waiter(1)),
            Put(event("2").low().waiter(2)),
            Put(event("3").low().waiter(3)),
        ]
    };
    let check = |name: &str, overflow, more: Vec<Step>| {
        check_with(name, policy(overflow), 1024, [three(), more].concat());
    };
    check(
        "reject",
        Reject,
        vec![
            Refuse(event("4").high(), FULL),
            Ends(vec![]),
            Take("[1,2,3]"),
        ],
    );
    check(
        "the oldest of the lowest goes",
        DropLowestPriority,
        vec![
            Put(event("4")),
            Ends(vec![(2, End::Evicted)]),
            Put(event("5").high()),
            Ends(vec![(3, End::Evicted)]),
            // 4 is as high as 6: no eviction among equals.
            Refuse(event("6"), FULL),
            Refuse(event("6").low(), FULL),
            Put(event("7").high()),
            Ends(vec![(1, End::Evicted)]),
            Take("[5,7,4]"),
        ],
    );
    check(
        "drop oldest",
        DropOldest,
        vec![
            Put(event("4").low()),
            Ends(vec![(1, End::Evicted)]),
            Take("[2,3,4]"),
            // All that is left is in flight.
            Refuse(event("5").high(), FULL),
            Settle(Outcome::Throttled(crate::call::ThrottleScope::Unnamed)),
            Refuse(event("5").high(), FULL),
        ],
    );
    check(
        "what has risen is low no more",
        DropLowestPriority,
        vec![
            Now(6000),
            Refuse(event("4"), FULL),
            Put(event("4").high()),
            Ends(vec![(2, End::Evicted)]),
        ],
    );
}

#[test]
fn a_full_queue_of_bytes() {
    let text = |bytes: usize| event(&format!("\"{}\"", "x".repeat(bytes - 2)));
    check_with(
        "feasible",
        of(DropLowestPriority, 100, 100),
        1024,
        vec![
            Put(text(40).low().waiter(1)),
            Put(text(40).low().waiter(2)),
            Put(text(20).waiter(3)),
            Put(text(50)),
            Ends(vec![(1, End::Evicted), (2, End::Evicted)]),
            Holds(2, 70),
        ],
    );
    check_with(
        "not feasible: nothing is evicted",
        of(DropLowestPriority, 100, 100),
        1024,
        vec![
            Put(text(40).low().waiter(1)),
            Put(text(60).waiter(2)),
            Refuse(
                text(41)
                    .high()
                    .say(|event| event.content.priority = Priority::Normal),
                FULL,
            ),
            Ends(vec![]),
            Holds(2, 100),
            Put(text(40)),
            Ends(vec![(1, End::Evicted)]),
        ],
    );
    check_with(
        "larger than the whole bound",
        of(DropOldest, 100, 100),
        1024,
        vec![
            Put(text(40).waiter(1)),
            Refuse(text(101), FULL),
            Ends(vec![]),
        ],
    );
    check_with(
        "type, key and id count",
        of(Reject, 100, 10),
        1024,
        vec![
            Put(event("1").kind("ty").key("key").id("abcd")),
            Holds(1, 10),
            Refuse(event("1"), FULL),
            Take("[1]"),
            // In flight it counts still.
            Refuse(event("1"), FULL),
            Settle(Outcome::Delivered),
            Put(event("1")),
        ],
    );
}

#[test]
fn evicting_what_is_no_candidate() {
    check_with(
        "a scheduled one",
        of(DropLowestPriority, 2, 1000),
        1024,
        vec![
            Put(event("1").low().at(3000).waiter(1)),
            Put(event("2").low().at(2000).waiter(2)),
            Put(event("3")),
            Ends(vec![(2, End::Evicted)]),
        ],
    );
    check_with(
        "the head of a key frees those behind it",
        of(DropOldest, 2, 1000),
        1024,
        vec![
            Put(event("1").key("k").at(3000).waiter(1)),
            Put(event("2").key("k").waiter(2)),
            Put(event("3")),
            Take("[3]"),
        ],
    );
}

#[test]
fn would_expire() {
    let text = |bytes: usize| event(&format!("\"{}\"", "x".repeat(bytes - 2)));
    let refusal = |wait, ttl| Refusal::WouldExpire {
        wait: Span::from_millis(wait),
        retry_after: Span::from_millis(wait - ttl),
    };
    let fill = || {
        vec![
            Put(text(500)),
            Put(text(500)),
            Put(text(500)),
            Put(text(500)),
            Put(text(500)),
        ]
    };
    let check = |name: &str, policy, more: Vec<Step>| {
        check_with(name, policy, 1024, [fill(), more].concat());
    };
    // 2,505 bytes are two full payloads of 1,022, and a pace of 200 ms.
    check(
        "at its priority",
        array(),
        vec![
            Refuse(event("1").ttl(399), refusal(400, 399)),
            Put(event("1").ttl(400)),
        ],
    );
    check(
        "a higher priority has nothing ahead",
        array(),
        vec![Put(event("1").ttl(1).high())],
    );
    check(
        "a lower priority has all ahead",
        array(),
        vec![Refuse(event("1").ttl(1).low(), refusal(400, 1))],
    );
    check(
        "a future `at` is not refused",
        array(),
        vec![Put(event("1").ttl(1).at(1001))],
    );
    check(
        "nor while offline",
        array(),
        vec![
            ChannelCondition(Health::Offline, 5000, 200),
            Put(event("1").ttl(1)),
        ],
    );
    let oldest = ChannelPolicy {
        overflow: DropOldest,
        ..array()
    };
    check(
        "nor under drop_oldest",
        oldest,
        vec![Put(event("1").ttl(1))],
    );
    check(
        "the pace counts",
        array(),
        vec![
            ChannelCondition(Health::Live, 0, 1000),
            Refuse(event("1").ttl(1500), refusal(2000, 1500)),
            ChannelCondition(Health::Failing, 0, 10),
            Put(event("1").ttl(21)),
        ],
    );
    let raw = ChannelPolicy {
        envelope: Envelope::Raw,
        ..array()
    };
    check(
        "raw: a payload each",
        raw,
        vec![Refuse(event("1").ttl(999), refusal(1000, 999))],
    );
}

/// What is queued, in the link's words; then how long it takes once it may leave, and from now on.
#[test]
fn the_time_that_a_backlog_takes() {
    let check = |next_call_ms: u64, is_sent: bool, expected_ms: (u64, u64)| {
        let mut queue = Queue::new(Arc::new(array()), 1024, 1, Span::ZERO);
        queue.set_condition(crate::call::ChannelCondition {
            health: Health::Failing,
            entry: crate::call::Entry::Open,
            next_call: ms(next_call_ms),
            interval: Span::from_millis(200),
        });
        let payload = is_sent.then(|| {
            queue.accept(ms(1000), event("1")).expect("taken");
            queue.take(ms(1000)).expect("a payload")
        });
        if payload.is_none() {
            queue.accept(ms(1000), event("1")).expect("taken");
        }
        let depth = queue.depth(ms(1000));
        let found = (depth.eta.millis_ceil(), depth.leaves_in.millis_ceil());
        assert_eq!(found, expected_ms, "next call at {next_call_ms}, {is_sent}");
    };
    check(0, false, (200, 200));
    // The pace covers a wait for one interval.
    check(1200, false, (200, 200));
    check(6000, false, (200, 5000));
    // In flight, so that it waits for no call.
    check(6000, true, (200, 200));
}
