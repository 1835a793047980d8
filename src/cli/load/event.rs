//! The events of a run: each carries its own identity, and exactly the bytes asked for.
//!
//! The data is a JSON string, `"RUN.CHANNEL.SEQ.xxxx"`, the quotes counted: an identity that
//! takes few bytes and is the same text in every envelope. Data that may not fit a payload goes on with words
//! instead, which compress as a list of names and points does, so that it leaves in slices.

use std::fmt::Write as _;

use engine::Reader;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::plan::Request;

/// The type of every event, by which a run can be purged.
pub(super) const KIND: &str = "load";

/// The smallest data: the run and the largest channel and sequence number fit.
pub(super) const SIZE_MIN: usize = 32;
/// The largest: what a payload in slices decodes to at most.
pub(super) const SIZE_MAX: usize = 65_536;
/// Larger data is of words.
const WORDS_FROM: usize = 1024;
/// Words of as many letters, and a space.
const WORDS: [&str; 16] = [
    "answer ", "banner ", "camera ", "dancer ", "eleven ", "finals ", "goalie ", "header ",
    "impact ", "jersey ", "kicker ", "league ", "middle ", "number ", "offset ", "player ",
];

/// What all events of a run share.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Tells runs apart: 8 hexadecimal digits.
    pub(super) run: String,
    /// Bytes of data.
    pub(super) size: usize,
    /// A time to live of their own.
    pub(super) ttl_ms: Option<u32>,
}

impl Form {
    /// A request's body: an event, or an array of them; with their channel where the path does
    /// not name it.
    pub(super) fn body(&self, request: &Request, channel: Option<&str>, batch: usize) -> String {
        let mut body = String::with_capacity(request.count * (self.size + 64));
        if batch > 1 {
            body.push('[');
        }
        for seq in request.first..request.first + request.count {
            if seq > request.first {
                body.push(',');
            }
            let _ = write!(body, r#"{{"type":"{KIND}","data":"#);
            self.data(&mut body, request.channel, seq);
            if let Some(ttl_ms) = self.ttl_ms {
                let _ = write!(body, r#","ttl_ms":{ttl_ms}"#);
            }
            if let Some(channel) = channel {
                // An alias or an ARN: neither has a character that JSON escapes.
                let _ = write!(body, r#","channel":"{channel}""#);
            }
            body.push('}');
        }
        if batch > 1 {
            body.push(']');
        }
        body
    }

    fn data(&self, into: &mut String, channel: usize, seq: usize) {
        let end = into.len() + self.size - 1;
        let _ = write!(into, r#""{}.{channel}.{seq}."#, self.run);
        if self.size > WORDS_FROM {
            // Words of its own, so that no event is compressed into a word on another one.
            let mut random = fastrand::Rng::with_seed((channel as u64) << 32 | seq as u64);
            while into.len() + WORDS[0].len() <= end {
                into.push_str(random.choice(WORDS).unwrap_or_default());
            }
        }
        while into.len() < end {
            into.push('x');
        }
        into.push('"');
    }

    /// The channel and sequence number of an event's data; none if it is not of this run.
    pub(super) fn identity(&self, data: &str) -> Option<(usize, usize)> {
        let mut parts = data.splitn(4, '.');
        if parts.next()? != self.run {
            return None;
        }
        let channel = parts.next()?.parse().ok()?;
        let seq = parts.next()?.parse().ok()?;
        parts.next()?;
        Some((channel, seq))
    }
}

/// A payload as a player reads it.
pub(super) struct Payload {
    /// Its number; none in the envelopes `array` and `raw`.
    pub(super) n: Option<u64>,
    /// The data of its events that are strings.
    pub(super) data: Vec<String>,
    /// Calls that it took, its slices counted.
    pub(super) calls: u64,
    /// Its size in bytes, those of its slices counted.
    pub(super) bytes: u64,
}

/// Reads a channel's payloads as a player does.
#[derive(Default)]
pub(super) struct Watch {
    reader: Reader,
    /// Slices of a payload that is not whole yet, and their bytes.
    slices: (u64, u64),
}

impl Watch {
    /// Reads a payload of any envelope, in any form; none: a slice that completes nothing.
    pub(super) fn read(&mut self, sent: &str) -> Option<Payload> {
        let bytes = sent.len() as u64;
        let Some(text) = self.reader.read(sent) else {
            self.slices = (self.slices.0 + 1, self.slices.1 + bytes);
            return None;
        };
        // What is urgent goes between slices; and what stays as it is was none.
        let is_last = sent.starts_with("~2") && text != sent;
        let before = if is_last {
            std::mem::take(&mut self.slices)
        } else {
            (0, 0)
        };
        let (n, data) = parse(&text);
        Some(Payload {
            n,
            data,
            calls: before.0 + 1,
            bytes: before.1 + bytes,
        })
    }
}

/// The number of a payload, and its events' data that are strings.
fn parse(text: &str) -> (Option<u64>, Vec<String>) {
    #[derive(Deserialize)]
    struct Cue {
        n: u64,
        e: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        d: Value,
    }
    if let Ok(cue) = serde_json::from_str::<Cue>(text) {
        let items = cue.e.into_iter().map(|item| item.d);
        return (Some(cue.n), items.filter_map(string).collect());
    }
    let data = match serde_json::from_str::<Vec<Box<RawValue>>>(text) {
        Ok(items) => items
            .iter()
            .filter_map(|item| serde_json::from_str(item.get()).ok())
            .collect(),
        // A `raw` string is there as its characters.
        Err(_) => vec![text.to_owned()],
    };
    (None, data)
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn form(size: usize) -> Form {
        Form {
            run: "0123abcd".to_owned(),
            size,
            ttl_ms: None,
        }
    }

    #[test]
    fn data_has_exactly_its_size_and_its_identity() {
        for (size, channel, seq) in [
            (SIZE_MIN, 0, 0),
            (SIZE_MIN, 9_999, 99_999_999),
            (90, 39, 1499),
            (1024, 5, 7),
            (1025, 5, 7),
            (65_536, 5, 7),
        ] {
            let mut data = String::new();
            form(size).data(&mut data, channel, seq);
            assert_eq!(data.len(), size, "{data}");
            let text: String = serde_json::from_str(&data).expect("a JSON string");
            assert_eq!(form(size).identity(&text), Some((channel, seq)));
        }
        for other in [
            "",
            "0123abcd",
            "0123abcd.1.2",
            "ffffffff.1.2.x",
            "0123abcd.a.2.x",
            "0123abcd.-1.2.x",
        ] {
            assert_eq!(form(90).identity(other), None, "{other}");
        }
    }

    #[test]
    fn bodies_are_events_of_the_surface() {
        let request = Request {
            channel: 3,
            first: 10,
            count: 2,
            due: Duration::ZERO,
        };
        let mut form = form(40);
        let body: Value = serde_json::from_str(&form.body(&request, None, 5)).expect("JSON");
        assert_eq!(body.as_array().map(Vec::len), Some(2), "{body}");
        assert_eq!(body[1]["type"], KIND);
        form.ttl_ms = Some(500);
        let one = Request {
            count: 1,
            ..request
        };
        let body: Value = serde_json::from_str(&form.body(&one, Some("quiz"), 1)).expect("JSON");
        assert_eq!(
            (&body["channel"], &body["ttl_ms"]),
            (&"quiz".into(), &500.into())
        );
        assert!(
            body["data"]
                .as_str()
                .is_some_and(|d| d.starts_with("0123abcd.3.10."))
        );
    }

    #[test]
    fn slices_are_read_with_the_last() {
        // Of the payload `{"v":1,"n":7,"e":[{"d":"a"},{"d":"b"}]}`, made by `player/reference/forms.py`.
        let slices = ["~2W*f0ACiz+ylAy}p", "~2W*f0BCl`QIAbNAA"];
        // What is urgent goes between them.
        let urgent = "~0iz+ylAy}4IM3CO;BSdtp(4!-uJT3IAA";
        let mut watch = Watch::default();
        assert!(watch.read(slices[0]).is_none());
        let between = watch.read(urgent).expect("a payload");
        assert_eq!((between.calls, between.bytes), (1, 33));
        let last = watch.read(slices[1]).expect("a payload");
        assert_eq!(
            (last.n, last.data),
            (Some(7), vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!((last.calls, last.bytes), (2, 34));
    }

    #[test]
    fn payloads_of_every_envelope_are_read() {
        for (text, n, data) in [
            (
                r#"{"v":1,"n":7,"e":[{"d":"a","t":"load"},{"d":{"x":1}},{"d":"b"}]}"#,
                Some(7),
                &["a", "b"][..],
            ),
            // The same payload, compressed.
            ("~0iz+ylAy}4IM3CO;BSdtp(4!-uJT3IAA", Some(7), &["a", "b"]),
            (r#"["a",1,{"b":2},"c"]"#, None, &["a", "c"]),
            ("0123abcd.1.2.xx", None, &["0123abcd.1.2.xx"]),
            ("", None, &[""]),
            (r#"{"v":1}"#, None, &[r#"{"v":1}"#]),
        ] {
            let payload = Watch::default().read(text).expect("a payload");
            assert_eq!(
                (
                    payload.n,
                    payload.data.iter().map(String::as_str).collect::<Vec<_>>()
                ),
                (n, data.to_vec()),
                "{text}"
            );
        }
    }
}
