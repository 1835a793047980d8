//! One section of a configuration, while it is read: typed values by key.
//!
//! A variable wins over the file; neither gets past the bounds.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::did_you_mean;
use super::{PREFIX, Reader, Shape, line_of};
use crate::config::error::Error;

/// One section, while it is read.
pub(in crate::config) struct Table<'r, 'd> {
    reader: &'r mut Reader<'d>,
    name: &'static str,
    shape: Shape,
    entries: Option<&'d DeTable<'d>>,
    /// Where its header is in the document.
    header: Option<usize>,
    asked: Vec<&'static str>,
}

/// How the text of a variable is understood.
#[derive(Clone, Copy)]
enum Kind {
    /// As it is.
    Text,
    /// As TOML writes numbers and booleans.
    Scalar,
    /// Separated by commas, or as TOML writes arrays.
    List,
}

impl<'r, 'd> Table<'r, 'd> {
    /// A section whose header is at byte `header`, if the document has it.
    pub(super) fn new(
        reader: &'r mut Reader<'d>,
        name: &'static str,
        shape: Shape,
        entries: Option<&'d DeTable<'d>>,
        header: Option<usize>,
    ) -> Self {
        Self {
            reader,
            name,
            shape,
            entries,
            header,
            asked: Vec::new(),
        }
    }

    /// A whole number within `bounds`.
    pub(in crate::config) fn number<T>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<T>,
        default: T,
    ) -> T
    where
        T: PartialOrd + Display + TryFrom<i128>,
    {
        self.get(key, Kind::Scalar, default, |value| {
            let DeValue::Integer(given) = value else {
                return Err(wrong_type("an integer", value));
            };
            let number = i128::from_str_radix(given.as_str(), given.radix()).ok();
            number
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| bounds.contains(number))
                .ok_or_else(|| format!("{given} is not in {} ..= {}", bounds.start(), bounds.end()))
        })
    }

    /// A whole number of milliseconds within `bounds`.
    pub(in crate::config) fn millis(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        Duration::from_millis(self.number(key, bounds, default))
    }

    /// A number above 0 and at most 1.
    pub(in crate::config) fn share(&mut self, key: &'static str, default: f64) -> f64 {
        self.get(key, Kind::Scalar, default, |value| {
            let given = match value {
                DeValue::Float(float) => float.as_str(),
                DeValue::Integer(integer) => integer.as_str(),
                _ => return Err(wrong_type("a number", value)),
            };
            let number = given
                .parse()
                .ok()
                .filter(|number| *number > 0.0 && *number <= 1.0);
            number.ok_or_else(|| format!("{given} is not above 0 and at most 1"))
        })
    }

    /// `true` or `false`.
    pub(in crate::config) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.get(key, Kind::Scalar, default, |value| {
            value
                .as_bool()
                .ok_or_else(|| wrong_type("true or false", value))
        })
    }

    /// One of the words in `words`.
    pub(in crate::config) fn choice<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        self.text(key, default, |text| choose(words, text))
    }

    /// Whatever `parse` makes of a text.
    pub(in crate::config) fn text<T: PartialEq>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.get(key, Kind::Text, default, |value| parse(string(value)?))
    }

    /// Whatever `parse` makes of a text; the empty text is none.
    pub(in crate::config) fn optional<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.text(key, None, |text| match text {
            "" => Ok(None),
            text => parse(text).map(Some),
        })
    }

    /// Whatever `parse` makes of a text that must be there; `missing` says what to write.
    pub(in crate::config) fn required<T: PartialEq>(
        &mut self,
        key: &'static str,
        missing: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.text(key, None, |text| parse(text).map(Some));
        if value.is_none() && self.value(key, Kind::Text).is_none() {
            self.error(key, &format!("missing: {missing}"));
        }
        value
    }

    /// A list of texts, each as `parse` has it.
    pub(in crate::config) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.get(key, Kind::List, default, |value| {
            let array = value
                .as_array()
                .ok_or_else(|| wrong_type("a list of strings", value))?;
            array
                .iter()
                .map(|element| parse(string(element.get_ref())?))
                .collect()
        })
    }

    /// Notes a fault of `key`, at its place.
    pub(in crate::config) fn error(&mut self, key: &'static str, what: &str) {
        let what = format!("{}.{key}: {what}", self.name);
        let variable = self.variable(key);
        if self.shape == Shape::Plain && self.reader.env.contains_key(&variable) {
            self.reader.errors.push(Error {
                place: variable,
                what,
                line: usize::MAX,
            });
        } else {
            let own = self.entries.and_then(|entries| entries.get_key_value(key));
            let at = own.map(|(key, _)| key.span().start).or(self.header);
            self.reader.push(at, &what);
        }
    }

    /// The line of the section's header.
    pub(in crate::config) fn line(&self) -> usize {
        self.header
            .map_or(0, |at| line_of(&self.reader.line_ends, at))
    }

    fn get<T: PartialEq>(
        &mut self,
        key: &'static str,
        kind: Kind,
        default: T,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> T {
        self.asked.push(key);
        let Some(value) = self.value(key, kind) else {
            return default;
        };
        match parse(&value) {
            Ok(value) => value,
            Err(what) => {
                self.error(key, &what);
                default
            }
        }
    }

    fn value(&self, key: &'static str, kind: Kind) -> Option<Cow<'d, DeValue<'d>>> {
        if self.shape == Shape::Plain
            && let Some(text) = self.reader.env.get(&self.variable(key))
        {
            return Some(Cow::Owned(from_env(text, kind)));
        }
        Some(Cow::Borrowed(self.entries?.get(key)?.get_ref()))
    }

    fn variable(&self, key: &str) -> String {
        format!("{PREFIX}{}__{}", self.name, key).to_uppercase()
    }

    /// Reports what was never asked for.
    pub(super) fn close(self) {
        let entries = self.entries.into_iter().flatten();
        for (key, _) in entries.filter(|(key, _)| !self.asked.contains(&key.get_ref().as_ref())) {
            let hint = did_you_mean(key.get_ref(), self.asked.iter().copied());
            let what = format!("{}.{}: unknown key{hint}", self.name, key.get_ref());
            self.reader.push(Some(key.span().start), &what);
        }
        if self.shape == Shape::Plain {
            let variables: Vec<_> = self.asked.iter().map(|key| self.variable(key)).collect();
            self.reader.variables.extend(variables);
        }
        self.reader
            .known
            .extend(self.asked.iter().map(|key| (self.name, *key)));
    }
}

/// The word's value, or a message with all words.
pub(in crate::config) fn choose<T: Copy>(words: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("{text:?} is not one of {}", words.join(", "))
    })
}

fn from_env(text: &str, kind: Kind) -> DeValue<'_> {
    let text = text.trim();
    let parse = || DeValue::parse(text).map_or(DeValue::String(text.into()), Spanned::into_inner);
    match kind {
        Kind::Text => DeValue::String(text.into()),
        Kind::Scalar => parse(),
        Kind::List if text.starts_with('[') => parse(),
        Kind::List => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let spanned = parts.map(|part| Spanned::new(0..0, DeValue::String(part.into())));
            DeValue::Array(spanned.collect())
        }
    }
}

fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

/// Names types only: the value itself may be a secret in the wrong place.
fn wrong_type(expected: &str, found: &DeValue<'_>) -> String {
    format!(
        "expected {expected}, found a value of type {}",
        found.type_str()
    )
}
