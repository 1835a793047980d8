//! How payloads end, outcome by outcome.

use super::*;
use crate::call::{Rejection, ThrottleScope};
use crate::queue::DeadLetterReason;

#[test]
fn outcomes() {
    let dead = |reason| Some(End::DeadLettered(reason));
    for (outcome, end) in [
        (Outcome::Delivered, Some(End::Delivered)),
        (Outcome::Throttled(ThrottleScope::Channel), None),
        (Outcome::Failed, None),
        (Outcome::Refused, None),
        (Outcome::Unknown, None),
        (Outcome::Offline, None),
        (Outcome::TooLarge, dead(DeadLetterReason::TooLarge)),
        (
            Outcome::Rejected(Rejection::AccessDenied),
            dead(DeadLetterReason::AccessDenied),
        ),
        (
            Outcome::Rejected(Rejection::NoSuchChannel),
            dead(DeadLetterReason::NoSuchChannel),
        ),
        (
            Outcome::Rejected(Rejection::Validation),
            dead(DeadLetterReason::Validation),
        ),
    ] {
        let mut steps = vec![
            Put(event("1").waiter(1)),
            Put(event("2").waiter(2)),
            Take("[1,2]"),
            Put(event("3").high()),
            Settle(outcome),
        ];
        if let Some(end) = end {
            steps.extend([Ends(vec![(1, end), (2, end)]), Take("[3]")]);
        } else {
            // Again, unchanged and before all others.
            steps.extend([Ends(vec![]), Wants(Some((1000, 1000, true))), Take("[1,2]")]);
        }
        check(&format!("{outcome:?}"), steps);
    }
}

#[test]
fn what_a_delivery_says() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 7, Span::ZERO);
    queue.accept(ms(1000), event("1")).expect("taken");
    queue.accept(ms(1200), event("2").at(1500)).expect("taken");
    let payload = queue.take(ms(1600)).expect("a payload");
    assert_eq!((payload.n, payload.events, &*payload.text), (7, 2, "[1,2]"));
    assert!(!queue.goes_again(payload.id));
    queue.settle(ms(1700), payload.id, Outcome::Failed);
    assert!(queue.goes_again(payload.id));
    let again = queue.take(ms(1700)).expect("the same");
    assert_eq!(again, payload);
    let settled = queue.settle(ms(1800), again.id, Outcome::Delivered);
    assert_eq!(settled.delivered, Some((7, "[1,2]".into())));
    let latencies: Vec<_> = settled
        .latencies
        .iter()
        .map(|span| span.millis_ceil())
        .collect();
    assert_eq!(latencies, [800, 300]);
    assert!(!queue.goes_again(payload.id));
}

#[test]
fn too_large_lowers_the_limit_once() {
    let wide = |bytes: usize| event(&format!("\"{}\"", "x".repeat(bytes - 2)));
    for (bytes, lowered) in [(1022, true), (999, true), (998, false)] {
        let mut queue = Queue::new(Arc::new(array()), 1024, 7, Span::ZERO);
        queue.accept(ms(1000), wide(bytes)).expect("taken");
        let payload = queue.take(ms(1000)).expect("a payload");
        let settled = queue.settle(ms(1000), payload.id, Outcome::TooLarge);
        assert_eq!(settled.payload_max, lowered.then_some(1000), "{bytes}");
        assert_eq!(queue.payload_max(), if lowered { 1000 } else { 1024 });
        assert_eq!(queue.len(), usize::from(lowered));
        assert_eq!(queue.take(ms(1000)), None, "it fits no payload");
        assert_eq!(queue.ledger().dead_lettered.iter().sum::<u64>(), 1);
        let limit = queue.payload_max();
        assert_eq!(
            queue.accept(ms(1000), wide(1023)),
            Err(Refusal::TooLarge { size: 1025, limit })
        );
    }
}

#[test]
fn whether_the_scheduler_must_hear() {
    let mut queue = Queue::new(Arc::new(array()), 11, 7, Span::ZERO);
    let mut at = 1000;
    let mut woken = |event: Event| {
        at += 1;
        queue.accept(ms(at), event).expect("taken");
        let woken = queue.wake();
        if woken {
            queue.demand(ms(at));
            queue.timer();
        }
        woken
    };
    assert!(woken(event("1111")), "it was empty");
    assert!(!woken(event("2222")), "one more is no news");
    assert!(woken(event("3")), "a payload became full");
    assert!(!woken(event("4")), "it stays full");
    assert!(
        woken(event("5").ttl(10)),
        "its time is over before any other's"
    );
    assert!(
        !woken(event("6").at(900_000)),
        "the other timers are earlier"
    );
    assert!(woken(event("7").at(1008)), "it is due soon");
}
