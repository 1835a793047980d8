//! The account's policy and the measured round trip, and the spans that follow from them.
//!
//! Every formula with L in it stands here, once.

use crate::policy::AccountPolicy;
use crate::time::{Span, Time};

/// What all channels of the account go by.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) policy: AccountPolicy,
    /// Smoothed round trip, none before the first answer.
    round_trip: Option<Span>,
}

impl Timing {
    /// The rules before the first call.
    pub(super) const fn new(policy: AccountPolicy) -> Self {
        Self {
            policy,
            round_trip: None,
        }
    }

    /// An answer came: an eighth of the news, as TCP smooths it (RFC 6298, section 2).
    pub(super) fn answered(&mut self, sent: Time, now: Time) {
        let sample = now.since(sent).micros();
        let smoothed = self
            .round_trip
            .map_or(sample, |old| (old.micros() * 7 + sample) / 8);
        self.round_trip = Some(Span::from_micros(smoothed));
    }

    /// The smoothed round trip; zero before the first answer.
    pub(super) fn round_trip(&self) -> Span {
        self.round_trip.unwrap_or(Span::ZERO)
    }

    /// From the last moment a call may be handled to its token's return: 1 s + grace.
    pub(super) fn window(&self) -> Span {
        Span::SECOND + self.policy.grace
    }

    /// How long a token is usually out: L = 1 s + smoothed round trip + grace.
    pub(super) fn cycle(&self) -> Span {
        self.window() + self.round_trip()
    }

    /// Tokens of a channel: K, at least 1.
    pub(super) fn channel_tokens(&self) -> usize {
        self.policy.channel_tps.max(1) as usize
    }

    /// Tokens of the account, at least 1.
    pub(super) fn account_tokens(&self) -> usize {
        self.policy.account_tps.max(1) as usize
    }

    /// The time between a channel's calls at its full rate: L/K.
    pub(super) fn channel_interval(&self) -> Span {
        Span::from_micros(self.cycle().micros() / self.channel_tokens() as u64)
    }

    /// The time between the account's calls at its full rate.
    pub(super) fn account_interval(&self) -> Span {
        Span::from_micros(self.cycle().micros() / self.account_tokens() as u64)
    }

    /// The most leases that failing channels hold together: a tenth, at least one.
    pub(super) fn failing_leases(&self) -> usize {
        (self.account_tokens() / 10).max(1)
    }

    /// The most leases that offline channels hold together: a quarter of what the busy live
    /// channels cannot use, at least a tenth of all, at least one. A probe is spare at its
    /// moment, but its lease outlives it: without this bound the probes of many offline
    /// channels took a quarter of a saturated account (measured), and with no share at all
    /// nobody would notice that their streams are live again.
    pub(super) fn probe_leases(&self, busy: usize) -> usize {
        let usable = self.channel_tokens().saturating_mul(busy);
        let spare = self.account_tokens().saturating_sub(usable);
        (spare / 4).max(self.account_tokens() / 10).max(1)
    }
}
