//! The values that labels take where the program knows them all, so that every such series is
//! there at 0 from the start. Values from the configuration (channels, accounts) come in later.

use engine::Outcome;

/// The label of all channels without an alias together.
pub const OTHER_CHANNELS: &str = "_other";
/// The account, and the region, of all accounts that the configuration does not name.
pub const OTHER_ACCOUNTS: &str = "other";
/// The route of requests that none matched.
pub const OTHER_ROUTES: &str = "other";

/// The way an event came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `POST …/events`.
    Http,
    /// `…/ws`.
    WebSocket,
    /// `POST /PutMetadata`: a connection of it counts as [`Transport::Http`].
    PutMetadata,
    /// Another node of the cluster, which a producer sent it to. Its connections are not counted.
    Cluster,
}

impl Transport {
    /// All of them, by their index.
    pub const ALL: [Self; 4] = [
        Self::Http,
        Self::WebSocket,
        Self::PutMetadata,
        Self::Cluster,
    ];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::PutMetadata => "put_metadata",
            Self::Cluster => "cluster",
        }
    }
}

/// How a node came to take an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Nobody owned it: its last owner had released it, or there never was one.
    Released,
    /// Its owner was lost.
    Lost,
}

impl Take {
    /// All of them, by their index.
    pub const ALL: [Self; 2] = [Self::Released, Self::Lost];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

/// The state of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ChannelState {
    /// Calls go through, as far as anyone knows.
    Live,
    /// Its stream is not live.
    Offline,
    /// An operator paused it.
    Paused,
    /// Calls fail.
    Failing,
}

impl ChannelState {
    /// All of them, by their index.
    pub const ALL: [Self; 4] = [Self::Live, Self::Offline, Self::Paused, Self::Failing];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Offline => "offline",
            Self::Paused => "paused",
            Self::Failing => "failing",
        }
    }
}

/// One outcome for each value of `outcome`.
pub const OUTCOMES: [Outcome; 6] = [
    Outcome::Delivered,
    Outcome::Throttled(engine::ThrottleScope::Unnamed),
    Outcome::Offline,
    Outcome::TooLarge,
    Outcome::Failed,
    Outcome::Unknown,
];
