//! Every bound of the emulator that is not a limit of the IVS API itself, with its reason.
//!
//! Nothing here can be set; what can is in `Options`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// One second, in microseconds: the span of every rate.
pub(crate) const SECOND_US: u64 = 1_000_000;

/// A body of `PutMetadata` holds 1 KB, six times that if every character is escaped; the
/// largest input of the whole API (a batch of 50 ARNs, a PEM key, 50 tags) stays below 30 KB.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A client has this long to send a body that fits `MAX_BODY_BYTES`.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an idle connection is kept, and how long a request's head may take (hyper has
/// one timer for both). Longer than the pools of AWS's clients keep theirs (20 s in Rust,
/// 60 s at most elsewhere), because a connection closed under a request is an unknown
/// outcome to them.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Connections served at a time; more wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 20_000;

/// At shutdown, answers in progress get this long.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// A hanging call ends after this long if its client is still there.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// The longest latency a fault may ask for; the tail of a distribution is cut off here.
pub(crate) const MAX_LATENCY: Duration = Duration::from_mins(1);

/// Calls on their way to the API under a latency fault, whose clients may be gone: 60 s of
/// them at 155 a second are 9,300.
pub(crate) const MAX_DELAYED_CALLS: usize = 10_000;

/// Rules that hold at a time.
pub(crate) const MAX_FAULT_RULES: usize = 1_000;

/// Channels over all accounts and regions; as many as the gateway may have.
pub(crate) const MAX_CHANNELS: usize = 100_000;

/// Channels of an account in a region that the API makes. IVS user guide, "Service Quotas":
/// 5,000 (adjustable). Channels made below `/_local/` count, but are not bound by it. The
/// quota of concurrent streams (adjustable too) is not emulated: all of them can be live.
pub(crate) const QUOTA_CHANNELS: usize = 5_000;

/// Of an account in a region. IVS user guide, "Create or Import an IVS Playback Key": a
/// maximum of three.
pub(crate) const QUOTA_PLAYBACK_KEY_PAIRS: usize = 3;

/// Configurations and policies of each kind, of an account in a region. IVS user guide, "Service
/// Quotas": 20 recording configurations. AWS publishes none for playback restriction policies, ad
/// configurations and failover slate configurations; they have as many.
pub(crate) const QUOTA_CONFIGURATIONS: usize = 20;

/// Of a resource; of the service model.
pub(crate) const MAX_TAGS: usize = 50;

/// How long a configuration is `CREATING` or `UPDATING`. AWS does not say; half a second is enough
/// to be seen by whoever asks at once, and ends before a client gives up polling.
pub(crate) const CONFIGURATION_CREATION_US: u64 = 500_000;

/// Viewers of a channel whose revocation is remembered, and ad breaks of a stream: more than a test
/// makes, and few enough to look through in a microsecond. The oldest are forgotten first.
pub(crate) const MAX_REMEMBERED: usize = 1_000;

/// Sessions that are remembered of a channel, the oldest forgotten first: about 150 bytes
/// each, so 40 MB for 5,000 channels that come and go all the time.
pub(crate) const MAX_SESSIONS: usize = 50;

/// Events that a session remembers, the oldest forgotten first; of the service model.
pub(crate) const MAX_SESSION_EVENTS: usize = 500;

/// The greatest priority of an encoder. IVS user guide, "Stream Takeover".
pub(crate) const MAX_PRIORITY: u32 = 2_147_483_647;

/// Takeovers of a stream. AWS has a limit and does not publish it; a test of it ends soon with this.
pub(crate) const MAX_TAKEOVERS: u32 = 100;

/// The longest that a step of a stream's life can be asked to take.
pub(crate) const MAX_LIFE_MS: u64 = 600_000;

/// Accounts and regions with a rate of their own; AWS has about 35 regions.
pub(crate) const MAX_REGIONS: usize = 1_024;

/// Channels that do not exist but were called, and so have a rate too. Only 155 a second
/// can get past the account's limit, so forgetting the idle ones always makes room.
pub(crate) const MAX_UNKNOWN_CHANNELS: usize = 1_024;

/// News of streams that wait to be delivered: enough for every channel to come and go at once.
pub(crate) const MAX_QUEUED_EVENTS: usize = 4 * MAX_CHANNELS;

/// Posts that wait for their time, about 600 bytes each; more events wait in the queue.
pub(crate) const MAX_WAITING_POSTS: usize = 10_000;

/// An API destination of `EventBridge` has this long to answer.
pub(crate) const EVENT_POST_TIMEOUT: Duration = Duration::from_secs(5);

/// Tries of one post; `EventBridge` makes 185 in a day, and a test waits for neither.
pub(crate) const MAX_EVENT_TRIES: u32 = 6;

/// The wait before the second try, doubled before each further one: 3 s in all.
pub(crate) const EVENT_BACKOFF: Duration = Duration::from_millis(100);

/// A post that has been due for longer is given up, so that a dead destination cannot hold
/// back what comes after it for ever.
pub(crate) const MAX_EVENT_AGE: Duration = Duration::from_mins(1);

/// How long an event waits for the next one to overtake it.
pub(crate) const EVENT_HOLD: Duration = Duration::from_secs(2);

/// The latest that events can be asked to be.
pub(crate) const MAX_EVENT_DELAY: Duration = Duration::from_mins(10);

/// Of an answer to a post, whose body nobody needs.
pub(crate) const MAX_EVENT_ANSWER_BYTES: usize = 64 * 1024;

/// Characters of the URL for events.
pub(crate) const MAX_EVENTS_URL: usize = 2_048;

/// Characters of the secret for events: headers end at 8 KiB.
pub(crate) const MAX_EVENTS_SECRET: usize = 1_024;

/// Payloads kept for `/_local/channels/{arn}/metadata`, over all channels, the oldest
/// forgotten first: 14 minutes at 155 a second, at most 128 MiB of text.
pub(crate) const MAX_RETAINED_PAYLOADS: usize = 131_072;

/// Payloads in one JSON answer (about 10 MiB of text).
pub(crate) const MAX_PAGE: usize = 10_000;

/// Payloads in one chunk of server-sent events.
pub(crate) const MAX_SSE_BATCH: usize = 256;

/// A comment on a quiet stream of events, so that proxies and clients see it alive.
pub(crate) const SSE_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Calls of one second that the books hold to find the busiest one: 512 KiB. A busier
/// second is reported as this many.
pub(crate) const MAX_CALLS_IN_A_SECOND: usize = 65_536;

/// Segments of a second in a playlist: what the players were tried with.
pub(crate) const PLAYBACK_WINDOW: u64 = 8;

/// Segments that are still there after they left the playlist: a player may be that far behind the playlist
/// it read.
pub(crate) const PLAYBACK_SPARE_SEGMENTS: u64 = 8;

/// How long before its stream a channel's picture begins: players want three segments before they start.
pub(crate) const PLAYBACK_LEAD_S: u64 = 3;

/// Encoders that are connected at a time; more wait in the kernel's queue. Each may hold
/// `MAX_ENCODER_WINDOW_BYTES` and a segment that is not over.
pub(crate) const MAX_ENCODERS: usize = 16;

/// An encoder has this long from its connection to the beginning of its stream; on the way it waits for three
/// answers.
pub(crate) const ENCODER_GREETING: Duration = Duration::from_secs(10);

/// Bytes that an encoder may send before its stream is let in: the handshake has 3,073, and ffmpeg's commands have
/// about 500, OBS's 1,000.
pub(crate) const MAX_ENCODER_GREETING_BYTES: usize = 8 * 1024;

/// Bytes that are read of an encoder at once.
pub(crate) const ENCODER_READ_BYTES: usize = 16 * 1024;

/// Bytes of a message of an encoder that is a frame: a second of IVS's greatest bitrate, 8.5 Mbit/s, four times.
pub(crate) const MAX_ENCODER_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of another message of an encoder: commands have some hundred, and what it tells of its stream has as many and
/// the tags of the file that it plays.
pub(crate) const MAX_ENCODER_MESSAGE_BYTES: usize = 64 * 1024;

/// Bytes of all messages of an encoder that are begun and not over: a frame of video, and what is sent between its chunks.
pub(crate) const MAX_ENCODER_BACKLOG: usize = MAX_ENCODER_FRAME_BYTES + 128 * 1024;

/// Chunk streams of an encoder: ffmpeg and OBS have five.
pub(crate) const MAX_ENCODER_CHUNK_STREAMS: usize = 64;

/// Bytes of the chunks of an encoder: 128 is what it begins with, ffmpeg has 60,000, and the protocol's crate ends at
/// 65,536. Smaller ones would be copied too often.
pub(crate) const ENCODER_CHUNK_BYTES: RangeInclusive<usize> = 128..=65_536;

/// Bytes that an encoder may ask for an answer after; twice as many are to fit into 32 bits.
pub(crate) const MAX_ENCODER_WINDOW: u32 = 1 << 30;

/// How deep the values of an encoder are nested: ffmpeg and OBS have objects of plain values.
pub(crate) const MAX_ENCODER_DEPTH: usize = 8;

/// An encoder that sends nothing for as long is gone, and so is one that takes no answer.
pub(crate) const ENCODER_SILENCE: Duration = Duration::from_secs(10);

/// Ticks of an encoder's picture that a segment has at least, if its key frames are closer: a second, less what timestamps
/// in milliseconds are off.
pub(crate) const MIN_SEGMENT_TICKS: u64 = 89_000;

/// Ticks without a key frame that end a stream. IVS recommends one every 2 s.
pub(crate) const MAX_SEGMENT_TICKS: u64 = 10 * 90_000;

/// Bytes of a segment: 10 s of IVS's greatest bitrate have 11 MB.
pub(crate) const MAX_SEGMENT_BYTES: usize = 12 * 1024 * 1024;

/// Bytes of the segments that are kept of an encoder's stream; the oldest leave first.
pub(crate) const MAX_ENCODER_WINDOW_BYTES: usize = 32 * 1024 * 1024;

/// Payloads that wait for an encoder's first picture.
pub(crate) const MAX_WAITING_TAGS: usize = 100;
