//! JSON strings and whole texts: read with one copy at most, and refused in words that help.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::refusal::Refusal;

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
pub(super) struct StringVisitor<F, T>(pub(super) F, pub(super) PhantomData<T>);

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for StringVisitor<F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}

/// Reads a type from a JSON string by a function.
macro_rules! from_string {
    ($name:ident, $make:expr) => {
        impl<'de> serde::de::Deserialize<'de> for $name {
            fn deserialize<D: serde::de::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                deserializer
                    .deserialize_str($crate::ingest::parse::text::StringVisitor(
                        $make,
                        std::marker::PhantomData,
                    ))
                    .map(Self)
            }
        }
    };
}

pub(super) use from_string;

/// A string of an event, kept.
pub struct Kept(pub Arc<str>);
from_string!(Kept, |text: &str| Arc::from(text));

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
