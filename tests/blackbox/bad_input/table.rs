//! Rows of the table: how one is written, and events with values that are not allowed.

use super::Case;
use crate::support::http::encode;

pub const EVENTS: &str = "/v1/channels/quiz/events";
pub const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
pub const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];
const CE: &[(&str, &str)] = &[("content-type", "application/cloudevents+json")];
const BATCH: &[(&str, &str)] = &[("content-type", "application/cloudevents-batch+json")];
pub const EVENT: &str = r#"{"data":1}"#;

pub const MALFORMED: (u16, &str) = (400, "malformed");
const INVALID: (u16, &str) = (422, "invalid_event");
pub const FINE: (u16, &str) = (202, "");

pub fn case(
    name: &'static str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
    (status, code): (u16, &'static str),
) -> Case {
    Case {
        name,
        request: encode(method, path, headers, body.as_ref()),
        status,
        code,
    }
}

pub fn cases() -> Vec<Case> {
    values().into_iter().chain(clouds()).collect()
}

/// Fields of the right or the wrong type, with values that are not allowed.
fn values() -> Vec<Case> {
    let long = |n: usize| "x".repeat(n);
    let rows: Vec<(&'static str, String, (u16, &'static str))> = vec![
        ("type empty", r#""type":"""#.into(), INVALID),
        (
            "type too long",
            format!(r#""type":"{}""#, long(65)),
            INVALID,
        ),
        (
            "type too long in bytes",
            format!(r#""type":"{}""#, "é".repeat(33)),
            INVALID,
        ),
        ("type null", r#""type":null"#.into(), MALFORMED),
        ("id a number", r#""id":5"#.into(), MALFORMED),
        ("id empty", r#""id":"""#.into(), INVALID),
        ("id huge", format!(r#""id":"{}""#, long(15_000)), INVALID),
        ("key an object", r#""key":{}"#.into(), MALFORMED),
        ("key too long", format!(r#""key":"{}""#, long(129)), INVALID),
        ("merge without key", r#""merge":"sum""#.into(), INVALID),
        (
            "merge unknown",
            r#""key":"k","merge":"avg""#.into(),
            INVALID,
        ),
        (
            "merge a flag",
            r#""key":"k","merge":true"#.into(),
            MALFORMED,
        ),
        ("priority unknown", r#""priority":"urgent""#.into(), INVALID),
        ("priority a number", r#""priority":1"#.into(), MALFORMED),
        ("ttl zero", r#""ttl_ms":0"#.into(), INVALID),
        ("ttl negative", r#""ttl_ms":-5"#.into(), INVALID),
        ("ttl beyond a day", r#""ttl_ms":86400001"#.into(), INVALID),
        ("ttl a fraction", r#""ttl_ms":1.5"#.into(), INVALID),
        ("ttl infinite", r#""ttl_ms":1e999"#.into(), INVALID),
        ("ttl a string", r#""ttl_ms":"5000""#.into(), MALFORMED),
        ("at nonsense", r#""at":"tomorrow""#.into(), INVALID),
        (
            "at without a zone",
            r#""at":"2026-11-22T20:00:00""#.into(),
            INVALID,
        ),
        (
            "at too far",
            r#""at":"2999-01-01T00:00:00Z""#.into(),
            INVALID,
        ),
        ("at in seconds", r#""at":1795377660"#.into(), INVALID),
        ("at a fraction", r#""at":1.5"#.into(), INVALID),
        ("at a list", r#""at":[]"#.into(), MALFORMED),
    ];
    let rows = rows.into_iter().map(|(name, fields, expected)| {
        case(
            name,
            "POST",
            EVENTS,
            JSON,
            format!(r#"{{"data":1,{fields}}}"#),
            expected,
        )
    });
    let sums = [
        ("sum of a string", r#""1""#.to_owned()),
        ("sum of a list", "[1]".to_owned()),
        ("sum of nested objects", r#"{"a":{"b":1}}"#.to_owned()),
        ("sum of 31 digits", "1".repeat(31)),
        ("sum of an exponent of 31", "1e31".to_owned()),
    ];
    let sums = sums.into_iter().map(|(name, data)| {
        case(
            name,
            "POST",
            EVENTS,
            JSON,
            format!(r#"{{"data":{data},"key":"s","merge":"sum"}}"#),
            INVALID,
        )
    });
    rows.chain(sums).collect()
}

/// `CloudEvents` that are none.
#[expect(clippy::too_many_lines, reason = "a table")]
fn clouds() -> Vec<Case> {
    let event =
        |more: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{more}}}"#);
    let binary = |extra: &[(&'static str, &'static str)]| {
        [
            &[
                ("content-type", "application/json"),
                ("ce-specversion", "1.0"),
                ("ce-source", "s"),
                ("ce-type", "t"),
            ],
            extra,
        ]
        .concat()
    };
    vec![
        case("no data", "POST", EVENTS, CE, event(""), MALFORMED),
        case(
            "data_base64",
            "POST",
            EVENTS,
            CE,
            event(r#","data_base64":"AA==""#),
            INVALID,
        ),
        case(
            "no id",
            "POST",
            EVENTS,
            CE,
            r#"{"specversion":"1.0","source":"s","type":"t","data":1}"#,
            MALFORMED,
        ),
        case(
            "another version",
            "POST",
            EVENTS,
            CE,
            event(r#","data":1"#).replace("1.0", "0.3"),
            INVALID,
        ),
        case(
            "expired",
            "POST",
            EVENTS,
            CE,
            event(r#","data":1,"expirytime":"2001-01-01T00:00:00Z""#),
            INVALID,
        ),
        case(
            "a repeated attribute",
            "POST",
            EVENTS,
            CE,
            event(r#","data":1,"id":"2""#),
            MALFORMED,
        ),
        case(
            "an attribute of a wrong type",
            "POST",
            EVENTS,
            CE,
            event(r#","data":1,"cuekey":5"#),
            MALFORMED,
        ),
        case(
            "a batch where one belongs",
            "POST",
            EVENTS,
            CE,
            format!("[{}]", event(r#","data":1"#)),
            MALFORMED,
        ),
        case(
            "one where a batch belongs",
            "POST",
            EVENTS,
            BATCH,
            event(r#","data":1"#),
            MALFORMED,
        ),
        case("an empty batch", "POST", EVENTS, BATCH, "[]", MALFORMED),
        case(
            "binary without id",
            "POST",
            EVENTS,
            &binary(&[]),
            "1",
            MALFORMED,
        ),
        case(
            "binary with id twice",
            "POST",
            EVENTS,
            &binary(&[("ce-id", "1"), ("ce-id", "2")]),
            "1",
            MALFORMED,
        ),
        case(
            "binary with bad percents",
            "POST",
            EVENTS,
            &binary(&[("ce-id", "%ff")]),
            "1",
            MALFORMED,
        ),
        case(
            "binary without a body",
            "POST",
            EVENTS,
            &binary(&[("ce-id", "1")]),
            "",
            MALFORMED,
        ),
    ]
}
