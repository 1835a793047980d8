//! The state of a channel towards the API, and how long it stays quiet after bad news.
//!
//! Two kinds of bad news: calls that fail back off exponentially with full jitter, and a
//! stream that is not live is probed now and then. This file knows nothing of tokens, of
//! other channels, or of what becomes of the payload.

use super::signs::Signs;
use crate::call::{Health, Outcome, Rejection};
use crate::time::{Span, Time};

/// The most that the first retry waits; doubles with every further failure.
const BACKOFF_BASE: Span = Span::from_millis(200);
/// The most that any retry waits.
const BACKOFF_CAP: Span = Span::from_millis(10_000);
/// The wait before the first probe of an offline stream; doubles with every further one.
const PROBE_BASE: Span = Span::from_millis(1000);
/// A stream that stays offline is probed about once in this time: an event's default TTL.
const PROBE_CAP: Span = Span::from_millis(10_000);
/// The share of a probe's wait that jitter may take away: an eighth, so that channels which
/// went offline together are not probed together.
const PROBE_JITTER: u64 = 8;

/// How long bad news counts at least after the call that brought it. The wait before the next
/// call counts in any case, so a channel that comes again later could have called anyway: what
/// is forgotten is only how long the waits after that would be.
const LAPSE: Span = Span::from_millis(2000);

/// How a channel fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// Its state.
    pub(super) health: Health,
    /// Failures in a row, or probes in a row that found nothing.
    attempts: u32,
    /// Not before this moment may it call.
    pub(super) not_before: Time,
    /// When the last call brought bad news.
    since: Time,
    /// What is said of an offline stream.
    pub(super) signs: Signs,
}

impl Condition {
    /// A call ended. `random` is uniform over all of `u64`.
    pub(super) fn after(&mut self, now: Time, outcome: Outcome, random: u64) {
        match outcome {
            Outcome::Delivered => *self = Self::default(),
            Outcome::Offline => {
                self.worse(now, Health::Offline, random);
                self.signs.found_offline(now);
            }
            Outcome::Rejected(Rejection::AccessDenied | Rejection::NoSuchChannel) => {
                self.worse(now, Health::Failing, random);
            }
            // What was last known of an offline stream is still all that is known: it
            // stays offline, and its queue keeps treating it so.
            Outcome::Failed | Outcome::Refused | Outcome::Unknown => {
                let health = match self.health {
                    Health::Live | Health::Failing => Health::Failing,
                    Health::Offline => Health::Offline,
                };
                self.worse(now, health, random);
            }
            // The answer was about the payload or the rate. A probe has learnt nothing
            // and is repeated after the same wait.
            Outcome::Throttled(_)
            | Outcome::TooLarge
            | Outcome::Rejected(Rejection::Validation) => {
                if self.health == Health::Offline {
                    self.not_before = now + probe_wait(self.attempts, random);
                }
            }
        }
    }

    /// Somebody says that the offline stream is live: the next probe need not wait.
    pub(super) fn hint_live(&mut self, now: Time) {
        self.signs.noticed_live(now);
        self.hurry();
    }

    /// The list of live streams, asked for at `asked`, has the offline stream.
    pub(super) fn listed(&mut self, asked: Time) {
        if self.signs.listed(asked) {
            self.hurry();
        }
    }

    const fn hurry(&mut self) {
        self.attempts = 0;
        self.not_before = Time::ZERO;
    }

    /// When its bad news stop to count; [`Time::ZERO`] if there are none.
    pub(super) fn lapses(&self) -> Time {
        match self.health {
            Health::Live => Time::ZERO,
            Health::Offline | Health::Failing => self.since + LAPSE,
        }
    }

    fn worse(&mut self, now: Time, health: Health, random: u64) {
        if self.health != health {
            self.attempts = 0;
        }
        self.health = health;
        self.since = now;
        self.attempts = self.attempts.saturating_add(1);
        let wait = match health {
            Health::Live => Span::ZERO,
            Health::Failing => backoff_wait(self.attempts, random),
            Health::Offline => probe_wait(self.attempts, random),
        };
        self.not_before = now + wait;
    }
}

/// Full jitter: uniform in [0, min(cap, base * 2^(attempt - 1))]. Source: Brooker,
/// "Exponential backoff and jitter", AWS Architecture Blog, 2015.
fn backoff_wait(attempt: u32, random: u64) -> Span {
    Span::from_micros(below(
        random,
        doubled(BACKOFF_BASE, attempt, BACKOFF_CAP) + 1,
    ))
}

fn probe_wait(attempt: u32, random: u64) -> Span {
    let wait = doubled(PROBE_BASE, attempt, PROBE_CAP);
    Span::from_micros(wait - below(random, wait / PROBE_JITTER + 1))
}

/// `base * 2^(attempt - 1)`, at most `cap`, in µs.
pub(super) fn doubled(base: Span, attempt: u32, cap: Span) -> u64 {
    let factor = 1_u64
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u64::MAX);
    base.times(factor).min(cap).micros()
}

/// A uniform number below `bound`: the high half of the product (Lemire), whose bias is
/// below 2^-40 for waits of seconds.
fn below(random: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(random) * u128::from(bound)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ThrottleScope;

    const NOW: Time = Time::from_micros(1_000_000_000);

    /// The outcomes in a row, all at `NOW`; then the state, and the shortest and the longest
    /// wait that the random number can lead to, in ms.
    fn check(outcomes: &[Outcome], health: Health, shortest_ms: u64, longest_ms: u64) {
        let waits = [0, u64::MAX].map(|random| {
            let mut condition = Condition::default();
            for outcome in outcomes {
                condition.after(NOW, *outcome, random);
            }
            assert_eq!(condition.health, health, "{outcomes:?}");
            condition.not_before.since(NOW).micros()
        });
        let (shortest, longest) = (waits[0].min(waits[1]), waits[0].max(waits[1]));
        assert_eq!(
            (shortest, longest),
            (shortest_ms * 1000, longest_ms * 1000),
            "{outcomes:?}"
        );
    }

    #[test]
    fn waits() {
        use Outcome::{Delivered, Failed, Refused, TooLarge, Unknown};
        const THROTTLED: Outcome = Outcome::Throttled(ThrottleScope::Unnamed);
        const DENIED: Outcome = Outcome::Rejected(Rejection::AccessDenied);
        const MISSING: Outcome = Outcome::Rejected(Rejection::NoSuchChannel);
        const INVALID: Outcome = Outcome::Rejected(Rejection::Validation);
        const OFFLINE: Outcome = Outcome::Offline;

        check(&[], Health::Live, 0, 0);
        for failure in [Failed, Refused, Unknown, DENIED, MISSING] {
            check(&[failure], Health::Failing, 0, 200);
        }
        for harmless in [Delivered, TooLarge, INVALID, THROTTLED] {
            check(&[harmless], Health::Live, 0, 0);
        }
        check(&[Failed, Unknown], Health::Failing, 0, 400);
        check(
            &[Failed, TooLarge, THROTTLED, INVALID],
            Health::Failing,
            0,
            200,
        );
        check(&[Failed; 6], Health::Failing, 0, 6400);
        check(&[Failed; 7], Health::Failing, 0, 10_000);
        check(&[Failed; 200], Health::Failing, 0, 10_000);
        check(&[Failed, Failed, Delivered], Health::Live, 0, 0);
        check(
            &[Failed, Failed, Delivered, Failed],
            Health::Failing,
            0,
            200,
        );

        check(&[OFFLINE], Health::Offline, 875, 1000);
        check(&[OFFLINE, OFFLINE], Health::Offline, 1750, 2000);
        check(&[OFFLINE; 4], Health::Offline, 7000, 8000);
        check(&[OFFLINE; 9], Health::Offline, 8750, 10_000);
        check(&[OFFLINE, OFFLINE, THROTTLED], Health::Offline, 1750, 2000);
        check(&[OFFLINE, Failed], Health::Offline, 1750, 2000);
        check(&[OFFLINE, DENIED], Health::Failing, 0, 200);
        check(&[Failed, Failed, OFFLINE], Health::Offline, 875, 1000);
        check(&[OFFLINE, OFFLINE, Delivered], Health::Live, 0, 0);
    }
}
