//! What a producer may send, on a clock that is moved.

use std::time::Duration;

use super::*;
use crate::arn::ChannelArn;

fn limits(lines: &str) -> (Access, Arc<Limits>) {
    let access = access(&key(lines));
    let caller = identified(&access, &["Bearer the-key"], NOW).expect("known");
    let limits = Arc::clone(caller.limits().expect("limits"));
    (access, limits)
}

fn channel(nth: usize) -> ChannelArn {
    let arn = format!("arn:aws:ivs:us-west-2:000000000000:channel/c{nth}");
    arn.parse().expect("an ARN")
}

#[tokio::test(start_paused = true)]
async fn rates_and_bursts() {
    let (_, limits) = limits("events_per_second = 10\nevents_burst = 30\nbytes_per_second = 1000");
    assert_eq!(limits.take_events(20), (20, None));
    let (taken, exceeded) = limits.take_events(20);
    assert_eq!(taken, 10);
    let exceeded = exceeded.expect("a limit");
    assert_eq!(
        (exceeded.policy, exceeded.burst, exceeded.window_s),
        ("events", 30, 3)
    );
    assert_eq!(exceeded.wait, Some(Duration::from_millis(100)));
    tokio::time::advance(Duration::from_millis(99)).await;
    assert_eq!(limits.take_events(1).0, 0);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(limits.take_events(2).0, 1);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(limits.take_events(1000).0, 30, "no more than the burst");

    assert_eq!(limits.take_bytes(600), Ok(()));
    let exceeded = limits.take_bytes(600).expect_err("a limit");
    assert_eq!(
        (exceeded.policy, exceeded.burst, exceeded.window_s),
        ("bytes", 1000, 1)
    );
    assert_eq!(exceeded.wait, Some(Duration::from_millis(200)));
    assert_eq!(limits.take_bytes(400), Ok(()), "all or none");
    assert_eq!(
        limits.take_bytes(1001).expect_err("a limit").wait,
        None,
        "never"
    );
    assert_eq!(limits.take_bytes(0), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rates_of_each_channel() {
    let (access, limits) = limits("channel_events_per_second = 2\nchannel_bytes_per_second = 100");
    assert!(limits.has_channel_rates());
    assert_eq!(limits.take_of_channel(&channel(1), &[10, 10]), (2, None));
    let (taken, exceeded) = limits.take_of_channel(&channel(1), &[10]);
    assert_eq!(
        (taken, exceeded.map(|it| it.policy)),
        (0, Some("channel-events"))
    );
    assert_eq!(
        limits.take_of_channel(&channel(2), &[10]),
        (1, None),
        "another channel"
    );
    let (taken, exceeded) = limits.take_of_channel(&channel(3), &[60, 60]);
    assert_eq!(
        (taken, exceeded.map(|it| it.policy)),
        (1, Some("channel-bytes"))
    );
    assert_eq!(
        limits.take_events(1_000_000),
        (1_000_000, None),
        "no limit in all"
    );
    tokio::time::advance(Duration::from_secs(9)).await;
    access.tidy();
    assert_eq!(limits.take_of_channel(&channel(1), &[50, 50]), (2, None));
}

#[tokio::test(start_paused = true)]
async fn more_channels_than_are_remembered_share_a_rate() {
    let (access, limits) = limits("channel_events_per_second = 2");
    for nth in 0..100_000 {
        assert_eq!(limits.take_of_channel(&channel(nth), &[1, 1]), (2, None));
    }
    let of = |nth| limits.take_of_channel(&channel(nth), &[1, 1]).0;
    assert_eq!((of(100_000), of(100_001), of(7)), (2, 0, 0));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(of(7), 2, "its own");
    access.tidy();
    assert_eq!((of(100_002), of(100_003)), (2, 2), "others were forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_reload_gives_no_new_burst() {
    let lines = key("events_per_second = 5\nmax_connections = 2");
    let before = access(&lines);
    let caller = identified(&before, &["Bearer the-key"], NOW).expect("known");
    let limits = caller.limits().expect("limits");
    assert_eq!(limits.take_events(5).0, 5);
    let place = limits.enter();
    assert!(place.is_ok());
    for (lines, events, places) in [
        (lines.clone(), 0, 1),
        (lines.replace("quiz", "other"), 5, 2),
        (lines.replace("= 5", "= 6"), 6, 1),
    ] {
        let after = Access::build(&settings(&lines), &|_| None, Some(&before)).expect("access");
        let caller = identified(&after, &["Bearer the-key"], NOW).expect("known");
        let limits = caller.limits().expect("limits");
        assert_eq!(limits.take_events(9).0, events, "{lines}");
        let held: Vec<_> = (0..5).filter_map(|_| limits.enter().ok()).collect();
        assert_eq!(held.len(), places, "{lines}");
    }
    drop(place);
    let held: Vec<_> = (0..5).filter_map(|_| limits.enter().ok()).collect();
    assert_eq!(held.len(), 2, "a place that is left can be taken");
    assert_eq!(limits.enter().expect_err("no place"), 2);
}
