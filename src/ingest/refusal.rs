//! Why something was refused, and THE one place where that becomes a status: of HTTP, of a
//! WebSocket message, of the IVS API.
//!
//! It decides nothing. Codes are promises of the surface; details are for people.

use std::borrow::Cow;
use std::fmt::Write;
use std::num::NonZeroU64;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::value::RawValue;

use crate::access::browser::Foreign;
use crate::access::{CHALLENGE, Denied, Exceeded};
use crate::dispatch::Refused;
use crate::ingest::limits::DETAIL_MAX;
use crate::telemetry::RequestId;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal,)*) => {
        /// The stable name of a reason to refuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, so that every series of a metric can start at 0.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in answers and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it is called in a problem document.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    Malformed "malformed" BAD_REQUEST "Not what the format asks for",
    Unauthenticated "unauthenticated" UNAUTHORIZED "No valid key",
    Forbidden "forbidden" FORBIDDEN "The key does not allow this",
    UnknownChannel "unknown_channel" NOT_FOUND "No such channel",
    ChannelOffline "channel_offline" CONFLICT "The channel is not live",
    EventTooLarge "event_too_large" PAYLOAD_TOO_LARGE "The event cannot fit one payload",
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "No such media type here",
    InvalidEvent "invalid_event" UNPROCESSABLE_ENTITY "A value of the event is not allowed",
    QueueFull "queue_full" TOO_MANY_REQUESTS "The channel's queue is full",
    WouldExpire "would_expire" TOO_MANY_REQUESTS "The event would expire in the queue",
    RateLimited "rate_limited" TOO_MANY_REQUESTS "The producer's own limit",
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The gateway is overloaded",
    Draining "draining" SERVICE_UNAVAILABLE "The gateway is shutting down",
    NotFound "not_found" NOT_FOUND "No such path",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The path has no such method",
    SlowRequest "slow_request" REQUEST_TIMEOUT "The request came too slowly",
    UnknownEvent "unknown_event" NOT_FOUND "No event with this id was seen",
    UpgradeRequired "upgrade_required" UPGRADE_REQUIRED "Another version of WebSocket",
    AlreadySent "already_sent" CONFLICT "The event has left the queue",
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One refusal, of an event or of a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// Why, for people; at most [`DETAIL_MAX`] bytes.
    pub detail: Cow<'static, str>,
    /// When trying again makes sense, in ms. (Not 0, and so no larger than a number alone: a body
    /// can be refused in a hundred thousand pieces.)
    pub retry_after_ms: Option<NonZeroU64>,
    /// The producer's limit that was reached.
    pub limit: Option<Box<Exceeded>>,
    /// It is the coding of the body that is not taken, and the answer says which are.
    names_codings: bool,
}

impl Refusal {
    /// A refusal that no waiting mends. A detail beyond [`DETAIL_MAX`] is cut.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if detail.len() > DETAIL_MAX {
            let end = detail.floor_char_boundary(DETAIL_MAX - '…'.len_utf8());
            detail = format!("{}…", &detail[..end]).into();
        }
        // A body of rubbish is many refusals, and a text that was written has room for twice it.
        if let Cow::Owned(text) = &mut detail {
            text.shrink_to_fit();
        }
        Self {
            code,
            detail,
            retry_after_ms: None,
            limit: None,
            names_codings: false,
        }
    }

    /// The same for the coding of a body: its answer says which are taken (RFC 9110, section 12.5.3).
    #[must_use]
    pub const fn accept_encoding(mut self) -> Self {
        self.names_codings = true;
        self
    }

    /// The same, worth another try after this many ms, at least 1.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(NonZeroU64::new(ms).unwrap_or(NonZeroU64::MIN));
        self
    }

    /// [`Code::BodyTooLarge`], of bodies that may have `max` bytes.
    #[must_use]
    pub fn body_too_large(max: usize) -> Self {
        let detail = format!("a body has at most {max} bytes");
        Self::new(Code::BodyTooLarge, detail)
    }

    /// [`Code::Malformed`].
    #[must_use]
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, detail)
    }

    /// [`Code::InvalidEvent`].
    #[must_use]
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidEvent, detail)
    }

    /// [`Code::Draining`].
    #[must_use]
    pub fn draining(retry_after_ms: u64) -> Self {
        Self::new(
            Code::Draining,
            "the gateway is shutting down and takes no new events",
        )
        .retry_after(retry_after_ms)
    }

    /// [`Code::NotFound`].
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing at this path")
    }

    /// Appends `"code":…,"detail":…` and, where there is one, `"retry_after_ms":…`.
    pub fn write_members(&self, out: &mut String) {
        out.push_str(r#""code":""#);
        out.push_str(self.code.name());
        out.push_str(r#"","detail":"#);
        push_string(out, &self.detail);
        if let Some(ms) = self.retry_after_ms {
            let _ = write!(out, r#","retry_after_ms":{ms}"#);
        }
    }

    /// The problem document (RFC 9457) as an answer. `more` is appended to its members:
    /// empty, or JSON members with a leading comma.
    #[must_use]
    pub fn problem(&self, more: &str) -> Response<Body> {
        self.problem_with(|body| body.push_str(more))
    }

    /// The same with members that `more` writes: a list may be long.
    #[must_use]
    pub fn problem_with(&self, more: impl FnOnce(&mut String)) -> Response<Body> {
        let mut response = Response::new(Body::from(self.document(more)));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(ms) = self.retry_after_ms {
            headers.insert(RETRY_AFTER, retry_after_seconds(ms).into());
        }
        if self.code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        self.write_limit(headers);
        if self.names_codings {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        }
        if self.code == Code::SlowRequest {
            // The rest of the body may still be on its way: the connection is of no more use.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Appends the fields `RateLimit-Policy` and `RateLimit` of the producer's limit that was
    /// reached (draft-ietf-httpapi-ratelimit-headers, revision 10).
    pub fn write_limit(&self, headers: &mut HeaderMap) {
        let Some(limit) = &self.limit else {
            return;
        };
        let Exceeded {
            policy,
            burst,
            window_s,
            wait: _,
        } = **limit;
        let reset_s = self.retry_after_ms.map_or(1, retry_after_seconds);
        for (name, value) in [
            (
                RATE_LIMIT_POLICY,
                format!("\"{policy}\";q={burst};w={window_s}"),
            ),
            (RATE_LIMIT, format!("\"{policy}\";r=0;t={reset_s}")),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }

    /// The same as bytes of HTTP/1.1, for connections that no request came from.
    #[must_use]
    pub fn raw_response(&self) -> String {
        let status = self.code.status();
        let body = self.document(|_| ());
        let retry_after = self.retry_after_ms.map_or(String::new(), |ms| {
            format!("retry-after: {}\r\n", retry_after_seconds(ms))
        });
        format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\nx-request-id: {}\r\n\
             {retry_after}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            RequestId::fresh().as_str(),
            body.len(),
        )
    }

    fn document(&self, more: impl FnOnce(&mut String)) -> String {
        let mut body = format!(
            r#"{{"type":"urn:cuegate:problem:{}","title":"{}","status":{},"#,
            self.code.name(),
            self.code.title(),
            self.code.status().as_u16(),
        );
        self.write_members(&mut body);
        more(&mut body);
        body.push('}');
        body
    }

    /// The answer of the IVS API to the same refusal.
    #[must_use]
    pub fn aws(&self, request_id: HeaderValue) -> Response<Body> {
        let (name, status) = aws_error(self.code);
        self.aws_named(name, status, request_id)
    }

    /// The same under another name of the API's.
    #[must_use]
    pub fn aws_named(
        &self,
        name: &'static str,
        status: StatusCode,
        request_id: HeaderValue,
    ) -> Response<Body> {
        // Of errors that an operation's model has, clients read the one; of others, the other.
        let mut body = String::from(r#"{"exceptionMessage":"#);
        push_string(&mut body, &self.detail);
        body.push_str(r#","message":"#);
        push_string(&mut body, &self.detail);
        body.push('}');
        let mut response = aws_response(status, Body::from(body), request_id);
        let headers = response.headers_mut();
        headers.insert("x-amzn-ErrorType", HeaderValue::from_static(name));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.retry_after_ms {
            headers.insert(RETRY_AFTER, retry_after_seconds(ms).into());
            // The newest SDKs read this one, which is finer.
            headers.insert("x-amz-retry-after", ms.get().into());
        }
        response
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        self.problem("")
    }
}

/// A 405 with the methods that the path does have.
#[must_use]
pub fn method_not_allowed(allow: &str) -> Response<Body> {
    let detail = format!("this path takes {allow}");
    let mut response = Refusal::new(Code::MethodNotAllowed, detail).problem("");
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// A response of the IVS API, which all carry the id of their request.
#[must_use]
pub fn aws_response(status: StatusCode, body: Body, request_id: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("x-amzn-RequestId", request_id);
    response
}

/// The name and the status that the IVS API has for a code.
#[must_use]
pub const fn aws_error(code: Code) -> (&'static str, StatusCode) {
    match code {
        Code::Malformed
        | Code::InvalidEvent
        | Code::EventTooLarge
        | Code::BodyTooLarge
        | Code::UnsupportedMediaType => ("ValidationException", StatusCode::BAD_REQUEST),
        Code::Unauthenticated | Code::Forbidden => ("AccessDeniedException", StatusCode::FORBIDDEN),
        Code::UnknownChannel | Code::UnknownEvent => {
            ("ResourceNotFoundException", StatusCode::NOT_FOUND)
        }
        Code::ChannelOffline | Code::AlreadySent => {
            ("ChannelNotBroadcasting", StatusCode::NOT_FOUND)
        }
        Code::QueueFull | Code::WouldExpire | Code::RateLimited => {
            ("ThrottlingException", StatusCode::TOO_MANY_REQUESTS)
        }
        Code::Overloaded | Code::Draining => {
            ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE)
        }
        Code::NotFound | Code::MethodNotAllowed | Code::UpgradeRequired => {
            ("UnknownOperationException", StatusCode::NOT_FOUND)
        }
        Code::SlowRequest => ("RequestTimeoutException", StatusCode::REQUEST_TIMEOUT),
    }
}

impl From<engine::Refusal> for Refusal {
    fn from(refusal: engine::Refusal) -> Self {
        let (code, retry_after) = match refusal {
            engine::Refusal::TooLarge { .. } => (Code::EventTooLarge, None),
            engine::Refusal::InvalidData(_) => (Code::InvalidEvent, None),
            engine::Refusal::QueueFull { retry_after }
            | engine::Refusal::ShareFull { retry_after, .. } => {
                (Code::QueueFull, Some(retry_after))
            }
            engine::Refusal::WouldExpire { retry_after, .. } => {
                (Code::WouldExpire, Some(retry_after))
            }
            engine::Refusal::Offline => (Code::ChannelOffline, None),
        };
        let detail = match refusal {
            engine::Refusal::InvalidData(why) => Cow::Borrowed(why),
            engine::Refusal::QueueFull { .. } => Cow::Borrowed("the channel's queue is full"),
            other => Cow::Owned(other.to_string()),
        };
        let refusal = Self {
            code,
            detail,
            retry_after_ms: None,
            limit: None,
            names_codings: false,
        };
        match retry_after {
            Some(span) => refusal.retry_after(span.millis_ceil()),
            None => refusal,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UnknownChannel(why) => Self::new(Code::UnknownChannel, why),
            Refused::Overloaded {
                bound,
                retry_after_ms,
            } => Self::new(Code::Overloaded, format!("{bound} is reached"))
                .retry_after(retry_after_ms),
            Refused::JournalFails { retry_after_ms } => Self::new(
                Code::Overloaded,
                "the journal cannot be written at present, so nothing is promised: send it again, with the same id",
            )
            .retry_after(retry_after_ms),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown(detail) => Self::new(Code::Unauthenticated, detail),
            Denied::Forbidden(detail) => Self::new(Code::Forbidden, detail),
        }
    }
}

impl From<Foreign> for Refusal {
    fn from(foreign: Foreign) -> Self {
        let detail = match foreign {
            Foreign::Host => {
                "without keys Host must be localhost, or an address of this machine: behind a proxy set server.auth, or have keys"
            }
            Foreign::Origin => {
                "a page of another origin made this request: name it in server.allowed_origins if it may"
            }
        };
        Self::new(Code::Forbidden, detail)
    }
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { policy, burst, .. } = exceeded;
        let Some(wait) = exceeded.wait else {
            let detail = format!(
                "more than the {burst} that the producer's limit of {policy} lets come at once"
            );
            return Self::new(Code::BodyTooLarge, detail);
        };
        let detail = format!("the producer's limit of {policy} is reached");
        let ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        let limit = Some(Box::new(exceeded));
        Self {
            limit,
            ..Self::new(Code::RateLimited, detail).retry_after(ms)
        }
    }
}

/// Whole seconds, rounded up: `Retry-After` knows nothing finer.
const fn retry_after_seconds(ms: NonZeroU64) -> u64 {
    ms.get().div_ceil(1000)
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    let quoted = serde_json::value::to_raw_value(text);
    out.push_str(quoted.as_deref().map_or("\"\"", RawValue::get));
}
