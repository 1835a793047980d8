//! Reads values out of a TOML document with the environment laid over it.
//!
//! The caller asks for a key by name. What is wrong is collected with its place, so that one run
//! reports every fault. A key that was never asked for is unknown.

pub(super) mod suggest;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Error;
use suggest::did_you_mean;
pub(super) use table::Table;

/// Every variable that begins so is ours, and an unknown one a fault.
pub(super) const PREFIX: &str = "CUEGATE__";

/// The document, the environment, and the faults found so far.
pub(super) struct Reader<'d> {
    /// The file's name in messages; none: there is no file.
    file: Option<&'d str>,
    root: &'d DeTable<'d>,
    /// Where each line of the document ends, for line numbers.
    line_ends: Vec<usize>,
    /// Variables by full name.
    env: &'d BTreeMap<String, String>,
    /// Keys of plain sections asked for, by the variable that sets them.
    variables: BTreeSet<String>,
    sections: Vec<(&'static str, Layout)>,
    errors: Vec<Error>,
}

/// How a section is written.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// `[name]`, once; the environment may override it.
    Plain,
    /// `[[name]]`, any number of times.
    List,
}

impl<'d> Reader<'d> {
    /// A reader of `root`, parsed from `text`; `env` holds only variables with [`PREFIX`].
    pub(super) fn new(
        file: Option<&'d str>,
        text: &'d str,
        root: &'d DeTable<'d>,
        env: &'d BTreeMap<String, String>,
    ) -> Self {
        Self {
            file,
            root,
            line_ends: line_ends(text),
            env,
            variables: BTreeSet::new(),
            sections: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Whether there is neither a file nor a variable.
    pub(super) fn is_bare(&self) -> bool {
        self.file.is_none() && self.env.is_empty()
    }

    /// Reads `[name]`; one that is not there reads as empty.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Table<'_, 'd>) -> T,
    ) -> T {
        self.sections.push((name, Layout::Plain));
        let mut table = self.open(name);
        let value = read(&mut table);
        table.close();
        value
    }

    /// Reads every `[[name]]` in turn.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Table<'_, 'd>) -> Option<T>,
    ) -> Vec<T> {
        self.sections.push((name, Layout::List));
        let Some(DeValue::Array(array)) = self.root.get(name).map(Spanned::get_ref) else {
            return Vec::new();
        };
        let mut values = Vec::with_capacity(array.len());
        for element in array {
            let entries = element.get_ref().as_table();
            let header = Some(element.span().start);
            let mut table = Table::new(self, name, Layout::List, entries, header);
            values.extend(read(&mut table));
            table.close();
        }
        values
    }

    /// Notes a fault of a key in a plain section that was read before.
    pub(super) fn error(&mut self, section: &'static str, key: &'static str, what: &str) {
        self.open(section).error(key, what);
    }

    /// Every fault, those of unknown sections and variables included.
    pub(super) fn finish(mut self) -> Vec<Error> {
        for (name, value) in self.root {
            let at = Some(name.span().start);
            let name = name.get_ref().as_ref();
            let is_list = value
                .get_ref()
                .as_array()
                .is_some_and(|array| array.iter().all(|element| element.get_ref().is_table()));
            match self.sections.iter().find(|(known, _)| *known == name) {
                Some((_, Layout::Plain)) if !value.get_ref().is_table() => {
                    self.push(at, &format!("{name}: expected one table: write [{name}]"));
                }
                Some((_, Layout::List)) if !is_list => {
                    self.push(
                        at,
                        &format!("{name}: expected a list of tables: write [[{name}]]"),
                    );
                }
                Some(_) => {}
                None => {
                    let hint = did_you_mean(name, self.sections.iter().map(|(known, _)| *known));
                    self.push(at, &format!("{name}: unknown section{hint}"));
                }
            }
        }
        for name in self
            .env
            .keys()
            .filter(|name| !self.variables.contains(*name))
        {
            let hint = did_you_mean(name, self.variables.iter().map(String::as_str));
            let what = format!(
                "unknown variable{hint}: variables are {PREFIX}SECTION__KEY, for keys of plain \
                 sections; [[…]] tables belong in the file"
            );
            self.errors.push(Error {
                place: name.clone(),
                what,
                line: usize::MAX,
            });
        }
        self.errors.sort_by_key(|error| error.line);
        self.errors
    }

    /// Every variable that sets a key which was asked for.
    pub(super) fn into_variables(self) -> BTreeSet<String> {
        self.variables
    }

    fn open(&mut self, name: &'static str) -> Table<'_, 'd> {
        let entry = self.root.get_key_value(name);
        let entries = entry.and_then(|(_, value)| value.get_ref().as_table());
        let header = entry.map(|(key, _)| key.span().start);
        Table::new(self, name, Layout::Plain, entries, header)
    }

    fn push(&mut self, at: Option<usize>, what: &str) {
        let line = at.map_or(0, |at| line_of(&self.line_ends, at));
        let place = match (self.file, line) {
            (None, _) => "the environment".to_owned(),
            (Some(file), 0) => file.to_owned(),
            (Some(file), line) => format!("{file}:{line}"),
        };
        self.errors.push(Error {
            place,
            what: what.to_owned(),
            line,
        });
    }
}

/// Where each line ends.
pub(super) fn line_ends(text: &str) -> Vec<usize> {
    text.bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'\n')
        .map(|(at, _)| at)
        .collect()
}

/// The number of the line, from 1, that holds the byte `at`.
pub(super) fn line_of(line_ends: &[usize], at: usize) -> usize {
    line_ends.partition_point(|end| *end < at) + 1
}
