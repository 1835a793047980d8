//! `CloudEvents` 1.0 (JSON format and the HTTP binding's binary mode) -> `engine::Event`.
//!
//! Attributes we do not know are checked for their JSON and ignored. Values are judged
//! where all events' values are: [`UnvalidatedEvent::finish`].

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use axum::http::{HeaderMap, HeaderValue};
use engine::{Merge, Priority};
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::event::{Addressed, Addressing};
use super::json;
use super::text::{self, Text};
use super::validate::{Moment, ParseContext, UnvalidatedEvent, Word, rfc3339_ms};
use crate::ingest::limits::CLOUDEVENT_ID_MAX;
use crate::refusal::Refusal;
use crate::refusal::problem::push_string;

/// How the headers of binary mode begin.
const HEADER_PREFIX: &str = "ce-";

/// Reads one event in the JSON format.
///
/// # Errors
/// `malformed` or `invalid_event`.
pub fn read<'a>(
    text: &'a str,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Result<Addressed<'a>, Refusal> {
    text::check_start(text)?;
    let envelope: Envelope<'a> = serde_json::from_str(text).map_err(text::malformed)?;
    envelope
        .attributes
        .finish(envelope.data, addressing, reader)
}

/// What the body of binary mode is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryBody {
    /// JSON.
    Json,
    /// Text, which becomes a JSON string.
    Text,
}

/// Whether these headers are those of binary mode.
#[must_use]
pub fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion") || headers.contains_key("ce-id")
}

/// Reads one event in binary mode: attributes in `ce-*` headers, data in the body.
///
/// # Errors
/// `malformed` or `invalid_event`.
pub fn read_binary(
    headers: &HeaderMap,
    body: &[u8],
    kind: BinaryBody,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> Result<Addressed<'static>, Refusal> {
    let attributes = from_headers(headers)?;
    let text = std::str::from_utf8(body).map_err(|_| Refusal::malformed("not UTF-8"))?;
    let mut quoted = String::new();
    let data = match kind {
        BinaryBody::Text => {
            push_string(&mut quoted, text);
            Some(&*quoted)
        }
        BinaryBody::Json if text.is_empty() => None,
        BinaryBody::Json => {
            text::check_start(text)?;
            let data: &RawValue = serde_json::from_str(text).map_err(text::malformed)?;
            Some(data.get())
        }
    };
    let (event, channel) = attributes.finish(data, addressing, reader)?;
    Ok((event, channel.map(|name| Cow::Owned(name.into_owned()))))
}

/// The attributes that mean something to us.
#[derive(Default)]
struct Attributes<'a> {
    specversion: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    partitionkey: Option<Cow<'a, str>>,
    cuekey: Option<Cow<'a, str>>,
    cuemerge: Option<Cow<'a, str>>,
    cuepriority: Option<Cow<'a, str>>,
    cuechannel: Option<Cow<'a, str>>,
    expirytime: Option<Cow<'a, str>>,
    cueat: Option<Moment<'a>>,
    has_base64: bool,
}

impl<'a> Attributes<'a> {
    /// Where the attribute of that name goes, if it is one of ours and a string.
    fn slot(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
        Some(match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "partitionkey" => &mut self.partitionkey,
            "cuekey" => &mut self.cuekey,
            "cuemerge" => &mut self.cuemerge,
            "cuepriority" => &mut self.cuepriority,
            "cuechannel" => &mut self.cuechannel,
            "expirytime" => &mut self.expirytime,
            _ => return None,
        })
    }

    fn finish(
        self,
        data: Option<&str>,
        addressing: Addressing,
        reader: &mut ParseContext<'_>,
    ) -> Result<Addressed<'a>, Refusal> {
        let specversion = required("specversion", self.specversion)?;
        let id = required("id", self.id)?;
        let source = required("source", self.source)?;
        let kind = required("type", self.kind)?;
        let channel = match addressing {
            Addressing::Path => None,
            Addressing::Event => Some(required("cuechannel", self.cuechannel)?),
        };
        if self.has_base64 {
            return Err(Refusal::invalid(
                "data_base64 is not taken: payloads are text",
            ));
        }
        let data = required("data", data)?;
        if specversion != "1.0" {
            return Err(Refusal::invalid("specversion is not 1.0"));
        }
        if id.is_empty() {
            return Err(Refusal::invalid("id is empty"));
        }
        // Without white space in the source, "source id" names one pair only.
        if source.is_empty() || source.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Refusal::invalid("source is not a URI reference"));
        }
        let expires_ms = self.expirytime.map(|text| {
            rfc3339_ms(&text).ok_or_else(|| Refusal::invalid("expirytime is not an RFC 3339 time"))
        });
        let draft = UnvalidatedEvent {
            data,
            kind: Some(kind.into()),
            id: Some(format!("{source} {id}").into()),
            id_max: Some(CLOUDEVENT_ID_MAX),
            key: self.cuekey.or(self.partitionkey).map(Into::into),
            merge: self
                .cuemerge
                .map(|word| Word::from_lookup(Merge::from_name(&word))),
            priority: self
                .cuepriority
                .map(|word| Word::from_lookup(Priority::from_name(&word))),
            envelope: None,
            ttl: None,
            at: self.cueat,
            expires_ms: expires_ms.transpose()?,
        };
        Ok((draft.finish(reader)?, channel))
    }
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::malformed(format!("missing field `{name}`")))
}

fn from_headers(headers: &HeaderMap) -> Result<Attributes<'static>, Refusal> {
    let mut attributes = Attributes::default();
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(HEADER_PREFIX) else {
            continue;
        };
        let mut values = headers.get_all(header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::malformed(format!("header `{header}` is repeated")));
        };
        let text = decode(value).ok_or_else(|| {
            Refusal::malformed(format!("header `{header}` is not percent-encoded UTF-8"))
        })?;
        if name == "cueat" {
            attributes.cueat = Some(moment(text));
        } else if let Some(slot) = attributes.slot(name) {
            *slot = Some(Cow::Owned(text));
        }
    }
    Ok(attributes)
}

/// The binding's decoding: first a quoted string is taken out of its quotes, then one round
/// of percent-decoding.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let text: Cow<'_, str> = match quoted {
        None => text.into(),
        Some(inner) => {
            let mut chars = inner.chars();
            let mut plain = String::with_capacity(inner.len());
            while let Some(c) = chars.next() {
                plain.push(if c == '\\' { chars.next()? } else { c });
            }
            plain.into()
        }
    };
    percent_decode_str(&text)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

/// `cueat` as text: `CloudEvents`' integers have 32 bits, so milliseconds come as digits.
fn moment(text: String) -> Moment<'static> {
    match text.parse::<i64>() {
        Ok(ms) => Moment::Millis(ms),
        Err(_) => Moment::Text(text.into()),
    }
}

/// One event in the JSON format.
struct Envelope<'a> {
    attributes: Attributes<'a>,
    data: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope {
            attributes: Attributes::default(),
            data: None,
        };
        let mut seen = HashSet::new();
        while let Some(Text(name)) = map.next_key()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            match &*name {
                "data" => envelope.data = Some(map.next_value::<&RawValue>()?.get()),
                "data_base64" => {
                    // A null attribute is an absent one (JSON format, 2.2).
                    envelope.attributes.has_base64 =
                        map.next_value::<Option<Text<'de>>>()?.is_some();
                }
                "cueat" => {
                    envelope.attributes.cueat =
                        json_moment(map.next_value()?).map_err(A::Error::custom)?;
                }
                other => {
                    if let Some(slot) = envelope.attributes.slot(other) {
                        *slot = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
                    } else {
                        let ignored = map.next_value::<&RawValue>()?;
                        json::check(ignored.get())
                            .map_err(|flaw| A::Error::custom(flaw.detail()))?;
                    }
                }
            }
            seen.insert(name);
        }
        Ok(envelope)
    }
}

fn json_moment(value: &RawValue) -> Result<Option<Moment<'_>>, &'static str> {
    if value.get() == "null" {
        return Ok(None);
    }
    Ok(Some(match Moment::from_json(value.get())? {
        Moment::Text(text) => moment(text.into_owned()),
        other => other,
    }))
}

#[cfg(test)]
mod tests;
