//! One call every so often: governor's GCRA with burst 1, on a clock that we set.
//!
//! For `steady` pacing and for what follows a throttle. It only ever adds to the wait: the
//! leased tokens apply beside it. (With burst 5 the GCRA lets 9 calls into one second, so
//! alone it keeps no promise.) This file reads no clock and decides no rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::time::{Span, Time};

/// The clock that governor reads: the last moment that we were told, in nanoseconds.
/// An atomic only because governor reads it by shared reference.
#[derive(Debug)]
struct Told(AtomicU64);

impl Told {
    fn tell(&self, now: Time) {
        self.0
            .store(now.micros().saturating_mul(1000), Ordering::Relaxed);
    }
}

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>;

/// A pace: at most one call per interval.
#[derive(Debug)]
pub(super) struct Pace {
    limiter: Limiter,
    interval: Span,
    next: Time,
}

impl Pace {
    /// The pace after a call made now.
    pub(super) fn after_call(now: Time, interval: Span) -> Self {
        let clock = Told(AtomicU64::new(0));
        clock.tell(now);
        let quota = Quota::with_period(interval.as_duration())
            .unwrap_or(Quota::per_second(std::num::NonZeroU32::MAX))
            .allow_burst(std::num::NonZeroU32::MIN);
        let mut pace = Self {
            limiter: RateLimiter::direct_with_clock(quota, clock),
            interval,
            next: now,
        };
        pace.spend(now);
        pace
    }

    /// A call is made now, the one after it at least `interval` later. governor's quota is
    /// fixed when it is built; with burst 1 a new limiter loses nothing of the old one.
    pub(super) fn call(&mut self, now: Time, interval: Span) {
        if interval == self.interval {
            self.spend(now);
        } else {
            *self = Self::after_call(now, interval);
        }
    }

    /// The next call is allowed from this moment on.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// The time between two calls.
    pub(super) const fn interval(&self) -> Span {
        self.interval
    }

    fn spend(&mut self, now: Time) {
        self.limiter.clock().tell(now);
        // The first check takes the cell; the second is refused, takes nothing, and says
        // when the next one is due. With burst 1 there is no third case.
        let _ = self.limiter.check();
        if let Err(until) = self.limiter.check() {
            let wait = until.wait_time_from(self.limiter.clock().now());
            self.next = now + Span::from_micros(micros_ceil(wait));
        }
    }
}

fn micros_ceil(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_an_interval() {
        let at = |ms: u64| Time::from_micros(ms * 1000);
        let mut pace = Pace::after_call(at(500), Span::from_millis(210));
        assert_eq!(pace.next(), at(710));
        // Late by 90 ms: what was missed is not made up for.
        pace.call(at(800), Span::from_millis(210));
        assert_eq!(pace.next(), at(1010));
        // A new rate.
        pace.call(at(1010), Span::from_millis(420));
        assert_eq!(
            (pace.next(), pace.interval()),
            (at(1430), Span::from_millis(420))
        );
        // An interval of nothing is no limit, not a panic.
        pace.call(at(2000), Span::ZERO);
        assert!(pace.next() <= at(2001));
    }
}
