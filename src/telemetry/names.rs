//! Every metric of the gateway: its name, type, help and labels, spelled here and nowhere else.
//!
//! Nothing is counted here. What a dashboard may use is what this file lists.

use std::fmt::Write as _;

/// A metric, as Prometheus is told about it.
#[derive(Debug)]
pub struct Metric {
    /// Its name, suffix included.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One line for people.
    pub help: &'static str,
    /// The names of its labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// Adds what comes before the series of its family, in the text format.
    pub(super) fn describe(&self, text: &mut String) {
        let (name, help, kind) = (self.name, self.help, self.kind.word());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds, which rise.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word of the text format.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        help,
        labels,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        help,
        labels,
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    buckets: &'static [f64],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram(buckets),
        help,
        labels,
    }
}

/// Declares each metric as a constant, and `ALL` of them.
macro_rules! metrics {
    ($($constant:ident = $metric:expr;)*) => {
        $(#[doc = concat!("`", stringify!($constant), "`: its help says what it is.")]
        pub const $constant: Metric = $metric;)*
        /// Every metric there is.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

const CHANNEL: &[&str] = &["channel"];
const ACCOUNT: &[&str] = &["account", "region"];
const NONE: &[&str] = &[];

/// Seconds of a call: IVS answers within tens of milliseconds; 2 s is the default time-out and
/// 7 s the last moment at which a late answer is heard.
const CALL_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 7.0];
/// Bytes of a payload of at most 1024: finer towards full.
const PAYLOAD_BYTES: &[f64] = &[
    64.0, 128.0, 256.0, 384.0, 512.0, 640.0, 768.0, 896.0, 960.0, 1000.0, 1024.0,
];
/// Events of a payload: the smallest item takes 7 bytes, so 145 are about the most.
const PAYLOAD_EVENTS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 50.0, 100.0];
/// Seconds from accepted to delivered: a lone event takes one round trip, pacing adds at most
/// half a second, and a default TTL ends at 10 s.
const LATENCY_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds of a producer's request: most are answered from memory.
const HTTP_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0, 30.0,
];

metrics! {
    EVENTS_RECEIVED = counter("cuegate_events_received_total", &["transport"],
        "Events that arrived: accepted, rejected and duplicates together.");
    EVENTS_ACCEPTED = counter("cuegate_events_accepted_total", CHANNEL,
        "Events taken into a queue.");
    EVENTS_RECOVERED = counter("cuegate_events_recovered_total", CHANNEL,
        "Events found in the journal at start.");
    EVENTS_RELEASED = counter("cuegate_events_released_total", CHANNEL,
        "Events that left this node with their account, when another node took it.");
    EVENTS_REJECTED = counter("cuegate_events_rejected_total", &["code"],
        "Events refused, by the code of the refusal.");
    EVENTS_DUPLICATES = counter("cuegate_events_duplicates_total", CHANNEL,
        "Events whose id was seen within the dedup window.");
    EVENTS_DELIVERED = counter("cuegate_events_delivered_total", CHANNEL,
        "Events in payloads that the API took.");
    EVENTS_MERGED = counter("cuegate_events_merged_total", CHANNEL,
        "Events merged into another event of their key.");
    EVENTS_EXPIRED = counter("cuegate_events_expired_total", CHANNEL,
        "Events whose TTL ended before they were sent.");
    EVENTS_CANCELLED = counter("cuegate_events_cancelled_total", CHANNEL,
        "Events cancelled or purged by a producer.");
    EVENTS_EVICTED = counter("cuegate_events_evicted_total", CHANNEL,
        "Events pushed out of a full queue.");
    EVENTS_DEAD_LETTERED = counter("cuegate_events_dead_lettered_total", &["reason"],
        "Events that can never be delivered, by reason.");
    EVENTS_UNACCOUNTED = gauge("cuegate_events_unaccounted", NONE,
        "accepted + recovered - released - every end - queued, from one snapshot: 0, or there is a bug.");
    QUEUE_EVENTS = gauge("cuegate_queue_events", CHANNEL,
        "Events waiting, scheduled, held and in flight.");
    QUEUE_BYTES = gauge("cuegate_queue_bytes", NONE,
        "Bytes of all queued events.");
    JOURNAL_BYTES = gauge("cuegate_journal_bytes", NONE,
        "Bytes the journal takes on disk.");
    JOURNAL_ERRORS = counter("cuegate_journal_errors_total", NONE,
        "Writes of the journal that failed.");
    JOURNAL_LOST_BLOCKS = counter("cuegate_journal_lost_blocks_total", NONE,
        "Blocks of the journal that were not on its disk when the machine went down (journal.mode os).");
    DEAD_LETTERS = gauge("cuegate_dead_letters", NONE,
        "Dead letters kept, to be replayed or purged.");
    OLDEST_EVENT_AGE = gauge("cuegate_oldest_event_age_seconds", CHANNEL,
        "Age of the oldest queued event, from accepted or its `at`.");
    QUEUE_ETA = gauge("cuegate_queue_eta_seconds", CHANNEL,
        "Estimated time until an event accepted now leaves.");
    PUT_METADATA_CALLS = counter("cuegate_put_metadata_calls_total", &["account", "region", "outcome"],
        "Calls to PutMetadata, by how they ended.");
    PUT_METADATA_DURATION = histogram("cuegate_put_metadata_duration_seconds", NONE, CALL_SECONDS,
        "Time from the start of a call to its answer, or to when it was given up.");
    PAYLOAD_SIZE = histogram("cuegate_payload_size_bytes", NONE, PAYLOAD_BYTES,
        "Bytes of a delivered payload, in UTF-8.");
    PAYLOAD_PLAIN_BYTES = counter("cuegate_payload_plain_bytes_total", CHANNEL,
        "Bytes of delivered payloads before they were compressed, in UTF-8.");
    STATE_KEYS = gauge("cuegate_state_keys", CHANNEL,
        "Keys of the state that keyframes keep.");
    STATE_PAYLOADS = counter("cuegate_state_payloads_total", CHANNEL,
        "Delivered payloads with nothing but state.");
    STATE_ENTRIES = counter("cuegate_state_entries_total", CHANNEL,
        "Entries of the state in delivered payloads, those of events included.");
    STATE_EVICTED = counter("cuegate_state_evicted_total", CHANNEL,
        "Keys that left the state for want of room (state_max_keys, state_max_bytes).");
    PAYLOAD_EVENTS_COUNT = histogram("cuegate_payload_events", NONE, PAYLOAD_EVENTS,
        "Items of a delivered payload.");
    DELIVERY_LATENCY = histogram("cuegate_delivery_latency_seconds", NONE, LATENCY_SECONDS,
        "Time from accepted, or `at`, to delivered, per event.");
    ACCOUNT_TOKENS_AVAILABLE = gauge("cuegate_account_tokens_available", ACCOUNT,
        "Calls the account could make at once.");
    ACCOUNT_TOKENS_LIMIT = gauge("cuegate_account_tokens_limit", ACCOUNT,
        "Calls the account may make in any one second.");
    ACCOUNT_UP = gauge("cuegate_account_up", ACCOUNT,
        "1 if calls can be made with the account's credentials, as far as is known; else 0.");
    CLUSTER_OWNER = gauge("cuegate_cluster_owner", ACCOUNT,
        "1 if this node takes the account's events and makes its calls; else another node does. Always 1 without a cluster.");
    CLUSTER_NODES = gauge("cuegate_cluster_nodes", NONE,
        "Nodes of the cluster that live, this one included; 0 without a cluster.");
    CLUSTER_FORWARDED = counter("cuegate_cluster_forwarded_events_total", NONE,
        "Events that this node handed to the node that has their account.");
    CLUSTER_FORWARD_DURATION = histogram("cuegate_cluster_forward_duration_seconds", NONE,
        HTTP_SECONDS, "Time until another node answered for events, holds included.");
    CLUSTER_TAKES = counter("cuegate_cluster_takes_total", &["reason"],
        "Accounts that this node took, by whether their last owner had released them or was lost.");
    CLUSTER_FENCED_COMMITS = counter("cuegate_cluster_fenced_commits_total", NONE,
        "Commits that wrote nothing, because another node had taken the account.");
    CLUSTER_DOUBTFUL_COMMITS = counter("cuegate_cluster_doubtful_commits_total", NONE,
        "Commits whose answer is missing, or which the database has and its standby may not; they are sent again.");
    CLUSTER_COMMIT_DURATION = histogram("cuegate_cluster_log_commit_duration_seconds", NONE,
        HTTP_SECONDS, "Time of a commit in the database, those sent again included.");
    WEBHOOK_DELIVERED = counter("cuegate_webhook_ends_delivered_total", &["webhook"],
        "Ends of events that a webhook's endpoint took.");
    WEBHOOK_DROPPED = counter("cuegate_webhook_ends_dropped_total", &["webhook"],
        "Ends of events that a webhook was not told: too many waited, or their request was given up.");
    WEBHOOK_FAILED = counter("cuegate_webhook_requests_failed_total", &["webhook"],
        "Requests to a webhook's endpoint that failed, each attempt counted.");
    WEBHOOK_DURATION = histogram("cuegate_webhook_duration_seconds", NONE, HTTP_SECONDS,
        "Time until a webhook's endpoint answered, or until the attempt failed.");
    CHANNEL_TOKENS_AVAILABLE = gauge("cuegate_channel_tokens_available", CHANNEL,
        "Calls the channel could make at once.");
    CHANNEL_STATE = gauge("cuegate_channel_state", &["channel", "state"],
        "How many channels under this label are in the state: 1 or 0 for an alias.");
    CHANNEL_PAUSED = gauge("cuegate_channel_paused_seconds", CHANNEL,
        "How long the channel has been paused, over restarts too; 0 if it is not.");
    CONNECTIONS = gauge("cuegate_connections", &["transport"],
        "Open connections of producers.");
    HTTP_REQUEST_DURATION = histogram("cuegate_http_request_duration_seconds", &["route", "status"],
        HTTP_SECONDS, "Time to answer a request of a producer.");
    CONFIG_LAST_RELOAD_SUCCESSFUL = gauge("cuegate_config_last_reload_successful", NONE,
        "1 if the last load of the configuration was applied, 0 if it was refused.");
    TLS_CERTIFICATE_EXPIRY = gauge("cuegate_tls_certificate_expiry_timestamp_seconds", NONE,
        "When the certificate of the producers' address ends, in seconds since the Unix epoch; 0 without TLS.");
    UPSTREAM_INFO = gauge("cuegate_upstream_info", &["mode"],
        "1 for the upstream in use: local is the emulator, aws the real API.");
    BUILD_INFO = gauge("cuegate_build_info", &["version"],
        "1 for the version that runs.");
    PROCESS_CPU_SECONDS = counter("process_cpu_seconds_total", NONE,
        "User and system CPU time spent, in seconds.");
    PROCESS_RESIDENT_MEMORY = gauge("process_resident_memory_bytes", NONE,
        "Resident memory, in bytes.");
    PROCESS_VIRTUAL_MEMORY = gauge("process_virtual_memory_bytes", NONE,
        "Virtual memory, in bytes.");
    PROCESS_OPEN_FDS = gauge("process_open_fds", NONE,
        "Open file descriptors.");
    PROCESS_MAX_FDS = gauge("process_max_fds", NONE,
        "Most file descriptors the process may open.");
    PROCESS_THREADS = gauge("process_threads", NONE,
        "Threads of the process.");
    PROCESS_START_TIME = gauge("process_start_time_seconds", NONE,
        "When the process started, in seconds since the Unix epoch.");
}
