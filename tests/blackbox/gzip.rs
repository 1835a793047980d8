//! Bodies that are compressed, and those that only say so.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::http::{Response, check_problem, exchange, send};
use crate::support::process::{Gateway, arn, local};

const PATH: &str = "/v1/channels/quiz/events";
/// Small, so that too much is little.
const MAX_BODY: usize = 20_000;

fn start() -> Gateway {
    let rest = format!("[server]\nmax_body_bytes = {MAX_BODY}");
    let channel = "ttl_ms = 600000\nqueue_max_bytes = 10000000\nenvelope = \"array\"";
    Gateway::start(&local(&rest, &[("quiz", channel)]))
}

fn pack(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_ref()).expect("to memory");
    encoder.finish().expect("to memory")
}

fn post(gateway: &Gateway, path: &str, media: &str, coding: &str, body: &[u8]) -> Response {
    let headers = [("content-type", media), ("content-encoding", coding)];
    send(gateway.producers, "POST", path, &headers, body)
}

#[test]
fn every_form_of_a_body_may_be_compressed() {
    let gateway = start();
    let cloud = |id: &str, more: &str| {
        format!(
            r#"{{"specversion":"1.0","type":"t","source":"/s","id":"{id}","data":"{id}"{more}}}"#
        )
    };
    let batch = format!("[{},{}]", cloud("c", ""), cloud("d", ""));
    let anywhere = cloud("e", r#","cuechannel":"quiz""#);
    let cases = [
        (PATH, "application/json", r#"{"data":"a"}"#.to_owned(), 1),
        (
            PATH,
            "application/x-ndjson",
            "{\"data\":\"b\"}\n{\"data\":\"b2\"}\n".into(),
            2,
        ),
        (PATH, "application/cloudevents-batch+json", batch, 2),
        ("/v1/events", "application/cloudevents+json", anywhere, 1),
        (
            "/v1/events",
            "application/json",
            r#"[{"data":"f","channel":"quiz"}]"#.into(),
            1,
        ),
    ];
    for (path, media, body, count) in &cases {
        let answer = post(&gateway, path, media, "gzip", &pack(body));
        assert_eq!(answer.status, 202, "{media}: {answer:?}");
        assert_eq!(answer.json()["accepted"], *count, "{media}: {answer:?}");
    }
    // A CloudEvent in its binary mode, and a file put together of two.
    let headers = [
        ("content-type", "text/plain"),
        ("content-encoding", "x-gzip"),
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-source", "/s"),
        ("ce-id", "g"),
    ];
    let answer = send(gateway.producers, "POST", PATH, &headers, &pack("g"));
    assert_eq!(answer.status, 202, "{answer:?}");
    let two = [pack(r#"{"data":"#), pack(r#""h"}"#)].concat();
    assert_eq!(
        post(&gateway, PATH, "application/json", "GZIP", &two).status,
        202
    );

    // What is as large as a body may be, unpacked, and what no compression makes smaller.
    let blank = " ".repeat(MAX_BODY - 12) + r#"{"data":"i"}"#;
    assert_eq!(
        post(&gateway, PATH, "application/json", "gzip", &pack(&blank)).status,
        202
    );
    let noise: String = (0..MAX_BODY - 12)
        .map(|_| char::from(fastrand::u8(0x23..0x5b)))
        .collect();
    let stored = GzEncoder::new(Vec::new(), Compression::none());
    let stored = {
        let mut encoder = stored;
        let body = format!("{noise}{{\"data\":1}}");
        encoder.write_all(body.as_bytes()).expect("to memory");
        encoder.finish().expect("to memory")
    };
    let answer = post(&gateway, PATH, "application/json", "gzip", &stored);
    check_problem(&answer, 400, "malformed");
    assert!(
        !answer.text().contains("gzip"),
        "it was unpacked: {answer:?}"
    );

    gateway.drained("quiz");
    let taken = gateway.taken("quiz").concat();
    for data in ["a", "b", "b2", "c", "d", "e", "f", "g", "h", "i"] {
        assert!(taken.contains(&format!("\"{data}\"")), "{data}: {taken}");
    }
    gateway.scrape().check_books(true);
}

#[test]
fn bombs_and_rubbish_are_refused() {
    let gateway = start();
    let json = "application/json";
    // A thousand times the bound, in a body of its size.
    let bomb = pack(vec![b' '; 20 << 20]);
    assert!(bomb.len() < 2 * MAX_BODY, "{}", bomb.len());
    let one_too_many = pack(" ".repeat(MAX_BODY - 9) + r#"{"data":1}"#);
    for body in [&bomb, &one_too_many] {
        let answer = post(&gateway, PATH, json, "gzip", body);
        check_problem(&answer, 413, "body_too_large");
    }
    let fine = pack(r#"{"data":1}"#);
    let mut wrong_sum = fine.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    let rest = [&fine[..], b"rest"].concat();
    for (name, body) in [
        ("nothing", &b""[..]),
        ("plain", br#"{"data":1}"#),
        ("half", &fine[..fine.len() / 2]),
        ("no checksum", &fine[..fine.len() - 8]),
        ("a wrong checksum", &wrong_sum),
        ("something behind it", &rest),
        ("endless members", &pack("").repeat(200)),
    ] {
        let answer = post(&gateway, PATH, json, "gzip", body);
        check_problem(&answer, 400, "malformed");
        assert!(answer.text().contains("gzip"), "{name}: {answer:?}");
    }
    // Never unpacked twice, and told what is taken: of codings, not of media types (RFC 9110, 12.5.3).
    for coding in ["br", "identity, br", "gzip, gzip", "deflate", "zstd"] {
        let answer = post(&gateway, PATH, json, coding, &fine);
        check_problem(&answer, 415, "unsupported_media_type");
        assert_eq!(
            answer.header("accept-encoding"),
            "gzip, identity",
            "{coding}"
        );
    }
    let answer = post(&gateway, PATH, "text/plain", "gzip", &fine);
    check_problem(&answer, 415, "unsupported_media_type");
    assert_eq!(answer.header("accept-encoding"), "");

    // A signature is of the bytes that are sent.
    let input = format!(r#"{{"channelArn":"{}","metadata":"a"}}"#, arn("quiz"));
    let answer = post(&gateway, "/PutMetadata", json, "gzip", &pack(&input));
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.header("x-amzn-errortype"), "ValidationException");
    assert!(answer.text().contains("Content-Encoding"), "{answer:?}");
    assert_eq!(gateway.status("quiz")["totals"]["accepted"], 0);
    gateway.scrape().check_books(true);
}

/// Nothing of a request is read by two rules: a front that reads it otherwise would take the rest of
/// one for another.
#[test]
fn heads_that_can_be_read_in_two_ways_are_refused_at_every_address() {
    let gateway = start();
    for address in [gateway.producers, gateway.metrics, gateway.admin] {
        for (name, head) in [
            ("no host", "GET /healthz HTTP/1.1\r\n"),
            (
                "two hosts",
                "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n",
            ),
            (
                "a transfer coding",
                "POST /admin/reload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n",
            ),
        ] {
            let answer = exchange(address, format!("{head}\r\n").as_bytes(), false);
            let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
            check_problem(&answer, 400, "malformed");
            assert_eq!(answer.header("connection"), "close", "{name}");
            assert_ne!(answer.header("x-request-id"), "", "{name}");
        }
    }
    gateway.publish("quiz", r#"{"data":1}"#);
}
