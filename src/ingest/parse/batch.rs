//! The events of one body or message, in their order: those that may be offered, and the
//! refusals of the others.
//!
//! A text that is no batch at all (bad array, no UTF-8, empty) is one refused event, so
//! that received = accepted + rejected + duplicates holds whatever comes. What a queue
//! thinks of the events is not asked here.

use std::borrow::Cow;
use std::fmt;

use engine::Event;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cloudevents;
use super::event::{self, Addressed, Addressing};
use super::text;
use super::validate::ParseContext;
use crate::ingest::limits::{EVENT_MIN_BYTES, EVENTS_MAX};
use crate::refusal::{Code, Refusal};

/// How one event is read: the house's format, or `CloudEvents`.
pub type Read = for<'a, 'b, 'c> fn(
    &'a str,
    Addressing,
    &'b mut ParseContext<'c>,
) -> Result<Addressed<'a>, Refusal>;

/// Events on their way to their queues. A *position* counts all events, refused or not.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// What may be offered, in order.
    pub events: Vec<Event>,
    /// The channel of each of these, where events name it.
    pub channels: Vec<Cow<'a, str>>,
    /// Positions and refusals of the others, in order.
    pub refused: Vec<(usize, Refusal)>,
}

impl<'a> Batch<'a> {
    /// Events, refused or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.events.len() + self.refused.len()
    }

    /// Adds one event, or the refusal in its place.
    pub fn push(&mut self, read: Result<Addressed<'a>, Refusal>) {
        match read {
            Ok((event, channel)) => {
                self.events.push(event);
                self.channels.extend(channel);
            }
            Err(refusal) => self.refused.push((self.total(), refusal)),
        }
    }

    /// Gives each event without an id the id `key/position`: sent again, it is a duplicate.
    pub fn name_after(&mut self, key: &str) {
        let positions = self.positions();
        for (position, event) in positions.zip(&mut self.events) {
            if event.content.id.is_none() {
                event.content.id = Some(format!("{key}/{position}").into());
            }
        }
    }

    /// Refuses every event from this position on that is not refused already.
    pub fn refuse_from(&mut self, position: usize, refusal: &Refusal) {
        let kept = self.positions().take_while(|at| *at < position).count();
        let refused: Vec<usize> = self.positions().skip(kept).collect();
        self.events.truncate(kept);
        self.channels.truncate(kept);
        self.refused
            .extend(refused.into_iter().map(|at| (at, refusal.clone())));
        self.refused.sort_unstable_by_key(|(at, _)| *at);
    }

    /// The positions of [`Batch::events`].
    pub fn positions(&self) -> impl Iterator<Item = usize> + use<> {
        let gaps: Vec<usize> = self.refused.iter().map(|(position, _)| *position).collect();
        let mut gaps = gaps.into_iter().peekable();
        (0..self.total()).filter(move |position| gaps.next_if_eq(position).is_none())
    }

    /// Adds a text that is one event or an array of events.
    pub fn add_json(
        &mut self,
        text: &'a str,
        addressing: Addressing,
        reader: &mut ParseContext<'_>,
    ) {
        if is_array(text) {
            self.add_array(text, event::read, addressing, reader);
        } else {
            self.push(event::read(text, addressing, reader));
        }
    }

    /// Adds a text that is an array of events.
    pub fn add_array(
        &mut self,
        text: &'a str,
        read: Read,
        addressing: Addressing,
        reader: &mut ParseContext<'_>,
    ) {
        if let Err(refusal) = text::check_start(text) {
            return self.push(Err(refusal));
        }
        match serde_json::from_str::<Elements<'a>>(text) {
            Err(error) => self.push(Err(text::malformed(error))),
            Ok(Elements(events)) if events.is_empty() => self.push(Err(empty())),
            Ok(Elements(events)) if events.len() > EVENTS_MAX => self.push(Err(too_many())),
            Ok(Elements(events)) => {
                // Not for what is too short to be events: room for one takes 70 times its `1,`.
                self.events
                    .reserve(events.len().min(text.len() / EVENT_MIN_BYTES));
                for event in events {
                    self.push(read(event.get(), addressing, reader));
                }
            }
        }
    }
}

/// The elements of an array, no more of them than tell that there are too many.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() <= EVENTS_MAX {
                        elements.push(element);
                    }
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Take)
    }
}

/// A body of `application/json`.
pub fn json<'a>(
    body: &'a [u8],
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Batch<'a> {
    with_text(body, |batch, text| batch.add_json(text, addressing, reader))
}

/// A body that is one event of a format, and no array.
pub fn single<'a>(
    body: &'a [u8],
    read: Read,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Batch<'a> {
    with_text(body, |batch, text| {
        batch.push(read(text, addressing, reader));
    })
}

/// A body that is an array of events of a format.
pub fn array<'a>(
    body: &'a [u8],
    read: Read,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Batch<'a> {
    with_text(body, |batch, text| {
        batch.add_array(text, read, addressing, reader);
    })
}

/// A body of `application/x-ndjson`: a bad line refuses itself, blank lines do not count.
pub fn ndjson<'a>(
    body: &'a [u8],
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Batch<'a> {
    let mut batch = Batch::default();
    // Half of what a body of typical events (about 100 bytes) needs; it grows once.
    batch.events.reserve((body.len() / 200).min(EVENTS_MAX));
    // One check for the whole body is several times cheaper than one a line.
    let valid = std::str::from_utf8(body).ok();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
        let line = &body[start..end];
        if !line.trim_ascii().is_empty() {
            if batch.total() == EVENTS_MAX {
                return refused(too_many());
            }
            let text = valid.map_or_else(
                || std::str::from_utf8(line).ok(),
                |body| body.get(start..end),
            );
            batch.push(
                text.ok_or_else(not_utf8)
                    .and_then(|text| read_line(text, addressing, reader)),
            );
        }
        start = end + 1;
    }
    if batch.total() == 0 {
        refused(empty())
    } else {
        batch
    }
}

fn with_text<'a>(body: &'a [u8], add: impl FnOnce(&mut Batch<'a>, &'a str)) -> Batch<'a> {
    let mut batch = Batch::default();
    match std::str::from_utf8(body) {
        Ok(text) => add(&mut batch, text),
        Err(_) => batch.push(Err(not_utf8())),
    }
    batch
}

fn refused(refusal: Refusal) -> Batch<'static> {
    let mut batch = Batch::default();
    batch.push(Err(refusal));
    batch
}

fn is_array(text: &str) -> bool {
    text.trim_ascii_start().starts_with('[')
}

fn not_utf8() -> Refusal {
    Refusal::malformed("not UTF-8")
}

fn empty() -> Refusal {
    Refusal::malformed("there is no event in it")
}

fn too_many() -> Refusal {
    Refusal::new(
        Code::BodyTooLarge,
        format!("more than {EVENTS_MAX} events in one body"),
    )
}

/// Reads a line: an event, or a `CloudEvent` in its JSON format, as `cuegate journal export` writes
/// those whose identity is too long for an `id`. What has a `specversion` is meant as one; looking
/// for that costs nothing where the line is an event.
///
/// # Errors
/// `malformed` or `invalid_event`.
fn read_line<'a>(
    text: &'a str,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Result<Addressed<'a>, Refusal> {
    match event::read(text, addressing, reader) {
        Err(refusal) if refusal.code == Code::Malformed && text.contains(r#""specversion""#) => {
            cloudevents::read(text, addressing, reader)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader() -> ParseContext<'static> {
        ParseContext {
            now_ms: 0,
            at_max_ahead_ms: 1000,
            time_of: &|_| engine::Wall::default(),
            scratch: String::new(),
        }
    }

    /// `data` of what was read and the code of what was refused, in order.
    fn outline(batch: &Batch<'_>) -> Vec<String> {
        let mut lines = vec![String::new(); batch.total()];
        for (position, event) in batch.positions().zip(&batch.events) {
            lines[position] = event.content.data.text().to_string();
        }
        for (position, refusal) in &batch.refused {
            lines[*position] = refusal.code.name().to_owned();
        }
        lines
    }

    #[test]
    #[rustfmt::skip] // a table
    fn json_bodies() {
        for (body, expected) in [
            (&br#"{"data":1}"#[..], &["1"][..]),
            (br#" [ {"data":1} , {"data":[2, 3]} ] "#, &["1", "[2,3]"]),
            (br#"[{"data":1},{"data":2,"x":1},5,{"data":3,"ttl_ms":0},{"data":4}]"#, &["1", "malformed", "malformed", "invalid_event", "4"]),
            (br#"[{"data":1},{"data":"\ud800"},[{"data":1}],null]"#, &["1", "malformed", "malformed", "malformed"]),
            (br#"[{"data":1},{"data":2]"#, &["malformed"]),
            (br#"[{"data":1},]"#, &["malformed"]),
            (br#"[{"data":1}] x"#, &["malformed"]),
            (br#"[{"data":1}"#, &["malformed"]),
            (b"[]", &["malformed"]),
            (b" [ ] ", &["malformed"]),
            (b"", &["malformed"]),
            (b"null", &["malformed"]),
            (b"\xef\xbb\xbf{\"data\":1}", &["malformed"]),
            (b"[{\"data\":1},{\"data\":\"\xff\"}]", &["malformed"]),
            (b"{\"data\":1}\n{\"data\":2}", &["malformed"]),
        ] {
            let batch = json(body, Addressing::Path, &mut reader());
            assert_eq!(outline(&batch), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn ndjson_bodies() {
        for (body, expected) in [
            (&b"{\"data\":1}\n{\"data\":2}\n"[..], &["1", "2"][..]),
            (b"{\"data\":1}\r\n{\"data\":2}", &["1", "2"]),
            (b"\n\n{\"data\":1}\n \t\r\n{\"data\":2}\n\n", &["1", "2"]),
            (b"{\"data\":1}\n\nx\n{\"data\":2}", &["1", "malformed", "2"]),
            (b"[{\"data\":1}]\n{\"data\":2}", &["malformed", "2"]),
            (b"{\"data\":\"\xff\"}\n{\"data\":\"\xc3\xa9\"}", &["malformed", "\"\u{e9}\""]),
            (b"{\"data\":\n1}", &["malformed", "malformed"]),
            (b"{\"data\":1}{\"data\":2}\n", &["malformed"]),
            (b"\xef\xbb\xbf{\"data\":1}\n{\"data\":2}", &["malformed", "2"]),
            (b"", &["malformed"]),
            (b"\n \r\n", &["malformed"]),
        ] {
            let batch = ndjson(body, Addressing::Path, &mut reader());
            assert_eq!(outline(&batch), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn rubbish_without_end_is_cut_off() {
        let body = b"x\n".repeat(EVENTS_MAX + 1);
        assert_eq!(
            outline(&ndjson(&body, Addressing::Path, &mut reader())),
            ["body_too_large"]
        );
        let body = format!("[{}1]", "1,".repeat(EVENTS_MAX));
        assert_eq!(
            outline(&json(body.as_bytes(), Addressing::Path, &mut reader())),
            ["body_too_large"]
        );
    }

    #[test]
    fn of_too_many_elements_no_more_are_kept_than_tell() {
        let body = format!("[{}1]", "1,".repeat(1 << 20));
        let used = allocation_counter::measure(|| {
            let batch = json(body.as_bytes(), Addressing::Path, &mut reader());
            assert_eq!(outline(&batch), ["body_too_large"]);
        });
        // The list and, while it grows, its half as large predecessor.
        let list = EVENTS_MAX.next_power_of_two() * size_of::<&RawValue>();
        assert!(used.bytes_max < (list + list / 2 + 1024) as u64, "{used:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in any::<Vec<u8>>(), lines in prop::collection::vec(r#"\{"data":[0-9\[\]{}"]{0,8}\}?|[ \r]|"#, 0..8)) {
            for body in [body, lines.join("\n").into_bytes()] {
                for batch in [
                    json(&body, Addressing::Path, &mut reader()),
                    ndjson(&body, Addressing::Event, &mut reader()),
                ] {
                    prop_assert!(batch.total() > 0);
                    prop_assert_eq!(batch.positions().count(), batch.events.len());
                    prop_assert!(batch.refused.is_sorted_by_key(|(position, _)| *position));
                }
            }
        }
    }

    #[test]
    fn a_line_may_be_a_cloudevent() {
        let line = |text| read_line(text, Addressing::Event, &mut reader());
        let cloud = r#"{"specversion":"1.0","id":"1","source":"/q","type":"t","data":1,"cuechannel":"quiz"}"#;
        let (event, channel) = line(cloud).expect("an event");
        assert_eq!(event.content.id.as_deref(), Some("/q 1"));
        assert_eq!(channel.as_deref(), Some("quiz"));
        // Of an event that is wrong otherwise it says what is wrong with the event.
        let wrong =
            line(r#"{"data":"\"specversion\"","channel":"quiz","x":1}"#).expect_err("wrong");
        assert!(wrong.detail.contains('x'), "{}", wrong.detail);
    }
}
