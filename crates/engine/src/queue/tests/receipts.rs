//! Receipts: every end of an event with an id, once, and none where nobody asks.

use super::*;
use crate::policy::Overflow;
use crate::queue::{DeadLetterReason, Receipt, Replaced};

/// The receipts since this was last asked: id, end, `n`, and the id it went into.
fn receipts(queue: &mut Queue) -> Vec<(String, End, Option<u64>, Option<String>)> {
    let told = queue.take_receipts().into_iter();
    told.map(|receipt| {
        let Receipt {
            id, end, n, into, ..
        } = receipt;
        (id.to_string(), end, n, into.map(|into| into.to_string()))
    })
    .collect()
}

fn told(id: &str, end: End, n: Option<u64>) -> (String, End, Option<u64>, Option<String>) {
    (id.to_owned(), end, n, None)
}

#[test]
fn every_end_of_an_event_with_an_id() {
    let policy = ChannelPolicy {
        queue_max_events: 2,
        overflow: Overflow::DropOldest,
        ..array()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 100, Span::from_millis(200));
    let now = ms(1000);
    let put = |queue: &mut Queue, event: Event| {
        assert_eq!(queue.accept(now, event), Ok(Admission::Accepted));
    };
    // Nobody asks.
    put(&mut queue, event("1").id("unasked"));
    queue.cancel(now, "unasked");
    assert_eq!(receipts(&mut queue), []);

    queue.give_receipts(true);
    put(&mut queue, event("1").id("a"));
    put(&mut queue, event("2"));
    let payload = queue.take(now).expect("a payload");
    queue.settle(now, payload.id, Outcome::Delivered);
    assert_eq!(receipts(&mut queue), [told("a", End::Delivered, Some(100))]);

    let sum = |data: &str, id: &str| event(data).key("k").merge(Merge::Sum).id(id);
    put(&mut queue, sum("1", "b"));
    put(&mut queue, sum("2", "c"));
    let merged = ("b".to_owned(), End::Merged, None, Some("c".to_owned()));
    assert_eq!(receipts(&mut queue), [merged]);
    assert_eq!(queue.cancel(now, "c"), Cancelled::Done);
    assert_eq!(receipts(&mut queue), [told("c", End::Cancelled, None)]);

    put(&mut queue, event("1").id("d"));
    let replaced = queue.replace(now, event("2").id("d"));
    assert_eq!(replaced, Ok(Replaced::Replaced));
    assert_eq!(receipts(&mut queue), [told("d", End::Cancelled, None)]);
    put(&mut queue, event("3").id("e"));
    put(&mut queue, event("4").id("f"));
    assert_eq!(receipts(&mut queue), [told("d", End::Evicted, None)]);

    let payload = queue.take(now).expect("a payload");
    queue.settle(
        now,
        payload.id,
        Outcome::Rejected(crate::call::Rejection::AccessDenied),
    );
    let denied = End::DeadLettered(DeadLetterReason::AccessDenied);
    let both = [told("e", denied, Some(101)), told("f", denied, Some(101))];
    assert_eq!(receipts(&mut queue), both);

    put(&mut queue, event("5").id("g").ttl(10));
    queue.demand(ms(1010));
    assert_eq!(receipts(&mut queue), [told("g", End::Expired, None)]);
    assert_eq!(receipts(&mut queue), [], "each once");

    // Nobody asks any more.
    queue.give_receipts(false);
    put(&mut queue, event("6").id("h"));
    queue.cancel(now, "h");
    assert_eq!(receipts(&mut queue), []);
}

#[test]
fn what_is_taken_back_had_no_end() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 100, Span::from_millis(200));
    let now = ms(1000);
    queue.give_receipts(true);
    queue.begin(now);
    let sum = |data: &str, id: &str| event(data).key("k").merge(Merge::Sum).id(id);
    for (data, id) in [("1", "a"), ("2", "b")] {
        assert_eq!(queue.accept(now, sum(data, id)), Ok(Admission::Accepted));
    }
    queue.roll_back();
    assert_eq!(receipts(&mut queue), []);
}
