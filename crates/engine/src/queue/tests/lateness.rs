//! TTL and `at`: an event leaves between its moment and its deadline, or has expired.

use super::*;
use crate::queue::DeadLetterReason;

#[test]
fn ttl() {
    check(
        "not after its deadline",
        vec![
            Put(event("1").ttl(100).waiter(1)),
            Put(event("2").ttl(101).waiter(2)),
            Now(1099),
            Ends(vec![]),
            Now(1100),
            Ends(vec![(1, End::Expired)]),
            Take("[2]"),
            // Once it was sent it is delivered, however late.
            Now(9000),
            Settle(Outcome::Delivered),
            Ends(vec![(2, End::Delivered)]),
        ],
    );
    check(
        "the channel's own",
        vec![
            Put(event("1").waiter(1)),
            Timer(Some(6000)),
            Now(10_999),
            Ends(vec![]),
            Now(11_000),
            Ends(vec![(1, End::Expired)]),
            Timer(None),
        ],
    );
    check(
        "from `at`",
        vec![
            Put(event("1").ttl(100).at(2000).waiter(1)),
            Nothing,
            Now(1999),
            Nothing,
            Wants(None),
            Timer(Some(2000)),
            Now(2099),
            Wants(Some((2000, 2000, false))),
            Now(2100),
            Ends(vec![(1, End::Expired)]),
            Nothing,
        ],
    );
    check(
        "from acceptance where `at` is past",
        vec![
            Put(event("1").ttl(100).at(10).waiter(1)),
            Now(1099),
            Wants(Some((1000, 1000, false))),
        ],
    );
    check(
        "while blocked by its key",
        vec![
            Put(event("1").key("k").at(9000)),
            Put(event("2").key("k").ttl(100).waiter(2)),
            Now(1100),
            Ends(vec![(2, End::Expired)]),
        ],
    );
}

#[test]
fn payloads_past_their_events_deadlines() {
    let dead = End::DeadLettered(DeadLetterReason::Expired);
    check(
        "sent again until the last of its events has lived",
        vec![
            Put(event("1").ttl(100).waiter(1)),
            Put(event("2").ttl(300).waiter(2)),
            Take("[1,2]"),
            Now(1200),
            Settle(Outcome::Failed),
            Timer(Some(1300)),
            Take("[1,2]"),
            Now(1250),
            Settle(Outcome::Refused),
            Now(1300),
            Nothing,
            Ends(vec![(1, dead), (2, dead)]),
            Wants(None),
            Timer(None),
        ],
    );
    check(
        "answered too late",
        vec![
            Put(event("1").ttl(100).waiter(1)),
            Take("[1]"),
            Now(1500),
            Settle(Outcome::Unknown),
            Ends(vec![(1, dead)]),
            // Delivered after all: it has had its end.
            Settle(Outcome::Delivered),
            Ends(vec![]),
        ],
    );
    check(
        "a dissolved one was sent too",
        vec![
            Put(event(&format!("\"{}\"", "x".repeat(1010)))
                .ttl(100)
                .waiter(1)),
            Take(format!("[\"{}\"]", "x".repeat(1010)).leak()),
            Settle(Outcome::TooLarge),
            Ends(vec![]),
            Nothing,
            Ends(vec![(1, End::DeadLettered(DeadLetterReason::TooLarge))]),
        ],
    );
    let wide = || format!("\"{}\"", "x".repeat(500));
    check(
        "and expires as a dead letter",
        vec![
            Put(event(&wide()).ttl(100).waiter(1)),
            Put(event(&wide()).ttl(100).waiter(2)),
            Take(format!("[{},{}]", wide(), wide()).leak()),
            Settle(Outcome::TooLarge),
            Now(1100),
            Ends(vec![(1, dead), (2, dead)]),
        ],
    );
}
