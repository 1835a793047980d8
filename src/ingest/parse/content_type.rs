//! What a body is, by its headers. Reads no body.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};

use super::cloudevents::{self, BinaryBody};
use crate::refusal::{Code, Refusal};

/// The forms a body of events has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// One event or an array.
    Json,
    /// An event a line.
    NdJson,
    /// One `CloudEvent`.
    CloudEvent,
    /// An array of `CloudEvents`.
    CloudEventBatch,
    /// A `CloudEvent` whose attributes are headers.
    CloudEventBinary(BinaryBody),
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// With gzip.
    Gzip,
}

/// How the headers say that the body is packed (RFC 9110, section 8.4).
///
/// # Errors
/// `unsupported_media_type`, with `Accept-Encoding`.
pub fn coding(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let mut found = Coding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
            if is(b"") || is(b"identity") {
                continue;
            }
            if found == Coding::Gzip || !(is(b"gzip") || is(b"x-gzip")) {
                return Err(
                    unsupported("bodies are taken as they are, or with gzip once")
                        .accept_encoding(),
                );
            }
            found = Coding::Gzip;
        }
    }
    Ok(found)
}

/// What the headers say.
///
/// # Errors
/// `unsupported_media_type`.
pub fn of(headers: &HeaderMap) -> Result<Media, Refusal> {
    // Nearly every request says just this.
    let plain = headers
        .get(CONTENT_TYPE)
        .and_then(|value| match value.as_bytes() {
            b"application/json" => Some(Media::Json),
            b"application/x-ndjson" => Some(Media::NdJson),
            _ => None,
        });
    match plain {
        Some(media) if !headers.keys().any(is_telling) && is_single(headers) => Ok(media),
        _ => of_any(headers),
    }
}

/// Whether a header besides the plain `Content-Type` could change what a body is.
fn is_telling(name: &HeaderName) -> bool {
    name.as_str().starts_with("ce-")
}

fn is_single(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().nth(1).is_none()
}

fn of_any(headers: &HeaderMap) -> Result<Media, Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return Err(unsupported("one Content-Type is needed"));
    };
    let value = value
        .to_str()
        .map_err(|_| unsupported("the Content-Type is not text"))?;
    // A charset changes nothing: JSON is UTF-8 (RFC 8259), and what is not is refused as that.
    let essence = value.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    known(&essence, cloudevents::is_binary(headers)).ok_or_else(|| {
        unsupported(
            "not application/json, application/x-ndjson, application/cloudevents+json or \
             application/cloudevents-batch+json",
        )
    })
}

fn known(essence: &str, has_attributes: bool) -> Option<Media> {
    let is_json =
        essence == "application/json" || essence == "text/json" || essence.ends_with("+json");
    match essence {
        "application/cloudevents+json" => Some(Media::CloudEvent),
        "application/cloudevents-batch+json" => Some(Media::CloudEventBatch),
        _ if has_attributes && is_json => Some(Media::CloudEventBinary(BinaryBody::Json)),
        _ if has_attributes && essence.starts_with("text/") => {
            Some(Media::CloudEventBinary(BinaryBody::Text))
        }
        _ if has_attributes => None,
        "application/json" => Some(Media::Json),
        "application/x-ndjson" => Some(Media::NdJson),
        _ => None,
    }
}

fn unsupported(detail: &'static str) -> Refusal {
    Refusal::new(Code::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    #[rustfmt::skip] // a table
    fn headers_say_what_a_body_is() {
        let binary = |body| Some(Media::CloudEventBinary(body));
        for (headers, expected) in [
            (&[("content-type", "application/json")][..], Some(Media::Json)),
            (&[("content-type", "Application/JSON; Charset=\"UTF-8\"")], Some(Media::Json)),
            (&[("content-type", "application/json;charset=utf-8;x=y;")], Some(Media::Json)),
            (&[("content-type", "application/json; charset=utf8")], Some(Media::Json)),
            (&[("content-type", "application/json; charset=\"us-ascii\"")], Some(Media::Json)),
            (&[("content-type", "application/json; charset=latin1")], Some(Media::Json)),
            (&[("content-type", "application/x-ndjson;charset=UTF8")], Some(Media::NdJson)),
            (&[("content-type", "application/x-ndjson"), ("content-encoding", "identity")], Some(Media::NdJson)),
            (&[("content-type", "application/cloudevents+json"), ("ce-id", "1")], Some(Media::CloudEvent)),
            (&[("content-type", "application/cloudevents-batch+json; charset=utf-8")], Some(Media::CloudEventBatch)),
            (&[("content-type", "application/json"), ("ce-id", "1")], binary(BinaryBody::Json)),
            (&[("content-type", "application/vnd.x+json"), ("ce-specversion", "1.0")], binary(BinaryBody::Json)),
            (&[("content-type", "text/plain"), ("ce-id", "1")], binary(BinaryBody::Text)),
            (&[("content-type", "application/octet-stream"), ("ce-id", "1")], None),
            (&[("content-type", "application/x-ndjson"), ("ce-id", "1")], None),
            (&[("content-type", "application/cloudevents+avro")], None),
            (&[("content-type", "application/vnd.x+json")], None),
            (&[("content-type", "text/plain")], None),
            (&[("content-type", "")], None),
            (&[], None),
            (&[("content-type", "application/json"), ("content-type", "application/json")], None),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], Some(Media::Json)),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let found = of(&map).map_err(|refusal| refusal.code);
            assert_eq!(found, expected.ok_or(Code::UnsupportedMediaType), "{headers:?}");
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn headers_say_how_a_body_is_packed() {
        for (headers, expected) in [
            (&[][..], Some(Coding::Identity)),
            (&[""], Some(Coding::Identity)),
            (&["identity"], Some(Coding::Identity)),
            (&["GZip"], Some(Coding::Gzip)),
            (&["x-gzip"], Some(Coding::Gzip)),
            (&["identity, gzip"], Some(Coding::Gzip)),
            (&["identity", "gzip"], Some(Coding::Gzip)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["identity, br"], None),
            (&["deflate"], None),
            (&["gzip;q=1"], None),
        ] {
            let mut map = HeaderMap::new();
            for value in headers {
                map.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(coding(&map).ok(), expected, "{headers:?}");
        }
    }
}
