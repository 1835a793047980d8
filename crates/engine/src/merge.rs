//! What two events of one key make together.
//!
//! Text in, text out: numbers are added and compared exactly, in decimal; merge patches
//! compose so that applying the result equals applying both. Where no single event says
//! the same as the two, the answer is `None` and the later one starts a new item.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::Merge;

/// Most digits of a number that `sum`, `max` and `min` take: what they add stays small
/// enough to be exact and to fit a payload.
const DIGITS_MAX: usize = 30;
/// Greatest exponent, either way.
const EXPONENT_MAX: i64 = 30;

/// Checks that `data` is something this merge can work on.
///
/// # Errors
/// What is wrong with it, for the producer.
pub(crate) fn validate(merge: Merge, data: &str) -> Result<(), &'static str> {
    match merge {
        Merge::Replace | Merge::Patch => Ok(()),
        Merge::Sum | Merge::Max | Merge::Min => {
            if data.starts_with('{') {
                let members = members(data).ok_or("an object of numbers names each field once")?;
                members
                    .iter()
                    .try_for_each(|(_, value)| validate_number(value))
            } else {
                validate_number(data)
            }
        }
    }
}

/// The data of the two events as one, or `None` if they need two items.
///
/// Both have passed [`validate`].
pub(crate) fn merge(merge: Merge, earlier: &str, later: &str) -> Option<String> {
    match merge {
        Merge::Replace => Some(later.to_owned()),
        Merge::Patch => compose(earlier, later),
        Merge::Sum => fold(earlier, later, add),
        Merge::Max => fold(earlier, later, |a, b| pick(a, b, Ordering::Less)),
        Merge::Min => fold(earlier, later, |a, b| pick(a, b, Ordering::Greater)),
    }
}

fn validate_number(text: &str) -> Result<(), &'static str> {
    let digits_and_sign = text.strip_prefix('-').unwrap_or(text);
    if !digits_and_sign.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("this merge takes a number or an object of numbers");
    }
    let (mantissa, exponent) = digits_and_sign
        .split_once(['e', 'E'])
        .unwrap_or((digits_and_sign, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    if digits - usize::from(mantissa.starts_with("0.")) > DIGITS_MAX {
        return Err("a number to merge has at most 30 digits");
    }
    match exponent.parse::<i64>() {
        Ok(exponent) if exponent.abs() <= EXPONENT_MAX => Ok(()),
        _ => Err("a number to merge has an exponent within -30 and 30"),
    }
}

/// Applies `number` to two numbers, or field by field to two objects.
fn fold(
    earlier: &str,
    later: &str,
    number: impl Fn(&str, &str) -> Option<String>,
) -> Option<String> {
    match (earlier.starts_with('{'), later.starts_with('{')) {
        (false, false) => number(earlier, later),
        (true, true) => union(earlier, later, |a, b| number(a, b)),
        _ => None,
    }
}

fn add(a: &str, b: &str) -> Option<String> {
    // Votes and scores are small integers: exact without the big arithmetic.
    if let (Ok(a), Ok(b)) = (a.parse::<i64>(), b.parse::<i64>())
        && let Some(sum) = a.checked_add(b)
    {
        return Some(sum.to_string());
    }
    let sum = decimal(a)? + decimal(b)?;
    // A negative scale is a power of ten that is not written out yet. Of zero, the plain string
    // would be "000", which is no JSON: `1e5` and `-1e5`.
    let sum = if sum.fractional_digit_count() < 0 {
        sum.with_scale(0)
    } else {
        sum
    };
    Some(sum.to_plain_string())
}

/// The one of the two that is kept, `a` unless it compares to `b` as `beaten`.
fn pick(a: &str, b: &str, beaten: Ordering) -> Option<String> {
    let keep = if decimal(a)?.cmp(&decimal(b)?) == beaten {
        b
    } else {
        a
    };
    Some(keep.to_owned())
}

fn decimal(text: &str) -> Option<BigDecimal> {
    BigDecimal::from_str(text).ok()
}

/// RFC 7396 patches `earlier`, then `later`, as one patch.
fn compose(earlier: &str, later: &str) -> Option<String> {
    match (earlier.starts_with('{'), later.starts_with('{')) {
        // Not an object: it replaces whatever was there.
        (_, false) => Some(later.to_owned()),
        // It would have been replaced first and patched then; one patch cannot say that.
        (false, true) => None,
        (true, true) => union(earlier, later, compose),
    }
}

/// The members of both objects in the order they first appear; `both` joins those that are
/// in both.
fn union(
    earlier: &str,
    later: &str,
    both: impl Fn(&str, &str) -> Option<String>,
) -> Option<String> {
    let mut joined: Vec<(Cow<'_, str>, Cow<'_, str>)> = members(earlier)?
        .into_iter()
        .map(|(key, value)| (key, Cow::Borrowed(value)))
        .collect();
    for (key, value) in members(later)? {
        if let Some((_, present)) = joined.iter_mut().find(|(name, _)| *name == key) {
            *present = Cow::Owned(both(present, value)?);
        } else {
            joined.push((key, Cow::Borrowed(value)));
        }
    }
    let mut text = String::with_capacity(earlier.len() + later.len());
    text.push('{');
    for (index, (key, value)) in joined.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(key).ok()?);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    Some(text)
}

/// The members of a JSON object in order, values as their text; `None` if a name repeats.
fn members(object: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            while let Some(Key(key)) = map.next_key()? {
                let value: &RawValue = map.next_value()?;
                if members.iter().any(|(name, _)| *name == key) {
                    return Err(serde::de::Error::custom("a repeated name"));
                }
                members.push((key, value.get()));
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(object)
        .deserialize_map(Members)
        .ok()
}

/// A member's name: borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests;
