//! A channel without a live stream: events are held, dropped or refused.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::emulator::Emulator;
use crate::support::http::{Response, check_problem, send};
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

fn post_notice(gateway: &Gateway, secret: &str, body: &str) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("x-cuegate-secret", secret),
    ];
    let body = body.as_bytes();
    send(gateway.producers, "POST", "/v1/eventbridge", &headers, body)
}

/// What `EventBridge` says of a channel's stream.
fn notice(name: &str, time: &str, arn: &str) -> Value {
    json!({
        "version": "0", "id": "98a31fbd-0000-0000-0000-000000000000",
        "detail-type": "IVS Stream State Change", "source": "aws.ivs",
        "account": "000000000000", "time": time, "region": "us-west-2", "resources": [arn],
        "detail": {"event_name": name, "channel_name": "quiz", "stream_id": "st-1"},
    })
}

/// One with a wrong date counts as one of now, so that it silences none that come after it.
#[test]
fn a_notice_from_the_future_silences_none_that_follow() {
    let secret = "0123456789abcdef";
    let rest = format!("[eventbridge]\nsecret = \"{secret}\"\n");
    let gateway = Gateway::start(&local(&rest, &[("quiz", "ttl_ms = 600000")]));
    gateway.emulator.stream(&arn("quiz"), "offline");
    gateway.publish("quiz", r#"{"data":1}"#);
    until_state(&gateway, "quiz", "offline");
    let probes = || gateway.emulator.report()["all"]["not_broadcasting"].as_u64();
    for wrong in ["2030-01-01T00:00:00Z", "2099-12-31T23:59:59Z"] {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("a time");
        for time in [wrong, &now] {
            let before = probes();
            let body = notice("Stream Start", time, &arn("quiz")).to_string();
            let answer = post_notice(&gateway, secret, &body);
            assert_eq!(answer.json()["applied"], 1, "{time}: {answer:?}");
            eventually("it is probed", || (probes() > before).then_some(()));
        }
    }
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

    let post = |secret: &str, body: &str| post_notice(&gateway, secret, body);
    let notice = |name: &str, seconds: u32, arn: &str| {
        notice(name, &format!("2026-11-22T15:54:{seconds:02}Z"), arn)
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

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("this century")
}

/// Nobody knows when the stream comes back, so no answer says how long the queue takes.
#[test]
fn while_a_channel_is_offline_nobody_says_how_long_its_queue_takes() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 600000")]));
    let eta = |answer: &Value| answer["eta_ms"].clone();
    let listed = || gateway.request("GET", "/v1/channels").json()["channels"][0].clone();
    let queued = || gateway.request("GET", "/v1/channels/quiz/events").json()["events"][0].clone();
    gateway.emulator.stream(&arn("quiz"), "offline");
    gateway.publish("quiz", r#"{"data":1}"#);
    until_state(&gateway, "quiz", "offline");
    let answers = [
        gateway.publish("quiz", r#"{"data":2}"#),
        gateway.status("quiz"),
        listed(),
        queued(),
    ];
    for answer in answers {
        assert_eq!(answer.get("eta_ms"), Some(&Value::Null), "{answer}");
    }
    // The metric stays what the queue takes once it may leave.
    let takes = gateway
        .scrape()
        .get(r#"cuegate_queue_eta_seconds{channel="quiz"}"#);
    assert!(takes > 0.0, "{takes}");
    gateway.emulator.stream(&arn("quiz"), "live");
    gateway.drained("quiz");
    for answer in [gateway.status("quiz"), listed()] {
        assert!(eta(&answer).is_u64(), "{answer}");
    }
}

/// Both policies are about what is to leave now: what is to leave later is held until then.
#[test]
fn what_is_to_leave_later_is_held_until_then() {
    let keys = |policy: &str| format!("ttl_ms = 60000\noffline = \"{policy}\"");
    let (drop, reject) = (keys("drop"), keys("reject"));
    let channels = [("drop", drop.as_str()), ("reject", &reject)];
    let gateway = Gateway::start(&local("", &channels));
    let lost = |channel: &str| {
        let totals = &gateway.status(channel)["totals"];
        totals["dead_lettered"]["offline"]
            .as_u64()
            .expect("a number")
    };
    let event = |text: &str, at: u64| format!(r#"{{"data":"{text}","at":{at}}}"#);
    for (channel, _) in channels {
        gateway.emulator.stream(&arn(channel), "offline");
        gateway.publish(channel, r#"{"data":"first"}"#);
        until_state(&gateway, channel, "offline");
        assert_eq!(lost(channel), 1, "{channel}");
    }
    let soon = now_ms() + 3000;
    let hour = now_ms() + 3_600_000;
    for (channel, _) in channels {
        gateway.publish(channel, &event("soon", soon));
        gateway.publish(channel, &event("later", hour));
    }
    for (channel, _) in channels {
        // Its time comes, and the stream is still not live.
        eventually("it is lost", || (lost(channel) == 2).then_some(()));
        assert!(now_ms() >= soon, "{channel}: lost before its time");
        assert_eq!(gateway.status(channel)["queued"], 1, "{channel}");
    }
    // Of these the stream is back when their time comes.
    let soon = now_ms() + 3000;
    for (channel, _) in channels {
        gateway.publish(channel, &event("in time", soon));
        gateway.emulator.stream(&arn(channel), "live");
    }
    for (channel, _) in channels {
        let taken = eventually("it is delivered", || {
            let taken = gateway.taken(channel);
            (!taken.is_empty()).then_some(taken)
        });
        assert!(now_ms() >= soon, "{channel}: sent before its time");
        assert_eq!(data(taken.iter().map(String::as_str)), [json!("in time")]);
        assert_eq!(
            (lost(channel), gateway.status(channel)["queued"].clone()),
            (2, json!(1))
        );
    }
    gateway.scrape().check_books(true);
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
