//! The events of a run: each carries its own identity, and exactly the bytes asked for.
//!
//! The data is a JSON string, `"RUN.CHANNEL.SEQ.xxxx"`, the quotes counted: an identity that
//! takes few bytes and is the same text in every envelope.

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
    /// Its size in bytes.
    pub(super) bytes: u64,
}

impl Payload {
    /// Reads a payload of any envelope, in any form. None of the data of one in slices is there before the last.
    pub(super) fn parse(text: &str, reader: &mut Reader) -> Self {
        #[derive(Deserialize)]
        struct Cue {
            n: u64,
            e: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            d: Value,
        }
        let bytes = text.len() as u64;
        let Some(text) = reader.read(text) else {
            return Self {
                n: None,
                data: Vec::new(),
                bytes,
            };
        };
        let text = text.as_str();
        if let Ok(cue) = serde_json::from_str::<Cue>(text) {
            let items = cue.e.into_iter().map(|item| item.d);
            return Self {
                n: Some(cue.n),
                data: items.filter_map(string).collect(),
                bytes,
            };
        }
        let data = match serde_json::from_str::<Vec<Box<RawValue>>>(text) {
            Ok(items) => items
                .iter()
                .filter_map(|item| serde_json::from_str(item.get()).ok())
                .collect(),
            // A `raw` string is there as its characters.
            Err(_) => vec![text.to_owned()],
        };
        Self {
            n: None,
            data,
            bytes,
        }
    }
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
        let mut reader = Reader::default();
        let first = Payload::parse(slices[0], &mut reader);
        assert_eq!((first.n, first.data.len()), (None, 0));
        let last = Payload::parse(slices[1], &mut reader);
        assert_eq!(
            (last.n, last.data),
            (Some(7), vec!["a".to_owned(), "b".to_owned()])
        );
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
            let payload = Payload::parse(text, &mut Reader::default());
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
