//! The bounds of every number in the configuration, each with its reason.
//!
//! A value outside is refused at start, so nothing else needs to check it again.

use std::ops::RangeInclusive;

/// A configuration file: 100,000 channels take about 12 MB.
pub const FILE_MAX_BYTES: u64 = 64 << 20;

/// `server.drain_timeout_ms`: 0 stops at once; after an hour whoever stops it has lost patience.
pub const DRAIN_TIMEOUT_MS: RangeInclusive<u64> = 0..=3_600_000;

/// `server.max_body_bytes`: the smallest event, `{"data":1}`, has 10 bytes; above 64 MiB a
/// few hundred producers could fill a machine's memory.
pub const MAX_BODY_BYTES: RangeInclusive<usize> = 10..=64 << 20;

/// `max_connections` of `server`: more than a million sockets is a typing error.
pub const MAX_CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;

/// `upstream.call_timeout_ms`: below 10 ms hardly any call would end in time; a cue that
/// took a minute is worth nothing.
pub const CALL_TIMEOUT_MS: RangeInclusive<u64> = 10..=60_000;

/// `channel_tps`: the API's own rate, which cannot be raised.
pub const CHANNEL_TPS: RangeInclusive<u32> = 1..=5;

/// `account_tps`: the API's own rate per account and region, which cannot be raised.
pub const ACCOUNT_TPS: RangeInclusive<u32> = 1..=155;

/// `quota.payload_max_bytes`: an empty cue envelope takes 35 bytes, and below 128 hardly an
/// event fits beside it; the API takes no more than 1024.
pub const PAYLOAD_MAX_BYTES: RangeInclusive<usize> = 128..=1024;

/// `journal.max_bytes`: a request of the default size must fit; 1 TiB is a disk.
pub const JOURNAL_MAX_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// `limits.queue_total_bytes`: one full payload must fit; 1 TiB is more than a machine has.
pub const QUEUE_TOTAL_BYTES: RangeInclusive<usize> = 1024..=1 << 40;

/// `limits.channels_max`: more than a million channels is a typing error.
pub const CHANNELS_MAX: RangeInclusive<usize> = 1..=1_000_000;

/// `limits.at_max_ahead_ms`: 0 refuses every future `at`; a year of 366 days at most.
pub const AT_MAX_AHEAD_MS: RangeInclusive<u64> = 0..=31_622_400_000;

/// `ttl_ms`, of channels and of events: a day at most, so that a queue empties itself.
pub const TTL_MS: RangeInclusive<u32> = 1..=86_400_000;

/// `queue_max_events`: at 5 payloads a second ten million of the smallest events take hours.
pub const QUEUE_MAX_EVENTS: RangeInclusive<usize> = 1..=10_000_000;

/// `queue_max_bytes`: the data of one full payload must fit; 1 GiB takes 58 hours at 5 KiB
/// a second, longer than any TTL.
pub const QUEUE_MAX_BYTES: RangeInclusive<usize> = 1024..=1 << 30;

/// `dedup_window_ms`: 0 remembers nothing; a day is the longest life of an event.
pub const DEDUP_WINDOW_MS: RangeInclusive<u64> = 0..=86_400_000;

/// `dedup_max_ids`: 0 remembers nothing; ten million ids of 128 bytes are 1.3 GB.
pub const DEDUP_MAX_IDS: RangeInclusive<usize> = 0..=10_000_000;

/// `tuning.lookahead`: the cost of packing grows with it; the smallest events of a payload
/// number about a hundred.
pub const LOOKAHEAD: RangeInclusive<usize> = 0..=1000;

/// `tuning.grace_ms`: two clocks differ by far less than a second in a second.
pub const GRACE_MS: RangeInclusive<u64> = 0..=1000;

/// `tuning.abandon_ms`: no network promises less than 100 ms; ten minutes without tokens
/// is an outage.
pub const ABANDON_MS: RangeInclusive<u64> = 100..=600_000;

/// `tuning.restart_hold_ms`: the API's window is one second, so less would break the limit.
pub const RESTART_HOLD_MS: RangeInclusive<u64> = 1000..=60_000;

/// `tuning.max_in_flight_per_channel`: a channel has 5 tokens.
pub const MAX_IN_FLIGHT_PER_CHANNEL: RangeInclusive<u32> = 1..=5;

/// `api_key.events_per_second`: 0 is no limit; more than the gateway takes from all.
pub const KEY_EVENTS_PER_SECOND: RangeInclusive<u32> = 0..=1_000_000_000;

/// `api_key.bytes_per_second`: 0 is no limit; more than any network card carries.
pub const KEY_BYTES_PER_SECOND: RangeInclusive<u64> = 0..=1 << 40;

/// `api_key.events_burst`: 0 is a second's worth.
pub const KEY_EVENTS_BURST: RangeInclusive<u32> = 0..=1_000_000_000;

/// `api_key.bytes_burst`: 0 is a second's worth.
pub const KEY_BYTES_BURST: RangeInclusive<u64> = 0..=1 << 40;

/// `api_key.max_connections`: 0 is no limit; else as the server's own.
pub const KEY_MAX_CONNECTIONS: RangeInclusive<usize> = 0..=1_000_000;

/// `eventbridge.secret`, in characters: fewer than 16 can be guessed; headers end at 8 KiB.
pub const SECRET_CHARS: RangeInclusive<usize> = 16..=1024;
