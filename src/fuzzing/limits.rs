//! How much memory each reader may take, with the reason: THE list.
//!
//! Measured with an allocator that moves what grows, so that both sizes of a growing list count.

use super::{
    Target, aws_door, cloudevents, configuration, dead_letter, gzip, journal_block, journal_log,
    json, ndjson, websocket,
};

/// An answer's bytes are at most this many times those of what it answers: `1,` in an array is a
/// refusal of about 145 bytes, which says where and why …
pub const ANSWER_PER_BYTE: usize = 80;
/// … and this many beside: a problem document with one refusal.
pub const ANSWER_FIXED: usize = 2048;
/// A frame of a client: two bytes and a mask.
pub const FRAME_MIN: usize = 6;
/// The AWS door's refusal: one detail, each byte of it escaped at worst.
pub const AWS_ANSWER_MAX: u64 = 1600;

/// Events of the house's format, one or an array. Worst is `[1,1,…]`: for two bytes a place in the
/// list of elements, one in that of refusals, a detail of 80 bytes, and 145 of the answer.
pub const EVENT_JSON: Target = Target {
    name: "event_json",
    read: json,
    per_byte: 190,
    fixed: 2 << 10,
};

/// An event a line. As for an array, without the list of elements.
pub const NDJSON: Target = Target {
    name: "ndjson",
    read: ndjson,
    per_byte: 175,
    fixed: 2 << 10,
};

/// `CloudEvents` in their three modes. An array's refusals have longer details; 100 headers take
/// 32 KB, whatever is in them.
pub const CLOUDEVENTS: Target = Target {
    name: "cloudevents",
    read: cloudevents,
    per_byte: 195,
    fixed: 2 << 10,
};

/// Messages of a WebSocket. As for an array, but the answers are made one by one; 256 messages
/// may be empty, and each is a refusal.
pub const WEBSOCKET: Target = Target {
    name: "websocket",
    read: websocket,
    per_byte: 160,
    fixed: 32 << 10,
};

/// `PutMetadata`: the body, and a byte for each level of what is ignored, or a string with escapes
/// while it is read and as it is kept.
pub const AWS_DOOR: Target = Target {
    name: "aws_door",
    read: aws_door,
    per_byte: 4,
    fixed: 2 << 10,
};

/// What a compressed body may unpack to: `max_body_bytes`, by default.
pub const UNPACKED_MAX: usize = 1 << 20;

/// A compressed body, whatever it unpacks to: a decoder, and what came out of it while that grows
/// to its bound.
pub const GZIP: Target = Target {
    name: "gzip",
    read: gzip,
    per_byte: 0,
    fixed: 2 << 20,
};

/// The configuration. Worst are faults of the notation, all of which are told: `=` and a newline
/// is one. What is no fault takes a seventh of that. Beside it: the settings.
pub const CONFIGURATION: Target = Target {
    name: "configuration",
    read: configuration,
    per_byte: 700,
    fixed: 64 << 10,
};

/// A block of the journal. Worst are ids that are remembered, of 12 bytes each.
pub const JOURNAL_BLOCK: Target = Target {
    name: "journal_block",
    read: journal_block,
    per_byte: 48,
    fixed: 2 << 10,
};

/// The storage's log: nothing, it is looked at where it is.
pub const JOURNAL_LOG: Target = Target {
    name: "journal_log",
    read: journal_log,
    per_byte: 0,
    fixed: 0,
};

/// A dead letter of the journal, which is there twice here, and as text. Beside it: the map.
pub const DEAD_LETTER: Target = Target {
    name: "dead_letter",
    read: dead_letter,
    per_byte: 8,
    fixed: 7 << 10,
};

/// All of them.
pub const TARGETS: [Target; 10] = [
    EVENT_JSON,
    NDJSON,
    CLOUDEVENTS,
    WEBSOCKET,
    AWS_DOOR,
    GZIP,
    CONFIGURATION,
    JOURNAL_BLOCK,
    JOURNAL_LOG,
    DEAD_LETTER,
];
