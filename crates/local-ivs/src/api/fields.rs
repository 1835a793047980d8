//! A JSON body, member by member: first its types, then its bounds, every violation reported.
//!
//! Wrong types are a `SerializationException`, and come before any violation. Members that
//! are not in the model are ignored, as every AWS service does.

use super::error::ApiError;
use super::validate::{Rule, TAG_KEY, TAG_VALUE, message, violation};
use crate::limits::MAX_TAGS;
use crate::state::Tags;
use serde_json::{Map, Value};

/// The members of one structure that are left to read.
pub(super) struct Fields<'v> {
    members: &'v Map<String, Value>,
    /// Of a structure within another: `filterBy.`
    prefix: String,
    problems: Problems,
}

#[derive(Default)]
struct Problems {
    wrong_type: Option<ApiError>,
    violations: Vec<String>,
}

/// The body as a JSON object; an empty body is an empty object.
///
/// # Errors
///
/// `SerializationException`.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(wrong_type(&other, "a structure")),
        Err(error) => Err(ApiError::serialization(format!(
            "The request body is not JSON: {error}"
        ))),
    }
}

impl<'v> Fields<'v> {
    pub(super) fn new(members: &'v Map<String, Value>) -> Self {
        Self {
            members,
            prefix: String::new(),
            problems: Problems::default(),
        }
    }

    /// Whether everything that was read was right; what the readers gave counts only then.
    ///
    /// # Errors
    ///
    /// `SerializationException` or `ValidationException`.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if let Some(error) = self.problems.wrong_type {
            return Err(error);
        }
        match message(&self.problems.violations) {
            Some(message) => Err(ApiError::validation(message)),
            None => Ok(()),
        }
    }

    pub(super) fn text(&mut self, name: &str, rule: Rule) -> Option<String> {
        let text = match self.get(name)? {
            Value::String(text) => text,
            other => return self.wrong_type(other, "a String"),
        };
        self.check(name, text, rule);
        Some(text.clone())
    }

    /// Empty if it is not there, which [`finish`](Self::finish) refuses.
    pub(super) fn required_text(&mut self, name: &str, rule: Rule) -> String {
        self.require(name);
        self.text(name, rule).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            other => self.wrong_type(other, "a Boolean"),
        }
    }

    pub(super) fn number(&mut self, name: &str, min: u32, max: u32) -> Option<u32> {
        let value = self.get(name)?;
        let Some(number) = value.as_i64() else {
            return self.wrong_type(value, "an Integer");
        };
        let rule = if number > i64::from(max) {
            format!("Member must have value less than or equal to {max}")
        } else if number < i64::from(min) {
            format!("Member must have value greater than or equal to {min}")
        } else {
            return u32::try_from(number).ok();
        };
        self.violate(name, Some(&number.to_string()), &rule);
        None
    }

    /// A list of texts of `min` to `max` members.
    pub(super) fn texts(
        &mut self,
        name: &str,
        rule: Rule,
        min: usize,
        max: usize,
    ) -> Option<Vec<String>> {
        let list = match self.get(name)? {
            Value::Array(list) => list,
            other => return self.wrong_type(other, "a List"),
        };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            match value {
                Value::String(text) => texts.push(text.clone()),
                other => return self.wrong_type(other, "a String"),
            }
        }
        let shown = format!("[{}]", texts.join(", "));
        if texts.len() > max {
            let rule = format!("Member must have length less than or equal to {max}");
            self.violate(name, Some(&shown), &rule);
        }
        if texts.len() < min {
            let rule = format!("Member must have length greater than or equal to {min}");
            self.violate(name, Some(&shown), &rule);
        }
        if let Some(broken) = of_members(texts.iter().map(String::as_str), rule) {
            let rule = format!("Member must satisfy constraint: {broken}");
            self.violate(name, Some(&shown), &rule);
        }
        Some(texts)
    }

    /// Up to 50 tags.
    pub(super) fn tags(&mut self, name: &str) -> Option<Tags> {
        let map = match self.get(name)? {
            Value::Object(map) => map,
            other => return self.wrong_type(other, "a Map"),
        };
        let mut tags = Tags::new();
        for (key, value) in map {
            match value {
                Value::String(value) => tags.insert(key.clone(), value.clone()),
                other => return self.wrong_type(other, "a String"),
            };
        }
        let pairs: Vec<String> = tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let shown = format!("{{{}}}", pairs.join(", "));
        if tags.len() > MAX_TAGS {
            let rule = format!("Member must have length less than or equal to {MAX_TAGS}");
            self.violate(name, Some(&shown), &rule);
        }
        if let Some(broken) = of_members(tags.keys().map(String::as_str), TAG_KEY) {
            let rule = format!("Map keys must satisfy constraint: {broken}");
            self.violate(name, Some(&shown), &rule);
        }
        if let Some(broken) = of_members(tags.values().map(String::as_str), TAG_VALUE) {
            let rule = format!("Map value must satisfy constraint: {broken}");
            self.violate(name, Some(&shown), &rule);
        }
        if tags.keys().any(|key| is_reserved(key)) {
            self.violate(name, Some(&shown), RESERVED);
        }
        Some(tags)
    }

    /// A structure within this one.
    pub(super) fn nested<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let members = match self.get(name)? {
            Value::Object(members) => members,
            other => return self.wrong_type(other, "a structure"),
        };
        let mut inner = Fields {
            members,
            prefix: format!("{}{name}.", self.prefix),
            problems: std::mem::take(&mut self.problems),
        };
        let read = read(&mut inner);
        self.problems = inner.problems;
        Some(read)
    }

    /// Notes that a member is not there.
    pub(super) fn require(&mut self, name: &str) {
        if self.get(name).is_none() {
            self.violate(name, None, "Member must not be null");
        }
    }

    /// A text that comes from elsewhere than the body: the path or the query.
    pub(super) fn check(&mut self, name: &str, text: &str, rule: Rule) {
        for (constraint, holds) in rule.constraints(text) {
            if !holds {
                self.violate(name, Some(text), &constraint);
            }
        }
    }

    pub(super) fn violate(&mut self, name: &str, value: Option<&str>, rule: &str) {
        let member = format!("{}{name}", self.prefix);
        self.problems
            .violations
            .push(violation(&member, value, rule));
    }

    /// `null` is as good as absent.
    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn wrong_type<T>(&mut self, found: &Value, expected: &str) -> Option<T> {
        self.problems
            .wrong_type
            .get_or_insert_with(|| wrong_type(found, expected));
        None
    }
}

/// In the words for a tag that only AWS itself may set.
pub(super) const RESERVED: &str = "Tag keys must not begin with aws:";

/// Keys that begin with `aws:`, in any case, are AWS's own.
pub(super) fn is_reserved(key: &str) -> bool {
    key.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// The constraints of all members, if one of them breaks one.
pub(super) fn of_members<'a>(
    mut members: impl Iterator<Item = &'a str>,
    rule: Rule,
) -> Option<String> {
    members
        .any(|text| rule.constraints(text).iter().any(|(_, holds)| !holds))
        .then(|| {
            let all: Vec<String> = rule.constraints("").into_iter().map(|(c, _)| c).collect();
            format!("[{}]", all.join(", "))
        })
}

fn wrong_type(found: &Value, expected: &str) -> ApiError {
    let found = match found {
        Value::Null => "NULL",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    ApiError::serialization(format!("{found} can not be converted to {expected}"))
}

#[cfg(test)]
mod tests {
    use super::{Fields, object};
    use crate::api::validate::{NAME, Rule};

    /// Reads one of everything.
    fn check(body: &str, code: &str, part: &str) {
        let read = object(body.as_bytes()).and_then(|members| {
            let mut fields = Fields::new(&members);
            fields.required_text("a", NAME);
            fields.flag("b");
            fields.number("n", 1, 100);
            fields.texts("l", Rule::OneOf(&["X", "Y"]), 1, 2);
            fields.tags("t");
            fields.nested("s", |inner| inner.required_text("a", NAME));
            fields.finish()
        });
        match read {
            Ok(()) => assert_eq!(code, "", "{body}"),
            Err(error) => {
                assert_eq!(error.code, code, "{body}: {}", error.message);
                assert!(error.message.contains(part), "{body}: {}", error.message);
            }
        }
    }

    #[test]
    fn types_come_before_bounds() {
        let (serialization, validation) = ("SerializationException", "ValidationException");
        #[rustfmt::skip]
        let cases = [
            (r#"{"a":""}"#, "", ""),
            (r#"{"a":"x","b":true,"n":100,"l":["X"],"t":{"k":"v"},"s":{"a":"y"},"z":1}"#, "", ""),
            (r#"{"a":"x","b":null,"n":null,"l":null,"t":null,"s":null}"#, "", ""),
            ("", validation, "1 validation error detected: Value at 'a' failed to satisfy constraint: Member must not be null"),
            ("{", serialization, "not JSON"),
            ("[]", serialization, "START_ARRAY can not be converted to a structure"),
            (r#"{"a":1}"#, serialization, "NUMBER_VALUE can not be converted to a String"),
            (r#"{"a":"x y","n":"1"}"#, serialization, "STRING_VALUE can not be converted to an Integer"),
            (r#"{"a":"x","n":1.5}"#, serialization, "NUMBER_VALUE can not be converted to an Integer"),
            (r#"{"a":"x","b":"true"}"#, serialization, "STRING_VALUE can not be converted to a Boolean"),
            (r#"{"a":"x","l":[1]}"#, serialization, "NUMBER_VALUE can not be converted to a String"),
            (r#"{"a":"x","l":"X"}"#, serialization, "to a List"),
            (r#"{"a":"x","t":{"k":1}}"#, serialization, "to a String"),
            (r#"{"a":"x","t":[]}"#, serialization, "to a Map"),
            (r#"{"a":"x","s":true}"#, serialization, "TRUE_VALUE can not be converted to a structure"),
            (r#"{"a":"x y"}"#, validation, "Value 'x y' at 'a' failed to satisfy constraint: Member must satisfy regular"),
            (r#"{"a":"x","n":0}"#, validation, "Value '0' at 'n' failed to satisfy constraint: Member must have value greater than or equal to 1"),
            (r#"{"a":"x","n":101}"#, validation, "less than or equal to 100"),
            (r#"{"a":"x","l":[]}"#, validation, "Value '[]' at 'l' failed to satisfy constraint: Member must have length greater than or equal to 1"),
            (r#"{"a":"x","l":["X","X","X"]}"#, validation, "length less than or equal to 2"),
            (r#"{"a":"x","l":["Z"]}"#, validation, "Value '[Z]' at 'l' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [X, Y]]"),
            (r#"{"a":"x","t":{"":"v"}}"#, validation, "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member"),
            (r#"{"a":"x","t":{"k":"*"}}"#, validation, "Value '{k=*}' at 't' failed to satisfy constraint: Map value must satisfy"),
            (r#"{"a":"x","t":{"AWS:k":""}}"#, validation, "must not begin with aws:"),
            (r#"{"a":"x","s":{"a":"*"}}"#, validation, "at 's.a' failed"),
            (r#"{"n":0}"#, validation, "2 validation errors detected: Value at 'a' failed"),
        ];
        for (body, code, part) in cases {
            check(body, code, part);
        }
    }
}
