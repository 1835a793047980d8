//! From the start to the end: what is printed, how it drains, and the exit codes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{check_problem, send, try_send};
use crate::support::process::{Gateway, arn, command, local, run};
use crate::support::ws::Client;
use crate::support::{SOON, eventually, ports};

#[test]
fn it_says_where_it_is_and_what_mode_it_is_in() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    for part in [
        gateway.producers.to_string(),
        gateway.metrics.to_string(),
        gateway.admin.to_string(),
        gateway.emulator.0.to_string(),
        "LOCAL".to_owned(),
        "curl ".to_owned(),
    ] {
        gateway.process.logged(&part);
    }
}

#[test]
fn it_drains_and_says_how_many() {
    let gateway = Gateway::start(&local(
        "[server]\ndrain_timeout_ms = 20000",
        &[("quiz", "envelope = \"raw\"\nttl_ms = 60000"), ("b", "")],
    ));
    let mut socket = Client::open(gateway.producers, "/v1/channels/quiz/ws");
    // Ten payloads: two seconds at the channel's rate.
    gateway.publish("quiz", &format!("[{}]", [r#"{"data":1}"#; 12].join(",")));
    gateway.process.signal("TERM");
    let answer = eventually("readiness ends", || {
        let answer = send(gateway.metrics, "GET", "/readyz", &[], b"");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(
        (&answer.json()["ready"], &answer.json()["draining"]),
        (&json!(false), &json!(true))
    );
    let eta = answer.json()["eta_ms"].as_u64();
    assert!(eta.is_some_and(|ms| ms > 500), "{answer:?}");
    assert_eq!(
        send(gateway.metrics, "GET", "/healthz", &[], b"").status,
        200,
        "it is alive"
    );
    for path in [
        "/v1/channels/b/events",
        "/v1/events",
        "/v1/channels/nowhere/events",
    ] {
        check_problem(&gateway.post(path, r#"{"data":1}"#), 503, "draining");
    }
    let body = json!({"channelArn": arn("b"), "metadata": "x"}).to_string();
    let answer = gateway.post("/PutMetadata", &body);
    assert_eq!(
        (answer.status, answer.header("x-amzn-errortype")),
        (503, "ServiceUnavailable"),
        "{answer:?}"
    );
    check_problem(&gateway.request("GET", "/v1/ws"), 503, "draining");
    assert_eq!(socket.close_code(), 1012);
    // What is queued can still be seen, and taken back.
    let queued = gateway.status("quiz")["queued"].as_u64().expect("a number");
    assert!(queued > 0, "it drained too fast for this test to see it");
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(metrics.get(r#"cuegate_events_rejected_total{code="draining"}"#) >= 4.0);

    let mut gateway = gateway;
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    let last = log.trim_end().lines().last().expect("a last line");
    assert!(
        last.contains("drained") && last.contains("kept=0"),
        "{last}"
    );
    let delivered = last
        .split("delivered=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    assert!(
        delivered.is_some_and(|count| (1..=12).contains(&count)),
        "{last}"
    );
}

#[test]
fn what_cannot_leave_in_time_is_told() {
    let mut gateway = Gateway::start(&local(
        "[server]\ndrain_timeout_ms = 300",
        &[("quiz", "ttl_ms = 60000")],
    ));
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2},{"data":3}]"#);
    gateway.process.signal("INT");
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    let last = log.trim_end().lines().last().expect("a last line");
    assert!(
        last.contains("delivered=0") && last.contains("kept=3"),
        "{last}"
    );
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut gateway = Gateway::start(&local(
        "[server]\ndrain_timeout_ms = 600000",
        &[("quiz", "ttl_ms = 600000")],
    ));
    gateway.pause("quiz");
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.process.signal("TERM");
    eventually("it drains", || {
        (send(gateway.metrics, "GET", "/readyz", &[], b"").status == 503).then_some(())
    });
    assert!(!gateway.process.has_ended());
    let start = Instant::now();
    gateway.process.signal("TERM");
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(
        log.trim_end()
            .lines()
            .last()
            .is_some_and(|last| last.contains("kept=1")),
        "{log}"
    );
}

/// A call that was given up may be handled for a minute: nobody waits for that.
#[test]
fn the_end_does_not_wait_for_tokens_without_end() {
    let mut gateway = Gateway::start(&local(
        "call_timeout_ms = 200\n[tuning]\nabandon_ms = 60000\n[server]\ndrain_timeout_ms = 500",
        &[("quiz", "on_unknown = \"drop\"")],
    ));
    gateway.emulator.faults(r#"{"kind":"hang"}"#);
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.drained("quiz");
    let start = Instant::now();
    gateway.process.signal("TERM");
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(start.elapsed() < Duration::from_secs(10), "{log}");
    assert!(log.contains("the next start holds back"), "{log}");
}

#[test]
fn whoever_waits_for_the_end_is_answered_when_it_comes() {
    let gateway = Gateway::start(&local(
        "[server]\ndrain_timeout_ms = 500",
        &[("quiz", "ttl_ms = 60000")],
    ));
    gateway.pause("quiz");
    let address = gateway.producers;
    let waiting = std::thread::spawn(move || {
        let headers = [("content-type", "application/json")];
        send(
            address,
            "POST",
            "/v1/channels/quiz/events?wait=delivered&timeout_ms=30000",
            &headers,
            br#"{"data":1}"#,
        )
    });
    eventually("it is queued", || {
        (gateway.status("quiz")["queued"] == 1).then_some(())
    });
    gateway.process.signal("TERM");
    let answer = waiting.join().expect("an answer");
    assert_eq!(
        (answer.status, &answer.json()["pending"]),
        (202, &json!(1)),
        "{answer:?}"
    );
}

#[test]
fn an_address_in_use_is_named_by_its_key() {
    let taken = TcpListener::bind(ports::free()).expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()))
        .expect("an address");
    let keys = [
        "SERVER__LISTEN",
        "METRICS__LISTEN",
        "ADMIN__LISTEN",
        "LOCAL_IVS__LISTEN",
    ];
    for key in keys {
        let mut command = command();
        command.env("CUEGATE__UPSTREAM__MODE", "local");
        for other in keys {
            let address = if other == key {
                taken.1.clone()
            } else {
                ports::free().to_string()
            };
            command.env(format!("CUEGATE__{other}"), address);
        }
        let ended = run(command.current_dir(std::env::temp_dir()).arg("serve"), "");
        assert_eq!(ended.code, Some(1), "{key}: {ended:?}");
        let name = key.to_lowercase().replace("__", ".");
        assert!(
            ended.err.contains(&name) && ended.err.contains(&taken.1),
            "{name}: {ended:?}"
        );
        assert_eq!(
            ended.err.lines().count(),
            1,
            "nothing else is said: {ended:?}"
        );
    }
}

#[test]
fn beyond_loopback_only_in_writing() {
    let port = ports::free().port();
    for (key, value) in [
        ("SERVER__LISTEN", format!("0.0.0.0:{port}")),
        ("ADMIN__LISTEN", format!("[::]:{port}")),
    ] {
        let name = format!("CUEGATE__{key}");
        let command = || {
            let mut command = command();
            command
                .current_dir(std::env::temp_dir())
                .env("CUEGATE__UPSTREAM__MODE", "local")
                .env(&name, &value);
            command
        };
        let ended = run(command().arg("serve"), "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("auth"), "says what to do: {ended:?}");
        let ended = run(
            command()
                .env("CUEGATE__SERVER__AUTH", "none")
                .arg("check-config"),
            "",
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn logs_hold_no_data_and_can_be_json() {
    let config = local("", &[("quiz", "")]);
    let mut gateway = Gateway::start_with(&config, &[("CUEGATE_LOG", "cuegate=debug")]);
    gateway
        .emulator
        .faults(r#"{"kind":"error","status":500,"probability":1,"seed":1}"#);
    for nth in 0..10 {
        gateway.publish("quiz", &format!(r#"{{"data":"secret-{nth}"}}"#));
        let _ = try_send(
            gateway.producers,
            "POST",
            "/v1/channels/quiz/events",
            &[],
            b"secret-body",
        );
    }
    // Something is logged about a call with these events in it.
    gateway.process.logged("PutMetadata was not delivered");
    gateway.emulator.no_faults();
    gateway.drained("quiz");
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    assert!(!log.contains("secret"), "{log}");

    let directory = tempfile::tempdir().expect("a directory");
    let mut command = command();
    command.env("CUEGATE__UPSTREAM__MODE", "local");
    let metrics = ports::free();
    command.env("CUEGATE__METRICS__LISTEN", metrics.to_string());
    for key in ["SERVER", "ADMIN", "LOCAL_IVS"] {
        command.env(format!("CUEGATE__{key}__LISTEN"), ports::free().to_string());
    }
    let mut process = crate::support::process::Process::start(
        command
            .current_dir(directory.path())
            .args(["serve", "--log-format", "json"])
            .stdout(std::process::Stdio::null()),
    );
    eventually("it serves", || {
        let ready = try_send(metrics, "GET", "/readyz", &[], b"").ok()?;
        (ready.status == 200).then_some(())
    });
    process.signal("TERM");
    let (status, log) = process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    let last = log.trim_end().lines().last().expect("a last line");
    let last: serde_json::Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
    assert!(last.to_string().contains("\"kept\":0"), "{last}");
}
