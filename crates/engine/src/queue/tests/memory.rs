//! Memory: heaps stay within a multiple of the living, and an emptied queue gives it back.

use super::*;

fn lengths(queue: &Queue) -> usize {
    let (ready, timers) = queue.order.heap_lengths();
    ready.max(timers)
}

fn capacity(queue: &Queue) -> usize {
    queue.order.capacity() + queue.ids.capacity() + queue.outs.capacity()
}

/// Heaps never hold more than twice the items and a little.
fn bounded(queue: &Queue, when: &str) {
    let bound = 2 * queue.len() + 64;
    assert!(
        lengths(queue) <= bound,
        "{when}: {} of {bound}",
        lengths(queue)
    );
}

#[test]
fn heaps_stay_within_a_multiple_of_the_living() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 1, Span::ZERO);
    for round in 0..20_000_u32 {
        let now = ms(1000 + u64::from(round));
        let data = round.to_string();
        // A key that merges for ever, with deadlines that move both ways.
        let merged = event(&data)
            .key("k")
            .merge(Merge::Replace)
            .low()
            .ttl(5000 + round % 7 * 100);
        queue.accept(now, merged).expect("taken");
        let id = format!("i{round}");
        let other = event("1")
            .id(&id)
            .key(&format!("l{}", round % 50))
            .ttl(3000);
        if queue.accept(now, other.low()).is_ok() && round % 3 > 0 {
            assert_eq!(queue.cancel(now, &id), Cancelled::Done);
        }
        bounded(&queue, "accepted and cancelled");
        if round % 11 == 0
            && let Some(payload) = queue.take(now)
        {
            let outcome = if round % 2 == 0 {
                Outcome::Delivered
            } else {
                Outcome::Failed
            };
            queue.settle(now, payload.id, outcome);
            bounded(&queue, "sent");
        }
    }
    // Risen and not sent, then all but a few taken back.
    for round in 0..5000 {
        let _ = queue.accept(ms(30_000), event("1").low().kind("t").ttl(10_000 + round));
    }
    queue.demand(ms(38_000));
    bounded(&queue, "risen twice");
    queue.purge(ms(38_000), Some("t"), None);
    bounded(&queue, "purged");
}

#[test]
fn an_emptied_queue_gives_its_memory_back() {
    let policy = ChannelPolicy {
        dedup_window: Span::from_millis(1000),
        ..array()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    let idle = queue.footprint();
    for round in 0..40_usize {
        let events = [1, 5, 60, 1000][round % 4];
        let now = ms(10_000 * (round as u64 + 1));
        for number in 0..events {
            let id = format!("{round}-{number}");
            let event = event("1")
                .id(&id)
                .key(&format!("k{number}"))
                .at(number as u64 % 3 * 500);
            queue.accept(now, event).expect("taken");
        }
        assert!(queue.footprint() > events * 200, "what is queued shows");
        while let Some(payload) = queue.take(now) {
            queue.settle(now, payload.id, Outcome::Delivered);
        }
        assert!(queue.footprint() >= events * 100, "the ids are remembered");
        assert!(!queue.is_idle());
        while let Some(timer) = queue.timer() {
            queue.demand(timer);
        }
        assert_eq!(queue.footprint(), idle);
        assert!(queue.is_idle());
        let capacity = capacity(&queue);
        assert_eq!(capacity, 0, "round {round}");
    }
}

/// Bytes of an idle queue, all of it: there may be 100,000.
#[test]
fn an_idle_queue_is_small() {
    let size = size_of::<Queue>();
    assert!(size <= 392, "{size}");
}
