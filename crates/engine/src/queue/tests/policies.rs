//! Rules that change with events queued, and the policies of an offline stream.

use super::*;
use crate::envelope::EnvelopeFields;
use crate::policy::{Offline, OnUnknown};
use crate::queue::DeadLetterReason;

#[test]
fn the_envelope_changes_under_queued_events() {
    let cue = ChannelPolicy::default();
    let raw = ChannelPolicy {
        envelope: Envelope::Raw,
        ..cue.clone()
    };
    let events = || {
        vec![
            Put(event("1").kind("t")),
            Put(event("2").kind("t").at(2000)),
            Put(event("3").key("k").at(2000)),
            Put(event("4").key("k")),
        ]
    };
    check(
        "to cue",
        [
            events(),
            vec![
                Policy(cue.clone(), 1024),
                Take(r#"{"v":1,"n":100,"e":[{"d":1,"t":"t"}]}"#),
                Settle(Outcome::Delivered),
                Now(2000),
                Take(r#"{"v":1,"n":101,"e":[{"d":2,"t":"t"},{"d":3},{"d":4}]}"#),
            ],
        ]
        .concat(),
    );
    check(
        "to raw and back",
        [
            events(),
            vec![
                Policy(raw.clone(), 1024),
                Wants(Some((1000, 1000, true))),
                Take("1"),
                Settle(Outcome::Delivered),
                Now(2000),
                Take("2"),
                Settle(Outcome::Delivered),
                Policy(array(), 1024),
                Wants(Some((2000, 2000, false))),
                Take("[3,4]"),
            ],
        ]
        .concat(),
    );
    check(
        "while a payload is in flight it keeps its text",
        vec![
            Put(event("1")),
            Take("[1]"),
            Policy(raw.clone(), 1024),
            Settle(Outcome::Failed),
            Take("[1]"),
        ],
    );
    check(
        "an empty string fits no raw payload",
        vec![
            Put(event(r#""""#).waiter(1)),
            Put(event("2")),
            Policy(raw, 1024),
            Take("2"),
            Ends(vec![(1, End::DeadLettered(DeadLetterReason::Validation))]),
        ],
    );
}

#[test]
fn a_payload_that_was_packed_by_other_rules() {
    let cue = ChannelPolicy::default();
    let wide = || format!("\"{}\"", "x".repeat(480));
    let fields = ChannelPolicy {
        fields: EnvelopeFields {
            kind: true,
            key: true,
            id: true,
        },
        ..cue
    };
    let kind = "t".repeat(64);
    check(
        "a dissolved payload is measured by the new rules",
        vec![
            Put(event(&wide()).kind(&kind)),
            Put(event(&wide()).kind(&kind)),
            Put(event("3")),
            Put(event(&wide())),
            Take(format!("[{0},{0},3]", wide()).leak()),
            SettleNth(0, Outcome::Failed),
            Policy(fields.clone(), 1024),
            Take(format!("[{0},{0},3]", wide()).leak()),
            Holds(4, 3 * 482 + 1 + 128),
        ],
    );
    let long = || format!("\"{}\"", "x".repeat(500));
    check(
        "likewise, at more than 1000 bytes",
        vec![
            Put(event(&long()).kind(&kind)),
            Put(event(&long()).kind(&kind)),
            Take(format!("[{0},{0}]", long()).leak()),
            Policy(fields, 1024),
            Settle(Outcome::TooLarge),
            Take(format!(r#"{{"v":1,"n":101,"e":[{{"d":{},"t":"{kind}"}}]}}"#, long()).leak()),
        ],
    );
}

#[test]
fn limits_change_under_queued_events() {
    let wide = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    check(
        "payloads become smaller",
        vec![
            Put(event(&wide(100))),
            Put(event(&wide(200)).waiter(2)),
            Put(event("3")),
            Wants(Some((1000, 1000, false))),
            Policy(array(), 102),
            Wants(Some((1000, 1000, true))),
            Take(format!("[{}]", wide(100)).leak()),
            Settle(Outcome::Delivered),
            Take("[3]"),
            Ends(vec![(2, End::DeadLettered(DeadLetterReason::TooLarge))]),
        ],
    );
    let small = ChannelPolicy {
        queue_max_events: 1,
        ..array()
    };
    let full = Refusal::QueueFull {
        retry_after: Span::from_millis(200),
    };
    check(
        "the queue becomes smaller: nothing that was accepted is harmed",
        vec![
            Put(event("1")),
            Put(event("2")),
            Put(event("3").low()),
            Policy(small, 1024),
            Holds(3, 3),
            Refuse(event("4"), full),
            Take("[1,2,3]"),
        ],
    );
}

#[test]
fn offline() {
    let of = |offline| ChannelPolicy { offline, ..array() };
    let dead = End::DeadLettered(DeadLetterReason::Offline);
    let down = || ChannelCondition(Health::Offline, 3000, 200);
    check_with(
        "hold",
        of(Offline::Hold),
        1024,
        vec![
            Put(event("1").waiter(1).ttl(900)),
            Take("[1]"),
            Settle(Outcome::Offline),
            down(),
            Put(event("2")),
            Ends(vec![]),
            Take("[1]"),
            Settle(Outcome::Offline),
            Now(1900),
            Ends(vec![(1, End::DeadLettered(DeadLetterReason::Expired))]),
            Take("[2]"),
        ],
    );
    check_with(
        "drop",
        of(Offline::Drop),
        1024,
        vec![
            Put(event("1").waiter(1)),
            Take("[1]"),
            Put(event("2").waiter(2)),
            Put(event("3").waiter(3).at(9000)),
            Settle(Outcome::Offline),
            down(),
            Ends(vec![(1, dead), (2, dead)]),
            Put(event("4").waiter(4).id("a")),
            Ends(vec![(4, dead)]),
            Duplicate(event("4").id("a")),
            Cancel("a", Cancelled::Gone),
            Holds(1, 1),
            // The next probe needs something to send.
            Now(3000),
            Put(event("5")),
            Take("[5]"),
            down(),
            Settle(Outcome::Delivered),
            ChannelCondition(Health::Live, 0, 200),
            Put(event("6")),
            Take("[6]"),
        ],
    );
    check_with(
        "reject",
        of(Offline::Reject),
        1024,
        vec![
            Put(event("1").waiter(1)),
            Take("[1]"),
            Settle(Outcome::Offline),
            Ends(vec![(1, dead)]),
            down(),
            Refuse(event("2"), Refusal::Offline),
            Now(3000),
            Put(event("2")),
        ],
    );
}

/// An `at` that is still to come is held whatever the policy: the stream may be back by then.
#[test]
fn offline_and_scheduled() {
    let of = |offline| ChannelPolicy { offline, ..array() };
    let dead = End::DeadLettered(DeadLetterReason::Offline);
    for policy in [Offline::Drop, Offline::Reject] {
        check_with(
            &format!("{policy:?}, and back in time"),
            of(policy),
            1024,
            vec![
                ChannelCondition(Health::Offline, 3000, 200),
                Put(event("1").at(2000).waiter(1)),
                Put(event("2").at(1999).key("k").waiter(2)),
                Holds(2, 3),
                Timer(Some(1999)),
                Now(1998),
                ChannelCondition(Health::Live, 0, 200),
                Now(2000),
                Ends(vec![]),
                Take("[2,1]"),
            ],
        );
        check_with(
            &format!("{policy:?}, and not back in time"),
            of(policy),
            1024,
            vec![
                ChannelCondition(Health::Offline, 3000, 200),
                Put(event("1").at(2000).waiter(1)),
                Put(event("2").at(1500).waiter(2)),
                Put(event("3").at(3000).waiter(3)),
                Now(1999),
                Ends(vec![(2, dead)]),
                Now(2000),
                Ends(vec![(1, dead)]),
                // The next probe needs something to send.
                Now(3000),
                Ends(vec![]),
                Take("[3]"),
                Settle(Outcome::Offline),
                Ends(vec![(3, dead)]),
            ],
        );
    }
    check_with(
        "hold",
        of(Offline::Hold),
        1024,
        vec![
            ChannelCondition(Health::Offline, 3000, 200),
            Put(event("1").at(2000).waiter(1)),
            Now(2000),
            Ends(vec![]),
            Holds(1, 1),
        ],
    );
    check_with(
        "an `at` that is over is now",
        of(Offline::Reject),
        1024,
        vec![
            ChannelCondition(Health::Offline, 3000, 200),
            Refuse(event("1").at(1000), Refusal::Offline),
            Refuse(event("1").at(5), Refusal::Offline),
        ],
    );
}

#[test]
fn unknown_outcomes() {
    let of = |on_unknown| ChannelPolicy {
        on_unknown,
        ..ChannelPolicy::default()
    };
    let text = r#"{"v":1,"n":100,"e":[{"d":1}]}"#;
    check_with(
        "retry keeps n and text",
        of(OnUnknown::Retry),
        1024,
        vec![
            Put(event("1").waiter(1)),
            Take(text),
            Settle(Outcome::Unknown),
            Put(event("2").high()),
            Take(text),
            // The late answer of the first call, while the second is in flight.
            SettleNth(0, Outcome::Delivered),
            Ends(vec![(1, End::Delivered)]),
            Settle(Outcome::Throttled(crate::call::ThrottleScope::Account)),
            Take(r#"{"v":1,"n":101,"e":[{"d":2}]}"#),
        ],
    );
    check_with(
        "drop",
        of(OnUnknown::Drop),
        1024,
        vec![
            Put(event("1").waiter(1)),
            Take(text),
            Settle(Outcome::Unknown),
            Ends(vec![(1, End::DeadLettered(DeadLetterReason::Unknown))]),
            Nothing,
            SettleNth(0, Outcome::Delivered),
            Ends(vec![]),
        ],
    );
}
