//! In which order events leave: by priority, then by time, and never past their own key.

use serde_json::{Value, json};

use crate::support::payloads::{data, played};
use crate::support::process::{Gateway, local};
use crate::support::{eventually, seed};

fn shown(gateway: &Gateway, channel: &str) -> Vec<Value> {
    data(gateway.taken(channel).iter().map(String::as_str))
}

/// Events posted while the channel is paused, and their data in the order in which they leave.
const CASES: &[(&str, &str, &[u64])] = &[
    (
        "by-priority",
        r#"[{"data":1,"priority":"low"},{"data":2},{"data":3,"priority":"high"},{"data":4,"priority":"normal"},
            {"data":5,"priority":"high"},{"data":6,"priority":"low"}]"#,
        &[3, 5, 2, 4, 1, 6],
    ),
    (
        "key-outranks-priority",
        r#"[{"data":1,"key":"k","priority":"low"},{"data":2,"key":"k","priority":"high"},{"data":3}]"#,
        &[3, 1, 2],
    ),
    (
        "past-at-is-now",
        r#"[{"data":1},{"data":2,"at":"2001-01-01T00:00:00Z"},{"data":3,"at":1000000000000}]"#,
        &[1, 2, 3],
    ),
];

#[test]
fn by_priority_then_time_but_never_past_their_key() {
    let channels: Vec<_> = CASES
        .iter()
        .map(|(name, ..)| (*name, "ttl_ms = 600000"))
        .collect();
    let gateway = Gateway::start(&local("", &channels));
    for (channel, events, order) in CASES {
        gateway.pause(channel);
        gateway.publish(channel, events);
        gateway.resume(channel);
        gateway.drained(channel);
        assert_eq!(
            shown(&gateway, channel),
            order.iter().map(|n| json!(n)).collect::<Vec<_>>(),
            "{channel}"
        );
    }
}

#[test]
fn a_waiting_event_rises_after_half_its_ttl() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    gateway.pause("quiz");
    gateway.publish("quiz", r#"{"data":"low","priority":"low","ttl_ms":8000}"#);
    // Past the half of it; the event's age is what there is to see of that.
    eventually("half its TTL is over", || {
        (gateway.status("quiz")["oldest_age_ms"].as_u64() > Some(4100)).then_some(())
    });
    gateway.publish("quiz", r#"{"data":"normal","ttl_ms":60000}"#);
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(shown(&gateway, "quiz"), [json!("low"), json!("normal")]);
}

#[test]
fn not_before_its_moment() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let now = eventually("the clock", || {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()?;
        u64::try_from(since.as_micros()).ok()
    });
    let at = now / 1000 + 1200;
    gateway.publish(
        "quiz",
        &format!(r#"[{{"data":"later","at":{at},"ttl_ms":5000}},{{"data":"now"}}]"#),
    );
    let payloads = eventually("both were sent", || {
        let taken = gateway
            .emulator
            .metadata(&crate::support::process::arn("quiz"));
        (taken.len() == 2).then_some(taken)
    });
    assert_eq!(
        data(payloads.iter().map(|taken| taken.text.as_str())),
        [json!("now"), json!("later")]
    );
    assert!(
        payloads[1].time_us >= at * 1000,
        "{} before {at}",
        payloads[1].time_us
    );
    assert!(payloads[0].time_us < at * 1000);
}

/// One that must wait for a scheduled event of its key is taken, and expires where that takes too long: it never
/// goes first.
#[test]
fn behind_a_scheduled_event_of_its_key() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at = since.expect("after 1970").as_millis() + 2000;
    let first = format!(r#"{{"data":"first","key":"k","at":{at}}}"#);
    gateway.publish("quiz", &first);
    gateway.publish("quiz", r#"{"data":"in time","key":"k","ttl_ms":20000}"#);
    let path = "/v1/channels/quiz/events?wait=delivered&timeout_ms=10000";
    let over = gateway.post(path, r#"{"data":"too late","key":"k","ttl_ms":300}"#);
    assert_eq!(over.json()["ended"]["expired"], 1, "{over:?}");
    assert_eq!(gateway.status("quiz")["queued"], 2);
    gateway.drained("quiz");
    assert_eq!(shown(&gateway, "quiz"), [json!("first"), json!("in time")]);
    gateway.scrape().check_books(true);
}

/// Random events of few keys: within a key, whatever their priorities, they leave in the order
/// in which they were accepted.
#[test]
fn nothing_overtakes_an_event_of_its_key() {
    let mut random = fastrand::Rng::with_seed(seed());
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", "ttl_ms = 600000\nenvelope_fields = [\"key\"]")],
    ));
    let mut posted = vec![Vec::new(); 5];
    for nth in 0..600_u64 {
        let key = random.usize(..posted.len());
        let priority = random
            .choice(["high", "normal", "low"])
            .expect("one of three");
        posted[key].push(nth);
        gateway.publish(
            "quiz",
            &format!(r#"{{"data":{nth},"key":"{key}","priority":"{priority}"}}"#),
        );
    }
    gateway.drained("quiz");
    let mut left = vec![Vec::new(); posted.len()];
    for payload in played(gateway.taken("quiz").iter().map(String::as_str)) {
        for item in payload["e"].as_array().expect("items") {
            let key: usize = item["k"]
                .as_str()
                .and_then(|key| key.parse().ok())
                .expect("its key");
            left[key].push(item["d"].as_u64().expect("its number"));
        }
    }
    assert_eq!(left, posted);
}
