//! What goes wrong often, told seldom: a line at WARN a kind and minute, with how many times it
//! happened since the line before and the latest case of it.
//!
//! The first of a kind is told within [`LOOK_EVERY`]. Nothing here is on the way of an event that
//! goes well.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long after it happened a first case is told.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The time between two lines of a kind.
const EVERY: Duration = Duration::from_mins(1);

/// Longest text of a case: the details of refusals quote what producers sent.
const CASE_MAX: usize = 256;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Events expired before they could be sent.
    Expired,
    /// A full queue evicted events.
    Evicted,
    /// Events became dead letters.
    DeadLettered,
    /// The API throttled a call.
    Throttled,
    /// A caller had no key, a wrong one, or one that may not do what it asked for.
    KeyRefused,
    /// A webhook's endpoint did not take what it was told.
    WebhookFailed,
    /// A webhook was not told the ends of events.
    WebhookDropped,
}

impl Warning {
    const ALL: [Self; 7] = [
        Self::Expired,
        Self::Evicted,
        Self::DeadLettered,
        Self::Throttled,
        Self::KeyRefused,
        Self::WebhookFailed,
        Self::WebhookDropped,
    ];

    fn log(self, count: u64, latest: &str) {
        match self {
            Self::Expired => {
                tracing::warn!(
                    count,
                    latest,
                    "events expired before they could be sent: their TTL is shorter than their queue"
                );
            }
            Self::Evicted => {
                tracing::warn!(count, latest, "a full queue evicted events");
            }
            Self::DeadLettered => {
                tracing::warn!(
                    count,
                    latest,
                    "events can never be delivered: `cuegate dead-letters list` has those that are kept, with the reason"
                );
            }
            Self::Throttled => {
                tracing::warn!(
                    count,
                    latest,
                    "the API throttled calls: does something else use this account's quota?"
                );
            }
            Self::KeyRefused => {
                tracing::warn!(
                    count,
                    latest,
                    "requests were refused for their key, token, certificate or signature"
                );
            }
            Self::WebhookFailed => {
                tracing::warn!(
                    count,
                    latest,
                    "an endpoint did not take what a webhook told it; it is tried again"
                );
            }
            Self::WebhookDropped => {
                tracing::warn!(
                    count,
                    latest,
                    "ends of events were dropped that a webhook was to tell: its endpoint is gone, or slower than they come"
                );
            }
        }
    }
}

/// The cases of one kind since they were last told.
#[derive(Debug, Default)]
struct Cases {
    count: u64,
    latest: String,
    told: Option<Instant>,
}

/// Every kind.
#[derive(Debug, Default)]
pub struct Warnings([Mutex<Cases>; Warning::ALL.len()]);

impl Warnings {
    /// Counts `n` cases; `latest` says which the last of them is: a channel, an account, a caller.
    pub fn count(&self, warning: Warning, n: u64, latest: &str) {
        let mut cases = self.lock(warning);
        cases.count += n;
        cases.latest.clear();
        cases
            .latest
            .push_str(&latest[..latest.floor_char_boundary(CASE_MAX)]);
    }

    /// Tells what is to be told now.
    pub fn tell(&self, now: Instant) {
        for warning in Warning::ALL {
            if let Some((count, latest)) = self.due(warning, now) {
                warning.log(count, &latest);
            }
        }
    }

    /// How many cases there were since the last line, if it is time for one.
    fn due(&self, warning: Warning, now: Instant) -> Option<(u64, String)> {
        let mut cases = self.lock(warning);
        let lately = |told| now.saturating_duration_since(told) < EVERY;
        if cases.count == 0 || cases.told.is_some_and(lately) {
            return None;
        }
        cases.told = Some(now);
        let latest = std::mem::take(&mut cases.latest);
        Some((std::mem::take(&mut cases.count), latest))
    }

    fn lock(&self, warning: Warning) -> MutexGuard<'_, Cases> {
        self.0[warning as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute_and_kind() {
        let warnings = Warnings::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let due = |warning, seconds| warnings.due(warning, after(seconds));
        assert_eq!(due(Warning::Expired, 0), None);
        warnings.count(Warning::Expired, 3, "quiz");
        warnings.count(Warning::Expired, 2, "chat");
        assert_eq!(due(Warning::Expired, 1), Some((5, "chat".to_owned())));
        assert_eq!(due(Warning::Expired, 2), None, "nothing new");
        warnings.count(Warning::Expired, 1, "quiz");
        warnings.count(Warning::Evicted, 1, "quiz");
        assert_eq!(due(Warning::Expired, 60), None, "within the minute");
        assert_eq!(due(Warning::Evicted, 60), Some((1, "quiz".to_owned())));
        warnings.count(Warning::Expired, 1, "quiz");
        assert_eq!(due(Warning::Expired, 61), Some((2, "quiz".to_owned())));
        assert_eq!(due(Warning::Expired, 200), None, "nothing new");
    }

    #[test]
    fn a_case_is_cut() {
        let warnings = Warnings::default();
        warnings.count(Warning::KeyRefused, 1, &"é".repeat(CASE_MAX));
        let (_, latest) = warnings
            .due(Warning::KeyRefused, Instant::now())
            .expect("a line");
        assert_eq!(latest.len(), CASE_MAX);
    }
}
