//! Journals that earlier versions wrote are opened, exported and served.

mod later;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::shim::Shim;
use super::{Journal, kill};
use crate::support::eventually;
use crate::support::metrics::same;
use crate::support::process::{Gateway, local};

/// A journal of an earlier version, unpacked.
fn unpacked(name: &str) -> Journal {
    let journal = Journal::new("");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(journal.directory.path())
        .status()
        .expect("tar");
    assert!(status.success(), "{status}");
    journal
}

#[test]
fn version_1_is_opened_exported_and_served() {
    let journal = unpacked("journal-version-1.tar.gz");
    let checked = journal.tool("check");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let ok = "ok: 10 events of 2 channels";
    assert!(checked.out.starts_with(ok), "{checked:?}");
    let listed = journal.tool("list");
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for name in ["channel/quiz", "channel/c"] {
        assert!(listed.out.contains(name), "{listed:?}");
    }
    let events = journal.exported();
    let fields = |event: &Value| {
        let field = |name| event[name].clone();
        json!([
            field("data"),
            field("type"),
            field("id"),
            field("key"),
            field("merge"),
            field("priority")
        ])
    };
    let exported: Vec<Value> = events.iter().map(fields).collect();
    let expected = json!([
        ["in flight", null, "flying", null, null, "normal"],
        [{"q": 1}, "question", "first", null, null, "normal"],
        [{"n": 3.75}, null, null, "votes", "sum", "normal"],
        [9, null, null, "top", "max", "normal"],
        [{"a": 1, "b": null}, null, null, "state", "patch", "normal"],
        ["new", null, null, "score", "replace", "normal"],
        ["urgent", null, null, null, null, "high"],
        ["calm", null, null, null, null, "low"],
        ["later", null, "later", null, null, "normal"],
        ["byte for byte é", null, null, null, null, "normal"],
    ]);
    assert_eq!(Value::from(exported), expected);

    let config = format!(
        "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 86400000\n",
        journal.path().display()
    );
    let config = local(&config, &[("quiz", ""), ("b", ""), ("c", "")]);
    let gateway = Gateway::start(&config);
    let metrics = gateway.scrape();
    let recovered = |name| {
        metrics.get(&format!(
            "cuegate_events_recovered_total{{channel=\"{name}\"}}"
        ))
    };
    assert!(same(recovered("quiz"), 9.0));
    assert!(same(recovered("c"), 1.0));
    assert!(same(metrics.get("cuegate_dead_letters"), 1.0));
    metrics.check_books(false);
    gateway.drained("c");
    let payloads = gateway.taken("c");
    assert_eq!(payloads.len(), 1, "{payloads:?}");
    let again: Value = serde_json::from_str(&payloads[0]).expect("JSON");
    assert_eq!(again["e"], json!([{"d": "in flight"}]));
    // All but the one of 2099.
    eventually("the others are delivered", || {
        (gateway.status("quiz")["queued"] == 1).then_some(())
    });
    let payloads = gateway.taken("quiz").join("\n");
    for data in [
        r#""d":{"q":1}"#,
        "3.75",
        "urgent",
        "calm",
        "byte for byte é",
    ] {
        assert!(payloads.contains(data), "{data}: {payloads}");
    }
    let duplicate = gateway.publish("quiz", r#"{"data":0,"id":"first"}"#);
    assert_eq!(duplicate["duplicates"], 1, "{duplicate}");
    let cancelled = gateway.request("DELETE", "/v1/channels/quiz/events/gone");
    assert_eq!(cancelled.status, 204, "it is remembered: {cancelled:?}");
    kill(gateway);
    // From now on it has a mark, and is this version's.
    assert_eq!(journal.exported().len(), 1);
    kill(Gateway::start(&config));
}

#[test]
fn version_2_is_opened_exported_and_served() {
    let journal = unpacked("journal-version-2.tar.gz");
    let checked = journal.tool("check");
    let ok = "ok: 5 events of 2 channels";
    assert!(checked.out.starts_with(ok), "{checked:?}");
    let data: Vec<Value> = journal
        .exported()
        .iter()
        .map(|event| event["data"].clone())
        .collect();
    let expected = json!(["in flight", {"q": 1}, {"n": 3.75}, "urgent", "later"]);
    assert_eq!(Value::from(data), expected);

    let gateway = Gateway::start(&version_2(&journal, 1000));
    gateway.drained("c");
    let again: Value = serde_json::from_str(&gateway.taken("c")[0]).expect("JSON");
    assert_eq!(again["e"], json!([{"d": "in flight"}]));
    gateway.resume("quiz");
    eventually("the others are delivered", || {
        (gateway.status("quiz")["queued"] == 1).then_some(())
    });
    let payloads = gateway.taken("quiz").join("\n");
    for data in [r#""d":{"q":1}"#, "3.75", "urgent"] {
        assert!(payloads.contains(data), "{data}: {payloads}");
    }
    kill(gateway);
    // From now on it is this version's.
    let next = Gateway::start(&version_2(&journal, 60_000));
    eventually("the tokens are back", || (!is_held(&next)).then_some(()));
}

fn version_2(journal: &Journal, restart_hold_ms: u32) -> String {
    let config = format!(
        "[journal]\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 86400000\n\
        [tuning]\nrestart_hold_ms = {restart_hold_ms}\n",
        journal.path().display()
    );
    local(&config, &[("quiz", ""), ("c", "")])
}

fn is_held(gateway: &Gateway) -> bool {
    gateway.status("c")["tokens"]["available"] == 0
}

/// It does not tell of its calls, so the process after it holds back blindly: also in the same boot
/// of the machine, where this version's records would tell.
#[test]
fn version_2_is_followed_by_a_blind_hold() {
    let journal = unpacked("journal-version-2.tar.gz");
    let shim = Shim::new(&journal.path());
    let environment = shim.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    // Nor does the next process know of the calls before the one that holds back.
    for _ in 0..2 {
        let gateway = Gateway::start_with(&version_2(&journal, 60_000), &environment);
        assert!(is_held(&gateway));
        gateway.process.logged("does not tell of all its calls");
        kill(gateway);
    }
}
