//! Times as the API writes them: ISO 8601, UTC, whole seconds (`2026-01-02T03:04:05Z`).

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// Microseconds since the Unix epoch, rounded down to the second.
pub(crate) fn iso8601(time_us: u64) -> String {
    let seconds = i64::try_from(time_us / crate::limits::SECOND_US).unwrap_or(i64::MAX);
    OffsetDateTime::UNIX_EPOCH
        .checked_add(Duration::seconds(seconds))
        .and_then(|time| time.format(&Rfc3339).ok())
        // Only years after 9999, which no clock of ours shows.
        .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::iso8601;

    #[test]
    fn times_are_whole_seconds_of_utc() {
        for (us, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_767_323_045_999_999, "2026-01-02T03:04:05Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso8601(us), expected, "{us}");
        }
    }
}
