//! A body as JSON. An object that has a member twice is no input: which of the two was meant, no
//! reader could tell.

use super::Error;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// # Errors
///
/// [`Error::NotJson`] or [`Error::Twice`].
pub(crate) fn parse(body: &[u8]) -> Result<Value, Error> {
    let twice = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Strict(&twice)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| match twice.take() {
        Some(name) => Error::Twice(name),
        None => Error::NotJson {
            line: error.line(),
            column: error.column(),
        },
    })
}

/// Reads one value; notes the name of a member that was there before.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(self)?;
            if map.contains_key(&name) {
                self.0.replace(Some(name));
                return Err(A::Error::custom("a member is there twice"));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, parse};

    fn check(body: &str, expected: Result<&str, Error>) {
        let parsed = parse(body.as_bytes()).map(|value| value.to_string());
        assert_eq!(parsed, expected.map(str::to_owned), "{body}");
    }

    #[test]
    fn a_member_is_there_once() {
        let all = r#"{"a":[1,-1,1.5,"x",true,null],"b":{"a":{}}}"#;
        check(all, Ok(all));
        let twice = |name: &str| Err(Error::Twice(name.to_owned()));
        check(r#"{"a":1,"a":2}"#, twice("a"));
        check(r#"{"a":1,"\u0061":1}"#, twice("a"));
        check(r#"{"b":[{"c":{"d":1,"e":2,"d":1}}]}"#, twice("d"));
        let broken = |column| Err(Error::NotJson { line: 1, column });
        check("", broken(0));
        check("{", broken(1));
        check("{} x", broken(4));
        check(r#""\ud800""#, broken(8));
        check("1e999", broken(5));
    }
}
