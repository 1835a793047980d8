//! Refusals as problem documents (RFC 9457).

use std::fmt::Write;
use std::num::NonZeroU64;

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::value::RawValue;

use super::{Code, Elsewhere, Exceeded, Refusal};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What an answer to an unknown caller says of how to be known (RFC 6750).
const CHALLENGE: &str = "Bearer realm=\"cuegate\"";

impl Refusal {
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
        if self.is_elsewhere {
            response.extensions_mut().insert(Elsewhere);
        }
        if self.code == Code::UnknownChannel {
            response.extensions_mut().insert(self.code);
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

    /// The same as bytes of HTTP/1.1, for connections that no request came from, which get this id.
    #[must_use]
    pub fn raw_response(&self, request_id: &str) -> String {
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
            request_id,
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
}

impl IntoResponse for Refusal {
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

/// Whole seconds, rounded up: `Retry-After` knows nothing finer.
pub(super) const fn retry_after_seconds(ms: NonZeroU64) -> u64 {
    ms.get().div_ceil(1000)
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    let quoted = serde_json::value::to_raw_value(text);
    out.push_str(quoted.as_deref().map_or("\"\"", RawValue::get));
}
