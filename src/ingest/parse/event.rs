//! One event of the house's own format: JSON text -> `engine::Event`.
//!
//! Grammar, JSON types, unknown and repeated fields are settled while the text is read
//! (`malformed`); values by [`UnvalidatedEvent::finish`] (`invalid_event`).
//! No tree is built and no state is kept: what a queue thinks of the event is not asked here.

use std::borrow::Cow;
use std::fmt;

use engine::{Event, Merge, Priority};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::text::{Kept, Text, check_start, from_string, malformed, once};
use super::validate::{Moment, ParseContext, UnvalidatedEvent, Verbatim, Word};
use crate::refusal::Refusal;

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
    reader: &mut ParseContext<'_>,
) -> Result<Addressed<'a>, Refusal> {
    check_start(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let (draft, channel) = Fields(addressing)
        .deserialize(&mut json)
        .map_err(malformed)?;
    json.end().map_err(malformed)?;
    Ok((draft.finish(reader)?, channel))
}

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

/// Reads the fields of an event into a [`UnvalidatedEvent`].
struct Fields(Addressing);

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = (UnvalidatedEvent<'de>, Option<Cow<'de, str>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = (UnvalidatedEvent<'de>, Option<Cow<'de, str>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut draft = UnvalidatedEvent::default();
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

#[cfg(test)]
mod tests;
