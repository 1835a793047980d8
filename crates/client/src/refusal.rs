//! Refusals, as the gateway words them: of a whole request, or of one event in it.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// The stable name of a reason to refuse.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $doc] $variant,)*
            /// A code that this version does not know, by its name; empty where the answer has none.
            Other(Box<str>),
        }

        impl Code {
            /// Its name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $name,)* Self::Other(name) => name }
            }
        }

        impl From<&str> for Code {
            fn from(name: &str) -> Self {
                match name { $($name => Self::$variant,)* other => Self::Other(other.into()) }
            }
        }
    };
}

codes! {
    Malformed "malformed" "Not JSON, a wrong JSON type, an unknown field, or no data.",
    Unauthenticated "unauthenticated" "No key, or one that the gateway does not know.",
    Forbidden "forbidden" "The key does not allow this.",
    UnknownChannel "unknown_channel" "No such channel.",
    ChannelOffline "channel_offline" "The channel is not live, and its policy is `reject`.",
    EventTooLarge "event_too_large" "The event cannot fit one payload.",
    BodyTooLarge "body_too_large" "The body, or a message, is too large.",
    UnsupportedMediaType "unsupported_media_type" "No such media type here.",
    InvalidEvent "invalid_event" "A value of the event is not allowed.",
    QueueFull "queue_full" "The channel's queue is full.",
    WouldExpire "would_expire" "The event would expire before its turn.",
    RateLimited "rate_limited" "The producer's own limit is reached.",
    Overloaded "overloaded" "The gateway is overloaded.",
    Draining "draining" "The gateway is shutting down.",
    NotFound "not_found" "No such path.",
    MethodNotAllowed "method_not_allowed" "The path has no such method.",
    SlowRequest "slow_request" "The request came too slowly.",
    UnknownEvent "unknown_event" "No event with this id is remembered.",
    UpgradeRequired "upgrade_required" "Another version of WebSocket.",
    AlreadySent "already_sent" "The event has left the queue.",
}

impl Code {
    /// Whether the same event can be taken later: what filled up can empty, and who drains is
    /// started again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::QueueFull
                | Self::WouldExpire
                | Self::RateLimited
                | Self::Overloaded
                | Self::Draining
                | Self::SlowRequest
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from(&*name))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The refusal of a whole request (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why, for programs.
    pub code: Code,
    /// The HTTP status.
    pub status: StatusCode,
    /// Why, for people.
    pub detail: String,
    /// When another try makes sense: `retry_after_ms` of the answer, else its `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The index of the event that was refused, for an atomic batch.
    pub index: Option<usize>,
    /// Every event that was refused, where a batch was refused event by event.
    pub rejected: Vec<Rejected>,
    /// The answer's body as it came.
    pub document: String,
}

impl Refusal {
    /// Whether the same request can succeed later.
    ///
    /// Of an answer that is not Cuegate's, as a proxy's, the status decides: 408, 429 and 5xx.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.code {
            Code::Other(_) => {
                self.status == StatusCode::REQUEST_TIMEOUT
                    || self.status == StatusCode::TOO_MANY_REQUESTS
                    || self.status.is_server_error()
            }
            code => code.is_retryable(),
        }
    }

    /// Reads an answer that is no success.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let document = String::from_utf8_lossy(body).into_owned();
        let problem: Problem = serde_json::from_str(&document).unwrap_or_default();
        let retry_after = problem.retry_after_ms.map(Duration::from_millis);
        Self {
            code: problem.code.unwrap_or(Code::Other("".into())),
            status,
            detail: problem.detail.unwrap_or_else(|| document.clone()),
            retry_after: retry_after.or_else(|| retry_after_header(headers)),
            index: problem.index,
            rejected: problem.rejected,
            document,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, detail, .. } = self;
        match code {
            Code::Other(name) if name.is_empty() => write!(f, "{}: {detail}", self.status),
            code => write!(f, "{code}: {detail}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// `Retry-After` in its form of seconds (RFC 9110), which is the one that the gateway sends.
fn retry_after_header(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// A problem document, as far as it matters here.
#[derive(Default, Deserialize)]
struct Problem {
    code: Option<Code>,
    detail: Option<String>,
    retry_after_ms: Option<u64>,
    index: Option<usize>,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

/// The refusal of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Which event of the request or the message, counting from 0.
    pub index: usize,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    #[serde(default)]
    pub detail: String,
    /// When another try makes sense, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Rejected {
    /// When another try makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, retry_after: Option<&str>, body: &str) -> Refusal {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().expect("a header"));
        }
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::read(status, &headers, body.as_bytes())
    }

    #[test]
    fn refusals_are_typed_and_say_whether_to_try_again() {
        let full = r#"{"code":"queue_full","detail":"full","retry_after_ms":250}"#;
        let batch = r#"{"code":"invalid_event","detail":"no","rejected":[{"index":1,"code":"malformed","detail":"x"}]}"#;
        let sorry = "<h1>Sorry</h1>";
        for (refusal, code, retryable, after_ms, shown) in [
            (
                read(429, Some("1"), full),
                "queue_full",
                true,
                Some(250),
                "queue_full: full",
            ),
            (
                read(503, Some("2"), r#"{"code":"draining","detail":"d"}"#),
                "draining",
                true,
                Some(2000),
                "draining: d",
            ),
            (
                read(422, None, batch),
                "invalid_event",
                false,
                None,
                "invalid_event: no",
            ),
            (
                read(502, None, sorry),
                "",
                true,
                None,
                "502 Bad Gateway: <h1>Sorry</h1>",
            ),
            (
                read(404, Some("soon"), sorry),
                "",
                false,
                None,
                "404 Not Found: <h1>Sorry</h1>",
            ),
            (
                read(409, None, r#"{"code":"new_code","detail":"n"}"#),
                "new_code",
                false,
                None,
                "new_code: n",
            ),
        ] {
            assert_eq!(refusal.code.as_str(), code);
            assert_eq!(refusal.is_retryable(), retryable, "{refusal}");
            assert_eq!(
                refusal.retry_after,
                after_ms.map(Duration::from_millis),
                "{refusal}"
            );
            assert_eq!(refusal.to_string(), shown);
        }
        assert_eq!(read(422, None, batch).rejected[0].code, Code::Malformed);
    }
}
