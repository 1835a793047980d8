//! A pause is the emergency stop: it is kept over restarts and reloads, and told.

use std::sync::Barrier;

use crate::support::http::send;
use crate::support::process::{Gateway, arn, local};
use crate::support::{SOON, eventually, seed};

/// Lives of a gateway on one journal.
struct Lives(tempfile::TempDir);

impl Lives {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn start(&self, channels: &[&str], rest: &str) -> Gateway {
        let dir = self.0.path().join("journal");
        let config = format!(
            "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 600000\n{rest}",
            dir.display()
        );
        let channels: Vec<_> = channels.iter().map(|name| (*name, "")).collect();
        Gateway::start(&local(&config, &channels))
    }
}

fn kill(mut gateway: Gateway) {
    gateway.process.kill();
    gateway.process.wait(SOON);
}

fn state(gateway: &Gateway, channel: &str) -> String {
    let status = gateway.status(channel);
    let state = status["state"].as_str().expect("a word");
    assert_eq!(status["paused_ms"].is_u64(), state == "paused", "{status}");
    state.to_owned()
}

fn paused_seconds(gateway: &Gateway, label: &str) -> f64 {
    let series = format!(r#"cuegate_channel_paused_seconds{{channel="{label}"}}"#);
    gateway.scrape().get(&series)
}

/// Killed and ended, with events and without; and over a reload.
#[test]
fn it_survives_restarts_and_reloads() {
    let lives = Lives::new();
    let first = lives.start(&["full", "empty", "free"], "");
    assert!(
        paused_seconds(&first, "full") < 1e-9,
        "there from the start"
    );
    first.pause("full");
    first.publish("full", r#"{"data":1}"#);
    first.pause("empty");
    first.pause("free");
    first.resume("free");
    kill(first);

    let mut second = lives.start(&["full", "empty", "free"], "");
    second.process.logged("channel=full");
    second.process.logged("channel=empty");
    assert!(!second.process.log().contains("channel=free"));
    for (channel, expected) in [("full", "paused"), ("empty", "paused"), ("free", "live")] {
        assert_eq!(state(&second, channel), expected, "{channel}");
        let seconds = paused_seconds(&second, channel);
        assert_eq!(seconds > 0.0, expected == "paused", "{channel}: {seconds}");
        assert!(seconds < 100.0, "{channel}: {seconds}");
    }
    second.publish("empty", r#"{"data":2}"#);
    second.publish("free", r#"{"data":3}"#);
    second.drained("free");
    let reloaded = send(second.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    for channel in ["full", "empty"] {
        assert_eq!(state(&second, channel), "paused");
        assert_eq!(second.status(channel)["queued"], 1, "{channel}");
        assert!(second.taken(channel).is_empty(), "{channel}");
    }
    second.resume("full");
    second.drained("full");
    // An end by a signal keeps what is paused; the drain waits for it, up to its time.
    second.process.signal("TERM");
    second.process.signal("TERM");
    second.process.wait(SOON);

    let third = lives.start(&["full", "empty", "free"], "");
    assert_eq!(state(&third, "full"), "live");
    assert_eq!(state(&third, "empty"), "paused");
    third.resume("empty");
    third.drained("empty");
    assert_eq!(third.taken("empty").len(), 1);
    assert!(paused_seconds(&third, "empty") < 1e-9);
    kill(third);
    let fourth = lives.start(&["full", "empty", "free"], "");
    assert_eq!(state(&fourth, "empty"), "live");
    assert!(!fourth.process.log().contains("paused"));
}

/// Many pause and resume at once. At the end it is one of both, and all agree on which: the status, the
/// metrics, what leaves, and the next process.
#[test]
fn pausing_and_resuming_at_once_leaves_one_of_both() {
    let mut random = fastrand::Rng::with_seed(seed());
    let lives = Lives::new();
    let channels = ["quiz", "other"];
    let mut gateway = lives.start(&channels, "");
    for round in 0..4 {
        let mut is_paused = false;
        for _ in 0..6 {
            // So that the event that is looked at is the only one.
            gateway.resume("quiz");
            gateway.drained("quiz");
            let all_at_once = Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    let (gateway, pauses, start) = (&gateway, random.bool(), &all_at_once);
                    scope.spawn(move || {
                        start.wait();
                        if pauses {
                            gateway.pause("quiz");
                        } else {
                            gateway.resume("quiz");
                        }
                    });
                }
            });
            is_paused = state(&gateway, "quiz") == "paused";
            println!("round {round}: paused: {is_paused}");
            assert_eq!(paused_seconds(&gateway, "quiz") > 0.0, is_paused);
            let series = r#"cuegate_channel_state{channel="quiz",state="paused"}"#;
            assert_eq!(gateway.scrape().get(series) > 0.5, is_paused);
            leaves_unless(is_paused, &gateway);
        }
        kill(gateway);
        gateway = lives.start(&channels, "");
        assert_eq!(state(&gateway, "quiz") == "paused", is_paused);
        leaves_unless(is_paused, &gateway);
    }
}

/// An event leaves, or waits if the channel is paused: while others are delivered that came after it.
fn leaves_unless(is_paused: bool, gateway: &Gateway) {
    let taken = gateway.taken("quiz").len();
    gateway.publish("quiz", r#"{"data":1}"#);
    if !is_paused {
        gateway.drained("quiz");
        return;
    }
    for _ in 0..2 {
        let path = "/v1/channels/other/events?wait=delivered";
        assert_eq!(gateway.post(path, r#"{"data":1}"#).status, 200);
    }
    assert_ne!(gateway.status("quiz")["queued"], 0);
    assert_eq!(gateway.taken("quiz").len(), taken);
}

/// It is the ARN's: under another name, or under none.
#[test]
fn it_is_kept_by_arn() {
    let lives = Lives::new();
    let first = lives.start(&["quiz"], "[channels]\nallow_unlisted = true\n");
    let other = arn("quiz").replace('/', "%2F");
    first.pause("quiz");
    kill(first);
    let second = lives.start(&["b"], "[channels]\nallow_unlisted = true\n");
    assert_eq!(state(&second, &other), "paused");
    eventually("it counts as one of the others", || {
        (paused_seconds(&second, "_other") > 0.0).then_some(())
    });
    assert_eq!(state(&second, "b"), "live");
    kill(second);
    let third = lives.start(&["quiz"], "");
    assert_eq!(state(&third, "quiz"), "paused");
}

/// A paused channel is not forgotten to make room, though nothing is in it.
#[test]
fn a_paused_channel_is_never_forgotten() {
    let lives = Lives::new();
    let limits = "[channels]\nallow_unlisted = true\n[limits]\nchannels_max = 2\n";
    let gateway = lives.start(&["quiz"], limits);
    let path = |name: &str| arn(name).replace('/', "%2F");
    gateway.pause(&path("aaa"));
    let full = gateway.post(
        &format!("/v1/channels/{}/events", path("bbb")),
        r#"{"data":1}"#,
    );
    assert_eq!(full.status, 503, "{full:?}");
    assert_eq!(state(&gateway, &path("aaa")), "paused");
}

/// Without a journal it ends with the process.
#[test]
fn without_a_journal_it_is_not_kept() {
    let mut gateway = Gateway::start(&local("[journal]\nmode = \"off\"\n", &[("quiz", "")]));
    gateway.pause("quiz");
    assert_eq!(state(&gateway, "quiz"), "paused");
    let reloaded = send(gateway.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(state(&gateway, "quiz"), "paused");
    gateway.process.kill();
}
