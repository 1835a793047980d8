//! What a text must be: one rule a kind, checked as the service model has it, in the words of
//! AWS's services.

use crate::arn::{MAX_ARN_LENGTH, ResourceArn};

/// What a text must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Any text.
    Any,
    /// Any text but an empty one.
    NotEmpty,
    /// So many characters.
    Length(usize, usize),
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
    TagKey,
}

/// Of channels, key pairs and recording configurations.
pub(crate) const NAME: Rule = Rule::Text {
    min: 0,
    max: 128,
    pattern: "^[a-zA-Z0-9-_]*$",
    matches: |text| text.bytes().all(is_name),
};

pub(crate) const NEXT_TOKEN: Rule = Rule::Text {
    min: 0,
    max: 1024,
    pattern: "^[a-zA-Z0-9+/=_-]*$",
    matches: |text| text.bytes().all(|b| is_name(b) || b"+/=".contains(&b)),
};

pub(crate) const BUCKET: Rule = Rule::Text {
    min: 3,
    max: 63,
    pattern: "^[a-z0-9-.]+$",
    matches: |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        !text.is_empty() && text.bytes().all(allowed)
    },
};

pub(crate) const STREAM_ID: Rule = Rule::Text {
    min: 26,
    max: 26,
    pattern: "^st-[a-zA-Z0-9]+$",
    matches: |text| {
        text.strip_prefix("st-")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
    },
};

/// Keys that begin with `aws:`, in any case, are AWS's own.
pub(crate) const TAG_KEY: Rule = Rule::TagKey;

pub(crate) const TAG_VALUE: Rule = Rule::Text {
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
    /// The constraints that a value breaks, in words.
    pub(super) fn broken(self, value: &str) -> Vec<String> {
        let constraints = self.constraints(value).into_iter();
        constraints
            .filter_map(|(rule, holds)| (!holds).then_some(rule))
            .collect()
    }

    /// Every constraint in words, and whether the value holds it.
    pub(crate) fn constraints(self, value: &str) -> Vec<(String, bool)> {
        match self {
            Self::Any => Vec::new(),
            Self::NotEmpty => vec![at_least(1, value)],
            Self::Length(min, max) => {
                let mut constraints = vec![at_most(max, value)];
                constraints.extend((min > 0).then(|| at_least(min, value)));
                constraints
            }
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
            Self::TagKey => {
                let pattern = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$";
                let matches = !value.is_empty() && value.chars().all(is_tag);
                let mut constraints = text(value, 1, 128, pattern, matches);
                let is_reserved = value
                    .get(..4)
                    .is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
                constraints.push(("Member must not begin with aws:".to_owned(), !is_reserved));
                constraints
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
    let mut constraints = Rule::Length(min, max).constraints(value);
    constraints.push((
        format!("Member must satisfy regular expression pattern: {pattern}"),
        matches,
    ));
    constraints
}

fn at_most(max: usize, value: &str) -> (String, bool) {
    let rule = format!("Member must have length less than or equal to {max}");
    (rule, value.chars().count() <= max)
}

fn at_least(min: usize, value: &str) -> (String, bool) {
    let rule = format!("Member must have length greater than or equal to {min}");
    (rule, value.chars().count() >= min)
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

#[cfg(test)]
mod tests;
