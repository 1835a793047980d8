//! The values of an event whose JSON types are right: lengths, words, times.
//!
//! Both formats meet here, so that each rule stands once. No JSON but `data` is read.

use std::borrow::Cow;
use std::sync::Arc;

use engine::{Content, Data, Event, Merge, Priority, Wall};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json;
use super::text::Text;
use crate::ingest::limits::{AT_MIN_MS, ID_MAX, KEY_MAX, KIND_MAX, TTL_MAX_MS};
use crate::refusal::Refusal;

/// What reading an event needs to know of the world, and a buffer it works in.
pub struct ParseContext<'a> {
    /// The wall clock, in ms since the epoch.
    pub now_ms: i64,
    /// How far ahead `at` may be, in ms.
    pub at_max_ahead_ms: u64,
    /// A moment of the wall clock, from ms since the epoch.
    pub time_of: &'a dyn Fn(i64) -> Wall,
    /// Reused between events.
    pub scratch: String,
}

/// An event of the right JSON types, its values not yet looked at.
#[derive(Default)]
pub struct UnvalidatedEvent<'a> {
    /// JSON text as it came.
    pub data: &'a str,
    /// `type`.
    pub kind: Option<Arc<str>>,
    /// `id`.
    pub id: Option<Arc<str>>,
    /// Longest `id`, where that is not [`ID_MAX`].
    pub id_max: Option<usize>,
    /// `key`.
    pub key: Option<Arc<str>>,
    /// `merge`: a word.
    pub merge: Option<Word<Merge>>,
    /// `priority`: a word.
    pub priority: Option<Word<Priority>>,
    /// `envelope`: a word; the one there is makes it verbatim.
    pub envelope: Option<Word<Verbatim>>,
    /// `ttl_ms`: a number as it came.
    pub ttl: Option<&'a str>,
    /// `at`: a string or a number as it came.
    pub at: Option<Moment<'a>>,
    /// `CloudEvents`' `expirytime`, ms since the epoch.
    pub expires_ms: Option<i64>,
}

impl UnvalidatedEvent<'_> {
    /// Looks at the values.
    ///
    /// # Errors
    /// `invalid_event`; `malformed` for flaws of the data.
    pub fn finish(self, reader: &mut ParseContext<'_>) -> Result<Event, Refusal> {
        let data = json::minify(self.data, &mut reader.scratch)
            .map_err(|flaw| Refusal::malformed(flaw.detail()))?;
        let data = match self.envelope {
            None => Data::Json(data),
            Some(word) => {
                let Verbatim = word.known(|| "envelope can only be raw".to_owned())?;
                verbatim(&data, self.key.is_some() || self.merge.is_some())?
            }
        };
        let mut content = Content::new(data);
        content.kind = sized("type", self.kind, KIND_MAX)?;
        content.id = sized("id", self.id, self.id_max.unwrap_or(ID_MAX))?;
        content.key = sized("key", self.key, KEY_MAX)?;
        if let Some(word) = self.merge {
            content.merge = Some(word.known(|| none_of("merge", &Merge::ALL.map(Merge::name)))?);
            if content.key.is_none() {
                return Err(Refusal::invalid("merge needs a key"));
            }
        }
        if let Some(word) = self.priority {
            content.priority =
                word.known(|| none_of("priority", &Priority::ALL.map(Priority::name)))?;
        }
        let mut event = Event::from(content);
        event.ttl_ms = self.ttl.map(ttl_ms).transpose()?;
        let at_ms = self.at.map(|at| at.epoch_ms(reader)).transpose()?;
        event.at = at_ms.map(reader.time_of);
        if let Some(deadline) = self.expires_ms {
            let starts = at_ms.map_or(reader.now_ms, |at| at.max(reader.now_ms));
            event.ttl_ms = Some(remaining_ms(deadline, starts)?);
        }
        Ok(event)
    }
}

/// `"envelope":"raw"`: the characters of a string leave as they are, alone in their payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verbatim;

impl Verbatim {
    /// The word for it in events.
    pub const NAME: &'static str = "raw";

    /// What a word means.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::NAME).then_some(Self)
    }
}

/// The characters of a JSON string.
fn verbatim(json: &str, has_key: bool) -> Result<Data, Refusal> {
    if has_key {
        return Err(Refusal::invalid(
            "envelope raw does not go with key or merge",
        ));
    }
    let text: String = serde_json::from_str(json)
        .map_err(|_| Refusal::invalid("envelope raw needs data that is a string"))?;
    if text.is_empty() {
        return Err(Refusal::invalid(
            "envelope raw needs data of 1 byte at least",
        ));
    }
    Ok(Data::Verbatim(text.into()))
}

/// A text within its bounds.
///
/// # Errors
/// `invalid_event`.
pub fn sized(what: &str, text: Option<Arc<str>>, max: usize) -> Result<Option<Arc<str>>, Refusal> {
    match &text {
        Some(given) if given.is_empty() || given.len() > max => Err(Refusal::invalid(format!(
            "{what} has {} bytes, not 1 to {max}",
            given.len()
        ))),
        _ => Ok(text),
    }
}

fn ttl_ms(number: &str) -> Result<u32, Refusal> {
    integer(number)
        .and_then(|ms| u32::try_from(ms).ok())
        .filter(|ms| (1..=TTL_MAX_MS).contains(ms))
        .ok_or_else(|| Refusal::invalid("ttl_ms is not an integer from 1 to 86400000"))
}

fn remaining_ms(deadline: i64, starts: i64) -> Result<u32, Refusal> {
    match deadline.checked_sub(starts) {
        Some(..=0) => Err(Refusal::invalid("expirytime has passed")),
        Some(left) if left <= i64::from(TTL_MAX_MS) => {
            Ok(u32::try_from(left).unwrap_or(TTL_MAX_MS))
        }
        _ => Err(Refusal::invalid("expirytime is more than 86400000 ms away")),
    }
}

/// The integer that a JSON number is; `1e3` and `1000.0` are the integer 1000.
fn integer(number: &str) -> Option<i64> {
    if let Ok(integer) = number.parse() {
        return Some(integer);
    }
    let float: f64 = number.parse().ok()?;
    // Below 2^53 a float that has no fraction is exactly the integer that was written.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked: whole, and below 2^53"
    )]
    (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
}

/// `at` as it came.
pub enum Moment<'a> {
    /// A JSON number.
    Number(&'a str),
    /// Milliseconds since the epoch, where they came as text.
    Millis(i64),
    /// The characters of a string.
    Text(Cow<'a, str>),
}

impl<'a> Moment<'a> {
    /// From the JSON text of a value.
    ///
    /// # Errors
    /// `malformed`: neither string nor number.
    pub fn from_json(json: &'a str) -> Result<Self, &'static str> {
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<Text>(json)
                .map(|text| Self::Text(text.0))
                .map_err(|_| "an escape is a lone surrogate"),
            Some(b'-' | b'0'..=b'9') => Ok(Self::Number(json)),
            _ => Err("at is neither a string nor a number"),
        }
    }

    fn epoch_ms(&self, reader: &ParseContext<'_>) -> Result<i64, Refusal> {
        let (ms, least) = match self {
            Self::Number(number) => (integer(number), AT_MIN_MS),
            Self::Millis(ms) => (Some(*ms), AT_MIN_MS),
            // A date leaves no doubt.
            Self::Text(text) => (rfc3339_ms(text), i64::MIN),
        };
        let ms = ms.ok_or_else(|| {
            Refusal::invalid("at is neither an RFC 3339 time nor integral milliseconds")
        })?;
        if ms < least {
            return Err(Refusal::invalid(
                "at is below 10^11: it looks like seconds, and is to be in milliseconds since 1970",
            ));
        }
        let ahead = u64::try_from(ms.saturating_sub(reader.now_ms)).unwrap_or(0);
        if ahead > reader.at_max_ahead_ms {
            let max = reader.at_max_ahead_ms;
            return Err(Refusal::invalid(format!(
                "at is {ahead} ms ahead, at most {max} are allowed"
            )));
        }
        Ok(ms)
    }
}

/// Milliseconds since the epoch, rounded down.
#[must_use]
pub fn rfc3339_ms(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// A word that stands for a value, if it is one of those we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<T> {
    /// It is.
    Known(T),
    /// It is not.
    Unknown,
}

impl<T> Word<T> {
    /// From a lookup.
    #[must_use]
    pub fn from_lookup(found: Option<T>) -> Self {
        found.map_or(Self::Unknown, Self::Known)
    }

    fn known(self, otherwise: impl FnOnce() -> String) -> Result<T, Refusal> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown => Err(Refusal::invalid(otherwise())),
        }
    }
}

fn none_of(name: &str, words: &[&str]) -> String {
    format!("{name} is none of {}", words.join(", "))
}
