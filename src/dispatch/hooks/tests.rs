//! What waits for a webhook: bounded, counted, in batches.

use engine::{End, Wall};

use super::*;
use crate::telemetry::Telemetry;

fn outbox(most: usize) -> Outbox {
    Outbox::new("crm", most, Telemetry::new("local").meters())
}

fn ended(numbers: std::ops::Range<u32>) -> Vec<Receipt> {
    let receipt = |number: u32| Receipt {
        id: number.to_string().into(),
        end: if number.is_multiple_of(2) {
            End::Delivered
        } else {
            End::Expired
        },
        n: None,
        at: Wall::from_micros(0),
        into: None,
    };
    numbers.map(receipt).collect()
}

fn push(outbox: &Outbox, numbers: std::ops::Range<u32>) {
    outbox.push(&"quiz".into(), ended(numbers).into_iter());
}

fn ids(batch: &Batch) -> Vec<&str> {
    batch.ends.iter().map(|end| &*end.receipt.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_leaves_when_it_is_full_or_old() {
    let outbox = outbox(100);
    let wait = Duration::from_secs(1);
    push(&outbox, 0..3);
    let begun = Instant::now();
    let batch = outbox.next(2, wait).await.expect("a batch");
    assert_eq!(
        (ids(&batch), begun.elapsed()),
        (vec!["0", "1"], Duration::ZERO)
    );
    let batch = outbox.next(2, wait).await.expect("a batch");
    assert_eq!((ids(&batch), begun.elapsed()), (vec!["2"], wait));
    // Nothing is there, and then a little at the end.
    let mut next = Box::pin(outbox.next(2, wait));
    assert!(tokio::time::timeout(wait * 5, &mut next).await.is_err());
    push(&outbox, 3..4);
    outbox.finish();
    assert_eq!(ids(&next.await.expect("the last")), ["3"]);
    assert!(outbox.next(2, wait).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_and_are_counted() {
    let outbox = outbox(3);
    push(&outbox, 0..5);
    let batch = outbox.next(9, Duration::ZERO).await.expect("a batch");
    assert_eq!((ids(&batch), batch.dropped), (vec!["2", "3", "4"], 2));
    // It is given up: the next one tells of it.
    outbox.not_told(&batch);
    push(&outbox, 5..6);
    let batch = outbox.next(9, Duration::ZERO).await.expect("a batch");
    assert_eq!((ids(&batch), batch.dropped), (vec!["5"], 5));
    outbox.told(&batch);
    // Nobody is there for a while.
    push(&outbox, 6..7);
    outbox.close(true);
    push(&outbox, 7..8);
    outbox.close(false);
    push(&outbox, 8..9);
    outbox.set_most(9);
    let batch = outbox.next(9, Duration::ZERO).await.expect("a batch");
    assert_eq!((ids(&batch), batch.dropped), (vec!["8"], 2));
}

#[tokio::test(start_paused = true)]
async fn a_channel_looks_when_something_has_changed() {
    let hooks = Hooks::default();
    let all = Arc::new(outbox(100));
    let settings = |channels: &str, ends: &[&'static str]| WebhookSettings {
        channels: vec![channels.parse().expect("a pattern")],
        ends: ends.to_vec(),
        ..WebhookSettings::default()
    };
    let mut hooked = Hooked::default();
    let follow = |hooked: &mut Hooked, hooks: &Hooks| {
        hooked.follow(hooks, "arn:aws:ivs:a", || Some("quiz".into()))
    };
    assert!(!follow(&mut hooked, &hooks), "there is none");
    for (channels, is_told) in [("chat", false), ("q*z", true), ("arn:*", true)] {
        let hook = (settings(channels, &["expired"]), Arc::clone(&all));
        hooks.set([hook].into_iter());
        assert!(follow(&mut hooked, &hooks));
        assert!(!follow(&mut hooked, &hooks), "nothing has changed");
        assert_eq!(hooked.any(), is_told, "{channels}");
    }
    hooked.pass_on(&ended(0..4));
    let batch = all.next(9, Duration::ZERO).await.expect("a batch");
    assert_eq!(ids(&batch), ["1", "3"], "those that it wants");
    assert_eq!(&*batch.ends[0].channel, "quiz");
    hooked.forget();
    assert!(follow(&mut hooked, &hooks));
    hooks.set(std::iter::empty());
    assert!(follow(&mut hooked, &hooks));
    assert!(!hooked.any());
}
