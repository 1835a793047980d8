//! Paths, methods, parameters and content types.

use super::Case;
use super::table::{EVENT, EVENTS, JSON, MALFORMED, case};

const UNSUPPORTED: (u16, &str) = (415, "unsupported_media_type");

pub fn cases() -> Vec<Case> {
    media().into_iter().chain(paths()).collect()
}

/// Content types and encodings.
fn media() -> Vec<Case> {
    let rows: [(&'static str, &[(&str, &str)]); 9] = [
        ("no content type", &[]),
        ("an empty content type", &[("content-type", "")]),
        ("text", &[("content-type", "text/plain")]),
        (
            "a form",
            &[("content-type", "application/x-www-form-urlencoded")],
        ),
        (
            "two content types",
            &[
                ("content-type", "application/json"),
                ("content-type", "application/json"),
            ],
        ),
        (
            "deflate",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "deflate"),
            ],
        ),
        (
            "gzip twice",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "gzip, gzip"),
            ],
        ),
        (
            "two encodings",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "identity, br"),
            ],
        ),
        (
            "CloudEvents in Avro",
            &[("content-type", "application/cloudevents+avro")],
        ),
    ];
    rows.into_iter()
        .map(|(name, headers)| case(name, "POST", EVENTS, headers, EVENT, UNSUPPORTED))
        .collect()
}

/// Paths, methods and parameters.
#[expect(clippy::too_many_lines, reason = "a table")]
fn paths() -> Vec<Case> {
    let (unknown, missing, method) = (
        (404, "unknown_channel"),
        (404, "not_found"),
        (405, "method_not_allowed"),
    );
    let long = format!("/v1/channels/{}/events", "x".repeat(3000));
    let mut cases = Vec::new();
    for (name, path, expected) in [
        ("an unknown channel", "/v1/channels/nowhere/events", unknown),
        (
            "an ARN nobody listed",
            "/v1/channels/arn:aws:ivs:us-west-2:000000000000:channel%2Fx/events",
            unknown,
        ),
        (
            "an ARN of something else",
            "/v1/channels/arn:aws:s3:::bucket/events",
            unknown,
        ),
        (
            "a name that is no UTF-8",
            "/v1/channels/%ff%fe/events",
            unknown,
        ),
        ("a NUL in a name", "/v1/channels/qu%00iz/events", unknown),
        ("bad percents", "/v1/channels/%zz/events", unknown),
        (
            "an encoded traversal",
            "/v1/channels/..%2f..%2fetc%2fpasswd/events",
            unknown,
        ),
        ("a traversal", "/v1/channels/../../etc/passwd", missing),
        ("an endless name", &long, unknown),
        ("no name", "/v1/channels//events", unknown),
        ("upper case", "/V1/channels/quiz/events", missing),
        ("a slash too many", "/v1/channels/quiz/events/", missing),
        ("nothing there", "/v1/nothing", missing),
        ("the root", "/", missing),
        (
            "an unknown parameter",
            "/v1/channels/quiz/events?atmoic=true",
            MALFORMED,
        ),
        (
            "a bad parameter",
            "/v1/channels/quiz/events?atomic=yes",
            MALFORMED,
        ),
        (
            "a parameter twice",
            "/v1/channels/quiz/events?atomic=true&atomic=true",
            MALFORMED,
        ),
        (
            "wait for what",
            "/v1/channels/quiz/events?wait=forever",
            MALFORMED,
        ),
        (
            "too long a wait",
            "/v1/channels/quiz/events?wait=delivered&timeout_ms=30001",
            MALFORMED,
        ),
        (
            "a negative wait",
            "/v1/channels/quiz/events?wait=delivered&timeout_ms=-1",
            MALFORMED,
        ),
    ] {
        cases.push(case(name, "POST", path, JSON, EVENT, expected));
    }
    for (name, verb, path, expected) in [
        ("GET of events of any channel", "GET", "/v1/events", method),
        ("PUT of events", "PUT", EVENTS, method),
        ("PATCH of events", "PATCH", "/v1/events", method),
        ("OPTIONS", "OPTIONS", EVENTS, method),
        ("a method of its own", "FROBNICATE", EVENTS, method),
        ("POST of a list", "POST", "/v1/channels", method),
        ("POST of a channel", "POST", "/v1/channels/quiz", method),
        ("GET of pause", "GET", "/v1/channels/quiz/pause", method),
        (
            "POST of payloads",
            "POST",
            "/v1/channels/quiz/payloads",
            method,
        ),
        (
            "POST of an event",
            "POST",
            "/v1/channels/quiz/events/1",
            method,
        ),
        ("GET of PutMetadata", "GET", "/PutMetadata", method),
        (
            "another operation",
            "POST",
            "/CreateChannel",
            (404, "UnknownOperationException"),
        ),
        (
            "a huge id",
            "DELETE",
            "/v1/channels/quiz/events/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            (404, "unknown_event"),
        ),
        ("no handshake", "GET", "/v1/ws", MALFORMED),
        ("a bad limit", "GET", "/v1/channels?limit=-1", MALFORMED),
    ] {
        cases.push(case(name, verb, path, JSON, "", expected));
    }
    cases
}
