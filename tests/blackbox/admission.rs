//! What a queue takes, what it refuses and what it lets go of: TTL, dedup, overflow.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::check_problem;
use crate::support::metrics::same;
use crate::support::payloads::data;
use crate::support::process::{Gateway, local};
use crate::support::{SOON, eventually, within};

fn shown(gateway: &Gateway, channel: &str) -> Vec<Value> {
    data(gateway.taken(channel).iter().map(String::as_str))
}

#[test]
fn an_event_expires_at_its_deadline() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 300")]));
    gateway.pause("quiz");
    gateway.publish(
        "quiz",
        r#"[{"data":1,"ttl_ms":50},{"data":2},{"data":3,"ttl_ms":60000}]"#,
    );
    eventually("two have expired", || {
        (gateway.status("quiz")["totals"]["expired"] == 2).then_some(())
    });
    assert_eq!(gateway.status("quiz")["queued"], 1);
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(shown(&gateway, "quiz"), [json!(3)]);
    gateway.scrape().check_books(true);
}

#[test]
fn the_same_id_is_a_duplicate_within_its_window() {
    let gateway = Gateway::start(&local(
        "",
        &[
            ("quiz", "dedup_window_ms = 700"),
            ("other", ""),
            ("off", "dedup_window_ms = 0"),
        ],
    ));
    let publish = |channel: &str| {
        let answer = gateway.publish(channel, r#"{"data":1,"id":"a-17"}"#);
        (answer["accepted"].as_u64(), answer["duplicates"].as_u64())
    };
    let (accepted, duplicate) = ((Some(1), Some(0)), (Some(0), Some(1)));
    assert_eq!(publish("quiz"), accepted);
    assert_eq!(publish("quiz"), duplicate);
    gateway.drained("quiz");
    assert_eq!(publish("other"), accepted, "ids are a channel's own");
    assert_eq!(publish("other"), duplicate);
    gateway.drained("other");
    assert_eq!(
        publish("other"),
        duplicate,
        "delivered is seen as well as queued"
    );
    gateway.publish("off", r#"{"data":1,"id":"a-17"}"#);
    gateway.drained("off");
    assert_eq!(publish("off"), accepted, "a window of 0 remembers nothing");
    eventually("the window ends", || {
        (publish("quiz") == accepted).then_some(())
    });
    // Twice in one body.
    let answer = gateway.publish("quiz", r#"[{"data":1,"id":"b"},{"data":2,"id":"b"}]"#);
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );
    gateway.scrape().check_books(true);
}

/// What a full queue of three does with one more event.
struct Overflow {
    policy: &'static str,
    queued: &'static str,
    then: &'static str,
    status: u16,
    left: &'static [u64],
}

const OVERFLOWS: &[Overflow] = &[
    Overflow {
        policy: "drop_lowest_priority",
        queued: r#"[{"data":1},{"data":2,"priority":"low"},{"data":3,"priority":"low"}]"#,
        then: r#"{"data":4}"#,
        status: 202,
        left: &[1, 4, 3],
    },
    Overflow {
        policy: "drop_lowest_priority",
        queued: r#"[{"data":1},{"data":2},{"data":3}]"#,
        then: r#"{"data":4}"#,
        status: 429,
        left: &[1, 2, 3],
    },
    Overflow {
        policy: "drop_lowest_priority",
        queued: r#"[{"data":1},{"data":2},{"data":3}]"#,
        then: r#"{"data":4,"priority":"high"}"#,
        status: 202,
        left: &[4, 2, 3],
    },
    Overflow {
        policy: "reject",
        queued: r#"[{"data":1,"priority":"low"},{"data":2,"priority":"low"},{"data":3,"priority":"low"}]"#,
        then: r#"{"data":4,"priority":"high"}"#,
        status: 429,
        left: &[1, 2, 3],
    },
    Overflow {
        policy: "drop_oldest",
        queued: r#"[{"data":1,"priority":"high"},{"data":2},{"data":3}]"#,
        then: r#"{"data":4,"priority":"low"}"#,
        status: 202,
        left: &[2, 3, 4],
    },
];

#[test]
fn a_full_queue_does_as_its_policy_says() {
    let keys: Vec<_> = OVERFLOWS
        .iter()
        .enumerate()
        .map(|(nth, case)| {
            let keys = format!(
                "queue_max_events = 3\nttl_ms = 60000\noverflow = \"{}\"",
                case.policy
            );
            (format!("case-{nth}"), keys)
        })
        .collect();
    let channels: Vec<_> = keys
        .iter()
        .map(|(name, keys)| (name.as_str(), keys.as_str()))
        .collect();
    let gateway = Gateway::start(&local("", &channels));
    for ((channel, _), case) in channels.iter().zip(OVERFLOWS) {
        gateway.pause(channel);
        gateway.publish(channel, case.queued);
        let answer = gateway.post(&format!("/v1/channels/{channel}/events"), case.then);
        assert_eq!(answer.status, case.status, "{channel}: {answer:?}");
        if case.status == 429 {
            check_problem(&answer, 429, "queue_full");
        }
        let evicted = gateway.status(channel)["totals"]["evicted"].clone();
        assert_eq!(evicted, u64::from(case.status == 202), "{channel}");
        gateway.resume(channel);
        gateway.drained(channel);
        let left: Vec<_> = case.left.iter().map(|n| json!(n)).collect();
        assert_eq!(shown(&gateway, channel), left, "{channel}: {}", case.policy);
    }
    gateway.scrape().check_books(true);
}

#[test]
fn what_would_expire_is_refused_at_once() {
    let keys = "envelope = \"raw\"\nttl_ms = 60000";
    let oldest = format!("{keys}\noverflow = \"drop_oldest\"");
    let gateway = Gateway::start(&local("", &[("quiz", keys), ("oldest", &oldest)]));
    let body = format!("[{}]", vec![r#"{"data":1}"#; 40].join(","));
    for channel in ["quiz", "oldest"] {
        gateway.pause(channel);
        gateway.publish(channel, &body);
    }
    let post =
        |channel: &str, body: &str| gateway.post(&format!("/v1/channels/{channel}/events"), body);
    // 40 payloads take about eight seconds.
    let answer = post("quiz", r#"{"data":2,"ttl_ms":1000}"#);
    check_problem(&answer, 429, "would_expire");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((4..=10).contains(&wait), "{answer:?}");
    for (channel, event) in [
        ("quiz", r#"{"data":2,"ttl_ms":1000,"priority":"high"}"#),
        ("quiz", r#"{"data":2,"ttl_ms":20000}"#),
        ("oldest", r#"{"data":2,"ttl_ms":1000}"#),
    ] {
        assert_eq!(post(channel, event).status, 202, "{channel} {event}");
    }
    let soon = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_millis()
        + 5000;
    let later = format!(r#"{{"data":2,"ttl_ms":1000,"at":{soon}}}"#);
    assert_eq!(post("quiz", &later).status, 202, "not for a future `at`");
}

/// What a queue takes goes by how busy the account is now, and not by how busy it was when the channel last
/// sent. The first moment of quiet shows that as well as a long time of it.
#[test]
fn an_idle_channel_goes_by_the_present_pace() {
    let names: Vec<String> = (0..400).map(|nth| format!("c{nth}")).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let gateway = Gateway::start(&local("", &channels));
    let event = |channel: &str| format!(r#"{{"channel":"{channel}","data":1,"ttl_ms":60000}}"#);
    let all: Vec<String> = names.iter().rev().map(|name| event(name)).collect();
    let answer = gateway.post("/v1/events", &format!("[{}]", all.join(",")));
    assert_eq!(answer.json()["accepted"], 400, "{answer:?}");
    within(3 * SOON, "nothing is left", || {
        same(gateway.scrape().sum("cuegate_queue_events"), 0.0).then_some(())
    });
    // In company these would take longer than their TTL.
    let event = format!(r#"{{"data":"{}","ttl_ms":20000}}"#, "x".repeat(900));
    let ten = format!("[{}]", vec![event; 10].join(","));
    let answer = gateway.publish("c0", &ten);
    assert_eq!(answer["accepted"], 10, "{answer}");
    let eta = answer["eta_ms"].as_u64().expect("a number");
    assert!(eta < 20_000, "{answer}");
}

#[test]
fn how_long_the_queue_takes_is_told_and_kept() {
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", "envelope = \"raw\"\nttl_ms = 60000")],
    ));
    let body = format!("[{}]", vec![r#"{"data":1}"#; 25].join(","));
    let start = std::time::Instant::now();
    let eta = Duration::from_millis(
        gateway.publish("quiz", &body)["eta_ms"]
            .as_u64()
            .expect("a number"),
    );
    within(eta * 2, "the queue is empty", || {
        (gateway.status("quiz")["queued"] == 0).then_some(())
    });
    // Five a second: the 25th leaves four seconds after the first.
    assert!(
        start.elapsed() >= Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
