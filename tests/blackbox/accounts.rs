//! Several accounts and regions side by side: the limits are those of each.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::emulator::encoded;
use crate::support::eventually;
use crate::support::http::{check_problem, send};
use crate::support::metrics::same;
use crate::support::process::{Gateway, local};

/// Two accounts in one region, and one of them in a second region.
const HOMES: [(&str, &str); 3] = [
    ("111111111111", "us-west-2"),
    ("222222222222", "us-west-2"),
    ("111111111111", "eu-central-1"),
];

/// Enough channels that the account binds: 33 times 5 is more than 155.
const CHANNELS: usize = 33;

fn arn(home: usize, nth: usize) -> String {
    let (account, region) = HOMES[home];
    format!("arn:aws:ivs:{region}:{account}:channel/c{nth}")
}

fn config() -> String {
    // A call that a starved machine answers late would go again.
    let mut text =
        "[upstream]\nmode = \"local\"\ncall_timeout_ms = 60000\n[channel_defaults]\nenvelope = \"raw\"\nttl_ms = 600000\n"
            .to_owned();
    // The third home is shared with others: it has a lower limit of its own.
    let _ = writeln!(
        text,
        "[[account]]\nid = \"{}\"\nregion = \"{}\"\naccount_tps = 20",
        HOMES[2].0, HOMES[2].1
    );
    for home in 0..HOMES.len() {
        for nth in 0..CHANNELS {
            let _ = writeln!(
                text,
                "[[channel]]\nname = \"c{home}-{nth}\"\narn = \"{}\"",
                arn(home, nth)
            );
        }
    }
    text
}

#[test]
fn each_account_and_region_has_its_own_limits() {
    let gateway = Gateway::start(&config());
    let mut batch = Vec::new();
    for home in 0..HOMES.len() {
        for nth in 0..CHANNELS {
            let count = if home == 2 { 2 } else { 8 };
            batch
                .extend((0..count).map(|n| {
                    format!(r#"{{"channel":"c{home}-{nth}","data":"{home}-{nth}-{n}"}}"#)
                }));
        }
    }
    assert_eq!(
        gateway
            .post("/v1/events", &format!("[{}]", batch.join(",")))
            .status,
        202
    );
    eventually("all was sent", || {
        same(gateway.scrape().sum("cuegate_queue_events"), 0.0).then_some(())
    });
    let report = gateway.emulator.report();
    // That each limit is also reached is shown by the engine's simulation, where no busy machine
    // can get in the way.
    for (home, limit) in [(0, 155), (1, 155), (2, 20)] {
        let (account, region) = HOMES[home];
        let tally = &report["accounts"][format!("arn:aws:ivs:{region}:{account}")];
        let most = tally["max_calls_per_second"].as_u64();
        assert!(most <= Some(limit), "{tally}");
        assert_eq!(tally["throttled"], 0, "{tally}");
    }
    for home in 0..HOMES.len() {
        for nth in 0..CHANNELS {
            let taken = gateway.emulator.metadata(&arn(home, nth));
            let texts = taken.iter().map(|taken| taken.text.clone());
            let count = if home == 2 { 2 } else { 8 };
            let expected: Vec<_> = (0..count).map(|n| format!("{home}-{nth}-{n}")).collect();
            assert_eq!(texts.collect::<Vec<_>>(), expected);
        }
    }
    let metrics = gateway.scrape();
    metrics.check_books(true);
    for (home, limit) in [(0, 155.0), (1, 155.0), (2, 20.0)] {
        let (account, region) = HOMES[home];
        let labels = format!(r#"{{account="{account}",region="{region}"}}"#);
        assert!(
            same(
                metrics.get(&format!("cuegate_account_tokens_limit{labels}")),
                limit
            ),
            "{labels}"
        );
        let calls = format!(
            r#"cuegate_put_metadata_calls_total{{account="{account}",region="{region}",outcome="delivered"}}"#
        );
        assert!(metrics.get(&calls) >= 66.0, "{calls}");
    }
}

#[test]
fn an_account_that_cannot_send_does_not_hold_up_another() {
    let (bad, good) = (arn(0, 0), arn(1, 0));
    let config = format!(
        "[upstream]\nmode = \"local\"\n[channel_defaults]\nttl_ms = 60000\n\
        [[channel]]\nname = \"bad\"\narn = \"{bad}\"\n[[channel]]\nname = \"good\"\narn = \"{good}\"\n"
    );
    let gateway = Gateway::start(&config);
    gateway.emulator.faults(
        &json!({"kind": "error", "channel": bad, "status": 403, "code": "UnrecognizedClientException", "message": "no"}).to_string(),
    );
    gateway.publish("bad", r#"{"data":1}"#);
    let up = |home: usize| {
        let series = format!(
            r#"cuegate_account_up{{account="{}",region="{}"}}"#,
            HOMES[home].0, HOMES[home].1
        );
        gateway.scrape().get(&series)
    };
    eventually("it shows", || same(up(0), 0.0).then_some(()));
    assert!(same(up(1), 1.0));
    let ready = crate::support::http::send(gateway.metrics, "GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 200, "events can be accepted: {ready:?}");
    let accounts = ready.json()["accounts"].clone();
    assert_eq!(
        (&accounts[0]["up"], &accounts[1]["up"]),
        (&json!(false), &json!(true)),
        "{accounts}"
    );
    assert!(accounts[0]["reason"].is_string(), "{accounts}");
    for _ in 0..5 {
        let answer = gateway.post("/v1/channels/good/events?wait=delivered", r#"{"data":1}"#);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    gateway.emulator.no_faults();
    eventually("it sends again", || {
        (gateway.emulator.metadata(&bad).len() == 1).then_some(())
    });
    eventually("that shows too", || same(up(0), 1.0).then_some(()));
    gateway.scrape().check_books(true);
    check_problem(
        &gateway.post("/v1/channels/none/events", r#"{"data":1}"#),
        404,
        "unknown_channel",
    );
}

/// An account of its own each.
fn of_another(nth: usize) -> String {
    format!("arn:aws:ivs:us-west-2:{:012}:channel/c", 100_000 + nth)
}

fn listing(rest: &str, others: impl IntoIterator<Item = usize>) -> String {
    let mut text = local(rest, &[("quiz", "")]);
    for nth in others {
        let arn = of_another(nth);
        let _ = writeln!(text, "[[channel]]\nname = \"c{nth}\"\narn = \"{arn}\"");
    }
    text
}

fn reload(gateway: &Gateway, config: &str) -> Value {
    std::fs::write(gateway.config_file(), config).expect("the file");
    let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A process knows 256 accounts and regions. One that is idle makes room for another, whose events
/// are delivered, in local mode too.
#[test]
fn an_idle_account_makes_room_for_the_257th() {
    let unlisted = "[channels]\nallow_unlisted = true";
    let gateway = Gateway::start(&listing(unlisted, []));
    for nth in 0..255 {
        let path = format!("/v1/channels/{}", encoded(&of_another(nth)));
        let answer = gateway.request("GET", &path);
        assert_eq!(answer.status, 200, "{nth}: {answer:?}");
    }
    let report = reload(&gateway, &listing(unlisted, [255]));
    assert_eq!(report["failed"], Value::Null, "{report}");
    assert!(report["changes"].to_string().contains("c255"), "{report}");
    let answer = gateway.post("/v1/channels/c255/events?wait=delivered", r#"{"data":1}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gateway.emulator.metadata(&of_another(255)).len(), 1);
}

/// What a bound keeps a reload from is in its answer and in the log; it is done once there is room.
#[test]
fn a_reload_says_what_it_could_not_do() {
    let gateway = Gateway::start(&listing("", []));
    let report = reload(&gateway, &listing("", 0..257));
    let failed = report["failed"].as_array().expect("what failed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    for (line, name) in failed.iter().zip(["c255", "c256"]) {
        let line = line.as_str().expect("a line");
        assert!(
            line.contains(name) && line.contains("256 accounts"),
            "{line}"
        );
        gateway.process.logged(line);
        let changes = report["changes"].to_string();
        assert!(!changes.contains(name), "{changes}");
        let path = format!("/v1/channels/{name}/events");
        check_problem(
            &gateway.post(&path, r#"{"data":1}"#),
            404,
            "unknown_channel",
        );
    }
    assert_eq!(report["changes"].as_array().map(Vec::len), Some(255));
    // Those that are listed no longer make room. They may count for a moment longer.
    eventually("it is done", || {
        let report = reload(&gateway, &listing("", 2..257));
        report["failed"].is_null().then_some(())
    });
    for name in ["quiz", "c2", "c255", "c256"] {
        let path = format!("/v1/channels/{name}/events?wait=delivered");
        let answer = gateway.post(&path, r#"{"data":1}"#);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
}
