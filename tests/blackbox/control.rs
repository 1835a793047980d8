//! Taking back what is not sent yet, and stopping a channel: cancel, purge, pause, resume.

use serde_json::json;

use crate::support::eventually;
use crate::support::http::check_problem;
use crate::support::payloads::all_items;
use crate::support::process::{Gateway, arn, local};

fn cancel(gateway: &Gateway, channel: &str, id: &str) -> (u16, String) {
    let answer = gateway.request("DELETE", &format!("/v1/channels/{channel}/events/{id}"));
    if answer.status == 204 {
        assert!(answer.body.is_empty());
    } else {
        check_problem(&answer, answer.status, &answer.code());
    }
    (answer.status, answer.code())
}

#[test]
fn cancelling() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("other", "")]));
    let done = (204, String::new());
    let gone = (409, "already_sent".to_owned());
    let unknown = (404, "unknown_event".to_owned());
    gateway.publish("quiz", r#"{"data":"sent","id":"sent"}"#);
    gateway.drained("quiz");
    gateway.pause("quiz");
    for event in [
        r#"{"data":"a","id":"a-17"}"#,
        r#"{"data":"b","id":"a/b c%é"}"#,
        r#"{"data":"c"}"#,
        r#"{"data":1,"id":"merged","key":"k","merge":"sum"}"#,
        r#"{"data":2,"id":"latest","key":"k","merge":"sum"}"#,
        r#"{"data":"d","id":"later","at":4102444800000}"#,
    ] {
        let answer = gateway.post("/v1/channels/quiz/events", event);
        // 2100 is further ahead than events may lie.
        assert_eq!(answer.status == 202, !event.contains("later"), "{answer:?}");
    }
    for (id, expected) in [
        ("a-17", &done),
        // Again: it is as the client wants it.
        ("a-17", &done),
        ("a%2Fb%20c%25%C3%A9", &done),
        ("sent", &gone),
        ("merged", &gone),
        ("never", &unknown),
        ("later", &unknown),
        ("%ff", &unknown),
    ] {
        assert_eq!(cancel(&gateway, "quiz", id), *expected, "{id}");
    }
    // Ids are a channel's own.
    assert_eq!(cancel(&gateway, "other", "latest"), unknown);
    assert_eq!(
        cancel(&gateway, "nowhere", "latest"),
        (404, "unknown_channel".to_owned())
    );
    // The ARN names the channel as well as the alias does.
    let by_arn = arn("quiz").replace(':', "%3A").replace('/', "%2F");
    assert_eq!(cancel(&gateway, &by_arn, "latest"), done);
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(
        all_items(&gateway.taken("quiz")),
        r#"{"d":"sent"},{"d":"c"}"#
    );
    // All events of a cancelled item are cancelled, or merged before: the books balance.
    gateway.scrape().check_books(true);
    let totals = gateway.status("quiz")["totals"].clone();
    assert_eq!(
        (&totals["cancelled"], &totals["merged"]),
        (&json!(3), &json!(1)),
        "{totals}"
    );
}

#[test]
fn purging() {
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", "envelope_fields = [\"type\", \"key\"]")],
    ));
    gateway.pause("quiz");
    gateway.publish(
        "quiz",
        r#"[{"data":1,"type":"a","key":"x"},{"data":2,"type":"a","key":"y"},{"data":3,"type":"b","key":"x"},
            {"data":4,"type":"b"},{"data":5},{"data":6,"type":"a b&c","key":"x"}]"#,
    );
    let purge =
        |query: &str| gateway.request("DELETE", &format!("/v1/channels/quiz/events{query}"));
    for (query, cancelled) in [
        ("?type=nothing", 0),
        ("?type=a&key=x", 1),
        ("?type=a%20b%26c", 1),
        ("?key=y", 1),
        ("?key=x", 1),
    ] {
        let answer = purge(query);
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({ "cancelled": cancelled })),
            "{query}"
        );
    }
    // A filter that was misspelt, forgotten or came out empty must not purge everything.
    for query in [
        "",
        "?",
        "?kye=x",
        "?key=x&key=y",
        "?type=",
        "?key=",
        "?type=&key=x",
        "?type=a&key=",
        "?all=false",
        "?all=",
        "?all=1",
        "?all=true&type=a",
        "?all=true&key=",
        "?all=true&all=true",
    ] {
        check_problem(&purge(query), 400, "malformed");
    }
    assert_eq!(gateway.status("quiz")["queued"], 2, "nothing else went");
    check_problem(
        &gateway.request("DELETE", "/v1/channels/nowhere/events"),
        404,
        "unknown_channel",
    );
    gateway.resume("quiz");
    gateway.drained("quiz");
    assert_eq!(
        all_items(&gateway.taken("quiz")),
        r#"{"d":4,"t":"b"},{"d":5}"#
    );

    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    assert_eq!(purge("?all=true").json(), json!({ "cancelled": 2 }));
    assert_eq!(gateway.status("quiz")["queued"], 0);
    gateway.scrape().check_books(true);
}

#[test]
fn pausing_one_channel_stops_that_one() {
    let gateway = Gateway::start(&local("", &[("a", "ttl_ms = 60000"), ("b", "")]));
    gateway.pause("a");
    gateway.pause("a");
    assert_eq!(gateway.status("a")["state"], "paused");
    gateway.publish("a", r#"{"data":1}"#);
    gateway.publish("b", r#"{"data":2}"#);
    gateway.drained("b");
    assert_eq!(gateway.taken("a"), Vec::<String>::new());
    let metrics = gateway.scrape();
    for (series, value) in [
        (r#"cuegate_channel_state{channel="a",state="paused"}"#, 1.0),
        (r#"cuegate_channel_state{channel="a",state="live"}"#, 0.0),
        (r#"cuegate_channel_state{channel="b",state="live"}"#, 1.0),
        (r#"cuegate_queue_events{channel="a"}"#, 1.0),
    ] {
        assert!((metrics.get(series) - value).abs() < 0.5, "{series}");
    }
    gateway.resume("a");
    eventually("it goes on", || {
        (gateway.taken("a").len() == 1).then_some(())
    });
    assert_eq!(gateway.status("a")["state"], "live");
    for verb in ["pause", "resume"] {
        let answer = gateway.request("POST", &format!("/v1/channels/nowhere/{verb}"));
        check_problem(&answer, 404, "unknown_channel");
    }
}
