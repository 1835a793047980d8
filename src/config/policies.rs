//! The keys that make up the engine's policies, over the policy they refine: the engine's own
//! defaults, or what an outer section said.

use std::ops::RangeInclusive;
use std::time::Duration;

use engine::{
    AccountPolicy, ChannelPolicy, Envelope, EnvelopeFields, Offline, OnUnknown, Overflow, Pacing,
    Span,
};

use super::bounds;
use super::reader::{Table, choose};

/// The rates of `quota` and of an account's own table.
pub(super) fn rates(t: &mut Table<'_, '_>, base: &AccountPolicy) -> AccountPolicy {
    AccountPolicy {
        channel_tps: t.number("channel_tps", bounds::CHANNEL_TPS, base.channel_tps),
        account_tps: t.number("account_tps", bounds::ACCOUNT_TPS, base.account_tps),
        ..base.clone()
    }
}

/// The keys of `channel_defaults` and of a channel's own table, over `base`.
pub(super) fn channel_policy(t: &mut Table<'_, '_>, base: &ChannelPolicy) -> ChannelPolicy {
    ChannelPolicy {
        envelope: t.choice("envelope", ENVELOPES, base.envelope),
        fields: envelope_fields(t, base.fields),
        ttl_ms: t.number("ttl_ms", bounds::TTL_MS, base.ttl_ms),
        queue_max_events: t.number(
            "queue_max_events",
            bounds::QUEUE_MAX_EVENTS,
            base.queue_max_events,
        ),
        queue_max_bytes: t.number(
            "queue_max_bytes",
            bounds::QUEUE_MAX_BYTES,
            base.queue_max_bytes,
        ),
        overflow: t.choice("overflow", OVERFLOWS, base.overflow),
        offline: t.choice("offline", OFFLINES, base.offline),
        on_unknown: t.choice("on_unknown", ON_UNKNOWNS, base.on_unknown),
        dedup_window: span(
            t,
            "dedup_window_ms",
            bounds::DEDUP_WINDOW_MS,
            base.dedup_window,
        ),
        dedup_max_ids: t.number("dedup_max_ids", bounds::DEDUP_MAX_IDS, base.dedup_max_ids),
        lookahead: base.lookahead,
    }
}

fn envelope_fields(t: &mut Table<'_, '_>, base: EnvelopeFields) -> EnvelopeFields {
    let words = [("type", base.kind), ("key", base.key), ("id", base.id)];
    let default = words
        .iter()
        .filter(|(_, on)| *on)
        .map(|(word, _)| *word)
        .collect();
    let names = words.map(|(word, _)| (word, word));
    let given = t.list("envelope_fields", default, |text| choose(&names, text));
    let has = |word| given.contains(&word);
    EnvelopeFields {
        kind: has("type"),
        key: has("key"),
        id: has("id"),
    }
}

/// The keys of `tuning`: most are the accounts', one is the channels', one the start's.
pub(super) fn tuning(
    t: &mut Table<'_, '_>,
    base: &AccountPolicy,
    channel: &mut ChannelPolicy,
) -> (AccountPolicy, Duration) {
    channel.lookahead = t.number("lookahead", bounds::LOOKAHEAD, channel.lookahead);
    let account = AccountPolicy {
        pacing: t.choice("pacing", PACINGS, base.pacing),
        fair_share: t.share("fair_share", base.fair_share),
        grace: span(t, "grace_ms", bounds::GRACE_MS, base.grace),
        abandon: span(t, "abandon_ms", bounds::ABANDON_MS, base.abandon),
        max_in_flight_per_channel: t.number(
            "max_in_flight_per_channel",
            bounds::MAX_IN_FLIGHT_PER_CHANNEL,
            base.max_in_flight_per_channel,
        ),
        ..base.clone()
    };
    (
        account,
        t.millis("restart_hold_ms", bounds::RESTART_HOLD_MS, 1500),
    )
}

fn span(
    t: &mut Table<'_, '_>,
    key: &'static str,
    bounds: RangeInclusive<u64>,
    default: Span,
) -> Span {
    Span::from_millis(t.number(key, bounds, default.millis_ceil()))
}

const ENVELOPES: &[(&str, Envelope)] = &[
    ("cue", Envelope::Cue),
    ("array", Envelope::Array),
    ("raw", Envelope::Raw),
];

const OVERFLOWS: &[(&str, Overflow)] = &[
    ("drop_lowest_priority", Overflow::DropLowestPriority),
    ("reject", Overflow::Reject),
    ("drop_oldest", Overflow::DropOldest),
];

const OFFLINES: &[(&str, Offline)] = &[
    ("hold", Offline::Hold),
    ("drop", Offline::Drop),
    ("reject", Offline::Reject),
];

const ON_UNKNOWNS: &[(&str, OnUnknown)] = &[("retry", OnUnknown::Retry), ("drop", OnUnknown::Drop)];

const PACINGS: &[(&str, Pacing)] = &[
    ("spread", Pacing::Spread),
    ("even", Pacing::Even),
    ("steady", Pacing::Steady),
];
