//! Every reader of bytes that others wrote, as a function of those bytes, with the memory that it
//! may take: no panic, and no more than a stated multiple of the input. `fuzz/` searches for inputs
//! that break this, the tests here go a bounded way.
//!
//! Compiled for these two only (cargo-fuzz sets `cfg(fuzzing)`): so readers that are private are
//! reached, and the library that is shipped gains neither a feature nor an item.

mod limits;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::HttpBody;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use engine::{ChannelPolicy, OnUnknown, Queue, Rebuild, Span, Wall};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::access::BodyBudget;
use crate::clock::Clock;
use crate::config;
use crate::dispatch::DeadLetters;
use crate::ingest::admission::Tally;
use crate::ingest::api::{publish, put_metadata, websocket};
use crate::ingest::limits::{HEADERS_MAX, WS_ACK_EVERY, WS_BATCH_BYTES};
use crate::ingest::parse::batch::{self, Batch};
use crate::ingest::parse::cloudevents::{self, BinaryBody};
use crate::ingest::parse::event::Addressing;
use crate::ingest::parse::gzip::Unpacker;
use crate::ingest::parse::share::Share;
use crate::ingest::parse::validate::ParseContext;
use crate::journal::DeadLetterStore;
use crate::journal::disk::wal_tail;
use crate::journal::record::{self, Beside, Entry, Reading};

pub use limits::*;

/// A reader, and the memory that it may take.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As its fuzzer is called.
    pub name: &'static str,
    /// Reads the input and makes the answer to it.
    pub read: fn(&[u8]),
    /// The bytes allocated at once are at most this many times those of the input …
    pub per_byte: usize,
    /// … and this many beside.
    pub fixed: usize,
}

impl Target {
    /// Most bytes allocated at once for an input of this length.
    #[must_use]
    pub const fn limit(&self, input: usize) -> usize {
        self.per_byte * input + self.fixed
    }
}

/// Both ways to say which channel an event is for.
const ADDRESSINGS: [Addressing; 2] = [Addressing::Path, Addressing::Event];

/// A moment in 2027: what is read must not depend on when.
const NOW_MS: i64 = 1_800_000_000_000;

fn with_reader<T>(read: impl FnOnce(&mut ParseContext<'_>) -> T) -> T {
    let time_of = |ms: i64| Wall::from_micros(ms.saturating_mul(1000));
    read(&mut ParseContext {
        now_ms: NOW_MS,
        at_max_ahead_ms: 86_400_000,
        time_of: &time_of,
        scratch: String::new(),
    })
}

/// The answer to a request whose every good event was accepted.
fn answer(input: usize, batch: Batch<'_>) {
    let total = batch.total();
    assert!(total > 0, "a body without an event is one refusal");
    assert_eq!(batch.positions().count(), batch.events.len());
    let tally = Tally {
        accepted: batch.events.len(),
        refused: batch.refused,
        ..Tally::default()
    };
    let response = if tally.is_refusal() {
        publish::refused(&tally, total)
    } else {
        publish::accepted(&tally)
    };
    let bytes = response.body().size_hint().exact().unwrap_or(u64::MAX);
    assert!(
        bytes <= (ANSWER_PER_BYTE * input + ANSWER_FIXED) as u64,
        "{bytes} bytes answer {input}"
    );
}

pub(super) fn json(body: &[u8]) {
    for addressing in ADDRESSINGS {
        answer(
            body.len(),
            with_reader(|reader| batch::json(body, addressing, reader)),
        );
    }
}

pub(super) fn ndjson(body: &[u8]) {
    for addressing in ADDRESSINGS {
        answer(
            body.len(),
            with_reader(|reader| batch::ndjson(body, addressing, reader)),
        );
    }
}

/// The input as one event, as an array, and as a request whose head, `name: value` a line, ends
/// with an empty line.
pub(super) fn cloudevents(input: &[u8]) {
    let (headers, body) = head_and_body(input);
    for addressing in ADDRESSINGS {
        for read in [batch::single, batch::array] {
            answer(
                input.len(),
                with_reader(|reader| read(input, cloudevents::read, addressing, reader)),
            );
        }
        for kind in [BinaryBody::Json, BinaryBody::Text] {
            let mut batch = Batch::default();
            batch.push(with_reader(|reader| {
                cloudevents::read_binary(&headers, body, kind, addressing, reader)
            }));
            answer(input.len(), batch);
        }
    }
}

/// Within the bounds that the server gives a head.
fn head_and_body(input: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = input;
    while headers.len() < HEADERS_MAX {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let Some(colon) = memchr::memchr(b':', line) else {
            break;
        };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// What ends a message in the input: a character that no JSON has.
const MESSAGE_END: u8 = 0x1e;

/// One batch of messages, as they are buffered, and the messages that answer it.
pub(super) fn websocket(input: &[u8]) {
    let mut texts: Vec<Utf8Bytes> = Vec::new();
    let mut bytes = 0;
    for message in input.split(|byte| *byte == MESSAGE_END) {
        // Others end the connection before they come here.
        if let Ok(text) = std::str::from_utf8(message) {
            bytes += text.len();
            texts.push(text.into());
        }
        if texts.len() >= WS_ACK_EVERY || bytes >= WS_BATCH_BYTES {
            break;
        }
    }
    let received = bytes + texts.len() * FRAME_MIN;
    for addressing in ADDRESSINGS {
        let (batch, ends) = with_reader(|reader| websocket::read(&texts, None, addressing, reader));
        let tally = Tally {
            refused: batch.refused,
            ..Tally::default()
        };
        // As after a long life, so that the numbers are long.
        let sent: usize = websocket::refusals(u64::from(u32::MAX), tally, ends)
            .map(|message| message.len())
            .sum();
        assert!(
            sent <= ANSWER_PER_BYTE * received,
            "{sent} bytes answer {received}"
        );
    }
}

pub(super) fn aws_door(body: &[u8]) {
    if let Err(refusal) = put_metadata::parse(&Bytes::copy_from_slice(body)) {
        let response = refusal.aws(HeaderValue::from_static("0"));
        let bytes = response.body().size_hint().exact().unwrap_or(u64::MAX);
        assert!(bytes <= AWS_ANSWER_MAX, "{bytes} bytes answer");
    }
}

/// A compressed body, as the server reads it, within the default bound.
pub(super) fn gzip(packed: &[u8]) {
    let all = BodyBudget::default();
    let unpacked = Unpacker::new(UNPACKED_MAX, Share::of(&all, None)).and_then(|mut unpacker| {
        for piece in packed.chunks(8 << 10) {
            unpacker.push(piece)?;
        }
        unpacker.finish()
    });
    if let Ok(unpacked) = unpacked {
        assert!(unpacked.len() <= UNPACKED_MAX);
    }
    assert_eq!(all.take(0), 0, "the budget is given back");
}

/// A file; after a zero byte the environment, `NAME=value` a line.
pub(super) fn configuration(input: &[u8]) {
    let zero = memchr::memchr(0, input).unwrap_or(input.len());
    let Ok(file) = std::str::from_utf8(&input[..zero]) else {
        return;
    };
    let variables = String::from_utf8_lossy(input.get(zero + 1..).unwrap_or_default());
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    if let Err(errors) = config::parse(Some(("cuegate.toml", file)), variables) {
        assert!(!errors.0.is_empty());
        let _ = errors.to_string();
    }
}

/// A block, the queue that it makes, and that queue written and read again.
pub(super) fn journal_block(block: &[u8]) {
    let clock = Clock::new();
    for on_unknown in [OnUnknown::Retry, OnUnknown::Drop] {
        let mut rebuild = Rebuild::default();
        // What was read before the damage stays.
        let mut reading = Reading::new(&clock);
        reading.learn(block);
        let _ = record::decode(block, &reading, |entry| {
            if let Entry::Change(change) = entry {
                let _ = rebuild.apply(change);
            }
        });
        let events = rebuild.len();
        assert_eq!(rebuild.events().len(), events);
        let policy = Arc::new(ChannelPolicy {
            on_unknown,
            ..ChannelPolicy::default()
        });
        let now = clock.now();
        let interval = Span::from_millis(200);
        let origin = clock.wall_origin();
        let mut queue = Queue::rebuild(policy, 1024, 1, interval, now, origin, rebuild);
        let _ = queue.demand(now);
        let _ = queue.take(now);
        if let Some(snapshot) = record::encode(&queue.snapshot(), &Beside::default(), &clock) {
            let again = record::decode(&snapshot, &reading, drop);
            assert!(again.is_ok(), "{again:?}");
        }
    }
}

/// The storage's log, whose end a crash may have torn.
pub(super) fn journal_log(log: &[u8]) {
    match wal_tail::scan(log).tail {
        wal_tail::Tail::Whole => {}
        wal_tail::Tail::Torn { at } | wal_tail::Tail::Damaged { at } => assert!(at < log.len()),
    }
}

/// A dead letter, which is written again as it was read.
pub(super) fn dead_letter(text: &[u8]) {
    let letters = DeadLetters::default();
    letters.restore(vec![(0, text.to_vec())]);
    for (id, text) in letters.all() {
        let again = DeadLetters::default();
        again.restore(vec![(id, text.clone())]);
        assert_eq!(again.all(), [(id, text)]);
    }
}
