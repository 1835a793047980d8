//! The configuration: a file and the environment in, [`Settings`] out, once.
//!
//! - [`keys`]: every setting, declared once, with the `kinds` of values there are; `catalog` says
//!   where in [`Settings`] each one is.
//! - [`settings`], [`tables`], [`types`]: what a resolved configuration says.
//! - `reader`: values out of TOML and variables; collects every fault.
//! - `resolve`: every section, and what settings mean together; with `lists` (`[[channel]]`,
//!   `[[account]]`, `[[api_key]]`, `[[webhook]]`) and `values` (what texts look like).
//! - `definition`: a channel that is made by API, as a table of the file.
//! - Derived: [`check`] (what `check-config` prints), [`mod@reload`] (what a reload changes),
//!   [`mod@shown`] (what operators may see), `describe` (what `serve --help` adds).
//! - `strays`: variables that nobody reads.
//! - [`glob`], [`error`]: patterns of channel names; faults with their places.
//!
//! Only this file reads files, and nothing here reads the process's environment: it is an
//! argument.

mod catalog;
pub mod check;
mod definition;
mod describe;
pub mod error;
pub mod glob;
pub mod keys;
mod kinds;
mod lists;
mod reader;
pub mod reload;
mod resolve;
mod setting;
pub mod settings;
pub mod shown;
mod strays;
pub mod tables;
pub mod types;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use catalog::{SectionAbout, sections};
pub use check::check_config;
pub use definition::{Misdefined, define};
pub use describe::help;
pub use error::{Error, Errors};
pub use keys::*;
pub use kinds::Shape;
pub use reload::{Reload, reload};
pub use setting::{About, Effect};
pub use settings::*;
pub use shown::shown;
pub use strays::strays;
pub use tables::*;
pub use types::*;

pub(crate) use reader::suggest::did_you_mean;
use reader::{PREFIX, Reader};

/// A configuration file: 100,000 channels take about 12 MB.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// The file that is used if none is named and it is there, from the working directory.
pub const DEFAULT_FILE: &str = "config/cuegate.toml";

/// The file to read: the one that was named, else [`DEFAULT_FILE`] if it exists, else none.
#[must_use]
pub fn locate(named: Option<&Path>) -> Option<PathBuf> {
    let default = Path::new(DEFAULT_FILE);
    named
        .map(Path::to_path_buf)
        .or_else(|| default.exists().then(|| default.to_path_buf()))
}

/// Settings from the file at `path`, if there is one, with the variables of `env` over it.
/// Pass `std::env::vars_os()`; only variables that begin with `CUEGATE__` are looked at.
///
/// # Errors
/// Every fault at once; a file that cannot be read is one.
pub fn load<K: Into<OsString>, V: Into<OsString>>(
    path: Option<&Path>,
    env: impl IntoIterator<Item = (K, V)>,
) -> Result<Settings, Errors> {
    let Some(path) = path else {
        return parse(None, env);
    };
    let name = path.display().to_string();
    let text = read(path).map_err(|error| Errors::of_file(&name, error))?;
    parse(Some((&name, &text)), env)
}

/// Settings from the text of a file, given with the file's name, and the variables of `env`.
/// With neither, the built-in defaults: local mode.
///
/// # Errors
/// Every fault at once.
pub fn parse<K: Into<OsString>, V: Into<OsString>>(
    file: Option<(&str, &str)>,
    env: impl IntoIterator<Item = (K, V)>,
) -> Result<Settings, Errors> {
    let (settings, errors) = read_all(file, env)?;
    if errors.is_empty() {
        Ok(settings)
    } else {
        Err(Errors(errors))
    }
}

impl Default for Settings {
    /// The built-in defaults: local mode with the channel `demo`.
    fn default() -> Self {
        let (root, env) = (DeTable::new(), BTreeMap::new());
        resolve::settings(&mut Reader::new(None, "", &root, &env))
    }
}

/// Settings that are whole even with faults, and the faults.
fn read_all<K: Into<OsString>, V: Into<OsString>>(
    file: Option<(&str, &str)>,
    env: impl IntoIterator<Item = (K, V)>,
) -> Result<(Settings, Vec<Error>), Errors> {
    let (variables, mut errors) = ours(env);
    let (name, text) = file.unzip();
    let text = text.unwrap_or_default();
    let (root, syntax) = DeTable::parse_recoverable(text);
    if let Some(name) = name
        && !syntax.is_empty()
    {
        return Err(syntax_errors(name, text, &syntax));
    }
    let mut reader = Reader::new(name, text, root.get_ref(), &variables);
    let settings = resolve::settings(&mut reader);
    errors.splice(0..0, reader.finish());
    Ok((settings, errors))
}

/// The variables that are ours, and a fault for each that is not UTF-8.
fn ours<K: Into<OsString>, V: Into<OsString>>(
    env: impl IntoIterator<Item = (K, V)>,
) -> (BTreeMap<String, String>, Vec<Error>) {
    let (mut variables, mut errors) = (BTreeMap::new(), Vec::new());
    for (name, value) in env {
        let name = name.into().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) {
            continue;
        }
        match value.into().into_string() {
            Ok(value) => {
                variables.insert(name, value);
            }
            Err(_) => errors.push(Error {
                place: name,
                what: "the value is not UTF-8".to_owned(),
                line: usize::MAX,
            }),
        }
    }
    (variables, errors)
}

/// Faults of the notation. Nothing else is reported with them: what a broken line was meant
/// to set is not known.
fn syntax_errors(name: &str, text: &str, errors: &[toml::de::Error]) -> Errors {
    let ends = reader::line_ends(text);
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            let line = reader::line_of(&ends, span.start);
            let what = match (error.message(), text.get(span)) {
                // Of all spans only this one is sure to be a name and no secret.
                ("duplicate key", Some(key)) => format!("{key}: the same key twice"),
                (message, _) => format!("not TOML: {message}"),
            };
            Error {
                place: format!("{name}:{line}"),
                what,
                line,
            }
        })
        .collect();
    errors.sort_by_key(|error| error.line);
    errors.dedup_by_key(|error| error.line);
    Errors(errors)
}

fn read(path: &Path) -> Result<String, String> {
    let most = FILE_MAX_BYTES;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!(
            "is longer than {most} bytes: is it the right file?"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = reader::line_of(&reader::line_ends(&valid), valid.len());
        format!("not UTF-8 in line {line}")
    })
}

#[cfg(test)]
mod tests;
