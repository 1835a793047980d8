//! What a server is started with, checked once when it is bound.

use crate::auth::Keys;
use crate::clock::{Clock, SystemClock};
use crate::events::EventsTarget;
use crate::window::Measure;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// The limits of the API that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rates {
    /// How rates are measured.
    pub measure: Measure,
    /// Calls per second of one channel: 1 to 10,000; AWS's is 5.
    pub channel_tps: u32,
    /// Calls per second of one account in one region: 1 to 10,000; AWS's is 155.
    pub account_tps: u32,
    /// Calls per second of every other operation, account and region: 1 to 10,000; `None`,
    /// the default, for AWS's, which are 3, 5 or 10.
    pub operation_tps: Option<u32>,
    /// The longest metadata, in bytes of UTF-8 once decoded: 1 to 1,024. AWS says "1 KB"
    /// and never whether that is 1,000 or 1,024.
    pub payload_max_bytes: usize,
}

/// The most a rate may be set to, so that a limiter stays below 100 KB.
pub(crate) const MAX_RATE: u32 = 10_000;

/// The most `payload_max_bytes` may be set to.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1_024;

impl Default for Rates {
    fn default() -> Self {
        Self {
            measure: Measure::Sliding,
            channel_tps: 5,
            account_tps: 155,
            operation_tps: None,
            payload_max_bytes: MAX_PAYLOAD_BYTES,
        }
    }
}

impl Rates {
    pub(crate) fn check(self) -> Result<Self, String> {
        for (name, rate) in [
            ("channel_tps", self.channel_tps),
            ("account_tps", self.account_tps),
        ] {
            check_tps(name, rate)?;
        }
        if let Some(rate) = self.operation_tps {
            check_tps("operation_tps", rate)?;
        }
        check_payload_max_bytes(self.payload_max_bytes)?;
        Ok(self)
    }
}

pub(crate) fn check_tps(name: &str, rate: u32) -> Result<(), String> {
    if (1..=MAX_RATE).contains(&rate) {
        Ok(())
    } else {
        Err(format!("{name} must be 1 to {MAX_RATE}, not {rate}"))
    }
}

pub(crate) fn check_payload_max_bytes(bytes: usize) -> Result<(), String> {
    if (1..=MAX_PAYLOAD_BYTES).contains(&bytes) {
        Ok(())
    } else {
        Err(format!(
            "payload_max_bytes must be 1 to {MAX_PAYLOAD_BYTES}, not {bytes}"
        ))
    }
}

/// Where the playback URLs of channels lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlaybackUrl {
    /// To the server's own address, where every live channel can be played. If it listens on all of the
    /// machine's addresses, to loopback.
    #[default]
    Emulator,
    /// They have the form of the real ones, and lead nowhere.
    Real,
}

/// Everything a server is started with.
#[derive(Clone)]
pub struct Options {
    /// Who may call; the default is access key `test`, secret `test`, account 000000000000.
    pub keys: Keys,
    /// The limits; the defaults are AWS's.
    pub rates: Rates,
    /// ARNs of channels that are live from the start; none by default.
    pub live_channels: Vec<String>,
    /// The server's clock; the machine's by default.
    pub clock: Arc<dyn Clock>,
    /// Where resources and sessions are kept beyond a restart; in memory only by default.
    /// What the API and `/_local/ingest` answered is there even after a kill; what the rest of
    /// `/_local/` and [`State`]'s methods changed is there a moment later. Live streams end with the server.
    ///
    /// [`State`]: crate::State
    pub data_dir: Option<PathBuf>,
    /// Where the randomness of identifiers starts, and of faults that bring no seed of their
    /// own; 0 by default. With a data directory, identifiers go on where they stopped.
    pub seed: u64,
    /// Where stream state changes are posted as `EventBridge` would; nowhere by default.
    pub events: Option<EventsTarget>,
    /// Names that requests below `/_local/` may be for, beside this machine's own; none by default.
    pub allow_hosts: Vec<String>,
    /// The address that encoders stream to, by RTMP; none by default. Without TLS: it stands for the `rtmps` ingest
    /// endpoint of the real one.
    pub ingest: Option<String>,
    /// Where playback URLs lead; to the server itself by default. Channels that were made before follow.
    pub playback_url: PlaybackUrl,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            rates: Rates::default(),
            live_channels: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            data_dir: None,
            seed: 0,
            events: None,
            allow_hosts: Vec::new(),
            ingest: None,
            playback_url: PlaybackUrl::default(),
        }
    }
}
