//! Every setting, declared once: its name, type, default, bounds, when a change takes effect, and
//! what people are told about it.
//!
//! Everything else is derived: reading and its faults, what operators are shown, what a reload
//! reports, `--help`, the reference page, the JSON Schema for editors, and the check of
//! `config/cuegate.toml`, which repeats each text beside each default. A comment behind a bound gives
//! its reason.

#![expect(
    clippy::doc_markdown,
    reason = "the texts are comments of a TOML file before they are documentation"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use engine::{
    AccountPolicy, ChannelPolicy, Compress, Envelope, Offline, OnUnknown, Overflow, Pacing,
};

use super::kinds::{
    ADDRESS, Boolean, Given, ItemFields, List, Optional, PATH, SECRET, Share, Words, hidden,
    millis, number, text, url,
};
use super::setting::{Declared, Effect, Setting, section, settings_of};
use super::tables::{AccountSettings, ApiKeySettings, WebhookSettings};
use super::types::{
    ENDS, JournalMode, JwtAlgorithm, PutMetadataEnvelope, Scope, Secret, UpstreamMode,
};
use super::values::url as any_url;
use super::values::{
    account_id, alias, collector, database, glob, host_and_port, origin, region, role_arn, sha256,
    variable, word,
};
use crate::arn::ChannelArn;

/// Most ids that a queue remembers: ten million of 128 bytes are 1.3 GB.
pub const DEDUP_MAX_IDS: usize = 10_000_000;

/// More than a million sockets or channels is a typing error.
const MILLION: i128 = 1_000_000;

/// 1 TiB: more than a machine has of memory, and as much as it has of disk.
const TIB: i128 = 1 << 40;

/// A day, in milliseconds.
const DAY_MS: i128 = 86_400_000;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

section! {
    /// `[server]`: where producers connect.
    ServerSettings {
        /// Where producers connect, over HTTP and WebSocket. Loopback only until there are keys.
        "listen" => listen: SocketAddr = loopback(8080), ADDRESS, Restart;
        /// After SIGTERM, how long queues may go on leaving within the quota.
        // After an hour, nobody waits any more.
        "drain_timeout_ms" => drain_timeout: Duration = Duration::from_secs(5),
            millis(0, 3_600_000), Live;
        /// Of a request or a WebSocket message; it is held in memory while it is read.
        // The smallest event, `{"data":1}`, has 10 bytes; above 64 MiB a few hundred producers
        // could fill a machine's memory.
        "max_body_bytes" => max_body_bytes: usize = 1_048_576, number(10, 64 << 20), Live;
        /// More are refused, so that memory and file descriptors have a bound.
        "max_connections" => max_connections: usize = 20_000, number(1, MILLION), Restart;
        /// "none" says in writing that whoever reaches the address may send: needed to listen beyond
        /// loopback without keys, here or in [admin].
        "auth" => open_without_keys: bool = false, Words(&[("", false), ("none", true)]), Live;
        /// Origins whose pages may speak to this address from a browser, as "https://studio.example", with
        /// CORS. Others may not, and with none there is no CORS.
        "allowed_origins" => allowed_origins: Vec<String> = Vec::new(),
            List(text("an origin", origin)), SwitchedAtStart;
        /// The certificate chain, a PEM file, read again when it changes. Empty: plain HTTP.
        "tls_cert" => tls_cert: Option<PathBuf> = None, Optional(PATH), Restart;
        /// Its private key, a PEM file, read again when it changes. Both or neither.
        "tls_key" => tls_key: Option<PathBuf> = None, Optional(PATH), Restart;
        /// With it, client certificates are required, and the subject is the key's name.
        "tls_client_ca" => tls_client_ca: Option<PathBuf> = None, Optional(PATH), Restart;
    }
}

section! {
    /// `[metrics]`: where Prometheus and health checks connect.
    MetricsSettings {
        /// Read-only: /metrics, /healthz (alive) and /readyz (can accept events). An address of its
        /// own, so that it can be opened to Prometheus without opening the producers' door.
        "listen" => listen: SocketAddr = loopback(9464), ADDRESS, Restart;
    }
}

section! {
    /// `[admin]`: where operators connect.
    AdminSettings {
        /// The console and /admin/*.
        "listen" => listen: SocketAddr = loopback(8081), ADDRESS, Restart;
    }
}

section! {
    /// `[upstream]`: where payloads go.
    UpstreamSettings {
        /// "local": the emulator in this process, nothing reaches AWS. "aws": the real API.
        /// Every configuration must say which, so that nobody sends a show into an emulator by accident.
        "mode" => mode: UpstreamMode = UpstreamMode::Local,
            Words(&[("local", UpstreamMode::Local), ("aws", UpstreamMode::Aws)]), Restart,
            required "write \"local\" (the emulator in this process) or \"aws\" (the real API)";
        /// aws mode: another endpoint, as a VPC endpoint or a separate local-ivs. Empty: AWS's own.
        "endpoint_url" => endpoint_url: Option<String> = None, Optional(url(any_url)), Restart;
        /// aws mode: the region where the AWS configuration chain names none. Calls go to the region
        /// in the channel's ARN.
        "region" => region: Option<String> = None, Optional(text("a region", region)), Restart;
        /// A call that takes longer counts as unknown: it may have been applied.
        // Below 10 ms hardly any call would end in time; a cue that took a minute is worth nothing.
        "call_timeout_ms" => call_timeout: Duration = Duration::from_secs(2),
            millis(10, 60_000), Restart;
    }
}

section! {
    /// `[local_ivs]`: the emulator of local mode.
    LocalIvsSettings {
        /// local mode: where the emulator serves its own API.
        "listen" => listen: SocketAddr = loopback(4580), ADDRESS, Restart;
    }
}

/// `[quota]` and `[[account]]`: the rates, which the API cannot raise.
pub(super) const RATES: &[&dyn Setting<AccountPolicy>] = settings_of! {
    AccountPolicy {
        channel_tps: _, account_tps: _, pacing: _, fair_share: _, grace: _, abandon: _, max_in_flight_per_channel: _, state_share: _
    }
    /// What the API allows, which cannot be raised.
    "channel_tps" => channel_tps: number(1, 5), Live;
    /// Per account and region; lower it if others share the account.
    "account_tps" => account_tps: number(1, 155), Live;
    /// The most of account_tps that payloads of nothing but state may take, all channels together. Above 0,
    /// at most 1. They leave half of the account's calls free in any case.
    "state_share" => state_share: Share, Live;
};

section! {
    /// `[quota]`: what else the API allows.
    QuotaSettings {
        /// Of the metadata string, in UTF-8. AWS says "1 KB"; its own samples check 1024.
        // An empty cue envelope takes 35 bytes, and below 128 hardly an event fits beside it.
        "payload_max_bytes" => payload_max_bytes: usize = 1024, number(128, 1024), Live;
    }
}

section! {
    /// `[journal]`: what survives the process.
    JournalSettings {
        /// What a 202 promises: "off": nothing; "os": survives the process; "fsync": survives the machine.
        "mode" => mode: JournalMode = JournalMode::Os,
            Words(&[
                ("off", JournalMode::Off),
                ("os", JournalMode::Os),
                ("fsync", JournalMode::Fsync),
            ]), Restart;
        /// Created if it is not there, locked by one process. Relative to the working directory.
        "dir" => dir: PathBuf = PathBuf::from("cuegate-data"), PATH, Restart;
        /// On disk. When it is reached, or the disk is nearly full, new events are refused with
        /// `overloaded` until there is room again.
        // A request of the default size must fit.
        "max_bytes" => max_bytes: u64 = 1 << 30, number(1 << 20, TIB), Restart;
    }
}

section! {
    /// `[cluster]`: several nodes that share a PostgreSQL.
    ClusterSettings {
        /// Where the database is: postgres://user@host1,host2/db?target_session_attrs=read-write, with sslmode
        /// and sslrootcert. Empty: one node, whose journal is in journal.dir.
        "url" => url: Option<String> = None, Optional(hidden("a URL that begins with postgres://", database)), Restart;
        /// A variable that has the URL.
        "url_env" => url_env: Option<String> = None, Optional(text("the name of a variable", variable)), Restart;
        /// A file with the password of the URL's user.
        "password_file" => password_file: Option<PathBuf> = None, Optional(PATH), Restart;
        /// Nodes with the same name and database are one cluster.
        "name" => name: String = "cuegate".to_owned(), text("a name", alias), Restart;
        /// What people call this node. Empty: the host's name.
        "node" => node: Option<String> = None, Optional(text("a name", alias)), Restart;
        /// Where other nodes hand this one what comes to them. Loopback only without certificates or a secret.
        "listen" => listen: SocketAddr = loopback(8082), ADDRESS, Restart;
        /// How other nodes reach it: host and port. Empty: as listen says.
        "advertise" => advertise: Option<String> = None, Optional(text("a host and port", host_and_port)), Restart;
        /// This node's certificate as PEM, for the host that it advertises: it shows it to the nodes that it
        /// asks, too.
        "tls_cert" => tls_cert: Option<PathBuf> = None, Optional(PATH), Restart;
        /// Its key, PEM.
        "tls_key" => tls_key: Option<PathBuf> = None, Optional(PATH), Restart;
        /// The authority that all nodes' certificates are of, PEM. No other node is asked or answered.
        "tls_ca" => tls_ca: Option<PathBuf> = None, Optional(PATH), Restart;
        /// A variable with a secret that all nodes have, where there are no certificates: it crosses the network
        /// as it is.
        "secret_env" => secret_env: Option<String> = None, Optional(text("the name of a variable", variable)), Restart;
        /// How long a request waits for an account's next owner before it is refused with 503.
        "hold_ms" => hold: Duration = Duration::from_secs(3), millis(0, 60_000), Restart;
        /// An account's owner that says nothing for so long, and that this node does not reach either, is replaced.
        // Below two of the slowest beats, nodes that are well would be suspected.
        "take_after_ms" => take_after: Duration = Duration::from_millis(1500), millis(500, 60_000), Restart;
        /// An account's owner that says nothing for so long is replaced, and one that hears nothing for a second
        /// less makes no calls.
        // Less than six beats are lost too easily; after a minute without calls a show is over.
        "lease_ms" => lease: Duration = Duration::from_secs(6), millis(3000, 60_000), Restart;
        /// How often a node says that it lives, and looks who owns what.
        // A tenth of the shortest lease; more often is load without a gain.
        "beat_ms" => beat: Duration = Duration::from_millis(500), millis(50, 1000), Restart;
        /// How long a commit may be in doubt before requests that wait for it are refused.
        "commit_timeout_ms" => commit_timeout: Duration = Duration::from_secs(3), millis(100, 60_000), Restart;
    }
}

section! {
    /// `[limits]`: bounds over all channels.
    LimitSettings {
        /// Queued events in all channels together; beyond it the answer is `overloaded`.
        "queue_total_bytes" => queue_total_bytes: usize = 512 << 20, number(1024, TIB), Live;
        /// Listed, made by API and unlisted; bounds the memory that ARNs nobody listed can take.
        "channels_max" => channels_max: usize = 100_000, number(1, MILLION), Live;
        /// Of the channels made by API, the first so many have a label of their own in metrics, the others
        /// are `_other`. Those of the file always have theirs.
        "channels_labelled" => channels_labelled: usize = 1000, number(0, MILLION), Live;
        /// How far ahead an event's `at` may lie: a day.
        "at_max_ahead_ms" => at_max_ahead: Duration = Duration::from_hours(24),
            millis(0, 366 * DAY_MS), Live;
    }
}

section! {
    /// `[put_metadata]`: the door that speaks the API's own form.
    PutMetadataSettings {
        /// "raw": what arrives at POST /PutMetadata leaves byte for byte, alone in its payload, as
        /// with the API itself. "channel": merged as the channel's other events.
        "envelope" => envelope: PutMetadataEnvelope = PutMetadataEnvelope::Raw,
            Words(&[
                ("raw", PutMetadataEnvelope::Raw),
                ("channel", PutMetadataEnvelope::Channel),
            ]), Live;
    }
}

/// `[channel_defaults]` and `[[channel]]`: the rules of a channel.
pub(super) const CHANNEL_POLICY: &[&dyn Setting<ChannelPolicy>] = settings_of! {
    ChannelPolicy {
        envelope: _, fields: _, compress: _, event_max_bytes: _, keyframes: _, ttl_ms: _, queue_max_events: _, queue_max_bytes: _, overflow: _, offline: _, on_unknown: _, dedup_window: _, dedup_max_ids: _, lookahead: _
    }
    /// "cue": {"v":1,"n":N,"e":[…]}, which players can deduplicate. "array": the bare data.
    /// "raw": one event a payload, as it is.
    "envelope" => envelope: Words(&Envelope::BY_NAME), Live;
    /// Of "type", "key", "id": what a cue item carries beside its data. Each costs bytes of 1 KB.
    "envelope_fields" => fields: ItemFields, Live;
    /// "deflate": payloads leave compressed where that is shorter, with about twice the events. Of the
    /// envelope "cue" alone, and for players that read this form.
    "compress" => compress: Words(&[
        ("off", Compress::Off),
        ("deflate", Compress::Deflate),
    ]), Live;
    /// An event that fits no payload leaves in up to 16 slices, if its plain payload has at most so many bytes. 0:
    /// it is refused. With compress = "deflate" alone, and for players that read slices.
    // Players decode no more.
    "event_max_bytes" => event_max_bytes: number(0, 65_536), Live;
    /// true: the value of each key that events merge into is kept and sent again, so that whoever joins
    /// late has the state. Of the envelope "cue" alone, with a journal, and for players that read it.
    "keyframes" => keyframes.on: Boolean, Live;
    /// A key that did not change for so long leaves the state. 0: never.
    // A year: what nobody changed in that time nobody wants to know.
    "state_ttl_ms" => keyframes.ttl: millis(0, 366 * DAY_MS), Live;
    /// Keys of the state; beyond it the one goes that changed longest ago.
    // At two entries a second a million take a week to be told.
    "state_max_keys" => keyframes.max_keys: number(1, MILLION), Live;
    /// Bytes of their names and values together.
    // It is written whole when the journal is made smaller.
    "state_max_bytes" => keyframes.max_bytes: number(1024, 64 << 20), Live;
    /// A quiet channel sends a payload with nothing but state this often. 0: never; entries only go where
    /// payloads of events have room.
    "state_idle_ms" => keyframes.idle: millis(0, 3_600_000), Live;
    /// true: the state is also told at [state] listen, so that whoever joins late has it at once. Whoever has
    /// the URL has the state. With keyframes alone.
    "state_http" => keyframes.http: Boolean, Live;
    /// What was sent in this time is not told there: pictures are behind, and it would be a spoiler.
    // No stream is further behind than a minute.
    "state_delay_ms" => keyframes.delay: millis(0, 60_000), Live;
    /// A cue that is 10 s late has missed its moment.
    // A day at most, so that a queue empties itself.
    "ttl_ms" => ttl_ms: number(1, DAY_MS), Live;
    /// More of the smallest events than leave within the default TTL.
    // At 5 payloads a second ten million of the smallest events take hours.
    "queue_max_events" => queue_max_events: number(1, 10 * MILLION), Live;
    /// 256 payloads, or 51 s at 5 a second: more would expire before it leaves.
    // 1 GiB takes 58 hours at 5 KiB a second, longer than any TTL.
    "queue_max_bytes" => queue_max_bytes: number(1024, 1 << 30), Live;
    /// A full queue: "drop_lowest_priority": evict a strictly lower priority, else refuse;
    /// "reject": refuse; "drop_oldest": what is newest counts most.
    "overflow" => overflow: Words(&[
        ("drop_lowest_priority", Overflow::DropLowestPriority),
        ("reject", Overflow::Reject),
        ("drop_oldest", Overflow::DropOldest),
    ]), Live;
    /// While the stream is not live: "hold": events wait until their TTL; "drop"; "reject".
    "offline" => offline: Words(&[
        ("hold", Offline::Hold),
        ("drop", Offline::Drop),
        ("reject", Offline::Reject),
    ]), Live;
    /// A call whose outcome nobody knows: "retry": at least once, with the same `n`; "drop": at
    /// most once.
    "on_unknown" => on_unknown: Words(&[
        ("retry", OnUnknown::Retry),
        ("drop", OnUnknown::Drop),
    ]), Live;
    /// How long an id is remembered: longer than producers retry. 0: not at all.
    // A day is the longest life of an event.
    "dedup_window_ms" => dedup_window: millis(0, DAY_MS), Live;
    /// Ids remembered beyond those still queued.
    "dedup_max_ids" => dedup_max_ids: number(0, DEDUP_MAX_IDS as i128), Live;
};

section! {
    /// `[channels]`: channels that are not listed.
    UnlistedSettings {
        /// true: channels that are not listed below may be addressed by their ARN.
        "allow_unlisted" => allowed: bool = false, Boolean, Live;
    }
}

section! {
    /// `[[channel]]`: what a listed channel is, beside its rules.
    ChannelTable {
        /// Its alias in paths and the label of its metrics: letters, digits and . _ -.
        "name" => name: Option<String> = None, Given(text("an alias", alias)), Live,
            required "the alias in paths, as name = \"quiz\"";
        /// The channel.
        "arn" => arn: Option<ChannelArn> = None, Given(text("the ARN of a channel", channel_arn)), Live,
            required "the ARN of the channel";
        /// Where the console plays it in aws mode: its playbackUrl, as https://….playback.live-video.net/….m3u8.
        /// Empty: its page has no picture. Whoever may open the console reads it, with a token if it has one.
        "playback_url" => playback_url: Option<String> = None, Optional(url(any_url)), Live;
    }
}

fn channel_arn(text: &str) -> Result<ChannelArn, String> {
    text.parse()
        .map_err(|error: <ChannelArn as std::str::FromStr>::Err| error.to_string())
}

/// `[[account]]`: an account in a region.
pub(super) const ACCOUNT: &[&dyn Setting<AccountSettings>] = settings_of! {
    AccountSettings {
        id: _, region: _, role_arn: _, external_id: _, endpoint_url: _, policy: _
    }
    /// The account's 12 digits.
    "id" => id: text("12 digits", account_id), Live, required "the account's 12 digits";
    /// The region.
    "region" => region: text("a region", region), Live, required "as region = \"us-west-2\"";
    /// A role to assume with the default credentials; without one those are used as they are.
    "role_arn" => role_arn: Optional(text("the ARN of a role", role_arn)), Restart;
    /// The external id that is handed over with the role.
    "external_id" => external_id: Optional(hidden("text without white space", word)), Restart;
    /// Another endpoint than [upstream]'s.
    "endpoint_url" => endpoint_url: Optional(url(any_url)), Restart;
};

/// `[[api_key]]`: a producer's key.
pub(super) const API_KEY: &[&dyn Setting<ApiKeySettings>] = settings_of! {
    ApiKeySettings {
        name: _, sha256: _, channels: _, scopes: _, rates: _, channel_rates: _, max_connections: _, queue_percent: _, aws_access_key_id: _, aws_secret_env: _, aws_secret_file: _
    }
    /// Its name in logs and metrics.
    "name" => name: text("an alias", alias), Live, required "what logs and metrics call it";
    /// SHA-256 of the key: `cuegate key new` makes a key and prints these lines.
    "sha256" => sha256: Optional(hidden("64 hexadecimal digits", sha256)), Live;
    /// Aliases, or patterns with * for any run of characters.
    "channels" => channels: List(text("an alias or a pattern", glob)), Live;
    /// Of "publish", "read", "control", "admin".
    "scopes" => scopes: List(Words(&[
        (Scope::Publish.name(), Scope::Publish),
        (Scope::Read.name(), Scope::Read),
        (Scope::Control.name(), Scope::Control),
        (Scope::Admin.name(), Scope::Admin),
    ])), Live;
    /// The producer's own limits, of bodies and messages as they come in. 0: no limit.
    // More than the gateway takes from all.
    "events_per_second" => rates.events_per_second: number(0, 1000 * MILLION), Live;
    /// What may come at once after a quiet time. 0: as much as in a second.
    "events_burst" => rates.events_burst: number(0, 1000 * MILLION), Live;
    /// As events_per_second.
    // More than any network card carries.
    "bytes_per_second" => rates.bytes_per_second: number(0, TIB), Live;
    /// As events_burst.
    "bytes_burst" => rates.bytes_burst: number(0, TIB), Live;
    /// The same to any one channel; bytes are those of the events' data, types, keys and ids.
    "channel_events_per_second" => channel_rates.events_per_second: number(0, 1000 * MILLION), Live;
    /// As events_burst, to any one channel.
    "channel_events_burst" => channel_rates.events_burst: number(0, 1000 * MILLION), Live;
    /// As bytes_per_second, to any one channel.
    "channel_bytes_per_second" => channel_rates.bytes_per_second: number(0, TIB), Live;
    /// As bytes_burst, to any one channel.
    "channel_bytes_burst" => channel_rates.bytes_burst: number(0, TIB), Live;
    /// WebSockets and streams of payloads at once; 0: no limit.
    "max_connections" => max_connections: number(0, MILLION), Live;
    /// Most of any channel's queue that this producer's events may take, so that it cannot fill the
    /// queue for all. Above 0, at most 1.
    "queue_share" => queue_percent: Share, Live;
    /// The same producer through AWS's own clients: a key pair for SigV4 at POST /PutMetadata.
    "aws_access_key_id" => aws_access_key_id: Optional(hidden("text without white space", word)), Live;
    /// The environment variable that has the pair's secret.
    "aws_secret_env" => aws_secret_env: Optional(text("the name of a variable", variable)), Live;
    /// Or the file that has it, read again when it changes.
    "aws_secret_file" => aws_secret_file: Optional(PATH), Live;
};

/// `[[webhook]]`: an endpoint that is told how events end.
pub(super) const WEBHOOK: &[&dyn Setting<WebhookSettings>] = settings_of! {
    WebhookSettings {
        name: _, url: _, channels: _, ends: _, secret_env: _, secret_file: _, batch_max: _, batch: _, queue_max: _, timeout: _, retry: _, give_up: _, allow_private: _
    }
    /// Its name in logs and metrics.
    "name" => name: text("an alias", alias), Live, required "what logs and metrics call it";
    /// Where the ends of events with an id are posted, http or https. Redirects are not followed.
    "url" => url: hidden("a URL", any_url), Live, required "as url = \"https://quiz.example/cuegate\"";
    /// Aliases or ARNs, or patterns with * for any run of characters.
    "channels" => channels: List(text("an alias or a pattern", glob)), Live;
    /// The ends that are told.
    "ends" => ends: List(Words(&[
        (ENDS[0], ENDS[0]),
        (ENDS[1], ENDS[1]),
        (ENDS[2], ENDS[2]),
        (ENDS[3], ENDS[3]),
        (ENDS[4], ENDS[4]),
        (ENDS[5], ENDS[5]),
    ])), Live;
    /// The environment variable that has the secret which signs: whsec_ and base64 of 24 to 64 bytes.
    "secret_env" => secret_env: Optional(text("the name of a variable", variable)), Live;
    /// Or the file that has it, read again when it changes.
    "secret_file" => secret_file: Optional(PATH), Live;
    /// Most ends in one request.
    // Of ends with the longest ids 1000 take half a megabyte.
    "batch_max" => batch_max: number(1, 1000), Live;
    /// How long the first end of a batch waits for others.
    "batch_ms" => batch: millis(0, 60_000), Live;
    /// Ends that wait for the endpoint. Beyond it the oldest are dropped, and the next request says how many.
    // With the longest ids 100,000 take 50 MB.
    "queue_max" => queue_max: number(1, 100_000), Live;
    /// A request that takes longer has failed.
    "timeout_ms" => timeout: millis(10, 60_000), Live;
    /// The pause after a first failure. It doubles with each further one, to a minute, with jitter; a
    /// Retry-After can make it longer, to an hour.
    "retry_ms" => retry: millis(1, 60_000), Live;
    /// How long a batch is tried before it is given up.
    "give_up_ms" => give_up: millis(0, 7 * DAY_MS), Live;
    /// true: the endpoint may be at a private, loopback or link-local address. Else none of these is ever
    /// connected to, whatever a name server says.
    "allow_private" => allow_private: Boolean, Live;
};

section! {
    /// `[jwt]`: tokens as authentication.
    JwtSettings {
        /// "HS256", "RS256", "ES256" or "EdDSA": the one that is taken. Empty: tokens are off.
        "algorithm" => algorithm: Option<JwtAlgorithm> = None,
            Optional(Words(&[
                ("HS256", JwtAlgorithm::Hs256),
                ("RS256", JwtAlgorithm::Rs256),
                ("ES256", JwtAlgorithm::Es256),
                ("EdDSA", JwtAlgorithm::EdDsa),
            ])), Live;
        /// The secret (HS256: at least 32 bytes), a public key as PEM, or a JWKS; read again when it
        /// changes.
        "key_file" => key_file: Option<PathBuf> = None, Optional(PATH), Live;
        /// The issuer that a token must name. Empty: anything.
        "issuer" => issuer: Option<String> = None, Optional(text("text without white space", word)), Live;
        /// The audience that a token must name. Empty: anything.
        "audience" => audience: Option<String> = None, Optional(text("text without white space", word)), Live;
    }
}

section! {
    /// `[eventbridge]`: notices of streams that begin and end.
    EventBridgeSettings {
        /// What the header X-Cuegate-Secret of POST /v1/eventbridge must be: 16 to 1024 visible
        /// ASCII characters. Better set as CUEGATE__EVENTBRIDGE__SECRET. Empty: the door is shut.
        "secret" => secret: Option<Secret> = None, Optional(SECRET), Live;
    }
}

section! {
    /// `[tracing]`: where traces go.
    TracingSettings {
        /// Where traces go, by OTLP over HTTP: as http://127.0.0.1:4318; /v1/traces is added where there is
        /// no path. Empty: off, and no span is made. Without TLS: let a collector on this machine pass them
        /// on. Requests are sampled as their `traceparent` says, those without one always; the variable
        /// OTEL_TRACES_SAMPLER (parentbased_traceidratio) changes that, OTEL_EXPORTER_OTLP_HEADERS adds
        /// headers. What the collector does not take is dropped.
        "otlp_endpoint" => otlp_endpoint: Option<String> = None, Optional(url(collector)), Restart;
    }
}

/// `[tuning]`: when payloads go.
pub(super) const SCHEDULING: &[&dyn Setting<AccountPolicy>] = settings_of! {
    AccountPolicy { .. }
    /// When a payload that is not full goes: "spread": the tuned fractions
    /// for 5 tokens; "even": evenly to the next token; "steady": never two within 200 ms.
    "pacing" => pacing: Words(&[
        ("spread", Pacing::Spread),
        ("even", Pacing::Even),
        ("steady", Pacing::Steady),
    ]), Live;
    /// The share of turns that goes to the channel that became ready first, rather than to the
    /// oldest event. Above 0, at most 1.
    "fair_share" => fair_share: Share, Live;
    /// Added to a second before a token returns, as clocks do not run alike.
    // Two clocks differ by far less than a second in a second.
    "grace_ms" => grace: millis(0, 1000), Live;
    /// How long after it was given up a call may still be handled. The promise that limits hold
    /// rests on this one assumption.
    // No network promises less than 100 ms; ten minutes without tokens is an outage.
    "abandon_ms" => abandon: millis(100, 600_000), Restart;
    /// Above 1, events without a key may change places when a call is retried.
    // A channel has 5 tokens.
    "max_in_flight_per_channel" => max_in_flight_per_channel: number(1, 5), Live;
};

/// `[tuning]`: how payloads are packed.
pub(super) const PACKING: &[&dyn Setting<ChannelPolicy>] = settings_of! {
    ChannelPolicy { .. }
    /// Events that packing may look past one that does not fit; 0: strict order.
    // The cost of packing grows with it; a payload holds about a hundred of the smallest events.
    "lookahead" => lookahead: number(0, 1000), Live;
};

section! {
    /// `[tuning]`: what a start waits for.
    TuningSettings {
        /// After an unclean end of whose calls the journal does not tell, how long all tokens count as
        /// out, from the start. In aws mode also where nothing is known of the last end: without a
        /// journal, and in a fresh journal.dir.
        // The API's window is one second, so less would break the limit.
        "restart_hold_ms" => restart_hold: Duration = Duration::from_millis(1500),
            millis(1000, 60_000), Restart;
    }
}

section! {
    /// `[state]`: where viewers who join late get the state.
    StateSettings {
        /// Read-only and without keys, for a CDN in front: GET /v1/channels/{channel}/state of the channels with
        /// state_http. Empty: off.
        "listen" => listen: Option<SocketAddr> = None, Optional(ADDRESS), Restart;
    }
}

/// `[state]`: how much is told there.
pub(super) const WINDOW: &[&dyn Setting<ChannelPolicy>] = settings_of! {
    ChannelPolicy { .. }
    /// For how long payloads are told there: longer than pictures are behind and a player asks again.
    // The longest times of a CDN and of live streams are far below; it bounds memory.
    "window_ms" => keyframes.window: millis(1000, 600_000), Live;
};
