//! Every bound of the doors, each with its reason.
//!
//! What an operator may set (`max_body_bytes`, `max_connections`, `at_max_ahead_ms`) is in
//! [`crate::ingest::Options`]; what is here belongs to the surface or protects the process.

use std::time::Duration;

/// Longest `type`, in bytes (surface).
pub const KIND_MAX: usize = 64;
/// Longest `id`, in bytes (surface).
pub const ID_MAX: usize = 128;
/// Longest `key`, in bytes (surface).
pub const KEY_MAX: usize = 128;
/// Longest identity of a `CloudEvent` (`source`, a space, `id`), in bytes: sources are
/// URIs, so 128 would refuse ordinary ones; four times that bounds the dedup memory.
pub const CLOUDEVENT_ID_MAX: usize = 512;
/// Longest `ttl_ms`: a day (surface).
pub const TTL_MAX_MS: u32 = 86_400_000;
/// Deepest nesting of arrays and objects in an event (surface): players' parsers recurse.
pub const DEPTH_MAX: usize = 64;

/// Most events in one body. A body of the default size holds at most 95,000 events
/// (`{"data":1}` and a newline), so this only cuts off bodies of rubbish, whose list of
/// refusals would be many times their size.
pub const EVENTS_MAX: usize = 100_000;
/// No event is shorter: `{"data":1}`.
pub const EVENT_MIN_BYTES: usize = 10;
/// An oversized or unwanted body is read and thrown away up to this size …
pub const DISCARD_MAX_BYTES: usize = 8 << 20;
/// … or this long, so that the client sees the answer rather than a reset (surface).
pub const DISCARD_MAX_TIME: Duration = Duration::from_secs(1);
/// A body must be complete within this time: 1 MiB at 280 kbit/s.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// … and something of it must arrive this often.
pub const BODY_SILENCE: Duration = Duration::from_secs(10);
/// A compressed body may be longer than what it unpacks to by one part in so many …
pub const GZIP_SHARE: usize = 64;
/// … and by so many bytes: a head with the name of a file.
pub const GZIP_OVERHEAD: usize = 1 << 10;
/// What counts for the state of one decoder: a window, tables and a buffer of 32 KiB each.
pub const GZIP_STATE_BYTES: usize = 96 << 10;
/// Most members of a compressed body: each costs a new state, and 20 bytes are one.
pub const GZIP_MEMBERS_MAX: usize = 64;
/// Bytes of unfinished bodies and WebSocket messages in the whole process: 20,000 connections of 1 MiB each would
/// be 20 GB. Beyond it a body is refused with `overloaded`.
pub const BODIES_MAX_BYTES: usize = 256 << 20;
/// Of these, most that one caller may have: a key that sends slowly takes none from others.
pub const BODIES_OF_ONE_MAX_BYTES: usize = BODIES_MAX_BYTES / 4;
/// Longest body of `POST /PutMetadata` once there are keys: a string of 1 KiB is at most 6 KiB as JSON may write it.
pub const AWS_BODY_MAX: usize = 64 << 10;
/// Bytes of a channel that is made by API: every setting of it takes less than 1 KiB.
pub const DEFINITION_MAX_BYTES: usize = 16 << 10;
/// What `overloaded` at the edge asks clients to wait, in ms.
pub const OVERLOADED_RETRY_MS: u64 = 1000;

/// Default of `timeout_ms` with `wait=delivered`, in ms.
pub const WAIT_DEFAULT_MS: u64 = 10_000;
/// Most `timeout_ms` (surface).
pub const WAIT_MAX_MS: u64 = 30_000;
/// Channels on one page of `GET /v1/channels`, by default …
pub const PAGE_DEFAULT: usize = 100;
/// … and at most: a report is about 1 KB.
pub const PAGE_MAX: usize = 1000;

/// The head of a request must be complete within this time of its first byte (of the
/// connection, for the first one).
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// A connection without a request is closed after this: longer than the 60 s of common
/// load balancers, so that they close first and no request meets a closing connection.
pub const IDLE_TIME: Duration = Duration::from_secs(75);
/// A connection whose client takes nothing of what is written for so long is ended.
pub const WRITE_SILENCE: Duration = Duration::from_mins(1);
/// Largest head of a request, and a connection's read buffer.
pub const HEAD_MAX_BYTES: usize = 64 << 10;
/// Most headers of a request.
pub const HEADERS_MAX: usize = 100;
/// Streams of one HTTP/2 connection at once.
pub const H2_STREAMS_MAX: u32 = 256;
/// Streams that a client opened and reset before they were looked at; one more, and the connection
/// ends (CVE-2023-44487, "rapid reset").
pub const H2_RESETS_MAX: usize = 20;
/// Streams that were reset for what the client did wrong; one more, and the connection ends.
pub const H2_ERRORS_MAX: usize = 1024;
/// HTTP/2 pings, which find dead peers.
pub const H2_PING_EVERY: Duration = Duration::from_secs(20);
/// How long an HTTP/2 peer may take to answer one.
pub const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections to one of the operators' listeners: a few people and a Prometheus or two. When there
/// are more, the idlest of the peer that has the most is closed, so that a probe is always answered.
pub const OPERATORS_CONNECTIONS_MAX: usize = 64;
/// Streams of one HTTP/2 connection to one of them: a scrape of 100 channels has 300 KB.
pub const OPERATORS_H2_STREAMS_MAX: u32 = 8;
/// Connections to the listener of the state: a CDN has a few dozen from each of its places.
pub const VIEWERS_CONNECTIONS_MAX: usize = 1000;
/// Connections being told that there is no room; any more are dropped unanswered.
pub const TURNED_AWAY_MAX: usize = 64;
/// Descriptors kept for the calls of an account: one for each that may be in flight, which is also
/// how many idle connections its client keeps.
pub const DESCRIPTORS_OF_CALLS: usize = 155;
/// Descriptors kept for the journal: its files, those of the next generation, and the storage's cache
/// of open files.
pub const DESCRIPTORS_OF_JOURNAL: usize = 128;
/// Descriptors kept for the rest: standard streams, listeners, timers, files that are read again,
/// credentials, traces, and connections that are being closed.
pub const DESCRIPTORS_OF_REST: usize = 64;
/// Where a limit does not even hold the reserve, producers have one part in so many of it.
pub const DESCRIPTORS_SHARE: usize = 4;
/// After the last drain, connections have this long to finish what they were answering.
pub const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Longest WebSocket message, in bytes, unless `max_body_bytes` is smaller: the producer
/// has bodies for bulk, and a message is held whole before it is parsed.
pub const WS_MESSAGE_MAX: usize = 1 << 20;
/// Read buffer of a WebSocket: about 100 events a system call, and 20,000 idle
/// connections stay below 400 MB.
pub const WS_READ_BUFFER: usize = 16 << 10;
/// Answers are written out when they are this many bytes …
pub const WS_WRITE_BUFFER: usize = 16 << 10;
/// … and never more than this wait for a client that does not read.
pub const WS_WRITE_BUFFER_MAX: usize = 256 << 10;
/// Messages handled before an acknowledgement at the latest (surface).
pub const WS_ACK_EVERY: usize = 256;
/// Bytes of messages handled before an acknowledgement: what bounds a batch of large ones.
pub const WS_BATCH_BYTES: usize = 128 << 10;
/// How often the server pings.
pub const WS_PING_EVERY: Duration = Duration::from_secs(20);
/// A peer that was silent this long is dropped; so is one that took no byte of ours.
pub const WS_SILENCE: Duration = Duration::from_mins(1);
/// How long the peer may take to answer a close frame.
pub const WS_CLOSE_TIME: Duration = Duration::from_secs(2);

/// Comments keep a quiet stream of payloads alive through proxies (nginx gives up at 60 s).
pub const SSE_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Least `at` as a number, in ms since 1970: 1973 as milliseconds, and as seconds the year 5138. So
/// what is below was meant as seconds.
pub const AT_MIN_MS: i64 = 100_000_000_000;

/// Longest `Idempotency-Key`, in bytes: with a slash and an index it is an id of at most 128.
pub const IDEMPOTENCY_KEY_MAX: usize = 100;

/// Longest name of an unknown channel for which a near one is looked for, in bytes: an alias has no
/// more.
pub const NEAR_NAME_MAX: usize = 64;
/// Channels that are looked at for a near name: a tenth of a millisecond …
pub const NEAR_LOOKED_AT_MAX: usize = 10_000;
/// … and those that are compared letter by letter, at most 4 µs each.
pub const NEAR_COMPARED_MAX: usize = 200;
