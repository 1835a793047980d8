//! The schemas of events, so that what can be said of them is: bounds are those of
//! [`crate::ingest::limits`], and `merge` needs a `key`.
//!
//! Lengths are bytes of UTF-8 to Cuegate and characters to JSON Schema: a text of more characters
//! is always too long, one of fewer may be.

use engine::{Merge, Priority};
use serde_json::{Value, json};

use super::extend;
use crate::ingest::limits::{CLOUDEVENT_ID_MAX, ID_MAX, KEY_MAX, KIND_MAX, TTL_MAX_MS};

fn text(max: usize, description: &str) -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": max,
        "description": format!("{description} 1 to {max} bytes of UTF-8."),
    })
}

/// Some merges take numbers alone.
fn numbers_if(merge: &str) -> Value {
    let of_numbers = Merge::ALL.into_iter().filter(|it| it.is_of_numbers());
    let names: Vec<_> = of_numbers.map(Merge::name).collect();
    let words = json!({"properties": {merge: {"enum": names}}, "required": [merge]});
    let number = json!({"type": "number"});
    let numbers = json!({"type": "object", "additionalProperties": number});
    json!({"if": words, "then": {"properties": {"data": {"anyOf": [number, numbers]}}}})
}

/// `"envelope":"raw"` is of strings, and of events without a key.
fn verbatim() -> Value {
    let data = json!({"properties": {"data": {"type": "string", "minLength": 1}}});
    let alone = json!({"not": {"anyOf": [{"required": ["key"]}, {"required": ["merge"]}]}});
    json!({"if": {"required": ["envelope"]}, "then": {"allOf": [data, alone]}})
}

fn merge() -> Value {
    json!({
        "enum": Merge::ALL.map(Merge::name),
        "description": "How it merges into the last queued event of its key: the latest value, exact decimal arithmetic on a number or an object of numbers, or an RFC 7396 merge patch.",
    })
}

fn priority() -> Value {
    json!({"enum": Priority::ALL.map(Priority::name), "description": "`normal` where there is none. A waiting event rises one priority after half its TTL."})
}

fn moment() -> Value {
    json!({
        "description": "The earliest moment to send it: RFC 3339 or milliseconds since 1970, at most `limits.at_max_ahead_ms` ahead.",
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}],
    })
}

/// The house's own format. `channel` is the member that names the event's channel.
#[must_use]
pub fn event(channel: Option<&str>) -> Value {
    let mut event = json!({
        "type": "object",
        "properties": {
            "data": {"description": "What players get: any JSON, nested at most 64 deep. Nothing about it changes but white space."},
            "type": text(KIND_MAX, "A label for players, and for purging."),
            "id": text(ID_MAX, "The same id again within the channel's `dedup_window_ms` is a duplicate. Cancels by it."),
            "key": text(KEY_MAX, "Order and merging are per key: nothing overtakes a queued event of its own key."),
            "merge": merge(),
            "priority": priority(),
            "ttl_ms": {"type": "integer", "minimum": 1, "maximum": TTL_MAX_MS, "description": "From acceptance or `at`. An event that cannot leave in time expires."},
            "at": moment(),
            "envelope": {"const": "raw", "description": "`data` is a string, whose characters leave byte for byte, alone in their payload. Not with `key` or `merge`."},
        },
        "required": ["data"],
        "dependentRequired": {"merge": ["key"]},
        "additionalProperties": false,
        "examples": [
            {"data": {"answer": "B"}, "type": "quiz.answer", "key": "question:7", "priority": "high", "ttl_ms": 5000},
            {"data": 1, "type": "vote", "key": "a", "merge": "sum"},
        ],
    });
    extend(&mut event, numbers_if("merge"));
    event["allOf"] = json!([verbatim()]);
    address(&mut event, channel);
    event
}

/// `CloudEvents` in their JSON format.
#[must_use]
pub fn cloud_event(channel: Option<&str>) -> Value {
    let mut event = json!({
        "description": format!("A CloudEvent 1.0 with JSON data. It is deduplicated by `source` and `id`, together at most {CLOUDEVENT_ID_MAX} bytes. Other attributes are ignored."),
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": CLOUDEVENT_ID_MAX},
            "source": {"type": "string", "format": "uri-reference", "minLength": 1, "maxLength": CLOUDEVENT_ID_MAX},
            "type": text(KIND_MAX, "The event's `type`."),
            "data": {"description": "The event's `data`: any JSON."},
            "data_base64": {"type": "null", "description": "Refused: payloads are text."},
            "partitionkey": {"type": ["string", "null"], "description": "The event's `key`, where there is no `cuekey`."},
            "cuekey": nullable(&text(KEY_MAX, "The event's `key`.")),
            "cuemerge": nullable(&merge()),
            "cuepriority": nullable(&priority()),
            "cueat": nullable(&moment()),
            "expirytime": {"type": ["string", "null"], "format": "date-time", "description": "The event's deadline, at most a day away."},
        },
        "required": ["specversion", "id", "source", "type", "data"],
        "allOf": [
            {"anyOf": [has("cuekey"), {"properties": {"partitionkey": nullable(&text(KEY_MAX, "The key."))}}]},
            {"anyOf": [{"properties": {"cuemerge": {"type": "null"}}}, has("cuekey"), has("partitionkey")]},
            numbers_if("cuemerge"),
        ],
        "examples": [{"specversion": "1.0", "id": "17", "source": "/quiz", "type": "quiz.answer", "data": {"answer": "B"}, "cuekey": "question:7"}],
    });
    address(&mut event, channel);
    event
}

/// An attribute is there, and not null.
fn has(attribute: &str) -> Value {
    json!({"required": [attribute], "properties": {attribute: {"type": "string"}}})
}

/// Attributes may be null, which is as if they were not there.
fn nullable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn address(event: &mut Value, channel: Option<&str>) {
    let Some(member) = channel else { return };
    event["properties"][member] = json!({"type": "string", "description": "The channel: an alias or an ARN.", "examples": ["demo"]});
    if let Some(required) = event["required"].as_array_mut() {
        required.push(member.into());
    }
    for example in event["examples"].as_array_mut().into_iter().flatten() {
        example[member] = "demo".into();
    }
}
