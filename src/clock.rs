//! The clocks: the monotonic one drives the engine; the wall's is for `at` and for what people
//! read; that of the boot tells how much time has passed over a restart.
//!
//! The only place that reads them for the engine. The wall clock is set now and then: machines
//! start with a wrong one and are corrected. So its distance from the monotonic clock is
//! measured again and again, and believed to have changed once it moved by more than
//! [`WALL_STEP_US`].

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{Span, Time, Wall};

/// How far the wall clock may move against the monotonic one before it is believed to have been
/// set: until then the same `at` is the same moment in every request, and order holds.
const WALL_STEP_US: u64 = 50_000;

/// The clocks are read one after the other. If the process was not running for this long in
/// between, they are read again …
const READING_US: u64 = 1000;

/// … so many times at most.
const READINGS: u32 = 5;

/// The engine's origin lies this far before the process: moments before the start are still
/// told apart. No event lives longer than a day; a pause may.
const HEAD_START: Span = Span::from_millis(400 * 24 * 3_600_000);

/// Which boot of which machine this is.
pub type BootId = [u8; 16];

/// One moment on every clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the engine's.
    pub now: Time,
    /// On the wall's.
    pub wall: Wall,
    /// Which boot it is, and the µs since; none where the system does not say.
    pub boot: Option<(BootId, u64)>,
}

/// What clocks are read from.
trait Source: fmt::Debug + Send + Sync {
    /// µs on the monotonic clock, from any origin.
    fn monotonic(&self) -> u64;
    /// µs since 1970.
    fn wall(&self) -> i64;
    /// µs since the machine booted, also while it slept.
    fn since_boot(&self) -> Option<u64>;
    fn boot_id(&self) -> Option<BootId>;
}

/// The engine's clock: µs since the process started, and a head start.
#[derive(Debug)]
pub struct Clock {
    source: Box<dyn Source>,
    /// The monotonic clock at the start.
    started: u64,
    /// That of the boot at the start.
    started_since_boot: Option<u64>,
    boot_id: Option<BootId>,
    /// The wall clock at the engine's origin, in µs since 1970, as it was last believed.
    wall_origin: AtomicI64,
    /// The latest that was ever measured.
    latest_origin: AtomicI64,
}

/// The clocks, read as close together as could be.
#[derive(Clone, Copy)]
struct Reading {
    /// Not before the others.
    now: Time,
    wall: i64,
    since_boot: Option<u64>,
    /// µs between the first and the last.
    width: u64,
}

impl Reading {
    /// The wall clock at the engine's origin: up to [`Reading::width`] too early, so that no
    /// event goes before its `at`.
    fn wall_origin(self) -> i64 {
        self.wall.saturating_sub(signed(self.now.micros()))
    }
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "the moment it is made matters")]
    pub fn new() -> Self {
        Self::of(Box::new(System(Instant::now())))
    }

    fn of(source: Box<dyn Source>) -> Self {
        let clock = Self {
            started: source.monotonic(),
            started_since_boot: source.since_boot(),
            boot_id: source.boot_id(),
            source,
            wall_origin: AtomicI64::new(0),
            latest_origin: AtomicI64::new(i64::MIN),
        };
        let origin = clock.read().wall_origin();
        clock.wall_origin.store(origin, Ordering::Relaxed);
        clock.latest_origin.store(origin, Ordering::Relaxed);
        clock
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        let passed = self.source.monotonic().saturating_sub(self.started);
        Time::ZERO + HEAD_START + Span::from_micros(passed)
    }

    /// Now on a clock that also counts while the machine sleeps, where the system has one: what another
    /// machine does meanwhile goes by it. Until the machine first sleeps it is [`Clock::now`].
    #[must_use]
    pub fn now_with_sleep(&self) -> Time {
        let awake = self.now();
        let since_boot = self.source.since_boot().zip(self.started_since_boot);
        let passed = since_boot.map_or(0, |(now, started)| now.saturating_sub(started));
        awake.max(Time::ZERO + HEAD_START + Span::from_micros(passed))
    }

    /// How long until `time`.
    #[must_use]
    pub fn until(&self, time: Time) -> Duration {
        time.since(self.now()).as_duration()
    }

    /// The wall clock: ms since 1970, 0 before.
    #[must_use]
    pub fn epoch_ms(&self) -> u64 {
        u64::try_from(self.source.wall() / 1000).unwrap_or(0)
    }

    /// The wall clock, in ms since 1970, that is never set back: where the numbers of a channel's
    /// payloads start.
    #[must_use]
    pub fn number_ms(&self) -> u64 {
        let reading = self.read();
        let origin = reading.wall_origin();
        let latest = self.latest_origin.fetch_max(origin, Ordering::Relaxed);
        let micros = signed(reading.now.micros()).saturating_add(latest.max(origin));
        u64::try_from(micros / 1000).unwrap_or(0)
    }

    /// Now, on every clock.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let reading = self.read();
        Moment {
            now: reading.now,
            wall: Wall::from_micros(reading.wall),
            boot: self.boot_id.zip(reading.since_boot),
        }
    }

    /// The wall clock at the engine's origin, as it is believed. The same until the wall clock is
    /// set.
    #[must_use]
    pub fn wall_origin(&self) -> Wall {
        Wall::from_micros(self.wall_origin.load(Ordering::Relaxed))
    }

    /// A moment of the engine on the wall clock, in µs since 1970.
    #[must_use]
    pub fn wall_us(&self, time: Time) -> i64 {
        signed(time.micros()).saturating_add(self.wall_origin().micros())
    }

    /// Looks whether the wall clock was set; by how many µs, if it was. It is believed from then
    /// on.
    pub fn look(&self) -> Option<i64> {
        let reading = self.read();
        let (believed, measured) = (
            self.wall_origin.load(Ordering::Relaxed),
            reading.wall_origin(),
        );
        // A process that did not run in between must not take that for a clock that was set.
        if believed.abs_diff(measured) <= WALL_STEP_US.saturating_add(reading.width) {
            return None;
        }
        self.wall_origin.store(measured, Ordering::Relaxed);
        self.latest_origin.fetch_max(measured, Ordering::Relaxed);
        Some(measured.saturating_sub(believed))
    }

    fn read(&self) -> Reading {
        let mut best = self.read_once();
        for _ in 1..READINGS {
            if best.width <= READING_US {
                break;
            }
            let again = self.read_once();
            if again.width < best.width {
                best = again;
            }
        }
        best
    }

    fn read_once(&self) -> Reading {
        let before = self.now();
        let (wall, since_boot) = (self.source.wall(), self.source.since_boot());
        let now = self.now();
        Reading {
            now,
            wall,
            since_boot,
            width: now.since(before).micros(),
        }
    }
}

/// The system's own.
#[derive(Debug)]
struct System(Instant);

impl Source for System {
    fn monotonic(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
    }

    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> Option<u64> {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let micros = u64::try_from(time.tv_nsec / 1000).ok()?;
        Some(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }

    #[cfg(not(target_os = "linux"))]
    fn since_boot(&self) -> Option<u64> {
        None
    }

    fn boot_id(&self) -> Option<BootId> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits = text.trim().replace('-', "");
        let id = u128::from_str_radix(&digits, 16).ok()?;
        Some(id.to_be_bytes())
    }
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod manual;
#[cfg(test)]
mod tests;
