//! One producer cannot fill a queue for all.

use super::model::Random;
use super::*;
use crate::policy::Overflow;

fn policy(overflow: Overflow, events: usize, bytes: usize) -> ChannelPolicy {
    ChannelPolicy {
        overflow,
        queue_max_events: events,
        queue_max_bytes: bytes,
        ..array()
    }
}

fn full(percent: u8) -> Refusal {
    Refusal::ShareFull {
        percent,
        retry_after: Span::from_millis(200),
    }
}

const QUEUE_FULL: Refusal = Refusal::QueueFull {
    retry_after: Span::from_millis(200),
};

#[test]
fn a_share_is_of_events_and_of_bytes() {
    for overflow in [Overflow::Reject, Overflow::DropLowestPriority] {
        check_with(
            "events",
            policy(overflow, 6, 1024),
            1024,
            vec![
                Put(event("1").by(1, 50).id("a")),
                Put(event("2").by(1, 50)),
                Put(event("3").by(1, 50)),
                Refuse(event("4").by(1, 50), full(50)),
                Refuse(event("4").by(1, 50).high(), full(50)),
                Put(event("5").by(2, 50)),
                Put(event("6").by(2, 50)),
                // Whoever has no share has what is left of the whole.
                Put(event("7")),
                Refuse(event("8").by(2, 50), QUEUE_FULL),
                Cancel("a", Cancelled::Done),
                Put(event("9").by(1, 50)),
                Take("[2,3,5,6,7,9]"),
                // In flight it is still queued.
                Refuse(event("10").by(1, 50), full(50)),
                Settle(Outcome::Delivered),
                Put(event("11").by(1, 50)),
            ],
        );
    }
    check_with(
        "bytes",
        policy(Overflow::Reject, 100, 1024),
        1024,
        vec![
            Put(event(&"1".repeat(500)).by(1, 50)),
            Put(event(&"2".repeat(12)).by(1, 50)),
            Refuse(event("3").by(1, 50), full(50)),
            Put(event(&"4".repeat(512)).by(2, 50)),
        ],
    );
}

#[test]
fn a_producer_may_always_have_one_event() {
    check_with(
        "one",
        policy(Overflow::Reject, 10, 1024),
        1024,
        vec![
            Put(event(&"1".repeat(900)).by(1, 1)),
            Refuse(event("2").by(1, 1), full(1)),
        ],
    );
}

#[test]
fn merging_changes_what_a_producer_holds() {
    let put = |data: &str, by| event(data).key("k").merge(Merge::Replace).by(by, 50);
    let queue = check_with(
        "merge",
        policy(Overflow::Reject, 4, 1024),
        1024,
        vec![
            Put(put("1", 1)),
            Put(put(&"2".repeat(600), 2)),
            // The merged item is the second producer's now, and its bytes are its.
            Refuse(event("4").by(2, 50), full(50)),
            Put(put("5", 1)),
            Put(event("6").by(2, 50)),
            Put(event("7").by(1, 50)),
            // What would outgrow the share is no merge, and no event of its own either.
            Refuse(put(&"8".repeat(600), 1), full(50)),
        ],
    );
    assert_eq!(queue.len(), 3);
}

#[test]
fn where_the_oldest_goes_it_is_the_producers_own() {
    check_with(
        "drop_oldest",
        policy(Overflow::DropOldest, 4, 1024),
        1024,
        vec![
            Put(event("1").by(2, 50).waiter(1)),
            Put(event("2").by(1, 50).waiter(2)),
            Put(event("3").by(1, 50).waiter(3)),
            Put(event("4").by(1, 50).waiter(4)),
            Put(event("5").by(1, 50).waiter(5)),
            Ends(vec![(2, End::Evicted), (3, End::Evicted)]),
            Put(event("6").by(2, 50)),
            // The queue is full: now whatever is oldest makes room for those without a share.
            Put(event("7")),
            Ends(vec![(1, End::Evicted)]),
            Take("[4,5,6,7]"),
            // What is in a payload cannot go.
            Refuse(event("8").by(1, 50), full(50)),
            Settle(Outcome::Delivered),
            Put(event("9").by(1, 50)),
        ],
    );
}

#[test]
fn a_reload_to_drop_oldest_knows_who_came_first() {
    check_with(
        "reload",
        policy(Overflow::Reject, 4, 1024),
        1024,
        vec![
            Put(event("1").by(1, 50).waiter(1)),
            Put(event("2").by(1, 50).waiter(2)),
            Refuse(event("3").by(1, 50), full(50)),
            Policy(policy(Overflow::DropOldest, 4, 1024), 1024),
            Put(event("3").by(1, 50)),
            Ends(vec![(1, End::Evicted)]),
            Take("[2,3]"),
        ],
    );
}

#[test]
fn a_dissolved_payload_takes_its_place_in_the_line() {
    let wide = |name: &str| event(&format!("\"{name}{}\"", "x".repeat(300)));
    check_with(
        "dissolved",
        policy(Overflow::DropOldest, 100, 4000),
        1024,
        vec![
            Put(wide("1").by(1, 100).waiter(1)),
            Put(wide("2").by(1, 100).high()),
            Put(wide("3").by(1, 100).high()),
            Put(wide("4").by(1, 100).high()),
            Put(event("5").by(1, 100)),
            Take(format!("[\"2{0}\",\"3{0}\",\"4{0}\"]", "x".repeat(300)).leak()),
            Put(event("6").by(1, 100)),
            Settle(Outcome::Delivered),
            Policy(policy(Overflow::DropOldest, 3, 4000), 1024),
            Put(event("7").by(1, 100).waiter(7)),
            Ends(vec![(1, End::Evicted)]),
            Take("[5,6,7]"),
        ],
    );
    let long = |name: &str| event(&format!("\"{name}{}\"", "x".repeat(500)));
    check_with(
        "packed anew",
        policy(Overflow::DropOldest, 3, 4000),
        1024,
        vec![
            Put(event("0").by(1, 100).low().waiter(10)),
            Put(long("1").by(1, 100).waiter(1)),
            Put(long("2").by(1, 100).waiter(2)),
            Take(format!("[\"1{0}\",\"2{0}\",0]", "x".repeat(500)).leak()),
            Settle(Outcome::TooLarge),
            Put(event("3").by(1, 100)),
            Put(event("4").by(1, 100)),
            Put(event("5").by(1, 100)),
            Ends(vec![
                (10, End::Evicted),
                (1, End::Evicted),
                (2, End::Evicted),
            ]),
            Take("[3,4,5]"),
        ],
    );
}

/// Whatever happens, the shares are what the queue holds ([`Run::balanced`] counts anew), and
/// nobody comes to hold more than it may.
#[test]
fn shares_balance_under_random_use() {
    for seed in 0..30 {
        let mut random = Random(seed);
        for overflow in [
            Overflow::Reject,
            Overflow::DropLowestPriority,
            Overflow::DropOldest,
        ] {
            let mut run = Run::new(policy(overflow, 40, 700), 200);
            let mut at = 1000;
            for id in 0..500 {
                at += random.below(40);
                run.now = ms(at);
                some_step(&mut run, &mut random, seed, id, at);
                run.balanced();
            }
        }
    }
}

/// Events that are accepted and taken back leave every line as it was.
fn taken_back(run: &mut Run, random: &mut Random, id: u64) {
    let lines = |queue: &Queue| {
        let of = |id| NonZeroU32::new(id).expect("not 0");
        [1, 2, 3].map(|id| {
            let line = queue.shares.line(of(id), &queue.order.items);
            (line, queue.shares.held(of(id)))
        })
    };
    run.queue.begin(run.now);
    let before = (lines(&run.queue), run.queue.snapshot());
    for number in 0..5 {
        let producer = u32::try_from(random.below(3)).expect("small") + 1;
        let data = "7".repeat(1 + usize::try_from(random.below(60)).expect("small"));
        let mut event = event(&data).id(&format!("{id}-{number}")).by(producer, 40);
        if random.below(3) == 0 {
            event = event.key("k").merge(Merge::Replace);
        }
        let _ = run.queue.accept(run.now, event);
    }
    run.queue.roll_back();
    assert!(before == (lines(&run.queue), run.queue.snapshot()));
}

fn some_step(run: &mut Run, random: &mut Random, seed: u64, id: u64, at: u64) {
    match random.below(9) {
        8 => taken_back(run, random, id),
        0 => drop(run.queue.cancel(run.now, &random.below(id + 1).to_string())),
        1 => {
            let payload = run.queue.take(run.now);
            run.taken.extend(payload.map(|payload| payload.id));
        }
        2 => {
            if let Some(payload) = run.taken.pop() {
                let outcome =
                    [Outcome::Delivered, Outcome::Failed][usize::from(id.is_multiple_of(2))];
                run.queue.settle(run.now, payload, outcome);
            }
        }
        _ => {
            let producer = u32::try_from(random.below(3)).expect("small") + 1;
            let ttl = u32::try_from(random.below(4000)).expect("small") + 1;
            let data = "7".repeat(1 + usize::try_from(random.below(60)).expect("small"));
            let mut event = event(&data).id(&id.to_string()).by(producer, 40).ttl(ttl);
            match random.below(4) {
                0 => event = event.key("k").merge(Merge::Replace),
                1 => event = event.low().at(at + random.below(500)),
                _ => {}
            }
            let bytes = event.bytes();
            let producer = NonZeroU32::new(producer).expect("not 0");
            if run.queue.accept(run.now, event).is_ok() {
                let held = run.queue.shares.held(producer);
                let within = held.0 <= 16 && (held.1 <= 280 || held.0 == 1);
                assert!(
                    within,
                    "seed {seed}, {overflow:?}: {held:?} with one of {bytes}",
                    overflow = run.queue.policy().overflow
                );
            }
        }
    }
}
