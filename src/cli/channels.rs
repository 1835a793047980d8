//! What the gateway says of its channels, as a client reads it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Error;
use super::http::{Session, segment};

/// Channels asked for at a time: the most the gateway gives.
const PAGE: usize = 1000;

/// A page of `GET /v1/channels`.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) channels: Vec<Channel>,
    pub(super) next: Option<String>,
    /// Where payloads go.
    pub(super) upstream: Upstream,
}

/// Where payloads go.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Upstream {
    /// `local` or `aws`.
    pub(super) mode: String,
    /// The emulator's address in local mode.
    pub(super) local_ivs: Option<String>,
}

/// How a channel stands.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Channel {
    /// Its alias, or the ARN of one that is not listed.
    #[serde(rename = "channel")]
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) state: String,
    pub(super) queued: u64,
    pub(super) bytes: u64,
    /// None while it is paused or offline.
    pub(super) eta_ms: Option<u64>,
    pub(super) tokens: Tokens,
    pub(super) limits: Limits,
    pub(super) last_error: Option<LastError>,
    pub(super) totals: Totals,
}

/// Tokens of a channel.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) available: u32,
    pub(super) limit: u32,
}

/// The limits that matter to a client.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Limits {
    pub(super) channel_tps: u64,
    pub(super) account_tps: u64,
    pub(super) payload_max_bytes: u64,
    pub(super) ttl_ms: u64,
}

/// The last call that failed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LastError {
    pub(super) code: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) message: String,
}

/// Events of a channel since the gateway's start.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Totals {
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) merged: u64,
    pub(super) expired: u64,
    pub(super) cancelled: u64,
    pub(super) evicted: u64,
    pub(super) dead_lettered: BTreeMap<String, u64>,
}

/// Where payloads go, and every channel, by name.
pub(super) async fn list(session: &Session) -> Result<(Upstream, Vec<Channel>), Error> {
    let mut channels = Vec::new();
    let mut after = String::new();
    loop {
        let page: Page = session
            .get(&format!("/v1/channels?limit={PAGE}{after}"))
            .await?;
        channels.extend(page.channels);
        match page.next {
            Some(next) => after = format!("&after={}", segment(&next)),
            None => return Ok((page.upstream, channels)),
        }
    }
}

/// One channel, by alias or ARN.
pub(super) async fn status(session: &Session, channel: &str) -> Result<Channel, Error> {
    session
        .get(&format!("/v1/channels/{}", segment(channel)))
        .await
}
