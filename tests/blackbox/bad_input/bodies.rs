//! Bodies that are no events.

use super::table::{EVENT, EVENTS, FINE, JSON, MALFORMED, NDJSON, case};
use super::{Case, MAX_BODY};

/// Bodies of JSON that are no events.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn cases() -> Vec<Case> {
    let deep = |n: usize| format!(r#"{{"data":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
    let objects = format!(r#"{{"data":{}1{}}}"#, r#"{"a":"#.repeat(65), "}".repeat(65));
    let utf16: Vec<u8> = EVENT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rows: Vec<(&'static str, Vec<u8>, (u16, &'static str))> = vec![
        ("nothing", vec![], MALFORMED),
        ("blanks", b" \n".to_vec(), MALFORMED),
        ("null", b"null".to_vec(), MALFORMED),
        ("a number", b"5".to_vec(), MALFORMED),
        ("a string", br#""{\"data\":1}""#.to_vec(), MALFORMED),
        ("an empty array", b"[]".to_vec(), MALFORMED),
        ("an empty object", b"{}".to_vec(), MALFORMED),
        (
            "an array in an array",
            br#"[[{"data":1}]]"#.to_vec(),
            MALFORMED,
        ),
        ("a comma too many", br#"{"data":1,}"#.to_vec(), MALFORMED),
        (
            "a comma too many in an array",
            br#"[{"data":1},]"#.to_vec(),
            MALFORMED,
        ),
        ("not ended", br#"{"data":1"#.to_vec(), MALFORMED),
        (
            "two documents",
            br#"{"data":1}{"data":2}"#.to_vec(),
            MALFORMED,
        ),
        (
            "lines under application/json",
            b"{\"data\":1}\n{\"data\":2}\n".to_vec(),
            MALFORMED,
        ),
        ("single quotes", b"{'data':1}".to_vec(), MALFORMED),
        ("a comment", br#"{"data":1/**/}"#.to_vec(), MALFORMED),
        ("not a number", br#"{"data":NaN}"#.to_vec(), MALFORMED),
        ("leading zeros", br#"{"data":01}"#.to_vec(), MALFORMED),
        ("hexadecimal", br#"{"data":0x1}"#.to_vec(), MALFORMED),
        ("a bare minus", br#"{"data":-}"#.to_vec(), MALFORMED),
        (
            "a raw line in a string",
            b"{\"data\":\"a\nb\"}".to_vec(),
            MALFORMED,
        ),
        (
            "a NUL in a string",
            b"{\"data\":\"a\0b\"}".to_vec(),
            MALFORMED,
        ),
        (
            "a NUL after the event",
            b"{\"data\":1}\0".to_vec(),
            MALFORMED,
        ),
        ("a bad escape", br#"{"data":"\x41"}"#.to_vec(), MALFORMED),
        ("half an escape", br#"{"data":"\u12"}"#.to_vec(), MALFORMED),
        (
            "a lone high surrogate",
            br#"{"data":"\ud83d"}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a lone low surrogate",
            br#"{"data":"\ude00"}"#.to_vec(),
            MALFORMED,
        ),
        (
            "surrogates the wrong way round",
            br#"{"data":"\ude00\ud83d"}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a lone surrogate as a key of data",
            br#"{"data":{"\ud83d":1}}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a lone surrogate in id",
            br#"{"data":1,"id":"\ud83d"}"#.to_vec(),
            MALFORMED,
        ),
        ("depth 64", deep(64).into_bytes(), FINE),
        ("depth 65", deep(65).into_bytes(), MALFORMED),
        ("depth 65 of objects", objects.into_bytes(), MALFORMED),
        ("depth 5000", deep(5000).into_bytes(), MALFORMED),
        (
            "an unknown field",
            br#"{"data":1,"Data":2}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a repeated field",
            br#"{"data":1,"data":2}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a repeated field by an escape",
            br#"{"data":1,"d\u0061ta":2}"#.to_vec(),
            MALFORMED,
        ),
        (
            "a channel where the path has one",
            br#"{"data":1,"channel":"quiz"}"#.to_vec(),
            MALFORMED,
        ),
        ("Latin-1", b"{\"data\":\"caf\xe9\"}".to_vec(), MALFORMED),
        (
            "overlong UTF-8",
            b"{\"data\":\"\xc0\xaf\"}".to_vec(),
            MALFORMED,
        ),
        (
            "a surrogate in UTF-8",
            b"{\"data\":\"\xed\xa0\x80\"}".to_vec(),
            MALFORMED,
        ),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"data\":1}".to_vec(),
            MALFORMED,
        ),
        ("UTF-16", utf16, MALFORMED),
        ("gzip's magic", b"\x1f\x8b\x08\x00".to_vec(), MALFORMED),
        (
            "too large for a payload",
            format!(r#"{{"data":"{}"}}"#, "x".repeat(1100)).into_bytes(),
            (413, "event_too_large"),
        ),
        (
            "too large a body",
            format!(r#"{{"data":"{}"}}"#, "x".repeat(MAX_BODY)).into_bytes(),
            (413, "body_too_large"),
        ),
        (
            "far too large a body",
            vec![b'x'; 3 << 20],
            (413, "body_too_large"),
        ),
    ];
    let rows = rows
        .into_iter()
        .map(|(name, body, expected)| case(name, "POST", EVENTS, JSON, body, expected));
    let mut cases: Vec<_> = rows.collect();
    cases.push(case(
        "lines of nothing",
        "POST",
        EVENTS,
        NDJSON,
        "\n\r\n \n",
        MALFORMED,
    ));
    cases.push(case(
        "one bad line",
        "POST",
        EVENTS,
        NDJSON,
        "nonsense\n",
        MALFORMED,
    ));
    cases.push(case(
        "an event over two lines",
        "POST",
        EVENTS,
        NDJSON,
        "{\"data\":\n1}",
        MALFORMED,
    ));
    cases
}
