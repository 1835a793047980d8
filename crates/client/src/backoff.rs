//! How long to wait before another try. Randomness is an argument.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, RETRY_AFTER_MAX};

/// Returns the wait before try number `nth` after a failure, `nth` counting from 0.
///
/// The wait doubles with every failure up to [`BACKOFF_MAX`]. Half of it is random, so that
/// producers that lost the same gateway do not come back together; `random` is in `0.0..1.0`.
/// What the gateway asked for (`Retry-After`) is never undercut: the wait is added to it.
pub fn wait(nth: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let most = BACKOFF_FIRST
        .saturating_mul(2_u32.saturating_pow(nth))
        .min(BACKOFF_MAX);
    let own = most.div_f64(2.0) + most.div_f64(2.0).mul_f64(random.clamp(0.0, 1.0));
    match retry_after {
        // The gateway knows better than a guess; a little is added for the same reason.
        Some(asked) => asked.min(RETRY_AFTER_MAX) + own.min(BACKOFF_FIRST),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_their_bounds() {
        for (nth, random, millis) in [
            (0, 0.0, 100),
            (0, 1.0, 200),
            (1, 0.0, 200),
            (3, 0.5, 1200),
            (30, 0.0, 5000),
            (u32::MAX, 1.0, 10_000),
        ] {
            assert_eq!(
                wait(nth, None, random),
                Duration::from_millis(millis),
                "{nth} {random}"
            );
        }
    }

    #[test]
    fn what_the_gateway_asks_for_is_never_undercut() {
        let asked = Duration::from_secs(3);
        for (nth, random, millis) in [(0, 0.0, 3100), (0, 1.0, 3200), (9, 1.0, 3200)] {
            assert_eq!(
                wait(nth, Some(asked), random),
                Duration::from_millis(millis),
                "{nth} {random}"
            );
        }
        let forever = wait(0, Some(Duration::from_secs(1 << 40)), 1.0);
        assert_eq!(forever, RETRY_AFTER_MAX + BACKOFF_FIRST);
    }
}
