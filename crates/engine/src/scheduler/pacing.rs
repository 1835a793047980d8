//! When a partial payload goes, with tokens free: arithmetic, no state.
//!
//! Tokens spent on nearly empty payloads are missing a moment later, when events come in a
//! burst; so the more tokens are out, the longer a partial payload waits for company. Full
//! payloads never wait here, and whether a token is free is not decided here.

use crate::policy::Pacing;
use crate::time::{Span, Time};

/// SPREAD: the fraction of the way from the last send to the next token's return, in
/// thousandths, by the number of tokens out. Tuned in simulation for 5 tokens.
const SPREAD: [u64; 5] = [0, 60, 200, 250, 500];

/// What pacing looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Tokens in all: K.
    pub(super) tokens: usize,
    /// Tokens out: u, below K.
    pub(super) out: usize,
    /// The channel's last send.
    pub(super) last: Time,
    /// When the next token comes back: e1.
    pub(super) next_return: Time,
    /// How long a token is usually out: L = 1 s + smoothed round trip + grace.
    pub(super) cycle: Span,
}

/// The moment a partial payload goes: `last + c[u] * (e1 - last)`.
///
/// `e1 - last` counts as at most L: the token of an abandoned call may be away for several
/// seconds, and a partial payload must not wait for more than L/2 while a token is free.
pub(super) fn partial_goes(pacing: Pacing, at: Moment) -> Time {
    let way = at.next_return.since(at.last).min(at.cycle).micros();
    let wait = match (pacing, SPREAD.get(at.out)) {
        // The governor of the channel does the whole work.
        (Pacing::Steady, _) => 0,
        (Pacing::Spread, Some(thousandths)) if at.tokens == SPREAD.len() => {
            way.saturating_mul(*thousandths) / 1000
        }
        // EVEN: c[u] = 1/(K + 1 - u), and an idle channel does not wait.
        (Pacing::Spread | Pacing::Even, _) if at.out == 0 => 0,
        (Pacing::Spread | Pacing::Even, _) => {
            way / (at.tokens.saturating_sub(at.out) as u64).saturating_add(1)
        }
    };
    at.last + Span::from_micros(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `last` is at 10 s and L is 1.05 s.
    fn check(pacing: Pacing, tokens: usize, out: usize, next_return_ms: u64, goes_us: u64) {
        let moment = Moment {
            tokens,
            out,
            last: Time::from_micros(10_000_000),
            next_return: Time::from_micros(next_return_ms * 1000),
            cycle: Span::from_millis(1050),
        };
        let goes = partial_goes(pacing, moment).micros();
        assert_eq!(
            goes, goes_us,
            "{pacing:?} with {out} of {tokens} out, e1 at {next_return_ms} ms"
        );
    }

    #[test]
    fn the_fractions() {
        for (out, goes_us) in [10_000_000, 10_060_000, 10_200_000, 10_250_000, 10_500_000]
            .into_iter()
            .enumerate()
        {
            check(Pacing::Spread, 5, out, 11_000, goes_us);
        }
        for (out, goes_us) in [10_000_000, 10_200_000, 10_250_000, 10_333_333, 10_500_000]
            .into_iter()
            .enumerate()
        {
            check(Pacing::Even, 5, out, 11_000, goes_us);
        }
        // Another number of tokens than 5: SPREAD is EVEN.
        check(Pacing::Spread, 2, 0, 11_000, 10_000_000);
        check(Pacing::Spread, 2, 1, 11_000, 10_500_000);
        check(Pacing::Even, 1, 0, 11_000, 10_000_000);
        check(Pacing::Spread, 50, 49, 11_000, 10_500_000);
        // A token back before the last send, and one that is away for 8 s.
        check(Pacing::Spread, 5, 4, 9_000, 10_000_000);
        check(Pacing::Spread, 5, 4, 18_000, 10_525_000);
        check(Pacing::Steady, 5, 4, 11_000, 10_000_000);
    }
}
