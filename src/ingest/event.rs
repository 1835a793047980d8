//! One event of the house's own format: JSON text -> `engine::Event`.
//!
//! Grammar, JSON types, unknown and repeated fields are settled while the text is read
//! (`malformed`); values by [`Draft::finish`] (`invalid_event`).
//! No tree is built and no state is kept: what a queue thinks of the event is not asked here.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use engine::{Event, Merge, Priority};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cloudevents;
use super::draft::{Draft, Moment, Reader, Verbatim, Word};
use super::refusal::{Code, Refusal};

/// Whether events name their channel themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// The path does: a `channel` field is unknown.
    Path,
    /// Every event must.
    Event,
}

/// An event, and the channel it names if it is to name one.
pub type Addressed<'a> = (Event, Option<Cow<'a, str>>);

/// Reads one event.
///
/// # Errors
/// `malformed` or `invalid_event`.
pub fn read<'a>(
    text: &'a str,
    addressing: Addressing,
    reader: &mut Reader<'_>,
) -> Result<Addressed<'a>, Refusal> {
    check_start(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let (draft, channel) = Fields(addressing)
        .deserialize(&mut json)
        .map_err(malformed)?;
    json.end().map_err(malformed)?;
    Ok((draft.finish(reader)?, channel))
}

/// Reads a line: an event, or a `CloudEvent` in its JSON format, as `cuegate journal export` writes
/// those whose identity is too long for an `id`. What has a `specversion` is meant as one; looking
/// for that costs nothing where the line is an event.
///
/// # Errors
/// `malformed` or `invalid_event`.
pub fn read_line<'a>(
    text: &'a str,
    addressing: Addressing,
    reader: &mut Reader<'_>,
) -> Result<Addressed<'a>, Refusal> {
    match read(text, addressing, reader) {
        Err(refusal) if refusal.code == Code::Malformed && text.contains(r#""specversion""#) => {
            cloudevents::read(text, addressing, reader)
        }
        read => read,
    }
}

/// Refuses a byte order mark by its name: what `serde_json` says of it helps nobody.
///
/// # Errors
/// `malformed`.
pub fn check_start(text: &str) -> Result<(), Refusal> {
    if text.starts_with('\u{feff}') {
        return Err(Refusal::malformed(
            "it begins with a byte order mark (U+FEFF): send UTF-8 without one",
        ));
    }
    Ok(())
}

/// What `serde_json` found wrong; its words say what and where.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn malformed(error: serde_json::Error) -> Refusal {
    Refusal::malformed(error.to_string())
}

/// Deserializes any JSON string through a function: one copy at most, escapes or not.
struct StringVisitor<F, T>(F, PhantomData<T>);

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for StringVisitor<F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}

macro_rules! from_string {
    ($name:ident, $make:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_str(StringVisitor($make, PhantomData))
                    .map(Self)
            }
        }
    };
}

/// A string of an event, kept.
pub struct Kept(pub Arc<str>);
from_string!(Kept, |text: &str| Arc::from(text));

struct MergeWord(Word<Merge>);
from_string!(MergeWord, |word: &str| Word::from_lookup(Merge::from_name(
    word
)));

struct PriorityWord(Word<Priority>);
from_string!(PriorityWord, |word: &str| Word::from_lookup(
    Priority::from_name(word)
));

struct EnvelopeWord(Word<Verbatim>);
from_string!(EnvelopeWord, |word: &str| Word::from_lookup(
    Verbatim::from_name(word)
));

/// A string, borrowed from the body where it has no escapes.
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Data,
    Kind,
    Id,
    Key,
    Merge,
    Priority,
    Ttl,
    At,
    Envelope,
    Channel,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lookup;
        impl Visitor<'_> for Lookup {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(match name {
                    "data" => Name::Data,
                    "type" => Name::Kind,
                    "id" => Name::Id,
                    "key" => Name::Key,
                    "merge" => Name::Merge,
                    "priority" => Name::Priority,
                    "ttl_ms" => Name::Ttl,
                    "at" => Name::At,
                    "envelope" => Name::Envelope,
                    "channel" => Name::Channel,
                    other => return Err(unknown_field(other)),
                })
            }
        }
        deserializer.deserialize_str(Lookup)
    }
}

fn unknown_field<E: Error>(name: &str) -> E {
    E::custom(format_args!("unknown field `{name}`"))
}

/// Reads the fields of an event into a [`Draft`].
struct Fields(Addressing);

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = (Draft<'de>, Option<Cow<'de, str>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = (Draft<'de>, Option<Cow<'de, str>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut draft = Draft::default();
        let mut data: Option<&'de RawValue> = None;
        let mut channel: Option<Text<'de>> = None;
        while let Some(name) = map.next_key::<Name>()? {
            match name {
                Name::Data => once(&mut data, map.next_value()?, "data")?,
                Name::Kind => once(&mut draft.kind, map.next_value::<Kept>()?.0, "type")?,
                Name::Id => once(&mut draft.id, map.next_value::<Kept>()?.0, "id")?,
                Name::Key => once(&mut draft.key, map.next_value::<Kept>()?.0, "key")?,
                Name::Merge => once(&mut draft.merge, map.next_value::<MergeWord>()?.0, "merge")?,
                Name::Priority => {
                    once(
                        &mut draft.priority,
                        map.next_value::<PriorityWord>()?.0,
                        "priority",
                    )?;
                }
                Name::Envelope => {
                    once(
                        &mut draft.envelope,
                        map.next_value::<EnvelopeWord>()?.0,
                        "envelope",
                    )?;
                }
                Name::Ttl => {
                    let number = map.next_value::<&RawValue>()?.get();
                    if !number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                        return Err(A::Error::custom("ttl_ms is not a number"));
                    }
                    once(&mut draft.ttl, number, "ttl_ms")?;
                }
                Name::At => {
                    let json = map.next_value::<&RawValue>()?.get();
                    once(
                        &mut draft.at,
                        Moment::from_json(json).map_err(A::Error::custom)?,
                        "at",
                    )?;
                }
                Name::Channel if self.0 == Addressing::Path => {
                    return Err(unknown_field("channel"));
                }
                Name::Channel => once(&mut channel, map.next_value()?, "channel")?,
            }
        }
        draft.data = data.ok_or_else(|| A::Error::missing_field("data"))?.get();
        if self.0 == Addressing::Event && channel.is_none() {
            return Err(A::Error::missing_field("channel"));
        }
        Ok((draft, channel.map(|text| text.0)))
    }
}

/// Fills a field that must not have been there before.
///
/// # Errors
/// It was.
pub fn once<T, E: Error>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

#[cfg(test)]
mod tests;
