//! What a scrape says while channels come and go. No call is made: events wait for a moment of
//! the wall clock, and are purged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Data, Event, Wall};

use super::{Channel, Gateway, Holdings, Parts, scrape};
use crate::clock::manual::Machine;
use crate::config::{self, Settings};
use crate::lifecycle::Supervisor;
use crate::telemetry::{Snapshot, Telemetry};
use crate::upstream::{Upstream, UpstreamOptions};

fn settings(lines: &str) -> Settings {
    let file = format!("upstream.mode = \"local\"\nchannels.allow_unlisted = true\n{lines}");
    let none: [(String, String); 0] = [];
    config::parse(Some(("test", &file)), none).unwrap_or_else(|errors| panic!("{errors}"))
}

fn arn(name: &str) -> String {
    format!("arn:aws:ivs:us-west-2:000000000000:channel/{name}")
}

/// A gateway on a clock that is moved by hand.
fn start(machine: &Machine, lines: &str) -> Arc<Gateway> {
    let second = Duration::from_secs(1);
    // Nobody listens there.
    let nowhere = UpstreamOptions::local("http://127.0.0.1:9".to_owned(), second, second);
    let parts = Parts {
        clock: Arc::new(machine.start()),
        upstream: Upstream::new(nowhere),
        emulator: None,
        meters: Arc::clone(Telemetry::new("local").meters()),
        supervisor: Supervisor::default(),
    };
    Gateway::start(Arc::new(settings(lines)), parts, Holdings::in_memory())
}

/// Accepts one event that waits for an hour from now.
fn offer(gateway: &Gateway, channel: &Arc<Channel>) {
    let hour_ms = gateway.clock().epoch_ms() + 3_600_000;
    let event = Event {
        at: Some(Wall::from_micros(hour_ms.cast_signed() * 1000)),
        ..Event::new(Data::Json("1".into()))
    };
    let mut results = Vec::new();
    let offered = gateway.offer(channel, &mut vec![event], &mut results);
    assert!(offered.is_ok() && results[0].is_ok(), "{results:?}");
}

/// Accepts an event and takes it back. The channel is idle then, and nobody holds it.
async fn offer_and_purge(gateway: &Gateway, name: &str) {
    let channel = gateway.channel(&arn(name)).expect("a channel");
    offer(gateway, &channel);
    channel.with(&gateway.shared, |state| {
        let now = gateway.now();
        state.queue.purge(now, None, None)
    });
    // The account's task looks at it, and a scrape may.
    for _ in 0..1_000_000 {
        if Arc::strong_count(&channel) == 2 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("somebody keeps {name}");
}

/// Accepted and cancelled in all, where the books balance.
fn counted(snapshot: &Snapshot) -> (u64, u64) {
    assert_eq!(snapshot.unaccounted(), 0);
    let ledgers = snapshot.channels.iter().map(|channel| &channel.ledger);
    ledgers.fold((0, 0), |sum, ledger| {
        (sum.0 + ledger.accepted, sum.1 + ledger.cancelled)
    })
}

/// A scrape's reading of channels, with a stop at each moment.
fn scrape_with(gateway: &Gateway, stop: impl Fn(usize)) -> Snapshot {
    let mut sums = gateway.shared.aggregates.sums();
    stop(0);
    let channels = gateway.registry.stirred();
    scrape::look_at_all(&mut sums, &gateway.shared, gateway.now(), &channels);
    stop(1);
    drop(channels);
    stop(2);
    sums.settle(&gateway.shared.aggregates);
    Snapshot {
        channels: sums.channels(),
        ..Snapshot::default()
    }
}

/// Whenever a channel is forgotten while a scrape reads.
#[tokio::test]
async fn a_channel_forgotten_during_a_scrape_counts_once() {
    for moment in 0..4 {
        let gateway = start(&Machine::new(), "");
        offer_and_purge(&gateway, "a").await;
        let forget_at = |now: usize| {
            if now == moment {
                let forgotten = gateway.registry.retire_idle(&gateway.shared);
                // Not while the scrape holds it.
                assert_eq!(forgotten, usize::from(now != 1), "at {now}");
            }
        };
        let snapshot = scrape_with(&gateway, forget_at);
        assert_eq!(counted(&snapshot), (1, 1), "forgotten at {moment}");
        forget_at(3);
        assert_eq!(counted(&gateway.snapshot()), (1, 1), "then");
        // It comes again.
        offer_and_purge(&gateway, "a").await;
        assert_eq!(counted(&gateway.snapshot()), (2, 2), "again");
        gateway.stop();
    }
}

/// The same, by chance: there is room for one channel.
#[tokio::test]
async fn scrapes_while_channels_come_and_go() {
    const CHANNELS: u64 = 500;
    let machine = Machine::new();
    let gateway = start(&machine, "limits.channels_max = 2\n");
    let over = Arc::new(AtomicBool::new(false));
    let scrapes = {
        let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut last = (0, 0);
            while !over.load(Ordering::Acquire) {
                let now = counted(&gateway.snapshot());
                assert!(now.0 >= last.0 && now.1 >= last.1, "{last:?}, then {now:?}");
                last = now;
            }
        })
    };
    for nth in 0..CHANNELS {
        let name = nth.to_string();
        // No room while a scrape holds the one before.
        while gateway.channel(&arn(&name)).is_err() {
            machine.pass_ms(1000);
            tokio::task::yield_now().await;
        }
        offer_and_purge(&gateway, &name).await;
    }
    over.store(true, Ordering::Release);
    scrapes.join().expect("every scrape");
    assert_eq!(counted(&gateway.snapshot()), (CHANNELS, CHANNELS));
    gateway.stop();
}

/// What is at rest is not looked at again, however many there are.
#[tokio::test]
async fn a_scrape_looks_at_what_changed() {
    for count in [100, 1000] {
        let gateway = start(&Machine::new(), "");
        for nth in 0..count {
            offer_and_purge(&gateway, &nth.to_string()).await;
        }
        let stirred = || gateway.registry.stirred().len();
        assert_eq!(stirred(), gateway.channel_count());
        for _ in 0..2 {
            assert_eq!(counted(&gateway.snapshot()).0, count);
            assert_eq!(stirred(), 0);
        }
        // One that has something queued grows older; one that was purged does not.
        let channel = gateway.known(&arn("7")).expect("a channel");
        offer(&gateway, &channel);
        offer_and_purge(&gateway, "8").await;
        assert_eq!(stirred(), 2);
        for _ in 0..2 {
            let snapshot = gateway.snapshot();
            let events: u64 = snapshot.channels.iter().map(|c| c.queue_events).sum();
            assert_eq!((counted(&snapshot).0, events), (count + 2, 1));
            assert_eq!(stirred(), 1);
        }
        let paused = gateway.pause(&gateway.known(&arn("9")).expect("a channel"));
        assert!(paused.is_ok());
        let _ = gateway.snapshot();
        assert_eq!(stirred(), 2, "and one that is paused");
        gateway.stop();
    }
}
