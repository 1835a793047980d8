//! The pace of a scope after the API said that it was called too often.
//!
//! That should not happen: the leases keep us within the documented rates. It does when
//! others share the account or the documents are wrong, and then calling slower is the only
//! remedy: half the rate, half again, and back by a tenth a second. Tokens are untouched.

use super::steady::Pace;
use crate::call::ChannelId;
use crate::time::{Span, Time};

/// The full rate, in thousandths.
const FULL: u64 = 1000;
/// What comes back with every second without a throttle.
const RECOVERY: u64 = FULL / 10;
/// A channel is never slowed down beyond one call in this time.
pub(super) const CHANNEL_FLOOR: Span = Span::from_millis(2000);
/// An account is never slowed down beyond one call in this time: five a second.
pub(super) const ACCOUNT_FLOOR: Span = Span::from_millis(200);

/// The widened pace of a channel or an account.
#[derive(Debug)]
pub(super) struct Throttle {
    pace: Pace,
    /// The rate at `throttled`, in thousandths of the full one.
    share: u64,
    /// The last throttle; the recovery counts from here.
    throttled: Time,
    /// The last halving: at most one a second, for calls that were sent at the old rate
    /// are still being answered.
    halved: Time,
}

impl Throttle {
    /// The first throttle: half the rate. `full` is the time between calls at the full
    /// rate, `floor` at the lowest.
    pub(super) fn new(now: Time, full: Span, floor: Span) -> Self {
        let share = halved(FULL, full, floor);
        Self {
            pace: Pace::after_call(now, slowed(full, share)),
            share,
            throttled: now,
            halved: now,
        }
    }

    /// A further throttle. The call that was refused counts as one made now, so that its
    /// retry waits for a whole interval.
    pub(super) fn again(&mut self, now: Time, full: Span, floor: Span) {
        self.share = self.share_at(now);
        if now.since(self.halved) >= Span::SECOND {
            self.share = halved(self.share, full, floor);
            self.halved = now;
        }
        self.throttled = now;
        self.pace.call(now, slowed(full, self.share));
    }

    /// A call is made now.
    pub(super) fn call(&mut self, now: Time, full: Span) {
        let interval = slowed(full, self.share_at(now));
        self.pace.call(now, interval);
    }

    /// The next call is allowed from this moment on.
    pub(super) const fn next(&self) -> Time {
        self.pace.next()
    }

    /// The time between two calls at present.
    pub(super) const fn interval(&self) -> Span {
        self.pace.interval()
    }

    /// When it has recovered and can be forgotten.
    pub(super) fn over(&self) -> Time {
        let seconds = FULL.saturating_sub(self.share).div_ceil(RECOVERY);
        (self.throttled + Span::SECOND.times(seconds)).max(self.pace.next())
    }

    fn share_at(&self, now: Time) -> u64 {
        let seconds = now.since(self.throttled).micros() / Span::SECOND.micros();
        self.share
            .saturating_add(RECOVERY.saturating_mul(seconds))
            .min(FULL)
    }
}

/// Half the share, not below the floor. The floor is at most one half itself: the first
/// throttle widens any pace, a slow one too.
fn halved(share: u64, full: Span, floor: Span) -> u64 {
    let lowest = full.times(FULL).micros().div_ceil(floor.micros().max(1));
    (share / 2).max(lowest.min(FULL / 2))
}

fn slowed(full: Span, share: u64) -> Span {
    Span::from_micros(full.times(FULL).micros() / share.max(1))
}

/// Channels that were throttled by messages that named nothing.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// Different channels, at most two: the third empties the list.
    recent: Vec<(Time, ChannelId)>,
}

impl Unnamed {
    /// A channel was throttled: whether it is the third within a second, so that the
    /// account must be meant.
    pub(super) fn is_third(&mut self, now: Time, channel: ChannelId) -> bool {
        self.recent
            .retain(|(at, other)| now.since(*at) < Span::SECOND && *other != channel);
        self.recent.push((now, channel));
        let third = self.recent.len() >= 3;
        if third {
            self.recent.clear();
        }
        third
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    /// Throttles at these moments; then the interval of a call made at `call_ms`, and the
    /// moment it is over.
    fn check(
        floor: Span,
        full_ms: u64,
        throttles_ms: &[u64],
        call_ms: u64,
        interval_ms: u64,
        over_ms: u64,
    ) {
        let full = Span::from_millis(full_ms);
        let mut throttle = Throttle::new(at(throttles_ms[0]), full, floor);
        for ms in &throttles_ms[1..] {
            throttle.again(at(*ms), full, floor);
        }
        assert_eq!(throttle.over(), at(over_ms), "over, after {throttles_ms:?}");
        throttle.call(at(call_ms), full);
        assert_eq!(
            throttle.interval().millis_ceil(),
            interval_ms,
            "{throttles_ms:?}, call at {call_ms}"
        );
    }

    #[test]
    fn halves_and_recovers() {
        // Half, and a tenth back every second.
        check(CHANNEL_FLOOR, 210, &[0], 400, 420, 5000);
        check(CHANNEL_FLOOR, 210, &[0], 1000, 350, 5000);
        check(CHANNEL_FLOOR, 210, &[0], 5000, 210, 5000);
        // Two within a second halve once, but the recovery starts over.
        check(CHANNEL_FLOOR, 210, &[0, 900], 1000, 420, 5900);
        // A second later: 600 thousandths have come back, and are halved.
        check(CHANNEL_FLOOR, 210, &[0, 1000], 1000, 700, 8000);
        // The floor of one call in 2 s.
        let every_second = [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000];
        check(CHANNEL_FLOOR, 210, &every_second, 7000, 2000, 16_000);
        check(CHANNEL_FLOOR, 800, &[0, 1000, 2000, 3000], 3000, 2000, 9000);
        check(CHANNEL_FLOOR, 1100, &[0, 1000], 1000, 2200, 6000);
        check(ACCOUNT_FLOOR, 7, &[0], 400, 14, 5000);
    }

    #[test]
    fn the_third_channel_in_a_second_means_the_account() {
        let mut unnamed = Unnamed::default();
        for (ms, channel, third) in [
            (0, 1, false),
            (100, 2, false),
            (200, 1, false),
            (300, 2, false),
            (900, 3, true),
            (910, 4, false),
            (920, 5, false),
            (1950, 6, false),
        ] {
            assert_eq!(
                unnamed.is_third(at(ms), ChannelId(channel)),
                third,
                "{channel} at {ms}"
            );
        }
    }
}
