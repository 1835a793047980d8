//! Time as the engine sees it: a number that somebody hands in.
//!
//! Nothing here reads a clock. The runtime maps its monotonic clock onto [`Time`], the
//! simulation counts it up by itself.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment on the monotonic clock, in microseconds since an origin the caller chose.
///
/// Microseconds because the API's windows are exact to that, and because `u64` of them
/// lasts for 584,000 years: additions saturate rather than wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A moment of the wall clock, in microseconds since 1970. The engine reads no clock: it is told
/// which of these is [`Time::ZERO`], and told again when the wall clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `micros` µs after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The same moment on the wall clock, which showed `origin` at [`Time::ZERO`].
    #[must_use]
    pub const fn wall(self, origin: Wall) -> Wall {
        let micros = if self.0 > i64::MAX as u64 {
            i64::MAX
        } else {
            self.0.cast_signed()
        };
        Wall(origin.0.saturating_add(micros))
    }

    /// How long before `self` the moment `earlier` was; zero if it was not before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Wall {
    /// The moment `micros` µs after 1970 began, or before it.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The same moment on the monotonic clock, where [`Time::ZERO`] was at `origin`. A moment
    /// before that becomes the origin.
    #[must_use]
    pub const fn time(self, origin: Self) -> Time {
        let micros = self.0.saturating_sub(origin.0);
        Time(if micros < 0 { 0 } else { micros.unsigned_abs() })
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// One second, the window of the API's limits.
    pub const SECOND: Self = Self(1_000_000);

    /// A span of `micros` µs.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of `millis` ms.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds, rounded up, so that a wait never ends early.
    #[must_use]
    pub const fn millis_ceil(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// The span as the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// `self` times `factor`, saturating.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// `self` times a factor of at least 0, rounded down; NaN counts as 0.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and spans below 2^53 µs (285 years) are exact"
    )]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor) as u64)
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
