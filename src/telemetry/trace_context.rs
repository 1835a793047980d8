//! W3C Trace Context: what a producer says of the trace its request belongs to.
//!
//! Read strictly: what is not valid to the letter is as if it were not there.

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Longest `tracestate` that is kept: what the recommendation asks for at least.
const STATE_MAX: usize = 512;

/// The context of a request's headers, if it has a valid one.
#[must_use]
pub fn of(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all("traceparent").iter();
    let parent = parents.next()?;
    if parents.next().is_some() {
        return None;
    }
    let (trace, span, flags) = parse(parent.as_bytes())?;
    Some(SpanContext::new(trace, span, flags, true, state(headers)))
}

/// `version-trace-parent-flags` in lower-case hexadecimal digits. Later versions may say more
/// behind a further dash.
fn parse(text: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let dash = |at: usize| text.get(at) == Some(&b'-');
    if !dash(2) || !dash(35) || !dash(52) {
        return None;
    }
    let number = |from: usize, to: usize| hex(text.get(from..to)?);
    let version = number(0, 2)?;
    let whole = if version == 0 {
        text.len() == 55
    } else {
        text.len() == 55 || dash(55)
    };
    if version == 0xff || !whole {
        return None;
    }
    let trace = TraceId::from(number(3, 35)?);
    let span = SpanId::from(u64::try_from(number(36, 52)?).ok()?);
    let flags = TraceFlags::new(u8::try_from(number(53, 55)?).ok()?) & TraceFlags::SAMPLED;
    let valid = trace != TraceId::INVALID && span != SpanId::INVALID;
    valid.then_some((trace, span, flags))
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// The vendors' part; a bad one is dropped and the rest stays, as the recommendation has it.
fn state(headers: &HeaderMap) -> TraceState {
    let values = headers.get_all("tracestate").iter();
    let parts: Result<Vec<&str>, _> = values.map(|value| value.to_str()).collect();
    let text = parts.map(|parts| parts.join(",")).unwrap_or_default();
    if text.is_empty() || text.len() > STATE_MAX {
        return TraceState::NONE;
    }
    text.parse().unwrap_or(TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn parents() {
        for (parent, expected) in [
            (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("00-{TRACE}-{SPAN}-ff"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01-what-is-to-come"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01x"), None),
            (format!("00-{TRACE}-{SPAN}-01-x"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("0-{TRACE}-{SPAN}-01"), None),
            (format!("+1-{TRACE}-{SPAN}-01"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_ascii_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
            (format!("00-{TRACE}-{SPAN}-1"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!("00_{TRACE}-{SPAN}-01"), None),
            (String::new(), None),
        ] {
            let found = of(&headers(&[("traceparent", &parent)]));
            assert_eq!(
                found.as_ref().map(SpanContext::is_sampled),
                expected,
                "{parent}"
            );
            if let Some(found) = found {
                assert_eq!(found.trace_id().to_string(), TRACE);
                assert_eq!(found.span_id().to_string(), SPAN);
                assert!(found.is_remote() && found.is_valid());
            }
        }
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let twice = headers(&[("traceparent", &parent), ("traceparent", &parent)]);
        assert_eq!(of(&twice), None, "which of the two?");
        assert_eq!(of(&HeaderMap::new()), None);
    }

    #[test]
    fn states() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let long = format!("a={}", "x".repeat(STATE_MAX));
        for (states, expected) in [
            (&["a=1,b=2"][..], "a=1,b=2"),
            (&["a=1", "b=2"], "a=1,b=2"),
            (&["not a state"], ""),
            (&[&long], ""),
            (&[], ""),
        ] {
            let mut lines = vec![("traceparent", parent.as_str())];
            lines.extend(states.iter().map(|state| ("tracestate", *state)));
            let found = of(&headers(&lines)).expect("a context");
            assert_eq!(found.trace_state().header(), expected, "{states:?}");
        }
    }
}
