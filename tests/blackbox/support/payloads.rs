//! Payloads as a player reads them.

use std::collections::VecDeque;

use serde_json::Value;

/// A player drops an `n` it saw among this many last ones (surface).
const SEEN: usize = 64;

/// The payloads a player does not drop, parsed, in the order in which they came.
pub fn played<'a>(payloads: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let mut seen = VecDeque::new();
    let mut played = Vec::new();
    for text in payloads {
        let payload: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(payload["v"], 1, "{text}");
        let n = payload["n"]
            .as_u64()
            .unwrap_or_else(|| panic!("no n: {text}"));
        assert!(n < 1 << 53, "{text}");
        if seen.contains(&n) {
            continue;
        }
        seen.push_back(n);
        if seen.len() > SEEN {
            seen.pop_front();
        }
        played.push(payload);
    }
    played
}

/// The data of every item a player shows, in order.
pub fn data<'a>(payloads: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let payloads = played(payloads);
    payloads
        .iter()
        .flat_map(|payload| payload["e"].as_array().expect("items"))
        .map(|item| item["d"].clone())
        .collect()
}

/// The items of a `cue` payload as they are written.
pub fn items(payload: &str) -> &str {
    let rest = payload
        .strip_prefix(r#"{"v":1,"n":"#)
        .unwrap_or_else(|| panic!("{payload}"));
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest
        .strip_prefix(r#","e":["#)
        .and_then(|rest| rest.strip_suffix("]}"));
    rest.unwrap_or_else(|| panic!("{payload}"))
}

/// The items of all these payloads as they are written, with commas between them.
pub fn all_items(payloads: &[String]) -> String {
    payloads
        .iter()
        .map(|payload| items(payload))
        .collect::<Vec<_>>()
        .join(",")
}
