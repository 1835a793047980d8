//! The state over HTTP, for a CDN in front of viewers: what it tells is what the stream told, a little
//! later; who may ask, and what of what is not there.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::http::{Response, check_problem, send};
use crate::support::ports;
use crate::support::process::{Gateway, arn, local};

const WINDOW: Duration = Duration::from_secs(2);
const HTTP: &str = "keyframes = true\nstate_http = true\nstate_idle_ms = 100\nstate_delay_ms = 300";
const PATH: &str = "/v1/channels/quiz/state";

struct Viewers {
    gateway: Gateway,
    state: SocketAddr,
}

impl Viewers {
    fn start(directory: &tempfile::TempDir, rest: &str, quiz: &str) -> Self {
        let (journal, state) = (directory.path().join("journal"), ports::free());
        let window = WINDOW.as_millis();
        let rest = format!(
            "[journal]\ndir = \"{}\"\n[state]\nlisten = \"{state}\"\nwindow_ms = {window}\n{rest}",
            journal.display()
        );
        let channels = [("quiz", quiz), ("plain", "keyframes = true")];
        let gateway = Gateway::start(&local(&rest, &channels));
        Self { gateway, state }
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let answer = send(self.state, "GET", path, headers, b"");
        // Whatever it is, caches keep it for a second, and every page may read it.
        assert_eq!(answer.header("cache-control"), "public, max-age=1");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        answer
    }

    /// What is told once this holds of it.
    fn told(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let answer = self.ask(PATH, &[]);
            if answer.status == 503 {
                check_problem(&answer, 503, "overloaded");
                return None;
            }
            assert_eq!(answer.status, 200, "{answer:?}");
            Some(answer.json()).filter(&holds)
        })
    }

    fn vote(&self) {
        let vote = r#"{"data":1,"key":"votes","merge":"sum","type":"vote"}"#;
        self.gateway.publish("quiz", vote);
        self.gateway.drained("quiz");
    }

    /// Every payload that the stream has, by number.
    fn stream(&self) -> Vec<(u64, String)> {
        let taken = self.gateway.taken("quiz").into_iter();
        taken.map(|text| (number(&text), text)).collect()
    }

    /// It is what the stream told: the sum before the first payload, and the payloads from there on.
    fn check(&self, told: &Value) {
        let (stream, n) = (self.stream(), told["n"].as_u64().expect("a number"));
        let before = stream.iter().filter(|(number, _)| *number < n);
        let votes: usize = before.map(|(_, text)| votes_in(text)).sum();
        assert_eq!(votes_of(told), votes, "{told}");
        let since: Vec<(u64, String)> =
            serde_json::from_value(told["since"].clone()).expect("numbers and texts");
        let first = stream.iter().position(|(number, _)| *number == n);
        let first = first.expect("a payload of the stream");
        assert_eq!(since, stream[first..first + since.len()]);
    }
}

fn number(text: &str) -> u64 {
    let payload: Value = serde_json::from_str(text).expect("JSON");
    payload["n"].as_u64().expect("a number")
}

fn votes_in(text: &str) -> usize {
    text.matches(r#""k":"votes","m":"sum""#).count()
}

/// The value that it tells of the votes: as many as there were.
fn votes_of(told: &Value) -> usize {
    let mut entries = told["s"].as_array().expect("entries").iter();
    let entry = entries.find(|entry| entry["k"] == "votes");
    let votes = entry.map_or(Some(0), |entry| entry["d"].as_u64());
    usize::try_from(votes.expect("a number")).expect("few")
}

fn all_votes(told: &Value) -> usize {
    votes_of(told) + votes_since(told)
}

fn votes_since(told: &Value) -> usize {
    votes_in(&told["since"].to_string().replace('\\', ""))
}

#[test]
fn it_tells_what_the_stream_told_a_little_later_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut viewers = Viewers::start(&directory, "", HTTP);
    let early = viewers.ask(PATH, &[]);
    check_problem(&early, 503, "overloaded");
    for _ in 0..3 {
        viewers.vote();
    }
    let told = viewers.told("the votes", |told| all_votes(told) == 3);
    viewers.check(&told);
    assert_eq!(told["v"], 1);
    // They leave the window.
    let told = viewers.told("the window to pass", |told| votes_of(told) == 3);
    viewers.check(&told);
    assert_eq!(
        told["s"],
        json!([{"k": "votes", "d": 3, "t": "vote", "m": "sum"}])
    );
    let voted = Instant::now();
    viewers.vote();
    let told = viewers.told("the fourth vote", |told| all_votes(told) == 4);
    viewers.check(&told);
    let before = viewers.stream();
    viewers.gateway.process.kill();
    drop(viewers);

    // The emulator has gone with it, and what it took.
    let again = Viewers::start(&directory, "", HTTP);
    let told = again.told("what was told before", |told| all_votes(told) == 4);
    let since = told["since"].as_array().expect("a list");
    // A start may take longer than the window.
    if votes_since(&told) == 1 || voted.elapsed() < WINDOW {
        let (n, text) = before
            .iter()
            .rfind(|(_, text)| votes_in(text) == 1)
            .expect("the vote");
        assert!(since.contains(&json!([n, text])), "{told}");
    }
    again.vote();
    again.told("the fifth vote", |told| votes_of(told) == 5);
}

#[test]
fn a_quiet_channel_tells_its_newest_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let viewers = Viewers::start(
        &directory,
        "",
        &HTTP.replace("idle_ms = 100", "idle_ms = 0"),
    );
    viewers.vote();
    let quiet = |told: &Value| told["since"] == json!([]);
    let told = viewers.told("the window to pass", quiet);
    let (last, _) = viewers.stream().pop().expect("a payload");
    assert_eq!((told["n"].as_u64(), votes_of(&told)), (Some(last + 1), 1));
}

#[test]
fn caches_ask_whether_it_has_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let viewers = Viewers::start(
        &directory,
        "",
        &HTTP.replace("idle_ms = 100", "idle_ms = 0"),
    );
    for key in 0..60 {
        let body = format!(r#"{{"data":{key},"key":"key {key}","merge":"max"}}"#);
        viewers.gateway.publish("quiz", &body);
    }
    viewers.gateway.drained("quiz");
    let told = viewers.told("the window to pass", |told| told["since"] == json!([]));
    let answer = viewers.ask(PATH, &[]);
    let etag = answer.header("etag").to_owned();
    let n = told["n"].as_u64().expect("a number");
    assert_eq!(etag, format!("W/\"{n}-{}\"", n - 1));
    assert_eq!(answer.header("content-type"), "application/json");
    let known = viewers.ask(PATH, &[("if-none-match", &etag)]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), etag);
    let packed = viewers.ask(PATH, &[("accept-encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&*packed.body)
        .read_to_string(&mut text)
        .expect("gzip");
    assert_eq!(text, answer.text());
    let head = send(viewers.state, "HEAD", PATH, &[], b"");
    assert_eq!((head.status, head.header("etag")), (200, &*etag));
    viewers.vote();
    eventually("another one", || {
        let changed = viewers.ask(PATH, &[("if-none-match", &etag)]);
        (changed.status == 200).then_some(())
    });
}

#[test]
fn there_is_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = "[[api_key]]\nname = \"studio\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000001\"\nscopes = [\"read\"]\nchannels = [\"*\"]\n";
    // Nobody needs a key, and it may be reached from elsewhere.
    let viewers = Viewers::start(&directory, key, HTTP);
    for path in [
        "/v1/channels/plain/state",
        "/v1/channels/none/state",
        &format!("/v1/channels/{}/state", arn("plain").replace('/', "%2F")),
        "/v1/channels/%FF/state",
        "/v1/channels/quiz",
        "/v1/channels/quiz/payloads",
        "/metrics",
        "/",
    ] {
        check_problem(&viewers.ask(path, &[]), 404, "not_found");
    }
    let by_arn = format!("/v1/channels/{}/state", arn("quiz").replace('/', "%2F"));
    eventually("the state by its ARN", || {
        (viewers.ask(&by_arn, &[]).status == 200).then_some(())
    });
    for query in ["?", "?n=1", "?key=votes"] {
        let answer = viewers.ask(&format!("{PATH}{query}"), &[]);
        check_problem(&answer, 400, "malformed");
    }
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let answer = send(viewers.state, method, PATH, &[], b"");
        check_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    let elsewhere = viewers.gateway.request("GET", PATH);
    assert_eq!(elsewhere.status, 401, "{elsewhere:?}");
}
