//! The one reader of inputs: a JSON body held against the shape of what is asked for.
//!
//! Every operation of the API and every endpoint below `/_local/` is read here, so that a wrong
//! type, a member that is there twice and several violations at once are told everywhere, and in
//! the same way. A shape is data, as in the service model. The API writes the errors in the words
//! of AWS, see `api::error`; `Display` has the words of all others.
//!
//! Pure. It knows no operation, and nothing of what hangs together between members.
//!
//! | room | what it holds |
//! |---|---|
//! | `json` | a body as JSON in which no member is there twice |
//! | `rule` | what a text must be |
//! | `read` | a value held against its shape |

mod json;
mod read;
mod rule;

pub(crate) use json::parse;
pub(crate) use read::{check, object, read};
pub(crate) use rule::{BUCKET, NAME, NEXT_TOKEN, Rule, STREAM_ID};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;

/// What was read: only members of the shape, none of them null.
pub(crate) type Members = Map<String, Value>;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text(Rule),
    Flag,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// Any number.
    Real,
    /// A moment in ISO 8601.
    Time,
    /// So many of a shape.
    List(&'static Shape, usize, usize),
    /// Up to 50 tags.
    Tags,
    Structure(&'static [Member]),
    /// Any JSON object.
    Object,
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) is_required: bool,
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        shape,
        is_required: true,
    }
}

pub(crate) const fn optional(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        shape,
        is_required: false,
    }
}

/// Reads a body of an endpoint of the emulator's own: its members are all known, or a mistake.
///
/// # Errors
///
/// What is wrong, in words.
pub(crate) fn own<T: DeserializeOwned>(body: &[u8], members: &[Member]) -> Result<T, String> {
    let read = read(body, members, Unknown::Refused).map_err(|error| error.to_string())?;
    typed(&read)
}

/// What was read as the structure it is for. The shape has checked it before: should they not be
/// of one mind, that is a bug.
///
/// # Errors
///
/// That the emulator cannot read its own tables.
pub(crate) fn typed<T: DeserializeOwned>(read: &Members) -> Result<T, String> {
    T::deserialize(read).map_err(|_| OWN_TABLES.to_owned())
}

/// The words for a bug of the emulator.
pub(crate) const OWN_TABLES: &str = "The emulator could not read its own tables";

/// What becomes of members that the shape does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// As every AWS service does.
    Ignored,
    Refused,
}

/// Why an input is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// It is no JSON; where that shows.
    NotJson { line: usize, column: usize },
    /// An object has this member twice.
    Twice(String),
    /// The value at this place is of another type.
    WrongType {
        at: String,
        found: Found,
        expected: Expected,
    },
    /// Its types are right; all that its values break.
    Violations(Vec<Violation>),
}

/// The type of a JSON value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Null,
    True,
    False,
    Number,
    Text,
    List,
    Object,
}

/// The type that a value must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Text,
    Flag,
    Whole,
    Real,
    Time,
    List,
    Map,
    Structure,
}

/// A value that breaks a rule, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The member, as `filterBy.health`.
    pub(crate) at: String,
    pub(crate) what: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    Missing,
    /// There is no such member; those that there are.
    Unknown(String),
    /// The value if it is short enough to be repeated, and the rule in the words of AWS.
    Rule {
        value: Option<String>,
        rule: String,
    },
}

impl Found {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(true) => Self::True,
            Value::Bool(false) => Self::False,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::True => "true",
            Self::False => "false",
            Self::Number => "a number of another kind",
            Self::Text => "a string",
            Self::List => "an array",
            Self::Object => "an object",
        })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Flag => "true or false",
            Self::Whole => "a whole number",
            Self::Real => "a number",
            Self::Time => "a time such as 2026-01-02T03:04:05Z",
            Self::List => "an array",
            Self::Map | Self::Structure => "an object",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => {
                write!(f, "the body is not JSON (line {line}, column {column})")
            }
            Self::Twice(name) => write!(f, "'{name}' is there twice"),
            Self::WrongType {
                at,
                found,
                expected,
            } => {
                let at = if at.is_empty() { "the body" } else { at };
                write!(f, "{at} must be {expected}, not {found}")
            }
            Self::Violations(violations) => {
                for (index, violation) in violations.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "; " })?;
                    write!(f, "{violation}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match &self.what {
            Broken::Missing => write!(f, "{at} is missing"),
            Broken::Unknown(known) => write!(f, "there is no member '{at}', only {known}"),
            Broken::Rule { rule, .. } => {
                let rule = rule.strip_prefix("Member must ").unwrap_or(rule);
                let one_of = rule
                    .strip_prefix("satisfy enum value set: [")
                    .and_then(|rule| rule.strip_suffix(']'));
                match one_of {
                    Some(values) => write!(f, "{at} must be one of {values}"),
                    None => write!(f, "{at} must {rule}"),
                }
            }
        }
    }
}
