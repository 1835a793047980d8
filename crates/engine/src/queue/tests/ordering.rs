//! Order: priority, then max(accepted, at); nothing overtakes a queued event of its key.

use super::*;

/// Puts these at 1,000 ms, 1,001 ms, …, then takes one payload at 5,000 ms.
fn check_order(name: &str, events: Vec<Event>, text: &'static str) {
    let mut steps = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        steps.extend([Now(1000 + index as u64), Put(event.ttl(60_000))]);
    }
    steps.extend([Now(5000), Take(text)]);
    check(name, steps);
}

#[test]
fn by_priority_then_by_due_time() {
    check_order(
        "as accepted",
        vec![event("1"), event("2"), event("3")],
        "[1,2,3]",
    );
    check_order(
        "by priority",
        vec![event("1").low(), event("2"), event("3").high()],
        "[3,2,1]",
    );
    check_order(
        "by max(accepted, at)",
        vec![event("1").at(3000), event("2").at(2000), event("3")],
        "[3,2,1]",
    );
    check_order(
        "an `at` in the past is no advantage",
        vec![event("1"), event("2").at(1)],
        "[1,2]",
    );
    check_order(
        "priority before `at`",
        vec![event("1"), event("2").at(4000).high()],
        "[2,1]",
    );
    check_order(
        "equal moments: as accepted",
        vec![event("1").at(3000), event("2").at(3000)],
        "[1,2]",
    );
}

#[test]
fn nothing_overtakes_its_key() {
    check_order(
        "across priorities",
        vec![event("1").key("k").low(), event("2").key("k").high()],
        "[1,2]",
    );
    check_order(
        "the high one waits behind the low one's place",
        vec![
            event("1").key("k").low(),
            event("2").key("k").high(),
            event("3"),
            event("4").key("l"),
        ],
        "[3,4,1,2]",
    );
    check_order(
        "over a scheduled one",
        vec![
            event("1").key("k").at(3000),
            event("2").key("k"),
            event("3").at(2000),
        ],
        "[3,1,2]",
    );
    check(
        "not even while it is not due",
        vec![
            Put(event("1").key("k").at(3000)),
            Put(event("2").key("k").high()),
            Put(event("3").key("k")),
            Put(event("4")),
            Wants(Some((1000, 1000, false))),
            Take("[4]"),
            Settle(Outcome::Delivered),
            Wants(None),
            Nothing,
            Now(3000),
            Wants(Some((3000, 3000, false))),
            Take("[1,2,3]"),
        ],
    );
    check(
        "once the scheduled one is cancelled, the others go",
        vec![
            Put(event("1").key("k").at(3000).id("a")),
            Put(event("2").key("k")),
            Put(event("3").key("k").at(2000)),
            Put(event("4").key("k")),
            Cancel("a", Cancelled::Done),
            Take("[2]"),
            Settle(Outcome::Delivered),
            Now(2000),
            Take("[3,4]"),
        ],
    );
    check(
        "expired ones free those behind them",
        vec![
            Put(event("1").key("k").at(2000).ttl(500)),
            Put(event("2").key("k").at(3000)),
            Put(event("3").key("k")),
            Now(2600),
            Nothing,
            Now(3000),
            Take("[2,3]"),
        ],
    );
}

#[test]
fn nor_payloads_of_its_key() {
    check(
        "sent again, unchanged and first",
        vec![
            Put(event("1").key("k")),
            Take("[1]"),
            Put(event("2").key("k").high()),
            Put(event("3").high()),
            Settle(Outcome::Throttled(crate::call::ThrottleScope::Channel)),
            Wants(Some((1000, 1000, true))),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Take("[2,3]"),
        ],
    );
    check(
        "several payloads in flight",
        vec![
            Put(event("1").key("k")),
            Take("[1]"),
            Put(event("2").key("k").high()),
            Put(event("3")),
            Put(event("4").key("k")),
            Wants(Some((1000, 1000, false))),
            Take("[3]"),
            // All that is left belongs to a key in flight.
            Nothing,
            Wants(None),
            SettleNth(1, Outcome::Delivered),
            Nothing,
            Put(event("5")),
            Take("[5]"),
            SettleNth(0, Outcome::Delivered),
            Take("[2,4]"),
        ],
    );
    check(
        "what becomes due goes past the keys in flight",
        vec![
            Put(event("1").key("k")),
            Put(event("3").at(1500)),
            Take("[1]"),
            Put(event("2").key("k")),
            Nothing,
            Wants(None),
            Timer(Some(1500)),
            Now(1500),
            Wants(Some((1000, 1000, false))),
            Take("[3]"),
        ],
    );
}

#[test]
fn repacked_payloads_come_first_in_their_keys() {
    let wide = |digit: char| format!(r#""{}""#, digit.to_string().repeat(500));
    let (a, b) = (wide('a'), wide('b'));
    let both: &str = format!("[{a},{b}]").leak();
    let (a_alone, bc): (&str, &str) = (format!("[{a}]").leak(), format!("[{b},3,4]").leak());
    check(
        "too large at more than 1000 bytes",
        vec![
            Put(event(&a).key("k")),
            Put(event(&b).key("k")),
            Take(both),
            Put(event("3").key("k").high()),
            Put(event("4").key("k")),
            Settle(Outcome::TooLarge),
            Wants(Some((1000, 1000, true))),
            Take(a_alone),
            Settle(Outcome::Delivered),
            Take(bc),
            Settle(Outcome::Delivered),
            Holds(0, 0),
        ],
    );
}

#[test]
fn ageing() {
    check(
        "half the TTL up one, three quarters up two",
        vec![
            Put(event("1").low().ttl(4000)),
            Timer(Some(3000)),
            Now(2999),
            Put(event("2")),
            Put(event("3").high()),
            Now(3000),
            Timer(Some(4000)),
            Take("[3,1,2]"),
        ],
    );
    check(
        "up two",
        vec![
            Put(event("1").low().ttl(4000)),
            Now(3999),
            Put(event("3").high()),
            Now(4000),
            Timer(Some(5000)),
            Take("[1,3]"),
        ],
    );
    check(
        "a normal one rises once",
        vec![
            Put(event("1").ttl(4000)),
            Put(event("2").high()),
            Now(2999),
            Put(event("3").high()),
            Now(3000),
            Put(event("4").high()),
            Timer(Some(5000)),
            // 1 is as high as they are now, and came first.
            Take("[1,2,3,4]"),
        ],
    );
    check(
        "scheduled ones age from their moment",
        vec![
            Put(event("1").low().ttl(4000).at(3000)),
            Put(event("2").ttl(60_000)),
            Timer(Some(3000)),
            Now(4999),
            Timer(Some(5000)),
            Now(5000),
            Take("[2,1]"),
        ],
    );
    check(
        "a merge does not hold back the rise of the first",
        vec![
            Put(event("1").key("k").merge(Merge::Sum).low().ttl(4000)),
            Now(2500),
            Put(event("1").key("k").merge(Merge::Sum).low().ttl(4000)),
            Timer(Some(3000)),
            Put(event("9")),
            Now(3000),
            Take("[2,9]"),
        ],
    );
    check(
        "and none starves under a flood of high ones",
        vec![
            Put(event("1").low().ttl(4000)),
            Now(4500),
            Put(event("2").high()),
            Put(event("3").high()),
            Take("[1,2,3]"),
        ],
    );
}

#[test]
fn packing_looks_past_what_does_not_fit_only_when_told() {
    let small = |lookahead| ChannelPolicy {
        lookahead,
        ..array()
    };
    let events = || {
        vec![
            Put(event("111")),
            Put(event("222222222").key("k")),
            Put(event("3").key("k")),
            Put(event("444444444")),
            Put(event("5")),
        ]
    };
    for (lookahead, text) in [(0, "[111]"), (1, "[111]"), (2, "[111,5]")] {
        let mut steps = events();
        steps.push(Take(text));
        steps.extend([Settle(Outcome::Delivered), Take("[222222222]")]);
        check_with(
            &format!("lookahead {lookahead}"),
            small(lookahead),
            11,
            steps,
        );
    }
    check_with(
        "keys in flight are passed over freely",
        small(0),
        11,
        vec![
            Put(event("1").key("k")),
            Take("[1]"),
            Put(event("2").key("k")),
            Put(event("3").key("l")),
            Take("[3]"),
            Put(event("4").key("l")),
            Put(event("5")),
            Take("[5]"),
        ],
    );
}

/// What waits behind a scheduled event of its key lives no longer for that.
#[test]
fn behind_a_scheduled_event_of_its_key() {
    check(
        "it expires at its own deadline",
        vec![
            Put(event("1").key("k").at(60_000).waiter(1)),
            Put(event("2").key("k").ttl(500).waiter(2)),
            Put(event("3").key("k").ttl(700).id("c").waiter(3)),
            Wants(None),
            Timer(Some(1250)),
            Now(1499),
            Ends(vec![]),
            Now(1500),
            Ends(vec![(2, End::Expired)]),
            Holds(2, 5),
            Now(1700),
            Ends(vec![(3, End::Expired)]),
            Cancel("c", Cancelled::Gone),
            Timer(Some(60_000)),
            Now(60_000),
            Take("[1]"),
        ],
    );
    check(
        "one that lives longer leaves after it",
        vec![
            Put(event("1").key("k").at(5000)),
            Put(event("2").key("k").ttl(9000)),
            Put(event("3")),
            Take("[3]"),
            Now(5000),
            Take("[1,2]"),
        ],
    );
}
