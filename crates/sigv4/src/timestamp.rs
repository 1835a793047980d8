//! The timestamps of Signature V4: `YYYYMMDD'T'HHMMSS'Z'`, to a [`SystemTime`] and back.
//!
//! Pure; knows nothing of skew or scopes.

use std::time::SystemTime;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// Reads `20260102T030405Z`; `None` for anything else, 30 February included.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let year = i32::from(number(&bytes[0..4])?);
    let month = Month::try_from(u8::try_from(number(&bytes[4..6])?).ok()?).ok()?;
    let day = u8::try_from(number(&bytes[6..8])?).ok()?;
    let hour = u8::try_from(number(&bytes[9..11])?).ok()?;
    let minute = u8::try_from(number(&bytes[11..13])?).ok()?;
    let second = u8::try_from(number(&bytes[13..15])?).ok()?;
    let date = Date::from_calendar_date(year, month, day).ok()?;
    let time = Time::from_hms(hour, minute, second).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().into())
}

/// Writes a time the way [`parse`] reads it; fractions of a second are cut off.
pub(crate) fn format(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Up to four ASCII digits as a number; `None` for a sign, a blank or anything else.
fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use std::time::{Duration, UNIX_EPOCH};

    fn check(text: &str, epoch_seconds: Option<u64>) {
        let expected = epoch_seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(parse(text), expected, "{text}");
        if let Some(time) = expected {
            assert_eq!(format(time), text);
        }
    }

    #[test]
    fn timestamps_are_read_and_written() {
        check("19700101T000000Z", Some(0));
        check("20150830T123600Z", Some(1_440_938_160));
        check("20240229T235959Z", Some(1_709_251_199));
        check("20230229T000000Z", None);
        check("20151301T000000Z", None);
        check("20150830T240000Z", None);
        check("20150830T123660Z", None);
        check("20150830 123600Z", None);
        check("20150830T123600", None);
        check("2015083OT123600Z", None);
        check("+0150830T123600Z", None);
        check("2015-08-30T12:36", None);
        check("20150830T1236é", None);
        check("", None);
    }
}
