//! One section of a configuration, while it is read: values by key.
//!
//! A variable wins over the file; neither gets past the bounds.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::did_you_mean;
use super::{Layout, PREFIX, Reader, line_of};
use crate::config::error::Error;
use crate::config::kinds::Shape;

/// One section, while it is read.
pub(in crate::config) struct Table<'r, 'd> {
    reader: &'r mut Reader<'d>,
    name: &'static str,
    layout: Layout,
    entries: Option<&'d DeTable<'d>>,
    /// Where its header is in the document.
    header: Option<usize>,
    asked: Vec<&'static str>,
}

impl<'r, 'd> Table<'r, 'd> {
    /// A section whose header is at byte `header`, if the document has it.
    pub(super) fn new(
        reader: &'r mut Reader<'d>,
        name: &'static str,
        layout: Layout,
        entries: Option<&'d DeTable<'d>>,
        header: Option<usize>,
    ) -> Self {
        Self {
            reader,
            name,
            layout,
            entries,
            header,
            asked: Vec::new(),
        }
    }

    /// What `parse` makes of the value of `key`; none: there is no value, or it is wrong, which is
    /// noted.
    pub(in crate::config) fn get<T>(
        &mut self,
        key: &'static str,
        shape: &Shape,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.push(key);
        let value = self.value(key, shape)?;
        parse(&value).map_err(|what| self.error(key, &what)).ok()
    }

    /// Notes that `key` is missing, if it is; `missing` says what to write. Where there is neither a
    /// file nor a variable, nothing is missing.
    pub(in crate::config) fn require(&mut self, key: &'static str, missing: &str) {
        let is_there = self.is_in_env(key) || self.entries.is_some_and(|it| it.contains_key(key));
        if !is_there && !self.reader.is_bare() {
            self.error(key, &format!("missing: {missing}"));
        }
    }

    /// Notes a fault of `key`, at its place.
    pub(in crate::config) fn error(&mut self, key: &'static str, what: &str) {
        let what = format!("{}.{key}: {what}", self.name);
        let variable = self.variable(key);
        if self.is_in_env(key) {
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

    fn value(&self, key: &'static str, shape: &Shape) -> Option<Cow<'d, DeValue<'d>>> {
        if self.layout == Layout::Plain
            && let Some(text) = self.reader.env.get(&self.variable(key))
        {
            return Some(Cow::Owned(from_env(text, shape)));
        }
        Some(Cow::Borrowed(self.entries?.get(key)?.get_ref()))
    }

    fn is_in_env(&self, key: &str) -> bool {
        self.layout == Layout::Plain && self.reader.env.contains_key(&self.variable(key))
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
        if self.layout == Layout::Plain {
            let variables: Vec<_> = self.asked.iter().map(|key| self.variable(key)).collect();
            self.reader.variables.extend(variables);
        }
    }
}

/// A variable's text as the value it stands for. Numbers and booleans are written as in TOML, lists
/// with commas or as in TOML.
fn from_env<'t>(text: &'t str, shape: &Shape) -> DeValue<'t> {
    let text = text.trim();
    let parse = || DeValue::parse(text).map_or(DeValue::String(text.into()), Spanned::into_inner);
    match shape {
        Shape::Words(_) | Shape::Text { .. } => DeValue::String(text.into()),
        Shape::Integer { .. } | Shape::Share | Shape::Boolean => parse(),
        Shape::List(_) if text.starts_with('[') => parse(),
        Shape::List(_) => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let spanned = parts.map(|part| Spanned::new(0..0, DeValue::String(part.into())));
            DeValue::Array(spanned.collect())
        }
    }
}
