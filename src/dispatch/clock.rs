//! The clocks: the monotonic one drives the engine, the wall's is for `at` and for `n`.
//!
//! The only place that reads them for the engine.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{Span, Time};

/// The engine's clock: µs since the process started.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    /// The wall clock at the engine's origin, in µs since 1970, as it was last believed.
    wall_origin: AtomicI64,
}

/// How far the wall clock may move against the monotonic one before it is believed: until
/// then the same `at` is the same moment in every request, and order holds.
const WALL_STEP_US: u64 = 10_000;

/// The engine's origin lies this far before the process: moments before the start are still
/// told apart, and events of the journal keep their ages. No event lives longer than a day.
const HEAD_START: Span = Span::from_millis(25 * 3_600_000);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "the moment it is made matters")]
    pub fn new() -> Self {
        let clock = Self {
            origin: Instant::now(),
            wall_origin: AtomicI64::new(0),
        };
        clock
            .wall_origin
            .store(clock.measure_wall_origin(), Ordering::Relaxed);
        clock
    }

    fn measure_wall_origin(&self) -> i64 {
        signed(wall().as_micros()) - signed(u128::from(self.now().micros()))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::ZERO + HEAD_START + self.origin.elapsed().into()
    }

    /// How long until `time`.
    #[must_use]
    pub fn until(&self, time: Time) -> Duration {
        time.since(self.now()).as_duration()
    }

    /// The wall clock: ms since 1970, 0 before.
    #[must_use]
    pub fn epoch_ms(&self) -> u64 {
        u64::try_from(wall().as_millis()).unwrap_or(u64::MAX)
    }

    /// A moment of the engine on the wall clock, in µs since 1970.
    #[must_use]
    pub fn wall_us(&self, time: Time) -> i64 {
        signed(u128::from(time.micros())).saturating_add(self.wall_origin.load(Ordering::Relaxed))
    }

    /// The other way round; what is long past becomes the origin.
    #[must_use]
    pub fn time_of(&self, wall_us: i64) -> Time {
        let micros = wall_us.saturating_sub(self.wall_origin.load(Ordering::Relaxed));
        Time::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// A moment of the wall clock as the engine's; what is long past becomes the origin.
    #[must_use]
    pub fn at(&self, epoch_ms: u64) -> Time {
        let measured = self.measure_wall_origin();
        let mut origin = self.wall_origin.load(Ordering::Relaxed);
        if origin.abs_diff(measured) > WALL_STEP_US {
            self.wall_origin.store(measured, Ordering::Relaxed);
            origin = measured;
        }
        let micros = signed(u128::from(epoch_ms) * 1000).saturating_sub(origin);
        Time::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn signed(micros: u128) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_wall_is_one_moment_of_the_engine() {
        let clock = Clock::new();
        let wall = clock.epoch_ms();
        let later = clock.at(wall + 60_000);
        let ahead = later.since(clock.now()).micros();
        assert!((59_000_000..=60_001_000).contains(&ahead), "{ahead}");
        assert!((0..1000).all(|_| clock.at(wall + 60_000) == later));
        assert_eq!(clock.at(0), Time::ZERO);
    }
}
