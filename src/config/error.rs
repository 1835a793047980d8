//! What is wrong with a configuration: every fault at once, each with its place.
//!
//! No message repeats a value that could be a secret.

use std::fmt;

/// One fault: where it is, which key, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `FILE:LINE`, `FILE`, or the name of an environment variable.
    pub place: String,
    /// The key's full name and what is wrong with its value.
    pub what: String,
    /// The line in the file, for the order of a report; 0 for the file as a whole.
    pub(super) line: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Error {
    /// A fault of what a key names, such as a file.
    #[must_use]
    pub fn of_key(key: &str, what: &str) -> Self {
        Self {
            place: key.to_owned(),
            what: what.to_owned(),
            line: usize::MAX,
        }
    }
}

/// All faults of a configuration, in the order of the file; shown one on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl Errors {
    /// One fault of the file as a whole.
    pub(super) fn of_file(file: &str, what: String) -> Self {
        Self(vec![Error {
            place: file.to_owned(),
            what,
            line: 0,
        }])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
