//! Moments of the wall clock as people and other programs write them.

use time::OffsetDateTime;

/// A moment in ms since 1970 as RFC 3339 has it; the last that it can say for what is beyond.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    at.map_or_else(
        |_| "9999-12-31T23:59:59Z".to_owned(),
        |at| {
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second(),
                at.millisecond()
            )
        },
    )
}
