//! Channels made, changed and removed by API: `PUT` and `DELETE /v1/channels/{alias}`.

mod many;

use serde_json::{Value, json};

use crate::support::http::{Response, check_problem, send};
use crate::support::metrics::same;
use crate::support::process::{Ended, Gateway, arn, command, local, run};
use crate::support::{SOON, eventually};

/// Lives of a gateway on one journal.
struct Lives(tempfile::TempDir);

impl Lives {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn config(&self, channels: &[&str], rest: &str) -> String {
        let dir = self.0.path().join("journal");
        let channels: Vec<_> = channels.iter().map(|name| (*name, "")).collect();
        local(
            &format!("[journal]\ndir = \"{}\"\n{rest}", dir.display()),
            &channels,
        )
    }

    fn start(&self, channels: &[&str], rest: &str) -> Gateway {
        Gateway::start(&self.config(channels, rest))
    }

    fn tool(&self, arguments: &[&str]) -> Ended {
        let dir = self.0.path().join("journal");
        let ended = run(command().arg("journal").args(arguments).arg(dir), "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

fn kill(mut gateway: Gateway) {
    gateway.process.kill();
    gateway.process.wait(SOON);
}

fn reload(gateway: &Gateway, config: &str) -> Value {
    std::fs::write(gateway.config_file(), config).expect("the file");
    let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn put(gateway: &Gateway, alias: &str, body: &str) -> Response {
    let json = [("content-type", "application/json")];
    let path = format!("/v1/channels/{alias}");
    send(gateway.producers, "PUT", &path, &json, body.as_bytes())
}

/// Makes a channel that has nothing but an ARN.
fn make(gateway: &Gateway, alias: &str, id: &str) {
    let answer = put(gateway, alias, &plain(id));
    assert_eq!(answer.status, 201, "{answer:?}");
}

fn plain(id: &str) -> String {
    json!({"arn": arn(id)}).to_string()
}

fn delete(gateway: &Gateway, alias: &str) -> Response {
    gateway.request("DELETE", &format!("/v1/channels/{alias}"))
}

/// The aliases of all channels, with where they are listed.
fn listed(gateway: &Gateway) -> String {
    let page = gateway.request("GET", "/v1/channels").json();
    let channels = page["channels"].as_array().expect("channels");
    let names = channels.iter().map(|it| {
        let source = it["source"].as_str().expect("a word");
        format!("{}:{source}", it["channel"].as_str().expect("a name"))
    });
    names.collect::<Vec<_>>().join(" ")
}

fn unknown(gateway: &Gateway, alias: &str) {
    let answer = gateway.request("GET", &format!("/v1/channels/{alias}"));
    check_problem(&answer, 404, "unknown_channel");
}

/// Sends an event and waits for it at the API.
fn delivers(gateway: &Gateway, alias: &str, id: &str) {
    let before = gateway.taken(id).len();
    gateway.publish(alias, r#"{"data":1}"#);
    eventually("it is delivered", || {
        (gateway.taken(id).len() > before).then_some(())
    });
}

#[test]
fn made_changed_and_removed() {
    let lives = Lives::new();
    let gateway = lives.start(&["file"], "");
    unknown(&gateway, "quiz");
    let body = json!({"arn": arn("q1"), "ttl_ms": 5000}).to_string();
    let answer = put(&gateway, "quiz", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    let report = answer.json();
    assert_eq!(report["channel"], "quiz");
    assert_eq!(report["arn"], arn("q1"));
    assert_eq!(report["limits"]["ttl_ms"], 5000);
    assert_eq!(report["source"], "api");
    assert_eq!(
        report["definition"],
        json!({"arn": arn("q1"), "ttl_ms": 5000})
    );
    let metrics = gateway.scrape();
    let accepted = |label: &str| format!("cuegate_events_accepted_total{{channel=\"{label}\"}}");
    assert!(
        same(metrics.get(&accepted("quiz")), 0.0),
        "there at 0 from the start"
    );
    delivers(&gateway, "quiz", "q1");
    // By its ARN too.
    delivers(&gateway, &arn("q1").replace('/', "%2F"), "q1");
    assert_eq!(listed(&gateway), "file:file quiz:api");
    assert!(gateway.status("file").get("definition").is_none());

    // Again, in other words: the same.
    let again = format!(" {{ \"ttl_ms\" : 5000, \"arn\":{:?}}}", arn("q1"));
    assert_eq!(put(&gateway, "quiz", &again).status, 200);
    // Changed: queued events stay, new ones go by it.
    gateway.pause("quiz");
    gateway.publish("quiz", r#"{"data":2}"#);
    let changed = json!({"arn": arn("q1"), "ttl_ms": 600_000, "queue_max_events": 2}).to_string();
    assert_eq!(put(&gateway, "quiz", &changed).status, 200);
    let status = gateway.status("quiz");
    assert_eq!(
        (
            &status["queued"],
            &status["state"],
            &status["limits"]["queue_max_events"]
        ),
        (&json!(1), &json!("paused"), &json!(2))
    );
    // The body is the whole of it.
    assert_eq!(put(&gateway, "quiz", &plain("q1")).status, 200);
    assert_eq!(gateway.status("quiz")["limits"]["queue_max_events"], 10_000);

    // Not while events wait.
    check_problem(&delete(&gateway, "quiz"), 409, "events_wait");
    check_problem(&delete(&gateway, "quiz?force=maybe"), 400, "malformed");
    check_problem(&delete(&gateway, "quiz?force=false"), 409, "events_wait");
    let before = gateway.taken("q1").len();
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(gateway.taken("q1").len(), before + 1);
    assert_eq!(delete(&gateway, "quiz").status, 204);
    unknown(&gateway, "quiz");
    check_problem(
        &gateway.post("/v1/channels/quiz/events", r#"{"data":1}"#),
        404,
        "unknown_channel",
    );
    check_problem(&delete(&gateway, "quiz"), 404, "unknown_channel");
    for told in ["made", "changed", "removed"] {
        gateway.process.logged(&format!(
            "channel {told} by API channel=\"quiz\" key=\"anyone\" request_id="
        ));
    }
    gateway.scrape().check_books(true);
}

/// With `force` what waits leaves all the same, as after a reload that removes the channel.
#[test]
fn a_forced_removal_loses_nothing() {
    let lives = Lives::new();
    let gateway = lives.start(&["file"], "[channel_defaults]\nttl_ms = 600000\n");
    make(&gateway, "quiz", "q1");
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    assert_eq!(delete(&gateway, "quiz?force=true").status, 204);
    unknown(&gateway, "quiz");
    // It is paused by its ARN, and can be made again.
    make(&gateway, "again", "q1");
    let status = gateway.status("again");
    assert_eq!(
        (&status["queued"], &status["state"]),
        (&json!(2), &json!("paused"))
    );
    gateway.resume("again");
    assert_eq!(delete(&gateway, "again?force=true").status, 204);
    eventually("both are delivered", || {
        (gateway.taken("q1").len() == 1).then_some(())
    });
    kill(gateway);
    let second = lives.start(&["file"], "");
    assert!(!listed(&second).contains("api"));
    let checked = lives_after(second, &lives);
    assert!(!checked.out.contains("API"), "{checked:?}");
}

fn lives_after(gateway: Gateway, lives: &Lives) -> Ended {
    kill(gateway);
    lives.tool(&["check"])
}

/// Acknowledged is kept: through kills, an end by a signal, and a journal that is written anew.
#[test]
fn they_survive_restarts_and_kills() {
    let lives = Lives::new();
    let first = lives.start(&[], "");
    make(&first, "a", "1");
    let b = json!({"arn": arn("2"), "envelope": "raw", "ttl_ms": 7000}).to_string();
    assert_eq!(put(&first, "b", &b).status, 201);
    make(&first, "gone", "3");
    assert_eq!(delete(&first, "gone").status, 204);
    make(&first, "moved", "4");
    assert_eq!(put(&first, "moved", &plain("5")).status, 200);
    // Many changes: a snapshot takes the place of its blocks.
    for ttl in 1..=100 {
        let text = json!({"arn": arn("1"), "ttl_ms": 1000 + ttl}).to_string();
        assert_eq!(put(&first, "a", &text).status, 200);
    }
    kill(first);

    let checked = lives.tool(&["check"]);
    assert!(
        checked.out.contains("3 channels made by API"),
        "{checked:?}"
    );
    let tools = lives.tool(&["list"]);
    for line in [("1", "a"), ("2", "b"), ("5", "moved")] {
        let line = format!("{}  made by API as {}", arn(line.0), line.1);
        assert!(tools.out.contains(&line), "{line} in {}", tools.out);
    }
    let exported = lives.tool(&["export", "--channels"]);
    let found: Vec<Value> = exported
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        found,
        [
            json!({"alias": "a", "settings": {"arn": arn("1"), "ttl_ms": 1100}}),
            json!({"alias": "b", "settings": {"arn": arn("2"), "envelope": "raw", "ttl_ms": 7000}}),
            json!({"alias": "moved", "settings": {"arn": arn("5")}}),
        ]
    );
    assert_eq!(lives.tool(&["export"]).out, "");

    let mut second = lives.start(&[], "");
    second.process.logged("channels made by API channels=3");
    // The one of local mode without channels is of the configuration.
    assert_eq!(listed(&second), "a:api b:api demo:file moved:api");
    assert_eq!(second.status("a")["limits"]["ttl_ms"], 1100);
    assert_eq!(second.status("b")["limits"]["envelope"], "raw");
    delivers(&second, "moved", "5");
    assert_eq!(delete(&second, "b").status, 204);
    second.process.signal("TERM");
    let (status, log) = second.process.wait(SOON);
    assert!(status.success(), "{log}");

    let third = lives.start(&[], "");
    assert_eq!(listed(&third), "a:api demo:file moved:api");
    make(&third, "b", "2");
    delivers(&third, "a", "1");
    kill(third);
    let fourth = lives.start(&[], "");
    assert_eq!(listed(&fourth), "a:api b:api demo:file moved:api");
    assert_eq!(fourth.status("b")["limits"]["ttl_ms"], 10_000);
}

/// An alias that moves to another ARN leaves the old one, with what is queued there.
#[test]
fn an_alias_moves_to_another_arn() {
    let lives = Lives::new();
    let gateway = lives.start(&["file"], "[channel_defaults]\nttl_ms = 600000\n");
    make(&gateway, "quiz", "1");
    gateway.pause("quiz");
    gateway.publish("quiz", r#"{"data":1}"#);
    assert_eq!(put(&gateway, "quiz", &plain("2")).status, 200);
    assert_eq!(gateway.status("quiz")["queued"], 0);
    delivers(&gateway, "quiz", "2");
    // The old one is free, with its events and its pause.
    make(&gateway, "old", "1");
    let status = gateway.status("old");
    assert_eq!(
        (&status["queued"], &status["state"]),
        (&json!(1), &json!("paused"))
    );
    gateway.resume("old");
    gateway.drained("old");
    assert_eq!(gateway.taken("1").len(), 1);
    gateway.scrape().check_books(true);
}

#[test]
fn the_file_wins() {
    let lives = Lives::new();
    let gateway = lives.start(&["file"], "");
    // What the file has is changed there.
    for answer in [put(&gateway, "file", &plain("x")), delete(&gateway, "file")] {
        check_problem(&answer, 409, "channel_conflict");
        assert!(answer.text().contains("configuration file"), "{answer:?}");
    }
    let answer = put(&gateway, "other", &plain("file"));
    check_problem(&answer, 409, "channel_conflict");
    assert!(answer.text().contains("channel file"), "{answer:?}");
    let a = json!({"arn": arn("a1"), "ttl_ms": 7000}).to_string();
    assert_eq!(put(&gateway, "a", &a).status, 201);
    make(&gateway, "b", "b1");
    check_problem(&put(&gateway, "c", &plain("a1")), 409, "channel_conflict");

    // The file takes the alias of one and the ARN of the other. (The ARN of an alias is its name there.)
    let taken = lives.config(&["file", "a", "b1"], "");
    let report = reload(&gateway, &taken);
    assert_eq!(
        report["changes"],
        json!(["channel a added", "channel b1 added"])
    );
    let now = "a:file b1:file file:file";
    let known = || listed(&gateway).replace(&format!("{}:unlisted ", arn("a1")), "");
    assert_eq!(known(), now);
    assert_eq!(gateway.status("a")["limits"]["ttl_ms"], 10_000);
    assert_eq!(gateway.status("a")["arn"], arn("a"));
    unknown(&gateway, "b");
    for alias in ["a", "b"] {
        gateway.process.logged(&format!(
            "the file wins for as long as it does channel={alias}"
        ));
    }
    check_problem(&delete(&gateway, "a"), 409, "channel_conflict");
    kill(gateway);

    // At a start too; and what the API said is in force again when the file lets go.
    let second = Gateway::start(&taken);
    for alias in ["a", "b"] {
        second.process.logged(&format!(
            "the file wins for as long as it does channel={alias}"
        ));
    }
    unknown(&second, "b");
    reload(&second, &lives.config(&["file"], ""));
    assert_eq!(second.status("a")["definition"]["ttl_ms"], 7000);
    assert_eq!(second.status("a")["arn"], arn("a1"));
    assert_eq!(second.status("b")["source"], "api");
    delivers(&second, "a", "a1");

    // One that gives way by its ARN can be removed meanwhile: the file's stays.
    reload(&second, &taken);
    second.pause("b1");
    second.publish("b1", r#"{"data":1}"#);
    assert_eq!(delete(&second, "b").status, 204);
    assert_eq!(second.status("b1")["queued"], 1);
    second.resume("b1");
    second.drained("b1");
    reload(&second, &lives.config(&["file"], ""));
    unknown(&second, "b");
}

/// A reload changes the defaults that they do not say themselves.
#[test]
fn a_reload_changes_their_defaults() {
    let lives = Lives::new();
    let gateway = lives.start(&["file"], "");
    let own = json!({"arn": arn("a"), "ttl_ms": 7000, "compress": "deflate"}).to_string();
    assert_eq!(put(&gateway, "a", &own).status, 201);
    make(&gateway, "b", "b");
    reload(
        &gateway,
        &lives.config(&["file"], "[channel_defaults]\nttl_ms = 3000\n"),
    );
    let ttl = |alias: &str| gateway.status(alias)["limits"]["ttl_ms"].clone();
    assert_eq!((ttl("a"), ttl("b")), (json!(7000), json!(3000)));
    // What no longer fits is told, and unknown until it does.
    let raw = lives.config(&["file"], "[channel_defaults]\nenvelope = \"raw\"\n");
    let report = reload(&gateway, &raw);
    let failed = report["failed"].to_string();
    assert!(
        failed.contains("channel a could not be opened: channel.compress"),
        "{report}"
    );
    unknown(&gateway, "a");
    let fits = json!({"arn": arn("a"), "envelope": "cue", "compress": "deflate"}).to_string();
    assert_eq!(put(&gateway, "a", &fits).status, 200);
    assert_eq!(gateway.status("a")["limits"]["envelope"], "cue");
}

#[test]
fn what_is_wrong_is_told() {
    let lives = Lives::new();
    let limits = "[limits]\nchannels_max = 2\n";
    let gateway = lives.start(&["file"], limits);
    let with = |members: &str| format!("{{\"arn\":\"{}\",{members}}}", arn("a"));
    #[rustfmt::skip] // a table
    let table = [
        ("a", "{".to_owned(), 400, "malformed"),
        ("a", "[]".to_owned(), 400, "malformed"),
        ("a", "\u{feff}{}".to_owned(), 400, "malformed"),
        ("a", with(r#""arn":"x""#), 400, "malformed"),
        ("a", "{}".to_owned(), 422, "invalid_channel"),
        ("a", r#"{"arn":"x"}"#.to_owned(), 422, "invalid_channel"),
        ("a", with(r#""name":"a""#), 422, "invalid_channel"),
        ("a", with(r#""ttl":1"#), 422, "invalid_channel"),
        ("a", with(r#""ttl_ms":0,"offline":"no""#), 422, "invalid_channel"),
        ("a%20b", plain("a"), 422, "invalid_channel"),
        ("_other", plain("a"), 422, "invalid_channel"),
        ("arn:aws:ivs:us-west-2:000000000000:channel%2Fa", plain("a"), 422, "invalid_channel"),
        ("%ff", plain("a"), 404, "unknown_channel"),
        ("a?force=true", plain("a"), 400, "malformed"),
        ("a", " ".repeat(17 << 10), 413, "body_too_large"),
    ];
    for (alias, body, status, code) in table {
        let answer = put(&gateway, alias, &body);
        check_problem(&answer, status, code);
        if code == "invalid_channel" {
            assert!(answer.json()["errors"].is_array(), "{answer:?}");
        }
        assert_eq!(listed(&gateway), "file:file", "{alias} {body}");
    }
    let two = put(&gateway, "a", &with(r#""ttl_ms":0,"offline":"no""#)).json();
    assert_eq!(two["errors"].as_array().map(Vec::len), Some(2), "{two}");
    let path = "/v1/channels/a";
    let text = send(
        gateway.producers,
        "PUT",
        path,
        &[("content-type", "text/plain")],
        b"{}",
    );
    check_problem(&text, 415, "unsupported_media_type");
    let utf8 = [("content-type", "application/json")];
    check_problem(
        &send(gateway.producers, "PUT", path, &utf8, b"\"\xff\""),
        400,
        "malformed",
    );
    // The bound on channels holds; what is removed makes room.
    make(&gateway, "a", "a");
    let full = put(&gateway, "b", &plain("b"));
    check_problem(&full, 503, "overloaded");
    assert!(full.text().contains("limits.channels_max"), "{full:?}");
    assert_eq!(delete(&gateway, "a").status, 204);
    // A full gateway looks for room now and then.
    eventually("there is room", || {
        (put(&gateway, "b", &plain("b")).status == 201).then_some(())
    });
}

#[test]
fn without_a_journal_none_is_made() {
    let gateway = Gateway::start(&local("[journal]\nmode = \"off\"\n", &[("file", "")]));
    let answer = put(&gateway, "a", &plain("a"));
    check_problem(&answer, 409, "no_journal");
    assert!(answer.text().contains("journal.mode"), "{answer:?}");
    assert_eq!(listed(&gateway), "file:file");
}

/// Those of the file always have their label, of the others the first; a label is never another's.
#[test]
fn labels_of_metrics_are_bounded() {
    let lives = Lives::new();
    let rest = "[limits]\nchannels_labelled = 1\n";
    let gateway = lives.start(&["file"], rest);
    make(&gateway, "a", "a");
    make(&gateway, "b", "b");
    for alias in ["a", "b", "file"] {
        delivers(&gateway, alias, alias);
    }
    let accepted = |gateway: &Gateway, label: &str| {
        let name = format!("cuegate_events_accepted_total{{channel=\"{label}\"}}");
        gateway.scrape().series.get(&name).copied()
    };
    let near = |found: Option<f64>, expected: f64| found.is_some_and(|found| same(found, expected));
    for (label, expected) in [("file", 1.0), ("a", 1.0), ("_other", 1.0)] {
        let found = accepted(&gateway, label);
        assert!(near(found, expected), "{label}: {found:?}");
    }
    assert_eq!(accepted(&gateway, "b"), None);
    // The counts stay, whoever comes and goes.
    assert_eq!(delete(&gateway, "a").status, 204);
    make(&gateway, "c", "c");
    delivers(&gateway, "c", "c");
    assert_eq!(accepted(&gateway, "c"), None);
    assert!(near(accepted(&gateway, "a"), 1.0));
    assert!(near(accepted(&gateway, "_other"), 2.0));
    gateway.scrape().check_books(true);
    kill(gateway);
    // After a restart the first of those that are there.
    let second = lives.start(&["file"], rest);
    assert!(near(accepted(&second, "b"), 0.0));
    assert_eq!(accepted(&second, "c"), None);
}
