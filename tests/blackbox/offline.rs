//! A channel without a live stream: events are held, dropped or refused.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::http::{check_problem, send};
use crate::support::metrics::{Metrics, same};
use crate::support::payloads::data;
use crate::support::process::{Gateway, arn, local};
use crate::support::{SOON, eventually};

fn until_state(gateway: &Gateway, channel: &str, state: &str) {
    eventually(state, || {
        (gateway.status(channel)["state"] == state).then_some(())
    });
}

#[test]
fn hold_drop_or_reject() {
    let long = "ttl_ms = 60000\n";
    let keys = |policy: &str| format!("{long}offline = \"{policy}\"");
    let (hold, drop, reject) = (keys("hold"), keys("drop"), keys("reject"));
    let channels = [
        ("hold", hold.as_str()),
        ("drop", &drop),
        ("reject", &reject),
    ];
    let gateway = Gateway::start(&local("", &channels));
    for (channel, _) in channels {
        gateway.emulator.stream(&arn(channel), "offline");
        // Nobody knows before a call was made.
        gateway.publish(channel, r#"{"data":1}"#);
        until_state(&gateway, channel, "offline");
    }
    gateway.publish("hold", r#"{"data":2}"#);
    let totals = gateway.status("hold");
    assert_eq!(
        (
            &totals["queued"],
            &totals["totals"]["dead_lettered"]["offline"]
        ),
        (&json!(2), &json!(0)),
        "{totals}"
    );

    let status = gateway.status("drop");
    assert_eq!(
        (
            &status["queued"],
            &status["totals"]["dead_lettered"]["offline"]
        ),
        (&json!(0), &json!(1)),
        "{status}"
    );
    // From time to time an event is let through to see whether the stream is back.
    gateway.publish("drop", r#"{"data":2}"#);
    eventually("it was dropped too", || {
        (gateway.status("drop")["totals"]["dead_lettered"]["offline"] == 2).then_some(())
    });

    let answer = eventually("an event is refused", || {
        let answer = gateway.post("/v1/channels/reject/events", r#"{"data":2}"#);
        (answer.status != 202).then_some(answer)
    });
    check_problem(&answer, 409, "channel_offline");

    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(metrics.get(r#"cuegate_events_dead_lettered_total{reason="offline"}"#) >= 2.0);
    for (channel, _) in channels {
        let series = format!(r#"cuegate_channel_state{{channel="{channel}",state="offline"}}"#);
        assert!((metrics.get(&series) - 1.0).abs() < 0.5, "{series}");
        gateway.emulator.stream(&arn(channel), "live");
    }
    // What was held leaves when the stream is back, by itself.
    gateway.drained("hold");
    assert_eq!(
        data(gateway.taken("hold").iter().map(String::as_str)),
        [json!(1), json!(2)]
    );
    until_state(&gateway, "hold", "live");
    for channel in ["drop", "reject"] {
        eventually("events are taken and sent again", || {
            gateway.post(&format!("/v1/channels/{channel}/events"), r#"{"data":3}"#);
            (!gateway.taken(channel).is_empty()).then_some(())
        });
    }
    eventually("all has ended", || {
        (gateway.scrape().sum("cuegate_queue_events") < 0.5).then_some(())
    });
    gateway.scrape().check_books(true);
}

#[test]
fn held_events_expire_as_any_others() {
    let gateway = Gateway::start(&local("", &[("hold", "ttl_ms = 60000")]));
    gateway.emulator.stream(&arn("hold"), "offline");
    gateway.publish("hold", r#"{"data":1}"#);
    until_state(&gateway, "hold", "offline");
    // Nothing would expire by waiting for the API: it is not known when the stream comes back.
    let answer = gateway.post(
        "/v1/channels/hold/events?wait=delivered&timeout_ms=10000",
        r#"{"data":2,"ttl_ms":100}"#,
    );
    assert_eq!(
        (answer.status, &answer.json()["ended"]["expired"]),
        (200, &json!(1)),
        "{answer:?}"
    );
}

/// Probes of a stream that stays offline come every few seconds at most; what is said of the
/// stream is looked into at once.
#[test]
fn what_is_said_of_a_stream_is_looked_into() {
    let secret = "0123456789abcdef";
    let rest = format!("[eventbridge]\nsecret = \"{secret}\"\n");
    let gateway = Gateway::start(&local(&rest, &[("quiz", "ttl_ms = 600000")]));
    gateway.emulator.stream(&arn("quiz"), "offline");
    gateway.publish("quiz", r#"{"data":1}"#);
    until_state(&gateway, "quiz", "offline");

    let post = |secret: &str, body: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-cuegate-secret", secret),
        ];
        let body = body.as_bytes();
        send(gateway.producers, "POST", "/v1/eventbridge", &headers, body)
    };
    let notice = |name: &str, seconds: u32, arn: &str| {
        json!({
            "version": "0", "id": "98a31fbd-0000-0000-0000-000000000000",
            "detail-type": "IVS Stream State Change", "source": "aws.ivs",
            "account": "000000000000", "time": format!("2026-11-22T15:54:{seconds:02}Z"),
            "region": "us-west-2", "resources": [arn],
            "detail": {"event_name": name, "channel_name": "quiz", "stream_id": "st-1"},
        })
    };
    let with_id = |notice: &serde_json::Value, id: &str| {
        let mut other = notice.clone();
        other["id"] = json!(id);
        other
    };
    let quiz = arn("quiz");
    check_problem(&post("wrong", "{}"), 401, "unauthenticated");
    check_problem(&post(secret, "5"), 400, "malformed");
    let probes = || gateway.emulator.report()["all"]["not_broadcasting"].as_u64();
    let cases = [
        (notice("Stream Start", 10, &quiz), 1),
        // The same again, one that is older, other news, another's stream.
        (notice("Stream Start", 10, &quiz), 0),
        (notice("Stream End", 9, &quiz), 0),
        (notice("Session Created", 11, &quiz), 0),
        (notice("Stream Start", 12, &arn("nobody")), 0),
        (
            json!([
                notice("Stream End", 13, &quiz),
                notice("Stream Start", 14, &quiz)
            ]),
            2,
        ),
        // One of the same second with an id of its own; an odd one beside a good one.
        (with_id(&notice("Stream Start", 14, &quiz), "other"), 1),
        (
            json!([
                {"source": "aws.ivs", "detail-type": "IVS Stream State Change", "detail": null},
                5,
                notice("Stream Start", 15, &quiz)
            ]),
            1,
        ),
    ];
    for (body, applied) in cases {
        let before = probes();
        let answer = post(secret, &body.to_string());
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert_eq!(answer.json()["applied"], applied, "{body}");
        if applied > 0 {
            eventually("it is probed", || (probes() > before).then_some(()));
        }
    }
    // The emulator's own list of streams tells the rest.
    gateway.emulator.stream(&quiz, "live");
    gateway.drained("quiz");
    until_state(&gateway, "quiz", "live");

    let shut = Gateway::start(&local("", &[("quiz", "")]));
    let answer = send(shut.producers, "POST", "/v1/eventbridge", &[], b"{}");
    check_problem(&answer, 404, "not_found");
}

fn dead(metrics: &Metrics) -> f64 {
    metrics.get(r#"cuegate_events_dead_lettered_total{reason="offline"}"#)
}

/// Sends events to a channel without a pause until one is taken, or for `limit`.
fn until_taken(gateway: &Gateway, channel: &str, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let answer = gateway.post(&format!("/v1/channels/{channel}/events"), r#"{"data":1}"#);
        if answer.status == 202 {
            return true;
        }
        check_problem(&answer, 409, "channel_offline");
        std::thread::sleep(Duration::from_millis(25));
    }
    false
}

/// Longer than any pause after which an event might be let through to see.
const LONG: Duration = Duration::from_secs(13);

/// The list of live streams says that the stream is not live, and is read every second: no event
/// is spent to see.
#[test]
fn an_offline_channel_refuses_while_the_list_says_so() {
    let gateway = Gateway::start(&local("", &[("reject", "offline = \"reject\"")]));
    gateway.emulator.stream(&arn("reject"), "offline");
    // Of what nothing is known is taken.
    assert!(until_taken(&gateway, "reject", Duration::from_secs(1)));
    until_state(&gateway, "reject", "offline");
    assert!(!until_taken(&gateway, "reject", LONG), "it relapsed");
    let metrics = gateway.scrape();
    assert!(same(dead(&metrics), 1.0), "{}", dead(&metrics));
    metrics.check_books(true);

    gateway.emulator.stream(&arn("reject"), "live");
    assert!(until_taken(&gateway, "reject", SOON));
    eventually("it is delivered", || {
        (!gateway.taken("reject").is_empty()).then_some(())
    });
    assert!(same(dead(&gateway.scrape()), 1.0));
}

/// Nobody may read the list, and no notice comes: one event in ten seconds is spent to see.
#[test]
fn where_the_list_may_not_be_read_few_events_are_spent() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    let keys = "[[key]]\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\naccount = \"000000000000\"\noperations = [\"ivs:PutMetadata\"]\n";
    std::fs::write(&file, keys).expect("a file");
    let emulator = Emulator::start(&["--credentials", file.to_str().expect("UTF-8")]);
    let config = format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\n[[channel]]\nname = \"reject\"\narn = \"{}\"\noffline = \"reject\"\nttl_ms = 60000\n",
        emulator.api.0,
        arn("reject")
    );
    emulator.api.stream(&arn("reject"), "offline");
    let gateway = Gateway::start(&config);
    for spent in 1..=2 {
        let started = Instant::now();
        assert!(until_taken(&gateway, "reject", SOON), "nothing is spent");
        assert!(
            spent == 1 || started.elapsed() > Duration::from_secs(8),
            "{:?}",
            started.elapsed()
        );
        eventually("it is spent", || {
            same(dead(&gateway.scrape()), f64::from(spent)).then_some(())
        });
    }
    gateway.process.logged("cannot be read");
    emulator.api.stream(&arn("reject"), "live");
    assert!(until_taken(&gateway, "reject", SOON));
    eventually("it is delivered", || {
        (!emulator.api.metadata(&arn("reject")).is_empty()).then_some(())
    });
    let metrics = gateway.scrape();
    assert!(same(dead(&metrics), 2.0), "{}", dead(&metrics));
    metrics.check_books(true);
}
