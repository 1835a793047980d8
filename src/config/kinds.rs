//! The kinds of values that settings take: how one is read, how it is shown, and its shape.
//!
//! A kind decides whether a value may be seen. One that may not is shown as
//! [`HIDDEN`], so a new setting cannot be declared without that decision.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use engine::{EnvelopeFields, Span};
use serde::Serialize;
use serde_json::{Value, json};
use toml::de::DeValue;

use super::types::Secret;
use super::values;

/// What stands for something that is set and not shown.
pub(super) const HIDDEN: &str = "[redacted]";

/// How a value of type `T` is written in the file.
pub(super) trait Kind<T>: Sync {
    /// The shape of what may be written, for documentation and editors.
    fn shape(&self) -> Shape;

    /// The value, or a message that says what to write instead.
    fn parse(&self, given: &DeValue<'_>) -> Result<T, String>;

    /// The value as operators may see it; null where nothing is set.
    fn show(&self, value: &T) -> Value;
}

/// What may be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A whole number, both bounds included.
    Integer {
        /// The smallest.
        least: i128,
        /// The largest.
        most: i128,
    },
    /// A number above 0 and at most 1.
    Share,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Words(Vec<&'static str>),
    /// Text of this format, as a person calls it; where it is optional, empty means none.
    Text {
        /// As "address and port".
        format: &'static str,
        /// Whether the empty text stands for none.
        optional: bool,
    },
    /// Any number of these.
    List(Box<Self>),
}

/// A whole number within bounds.
pub(super) struct Number {
    least: i128,
    most: i128,
}

/// A whole number from `least` to `most`.
pub(super) const fn number(least: i128, most: i128) -> Number {
    Number { least, most }
}

impl Number {
    fn read<T: TryFrom<i128>>(&self, given: &DeValue<'_>) -> Result<T, String> {
        let DeValue::Integer(integer) = given else {
            return Err(wrong_type("an integer", given));
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("{integer} is not in {} ..= {}", self.least, self.most))
    }

    fn bounds(&self) -> Shape {
        let (least, most) = (self.least, self.most);
        Shape::Integer { least, most }
    }
}

impl<T: TryFrom<i128> + Serialize> Kind<T> for Number {
    fn shape(&self) -> Shape {
        self.bounds()
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<T, String> {
        self.read(given)
    }

    fn show(&self, value: &T) -> Value {
        json!(value)
    }
}

/// A time in whole milliseconds.
pub(super) struct Millis(Number);

/// From `least` to `most` milliseconds.
pub(super) const fn millis(least: i128, most: i128) -> Millis {
    Millis(number(least, most))
}

impl Kind<Duration> for Millis {
    fn shape(&self) -> Shape {
        self.0.bounds()
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<Duration, String> {
        self.0.read(given).map(Duration::from_millis)
    }

    fn show(&self, value: &Duration) -> Value {
        json!(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Kind<Span> for Millis {
    fn shape(&self) -> Shape {
        self.0.bounds()
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<Span, String> {
        self.0.read(given).map(Span::from_millis)
    }

    fn show(&self, value: &Span) -> Value {
        json!(value.millis_ceil())
    }
}

/// A number above 0 and at most 1.
pub(super) struct Share;

impl Share {
    fn read(given: &DeValue<'_>) -> Result<f64, String> {
        let text = match given {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            _ => return Err(wrong_type("a number", given)),
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| *number > 0.0 && *number <= 1.0);
        number.ok_or_else(|| format!("{text} is not above 0 and at most 1"))
    }
}

impl Kind<f64> for Share {
    fn shape(&self) -> Shape {
        Shape::Share
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<f64, String> {
        Self::read(given)
    }

    fn show(&self, value: &f64) -> Value {
        json!(value)
    }
}

/// A share that is kept in whole percent, at least 1.
impl Kind<u8> for Share {
    fn shape(&self) -> Shape {
        Shape::Share
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 100"
    )]
    fn parse(&self, given: &DeValue<'_>) -> Result<u8, String> {
        Self::read(given).map(|share| (share * 100.0).round().max(1.0) as u8)
    }

    fn show(&self, value: &u8) -> Value {
        json!(f64::from(*value) / 100.0)
    }
}

/// `true` or `false`.
pub(super) struct Boolean;

impl Kind<bool> for Boolean {
    fn shape(&self) -> Shape {
        Shape::Boolean
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<bool, String> {
        given
            .as_bool()
            .ok_or_else(|| wrong_type("true or false", given))
    }

    fn show(&self, value: &bool) -> Value {
        json!(value)
    }
}

/// One of the words of a table, each with its meaning.
pub(super) struct Words<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T> Words<T> {
    fn all(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }
}

impl<T: Copy + PartialEq + Sync> Kind<T> for Words<T> {
    fn shape(&self) -> Shape {
        Shape::Words(self.all())
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<T, String> {
        let text = string(given)?;
        let found = self.0.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| not_one_of(text, &self.all()))
    }

    fn show(&self, value: &T) -> Value {
        let found = self.0.iter().find(|(_, meaning)| meaning == value);
        json!(found.map(|(word, _)| word))
    }
}

/// The fields of a cue item, as a list of their names.
pub(super) struct ItemFields;

impl ItemFields {
    const NAMES: [&'static str; 3] = ["type", "key", "id"];
}

impl Kind<EnvelopeFields> for ItemFields {
    fn shape(&self) -> Shape {
        Shape::List(Box::new(Shape::Words(Self::NAMES.to_vec())))
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<EnvelopeFields, String> {
        let mut names = Vec::new();
        for name in strings(given)? {
            let name = name?;
            if !Self::NAMES.contains(&name) {
                return Err(not_one_of(name, &Self::NAMES));
            }
            names.push(name);
        }
        let has = |name| names.contains(&name);
        Ok(EnvelopeFields {
            kind: has("type"),
            key: has("key"),
            id: has("id"),
        })
    }

    fn show(&self, value: &EnvelopeFields) -> Value {
        let on = [value.kind, value.key, value.id];
        let names = Self::NAMES.into_iter().zip(on);
        json!(
            names
                .filter_map(|(name, on)| on.then_some(name))
                .collect::<Vec<_>>()
        )
    }
}

/// A text that `parse` understands.
pub(super) struct Text<T: 'static> {
    format: &'static str,
    parse: fn(&str) -> Result<T, String>,
    show: fn(&T) -> Value,
}

impl<T> Kind<T> for Text<T> {
    fn shape(&self) -> Shape {
        Shape::Text {
            format: self.format,
            optional: false,
        }
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<T, String> {
        (self.parse)(string(given)?)
    }

    fn show(&self, value: &T) -> Value {
        (self.show)(value)
    }
}

/// A text or word whose empty form stands for none.
pub(super) struct Optional<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<Option<T>> for Optional<K> {
    fn shape(&self) -> Shape {
        match self.0.shape() {
            Shape::Text { format, .. } => Shape::Text {
                format,
                optional: true,
            },
            Shape::Words(mut words) => {
                words.insert(0, "");
                Shape::Words(words)
            }
            other => other,
        }
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<Option<T>, String> {
        match given.as_str() {
            Some("") => Ok(None),
            _ => self.0.parse(given).map(Some),
        }
    }

    fn show(&self, value: &Option<T>) -> Value {
        json!(value.as_ref().map(|value| self.0.show(value)))
    }
}

/// A value that has no default, so that it is there once it was read.
pub(super) struct Given<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<Option<T>> for Given<K> {
    fn shape(&self) -> Shape {
        self.0.shape()
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<Option<T>, String> {
        self.0.parse(given).map(Some)
    }

    fn show(&self, value: &Option<T>) -> Value {
        json!(value.as_ref().map(|value| self.0.show(value)))
    }
}

/// Any number of texts.
pub(super) struct List<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<Vec<T>> for List<K> {
    fn shape(&self) -> Shape {
        Shape::List(Box::new(self.0.shape()))
    }

    fn parse(&self, given: &DeValue<'_>) -> Result<Vec<T>, String> {
        let array = given
            .as_array()
            .ok_or_else(|| wrong_type("a list of strings", given))?;
        let elements = array.iter();
        elements
            .map(|element| self.0.parse(element.get_ref()))
            .collect()
    }

    fn show(&self, value: &Vec<T>) -> Value {
        json!(
            value
                .iter()
                .map(|element| self.0.show(element))
                .collect::<Vec<_>>()
        )
    }
}

/// A text that is shown as it prints.
pub(super) const fn text<T: Display>(
    format: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Text<T> {
    let show = |value: &T| json!(value.to_string());
    Text {
        format,
        parse,
        show,
    }
}

/// A text that nobody is shown.
pub(super) const fn hidden<T>(
    format: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Text<T> {
    let show = |_: &T| json!(HIDDEN);
    Text {
        format,
        parse,
        show,
    }
}

/// Where a socket listens.
pub(super) const ADDRESS: Text<SocketAddr> = text("an address and port", values::address);

/// A file or a directory.
pub(super) const PATH: Text<PathBuf> = Text {
    format: "a path",
    parse: values::path,
    show: |path| json!(path),
};

/// A URL, shown without what may let anybody in.
pub(super) const fn url(parse: fn(&str) -> Result<String, String>) -> Text<String> {
    Text {
        format: "a URL",
        parse,
        show: |url| json!(without_credentials(url)),
    }
}

/// The secret that a caller must present.
pub(super) const SECRET: Text<Secret> = hidden("a secret", values::secret);

/// A URL without its user, password and query.
pub(super) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, query) = rest
        .split_once(['?', '#'])
        .map_or((rest, ""), |(rest, _)| (rest, HIDDEN));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or_else(
        || authority.to_owned(),
        |(_, host)| format!("{HIDDEN}@{host}"),
    );
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{scheme}{host}{path}{query}")
}

fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

fn strings<'v>(
    value: &'v DeValue<'_>,
) -> Result<impl Iterator<Item = Result<&'v str, String>>, String> {
    let array = value
        .as_array()
        .ok_or_else(|| wrong_type("a list of strings", value))?;
    Ok(array.iter().map(|element| string(element.get_ref())))
}

fn not_one_of(text: &str, words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("{text:?} is not one of {}", words.join(", "))
}

/// Names types only: the value itself may be a secret in the wrong place.
fn wrong_type(expected: &str, found: &DeValue<'_>) -> String {
    format!(
        "expected {expected}, found a value of type {}",
        found.type_str()
    )
}
