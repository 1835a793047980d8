//! SIGHUP and `POST /admin/reload`: a changed file is applied, a broken one changes nothing.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::http::{check_problem, send};
use crate::support::metrics::same;
use crate::support::process::{Gateway, arn, local};

fn reload(gateway: &Gateway) -> Value {
    let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn write(gateway: &Gateway, config: &str) {
    std::fs::write(gateway.config_file(), config).expect("the file");
}

#[test]
fn a_changed_file_is_applied_and_queues_stay() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000"), ("old", "")]));
    assert_eq!(
        reload(&gateway),
        json!({"changes": [], "needs_restart": []})
    );
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1,"id":"a","type":"t"},{"data":2}]"#);
    let changed = local(
        "[server]\nmax_connections = 7\n[quota]\naccount_tps = 100",
        &[
            ("quiz", "ttl_ms = 50000\nenvelope_fields = [\"id\"]"),
            ("new", ""),
        ],
    );
    write(&gateway, &changed);
    let report = reload(&gateway);
    let told = report["changes"].to_string();
    for name in ["quiz", "new", "old"] {
        assert!(told.contains(name), "{name} in {told}");
    }
    assert_eq!(report["needs_restart"], json!(["server.max_connections"]));
    // Limits and channels are in force; what was queued, paused and seen is as it was.
    let status = gateway.status("quiz");
    assert_eq!(
        (
            &status["limits"]["ttl_ms"],
            &status["limits"]["account_tps"]
        ),
        (&json!(50000), &json!(100))
    );
    assert_eq!(
        (&status["queued"], &status["state"]),
        (&json!(2), &json!("paused"))
    );
    assert_eq!(
        gateway.publish("quiz", r#"{"data":1,"id":"a"}"#)["duplicates"],
        1
    );
    gateway.publish("new", r#"{"data":1}"#);
    check_problem(
        &gateway.post("/v1/channels/old/events", r#"{"data":1}"#),
        404,
        "unknown_channel",
    );
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(
        crate::support::payloads::all_items(&gateway.taken("quiz")),
        r#"{"d":1,"i":"a"},{"d":2}"#
    );
    let metrics = gateway.scrape();
    metrics.check_books(true);
    let limit = metrics
        .of("cuegate_account_tokens_limit")
        .map(|(_, value)| value)
        .fold(0.0, f64::max);
    assert!(same(limit, 100.0), "{limit}");
    assert!(
        metrics
            .series
            .contains_key(r#"cuegate_events_accepted_total{channel="new"}"#)
    );
}

#[test]
fn a_file_with_errors_changes_nothing() {
    let good = local("", &[("quiz", "ttl_ms = 60000")]);
    let gateway = Gateway::start(&good);
    let success = "cuegate_config_last_reload_successful";
    for broken in [
        "not toml at all".to_owned(),
        good.replace("ttl_ms = 60000", "ttl_ms = 0\nqueue_max_event = 5"),
        good.replace("mode = \"local\"", ""),
    ] {
        write(&gateway, &broken);
        let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
        check_problem(&answer, 422, "invalid_configuration");
        let errors = answer.json()["errors"]
            .as_array()
            .expect("every error")
            .len();
        assert!(
            errors
                >= if broken.contains("queue_max_event ") {
                    2
                } else {
                    1
                },
            "{answer:?}"
        );
        assert!(same(gateway.scrape().get(success), 0.0));
        assert_eq!(
            gateway.status("quiz")["limits"]["ttl_ms"],
            60000,
            "the old one stays"
        );
    }
    std::fs::remove_file(gateway.config_file()).expect("to remove it");
    check_problem(
        &send(gateway.admin, "POST", "/admin/reload", &[], b""),
        422,
        "invalid_configuration",
    );
    gateway.publish("quiz", r#"{"data":1}"#);
    write(&gateway, &good);
    reload(&gateway);
    assert!(same(gateway.scrape().get(success), 1.0));
}

#[test]
fn sighup_does_the_same() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000")]));
    write(&gateway, &local("", &[("quiz", "ttl_ms = 50000")]));
    gateway.process.signal("HUP");
    eventually("it is applied", || {
        (gateway.status("quiz")["limits"]["ttl_ms"] == 50000).then_some(())
    });
    write(&gateway, "nonsense");
    gateway.process.signal("HUP");
    eventually("the metric says so", || {
        same(
            gateway
                .scrape()
                .get("cuegate_config_last_reload_successful"),
            0.0,
        )
        .then_some(())
    });
    assert_eq!(gateway.status("quiz")["limits"]["ttl_ms"], 50000);
    // The error and its line.
    gateway.process.logged("cuegate.toml:1");
}

/// Also once the channel's task has looked at its queue again.
#[test]
fn a_changed_payload_bound_stays_changed() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let publish = |size: usize| {
        let event = format!(r#"{{"data":"{}"}}"#, "x".repeat(size));
        gateway.post("/v1/channels/quiz/events?wait=delivered", &event)
    };
    assert_eq!(publish(600).status, 200);
    for (bound, most) in [(300, 200), (1024, 900)] {
        write(
            &gateway,
            &local(
                &format!("[quota]\npayload_max_bytes = {bound}"),
                &[("quiz", "")],
            ),
        );
        reload(&gateway);
        assert_eq!(publish(most).status, 200, "within {bound}");
        check_problem(&publish(bound), 413, "event_too_large");
    }
}

/// In local mode the emulator hears of a channel that a reload adds. A stream that was ended
/// meanwhile stays ended.
#[test]
fn a_channel_that_a_reload_adds_is_live_in_the_emulator() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000")]));
    gateway.emulator.stream(&arn("quiz"), "offline");
    write(
        &gateway,
        &local("", &[("quiz", "ttl_ms = 60000"), ("new", "")]),
    );
    reload(&gateway);
    let answer = gateway.post("/v1/channels/new/events?wait=delivered", r#"{"data":1}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gateway.taken("new").len(), 1);
    gateway.publish("quiz", r#"{"data":1}"#);
    eventually("it is known to be offline", || {
        (gateway.status("quiz")["state"] == "offline").then_some(())
    });
}
