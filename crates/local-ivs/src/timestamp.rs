//! Times as the API writes them: ISO 8601, UTC, whole seconds (`2026-01-02T03:04:05Z`). Playlists have milliseconds.

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

/// Microseconds since the Unix epoch, rounded down to the millisecond: `2026-01-02T03:04:05.006Z`.
pub(crate) fn iso8601_millis(time_us: u64) -> String {
    let seconds = iso8601(time_us);
    let millis = time_us % crate::limits::SECOND_US / 1_000;
    format!("{}.{millis:03}Z", seconds.trim_end_matches('Z'))
}

/// A time as the keys of recordings have it: `2026/1/2/3/4`.
pub(crate) fn path(time_us: u64) -> String {
    let nanos = i128::from(time_us) * 1_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{}/{}/{}/{}/{}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute()
    )
}

/// Microseconds since the Unix epoch; `None` if it is no such time, or before that.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::{iso8601, iso8601_millis, parse, path};

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
        assert_eq!(path(1_767_323_045_999_999), "2026/1/2/3/4");
        let millis = iso8601_millis(1_767_323_045_006_999);
        assert_eq!(millis, "2026-01-02T03:04:05.006Z");
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-02T04:04:05.5+01:00", Some(1_767_323_045_500_000)),
            ("1969-12-31T23:59:59Z", None),
            ("2026-01-02", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
