//! What goes wrong often is told at WARN, once a minute and kind; how the last process ended, at the start.

use serde_json::Value;

use super::parsed;
use crate::support::SOON;
use crate::support::http::send;
use crate::support::process::{ACCOUNT, Gateway, arn, local};

/// The lines whose message contains this.
fn warned<'a>(lines: &'a [Value], part: &str) -> Vec<&'a Value> {
    let has_part = |line: &&Value| {
        let message = line["fields"]["message"].as_str();
        message.is_some_and(|message| message.contains(part))
    };
    lines.iter().filter(has_part).collect()
}

#[test]
fn losses_and_refused_keys_are_warned_of_once() {
    // The SHA-256 of `key`.
    let keys = r#"
[[api_key]]
name = "quiz-backend"
sha256 = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"
channels = ["*"]
scopes = ["publish", "control"]
"#;
    let config = local(keys, &[("quiz", "ttl_ms = 1")]);
    let gateway = Gateway::start_as(&config, &[], &["--log-format", "json"]);
    let ask = |key: &str, method, path: &str, body: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        send(gateway.producers, method, path, &headers, body.as_bytes()).status
    };
    assert_eq!(ask("key", "POST", "/v1/channels/quiz/pause", ""), 204);
    let events = format!("[{0},{0},{0}]", r#"{"data":1}"#);
    assert_eq!(ask("key", "POST", "/v1/channels/quiz/events", &events), 202);
    for _ in 0..3 {
        assert_eq!(ask("no-such-key", "GET", "/v1/channels/quiz", ""), 401);
    }
    assert_eq!(ask("key", "GET", "/v1/channels/quiz", ""), 403);
    gateway.process.logged("events expired");
    gateway.process.logged("were refused for their key");
    let lines = parsed(&gateway.process.log());
    let expired = warned(&lines, "events expired");
    assert_eq!(expired.len(), 1, "{lines:#?}");
    assert_eq!(expired[0]["level"], "WARN");
    assert_eq!(expired[0]["fields"]["latest"], arn("quiz"));
    let refused = warned(&lines, "were refused for their key");
    assert_eq!(refused.len(), 1, "{lines:#?}");
    assert!(
        refused[0]["fields"]["count"]
            .as_u64()
            .is_some_and(|n| n >= 1)
    );
    assert!(!gateway.process.log().contains("no-such-key"));
}

/// 375 dead letters are one line, and so are as many throttles: each says how many, and where last.
#[test]
fn dead_letters_and_throttles_are_warned_of_once() {
    let config = local("", &[("dead", ""), ("slow", "ttl_ms = 60000")]);
    let mut gateway = Gateway::start_as(&config, &[], &["--log-format", "json"]);
    let fault = |channel: &str, fault: &str| format!(r#"{{"channel":"{}",{fault}}}"#, arn(channel));
    let denied = r#""kind":"error","status":403,"code":"AccessDeniedException""#;
    let throttled = r#""kind":"throttle","probability":1"#;
    let faults = [fault("dead", denied), fault("slow", throttled)];
    gateway.emulator.faults(&format!("[{}]", faults.join(",")));
    gateway.publish("slow", r#"{"data":1}"#);
    let event = r#"{"data":"x","envelope":"raw"}"#;
    gateway.publish("dead", &format!("[{}]", vec![event; 20].join(",")));
    gateway.drained("dead");
    for part in ["can never be delivered", "the API throttled calls"] {
        gateway.process.logged(part);
    }
    gateway.process.kill();
    let (_, log) = gateway.process.wait(SOON);
    let lines = parsed(&log);
    for (part, latest) in [
        ("can never be delivered", arn("dead")),
        // An account and region: the API's limits are theirs, too.
        ("the API throttled calls", ACCOUNT.to_owned()),
    ] {
        // The first of a kind is told within a second, and the others a minute later.
        let told = warned(&lines, part);
        assert_eq!(told.len(), 1, "{part}: {lines:#?}");
        assert_eq!(told[0]["level"], "WARN", "{told:?}");
        let fields = &told[0]["fields"];
        assert!(fields["count"].as_u64() >= Some(1), "{fields}");
        let told = fields["latest"].as_str().expect("a text");
        assert!(told.contains(&latest), "{fields}");
    }
    // The throttles were of calls that were permitted, so it is not the account. The first answer of all
    // may have been a refusal.
    let told = warned(&lines, "the account cannot send").len();
    assert!(told <= 1, "told {told} times: {lines:#?}");
}

/// A process that was killed is told of by the next one, and one that ended well is not.
#[test]
fn an_unclean_end_is_warned_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = directory.path().join("journal");
    let rest = format!("[journal]\ndir = \"{}\"\n", journal.display());
    let config = local(&rest, &[("quiz", "ttl_ms = 60000")]);
    let start = || Gateway::start_as(&config, &[], &["--log-format", "json"]);
    let told = |gateway: &Gateway| {
        let lines = parsed(&gateway.process.log());
        let told = warned(&lines, "did not end cleanly");
        told.into_iter().cloned().collect::<Vec<Value>>()
    };
    let mut first = start();
    assert_eq!(told(&first), [] as [Value; 0]);
    first.pause("quiz");
    first.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    first.process.kill();
    first.process.wait(SOON);
    let mut second = start();
    second.process.logged("did not end cleanly");
    let told_once = told(&second);
    assert_eq!(told_once.len(), 1, "{told_once:?}");
    assert_eq!(told_once[0]["level"], "WARN", "{told_once:?}");
    assert_eq!(told_once[0]["fields"]["kept"], 2, "{told_once:?}");
    second.resume("quiz");
    second.drained("quiz");
    second.process.signal("TERM");
    let (status, log) = second.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(told(&start()), [] as [Value; 0]);
}
