//! What the gateway says of its channels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::limits::PAGE;
use crate::transport::{channel_path, segment};

/// Where payloads go, and a list of channels.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Channels {
    /// The channels, by name.
    pub channels: Vec<Channel>,
    /// What to ask for after these; `None`: there are no more.
    pub next: Option<String>,
    /// Where payloads go.
    pub upstream: Upstream,
}

/// Where payloads go.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Upstream {
    /// `local` or `aws`.
    pub mode: String,
    /// The emulator's address in local mode.
    pub local_ivs: Option<String>,
}

/// The status of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Channel {
    /// Its alias, or the ARN of one that is not listed.
    #[serde(rename = "channel")]
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it is listed: `file`, `api` or `unlisted`; empty: the gateway is older than that.
    #[serde(default)]
    pub source: String,
    /// What it was made of, if the API made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<serde_json::Value>,
    /// `live`, `offline`, `paused` or `failing`.
    pub state: String,
    /// Events in the queue: waiting, scheduled, held and in flight.
    pub queued: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long the queue takes at the present pace, in milliseconds; `None` while the channel is
    /// paused or offline.
    pub eta_ms: Option<u64>,
    /// Age of the oldest event that is due, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// For how long the channel has been paused, in milliseconds.
    pub paused_ms: Option<u64>,
    /// Calls that could be made now.
    pub tokens: Tokens,
    /// The limits in force.
    pub limits: Limits,
    /// The last call that failed.
    pub last_error: Option<LastError>,
    /// Events since the gateway's start.
    pub totals: Totals,
}

/// Calls that a channel may make.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tokens {
    /// Now.
    pub available: u32,
    /// In any second.
    pub limit: u32,
}

/// The limits in force for a channel. What an older gateway does not tell is 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Calls a second of the channel.
    pub channel_tps: u64,
    /// Calls a second of its account.
    pub account_tps: u64,
    /// Largest payload, in bytes.
    pub payload_max_bytes: u64,
    /// Most events in the queue.
    pub queue_max_events: u64,
    /// Most bytes in the queue.
    pub queue_max_bytes: u64,
    /// Time to live of events that have none of their own.
    pub ttl_ms: u64,
    /// `cue`, `array` or `raw`.
    pub envelope: String,
}

/// A call that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastError {
    /// The API's name for it, where it gave one.
    pub code: Option<String>,
    /// The HTTP status, where there was a response.
    pub status: Option<u16>,
    /// What was said.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Events of a channel since the gateway's start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Totals {
    /// Taken in.
    pub accepted: u64,
    /// Brought back from the journal at the start.
    pub recovered: u64,
    /// Gone to another node with their account.
    pub released: u64,
    /// Refused as seen before.
    pub duplicates: u64,
    /// Delivered.
    pub delivered: u64,
    /// Merged into another.
    pub merged: u64,
    /// Expired in the queue.
    pub expired: u64,
    /// Cancelled or purged.
    pub cancelled: u64,
    /// Put out of the queue for another.
    pub evicted: u64,
    /// Given up, by reason.
    pub dead_lettered: BTreeMap<String, u64>,
}

impl Client {
    /// Returns the status of a channel, by alias or ARN.
    ///
    /// # Errors
    /// `unknown_channel`, and what any request can fail with.
    pub async fn status(&self, channel: &str) -> Result<Channel, Error> {
        self.transport().get(&channel_path(channel, "")).await
    }

    /// Returns at most 1000 channels, those whose names come after `after`.
    ///
    /// # Errors
    /// What any request can fail with.
    pub async fn channels_page(&self, after: Option<&str>) -> Result<Channels, Error> {
        let after = after.map_or(String::new(), |after| format!("&after={}", segment(after)));
        let path = format!("/v1/channels?limit={PAGE}{after}");
        self.transport().get(&path).await
    }

    /// Returns all channels that the key may read, page after page: about 1 KB each.
    ///
    /// # Errors
    /// As [`channels_page`](Self::channels_page).
    pub async fn channels(&self) -> Result<Channels, Error> {
        let mut all = self.channels_page(None).await?;
        while let Some(next) = all.next.take() {
            let page = self.channels_page(Some(&next)).await?;
            all.channels.extend(page.channels);
            all.next = page.next;
        }
        Ok(all)
    }
}
