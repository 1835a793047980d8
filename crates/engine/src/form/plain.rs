//! Whether players take a text for a payload of the gateway.
//!
//! They read JSON as JavaScript does, where a string may have half of a surrogate pair and a number
//! may be too large, so what they do not look at is not looked at here.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// Deepest nesting of a payload; what is deeper is another's.
const NESTING_MAX: usize = 70;
/// Numbers of payloads are below 2^53.
const N_END: f64 = 9_007_199_254_740_992.0;

type Members<'a> = HashMap<String, &'a RawValue>;

/// Whether players take a text that somebody else wrote for a payload of ours: a plain one, or one
/// in another form, which `~` begins.
pub(crate) fn is_ours(text: &str) -> bool {
    text.starts_with('~') || (text.starts_with('{') && is_plain(&whole_surrogates(text)))
}

fn is_plain(text: &str) -> bool {
    let Ok(payload) = serde_json::from_str::<Members<'_>>(text) else {
        return false;
    };
    let member = |name: &str| payload.get(name).copied();
    let items = member("e").and_then(objects);
    let entries = member("s").map(objects);
    member("v").and_then(number) == Some(1.0)
        && member("n").is_some_and(|n| integer(n).is_some_and(|n| (0.0..N_END).contains(&n)))
        && items.is_some_and(|items| items.iter().all(|item| item.contains_key("d")))
        && entries.is_none_or(|entries| {
            entries.is_some_and(|entries| {
                entries
                    .iter()
                    .all(|entry| entry.get("k").is_some_and(|k| is_string(k)))
            })
        })
        && member("c").is_none_or(is_cycle)
        && member("r").is_none_or(|r| integer(r).is_some())
        && nesting(text) <= NESTING_MAX
}

fn objects(value: &RawValue) -> Option<Vec<Members<'_>>> {
    serde_json::from_str(value.get()).ok()
}

fn number(value: &RawValue) -> Option<f64> {
    serde_json::from_str(value.get()).ok()
}

fn integer(value: &RawValue) -> Option<f64> {
    number(value).filter(|number| number.fract() == 0.0)
}

fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

fn is_cycle(value: &RawValue) -> bool {
    let parts: Result<Vec<&RawValue>, _> = serde_json::from_str(value.get());
    parts.is_ok_and(|parts| parts.len() == 3 && parts.iter().all(|part| integer(part).is_some()))
}

/// How deep lists and objects are in each other.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'{' | b'[' if !is_in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The text with another character for each escaped half of a surrogate pair, which Rust's strings
/// cannot have.
fn whole_surrogates(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find("\\u") {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let is_half = matches!(
            escape.as_bytes(),
            [
                _,
                _,
                b'd' | b'D',
                b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
                ..,
            ]
        );
        whole.push_str(if is_half { "\\ue" } else { "\\u" });
        rest = &escape[2 + usize::from(is_half)..];
    }
    whole + rest
}
