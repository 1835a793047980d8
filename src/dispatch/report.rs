//! What operators are told: how a channel and an account stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{DeadLetterReason, Ledger, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::channel::{Account, Channel};
use super::definitions::ListedBy;
use super::last_error::LastError;
use super::shared::Shared;
use crate::config::Settings;
use crate::telemetry::ChannelState;

/// The answer of `GET /v1/channels/{channel}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChannelReport {
    /// The alias, or the ARN of an unlisted channel.
    #[schema(value_type = String)]
    pub channel: Arc<str>,
    /// The ARN.
    pub arn: String,
    /// Where it is listed: `file` (the configuration), `api`, or `unlisted`.
    pub source: &'static str,
    /// What it was made of, if the API made it: the ARN and the settings that differ from the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub definition: Option<Box<RawValue>>,
    /// The channel's state.
    #[schema(value_type = ChannelState)]
    pub state: &'static str,
    /// Events queued: waiting, scheduled, held and in flight.
    pub queued: usize,
    /// Bytes of their data, types, keys and ids.
    pub bytes: usize,
    /// How long the backlog takes at the present pace, after any backoff, in ms; null while paused or offline.
    #[schema(required = true)]
    pub eta_ms: Option<u64>,
    /// Age of the oldest event that is due, in ms.
    #[schema(required = true)]
    pub oldest_age_ms: Option<u64>,
    /// How long an operator has had it paused, in ms.
    #[schema(required = true)]
    pub paused_ms: Option<u64>,
    /// Calls that could be made now.
    pub tokens: Tokens,
    /// The limits in force.
    pub limits: Limits,
    /// The last call that failed.
    #[schema(required = true)]
    pub last_error: Option<LastError>,
    /// Events since the start.
    pub totals: Totals,
}

/// Tokens of a bucket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// Tokens that are free now.
    pub available: u32,
    /// Tokens in all.
    pub limit: u32,
}

/// The limits in force for a channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limits {
    channel_tps: u32,
    account_tps: u32,
    payload_max_bytes: usize,
    queue_max_events: usize,
    queue_max_bytes: usize,
    ttl_ms: u32,
    envelope: &'static str,
}

/// Events of a channel since the start, and how they ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Totals {
    accepted: u64,
    recovered: u64,
    released: u64,
    duplicates: u64,
    delivered: u64,
    merged: u64,
    expired: u64,
    cancelled: u64,
    evicted: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    dead_lettered: BTreeMap<&'static str, u64>,
}

impl Totals {
    fn of(ledger: &Ledger) -> Self {
        let dead = DeadLetterReason::ALL.iter().zip(ledger.dead_lettered);
        Self {
            accepted: ledger.accepted,
            recovered: ledger.recovered,
            released: ledger.released,
            duplicates: ledger.duplicates,
            delivered: ledger.delivered,
            merged: ledger.merged,
            expired: ledger.expired,
            cancelled: ledger.cancelled,
            evicted: ledger.evicted,
            dead_lettered: dead.map(|(reason, count)| (reason.name(), count)).collect(),
        }
    }
}

impl Channel {
    /// Its alias, or the ARN of an unlisted channel.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.alias().unwrap_or_else(|| self.arn.as_str().into())
    }
}

impl ChannelReport {
    pub(super) fn of(shared: &Shared, settings: &Settings, channel: &Arc<Channel>) -> Self {
        let now = shared.clock.now();
        let status = channel.account.channel_status(now, channel.id);
        let rules = settings.account_policy(&channel.account.id, &channel.account.region);
        let by = channel.listed_by();
        channel.with(shared, |state| {
            let depth = state.queue.depth(now);
            let policy = state.queue.policy();
            Self {
                channel: channel.name(),
                arn: channel.arn.to_string(),
                source: source(by),
                definition: match (by, state.definition.get()) {
                    (Some(ListedBy::Api), Some(it)) => {
                        RawValue::from_string((*it.settings).to_owned()).ok()
                    }
                    _ => None,
                },
                state: state.shown(status.health).label(),
                paused_ms: state.paused().map(|since| now.since(since).millis_ceil()),
                queued: depth.events,
                bytes: depth.bytes,
                eta_ms: (!state.is_held()).then(|| depth.leaves_in.millis_ceil()),
                oldest_age_ms: depth.oldest.map(|oldest| now.since(oldest).millis_ceil()),
                tokens: Tokens {
                    available: status.tokens_available,
                    limit: status.tokens_limit,
                },
                limits: Limits {
                    channel_tps: rules.channel_tps,
                    account_tps: rules.account_tps,
                    payload_max_bytes: state.queue.payload_max(),
                    queue_max_events: policy.queue_max_events,
                    queue_max_bytes: policy.queue_max_bytes,
                    ttl_ms: policy.ttl_ms,
                    envelope: policy.envelope.name(),
                },
                last_error: state.last_error.as_deref().cloned(),
                totals: Totals::of(state.queue.ledger()),
            }
        })
    }
}

/// Where a channel is listed, as it is called.
const fn source(by: Option<ListedBy>) -> &'static str {
    match by {
        Some(ListedBy::File) => "file",
        Some(ListedBy::Api) => "api",
        None => "unlisted",
    }
}

/// How an account stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountReport {
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// Whether it can send.
    pub up: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Calls that could be made now.
    pub tokens: Tokens,
}

impl AccountReport {
    pub(super) fn of(now: Time, account: &Account) -> Self {
        let status = account.status(now);
        let reason = account.trouble().or_else(|| {
            status
                .circuit_open
                .then(|| "most calls fail: one call at a time probes".to_owned())
        });
        Self {
            account: account.id.clone(),
            region: account.region.clone(),
            up: reason.is_none(),
            reason,
            tokens: Tokens {
                available: status.tokens_available,
                limit: status.tokens_limit,
            },
        }
    }
}
