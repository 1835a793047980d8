//! Every endpoint against every kind of caller, each cell with its status and code.

use std::collections::BTreeSet;

use super::*;
use crate::support::http::{connect, encode, read_head};
use std::io::{BufReader, Write as _};

/// Who calls: nobody, somebody with a key that is not known, with one of another channel, with one
/// of each scope, with a token that has expired, and with one of another algorithm.
const CALLERS: [&str; 9] = [
    "none",
    "wrong",
    "another",
    "publisher",
    "reader",
    "controller",
    "admin",
    "expired",
    "algorithm",
];

const U: &str = "401 unauthenticated";
const F: &str = "403 forbidden";
const UNSIGNED: &str = "403 MissingAuthenticationTokenException";
const NOT_SIGNED_SO: &str = "403 IncompleteSignatureException";

type Row = (&'static str, &'static str, &'static str, [&'static str; 9]);

/// Method, path as it is documented, body, and what each of [`CALLERS`] gets.
#[rustfmt::skip] // a table
const PRODUCERS: &[Row] = &[
    ("POST", "/v1/channels/{channel}/events", r#"{"data":1}"#, [U, U, F, "202", F, F, F, U, U]),
    ("POST", "/v1/events", r#"{"channel":"quiz","data":1}"#, [U, U, F, "202", F, F, F, U, U]),
    ("DELETE", "/v1/channels/{channel}/events?type=t", "", [U, U, F, F, F, "200", F, U, U]),
    ("GET", "/v1/channels/{channel}/events", "", [U, U, F, F, "200", F, F, U, U]),
    ("DELETE", "/v1/channels/{channel}/events/{id}", "", [U, U, F, F, F, "404 unknown_event", F, U, U]),
    ("GET", "/v1/channels/{channel}/events/{id}", "", [U, U, F, F, "404 unknown_event", F, F, U, U]),
    // It needs two scopes, which no caller here has.
    ("PUT", "/v1/channels/{channel}/events/{id}", r#"{"data":1}"#, [U, U, F, F, F, F, F, U, U]),
    ("POST", "/v1/channels/{channel}/pause", "", [U, U, F, F, F, "204", F, U, U]),
    ("POST", "/v1/channels/{channel}/resume", "", [U, U, F, F, F, "204", F, U, U]),
    ("GET", "/v1/channels/{channel}", "", [U, U, F, F, "200", F, F, U, U]),
    // Of the configuration file: whoever may is told so.
    ("PUT", "/v1/channels/{channel}", r#"{"arn":"arn:aws:ivs:us-west-2:000000000000:channel/a"}"#, [U, U, F, F, F, F, "409 channel_conflict", U, U]),
    ("DELETE", "/v1/channels/{channel}", "", [U, U, F, F, F, F, "409 channel_conflict", U, U]),
    ("GET", "/v1/channels", "", [U, U, "200", F, "200", F, F, U, U]),
    ("GET", "/v1/channels/{channel}/state", "", [U, U, F, F, "404 not_found", F, F, U, U]),
    ("DELETE", "/v1/channels/{channel}/state?all=true", "", [U, U, F, F, F, "404 not_found", F, U, U]),
    ("GET", "/v1/channels/{channel}/payloads", "", [U, U, F, F, "200", F, F, U, U]),
    ("GET", "/v1/channels/{channel}/ends", "", [U, U, F, F, "200", F, F, U, U]),
    ("GET", "/v1/channels/{channel}/ws", "", [U, U, F, "101", F, F, F, U, U]),
    ("GET", "/v1/ws", "", [U, U, "101", "101", F, F, F, U, U]),
    ("GET", "/openapi.json", "", ["200"; 9]),
    // Its own secret, which no key stands for.
    ("POST", "/v1/eventbridge", "[]", [U; 9]),
    // AWS's clients sign; keys and tokens are nothing to them.
    ("POST", "/PutMetadata", "{}", [UNSIGNED, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO, NOT_SIGNED_SO]),
];

#[rustfmt::skip] // a table
const OPERATORS: &[Row] = &[
    ("GET", "/admin/overview", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/refusals", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/config", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/playback/{channel}", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/playback/{channel}/{file}", "", [U, U, F, F, F, F, "200", U, U]),
    ("POST", "/admin/reload", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/dead-letters", "", [U, U, F, F, F, F, "200", U, U]),
    ("POST", "/admin/dead-letters", "", [U, U, F, F, F, F, "200", U, U]),
    ("DELETE", "/admin/dead-letters", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/channels", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/channels/{channel}", "", [U, U, F, F, F, F, "200", U, U]),
    ("PUT", "/admin/channels/{channel}", r#"{"arn":"arn:aws:ivs:us-west-2:000000000000:channel/a"}"#, [U, U, F, F, F, F, "409 channel_conflict", U, U]),
    ("DELETE", "/admin/channels/{channel}", "", [U, U, F, F, F, F, "409 channel_conflict", U, U]),
    ("POST", "/admin/channels/{channel}/events", r#"{"data":1}"#, [U, U, F, F, F, F, "202", U, U]),
    ("DELETE", "/admin/channels/{channel}/events?type=t", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/channels/{channel}/events", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/channels/{channel}/events/{id}", "", [U, U, F, F, F, F, "404 unknown_event", U, U]),
    ("DELETE", "/admin/channels/{channel}/events/{id}", "", [U, U, F, F, F, F, "404 unknown_event", U, U]),
    // Nothing is in it, so that no event of this id is remembered.
    ("PUT", "/admin/channels/{channel}/events/{id}", "{}", [U, U, F, F, F, F, "400 malformed", U, U]),
    // A console asks before it knows whether there is a state.
    ("GET", "/admin/channels/{channel}/state", "", [U, U, F, F, F, F, "200", U, U]),
    ("DELETE", "/admin/channels/{channel}/state?all=true", "", [U, U, F, F, F, F, "404 not_found", U, U]),
    ("POST", "/admin/channels/{channel}/pause", "", [U, U, F, F, F, F, "204", U, U]),
    ("POST", "/admin/channels/{channel}/resume", "", [U, U, F, F, F, F, "204", U, U]),
    ("GET", "/admin/channels/{channel}/payloads", "", [U, U, F, F, F, F, "200", U, U]),
    ("GET", "/admin/channels/{channel}/payloads/recent", "", [U, U, F, F, F, F, "200", U, U]),
    // What is not there is no business of strangers' either.
    ("GET", "/admin/nowhere", "", [U, U, F, F, F, F, "404 not_found", U, U]),
    // The page itself holds nothing.
    ("GET", "/", "", ["200"; 9]),
    ("GET", "/console.js", "", ["200"; 9]),
    ("GET", "/nowhere", "", ["404 not_found"; 9]),
];

/// Where the operators' routes are made.
const SOURCES: [&str; 2] = [
    include_str!("../../../src/admin/mod.rs"),
    include_str!("../../../src/ingest/api/console.rs"),
];

fn authorization(caller: &str) -> Option<String> {
    match caller {
        "none" => None,
        "expired" => Some(token(Algorithm::HS256, SECRET, -1)),
        "algorithm" => Some(token(Algorithm::HS384, SECRET, 60)),
        owner => Some(bearer(owner)),
    }
}

/// The head of the answer alone: some of them never end.
fn look(address: SocketAddr, row: &Row, authorization: Option<&str>) -> String {
    let (method, path, body, _) = row;
    // Of one that nobody sent, where operators ask.
    let id = if path.starts_with("/admin") { "b" } else { "a" };
    let path = path.replace("{channel}", "quiz").replace("{id}", id);
    let path = path.replace("{file}", "playback.m3u8");
    let mut headers = vec![("content-type", "application/json")];
    if path.ends_with("/ws") {
        headers.extend([
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
    }
    headers.extend(authorization.map(|value| ("authorization", value)));
    if !path.ends_with("/payloads") && !path.ends_with("/ends") {
        return outcome(&http::send(
            address,
            method,
            &path,
            &headers,
            body.as_bytes(),
        ));
    }
    let mut stream = connect(address).expect("a connection");
    let request = encode(method, &path, &headers, body.as_bytes());
    stream.write_all(&request).expect("to send");
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader).expect("an answer");
    if head.status == 200 {
        assert_eq!(head.header("content-type"), "text/event-stream");
        return "200".to_owned();
    }
    drop(reader);
    outcome(&http::send(
        address,
        method,
        &path,
        &headers,
        body.as_bytes(),
    ))
}

#[test]
fn every_endpoint_against_every_caller() {
    let all = "\"publish\", \"read\", \"control\"";
    let lines = [
        ("another", "\"other\"", all),
        ("publisher", "\"quiz\"", "\"publish\""),
        ("reader", "\"qu*\"", "\"read\""),
        ("controller", "\"*\"", "\"control\""),
        ("admin", "", "\"admin\""),
    ]
    .map(|(owner, channels, scopes)| key_lines(owner, channels, scopes, ""))
    .concat();
    let secret = "[eventbridge]\nsecret = \"a-secret-of-its-own\"\n";
    let (gateway, _files) = gateway(&(secret.to_owned() + &lines));
    for (address, rows) in [(gateway.producers, PRODUCERS), (gateway.admin, OPERATORS)] {
        for row in rows {
            for (caller, expected) in CALLERS.iter().zip(row.3) {
                let got = look(address, row, authorization(caller).as_deref());
                assert_eq!(got, expected, "{} {} by {caller}", row.0, row.1);
            }
            // Whoever has a good token for everything may do everything.
            let got = look(address, row, Some(&token(Algorithm::HS256, SECRET, 60)));
            let best = row.3.iter().find(|cell| {
                !cell.starts_with("40") || ["400", "404", "409"].iter().any(|it| cell.contains(it))
            });
            let best = if row.1 == "/v1/channels/{channel}/events/{id}" && row.0 == "PUT" {
                "202"
            } else {
                best.map_or(row.3[8], |best| *best)
            };
            assert_eq!(got, best, "{} {} with a token", row.0, row.1);
        }
    }
    let answer = ask(gateway.producers, "GET", "/v1/channels/quiz", None, "");
    http::check_problem(&answer, 401, "unauthenticated");
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"cuegate\""
    );
    let answer = ask(gateway.admin, "GET", "/admin/overview", None, "");
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"cuegate\""
    );
    gateway.scrape().check_books(true);
}

/// The path of a row, without its query.
fn path_of(row: &Row) -> &str {
    row.1.split('?').next().unwrap_or_default()
}

/// A new route needs a row.
#[test]
fn every_route_has_a_row() {
    let (gateway, _files) = gateway("");
    let document = ask(gateway.producers, "GET", "/openapi.json", None, "").json();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            documented.insert((method.to_ascii_uppercase(), path.clone()));
        }
    }
    let rows = |rows: &[Row]| -> BTreeSet<_> {
        rows.iter()
            .map(|row| (row.0.to_owned(), path_of(row).to_owned()))
            .collect()
    };
    assert_eq!(rows(PRODUCERS), documented);
    let paths: BTreeSet<&str> = OPERATORS.iter().map(path_of).collect();
    let mut found = 0;
    for source in SOURCES {
        for path in source.split('"').filter(|text| text.starts_with("/admin/")) {
            assert!(paths.contains(path), "{path} has no row");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

/// By an alias, by its ARN, by a pattern: the same channel. And of others nothing is told.
#[test]
fn channels_by_any_of_their_names() {
    let arn = "arn:aws:ivs:us-west-2:000000000000:channel/quiz";
    let read = "\"read\", \"publish\"";
    let lines = key_lines("by-alias", "\"quiz\"", read, "")
        + &key_lines("by-arn", &format!("\"{arn}\""), read, "")
        + &key_lines("by-arns", "\"arn:aws:ivs:*:channel/q*\"", read, "")
        + &key_lines("nothing", "", read, "");
    let unlisted = "[channels]\nallow_unlisted = true\n";
    let (gateway, _files) = gateway(&(unlisted.to_owned() + &lines));
    let other = arn.replace("quiz", "other");
    let nobodys = arn.replace("quiz", "nobodys");
    for (owner, name, expected) in [
        ("by-alias", "quiz", "200"),
        ("by-alias", arn, "200"),
        ("by-alias", "other", F),
        ("by-alias", "missing", F),
        ("by-arn", "quiz", "200"),
        ("by-arn", arn, "200"),
        ("by-arn", &other, F),
        ("by-arns", "quiz", "200"),
        ("by-arns", &other, F),
        ("by-arns", &nobodys, F),
        ("nothing", "quiz", F),
    ] {
        let path = format!("/v1/channels/{}", name.replace('/', "%2F"));
        let answer = ask(gateway.producers, "GET", &path, Some(&bearer(owner)), "");
        assert_eq!(outcome(&answer), expected, "{owner} {name}");
    }
    for (owner, expected) in [
        ("by-alias", &["quiz"][..]),
        ("by-arns", &["quiz"]),
        ("nothing", &[]),
    ] {
        let page = ask(
            gateway.producers,
            "GET",
            "/v1/channels",
            Some(&bearer(owner)),
            "",
        );
        assert_eq!(names(&page.json()), expected, "{owner}");
    }
    let studio = token(Algorithm::HS256, SECRET, 60);
    let page = ask(gateway.producers, "GET", "/v1/channels", Some(&studio), "").json();
    assert_eq!(names(&page), ["other", "quiz"], "nobody made another");
    // Of a batch, what may not go is refused, each event for itself.
    let body =
        r#"[{"channel":"quiz","data":1},{"channel":"other","data":2},{"channel":"quiz","data":3}]"#;
    let answer = ask(
        gateway.producers,
        "POST",
        "/v1/events",
        Some(&bearer("by-alias")),
        body,
    );
    let told = answer.json();
    assert_eq!(
        (answer.status, &told["accepted"]),
        (202, &json!(2)),
        "{told}"
    );
    assert_eq!(told["rejected"][0]["code"], "forbidden");
    assert_eq!(told["rejected"][0]["index"], 1);
    let atomic = ask(
        gateway.producers,
        "POST",
        "/v1/events?atomic=true",
        Some(&bearer("by-alias")),
        body,
    );
    assert_eq!(outcome(&atomic), F);
    assert_eq!(atomic.json()["index"], 1);
    gateway.scrape().check_books(true);
}
