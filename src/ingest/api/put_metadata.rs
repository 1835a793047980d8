//! The door for AWS clients as they are: `POST /PutMetadata` of the IVS API, in its forms.
//!
//! Only this operation exists here. Once there are keys it takes signatures and nothing else: AWS's
//! clients have no other way to say who they are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use engine::{Data, Event};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::openapi::answers::{Answers, answers};
use super::openapi::{self, params, schemas};
use crate::access::{Caller, hash, hex};
use crate::arn::ChannelArn;
use crate::config::PutMetadataEnvelope;
use crate::dispatch::Channel;
use crate::ingest::admission;
use crate::ingest::context::ApiContext;
use crate::ingest::limits::{AWS_BODY_MAX, ID_MAX};
use crate::ingest::parse::batch::Batch;
use crate::ingest::parse::body;
use crate::ingest::parse::content_type::{self, Coding};
use crate::ingest::parse::text::{Text, once};
use crate::refusal::ivs::aws_response;
use crate::refusal::problem::push_string;
use crate::refusal::{Code, Refusal};
use crate::telemetry::Transport;
use crate::telemetry::warnings::Warning;

/// Requests since the start: what makes their ids unlike.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Queues one string, like the operation of the IVS API.
///
/// AWS's SDKs and CLI call it when this address is their endpoint. Once keys are configured the
/// request must be signed (Signature Version 4) by an access key of one of them; until then
/// signatures are not looked at.
/// The string leaves byte for byte, alone in its payload, unless `put_metadata.envelope` says
/// otherwise.
#[utoipa::path(
    post, path = "/PutMetadata", tag = openapi::AWS, operation_id = "PutMetadata",
    params(params::Invocation), request_body = schemas::PutMetadataInput, responses(PutMetadataAnswers),
    security((), ("aws_signature" = []))
)]
pub(super) async fn put_metadata(
    State(context): State<Arc<ApiContext>>,
    request: axum::extract::Request,
) -> Response {
    let request_id = request_id(&context);
    let (head, body) = request.into_parts();
    match take(&context, &head, body).await {
        Ok(()) => aws_response(StatusCode::NO_CONTENT, Body::empty(), request_id),
        Err(Failed::Refused(refusal)) => refusal.aws(request_id),
        Err(Failed::Signature(error)) => {
            let refusal = of_signature(&error);
            let warnings = context.meters.warnings();
            warnings.count(Warning::KeyRefused, 1, &refusal.detail);
            refusal.aws_named(error.code(), StatusCode::FORBIDDEN, request_id)
        }
    }
}

/// Why a string was not taken in.
enum Failed {
    Refused(Refusal),
    Signature(sigv4::Error),
}

impl<T: Into<Refusal>> From<T> for Failed {
    fn from(refusal: T) -> Self {
        Self::Refused(refusal.into())
    }
}

fn of_signature(error: &sigv4::Error) -> Refusal {
    Refusal::new(Code::Unauthenticated, error.to_string())
}

/// Whether a request that matched no path means an operation of the IVS API: they are all
/// `POST /<Operation>`, except for those on tags.
#[must_use]
pub fn is_operation(method: &Method, uri: &Uri) -> bool {
    let path = uri.path();
    if let Some(arn) = path.strip_prefix("/tags/") {
        return arn.starts_with("arn");
    }
    let name = path.strip_prefix('/').unwrap_or_default();
    method == Method::POST
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().any(|c| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The answer to an operation that is not here.
#[must_use]
pub fn unknown_operation(context: &ApiContext) -> Response {
    Refusal::new(Code::NotFound, "of the IVS API only PutMetadata is here").aws(request_id(context))
}

/// Members it does not know are ignored, as the API does. By hand: what is derived would take an
/// array of the two values as well, or else keep the others as a tree, many times their size.
struct Input {
    channel_arn: Option<String>,
    metadata: Option<String>,
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
        let (mut channel_arn, mut metadata) = (None, None);
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "channelArn" => once(&mut channel_arn, map.next_value()?, "channelArn")?,
                "metadata" => once(&mut metadata, map.next_value()?, "metadata")?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Input {
            channel_arn: channel_arn.flatten(),
            metadata: metadata.flatten(),
        })
    }
}

/// Takes one string in. Every refusal on the way is one event received and rejected.
async fn take(context: &ApiContext, head: &Parts, body: Body) -> Result<(), Failed> {
    let read = read(context, head, body).await.inspect_err(|failed| {
        let refusal = match failed {
            Failed::Refused(refusal) => refusal,
            // The text may repeat what was sent in the place of a signature.
            Failed::Signature(error) => &Refusal::new(Code::Unauthenticated, error.code()),
        };
        admission::count_refusal(context, Transport::PutMetadata, None, refusal);
    });
    let (caller, channel, event) = read?;
    let batch = Batch {
        events: vec![event],
        ..Batch::default()
    };
    let mut tally = admission::offer(
        context,
        &caller,
        Transport::PutMetadata,
        Some(&channel),
        batch,
    );
    admission::finish(context, Transport::PutMetadata, None, &mut tally).await?;
    match tally.refused.into_iter().next() {
        Some((_, refusal)) => Err(refusal.into()),
        None => Ok(()),
    }
}

async fn read(
    context: &ApiContext,
    head: &Parts,
    body: Body,
) -> Result<(Arc<Caller>, Arc<Channel>, Event), Failed> {
    let headers = &head.headers;
    if let Err(failed) = check_head(context, head) {
        body::discard(headers, body).await;
        return Err(failed);
    }
    let settings = context.settings();
    // Signatures cover bodies, so that once there are keys a body is read from a stranger.
    let mut max = settings.server.max_body_bytes;
    if !context.access.borrow().is_open() {
        max = max.min(AWS_BODY_MAX);
    }
    let bytes = body::read(headers, body, Coding::Identity, max, &context.bodies, None).await?;
    let caller = signer(context, head, &bytes).map_err(Failed::Signature)?;
    if let Some(limits) = caller.limits() {
        limits.take_bytes(bytes.len())?;
    }
    let (arn, metadata) = parse(&bytes)?;
    let channel = context.addressee(&caller, &arn)?;
    // An id that a client uses again for other words is not a retry.
    let metadata_hash = hash(&metadata);
    let data = match settings.put_metadata.envelope {
        PutMetadataEnvelope::Raw => Data::Verbatim(metadata.into()),
        PutMetadataEnvelope::Channel => {
            let mut json = String::with_capacity(metadata.len() + 2);
            push_string(&mut json, &metadata);
            Data::Json(json.into())
        }
    };
    let mut event = Event::new(data);
    event.content.id =
        invocation(headers).map(|id| format!("{id}/{}", short(&metadata_hash)).into());
    Ok((caller, channel, event))
}

/// What can be said before the body is read: what is not signed at all is not read.
fn check_head(context: &ApiContext, head: &Parts) -> Result<(), Failed> {
    if !context.access.borrow().is_open() && !head.headers.contains_key(AUTHORIZATION) {
        return Err(Failed::Signature(if sigv4::is_presigned(&head.uri) {
            sigv4::Error::Presigned
        } else {
            sigv4::Error::MissingAuthentication
        }));
    }
    context.check_open()?;
    if content_type::coding(&head.headers) == Ok(Coding::Identity) {
        return Ok(());
    }
    // A signature covers the bytes that were sent, and SDKs do not compress this operation's.
    let detail = "PutMetadata takes no Content-Encoding: send the body as it is";
    Err(Refusal::new(Code::UnsupportedMediaType, detail).into())
}

fn signer(context: &ApiContext, head: &Parts, body: &[u8]) -> Result<Arc<Caller>, sigv4::Error> {
    let request = sigv4::Request {
        method: head.method.as_str(),
        uri: &head.uri,
        headers: &head.headers,
        body,
    };
    let now = UNIX_EPOCH + Duration::from_millis(context.gateway.clock().epoch_ms());
    context.access.borrow().verify(&request, now)
}

/// What the API checks of its input, in its words where they are known.
pub(crate) fn parse(body: &Bytes) -> Result<(String, String), Refusal> {
    // Of a string the parser's error would quote all, with six bytes for one.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::malformed("the body is not a JSON object"));
    }
    let input: Input = serde_json::from_slice(body).map_err(|error| {
        Refusal::malformed(format!("the body is not the operation's JSON: {error}"))
    })?;
    let arn = input
        .channel_arn
        .ok_or_else(|| Refusal::invalid("channelArn is missing"))?;
    if arn.parse::<ChannelArn>().is_err() {
        return Err(Refusal::invalid("channelArn is not the ARN of a channel"));
    }
    match input.metadata {
        None => Err(Refusal::invalid("metadata is missing")),
        Some(metadata) if metadata.is_empty() => Err(Refusal::invalid("metadata is empty")),
        Some(metadata) => Ok((arn, metadata)),
    }
}

/// The id that SDKs give a call and keep when they retry it.
fn invocation(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("amz-sdk-invocation-id")?.to_str().ok()?;
    (1..=ID_MAX - 1 - 2 * SHORT)
        .contains(&id.len())
        .then_some(id)
}

/// Bytes of a hash that tell the bodies of one id apart.
const SHORT: usize = 8;

/// The beginning of a hash, in hexadecimal.
fn short(hash: &[u8; 32]) -> String {
    hex(&hash[..SHORT])
}

/// In the form of a UUID, as clients expect it: the wall clock and a number.
fn request_id(context: &ApiContext) -> HeaderValue {
    let ms = context.gateway.clock().epoch_ms();
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let id = format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        ms >> 16 & 0xffff_ffff,
        ms & 0xffff,
        number & 0xffff_ffff_ffff
    );
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

answers! {
    /// Of the IVS API.
    PutMetadataAnswers: Answers::new()
        .called("The string is queued, now or by an earlier try of the same call.")
        .ivs(&[
            Code::Malformed, Code::InvalidEvent, Code::EventTooLarge, Code::BodyTooLarge, Code::UnknownChannel,
            Code::ChannelOffline, Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Overloaded, Code::Draining,
            Code::SlowRequest,
        ])
        .unsigned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_by_their_paths() {
        for (method, path, expected) in [
            (Method::POST, "/GetChannel", true),
            (Method::POST, "/Batch2", true),
            (Method::GET, "/tags/arn%3Aaws", true),
            (Method::GET, "/GetChannel", false),
            (Method::POST, "/getChannel", false),
            (Method::POST, "/Get/Channel", false),
            (Method::POST, "/", false),
            (Method::POST, "/v1", false),
            (Method::GET, "/tags/", false),
        ] {
            assert_eq!(
                is_operation(&method, &Uri::from_static(path)),
                expected,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn inputs() {
        let arn = "arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl";
        let ok = format!(r#"{{"channelArn":"{arn}","metadata":"\u00e9\"","other":1}}"#);
        assert_eq!(parse(&ok.into()), Ok((arn.to_owned(), "é\"".to_owned())));
        for (body, code) in [
            (format!(r#"{{"channelArn":"{arn}"}}"#), Code::InvalidEvent),
            (
                format!(r#"{{"channelArn":"{arn}","metadata":""}}"#),
                Code::InvalidEvent,
            ),
            (
                format!(r#"{{"channelArn":"{arn}","metadata":null}}"#),
                Code::InvalidEvent,
            ),
            (
                format!(r#"{{"channelArn":"{arn}","metadata":5}}"#),
                Code::Malformed,
            ),
            (
                format!(r#"{{"channelArn":"{arn}","metadata":"\ud800"}}"#),
                Code::Malformed,
            ),
            (
                r#"{"channelArn":"quiz","metadata":"a"}"#.into(),
                Code::InvalidEvent,
            ),
            (r#"{"metadata":"a"}"#.into(), Code::InvalidEvent),
            ("[]".into(), Code::Malformed),
            (format!(r#"["{arn}","a"]"#), Code::Malformed),
            (
                format!(r#"{{"channelArn":"{arn}","metadata":"a","metadata":"b"}}"#),
                Code::Malformed,
            ),
            (String::new(), Code::Malformed),
        ] {
            assert_eq!(
                parse(&body.clone().into()).map_err(|refusal| refusal.code),
                Err(code),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_ignored_or_refused_takes_no_memory() {
        for body in [
            format!(r#"{{"other":[{}1]}}"#, "1,".repeat(1 << 15)),
            format!(r#""{}""#, "\x7f".repeat(1 << 15)),
        ] {
            let body = Bytes::from(body);
            let used = allocation_counter::measure(|| assert!(parse(&body).is_err()));
            assert!(used.bytes_max < 1 << 10, "{used:?}");
        }
    }
}
