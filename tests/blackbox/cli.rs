//! The commands beside `serve`: what they print and how they end.

mod control;
mod pages;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::process::{Ended, Gateway, command, local, run, signal};

fn check_config(directory: &Path, config: &str, environment: &[(&str, &str)]) -> Ended {
    let file = directory.join("c.toml");
    std::fs::write(&file, config).expect("a file");
    run(
        command()
            .current_dir(directory)
            .envs(environment.iter().copied())
            .arg("check-config")
            .arg(&file),
        "",
    )
}

#[test]
fn check_config_says_every_error_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = local("", &[("quiz", "")]);
    let ended = check_config(directory.path(), &good, &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        ended.out.contains("c.toml: ok") && ended.out.contains("quiz"),
        "{ended:?}"
    );

    let bad = "[server]\nlisten = \"nowhere\"\nlisn = 1\n\n[upstream]\nmode = \"loca\"\n\n[quota]\naccount_tps = 156\n\
        [[channel]]\nname = \"a\"\narn = \"arn\"\n[[channel]]\nname = \"a\"\narn = \"arn:aws:ivs:us-west-2:000000000000:channel/a\"\nttl_ms = \"5\"\n";
    let ended = check_config(directory.path(), bad, &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    for (line, key) in [
        (2, "server.listen"),
        (3, "lisn"),
        (6, "upstream.mode"),
        (9, "quota.account_tps"),
        (12, "arn"),
        (14, "name"),
        (16, "ttl_ms"),
    ] {
        let found = ended
            .err
            .lines()
            .any(|error| error.contains(&format!("c.toml:{line}: ")) && error.contains(key));
        assert!(found, "line {line}, {key}: {}", ended.err);
    }
    assert_eq!(ended.err.lines().count(), 7, "{}", ended.err);
}

/// Configurations that must not start, and what their error names.
#[test]
fn wrong_configurations_exit_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = local("", &[("quiz", "")]);
    for (config, environment, named) in [
        (
            good.replace("[upstream]\nmode = \"local\"", ""),
            ("PATH", ""),
            "upstream.mode",
        ),
        (
            good.clone(),
            ("CUEGATE__SERVER__LISN", "1"),
            "CUEGATE__SERVER__LISN",
        ),
        (good.clone(), ("CUEGATE__NOTHING", "1"), "CUEGATE__NOTHING"),
        (
            good.clone(),
            ("CUEGATE__QUOTA__ACCOUNT_TPS", "many"),
            "CUEGATE__QUOTA__ACCOUNT_TPS",
        ),
        (good.clone() + "[tls]\n", ("PATH", ""), "tls"),
        (good.clone() + "\n[[channel]]\n", ("PATH", ""), "name"),
        ("[upstream\n".to_owned(), ("PATH", ""), "c.toml:1"),
        (
            good.clone()
                + "[[api_key]]\nname = \"k\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015\"\n",
            ("PATH", ""),
            "api_key.sha256",
        ),
        (
            good.clone()
                + "[[api_key]]\nname = \"k\"\naws_access_key_id = \"A\"\naws_secret_env = \"NOWHERE\"\n",
            ("PATH", ""),
            "environment variable NOWHERE is not set",
        ),
        (
            good.clone() + "[jwt]\nalgorithm = \"HS256\"\nkey_file = \"missing\"\n",
            ("PATH", ""),
            "jwt.key_file: missing: ",
        ),
        (
            good.clone() + "[server]\ntls_cert = \"c.toml\"\ntls_key = \"c.toml\"\n",
            ("PATH", ""),
            "server.tls_cert: c.toml: no certificates as PEM",
        ),
    ] {
        let ended = check_config(directory.path(), &config, &[environment]);
        assert_eq!(ended.code, Some(2), "{config}: {ended:?}");
        assert!(ended.err.contains(named), "{named}: {ended:?}");
        // And `serve` says the same.
        let file = directory.path().join("c.toml");
        let served = run(
            command()
                .current_dir(directory.path())
                .env(environment.0, environment.1)
                .args(["serve", "--config"])
                .arg(file),
            "",
        );
        assert_eq!((served.code, served.err), (Some(2), ended.err), "{config}");
    }
    for arguments in [
        &["serve", "--config", "missing.toml"][..],
        &["--config", "missing.toml"],
        &["check-config", "missing.toml"],
    ] {
        let ended = run(command().current_dir(directory.path()).args(arguments), "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("missing.toml"), "{ended:?}");
    }
    for arguments in [
        &["serv"][..],
        &["serve", "--port", "1"],
        &["send"],
        &["tail"],
        &["serve", "--log-format", "xml"],
        &["top", "--interval", "0"],
        &["top", "--interval", "soon"],
        &["load", "--seconds", "-1"],
    ] {
        let ended = run(command().current_dir(directory.path()).args(arguments), "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

#[test]
fn shipped_configurations_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["config/cuegate.toml", "config/aws.toml"] {
        let ended = run(command().current_dir(root).args(["check-config", name]), "");
        assert_eq!(
            (ended.code, ended.err.as_str()),
            (Some(0), ""),
            "{name}: {ended:?}"
        );
    }
    // With no argument it checks what `serve` would use.
    let ended = run(command().current_dir(root).arg("check-config"), "");
    assert!(
        ended.code == Some(0) && ended.out.contains("config/cuegate.toml"),
        "{ended:?}"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let ended = run(
        command().current_dir(directory.path()).arg("check-config"),
        "",
    );
    assert!(
        ended.code == Some(0) && ended.out.contains("local"),
        "built-in defaults: {ended:?}"
    );
}

#[test]
fn send_sends_and_says_what_was_answered() {
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", "envelope_fields = [\"type\", \"key\", \"id\"]")],
    ));
    let url = format!("http://{}", gateway.producers);
    let send = |arguments: &[&str], input: &str| {
        run(
            command().args(["send", "--url", &url]).args(arguments),
            input,
        )
    };
    let ended = send(
        &[
            "quiz",
            r#"{"b":1.0,"a":1e400}"#,
            "--type",
            "t",
            "--id",
            "i",
            "--key",
            "k",
            "--priority",
            "high",
            "--ttl-ms",
            "5000",
            "--wait",
        ],
        "",
    );
    let answer: Value =
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(
        (ended.code, &answer["delivered"]),
        (Some(0), &1.into()),
        "{ended:?}"
    );
    let lines = "{\"data\":1}\n\n{\"data\":\"é\"}\n";
    assert_eq!(send(&["quiz", "-"], lines).code, Some(0));
    gateway.drained("quiz");
    let items = crate::support::payloads::all_items(&gateway.taken("quiz"));
    assert_eq!(
        items,
        r#"{"d":{"b":1.0,"a":1e400},"t":"t","k":"k","i":"i"},{"d":1},{"d":"é"}"#
    );

    for (arguments, input, code, said) in [
        (&["quiz", "no json"][..], "", 2, "JSON"),
        (&["nowhere", "1"], "", 1, "unknown_channel"),
        (&["quiz", "1", "--ttl-ms", "0"], "", 1, "invalid_event"),
        (&["quiz", "-"], "{\"data\":1}\nnonsense\n", 1, "malformed"),
    ] {
        let ended = send(arguments, input);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains(said), "{said}: {ended:?}");
    }
    let nobody = format!("http://{}", crate::support::ports::free());
    let ended = run(command().args(["send", "--url", &nobody, "quiz", "1"]), "");
    assert!(
        ended.code == Some(1) && ended.err.contains(&nobody),
        "{ended:?}"
    );
    // The address can come from the environment.
    let ended = run(
        command()
            .env("CUEGATE_URL", &url)
            .args(["send", "quiz", "1"]),
        "",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn tail_prints_payloads_as_they_are_delivered() {
    tail_prints_what_is_delivered("");
}

/// They are read as a player reads them.
#[test]
fn tail_prints_compressed_payloads_plain() {
    tail_prints_what_is_delivered("compress = \"deflate\"");
}

fn tail_prints_what_is_delivered(rules: &str) {
    let gateway = Gateway::start(&local("", &[("quiz", rules)]));
    let url = format!("http://{}", gateway.producers);
    let mut tail = command()
        .args(["tail", "quiz", "--url", &url])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tail");
    let mut lines = BufReader::new(tail.stdout.take().expect("its output")).lines();
    // It is connected when the gateway has a connection beside that of the test's own request.
    crate::support::eventually("it is connected", || {
        (gateway
            .scrape()
            .get(r#"cuegate_connections{transport="http"}"#)
            > 0.5)
            .then_some(())
    });
    // Connected is not yet subscribed: the first line decides.
    gateway.publish("quiz", r#"{"data":0}"#);
    gateway.drained("quiz");
    for nth in 1..=3 {
        gateway.publish("quiz", &format!(r#"{{"data":{nth}}}"#));
    }
    gateway.drained("quiz");
    let taken = gateway.taken("quiz");
    let compressed = taken.iter().filter(|text| text.starts_with("~0")).count();
    assert_eq!(compressed > 0, !rules.is_empty(), "{taken:?}");
    let plain = |text: String| engine::decode(&text).unwrap_or(text);
    let taken: Vec<String> = taken.into_iter().map(plain).collect();
    let mut line = lines.next().expect("a line").expect("text");
    if line == taken[0] {
        line = lines.next().expect("a line").expect("text");
    }
    for payload in &taken[1..] {
        assert_eq!(&line, payload);
        if Some(payload) != taken.last() {
            line = lines.next().expect("a line").expect("text");
        }
    }
    signal(&tail, "TERM");
    tail.wait().expect("its end");

    let ended = run(command().args(["tail", "nowhere", "--url", &url]), "");
    assert!(
        ended.code == Some(1) && ended.err.contains("unknown_channel"),
        "{ended:?}"
    );
}

#[test]
fn top_shows_the_deepest_queue_first() {
    let gateway = Gateway::start(&local("", &[("a", ""), ("deep", ""), ("z", "")]));
    gateway.pause("deep");
    gateway.publish("deep", r#"[{"data":1},{"data":2}]"#);
    let url = format!("http://{}", gateway.producers);
    let top = |arguments: &[&str]| {
        run(
            command()
                .env("COLUMNS", "90")
                .args(["top", "--url", &url, "--interval", "0.2"])
                .args(arguments),
            "",
        )
    };
    // Into a pipe it is one table with or without --once.
    for arguments in [&["--once"][..], &[]] {
        let ended = top(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let lines: Vec<Vec<&str>> = ended
            .out
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let names: Vec<&str> = lines.iter().map(|line| line[0]).collect();
        assert_eq!(names, ["CHANNEL", "deep", "a", "z", "3"], "{}", ended.out);
        assert_eq!(
            lines[1][1..5],
            ["paused", "0.0", "0.0", "2"],
            "{}",
            ended.out
        );
        assert_eq!(lines[2][7], "5/5", "{}", ended.out);
        assert!(
            !ended.out.contains('\u{1b}'),
            "no control characters in a pipe"
        );
        assert!(ended.out.lines().all(|line| line.chars().count() <= 90));
    }
    let nobody = format!("http://{}", crate::support::ports::free());
    let ended = run(command().args(["top", "--once", "--url", &nobody]), "");
    assert!(
        ended.code == Some(1) && ended.err.contains(&nobody),
        "{ended:?}"
    );
}

/// One underscore where two belong: told, and no fault, for other programs set variables too.
#[test]
fn variables_with_one_underscore_are_told_of() {
    let config = local("", &[("quiz", "")]);
    let stray = ("CUEGATE_QUOTA_ACCOUNT_TPS", "7");
    let others = ("CUEGATE_METRICS_PORT_9464_TCP", "tcp://10.0.0.1:9464");
    let directory = tempfile::tempdir().expect("a directory");
    let ended = check_config(directory.path(), &config, &[stray, others]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("CUEGATE__QUOTA__ACCOUNT_TPS"),
        "{ended:?}"
    );
    assert!(!ended.out.contains(others.0), "{ended:?}");
    let gateway = Gateway::start_with(&config, &[stray, others]);
    gateway
        .process
        .logged("CUEGATE_QUOTA_ACCOUNT_TPS changes nothing");
    assert!(!gateway.process.log().contains(others.0));
}
