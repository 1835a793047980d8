//! The `Date` of answers, by the wall clock of now.
//!
//! hyper's own stands still for as long as the clock is set back, and AWS's SDKs sign by it.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;

/// The date as it was last written. It is written anew when the second is another one.
#[derive(Debug, Default)]
pub struct Date(Mutex<Option<(u64, HeaderValue)>>);

impl Date {
    /// The header's value. A clock before 1970 has none.
    pub fn at(&self, now: SystemTime) -> Option<HeaderValue> {
        let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, value)) = &*written
            && *last == second
        {
            return Some(value.clone());
        }
        let value = HeaderValue::try_from(httpdate::fmt_http_date(now)).ok()?;
        *written = Some((second, value.clone()));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_follows_the_clock_both_ways() {
        let date = Date::default();
        let at = |seconds| date.at(UNIX_EPOCH + Duration::from_secs(seconds));
        for (seconds, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_108_177, "Sun, 06 Nov 1994 07:49:37 GMT"),
        ] {
            assert_eq!(
                at(seconds).as_ref(),
                Some(&HeaderValue::from_static(expected))
            );
        }
        assert_eq!(date.at(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
