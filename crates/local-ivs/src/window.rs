//! How a rate is measured: an exact sliding window, a token bucket, or fixed windows.
//!
//! Pure: the time is an argument, in microseconds, and never goes back. AWS does not say
//! which of the three the real API uses, so a client had better hold under all of them.
//! A call over the limit takes nothing: hammering does not make the wait longer.

use crate::limits::SECOND_US;
use serde::Serialize;
use std::collections::VecDeque;

/// A way to measure calls per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// No span of one second, wherever it begins, holds more calls than the limit. Two calls
    /// exactly 1,000,000 µs apart are not in the same second. The strictest of the three.
    #[default]
    Sliding,
    /// A bucket of as many tokens as the limit, refilled evenly; a burst after a rest lets
    /// nearly twice the limit into one second.
    Bucket,
    /// Seconds that begin where the server's clock turns one; the edge between two lets twice
    /// the limit through at once.
    Fixed,
}

/// The calls of one resource, measured.
#[derive(Debug, Clone)]
pub struct Limiter {
    /// Calls per second.
    limit: u32,
    taken: Taken,
}

#[derive(Debug, Clone)]
enum Taken {
    /// When the last calls were taken, at most `limit` of them, oldest first.
    Sliding(VecDeque<u64>),
    /// In millionths of a token, so that `limit` of them arrive every microsecond.
    Bucket {
        millionths: u64,
        at_us: u64,
    },
    Fixed {
        second: u64,
        count: u32,
    },
}

impl Limiter {
    /// A limiter of `limit` calls per second that has seen none.
    #[must_use]
    pub fn new(measure: Measure, limit: u32) -> Self {
        let taken = match measure {
            Measure::Sliding => Taken::Sliding(VecDeque::new()),
            Measure::Bucket => Taken::Bucket {
                millionths: u64::from(limit) * SECOND_US,
                at_us: 0,
            },
            Measure::Fixed => Taken::Fixed {
                second: 0,
                count: 0,
            },
        };
        Self { limit, taken }
    }

    /// Calls per second.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether a call at `now_us` is within the limit.
    #[must_use]
    pub fn has_room(&self, now_us: u64) -> bool {
        match &self.taken {
            Taken::Sliding(times) => {
                // Only the oldest of the last `limit` calls matters, and only `limit` are kept.
                let full = times.len() >= self.limit as usize;
                !full
                    || times
                        .front()
                        .is_some_and(|oldest| now_us - oldest >= SECOND_US)
            }
            Taken::Bucket { .. } => self.millionths_at(now_us) >= SECOND_US,
            Taken::Fixed { second, count } => {
                self.limit > 0 && (now_us / SECOND_US != *second || *count < self.limit)
            }
        }
    }

    /// Counts a call at `now_us`, which [`has_room`](Self::has_room) must have allowed.
    pub fn take(&mut self, now_us: u64) {
        let left = self.millionths_at(now_us).saturating_sub(SECOND_US);
        let limit = self.limit as usize;
        match &mut self.taken {
            Taken::Sliding(times) => {
                if times.len() >= limit {
                    times.pop_front();
                }
                times.push_back(now_us);
            }
            Taken::Bucket { millionths, at_us } => {
                *millionths = left;
                *at_us = now_us;
            }
            Taken::Fixed { second, count } => {
                if now_us / SECOND_US != *second {
                    *second = now_us / SECOND_US;
                    *count = 0;
                }
                *count += 1;
            }
        }
    }

    /// Whether nothing that was taken matters any more: a new limiter would say the same.
    #[must_use]
    pub fn is_idle(&self, now_us: u64) -> bool {
        match &self.taken {
            Taken::Sliding(times) => times
                .back()
                .is_none_or(|latest| now_us - latest >= SECOND_US),
            Taken::Bucket { .. } => self.millionths_at(now_us) == u64::from(self.limit) * SECOND_US,
            Taken::Fixed { second, .. } => now_us / SECOND_US != *second,
        }
    }

    fn millionths_at(&self, now_us: u64) -> u64 {
        let Taken::Bucket { millionths, at_us } = self.taken else {
            return 0;
        };
        let full = u64::from(self.limit) * SECOND_US;
        (now_us - at_us)
            .saturating_mul(u64::from(self.limit))
            .saturating_add(millionths)
            .min(full)
    }
}

#[cfg(test)]
mod tests;
