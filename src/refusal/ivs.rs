//! Refusals in the form of the IVS API.

use axum::body::Body;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::problem::{push_string, retry_after_seconds};
use super::{Code, Refusal};

impl Refusal {
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
        | Code::InvalidChannel
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
        Code::ChannelConflict | Code::EventsWait | Code::NoJournal => {
            ("ConflictException", StatusCode::CONFLICT)
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
        Code::MisdirectedRequest | Code::InvalidConfiguration | Code::Internal => {
            ("InternalServerException", StatusCode::INTERNAL_SERVER_ERROR)
        }
        Code::SlowRequest => ("RequestTimeoutException", StatusCode::REQUEST_TIMEOUT),
    }
}
