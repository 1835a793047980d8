//! The inputs that were found to take the most memory for their size.

use super::super::*;
use super::inputs;

/// Each target with its inputs.
pub fn all() -> Vec<(Target, Vec<Vec<u8>>)> {
    let events = [
        repeat("[", "1,", "1]"),
        repeat("[", "{},", "1]"),
        repeat("[", "\"\",", "1]"),
        repeat("[", "{\"data\":1},", "1]"),
        repeat("{\"data\":[", " 1,", "1]}"),
        repeat("{\"data\":1,\"key\":\"", "\\n", "\"}"),
    ];
    vec![
        (EVENT_JSON, events.concat()),
        (
            NDJSON,
            [repeat("", "1\n", ""), repeat("", "{\"data\":1}\n", "")].concat(),
        ),
        (
            CLOUDEVENTS,
            [
                events.concat(),
                number("{", |n| format!("\"{n:x}\":1,"), "\"a\":1}"),
                number("", |n| format!("ce-{n:x}:1\n"), "\n1"),
            ]
            .concat(),
        ),
        (
            WEBSOCKET,
            [
                events.concat(),
                repeat("", "\x1e", ""),
                repeat("", "1\x1e", ""),
            ]
            .concat(),
        ),
        (
            AWS_DOOR,
            [
                repeat("{\"metadata\":\"\\n", "a", "\"}"),
                repeat("{\"a\":[", "1,", "1]}"),
                repeat("{\"a\":", "[", ""),
                repeat("\"", "\x7f", "\""),
            ]
            .concat(),
        ),
        (GZIP, packed()),
        (
            CONFIGURATION,
            [
                repeat("", "=\n", ""),
                repeat("", "a=1\n", ""),
                repeat("a=", "{a=", ""),
                repeat("a=[", "1,", "]"),
                repeat("", "a.", "a=1"),
                number("[server]\n", |n| format!("{n:x}=1\n"), ""),
                number("\0", |n| format!("CUEGATE__{n:x}=\n"), ""),
            ]
            .concat(),
        ),
        (JOURNAL_BLOCK, blocks()),
        (JOURNAL_LOG, vec![Vec::new()]),
        (
            DEAD_LETTER,
            [repeat(LETTER, "1,", "1]}}"), repeat(LETTER, "\\u0001", "")].concat(),
        ),
    ]
}

const LETTER: &str =
    r#"{"id":1,"channel":"a","reason":"b","at_ms":1,"event":{"priority":"low","data":["#;

/// Bombs, members without end, and a head that does not end.
fn packed() -> Vec<Vec<u8>> {
    let name = [
        b"\x1f\x8b\x08\x08\0\0\0\0\0\xff".to_vec(),
        vec![b'x'; 1 << 20],
    ];
    vec![
        inputs::pack(&[b' '; UNPACKED_MAX], 9),
        inputs::pack(&vec![b' '; 64 << 20], 9),
        inputs::pack(b"", 9).repeat(10_000),
        name.concat(),
    ]
}

/// Sizes that a growing list just fits, and just does not.
const SIZES: [usize; 7] = [100, 256, 1 << 10, 1028, 3 << 9, 16 << 10, 150_000];

fn repeat(start: &str, unit: &str, end: &str) -> Vec<Vec<u8>> {
    number(start, |_| unit.to_owned(), end)
}

fn number(start: &str, unit: impl Fn(usize) -> String, end: &str) -> Vec<Vec<u8>> {
    SIZES
        .iter()
        .map(|size| {
            let mut text = start.to_owned();
            let mut n = 0;
            while text.len() < *size {
                text += &unit(n);
                n += 1;
            }
            (text + end).into_bytes()
        })
        .collect()
}

/// Blocks of the shortest records of a kind, as postcard writes them: one after the other.
fn blocks() -> Vec<Vec<u8>> {
    let none = None::<&str>;
    let queued = |n: u64, id: Option<&str>| {
        let times = (0_i64, 0_i64, 0_u32, None::<i64>, id.map(|_| i64::MAX));
        let texts = ("1", none, id, none, none, "low", "low");
        bytes(&(0_u8, n, n, times, false, false, false, texts))
    };
    [
        block(|n| queued(n, None)),
        block(|n| queued(n, Some(&format!("{n:x}")))),
        block(|n| bytes(&(5_u8, format!("{n:x}"), i64::MAX, false))),
        // Payloads of events, and of events that nobody knows.
        block(|n| [queued(n, None), bytes(&(2_u8, n, "", vec![n]))].concat()),
        block(|n| bytes(&(2_u8, n, "", vec![n; 100]))),
    ]
    .concat()
}

fn block(record: impl Fn(u64) -> Vec<u8>) -> Vec<Vec<u8>> {
    let of_size = |size: &usize| {
        let mut block = vec![1];
        let mut n = 0;
        while block.len() < *size {
            block.extend(record(n));
            n += 1;
        }
        block
    };
    SIZES.iter().map(of_size).collect()
}

fn bytes(record: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(record).expect("a record")
}
