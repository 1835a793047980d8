//! The API's errors: code, status and words, in the form that AWS's clients read. The one
//! place of the emulator where an error becomes a status.

use crate::auth::Caller;
use crate::context::BodyError;
use crate::input::{self, Broken, Expected, Found, Violation};
use crate::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use crate::state::{Refusal, Rejection};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::borrow::Cow;

pub(crate) const ERROR_TYPE: &str = "x-amzn-errortype";
pub(crate) const REQUEST_ID: &str = "x-amzn-requestid";

/// The errors of the service model: all that they have is `exceptionMessage`. The text of any other
/// error is also in `message`, the only place where AWS's clients look for it.
const MODELLED: [&str; 11] = [
    "AccessDeniedException",
    "ChannelNotBroadcasting",
    "ConflictException",
    "InternalServerException",
    "PendingVerification",
    NOT_FOUND,
    "ServiceQuotaExceededException",
    "ServiceUnavailable",
    "StreamUnavailable",
    "ThrottlingException",
    "ValidationException",
];

/// Also the code of a missing thing in a batch.
pub(crate) const NOT_FOUND: &str = "ResourceNotFoundException";

/// An answer other than success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Goes into `x-amzn-ErrorType`.
    pub(crate) code: Cow<'static, str>,
    /// Goes into the body as `exceptionMessage`, and as `message` if the code is not modelled.
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    /// The input of an operation is not what its shape says.
    pub(crate) fn input(operation: &str, error: &input::Error) -> Self {
        let text = match error {
            input::Error::NotJson { line, column } => {
                format!("The request body is not JSON: line {line}, column {column}")
            }
            input::Error::Twice(name) => format!("The member '{name}' is there more than once"),
            input::Error::WrongType {
                found, expected, ..
            } => format!(
                "{} can not be converted to {}",
                token(*found),
                java(*expected)
            ),
            input::Error::Violations(violations) => {
                return Self::validation(violations_of(operation, violations));
            }
        };
        Self::new(StatusCode::BAD_REQUEST, "SerializationException", text)
    }

    /// A bug of the emulator.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerException",
            input::OWN_TABLES,
        )
    }

    /// What was changed could not be saved: the caller cannot know whether it is.
    pub(crate) fn not_saved(reason: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerException",
            format!("The change could not be saved: {reason}"),
        )
    }

    pub(crate) fn unknown_operation(method: &Method, path: &str) -> Self {
        // A path can be as long as hyper takes one; the message need not be.
        let path: String = path.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            format!(
                "{method} {path} is no operation of Amazon IVS low-latency streaming; the emulator's own endpoints are below /_local/"
            ),
        )
    }

    pub(crate) fn access_denied(caller: &Caller, action: &str, resource: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{}:user/{} is not authorized to perform: {action} on resource: {resource}",
                caller.account, caller.access_key_id
            ),
        )
    }

    pub(crate) fn throttled(action: &str, limit: u32, resource: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "ThrottlingException",
            format!("Operation: {action} exceeded call rate: {limit} for resource: {resource}"),
        )
    }

    /// In the words of the real service, which clients look for.
    fn not_broadcasting(channel: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ChannelNotBroadcasting",
            format!("Channel: {channel} is not currently online"),
        )
    }

    /// What `state` refused, in the API's words; `home` is the caller's account and region.
    pub(crate) fn refused(refusal: Refusal, action: &str, home: &str, resource: &str) -> Self {
        match refusal {
            Refusal::ChannelThrottled(limit) => Self::throttled(action, limit, resource),
            Refusal::AccountThrottled(limit) => Self::throttled(action, limit, home),
            Refusal::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                NOT_FOUND,
                format!("Resource: {resource} not found"),
            ),
            Refusal::NotBroadcasting => Self::not_broadcasting(resource),
        }
    }

    /// Why an operation on resources did not go through.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotFound(arn) => Self::new(
                StatusCode::NOT_FOUND,
                NOT_FOUND,
                format!("Resource: {arn} not found"),
            ),
            Rejection::NotBroadcasting(arn) => Self::not_broadcasting(&arn),
            Rejection::Conflict(message) => {
                Self::new(StatusCode::CONFLICT, "ConflictException", message)
            }
            Rejection::QuotaExceeded(message) => Self::new(
                StatusCode::PAYMENT_REQUIRED,
                "ServiceQuotaExceededException",
                message,
            ),
            Rejection::Invalid(message) => Self::validation(message),
        }
    }

    pub(crate) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            format!("The request body is longer than {MAX_BODY_BYTES} bytes"),
        )
    }

    pub(crate) fn body_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeoutException",
            format!(
                "The request body took longer than {} s",
                BODY_TIMEOUT.as_secs()
            ),
        )
    }

    pub(crate) fn body_unreadable() -> Self {
        Self::validation("The request body could not be read")
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = serde_json::json!({ "exceptionMessage": self.message });
        if !MODELLED.contains(&&*self.code) {
            body["message"] = self.message.into();
        }
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // Codes are ours or checked when a fault is set; should one still not fit a header,
        // an answer without it beats none.
        if let Ok(code) = HeaderValue::from_str(&self.code) {
            headers.insert(ERROR_TYPE, code);
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    }
}

impl From<sigv4::Error> for ApiError {
    fn from(error: sigv4::Error) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::body_too_large(),
            BodyError::TooSlow => Self::body_timeout(),
            BodyError::Broken => Self::body_unreadable(),
        }
    }
}

/// Of a JSON value, as AWS's services name it.
fn token(found: Found) -> &'static str {
    match found {
        Found::Null => "NULL",
        Found::True => "TRUE_VALUE",
        Found::False => "FALSE_VALUE",
        Found::Number => "NUMBER_VALUE",
        Found::Text => "STRING_VALUE",
        Found::List => "START_ARRAY",
        Found::Object => "START_OBJECT",
    }
}

fn java(expected: Expected) -> &'static str {
    match expected {
        Expected::Text => "a String",
        Expected::Flag => "a Boolean",
        Expected::Whole => "an Integer",
        Expected::Real => "a Double",
        Expected::Time => "a Timestamp",
        Expected::List => "a List",
        Expected::Map => "a Map",
        Expected::Structure => "a structure",
    }
}

/// All violations in one message. That a member is missing is told in the words of the real
/// service, and the others in those of AWS's services.
fn violations_of(operation: &str, violations: &[Violation]) -> String {
    let words = |violation: &Violation| {
        let at = &violation.at;
        match &violation.what {
            Broken::Missing => format!("{operation}.{at} is a required attribute"),
            // The API ignores members that it does not know.
            Broken::Unknown(_) => format!("{operation}.{at} is unknown"),
            Broken::Rule { value, rule } => {
                let value = value
                    .as_ref()
                    .map_or_else(String::new, |value| format!("'{value}' "));
                format!("Value {value}at '{at}' failed to satisfy constraint: {rule}")
            }
        }
    };
    let all: Vec<String> = violations.iter().map(words).collect();
    match (&all[..], violations) {
        ([one], [Violation { what, .. }]) if *what == Broken::Missing => one.clone(),
        ([one], _) => format!("1 validation error detected: {one}"),
        (all, _) => format!(
            "{} validation errors detected: {}",
            all.len(),
            all.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::violations_of;
    use crate::input::{Broken, Violation};

    #[test]
    fn violations_are_counted() {
        let missing = |at: &str| Violation {
            at: at.to_owned(),
            what: Broken::Missing,
        };
        let broken = |at: &str, value: Option<&str>| Violation {
            at: at.to_owned(),
            what: Broken::Rule {
                value: value.map(str::to_owned),
                rule: "Member must be w".to_owned(),
            },
        };
        let rule = "failed to satisfy constraint: Member must be w";
        for (violations, expected) in [
            (
                vec![missing("a")],
                "Op.a is a required attribute".to_owned(),
            ),
            (
                vec![broken("x", Some("v"))],
                format!("1 validation error detected: Value 'v' at 'x' {rule}"),
            ),
            (
                vec![missing("a"), broken("y.z", None)],
                format!(
                    "2 validation errors detected: Op.a is a required attribute; Value at 'y.z' {rule}"
                ),
            ),
        ] {
            assert_eq!(violations_of("Op", &violations), expected);
        }
    }
}
