//! The server's clock, as an argument.
//!
//! [`SystemClock`] is the only place of the emulator that reads the machine's time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time on the server.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch, never going back: what calls are measured on and
    /// recorded with. (The server holds on to the latest value if it does go back.)
    fn now_us(&self) -> u64;

    /// The time of day, which signatures are checked against. It may jump.
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.now_us())
    }
}

/// The machine's clocks: [`now_us`](Clock::now_us) starts at the time of day and goes on
/// with the monotonic clock, so that a step of the former does not bend a second.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: Instant,
    started_us: u64,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_us: micros(since_epoch),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        self.started_us + micros(self.started.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves when it is told to, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Starts at `now_us`, microseconds since the Unix epoch.
    #[must_use]
    pub fn new(now_us: u64) -> Self {
        Self(AtomicU64::new(now_us))
    }

    /// Moves on by `us` microseconds.
    pub fn advance_us(&self, us: u64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// 2^64 µs are 584,000 years.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
