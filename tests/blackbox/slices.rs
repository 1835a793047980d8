//! Events that are larger than a payload: they leave in slices, where the channel allows it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::emulator::Emulator;
use crate::support::forms::plain;
use crate::support::http::{check_problem, send};
use crate::support::process::{Gateway, arn, command, local, run};
use crate::support::{SOON, eventually};

const SLICES: &str = "compress = \"deflate\"\nevent_max_bytes = 65536\nttl_ms = 60000";

fn gateway() -> Gateway {
    Gateway::start(&local("", &[("quiz", SLICES), ("plain", "")]))
}

/// A list of players and their points, of about so many bytes as JSON.
fn board(bytes: usize) -> String {
    let mut rows = String::from("[");
    let mut random = fastrand::Rng::with_seed(7);
    for rank in 1.. {
        let _ = write!(
            rows,
            r#"{{"rank":{rank},"name":"player {}","points":{}}},"#,
            random.u32(0..5000),
            random.u32(0..100_000)
        );
        if rows.len() + 60 > bytes {
            break;
        }
    }
    rows.pop();
    rows + "]"
}

/// Digits that hardly compress: 1,400 of them make a slice.
fn noise(digits: usize) -> String {
    let mut random = fastrand::Rng::with_seed(8);
    let text: String = (0..digits).map(|_| random.digit(16)).collect();
    format!("\"{text}\"")
}

fn slices(gateway: &Gateway) -> usize {
    let taken = gateway.taken("quiz");
    taken.iter().filter(|text| text.starts_with("~2")).count()
}

/// The data of every event that viewers have, in order.
fn shown(payloads: &[String]) -> Vec<String> {
    let mut shown = Vec::new();
    for text in plain(payloads) {
        let payload: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(payload["v"], 1, "{text}");
        let items = payload["e"].as_array().expect("items");
        shown.extend(items.iter().map(|item| item["d"].to_string()));
    }
    shown
}

#[test]
fn a_large_event_arrives_whole() {
    let gateway = gateway();
    let url = format!("http://{}", gateway.producers);
    let mut tail = command();
    tail.args(["tail", "quiz", "--url", &url]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().expect("it starts");
    let out = tail.stdout.take().expect("its output");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
    eventually("the stream is open", || {
        let open = gateway.scrape();
        (open.get(r#"cuegate_connections{transport="http"}"#) > 0.5).then_some(())
    });
    // The first line shows that it is subscribed.
    gateway.publish("quiz", r#"{"data":0}"#);
    gateway.drained("quiz");
    let data = board(65_400);
    let body = format!(r#"{{"data":{data},"type":"board","id":"b"}}"#);
    let answer = gateway.post(
        "/v1/channels/quiz/events?wait=delivered&timeout_ms=30000",
        &body,
    );
    assert_eq!(
        (answer.status, answer.json()["delivered"].clone()),
        (200, 1.into())
    );
    let taken = gateway.taken("quiz");
    assert!(taken.iter().all(|text| text.len() <= 1024));
    assert!((6..17).contains(&slices(&gateway)), "{}", slices(&gateway));
    let texts = plain(&taken);
    let payload: Value = serde_json::from_str(texts.last().expect("a payload")).expect("JSON");
    assert_eq!(payload["e"][0]["t"], "board");
    assert!(texts.last().expect("a payload").contains(&data));
    // One event, with the number of the payload that viewers have.
    let state = gateway.request("GET", "/v1/channels/quiz/events/b").json();
    assert_eq!(
        (&state["state"], &state["n"]),
        (&"delivered".into(), &payload["n"])
    );
    let metrics = gateway.scrape();
    metrics.check_books(false);
    let delivered = metrics.get(r#"cuegate_events_delivered_total{channel="quiz"}"#);
    assert!((delivered - 2.0).abs() < 0.1, "{delivered}");
    // Recent payloads, as they were sent; the command shows the whole.
    let path = "/admin/channels/quiz/payloads/recent";
    let recent = send(gateway.admin, "GET", path, &[], b"");
    assert!(
        recent.status == 200 && recent.text().contains("~2"),
        "{recent:?}"
    );
    let mut line = lines.next().expect("a line").expect("text");
    if !line.contains("board") {
        line = lines.next().expect("a line").expect("text");
    }
    assert_eq!(&line, texts.last().expect("a payload"));
    crate::support::process::signal(&tail, "TERM");
    tail.wait().expect("its end");
}

/// A gateway before an emulator of its own, with a journal that outlives it.
fn lasting(emulator: SocketAddr, journal: &Path) -> Gateway {
    Gateway::start(&format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{emulator}\"\n\
        [journal]\ndir = \"{}\"\n[tuning]\nrestart_hold_ms = 1000\n\
        [[channel]]\nname = \"quiz\"\narn = \"{}\"\n{SLICES}\n",
        journal.display(),
        arn("quiz"),
    ))
}

#[test]
fn a_kill_in_the_middle_loses_nothing() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let directory = tempfile::tempdir().expect("a directory");
    let journal = directory.path().join("journal");
    let mut first = lasting(emulator.api.0, &journal);
    let data = noise(18_000);
    first.publish("quiz", &format!(r#"{{"data":{data},"id":"n","key":"k"}}"#));
    first.publish("quiz", r#"{"data":"after","key":"k","priority":"high"}"#);
    let taken = || -> Vec<String> {
        let taken = emulator.api.metadata(&arn("quiz"));
        taken.into_iter().map(|taken| taken.text).collect()
    };
    let before = eventually("three slices", || Some(taken()).filter(|it| it.len() > 2));
    first.process.kill();
    first.process.wait(SOON);
    let second = lasting(emulator.api.0, &journal);
    second.drained("quiz");
    let all = taken();
    let again = all.iter().filter(|text| **text == before[0]).count();
    assert_eq!(again, 2, "the same slices go again");
    assert_eq!(shown(&all), [data, "\"after\"".to_owned()]);
    let state = second.request("GET", "/v1/channels/quiz/events/n").json();
    assert_eq!(state["state"], "delivered");
    let metrics = second.scrape();
    metrics.check_books(false);
    let recovered = metrics.get(r#"cuegate_events_recovered_total{channel="quiz"}"#);
    assert!((recovered - 2.0).abs() < 0.1, "{recovered}");
}

#[test]
fn it_can_be_changed_until_the_first_slice_leaves() {
    let gateway = gateway();
    let path = "/v1/channels/quiz/events/a";
    let body = |data: &str| format!(r#"{{"data":{data},"id":"a"}}"#);
    let put = |data: &str| {
        let headers = [("content-type", "application/json")];
        let body = format!(r#"{{"data":{data}}}"#);
        send(gateway.producers, "PUT", path, &headers, body.as_bytes()).status
    };
    gateway.pause("quiz");
    gateway.publish("quiz", &body(&noise(3000)));
    assert_eq!(put(&noise(9000)), 200);
    assert_eq!(gateway.request("DELETE", path).status, 204);
    assert_eq!(put(&noise(20_000)), 202);
    gateway.resume("quiz");
    eventually("a slice", || (slices(&gateway) > 0).then_some(()));
    check_problem(&gateway.request("DELETE", path), 409, "already_sent");
    assert_eq!(put("1"), 409);
    gateway.drained("quiz");
    assert_eq!(shown(&gateway.taken("quiz")), [noise(20_000)]);
    let metrics = gateway.scrape();
    metrics.check_books(false);
    let cancelled = metrics.get(r#"cuegate_events_cancelled_total{channel="quiz"}"#);
    assert!((cancelled - 2.0).abs() < 0.1, "{cancelled}");
}

#[test]
fn the_ttl_counts_until_the_first_slice() {
    let gateway = gateway();
    let body = |id: &str, ttl: u32| {
        let data = noise(15_000);
        format!(r#"{{"data":{data},"id":"{id}","ttl_ms":{ttl}}}"#)
    };
    gateway.pause("quiz");
    gateway.publish("quiz", &body("late", 200));
    eventually("it expires", || {
        let state = gateway
            .request("GET", "/v1/channels/quiz/events/late")
            .json();
        (state["state"] == "expired").then_some(())
    });
    gateway.resume("quiz");
    // Its slices take more than a second.
    gateway.publish("quiz", &body("begun", 1000));
    gateway.drained("quiz");
    let state = gateway
        .request("GET", "/v1/channels/quiz/events/begun")
        .json();
    assert_eq!(state["state"], "delivered");
    assert_eq!(shown(&gateway.taken("quiz")), [noise(15_000)]);
}

#[test]
fn what_is_urgent_goes_between_slices() {
    let gateway = gateway();
    gateway.publish("quiz", &format!(r#"{{"data":{}}}"#, noise(20_000)));
    eventually("a slice", || (slices(&gateway) > 0).then_some(()));
    gateway.publish("quiz", r#"{"data":"later"}"#);
    gateway.publish("quiz", r#"{"data":"now","priority":"high"}"#);
    gateway.drained("quiz");
    let shown = shown(&gateway.taken("quiz"));
    assert_eq!(
        shown,
        ["\"now\"".to_owned(), noise(20_000), "\"later\"".to_owned()]
    );
}

#[test]
fn what_is_too_large_is_told_what_would_help() {
    let gateway = Gateway::start(&local(
        "",
        &[
            ("quiz", SLICES),
            ("plain", ""),
            ("some", "compress = \"deflate\"\nevent_max_bytes = 5000"),
        ],
    ));
    let post = |channel: &str, query: &str, body: &str| {
        gateway.post(&format!("/v1/channels/{channel}/events{query}"), body)
    };
    let event = |data: &str| format!(r#"{{"data":{data}}}"#);
    for (channel, data, words) in [
        (
            "plain",
            noise(3000),
            "a channel with event_max_bytes takes larger events",
        ),
        ("some", noise(6000), "event_max_bytes is 5000"),
        (
            "quiz",
            noise(60_000),
            "all slices of a payload together have 16256",
        ),
        (
            "quiz",
            format!("\"{}\"", "x".repeat(65_600)),
            "the limit is 1024",
        ),
    ] {
        let answer = post(channel, "", &event(&data));
        check_problem(&answer, 413, "event_too_large");
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    // All or none, with one that is too large.
    let batch = format!("[{},{}]", event(&noise(3000)), event(&noise(60_000)));
    check_problem(
        &post("quiz", "?atomic=true", &batch),
        413,
        "event_too_large",
    );
    assert_eq!(gateway.status("quiz")["queued"], 0);
    assert_eq!(post("some", "", &event(&noise(4000))).status, 202);
    gateway.drained("some");

    // Slices are of compressed payloads.
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("cuegate.toml");
    std::fs::write(&file, local("", &[("quiz", "event_max_bytes = 9000")])).expect("a file");
    let ended = run(command().arg("check-config").arg(&file), "");
    assert!(
        ended.code != Some(0) && (ended.err + &ended.out).contains("compress = \"deflate\""),
        "{:?}",
        ended.code
    );
}
