//! `cuegate load`: runs that are well, runs that are not, and that the difference is seen.

use std::process::Stdio;

use serde_json::Value;

use crate::support::emulator::{Emulator, EmulatorApi};
use crate::support::process::{Ended, Gateway, Process, arn, command, local, run};
use crate::support::{SOON, ports};

/// Channels that are not listed may be addressed.
const UNLISTED: &str = "[channels]\nallow_unlisted = true\n";

fn load(gateway: &Gateway, arguments: &[&str]) -> Ended {
    let url = format!("http://{}", gateway.producers);
    run(command().args(["load", "--url", &url]).args(arguments), "")
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn number(report: &Value, pointer: &str) -> u64 {
    let value = report.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("{pointer}: {report}"))
}

fn refused(report: &Value) -> u64 {
    let codes = report["refused"].as_object().expect("codes");
    codes.values().filter_map(Value::as_u64).sum()
}

/// What must hold of any run that was observed.
fn check_sums(report: &Value) {
    let number = |pointer: &str| number(report, pointer);
    assert!(
        number("/sent") > 0 && number("/sent") <= number("/planned"),
        "{report}"
    );
    assert_eq!(
        number("/sent"),
        number("/accepted") + refused(report) + number("/unanswered"),
        "{report}"
    );
    let ended: u64 = [
        "merged",
        "expired",
        "cancelled",
        "evicted",
        "dead_lettered",
        "queued",
    ]
    .iter()
    .map(|end| number(&format!("/gateway/{end}")))
    .sum();
    assert_eq!(
        number("/accepted"),
        number("/delivered") + ended + number("/lost"),
        "{report}"
    );
}

/// Compressed payloads are read as a player reads them.
#[test]
fn compressed_payloads_are_judged() {
    let gateway = Gateway::start(&local("", &[("quiz", "compress = \"deflate\"")]));
    let arguments = ["--rate", "100", "--seconds", "2", "--json"];
    let ended = load(&gateway, &arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = report(&ended);
    check_sums(&report);
    assert!(number(&report, "/delivered") > 0, "{report}");
    let payloads = gateway.taken("quiz");
    assert!(payloads.iter().any(|payload| payload.starts_with("~0")));
}

/// Events that leave in slices are judged as one each, and each slice counts as a payload.
#[test]
fn large_events_are_judged() {
    let keys = "compress = \"deflate\"\nevent_max_bytes = 65536\nttl_ms = 60000";
    let gateway = Gateway::start(&local("", &[("quiz", keys)]));
    let arguments = ["--rate", "2", "--seconds", "2", "--size", "9000", "--json"];
    let ended = load(&gateway, &arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = report(&ended);
    check_sums(&report);
    assert_eq!(number(&report, "/delivered"), 4, "{report}");
    let taken = gateway.taken("quiz");
    assert!(taken.iter().all(|payload| payload.starts_with("~2")));
    assert!(taken.len() >= 8, "{}", taken.len());
    assert_eq!(number(&report, "/payloads"), taken.len() as u64);
    // The largest that there can be does not fit with its envelope: a refusal is an answer.
    let arguments = ["--rate", "1", "--seconds", "1", "--size", "65536", "--json"];
    let ended = load(&gateway, &arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = self::report(&ended);
    assert_eq!(report["refused"]["event_too_large"], 1, "{report}");
}

#[test]
fn runs_that_are_well_end_with_0_and_their_figures_agree() {
    let gateway = Gateway::start(&local(UNLISTED, &[("quiz", "")]));
    for (arguments, transport) in [
        (&[][..], "http"),
        (&["--batch", "7"], "http"),
        (&["--ws"], "websocket"),
        (&["--ws", "--batch", "5", "--connections", "2"], "websocket"),
    ] {
        let common = [
            "--channels",
            "3",
            "--rate",
            "60",
            "--seconds",
            "2",
            "--json",
        ];
        let ended = load(&gateway, &[&common, arguments].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        let report = report(&ended);
        check_sums(&report);
        assert_eq!(
            (&report["transport"], &report["channels"], &report["ok"]),
            (&transport.into(), &3.into(), &true.into()),
            "{report}"
        );
        assert_eq!(number(&report, "/planned"), 120);
        for none in ["lost", "duplicated", "out_of_order", "unanswered"] {
            assert_eq!(report[none], 0, "{none}: {report}");
        }
        assert_eq!(
            report["delivered"], report["gateway"]["delivered"],
            "{report}"
        );
        assert!(number(&report, "/delivered") > 0, "{report}");
        let most = number(&report, "/max_calls_per_second/channel");
        assert!((1..=5).contains(&most), "{report}");
        for times in ["ack_ms", "late_ms", "delivery_ms"] {
            let [p50, p99, max] = ["p50", "p99", "max"].map(|at| report[times][at].as_f64());
            assert!(
                p50.is_some() && p50 <= p99 && p99 <= max,
                "{times}: {report}"
            );
        }
        for share in [
            "/payload_fill",
            "/quota_used/channel",
            "/quota_used/account",
        ] {
            let share = report.pointer(share).and_then(Value::as_f64);
            assert!(
                share.is_some_and(|share| share > 0.0 && share <= 1.0),
                "{report}"
            );
        }
        assert!(ended.err.contains("sent "), "progress: {ended:?}");
    }
    // What the local IVS took is what was reported, to the byte.
    let ended = load(
        &gateway,
        &["--rate", "10", "--seconds", "1", "--size", "77", "--json"],
    );
    let report = report(&ended);
    let run = report["run"].as_str().expect("its name");
    let taken = gateway.emulator.metadata(&arn("load-1"));
    let data: Vec<Value> =
        crate::support::payloads::data(taken.iter().map(|taken| taken.text.as_str()))
            .into_iter()
            .filter(|data| data.as_str().is_some_and(|data| data.starts_with(run)))
            .collect();
    assert_eq!(data.len() as u64, number(&report, "/delivered"), "{report}");
    assert!(
        data.iter().all(|data| data.to_string().len() == 77),
        "{data:?}"
    );
}

#[test]
fn the_report_for_people_says_the_same() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("show", "")]));
    let ended = load(
        &gateway,
        &["--channels", "3", "--rate", "20", "--seconds", "1"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in ["using 2 of the 3 channels", "ALLOW_UNLISTED"] {
        assert!(ended.err.contains(said), "{said}: {ended:?}");
    }
    for said in ["on 2 channels", "accepted      20", "lost 0", "all is well"] {
        assert!(ended.out.contains(said), "{said}: {ended:?}");
    }
    // Too large for any payload: an answer, not a loss.
    let ended = load(
        &gateway,
        &[
            "--channel",
            "q*",
            "--rate",
            "10",
            "--seconds",
            "1",
            "--size",
            "1024",
            "--json",
        ],
    );
    let report = report(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        report["refused"]["event_too_large"], report["sent"],
        "{report}"
    );
    assert_eq!(
        (&report["accepted"], &report["delivery_ms"]["p50"]),
        (&0.into(), &Value::Null)
    );
    check_sums(&report);
}

/// An answer that is lost makes the gateway send a payload again. Under its number players drop
/// it; without one they see its event twice.
#[test]
fn what_was_doubled_is_seen() {
    for (envelope, code) in [("cue", 0), ("raw", 1)] {
        let keys = format!("envelope = \"{envelope}\"\nttl_ms = 60000");
        let gateway = Gateway::start(&local("", &[("quiz", &keys)]));
        gateway
            .emulator
            .faults(r#"{"kind": "reply_lost", "duration_ms": 1500}"#);
        let arguments = [
            "--channel",
            "quiz",
            "--rate",
            "5",
            "--seconds",
            "2",
            "--json",
        ];
        let ended = load(&gateway, &arguments);
        let report = report(&ended);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(number(&report, "/lost"), 0, "{report}");
        if code == 0 {
            assert_eq!(number(&report, "/duplicated"), 0, "{report}");
            assert!(number(&report, "/payloads_repeated") > 0, "{report}");
        } else {
            assert!(number(&report, "/duplicated") > 0, "{report}");
            assert!(ended.err.contains("duplicated"), "{ended:?}");
        }
    }
}

/// An emulator that the gateway does not send to sees nothing: to whoever looks there, all is
/// lost.
#[test]
fn what_was_lost_is_seen() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let elsewhere = Emulator::start(&[]);
    elsewhere.api.stream(&arn("quiz"), "live");
    let EmulatorApi(address) = elsewhere.api;
    let url = format!("http://{address}");
    let arguments = [
        "--rate",
        "10",
        "--seconds",
        "1",
        "--json",
        "--emulator",
        &url,
    ];
    let ended = load(&gateway, &arguments);
    let report = report(&ended);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    check_sums(&report);
    assert_eq!(report["ok"], false);
    assert_eq!(number(&report, "/delivered"), 0, "{report}");
    assert!(number(&report, "/lost") > 0, "{report}");
    assert!(ended.err.contains("lost"), "{ended:?}");
}

#[test]
fn a_run_can_be_ended_early_and_reports() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let url = format!("http://{}", gateway.producers);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let out = file.reopen().expect("the file");
    let mut process = Process::start(
        command()
            .args(["load", "--url", &url, "--seconds", "3600", "--json"])
            .stdout(Stdio::from(out)),
    );
    process.logged("accepted");
    process.signal("INT");
    let (status, log) = process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    let text = std::fs::read_to_string(file.path()).expect("its report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["interrupted"], true, "{report}");
    check_sums(&report);
}

#[test]
fn what_cannot_be_run_says_why() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let nobody = format!("http://{}", ports::free());
    for (arguments, code, said) in [
        (&["--rate", "0"][..], 2, "--rate"),
        (&["--size", "10"], 2, "--size"),
        (&["--channels", "0"], 2, "--channels"),
        (&["--batch", "x"], 2, "--batch"),
        (&["--rate", "1000000", "--seconds", "1000"], 2, "at most"),
        (&["--channel", "quiz", "--channels", "3"], 2, "--channels 3"),
        (&["--channel", "q?*"], 2, "pattern"),
        (&["--channel", "z*"], 1, "no listed channel fits"),
        (&["--channel", "nowhere"], 1, "unknown_channel"),
        (&["--emulator", &nobody], 1, "is the"),
        (&["--url", &nobody], 1, &nobody),
    ] {
        // The last --url is the one that counts.
        let url = format!("http://{}", gateway.producers);
        let mut load = command();
        load.arg("load").args(arguments).args(["--json"]);
        if !arguments.contains(&"--url") {
            load.args(["--url", &url]);
        }
        let ended = run(&mut load, "");
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(said), "{said}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

/// Where events could reach viewers, their channels have to be named.
#[test]
fn nobody_loads_a_show_by_accident() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let EmulatorApi(address) = emulator.api;
    let config = local("", &[("quiz", "")]).replace(
        "mode = \"local\"",
        &format!("mode = \"aws\"\nendpoint_url = \"http://{address}\""),
    );
    let gateway = Gateway::start(&config);
    let ended = load(&gateway, &["--seconds", "1"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("viewers"), "{ended:?}");
    assert_eq!(gateway.status("quiz")["totals"]["accepted"], 0);
    let url = format!("http://{address}");
    let seen = ["--seconds", "1", "--json", "--emulator", &url];
    let ended = load(&gateway, &seen);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check_sums(&report(&ended));
    assert!(number(&report(&ended), "/delivered") > 0, "{ended:?}");
    // Named, and nobody watches: what the gateway says is all there is.
    let ended = load(&gateway, &["--channel", "quiz", "--seconds", "1", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = report(&ended);
    assert_eq!(
        (&report["local_ivs"], &report["lost"]),
        (&Value::Null, &Value::Null)
    );
    assert!(number(&report, "/gateway/delivered") > 0, "{report}");
}
