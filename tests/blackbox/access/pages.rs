//! A browser's pages at the producers' door.

use super::*;
use crate::support::ws::Client;

fn from(address: SocketAddr, method: &str, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    http::send(
        address,
        method,
        "/v1/channels/quiz/events",
        &all,
        br#"{"data":1}"#,
    )
}

#[test]
fn without_keys_pages_of_others_are_turned_away() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let own = format!("http://{}", gateway.producers);
    for (headers, expected) in [
        (&[][..], "202"),
        (&[("sec-fetch-site", "none")], "202"),
        (&[("origin", "http://localhost")], "202"),
        (&[("origin", "http://evil.example")], "403 forbidden"),
        (&[("origin", "null")], "403 forbidden"),
        (&[("sec-fetch-site", "cross-site")], "403 forbidden"),
        (&[("sec-fetch-site", "same-site")], "403 forbidden"),
        // Another port of this machine.
        (&[("origin", "http://localhost:3000")], "403 forbidden"),
    ] {
        let answer = from(gateway.producers, "POST", headers);
        assert_eq!(outcome(&answer), expected, "{headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    // A name that somebody points at this machine: its page is of the same origin.
    let rebound = "POST /v1/channels/quiz/events HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\
        content-type: application/json\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{\"data\":1}";
    let answer = http::exchange(gateway.producers, rebound.as_bytes(), false).expect("an answer");
    assert_eq!(outcome(&answer), "403 forbidden");
    // Of a page's reading from its own origin a browser says no more than the host.
    for (host, expected) in [
        ("evil.example", "403 forbidden"),
        ("evil.example:8080", "403 forbidden"),
        ("localhost.evil.example", "403 forbidden"),
        ("127.0.0.1", "200"),
        ("[::1]:8080", "200"),
        ("cuegate", "200"),
    ] {
        let request =
            format!("GET /v1/channels HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = http::exchange(gateway.producers, request.as_bytes(), false);
        assert_eq!(outcome(&answer.expect("an answer")), expected, "{host}");
    }
    // WebSockets, which browsers let any page open.
    let open = |origin: &str| {
        Client::try_open_from(gateway.producers, "/v1/channels/quiz/ws", origin).map(drop)
    };
    assert_eq!(open(&own), Ok(()));
    assert_eq!(open("http://evil.example"), Err(403));
    gateway.scrape().check_books(true);
}

#[test]
fn allowed_origins_get_cors() {
    let studio = "https://studio.example";
    let lines = key_lines("alice", "\"*\"", "\"publish\"", "");
    let rest = format!("[server]\nallowed_origins = [\"{studio}\"]\n{lines}");
    let gateway = Gateway::start(&local(&rest, &[("quiz", "")]));
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        from(gateway.producers, "OPTIONS", &headers)
    };
    let answer = preflight(studio);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), studio);
    assert_eq!(
        answer.header("access-control-allow-methods"),
        "GET,POST,DELETE"
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "authorization,content-type"
    );
    // What the product reads, a page may send: any extension of CloudEvents too.
    let names = "traceparent,tracestate,x-request-id,idempotency-key,ce-id,ce-cuechannel,ce-x";
    let headers = [
        ("origin", studio),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", names),
    ];
    let answer = from(gateway.producers, "OPTIONS", &headers);
    assert_eq!(answer.header("access-control-allow-headers"), names);
    assert_eq!(
        preflight("https://evil.example").header("access-control-allow-origin"),
        ""
    );

    let alice = bearer("alice");
    let good = [
        ("origin", studio),
        ("sec-fetch-site", "cross-site"),
        ("authorization", &alice),
    ];
    let answer = from(gateway.producers, "POST", &good);
    assert_eq!(outcome(&answer), "202");
    assert_eq!(answer.header("access-control-allow-origin"), studio);
    let strange = [
        ("origin", "https://evil.example"),
        ("authorization", &alice),
    ];
    let answer = from(gateway.producers, "POST", &strange);
    assert_eq!(outcome(&answer), "403 forbidden");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    // A page may be allowed and its reader not known.
    assert_eq!(
        outcome(&from(gateway.producers, "POST", &good[..2])),
        "401 unauthenticated"
    );
    // The console's own listener knows nothing of it.
    let answer = http::send(gateway.admin, "GET", "/admin/overview", &good, b"");
    assert_eq!(outcome(&answer), "403 forbidden");
}
