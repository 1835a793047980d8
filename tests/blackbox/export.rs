//! What a journal's export says, `POST /v1/events` takes back, byte for byte, whatever door it came
//! in by.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::http::{Response, send};
use crate::support::process::{Gateway, arn, command, local, run};

/// Of a string of `POST /PutMetadata`, all that could get lost on the way.
const VERBATIM: &str = "  {\"a\": 1.0}\t\"é\\\r\n😀\u{0}\u{202e} ";

fn start(directory: &Path) -> Gateway {
    let dir = directory.join("journal");
    let rest = format!(
        "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 600000\n\
         envelope_fields = [\"type\", \"key\", \"id\"]\n",
        dir.display()
    );
    Gateway::start(&local(&rest, &[("quiz", "")]))
}

/// The lines of a journal's export, its owner killed.
fn export(mut gateway: Gateway, directory: &Path) -> String {
    gateway.process.signal("KILL");
    gateway.process.wait(SOON);
    let dir = directory.join("journal");
    let exported = run(command().args(["journal", "export"]).arg(dir), "");
    assert_eq!(exported.code, Some(0), "{exported:?}");
    exported.out
}

fn post(gateway: &Gateway, path: &str, media: &str, body: &str) -> Response {
    let headers = [("content-type", media)];
    send(gateway.producers, "POST", path, &headers, body.as_bytes())
}

/// Lines without what goes on with time.
fn lasting(lines: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        for member in ["ttl_ms", "expirytime"] {
            line.as_object_mut().expect("an object").remove(member);
        }
        line
    };
    lines.lines().map(parse).collect()
}

#[test]
fn what_is_exported_is_taken_back() {
    let (one, two) = (tempfile::tempdir(), tempfile::tempdir());
    let (one, two) = (one.expect("a directory"), two.expect("a directory"));
    let first = start(one.path());
    first.pause("quiz");
    let long = "x".repeat(400);
    let cloud = json!({
        "specversion": "1.0", "id": format!("{long} and spaces"), "source": "urn:quiz/é",
        "type": "t", "data": {"big": 12_345_678_901_234_567_890_u64}, "cuekey": "k",
        "cuemerge": "replace", "cuepriority": "high",
    });
    let later = json!({
        "specversion": "1.0", "id": format!("later-{long}"), "source": "s", "type": "t",
        "data": [1], "cueat": "2999-01-01T00:00:00Z",
    });
    let ahead = json!({
        "specversion": "1.0", "id": format!("ahead-{long}"), "source": "s", "type": "t",
        "data": [1], "cueat": (now_ms() + 3_600_000).to_string(),
    });
    let put = json!({"channelArn": arn("quiz"), "metadata": VERBATIM}).to_string();
    let raw = json!({"data": VERBATIM, "envelope": "raw", "type": "r", "id": "raw"}).to_string();
    let at = format!(r#"{{"data":1.50,"at":{},"key":"k"}}"#, now_ms() + 3_600_000);
    let sum = r#"[{"data":1.5,"key":"v","merge":"sum"},{"data":-1.5,"key":"v","merge":"sum"}]"#;
    let events = "/v1/channels/quiz/events";
    let ce = "application/cloudevents+json";
    for (path, media, body, status) in [
        (events, ce, cloud.to_string(), 202),
        (events, ce, later.to_string(), 422),
        (events, ce, ahead.to_string(), 202),
        ("/PutMetadata", "application/json", put, 204),
        (events, "application/json", raw, 202),
        (events, "application/json", at, 202),
        (events, "application/json", sum.to_owned(), 202),
    ] {
        let answer = post(&first, path, media, &body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let lines = export(first, one.path());
    assert_eq!(lines.lines().count(), 6, "{lines}");

    let second = start(two.path());
    second.pause("quiz");
    let answer = post(&second, "/v1/events", "application/x-ndjson", &lines);
    let tally = answer.json();
    assert_eq!(
        (&tally["accepted"], &tally["rejected"]),
        (&json!(6), &json!([])),
        "{answer:?}\n{lines}"
    );
    // Their identities came along: sent again they are duplicates.
    let again = post(&second, events, ce, &cloud.to_string()).json();
    assert_eq!(again["duplicates"], 1, "{again}");
    assert_eq!(lasting(&export(second, two.path())), lasting(&lines));

    let third = start(two.path());
    third.resume("quiz");
    third.publish("quiz", r#"{"data":"last","priority":"low"}"#);
    crate::support::eventually("what is due is delivered", || {
        (third.status("quiz")["queued"] == 2).then_some(())
    });
    let taken = third.taken("quiz");
    let verbatim = taken.iter().filter(|text| *text == VERBATIM).count();
    assert_eq!(verbatim, 2, "{taken:?}");
    third.scrape().check_books(false);
}

fn now_ms() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_millis()
}
