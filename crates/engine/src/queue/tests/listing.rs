//! What is queued, as it is listed: held against the order in which it leaves.

use super::model::Random;
use super::*;
use crate::queue::items::touched;
use crate::queue::{EventState, Outline, Page, Rank};

fn outline(queue: &mut Queue, now: u64, kind: Option<&str>, key: Option<&str>) -> Outline {
    let mut outline = Outline::default();
    while queue.outline(ms(now), &mut outline, kind, key) {}
    outline
}

fn page(queue: &mut Queue, now: u64, after: Option<Rank>, limit: usize) -> Page {
    outline(queue, now, None, None).page(after, limit)
}

/// The data of all that is listed, a few a page.
fn listed(queue: &mut Queue, now: u64, limit: usize) -> Vec<String> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = page(queue, now, after, limit);
        assert!(page.spots.len() <= limit);
        for spot in &page.spots {
            let listed = queue.listed(spot).expect("it is queued");
            all.push(listed.data.text().to_string());
            let told = spot.rank.to_string();
            assert_eq!(told.parse(), Ok(spot.rank), "{told}");
        }
        after = page.spots.last().map(|spot| spot.rank);
        if !page.has_more {
            return all;
        }
    }
}

/// Takes and delivers everything that can go; the data as it left.
fn leaves(mut queue: Queue, now: u64) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(payload) = queue.take(ms(now)) {
        let text = payload.text.trim_matches(['[', ']']);
        all.extend(text.split(',').map(str::to_owned));
        queue.settle(ms(now), payload.id, Outcome::Delivered);
    }
    all
}

fn queue() -> Queue {
    let policy = ChannelPolicy {
        queue_max_events: 200_000,
        queue_max_bytes: 1 << 30,
        ttl_ms: 86_400_000,
        ..array()
    };
    Queue::new(Arc::new(policy), 128, 1, Span::from_millis(200))
}

#[test]
fn events_are_listed_in_the_order_in_which_they_leave() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut queue = queue();
        let now = 100_000;
        for number in 0..=random.below(200) {
            let mut event = event(&number.to_string()).priority(random.pick(&[
                Priority::High,
                Priority::Normal,
                Priority::Low,
            ]));
            if random.chance(50) {
                event = event.key(&random.below(9).to_string());
            }
            if random.chance(25) {
                event = event.at(1 + random.below(60_000));
            }
            queue.accept(ms(number + 1), event).expect("there is room");
        }
        let listed = listed(
            &mut queue,
            now,
            1 + usize::try_from(random.below(40)).expect("small"),
        );
        assert_eq!(listed, leaves(queue.clone(), now), "seed {seed}");
    }
}

#[test]
fn what_is_sent_comes_first_and_what_is_scheduled_last() {
    let mut queue = queue();
    for event in [
        event("1").high(),
        event("2").at(9000).high(),
        event("3").key("k").at(8000),
        event("4").key("k").id("d").kind("t"),
        event("5").low(),
    ] {
        queue.accept(ms(1000), event).expect("there is room");
    }
    let payload = queue.take(ms(1000)).expect("some can go");
    assert_eq!(payload.text.as_ref(), "[1,5]");
    queue.accept(ms(1000), event("6")).expect("there is room");
    assert_eq!(listed(&mut queue, 1000, 2), ["1", "5", "6", "3", "4", "2"]);
    let page = page(&mut queue, 1000, None, 9);
    let waits: Vec<_> = page
        .spots
        .iter()
        .map(|spot| spot.leaves_in.millis_ceil())
        .collect();
    // A payload is out, and the next takes its interval.
    assert_eq!(waits, [0, 0, 400, 7000, 7000, 8000]);
    let state = |nth: usize| queue.listed(&page.spots[nth]).expect("queued").state;
    assert_eq!(state(0), EventState::InFlight { n: payload.n });
    assert_eq!(state(2), EventState::Waiting);
    assert_eq!(state(3), EventState::Scheduled { due: ms(8000) });
    // One that is gone is not shown.
    queue.cancel(ms(1000), "d");
    assert_eq!(queue.listed(&page.spots[4]), None);
}

#[test]
fn filters_change_nothing_about_the_time_that_events_take() {
    let mut queue = queue();
    for number in 0..100 {
        let kind = if number == 99 { "rare" } else { "other" };
        queue
            .accept(
                ms(1000),
                event(&format!("{number:020}")).kind(kind).key(kind),
            )
            .expect("there is room");
    }
    let all = page(&mut queue, 1000, None, 1000);
    assert_eq!(all.spots.len(), 100);
    assert_eq!(all.spots[99].leaves_in, queue.depth(ms(1000)).leaves_in);
    for (kind, key) in [
        (Some("rare"), None),
        (None, Some("rare")),
        (Some("rare"), Some("rare")),
    ] {
        let rare = outline(&mut queue, 1000, kind, key).page(None, 1000);
        assert_eq!(rare.spots, all.spots[99..], "{kind:?} {key:?}");
    }
    assert!(
        outline(&mut queue, 1000, Some("rare"), Some("other"))
            .page(None, 9)
            .spots
            .is_empty()
    );
}

/// The queue is held for a bounded number of items, however many there are.
#[test]
fn a_long_queue_is_read_a_part_at_a_time() {
    let mut queue = queue();
    for number in 0..100_000 {
        queue
            .accept(ms(1000), event(&number.to_string()))
            .expect("there is room");
    }
    let mut outline = Outline::default();
    let mut calls = 0;
    loop {
        let before = touched();
        let more = queue.outline(ms(1000), &mut outline, None, None);
        assert!(touched() - before <= 5000, "{}", touched() - before);
        calls += 1;
        if !more {
            break;
        }
    }
    assert!(calls > 20, "{calls}");
    assert_eq!(outline.page(None, 200_000).spots.len(), 100_000);
}
