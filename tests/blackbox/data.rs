//! `data` passes through untouched but for white space outside strings: in every envelope,
//! and over every door.

use std::fmt::Write as _;

use crate::support::http;
use crate::support::payloads::all_items;
use crate::support::process::{Gateway, local};
use crate::support::ws::Client;

/// What is sent, and what must come out, character by character.
const VALUES: &[(&str, &str)] = &[
    ("0", "0"),
    ("-0", "-0"),
    ("1.0", "1.0"),
    ("0.10", "0.10"),
    ("1e400", "1e400"),
    ("1E+2", "1E+2"),
    ("-1.5e-07", "-1.5e-07"),
    ("9007199254740993", "9007199254740993"),
    (
        "123456789012345678901234567890123456789",
        "123456789012345678901234567890123456789",
    ),
    ("null", "null"),
    (" true ", "true"),
    (
        "\t{ \"b\" : 1 , \"a\" : [ 2 , 3 ] } ",
        r#"{"b":1,"a":[2,3]}"#,
    ),
    (
        r#"{"z":1,"a":2,"m":{"y":3,"b":4}}"#,
        r#"{"z":1,"a":2,"m":{"y":3,"b":4}}"#,
    ),
    (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
    (r#"{"":{}}"#, r#"{"":{}}"#),
    ("[ ]", "[]"),
    (r#""""#, r#""""#),
    (
        r#""  two  spaces, { \" : \" } ""#,
        r#""  two  spaces, { \" : \" } ""#,
    ),
    (r#""\" \\ \/ \b\f\n\r\t""#, r#""\" \\ \/ \b\f\n\r\t""#),
    (r#""\u00e9 é \u0000 \u001f""#, r#""\u00e9 é \u0000 \u001f""#),
    (
        r#""\ud83d\ude00 \uD83D\uDE00""#,
        r#""\ud83d\ude00 \uD83D\uDE00""#,
    ),
    (
        "\"😀 👩‍👩‍👧 e\u{301} \u{202e}\u{2028} \u{10ffff}\"",
        "\"😀 👩‍👩‍👧 e\u{301} \u{202e}\u{2028} \u{10ffff}\"",
    ),
    (r#""]},{\"d\":1""#, r#""]},{\"d\":1""#),
];

/// As deep as data may be nested.
const DEEPEST: usize = 64;

fn values() -> impl Iterator<Item = (String, String)> {
    let deep = format!("{}1{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
    let listed = VALUES
        .iter()
        .map(|(sent, out)| ((*sent).to_owned(), (*out).to_owned()));
    listed.chain([(deep.clone(), deep)])
}

/// A body of JSON lines holding these values.
fn lines() -> String {
    values().fold(String::new(), |mut lines, (sent, _)| {
        let _ = writeln!(lines, r#"{{"data":{sent}}}"#);
        lines
    })
}

fn publish_lines(gateway: &Gateway, channel: &str) {
    let path = format!("/v1/channels/{channel}/events");
    let headers = [("content-type", "application/x-ndjson")];
    let answer = http::send(
        gateway.producers,
        "POST",
        &path,
        &headers,
        lines().as_bytes(),
    );
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["accepted"], values().count(), "{answer:?}");
}

#[test]
fn in_every_envelope() {
    let channels = [
        ("cue", ""),
        ("compressed", "compress = \"deflate\""),
        ("array", "envelope = \"array\""),
        ("raw", "envelope = \"raw\"\nttl_ms = 60000"),
    ];
    // An empty text is no payload, so `raw` refuses the empty string.
    let raw: Vec<_> = values().filter(|(sent, _)| sent != r#""""#).collect();
    let gateway = Gateway::start(&local("", &channels));
    publish_lines(&gateway, "cue");
    publish_lines(&gateway, "compressed");
    publish_lines(&gateway, "array");
    for (sent, _) in &raw {
        gateway.publish("raw", &format!(r#"{{"data":{sent}}}"#));
    }
    let refused = gateway.post("/v1/channels/raw/events", r#"{"data":""}"#);
    http::check_problem(&refused, 422, "invalid_event");
    for (channel, _) in channels {
        gateway.drained(channel);
    }

    let out: Vec<String> = values().map(|(_, out)| out).collect();
    let expected: Vec<_> = out.iter().map(|out| format!(r#"{{"d":{out}}}"#)).collect();
    assert_eq!(all_items(&gateway.taken("cue")), expected.join(","));

    let plain = |payload: String| engine::decode(&payload).unwrap_or(payload);
    let payloads = gateway.taken("compressed");
    assert!(payloads.iter().any(|payload| payload.starts_with("~0")));
    let payloads: Vec<String> = payloads.into_iter().map(plain).collect();
    assert_eq!(all_items(&payloads), expected.join(","));

    let payloads = gateway.taken("array");
    let inside = payloads.iter().map(|payload| {
        payload
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .expect("an array")
    });
    assert_eq!(inside.collect::<Vec<_>>().join(","), out.join(","));

    // A string leaves as its characters, anything else as its JSON text.
    let expected = raw
        .iter()
        .map(|(_, out)| serde_json::from_str::<String>(out).unwrap_or_else(|_| out.clone()));
    assert_eq!(gateway.taken("raw"), expected.collect::<Vec<_>>());
}

#[test]
fn over_every_door() {
    let gateway = Gateway::start(&local(
        "",
        &[("http", ""), ("ws", ""), ("any", ""), ("events", "")],
    ));
    let expected: Vec<_> = values()
        .map(|(_, out)| format!(r#"{{"d":{out}}}"#))
        .collect();
    let mut of_channel = Client::open(gateway.producers, "/v1/channels/ws/ws");
    let mut of_any = Client::open(gateway.producers, "/v1/ws");
    for (sent, _) in values() {
        gateway.publish("http", &format!(r#"[{{"data":{sent}}}]"#));
        of_channel.send(&format!(r#"{{"data":{sent}}}"#));
        of_any.send(&format!(r#"[{{"channel":"any","data":{sent}}}]"#));
        let answer = gateway.post(
            "/v1/events",
            &format!(r#"{{"data":{sent},"channel":"events"}}"#),
        );
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let count = values().count() as u64;
    assert!(
        of_channel
            .until_ack(count)
            .iter()
            .all(|answer| answer["code"].is_null())
    );
    assert!(
        of_any
            .until_ack(count)
            .iter()
            .all(|answer| answer["code"].is_null())
    );
    for channel in ["http", "ws", "any", "events"] {
        gateway.drained(channel);
        assert_eq!(
            all_items(&gateway.taken(channel)),
            expected.join(","),
            "{channel}"
        );
    }
}
