//! What a webhook is told, as JSON.

use serde::Serialize;

use crate::dispatch::{Batch, NamedEnd};
use crate::timestamp::rfc3339;

/// The type of every message, as Standard Webhooks has types.
const TYPE: &str = "events.ended";

#[derive(Serialize)]
struct Message<'b> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'b>,
}

#[derive(Serialize)]
struct Data<'b> {
    ends: Vec<Ended<'b>>,
    #[serde(skip_serializing_if = "is_none")]
    dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(dropped: &u64) -> bool {
    *dropped == 0
}

/// An end as `GET …/ends` has it, and of which channel.
#[derive(Serialize)]
struct Ended<'b> {
    channel: &'b str,
    id: &'b str,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    into: Option<&'b str>,
    at: String,
}

/// The message of a batch that is made at this moment, in ms since 1970.
pub(super) fn body(batch: &Batch, now_ms: u64) -> Vec<u8> {
    let message = Message {
        r#type: TYPE,
        timestamp: rfc3339(i64::try_from(now_ms).unwrap_or(i64::MAX)),
        data: Data {
            ends: batch.ends.iter().map(ended).collect(),
            dropped: batch.dropped,
        },
    };
    // There is nothing in it that JSON does not have.
    serde_json::to_vec(&message).unwrap_or_default()
}

fn ended(named: &NamedEnd) -> Ended<'_> {
    let receipt = &named.receipt;
    Ended {
        channel: &named.channel,
        id: &receipt.id,
        end: receipt.end.name(),
        reason: receipt.end.reason(),
        n: receipt.n,
        into: receipt.into.as_deref(),
        at: rfc3339(receipt.at.micros().div_euclid(1000)),
    }
}
