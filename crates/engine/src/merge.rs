//! What two events of one key make together.
//!
//! Text in, text out: numbers are added and compared exactly, in decimal; merge patches
//! compose so that applying the result equals applying both. Where no single event says
//! the same as the two, the answer is `None` and the later one starts a new item.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Most digits of a number that `sum`, `max` and `min` take: what they add stays small
/// enough to be exact and to fit a payload.
const DIGITS_MAX: usize = 30;
/// Greatest exponent, either way.
const EXPONENT_MAX: i64 = 30;

/// How an event joins the last queued item of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merge {
    /// The latest data wins.
    Replace,
    /// Numbers add up, exactly in decimal.
    Sum,
    /// The greatest number wins.
    Max,
    /// The smallest number wins.
    Min,
    /// RFC 7396 merge patches compose; nulls stay.
    Patch,
}

impl Merge {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Replace, Self::Sum, Self::Max, Self::Min, Self::Patch];

    /// The word for it in events and payloads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Min => "min",
            Self::Patch => "patch",
        }
    }

    /// The merge of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|merge| merge.name() == name)
    }

    /// Whether it takes nothing but a number, or an object of numbers.
    #[must_use]
    pub const fn is_of_numbers(self) -> bool {
        match self {
            Self::Replace | Self::Patch => false,
            Self::Sum | Self::Max | Self::Min => true,
        }
    }
}

/// Checks that `data` is something this merge can work on.
///
/// # Errors
/// What is wrong with it, for the producer.
pub(crate) fn validate(merge: Merge, data: &str) -> Result<(), &'static str> {
    if !merge.is_of_numbers() {
        return Ok(());
    }
    if data.starts_with('{') {
        let members = members(data).ok_or("an object of numbers names each field once")?;
        members
            .iter()
            .try_for_each(|(_, value)| validate_number(value))
    } else {
        validate_number(data)
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

/// What a value becomes by one item more, as players reckon it: where it is not of the form that
/// the merge works on, of the whole or of a field, the data takes its place.
pub(crate) fn apply(merge: Merge, held: Option<&str>, data: &str) -> String {
    let kept = match merge {
        Merge::Replace => None,
        Merge::Patch => return patched(held, data),
        Merge::Sum => held.and_then(|held| combine(held, data, add)),
        Merge::Max => held.and_then(|held| combine(held, data, |a, b| pick(a, b, Ordering::Less))),
        Merge::Min => {
            held.and_then(|held| combine(held, data, |a, b| pick(a, b, Ordering::Greater)))
        }
    };
    kept.unwrap_or_else(|| data.to_owned())
}

/// None: the two are not of one form.
fn combine(
    held: &str,
    data: &str,
    number: impl Fn(&str, &str) -> Option<String>,
) -> Option<String> {
    let number = |a: &str, b: &str| number(double(a)?, double(b)?);
    match (held.starts_with('{'), data.starts_with('{')) {
        (false, false) => number(held, data),
        (true, true) => {
            let mut fields = Fields::of(held)?;
            for (name, value) in Fields::of(data)?.0 {
                let both = fields.get(&name).and_then(|held| number(held, &value));
                fields.put(name, Cow::Owned(both.unwrap_or_else(|| value.into_owned())));
            }
            fields.write()
        }
        _ => None,
    }
}

/// A number as players have it: none where it is too large for a double, and 0 where it is too
/// small. So no sum writes out a power of ten that a producer only named.
fn double(text: &str) -> Option<&str> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number.then_some(if value == 0.0 { "0" } else { text })
}

/// RFC 7396.
fn patched(held: Option<&str>, patch: &str) -> String {
    let apply = || {
        let mut fields = match held.filter(|held| held.starts_with('{')) {
            Some(held) => Fields::of(held)?,
            None => Fields::default(),
        };
        for (name, value) in Fields::of(patch)?.0 {
            if value == "null" {
                fields.remove(&name);
            } else {
                let made = patched(fields.get(&name), &value);
                fields.put(name, Cow::Owned(made));
            }
        }
        fields.write()
    };
    let made = if patch.starts_with('{') {
        apply()
    } else {
        None
    };
    made.unwrap_or_else(|| patch.to_owned())
}

/// The members of an object in their order; of several of one name the last one's value counts.
#[derive(Default)]
struct Fields<'a>(IndexedMembers<'a>);

type IndexedMembers<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl<'a> Fields<'a> {
    fn of(object: &'a str) -> Option<Self> {
        let mut fields: IndexedMembers<'a> = Vec::new();
        let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
        for (name, value) in all_members(object)? {
            let value = Cow::Borrowed(value);
            if let Some(&place) = places.get(&name) {
                fields[place].1 = value;
            } else {
                places.insert(name.clone(), fields.len());
                fields.push((name, value));
            }
        }
        Some(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| &**value)
    }

    fn put(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some(field) => field.1 = value,
            None => self.0.push((name, value)),
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| own != name);
    }

    fn write(&self) -> Option<String> {
        write_object(&self.0)
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
    write_object(&joined)
}

fn write_object(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> Option<String> {
    let mut text = String::from("{");
    for (index, (key, value)) in members.iter().enumerate() {
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
    let members = all_members(object)?;
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    let repeats = names.windows(2).any(|pair| pair[0] == pair[1]);
    (!repeats).then_some(members)
}

/// The members of a JSON object in order, with every one of those whose name repeats.
fn all_members(object: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
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
