//! Events from standard input: lines are sent as they come, together with those that are there
//! already.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufRead as _, BufReader};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// Most bytes sent as one request: half of the gateway's own default bound.
const BATCH_BYTES: usize = 512 * 1024;
/// Lines that are read ahead: a reader that is faster than the gateway waits.
const AHEAD: usize = 1024;

/// Standard input.
pub(super) struct Input {
    lines: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    /// A line that did not fit into the batch before.
    left: Option<Vec<u8>>,
    /// Events that came so far.
    events: usize,
}

/// Lines that are sent together.
pub(super) struct Batch {
    /// The index of the first event in the whole input.
    pub first: usize,
    /// The lines.
    pub body: Vec<u8>,
}

impl Input {
    /// Begins to read.
    pub fn open() -> Self {
        let (tell, lines) = mpsc::channel(AHEAD);
        // A thread of its own, which a read that never ends does not keep the program from ending.
        std::thread::spawn(move || {
            let mut input = BufReader::new(std::io::stdin());
            loop {
                let mut line = Vec::new();
                let read = input.read_until(b'\n', &mut line);
                let ends = !matches!(read, Ok(1..));
                let told = match read {
                    Ok(0) => return,
                    Ok(_) => tell.blocking_send(Ok(line)),
                    Err(error) => tell.blocking_send(Err(error)),
                };
                if ends || told.is_err() {
                    return;
                }
            }
        });
        Self {
            lines,
            left: None,
            events: 0,
        }
    }

    /// The next line, and those behind it that have come already; none at the end of the input.
    /// Events get those of `members` that they do not have.
    pub async fn next(&mut self, members: &Map<String, Value>) -> std::io::Result<Option<Batch>> {
        let mut batch = Batch {
            first: self.events,
            body: Vec::new(),
        };
        while batch.body.is_empty() {
            let line = match self.left.take() {
                Some(line) => line,
                None => match self.lines.recv().await {
                    Some(line) => line?,
                    None => return Ok(None),
                },
            };
            self.add(&mut batch, &line, members);
        }
        while let Ok(line) = self.lines.try_recv() {
            let line = line?;
            if batch.body.len() + line.len() > BATCH_BYTES {
                self.left = Some(line);
                break;
            }
            self.add(&mut batch, &line, members);
        }
        Ok(Some(batch))
    }

    fn add(&mut self, batch: &mut Batch, line: &[u8], members: &Map<String, Value>) {
        let line = line.trim_ascii();
        // The gateway does not count blank lines.
        if line.is_empty() {
            return;
        }
        self.events += 1;
        match completed(line, members) {
            Some(text) => batch.body.extend_from_slice(text.as_bytes()),
            None => batch.body.extend_from_slice(line),
        }
        batch.body.push(b'\n');
    }
}

/// An event with those members that it does not have; none: it stays as it is, because it has all,
/// or is no object, which is the gateway's to refuse.
fn completed(line: &[u8], members: &Map<String, Value>) -> Option<String> {
    if members.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    let Names(has) = serde_json::from_str(text).ok()?;
    let missing = members.iter().filter(|(name, _)| !has.contains(*name));
    let missing: Map<String, Value> = missing.map(|(n, v)| (n.clone(), v.clone())).collect();
    if missing.is_empty() {
        return None;
    }
    let added = Value::Object(missing).to_string();
    let rest = text.strip_prefix('{')?;
    let comma = if has.is_empty() { "" } else { "," };
    // What was written stays as it is: numbers keep their digits.
    Some(format!("{}{comma}{rest}", &added[..added.len() - 1]))
}

/// The names of an object's members.
struct Names(HashSet<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = HashSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    names.insert(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Take)
    }
}

/// The codes of what is wrong with an event itself: the others may be well.
const OF_AN_EVENT: [&str; 3] = ["malformed", "invalid_event", "event_too_large"];

/// What an answer refuses, each with its index in the whole input, of which `first` is the first
/// that was sent. A request with one event is refused as a whole.
pub(super) fn refusals(answer: &str, first: usize) -> Vec<Value> {
    let Ok(answer) = serde_json::from_str::<Value>(answer) else {
        return Vec::new();
    };
    if let Some(rejected) = answer.get("rejected").and_then(Value::as_array) {
        let mut rejected = rejected.clone();
        for refusal in &mut rejected {
            let index = refusal["index"].as_u64().unwrap_or(0);
            refusal["index"] = (index + first as u64).into();
        }
        return rejected;
    }
    let code = answer["code"].as_str().unwrap_or_default();
    if !OF_AN_EVENT.contains(&code) {
        return Vec::new();
    }
    vec![serde_json::json!({"index": first, "code": code, "detail": answer["detail"]})]
}

/// The answer with these refusals in place of its own.
pub(super) fn with_indexes(answer: &str, refused: &[Value]) -> String {
    match serde_json::from_str::<Value>(answer) {
        Ok(mut whole) if !refused.is_empty() => {
            whole["rejected"] = refused.into();
            whole.to_string()
        }
        _ => answer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_where_they_are_missing() {
        let Value::Object(members) = serde_json::json!({"key": "k", "type": "t"}) else {
            panic!("an object");
        };
        for (line, expected) in [
            (
                r#"{"data":1.50}"#,
                Some(r#"{"key":"k","type":"t","data":1.50}"#),
            ),
            (
                r#"{ "data":1,"key":"own"}"#,
                Some(r#"{"type":"t", "data":1,"key":"own"}"#),
            ),
            (r#"{"key":"a","type":"b","data":1}"#, None),
            ("{}", Some(r#"{"key":"k","type":"t"}"#)),
            ("[1]", None),
            ("nonsense", None),
        ] {
            assert_eq!(
                completed(line.as_bytes(), &members).as_deref(),
                expected,
                "{line}"
            );
        }
        assert_eq!(completed(br#"{"data":1}"#, &Map::new()), None);
    }

    #[test]
    fn refusals_count_from_the_first_line() {
        let answer = r#"{"accepted":1,"rejected":[{"index":2,"code":"malformed","detail":"x"}]}"#;
        assert_eq!(refusals(answer, 40)[0]["index"], 42);
        let one = r#"{"code":"invalid_event","detail":"x","status":422}"#;
        assert_eq!(refusals(one, 40)[0]["index"], 40);
        assert!(refusals(r#"{"code":"unknown_channel"}"#, 0).is_empty());
        assert!(refusals(r#"{"accepted":2,"rejected":[]}"#, 0).is_empty());
        assert_eq!(
            with_indexes(answer, &refusals(answer, 40)),
            r#"{"accepted":1,"rejected":[{"code":"malformed","detail":"x","index":42}]}"#
        );
    }
}
