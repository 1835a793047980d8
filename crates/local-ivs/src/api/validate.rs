//! What a member of an input must be: one rule a kind, checked as the service model has it,
//! refused in the words of AWS's services.
//!
//! Pure. Knows no operation; what hangs on other members or on resources is not here.

use crate::arn::{MAX_ARN_LENGTH, ResourceArn};

/// What a text must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Any text.
    Any,
    /// So many characters that match a pattern.
    Text {
        min: usize,
        max: usize,
        pattern: &'static str,
        matches: fn(&str) -> bool,
    },
    /// One of these.
    OneOf(&'static [&'static str]),
    /// The ARN of a resource of this kind.
    Arn(&'static str),
    /// The same, or empty for none.
    ArnOrEmpty(&'static str),
    /// The ARN of a resource of any kind.
    AnyArn,
}

/// Of channels, key pairs and recording configurations.
pub(super) const NAME: Rule = Rule::Text {
    min: 0,
    max: 128,
    pattern: "^[a-zA-Z0-9-_]*$",
    matches: |text| text.bytes().all(is_name),
};

pub(super) const NEXT_TOKEN: Rule = Rule::Text {
    min: 0,
    max: 1024,
    pattern: "^[a-zA-Z0-9+/=_-]*$",
    matches: |text| text.bytes().all(|b| is_name(b) || b"+/=".contains(&b)),
};

pub(super) const BUCKET: Rule = Rule::Text {
    min: 3,
    max: 63,
    pattern: "^[a-z0-9-.]+$",
    matches: |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        !text.is_empty() && text.bytes().all(allowed)
    },
};

pub(super) const STREAM_ID: Rule = Rule::Text {
    min: 26,
    max: 26,
    pattern: "^st-[a-zA-Z0-9]+$",
    matches: |text| {
        text.strip_prefix("st-")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
    },
};

pub(super) const TAG_KEY: Rule = Rule::Text {
    min: 1,
    max: 128,
    pattern: r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$",
    matches: |text| !text.is_empty() && text.chars().all(is_tag),
};

pub(super) const TAG_VALUE: Rule = Rule::Text {
    min: 0,
    max: 256,
    pattern: r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$",
    matches: |text| text.chars().all(is_tag),
};

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// `is_alphabetic` also takes the combining vowel signs of some scripts, which are no
/// `\p{L}`: the standard library has no closer table.
fn is_tag(c: char) -> bool {
    let separator = c.is_whitespace() && !c.is_control();
    c.is_alphabetic() || c.is_numeric() || separator || "_.:/=+-@".contains(c)
}

impl Rule {
    /// Every constraint in words, and whether the value holds it.
    pub(super) fn constraints(self, value: &str) -> Vec<(String, bool)> {
        match self {
            Self::Any => Vec::new(),
            Self::Text {
                min,
                max,
                pattern,
                matches,
            } => text(value, min, max, pattern, matches(value)),
            Self::OneOf(values) => vec![(
                format!(
                    "Member must satisfy enum value set: [{}]",
                    values.join(", ")
                ),
                values.contains(&value),
            )],
            Self::Arn(kind) => {
                let pattern = arn_pattern(kind);
                text(
                    value,
                    1,
                    MAX_ARN_LENGTH,
                    &pattern,
                    is_arn(value, Some(kind)),
                )
            }
            Self::ArnOrEmpty(kind) => {
                let pattern = format!("^$|{}", arn_pattern(kind));
                let matches = value.is_empty() || is_arn(value, Some(kind));
                text(value, 0, MAX_ARN_LENGTH, &pattern, matches)
            }
            Self::AnyArn => {
                let pattern = arn_pattern("[a-z-]+");
                text(value, 1, MAX_ARN_LENGTH, &pattern, is_arn(value, None))
            }
        }
    }
}

/// Lengths are in characters, as patterns are.
fn text(value: &str, min: usize, max: usize, pattern: &str, matches: bool) -> Vec<(String, bool)> {
    let length = value.chars().count();
    let mut constraints = vec![(
        format!("Member must have length less than or equal to {max}"),
        length <= max,
    )];
    if min > 0 {
        constraints.push((
            format!("Member must have length greater than or equal to {min}"),
            length >= min,
        ));
    }
    constraints.push((
        format!("Member must satisfy regular expression pattern: {pattern}"),
        matches,
    ));
    constraints
}

fn arn_pattern(kind: &str) -> String {
    format!("^arn:aws:ivs:[a-z0-9-]+:[0-9]+:{kind}/[a-zA-Z0-9-]+$")
}

/// Too long an ARN does not break the pattern: its length is another constraint.
fn is_arn(value: &str, kind: Option<&str>) -> bool {
    let cut = match value.char_indices().nth(MAX_ARN_LENGTH) {
        Some((end, _)) => &value[..end],
        None => value,
    };
    ResourceArn::parse(cut).is_some_and(|arn| kind.is_none_or(|kind| arn.kind() == kind))
}

/// The words for a member out of its bounds; the value is left out when it is long.
pub(super) fn violation(member: &str, value: Option<&str>, rule: &str) -> String {
    /// The longest value that is repeated to the caller.
    const SHOWN: usize = 256;
    let value = value
        .filter(|value| value.chars().count() <= SHOWN)
        .map_or_else(String::new, |value| format!("'{value}' "));
    format!("Value {value}at '{member}' failed to satisfy constraint: {rule}")
}

/// One message of all violations; `None` if there is none.
pub(super) fn message(violations: &[String]) -> Option<String> {
    match violations {
        [] => None,
        [one] => Some(format!("1 validation error detected: {one}")),
        all => Some(format!(
            "{} validation errors detected: {}",
            all.len(),
            all.join("; ")
        )),
    }
}

#[cfg(test)]
mod tests;
