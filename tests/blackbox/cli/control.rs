//! `channels`, `status`, `pause`, `resume`, `purge`, `cancel`: what the HTTP surface can, from a
//! shell.

use serde_json::Value;

use crate::support::process::{Ended, Gateway, arn, command, local, run};

fn start() -> Gateway {
    Gateway::start(&local("", &[("a", ""), ("quiz", "ttl_ms = 600000")]))
}

/// Runs a command against a gateway.
fn at(gateway: &Gateway, arguments: &[&str]) -> Ended {
    let url = format!("http://{}", gateway.producers);
    run(command().args(arguments).env("CUEGATE_URL", url), "")
}

/// The same, of one that ends well; what it printed.
fn well(gateway: &Gateway, arguments: &[&str]) -> String {
    let ended = at(gateway, arguments);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    ended.out
}

#[test]
fn channels_and_their_status_for_people_and_for_programs() {
    let gateway = start();
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    let table = well(&gateway, &["channels"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let (a, quiz) = (arn("a"), arn("quiz"));
    assert_eq!(
        rows,
        [
            vec!["CHANNEL", "STATE", "QUEUED", "ETA", "ARN"],
            vec!["a", "live", "0", "0", "s", &a],
            vec!["quiz", "paused", "2", "-", &quiz],
        ],
        "{table}"
    );
    let lines = well(&gateway, &["channels", "--json"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["queued"], 2);

    let text = well(&gateway, &["status", "quiz"]);
    for part in [
        "quiz",
        &quiz,
        "paused",
        "2 events",
        "5 of 5",
        "2, 0 from the journal",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // As JSON it is what the gateway says, member by member.
    let shown: Value =
        serde_json::from_str(&well(&gateway, &["status", &quiz, "--json"])).expect("JSON");
    let (shown, said) = (shown.as_object().cloned(), gateway.status("quiz"));
    let (shown, said) = (
        shown.expect("an object"),
        said.as_object().cloned().expect("one"),
    );
    assert_eq!(
        shown.keys().collect::<Vec<_>>(),
        said.keys().collect::<Vec<_>>()
    );
    for name in [
        "channel", "arn", "state", "queued", "bytes", "limits", "tokens", "totals",
    ] {
        assert_eq!(shown[name], said[name], "{name}");
    }
}

#[test]
fn channels_are_paused_resumed_and_purged() {
    let gateway = start();
    let said = well(&gateway, &["pause", "a", "quiz"]);
    assert_eq!(said, "a: paused\nquiz: paused\n");
    assert_eq!(gateway.status("a")["state"], "paused");
    for (kind, key) in [("x", "k"), ("x", "l"), ("y", "k"), ("z", "m")] {
        gateway.publish(
            "quiz",
            &format!(r#"{{"data":1,"type":"{kind}","key":"{key}"}}"#),
        );
    }
    for (which, cancelled) in [
        (&["--type", "x", "--key", "k"][..], 1),
        (&["--type", "x"], 1),
        (&["--key", "k"], 1),
        (&["--key", "nobody"], 0),
        (&["--all"], 1),
    ] {
        let said = well(&gateway, &[&["purge", "quiz"][..], which].concat());
        assert_eq!(
            said,
            format!("{{\"cancelled\":{cancelled}}}\n"),
            "{which:?}"
        );
    }
    assert_eq!(gateway.status("quiz")["queued"], 0);
    gateway.publish("quiz", r#"{"data":1,"id":"-one"}"#);
    let said = well(&gateway, &["cancel", "quiz", "--", "-one"]);
    assert_eq!(said, "-one: cancelled\n");
    assert_eq!(gateway.status("quiz")["queued"], 0);
    assert_eq!(well(&gateway, &["resume", "quiz"]), "quiz: resumed\n");
    assert_eq!(gateway.status("quiz")["state"], "live");
}

#[test]
fn what_cannot_be_done_is_said_with_its_code() {
    let gateway = start();
    gateway.publish("quiz", r#"{"data":1,"id":"sent"}"#);
    gateway.drained("quiz");
    for (arguments, code, said) in [
        (&["status", "nowhere"][..], 1, "unknown_channel"),
        (&["pause", "nowhere"], 1, "unknown_channel"),
        (&["resume", "nowhere"], 1, "unknown_channel"),
        (&["purge", "nowhere", "--all"], 1, "unknown_channel"),
        (&["cancel", "quiz", "nobody"], 1, "unknown_event"),
        (&["cancel", "quiz", "sent"], 1, "already_sent"),
        (&["purge", "quiz"], 2, "--all"),
        (&["purge", "quiz", "--all", "--type", "x"], 2, "--type"),
        (&["purge", "quiz", "--key", ""], 2, "--key"),
        (&["cancel", "quiz", ""], 2, "ID"),
        (&["pause"], 2, "CHANNEL"),
        (&["status"], 2, "CHANNEL"),
        (&["channels", "--url", "nowhere"], 2, "http://"),
    ] {
        let ended = at(&gateway, arguments);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(code), ""),
            "{ended:?}"
        );
        assert!(ended.err.contains(said), "{said}: {ended:?}");
    }
    let nobody = format!("http://{}", crate::support::ports::free());
    for arguments in [&["channels"][..], &["status", "a"], &["cancel", "a", "b"]] {
        let ended = run(command().args(arguments).args(["--url", &nobody]), "");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(&nobody), "{ended:?}");
    }
}
