//! How events become the text of a payload, and the exact size of it before it is written.
//!
//! Sizes are bytes of UTF-8. `n` is always sized at 16 digits (2^53 has 16), so that a
//! payload's size does not depend on its number; it may come out a few bytes shorter.

use crate::event::{Content, Data};
use crate::merge::Merge;

const CUE_OPEN: &str = r#"{"v":1,"n":"#;
const CUE_ITEMS: &str = r#","e":["#;
const CUE_CLOSE: &str = "]}";
const N_DIGITS: usize = 16;

/// How events become the text of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// `{"v":1,"n":N,"e":[item,…]}`.
    #[default]
    Cue,
    /// A JSON array of the bare data.
    Array,
    /// One event a payload, a JSON string as its characters.
    Raw,
}

/// What a cue item carries beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeFields {
    /// `"t"`: the type.
    pub kind: bool,
    /// `"k"`: the key (merged kinds carry it always).
    pub key: bool,
    /// `"i"`: the id.
    pub id: bool,
}

impl Default for EnvelopeFields {
    fn default() -> Self {
        Self {
            kind: true,
            key: false,
            id: false,
        }
    }
}

/// What an item of the envelope `cue` carries beside its data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemFields {
    pub fields: EnvelopeFields,
    /// `"m":"none"` where the key shows and the event does not merge: it is no state.
    pub marks_none: bool,
}

impl Envelope {
    /// Every one of them, by its name.
    pub const BY_NAME: [(&'static str, Self); 3] = [
        (Self::Cue.name(), Self::Cue),
        (Self::Array.name(), Self::Array),
        (Self::Raw.name(), Self::Raw),
    ];

    /// Its name in the configuration and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cue => "cue",
            Self::Array => "array",
            Self::Raw => "raw",
        }
    }

    /// Bytes of a payload that holds no item yet.
    pub(crate) const fn overhead(self) -> usize {
        match self {
            Self::Cue => CUE_OPEN.len() + N_DIGITS + CUE_ITEMS.len() + CUE_CLOSE.len(),
            Self::Array => "[]".len(),
            Self::Raw => 0,
        }
    }

    /// Bytes of `count` items of `bytes` bytes together, as one payload.
    pub(crate) const fn payload_size(self, bytes: usize, count: usize) -> usize {
        self.overhead() + bytes + count.saturating_sub(1)
    }

    /// Whether a payload holds one event and no more.
    pub(crate) const fn is_of_one(self) -> bool {
        matches!(self, Self::Raw)
    }

    /// Whether this event takes a payload for itself.
    pub(crate) const fn is_alone(self, data: &Data) -> bool {
        self.is_of_one() || matches!(data, Data::Verbatim(_))
    }

    /// Bytes of a payload with this one event in it.
    pub(crate) fn size_alone(self, content: &Content, item_size: usize) -> usize {
        if self.is_alone(&content.data) {
            item_size
        } else {
            self.overhead() + item_size
        }
    }

    /// Exact bytes of the event as an item of a payload.
    pub(crate) fn item_size(self, fields: ItemFields, content: &Content) -> usize {
        match (&content.data, self) {
            (Data::Verbatim(text), _) | (Data::Json(text), Self::Array) => text.len(),
            (Data::Json(text), Self::Raw) => raw_size(text),
            (Data::Json(text), Self::Cue) => {
                let member = |value: Option<&str>| {
                    value.map_or(0, |value| r#","t":"""#.len() + escaped_size(value))
                };
                let shown = Shown::of(fields, content);
                r#"{"d":}"#.len()
                    + text.len()
                    + member(shown.kind)
                    + member(shown.key)
                    + member(shown.id)
                    + member(shown.merge)
            }
        }
    }

    /// Writes the event as an item.
    pub(crate) fn write_item(self, fields: ItemFields, content: &Content, out: &mut String) {
        match (&content.data, self) {
            (Data::Verbatim(text), _) | (Data::Json(text), Self::Array) => out.push_str(text),
            (Data::Json(text), Self::Raw) => write_raw(text, out),
            (Data::Json(text), Self::Cue) => {
                out.push_str(r#"{"d":"#);
                out.push_str(text);
                let shown = Shown::of(fields, content);
                write_member(r#","t":""#, shown.kind, out);
                write_member(r#","k":""#, shown.key, out);
                write_member(r#","i":""#, shown.id, out);
                write_member(r#","m":""#, shown.merge, out);
                out.push('}');
            }
        }
    }

    /// Writes what comes before the first item.
    pub(crate) fn open(self, n: u64, out: &mut String) {
        match self {
            Self::Cue => {
                out.push_str(CUE_OPEN);
                push_number(n, out);
                out.push_str(CUE_ITEMS);
            }
            Self::Array => out.push('['),
            Self::Raw => {}
        }
    }

    /// Writes what comes after the last item.
    pub(crate) fn close(self, out: &mut String) {
        match self {
            Self::Cue => out.push_str(CUE_CLOSE),
            Self::Array => out.push(']'),
            Self::Raw => {}
        }
    }
}

/// The members a cue item really carries: merged kinds need the key, and all but `replace`
/// the merge, or a player could not apply them.
struct Shown<'a> {
    kind: Option<&'a str>,
    key: Option<&'a str>,
    id: Option<&'a str>,
    merge: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(fields: ItemFields, content: &'a Content) -> Self {
        let ItemFields { fields, marks_none } = fields;
        Self {
            kind: content.kind.as_deref().filter(|_| fields.kind),
            key: content
                .key
                .as_deref()
                .filter(|_| fields.key || content.merge.is_some()),
            id: content.id.as_deref().filter(|_| fields.id),
            merge: content
                .merge
                .filter(|merge| *merge != Merge::Replace)
                .map(Merge::name)
                // Players take an item with a key for one that replaces.
                .or(
                    (fields.key && marks_none && content.merge.is_none() && content.key.is_some())
                        .then_some("none"),
                ),
        }
    }
}

pub(crate) fn push_number(n: u64, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

fn write_member(open: &str, value: Option<&str>, out: &mut String) {
    if let Some(value) = value {
        out.push_str(open);
        write_escaped(value, out);
        out.push('"');
    }
}

/// Bytes of `text` inside a JSON string, without the quotes.
pub(crate) fn escaped_size(text: &str) -> usize {
    text.bytes()
        .map(|byte| escape(byte).map_or(1, |escaped| if escaped == b'u' { 6 } else { 2 }))
        .sum()
}

pub(crate) fn write_escaped(text: &str, out: &mut String) {
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let Some(escaped) = escape(byte) else {
            continue;
        };
        // Every escaped byte is ASCII, so both cuts are at character boundaries.
        out.push_str(&text[plain..index]);
        plain = index + 1;
        out.push('\\');
        out.push(char::from(escaped));
        if escaped == b'u' {
            out.push_str("00");
            out.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
    }
    out.push_str(&text[plain..]);
}

/// The character after the backslash, for bytes that RFC 8259 wants escaped.
const fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0..=0x1f => Some(b'u'),
        _ => None,
    }
}

/// Bytes of a `raw` payload: a JSON string counts as its characters, anything else as its text.
fn raw_size(json: &str) -> usize {
    if json.starts_with('"') && json.contains('\\') {
        unescaped(json).len()
    } else if json.starts_with('"') {
        json.len() - 2
    } else {
        json.len()
    }
}

fn write_raw(json: &str, out: &mut String) {
    if json.starts_with('"') {
        out.push_str(&unescaped(json));
    } else {
        out.push_str(json);
    }
}

fn unescaped(json: &str) -> String {
    // The edges let only valid JSON in; were it not, its text as it is loses nothing.
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::EnvelopeFields;

    fn check(envelope: Envelope, fields: EnvelopeFields, content: &Content, expected: &str) {
        let fields = ItemFields {
            fields,
            marks_none: false,
        };
        let mut out = String::new();
        envelope.write_item(fields, content, &mut out);
        assert_eq!(out, expected);
        assert_eq!(
            envelope.item_size(fields, content),
            out.len(),
            "the size of {expected}"
        );
    }

    #[test]
    fn items_are_written_at_their_size() {
        let all = EnvelopeFields {
            kind: true,
            key: true,
            id: true,
        };
        let none = EnvelopeFields {
            kind: false,
            key: false,
            id: false,
        };
        let json = |text: &str| Data::Json(text.into());
        let content = Content {
            kind: Some("t\"\n\u{1}é😀".into()),
            id: Some("i\\".into()),
            key: Some("k".into()),
            merge: Some(Merge::Sum),
            ..Content::new(json(r#"{"a":1.0}"#))
        };
        let kind = r#""t\"\n\u0001é😀""#;
        check(
            Envelope::Cue,
            all,
            &content,
            &format!(r#"{{"d":{{"a":1.0}},"t":{kind},"k":"k","i":"i\\","m":"sum"}}"#),
        );
        check(
            Envelope::Cue,
            none,
            &content,
            r#"{"d":{"a":1.0},"k":"k","m":"sum"}"#,
        );
        let replaced = Content {
            merge: Some(Merge::Replace),
            ..content.clone()
        };
        check(Envelope::Cue, none, &replaced, r#"{"d":{"a":1.0},"k":"k"}"#);
        let bare = Content {
            merge: None,
            ..content.clone()
        };
        check(Envelope::Cue, none, &bare, r#"{"d":{"a":1.0}}"#);
        check(Envelope::Array, all, &content, r#"{"a":1.0}"#);
        check(Envelope::Raw, all, &content, r#"{"a":1.0}"#);
        let text = json(r#""a\n\u00e9😀""#);
        check(
            Envelope::Raw,
            all,
            &Content {
                data: text,
                ..content.clone()
            },
            "a\né😀",
        );
        let verbatim = Data::Verbatim("not \"JSON\"".into());
        check(
            Envelope::Cue,
            all,
            &Content {
                data: verbatim,
                ..content.clone()
            },
            "not \"JSON\"",
        );
    }
}
