//! What an answer says about the next attempt.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

/// The longest pause after failures, unless the endpoint asks for more.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The longest pause that an endpoint can ask for.
const ASKED_MAX: Duration = Duration::from_hours(1);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint has it.
    Taken,
    /// Try again, not before that much time has gone by.
    Again(Duration),
    /// This message will never be taken.
    Never,
    /// The endpoint wants no more messages at all.
    Gone,
}

impl Verdict {
    /// Of an answer that came at this moment.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        match status.as_u16() {
            200..=299 => Self::Taken,
            410 => Self::Gone,
            // It is the message that is wrong, and will be so again.
            400 | 413 | 415 | 422 => Self::Never,
            _ => Self::Again(asked(headers, now)),
        }
    }
}

/// The pause that an endpoint asks for: seconds, or a date.
fn asked(headers: &HeaderMap, now: SystemTime) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let until = |text: &str| {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).ok()
    };
    let text = text.map(str::trim);
    let asked = text.and_then(|text| seconds(text).or_else(|| until(text)));
    asked.unwrap_or_default().min(ASKED_MAX)
}

/// The pause after so many failures: doubled with each, with jitter between half and all of it, and at
/// least what the endpoint asks for. `random` is from 0 to 1.
pub(super) fn pause(first: Duration, failures: u32, asked: Duration, random: f64) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let whole = doubled.min(PAUSE_MAX.max(first));
    whole.mul_f64(0.5 + random / 2.0).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_decides() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |status: u16, after: Option<&str>, expected: &Verdict| {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, after.parse().expect("a header"));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            let found = Verdict::of(status, &headers, now);
            assert_eq!(found, *expected, "{status} {after:?}");
        };
        let again = |seconds| Verdict::Again(Duration::from_secs(seconds));
        check(200, None, &Verdict::Taken);
        check(204, None, &Verdict::Taken);
        check(301, None, &again(0));
        check(400, None, &Verdict::Never);
        check(404, None, &again(0));
        check(410, Some("5"), &Verdict::Gone);
        check(422, None, &Verdict::Never);
        check(429, Some("7"), &again(7));
        check(500, None, &again(0));
        check(503, Some(" 7 "), &again(7));
        check(503, Some("soon"), &again(0));
        check(503, Some("999999999999"), &again(3600));
        // 30 s later, and a second earlier.
        check(503, Some("Sun, 06 Nov 1994 08:50:07 GMT"), &again(30));
        check(503, Some("Sun, 06 Nov 1994 08:49:36 GMT"), &again(0));
    }

    #[test]
    fn a_pause_doubles_to_a_minute() {
        let check = |failures, random, asked, expected| {
            let asked = Duration::from_millis(asked);
            let pause = pause(Duration::from_secs(1), failures, asked, random);
            assert_eq!(
                pause,
                Duration::from_millis(expected),
                "{failures} {random}"
            );
        };
        check(1, 0.0, 0, 500);
        check(1, 1.0, 0, 1000);
        check(2, 1.0, 0, 2000);
        check(6, 1.0, 0, 32_000);
        check(7, 1.0, 0, 60_000);
        check(7, 0.0, 0, 30_000);
        check(u32::MAX, 1.0, 0, 60_000);
        check(1, 1.0, 5000, 5000);
        check(7, 1.0, 5000, 60_000);
    }
}
