//! `cuegate doctor`, and what it says at the start.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::support::process::{Ended, command, run};

/// Of a configuration on addresses of its own, with more of an environment.
fn doctor(config: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("cuegate.toml");
    std::fs::write(&file, config).expect("a file");
    let doors = ["SERVER", "METRICS", "ADMIN"];
    let doors = doors.map(|door| {
        (
            format!("CUEGATE__{door}__LISTEN"),
            ports::free().to_string(),
        )
    });
    doctor_of(
        command().envs(doors).current_dir(directory.path()),
        &file,
        arguments,
        environment,
    )
}

fn doctor_of(
    command: &mut std::process::Command,
    file: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let command = command
        .args(["doctor", "--config"])
        .arg(file)
        .args(arguments);
    let ended = run(command.envs(environment.iter().copied()), "");
    for secret in ["session-of-mine", "secret-of-mine", "Signature="] {
        assert!(
            !ended.out.contains(secret) && !ended.err.contains(secret),
            "{ended:?}"
        );
    }
    ended
}

/// The findings of one kind, as JSON.
fn findings(ended: &Ended, check: &str) -> Vec<Value> {
    let object: Value = serde_json::from_str(&ended.out).expect("one JSON object");
    let findings = object["findings"].as_array().expect("a list").clone();
    findings
        .into_iter()
        .filter(|finding| finding["check"] == check)
        .collect()
}

/// The first finding of a kind has this level, and this in its text.
fn found(ended: &Ended, check: &str, level: &str, text: &str) {
    let found = findings(ended, check);
    let first = found
        .first()
        .unwrap_or_else(|| panic!("no {check}: {ended:?}"));
    assert_eq!(first["level"], level, "{first}");
    let told = first["found"].as_str().expect("a text");
    assert!(told.contains(text), "{text}: {first}");
    assert!(level != "action" || first["do"].is_string(), "{first}");
}

#[test]
fn all_is_well() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let sts = Sts::start();
    let endpoint = format!("http://{}", sts.address);
    let environment = [("AWS_ENDPOINT_URL_STS", endpoint.as_str())];
    let config = config(emulator.api.0, "", &[("quiz", &arn("quiz"))]);
    let ended = doctor(&config, &["--json"], &environment);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let who = "arn:aws:sts::000000000000:assumed-role/show/cuegate";
    found(&ended, "credentials", "ok", who);
    found(&ended, "network", "ok", &emulator.api.0.to_string());
    found(&ended, "permissions", "ok", "ivs:ListStreams is allowed");
    found(&ended, "channels", "ok", "all 1 of them exist");
    found(&ended, "clock", "ok", "of AWS's");
    found(&ended, "PutMetadata", "note", "is not tried");
    assert!(
        findings(&ended, "disk")[0]["level"] != "action",
        "{ended:?}"
    );
    assert_eq!(findings(&ended, "addresses").len(), 3);
    // Reads alone.
    assert_eq!(emulator.api.report()["all"]["calls"], 0);

    let text = doctor(&config, &[], &environment);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.out
            .lines()
            .any(|line| line.starts_with("ok      credentials") && line.contains(who)),
        "{text:?}"
    );
    assert!(
        text.out.ends_with("\nnothing needs to be done\n"),
        "{text:?}"
    );
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let sts = Sts::start_behind(Duration::from_hours(1));
    let endpoint = format!("http://{}", sts.address);
    let asks = ("AWS_ENDPOINT_URL_STS", endpoint.as_str());
    let whole = config(
        emulator.api.0,
        "",
        &[("quiz", &arn("quiz")), ("gone", &arn("gone"))],
    );
    let foreign = [
        asks,
        ("AWS_ACCESS_KEY_ID", "KEY999999999999"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-mine"),
    ];
    let ended = doctor(&whole, &["--json"], &foreign);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("need action"), "{ended:?}");
    found(
        &ended,
        "credentials",
        "action",
        "of the account 999999999999",
    );
    found(&ended, "permissions", "action", "refuses these credentials");
    found(&ended, "clock", "action", "ahead of AWS's");

    let unknown = [
        asks,
        ("AWS_ACCESS_KEY_ID", "nobody"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-mine"),
        ("AWS_SESSION_TOKEN", "session-of-mine"),
    ];
    found(
        &doctor(&whole, &["--json"], &unknown),
        "credentials",
        "action",
        "InvalidClientTokenId",
    );

    found(
        &doctor(&whole, &["--json"], &[]),
        "channels",
        "action",
        "1 of 2 do not exist: arn:aws:ivs:us-west-2:000000000000:channel/gone",
    );

    let none = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    found(
        &doctor(&whole, &["--json"], &none),
        "credentials",
        "action",
        "no AWS credentials",
    );

    let away = config(ports::free(), "", &[("quiz", &arn("quiz"))]);
    found(
        &doctor(&away, &["--json"], &[]),
        "network",
        "action",
        "no connection",
    );

    // What is wrong here, and not at AWS.
    let taken = TcpListener::bind(ports::free()).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let here = [
        ("CUEGATE__SERVER__LISTEN", address.as_str()),
        ("CUEGATE__JOURNAL__DIR", "/dev/null/journal"),
    ];
    let ended = doctor(&whole, &["--json"], &here);
    found(&ended, "addresses", "action", "in use");
    found(&ended, "disk", "action", "may not write to /dev/null");
}

/// A role that may do nothing but what a gateway needs is a good one; STS is asked only where it is
/// meant to be.
#[test]
fn what_is_not_needed_is_a_note() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    let key = "[[key]]\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\naccount = \"000000000000\"\noperations = [\"ivs:PutMetadata\"]\n";
    std::fs::write(&file, key).expect("a file");
    let emulator = Emulator::start(&["--credentials", file.to_str().expect("text")]);
    let config = config(emulator.api.0, "", &[("quiz", &arn("quiz"))]);
    let ended = doctor(&config, &["--json"], &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    found(&ended, "credentials", "note", "not AWS's");
    found(&ended, "permissions", "note", "ivs:ListStreams");
    found(&ended, "channels", "note", "ivs:BatchGetChannel");
}

#[test]
fn beside_a_running_gateway_its_own_calls_are_shown() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let gateway = Gateway::start(&config(emulator.api.0, "", &[("quiz", &arn("quiz"))]));
    let beside = || {
        let mut command = command();
        let listen = gateway.metrics.to_string();
        doctor_of(
            command.env("CUEGATE__METRICS__LISTEN", listen),
            &gateway.config_file(),
            &["--json"],
            &[],
        )
    };
    found(&beside(), "PutMetadata", "note", "no call has ended yet");
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.drained("quiz");
    let ended = beside();
    found(&ended, "PutMetadata", "ok", "1 delivered");
    // It listens there: that is not looked at.
    assert!(findings(&ended, "addresses").is_empty(), "{ended:?}");
    assert_eq!(
        findings(&ended, "descriptors")[0]["about"],
        "the running gateway"
    );
    assert_eq!(
        emulator.api.report()["all"]["calls"],
        2,
        "the event's, and that of the start"
    );

    let denied = format!(
        r#"{{"kind":"error","status":403,"code":"UnrecognizedClientException","channel":"{}"}}"#,
        arn("quiz")
    );
    emulator.api.faults(&denied);
    gateway.publish("quiz", r#"{"data":2}"#);
    eventually("the gateway cannot send", || {
        let found = findings(&beside(), "PutMetadata");
        (found[0]["level"] == "action").then_some(())
    });
}

#[test]
fn the_start_warns_and_goes_on() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let channels = [("quiz", arn("quiz")), ("gone", arn("gone"))];
    let channels: Vec<_> = channels
        .iter()
        .map(|(name, arn)| (*name, arn.as_str()))
        .collect();
    let gateway = Gateway::start(&config(emulator.api.0, "", &channels));
    gateway
        .process
        .logged("1 of 2 do not exist: arn:aws:ivs:us-west-2:000000000000:channel/gone");
    gateway.process.logged("correct their ARNs");
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.drained("quiz");
    assert_eq!(
        emulator.api.report()["all"]["calls"],
        2,
        "the event's, and one to see whether it may"
    );

    // Nobody answers: neither the start nor an event waits for that.
    let away = Gateway::start(&config(ports::free(), "", &[("quiz", &arn("quiz"))]));
    away.publish("quiz", r#"{"data":1}"#);
    away.process.logged("let this machine reach it");
    assert!(away.is_ready());
}

/// Before the first event, and it costs none.
#[test]
fn a_start_that_may_not_call_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    let key = "[[key]]\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\naccount = \"000000000000\"\noperations = [\"ivs:ListStreams\", \"ivs:BatchGetChannel\"]\n";
    std::fs::write(&file, key).expect("a file");
    let emulator = Emulator::start(&["--credentials", file.to_str().expect("text")]);
    let gateway = Gateway::start(&config(emulator.api.0, "", &[("quiz", &arn("quiz"))]));
    let process = &gateway.process;
    process.logged("not allowed for a channel that does not exist");
    process.logged("allow ivs:PutMetadata on arn:aws:ivs:us-west-2:000000000000:channel/*");
    let status = gateway.status("quiz");
    assert_eq!(status["totals"]["accepted"], 0, "{status}");
}

#[test]
fn without_aws_and_with_wrong_usage() {
    let ended = doctor(&local("", &[("quiz", "")]), &["--json"], &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    found(&ended, "credentials", "note", "local");
    for (config, arguments) in [
        ("[upstream]\nmode = \"lokal\"\n", &[][..]),
        (&local("", &[]), &["--nonsense"]),
    ] {
        assert_eq!(doctor(config, arguments, &[]).code, Some(2));
    }
    // What the gateway does not find, as an operator's shell may lack it too.
    let key =
        "[[api_key]]\nname = \"k\"\naws_access_key_id = \"A\"\naws_secret_env = \"NOWHERE\"\n";
    let ended = doctor(&local(key, &[]), &["--json"], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    found(&ended, "keys", "action", "NOWHERE");
}
