//! Requests that are hardly HTTP, or HTTP as no library would write it.

use std::fmt::Write as _;

use super::{Case, MAX_BODY};

const POST: &str = "POST /v1/channels/quiz/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";

fn case(name: &'static str, request: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case {
        name,
        request: request.into(),
        status,
        code,
    }
}

/// A chunked body with chunks of this size.
fn chunked(body: &str, size: usize) -> String {
    let mut text = format!("{POST}transfer-encoding: chunked\r\n\r\n");
    for chunk in body.as_bytes().chunks(size) {
        let _ = write!(
            text,
            "{:x}\r\n{}\r\n",
            chunk.len(),
            String::from_utf8_lossy(chunk)
        );
    }
    text + "0\r\n\r\n"
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub fn cases() -> Vec<Case> {
    let event = r#"{"data":1}"#;
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(MAX_BODY));
    let with_length = |headers: &str| {
        format!(
            "{POST}{headers}content-length: {}\r\n\r\n{event}",
            event.len()
        )
    };
    let many: String = (0..150).fold(String::new(), |mut text, nth| {
        let _ = write!(text, "x-{nth}: y\r\n");
        text
    });
    let long_header = format!("x-long: {}\r\n", "y".repeat(100_000));
    let http10 = |connection: &str| {
        with_length("")
            .replace("HTTP/1.1", "HTTP/1.0")
            .replace("connection: close", connection)
    };
    vec![
        case("chunked", chunked(event, 3), 202, ""),
        case("chunked, a byte at a time", chunked(event, 1), 202, ""),
        case(
            "chunked and malformed",
            chunked("nonsense", 3),
            400,
            "malformed",
        ),
        case(
            "chunked and too large",
            chunked(&large, 1000),
            413,
            "body_too_large",
        ),
        case(
            "a chunk of no size",
            format!("{POST}transfer-encoding: chunked\r\n\r\nxyz\r\n"),
            400,
            "malformed",
        ),
        case("HTTP/1.0", http10("connection: close"), 202, ""),
        case(
            "HTTP/1.0 kept alive",
            http10("connection: keep-alive"),
            202,
            "",
        ),
        case(
            "an absolute target",
            with_length("").replace("POST /v1", "POST http://x/v1"),
            202,
            "",
        ),
        case(
            "Expect: 100-continue",
            with_length("expect: 100-continue\r\n"),
            202,
            "",
        ),
        case(
            "identity",
            with_length("content-encoding: identity\r\n"),
            202,
            "",
        ),
        case(
            "a body announced too large, and not sent",
            format!("{POST}expect: 100-continue\r\ncontent-length: 9999999\r\n\r\n"),
            413,
            "body_too_large",
        ),
        case("two lengths", with_length("content-length: 3\r\n"), 400, ""),
        case(
            "a negative length",
            format!("{POST}content-length: -1\r\n\r\n"),
            400,
            "",
        ),
        case(
            "a length that is no number",
            format!("{POST}content-length: ten\r\n\r\n"),
            400,
            "",
        ),
        case(
            "a length beyond all numbers",
            format!("{POST}content-length: 99999999999999999999\r\n\r\n"),
            400,
            "",
        ),
        case(
            "an unknown transfer encoding",
            format!("{POST}transfer-encoding: rot13\r\n\r\n{event}"),
            400,
            "",
        ),
        case(
            "gzip under chunked",
            chunked(event, 3).replace("encoding: chunked", "encoding: gzip, chunked"),
            400,
            "malformed",
        ),
        case(
            "gzip under chunked, a line each",
            chunked(event, 3).replace("transfer", "transfer-encoding: gzip\r\ntransfer"),
            400,
            "malformed",
        ),
        case(
            "chunked twice",
            chunked(event, 3).replace("encoding: chunked", "encoding: chunked, chunked"),
            400,
            "malformed",
        ),
        case(
            "Chunked in capitals",
            chunked(event, 3).replace("encoding: chunked", "encoding: CHUNKED"),
            202,
            "",
        ),
        case("two hosts", with_length("host: x\r\n"), 400, "malformed"),
        case(
            "two other hosts",
            with_length("host: y\r\n"),
            400,
            "malformed",
        ),
        case(
            "no host",
            with_length("").replace("host: x\r\n", ""),
            400,
            "malformed",
        ),
        case(
            "no host, and an absolute target",
            with_length("")
                .replace("host: x\r\n", "")
                .replace("POST /v1", "POST http://x/v1"),
            400,
            "malformed",
        ),
        case(
            "no host in HTTP/1.0",
            http10("connection: close").replace("host: x\r\n", ""),
            202,
            "",
        ),
        case(
            "two hosts in HTTP/1.0",
            http10("connection: close").replace("host: x\r\n", "host: x\r\nhost: x\r\n"),
            400,
            "malformed",
        ),
        case("150 headers", with_length(&many), 431, ""),
        case("a header of 100 kB", with_length(&long_header), 431, ""),
        case("a header without a name", with_length(": x\r\n"), 400, ""),
        case("a NUL in a header", with_length("x: a\0b\r\n"), 400, ""),
        case(
            "a blank before the colon",
            with_length("x : y\r\n"),
            400,
            "",
        ),
        case("no version", "POST /v1/events\r\n\r\n".to_owned(), 400, ""),
        case(
            "another protocol",
            "HELO example.org\r\n\r\n".to_owned(),
            400,
            "",
        ),
        case(
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            400,
            "",
        ),
        case(
            "a NUL in the target",
            "GET /v1/\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            400,
            "",
        ),
        case(
            "a blank in the target",
            "GET /v1/a b HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            400,
            "",
        ),
        case(
            "a target of 70 kB",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000)),
            431,
            "",
        ),
        case(
            "a HEAD of a channel",
            "HEAD /v1/channels/quiz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(),
            200,
            "",
        ),
    ]
}
