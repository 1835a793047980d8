//! The report: what `GET /_local/report` answers and the gateway's tests hold it to.
//!
//! Only the shape is here; `state` fills it from one snapshot.

use super::{OperationTally, Tally};
use crate::options::Rates;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All calls since the books were opened: those of `PutMetadata` in every detail.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// When the books were opened, in microseconds on the server's clock.
    pub since_us: u64,
    /// When the report was made, on the same clock.
    pub now_us: u64,
    /// The limits in force.
    pub limits: Rates,
    /// Everything together.
    pub all: Tally,
    /// The other operations that were called, as `ivs:GetStream`.
    pub operations: BTreeMap<&'static str, OperationTally>,
    /// By account and region, as `arn:aws:ivs:REGION:ACCOUNT`; those without channels may
    /// be forgotten when there are more than 1,024.
    pub accounts: BTreeMap<Arc<str>, Tally>,
    /// By channel, for the channels that exist.
    pub channels: BTreeMap<Arc<str>, ChannelReport>,
}

/// One channel's part of the report.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelReport {
    /// Its calls.
    #[serde(flatten)]
    pub tally: Tally,
    /// Whether it has a live stream.
    pub live: bool,
    /// The sequence number of its latest payload; 0 if there is none.
    pub last_seq: u64,
    /// Payloads with a lower sequence number are no longer retained; 1 if all are.
    pub dropped_before: u64,
}
