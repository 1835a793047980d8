//! A value held against its shape: first the types of all of it, then every rule that is broken.

use super::rule::{Rule, TAG_KEY, TAG_VALUE};
use super::{Broken, Error, Expected, Found, Member, Members, Shape, Unknown, Violation, json};
use crate::limits::MAX_TAGS;
use crate::timestamp;
use serde_json::Value;

/// Values longer than this, in characters, are not repeated to the caller.
const SHOWN: usize = 256;

/// Reads a body as a structure of these members; an empty body is one without any.
///
/// # Errors
///
/// [`Error`]: the first wrong type, or else every violation.
pub(crate) fn read(body: &[u8], members: &[Member], unknown: Unknown) -> Result<Members, Error> {
    check(object(body)?.into(), members, unknown)
}

/// Reads a body as an object that is still to be checked.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn object(body: &[u8]) -> Result<Members, Error> {
    if body.is_empty() {
        return Ok(Members::new());
    }
    match json::parse(body)? {
        Value::Object(members) => Ok(members),
        other => Err(Error::WrongType {
            at: String::new(),
            found: Found::of(&other),
            expected: Expected::Structure,
        }),
    }
}

/// Checks a value that was read before.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn check(value: Value, members: &[Member], unknown: Unknown) -> Result<Members, Error> {
    let mut reader = Reader {
        unknown,
        wrong_type: None,
        violations: Vec::new(),
    };
    let read = reader.structure(value, members, "");
    match (reader.wrong_type, read) {
        (Some(error), _) => Err(error),
        (None, Some(read)) if reader.violations.is_empty() => Ok(read),
        _ => Err(Error::Violations(reader.violations)),
    }
}

struct Reader {
    unknown: Unknown,
    wrong_type: Option<Error>,
    violations: Vec<Violation>,
}

impl Reader {
    fn structure(&mut self, value: Value, members: &[Member], at: &str) -> Option<Members> {
        let Value::Object(mut given) = value else {
            return self.wrong(&value, Expected::Structure, at);
        };
        let prefix = if at.is_empty() {
            String::new()
        } else {
            format!("{at}.")
        };
        let mut read = Members::new();
        for member in members {
            let at = format!("{prefix}{}", member.name);
            // `null` is as good as absent.
            match given.remove(member.name).filter(|value| !value.is_null()) {
                Some(value) => {
                    let value = self.value(value, member.shape, &at);
                    read.extend(value.map(|value| (member.name.to_owned(), value)));
                }
                None if member.is_required => self.violate(&at, Broken::Missing),
                None => {}
            }
        }
        if self.unknown == Unknown::Refused {
            let names: Vec<&str> = members.iter().map(|member| member.name).collect();
            for (name, _) in given.iter().filter(|(name, _)| !names.contains(&&***name)) {
                let at: String = format!("{prefix}{name}").chars().take(SHOWN).collect();
                self.violate(&at, Broken::Unknown(names.join(", ")));
            }
        }
        Some(read)
    }

    fn value(&mut self, value: Value, shape: Shape, at: &str) -> Option<Value> {
        match shape {
            Shape::Text(rule) => {
                let Value::String(text) = &value else {
                    return self.wrong(&value, Expected::Text, at);
                };
                for broken in rule.broken(text) {
                    self.break_rule(at, text, broken);
                }
            }
            Shape::Flag if !value.is_boolean() => return self.wrong(&value, Expected::Flag, at),
            Shape::Real if !value.is_number() => return self.wrong(&value, Expected::Real, at),
            Shape::Object if !value.is_object() => {
                return self.wrong(&value, Expected::Structure, at);
            }
            Shape::Flag | Shape::Real | Shape::Object => {}
            Shape::Whole(least, most) => self.whole(&value, least, most, at)?,
            Shape::Time => {
                if value.as_str().and_then(timestamp::parse).is_none() {
                    return self.wrong(&value, Expected::Time, at);
                }
            }
            Shape::List(of, least, most) => return self.list(value, *of, least, most, at),
            Shape::Tags => self.tags(&value, at)?,
            Shape::Structure(members) => {
                return self.structure(value, members, at).map(Value::Object);
            }
        }
        Some(value)
    }

    fn whole(&mut self, value: &Value, least: u64, most: u64, at: &str) -> Option<()> {
        let number = match (value.as_u64(), value.as_i64()) {
            (Some(number), _) => i128::from(number),
            (None, Some(number)) => i128::from(number),
            (None, None) => return self.wrong(value, Expected::Whole, at),
        };
        let rule = if number > i128::from(most) {
            format!("Member must have value less than or equal to {most}")
        } else if number < i128::from(least) {
            format!("Member must have value greater than or equal to {least}")
        } else {
            return Some(());
        };
        self.break_rule(at, &number.to_string(), rule);
        Some(())
    }

    fn list(
        &mut self,
        value: Value,
        of: Shape,
        least: usize,
        most: usize,
        at: &str,
    ) -> Option<Value> {
        let Value::Array(list) = value else {
            return self.wrong(&value, Expected::List, at);
        };
        if let Shape::Text(rule) = of {
            return self.texts(list, rule, least, most, at);
        }
        self.length(list.len(), least, most, at, "[...]");
        let mut read = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let at = format!("{at}.{}.member", index + 1);
            read.extend(self.value(value, of, &at));
        }
        Some(Value::Array(read))
    }

    /// AWS tells the rules of a list of texts all at once, whatever member breaks whichever.
    fn texts(
        &mut self,
        list: Vec<Value>,
        rule: Rule,
        least: usize,
        most: usize,
        at: &str,
    ) -> Option<Value> {
        let mut texts = Vec::with_capacity(list.len());
        for value in &list {
            match value {
                Value::String(text) => texts.push(text.as_str()),
                other => return self.wrong(other, Expected::Text, at),
            }
        }
        let shown = format!("[{}]", texts.join(", "));
        self.length(texts.len(), least, most, at, &shown);
        if let Some(broken) = of_members(texts.iter().copied(), rule) {
            let rule = format!("Member must satisfy constraint: {broken}");
            self.break_rule(at, &shown, rule);
        }
        Some(Value::Array(list))
    }

    fn tags(&mut self, value: &Value, at: &str) -> Option<()> {
        let Value::Object(map) = value else {
            return self.wrong(value, Expected::Map, at);
        };
        let mut pairs = Vec::with_capacity(map.len());
        let mut values = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Value::String(text) = value else {
                return self.wrong(value, Expected::Text, at);
            };
            pairs.push(format!("{key}={text}"));
            values.push(text.as_str());
        }
        let shown = format!("{{{}}}", pairs.join(", "));
        self.length(map.len(), 0, MAX_TAGS, at, &shown);
        if let Some(broken) = of_members(map.keys().map(String::as_str), TAG_KEY) {
            let rule = format!("Map keys must satisfy constraint: {broken}");
            self.break_rule(at, &shown, rule);
        }
        if let Some(broken) = of_members(values.into_iter(), TAG_VALUE) {
            let rule = format!("Map value must satisfy constraint: {broken}");
            self.break_rule(at, &shown, rule);
        }
        Some(())
    }

    fn length(&mut self, length: usize, least: usize, most: usize, at: &str, shown: &str) {
        if length > most {
            let rule = format!("Member must have length less than or equal to {most}");
            self.break_rule(at, shown, rule);
        }
        if length < least {
            let rule = format!("Member must have length greater than or equal to {least}");
            self.break_rule(at, shown, rule);
        }
    }

    fn break_rule(&mut self, at: &str, value: &str, rule: String) {
        let value = (value.chars().count() <= SHOWN).then(|| value.to_owned());
        self.violate(at, Broken::Rule { value, rule });
    }

    fn violate(&mut self, at: &str, what: Broken) {
        let at = at.to_owned();
        self.violations.push(Violation { at, what });
    }

    fn wrong<T>(&mut self, value: &Value, expected: Expected, at: &str) -> Option<T> {
        self.wrong_type.get_or_insert_with(|| Error::WrongType {
            at: at.to_owned(),
            found: Found::of(value),
            expected,
        });
        None
    }
}

/// The constraints of all members, if one of them breaks one.
fn of_members<'a>(mut members: impl Iterator<Item = &'a str>, rule: Rule) -> Option<String> {
    members.any(|text| !rule.broken(text).is_empty()).then(|| {
        let all: Vec<String> = rule.constraints("").into_iter().map(|(c, _)| c).collect();
        format!("[{}]", all.join(", "))
    })
}

#[cfg(test)]
mod tests;
