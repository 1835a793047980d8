//! An SDK error taken apart into what can be judged: kind, status, code and message.
//!
//! The code is read from the response itself: the SDK reports none at all when the body is
//! empty or not JSON, even where the header names it. Nothing is judged here.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_ivs::config::http::HttpResponse;
use aws_sdk_ivs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ivs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ivs::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_ivs::operation::put_metadata::PutMetadataError;
use engine::Outcome;
use serde::Deserialize;
use tokio::time::Instant;

use super::Answer;
use super::classify::{Kind, classify};

/// Most characters of a message that are kept: some 500 errors carry a page of HTML.
const MESSAGE_MAX: usize = 400;

/// Why a call was not delivered, for the operator: in the channel's status and in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The API's name for it, as `ThrottlingException`.
    pub code: Option<String>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// What the API or the SDK said, shortened to one line; never a secret.
    pub message: String,
}

impl CallError {
    pub(super) fn new(code: Option<&str>, status: Option<u16>, message: &str) -> Self {
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = line.chars().take(MESSAGE_MAX).collect();
        Self {
            code: code.map(str::to_owned),
            status,
            message,
        }
    }
}

/// Remembers whether the request was handed to a connection: what fails before that moment
/// (credentials, signing, endpoint) was never sent, whatever kind of error the SDK makes of it.
///
/// And keeps a call whose credentials took too long from leaving after it was given up: the
/// limit holds only if no call is handled later than `abandon` after that.
#[derive(Clone, Debug)]
pub(super) struct SendMark {
    sent: Arc<AtomicBool>,
    not_after: Instant,
}

impl SendMark {
    pub(super) fn new(call_timeout: Duration) -> Self {
        Self {
            sent: Arc::default(),
            not_after: Instant::now() + call_timeout,
        }
    }

    pub(super) fn sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Intercept for SendMark {
    fn name(&self) -> &'static str {
        "SendMark"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if Instant::now() >= self.not_after {
            return Err("the credentials took longer to load than a call may take".into());
        }
        self.sent.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// What an error of the SDK means, and what to tell the operator.
pub(super) fn answer(error: &SdkError<PutMetadataError, HttpResponse>, sent: bool) -> Answer {
    let body = error.raw_response().map(Body::of).unwrap_or_default();
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let kind = kind_of(error, sent);
    let verdict = classify(kind, status, body.code.as_deref(), body.message.as_deref());
    if verdict.outcome == Outcome::Delivered {
        return Answer::DELIVERED;
    }
    let message = match body.message {
        Some(message) => message,
        None => describe(error, kind, status),
    };
    Answer {
        outcome: verdict.outcome,
        account_trouble: verdict.account_trouble,
        error: Some(CallError::new(body.code.as_deref(), status, &message)),
    }
}

/// Where a read of any API ended, and why: code and message as the API has them, else the SDK's.
pub(super) fn of_read<E>(error: &SdkError<E, HttpResponse>, sent: bool) -> (Kind, CallError)
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let body = error.raw_response().map(Body::of).unwrap_or_default();
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let kind = kind_of(error, sent);
    let code = body.code.or_else(|| error.code().map(str::to_owned));
    let message = body.message.or_else(|| error.message().map(str::to_owned));
    let message = message.unwrap_or_else(|| describe(error, kind, status));
    (kind, CallError::new(code.as_deref(), status, &message))
}

/// Where the call ended.
fn kind_of<E: Error + 'static>(error: &SdkError<E, HttpResponse>, sent: bool) -> Kind {
    if error.raw_response().is_some() {
        Kind::Answered
    } else if !sent {
        Kind::NotSent
    } else if is_connect(error) {
        Kind::NotConnected
    } else {
        Kind::Lost
    }
}

/// Whether no connection could be made (name, TCP, TLS, or not in time).
fn is_connect<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}

/// Words for an error that brought none of its own.
fn describe(error: &dyn Error, kind: Kind, status: Option<u16>) -> String {
    match (kind, status) {
        (Kind::Answered, Some(status)) => format!("HTTP status {status} without a message"),
        (Kind::NotSent, _) if are_none_found(error) => NONE_FOUND.to_owned(),
        (Kind::NotSent, _) => format!("{}: {}", kind.words(), root_cause(error)),
        _ => format!("{}: {}", kind.words(), causes(error)),
    }
}

/// What to do where no source of credentials has any.
const NONE_FOUND: &str = "no AWS credentials were found: set AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, name a profile in AWS_PROFILE, or run where a role is attached";

/// Whether no source of credentials has any, which the SDK tells in five hundred characters: each
/// source that it tried, and each layer of that.
fn are_none_found(error: &dyn Error) -> bool {
    let text = format!("{error}: {}", causes(error));
    text.starts_with("the credential provider was not enabled")
        || text.contains("no credentials found in chain")
}

/// Why there are no credentials, and what to do.
pub(super) fn no_credentials(error: &dyn Error) -> String {
    if are_none_found(error) {
        return NONE_FOUND.to_owned();
    }
    format!(
        "no AWS credentials could be loaded: {}; `aws sts get-caller-identity` with the same \
         environment shows more",
        root_cause(error)
    )
}

/// Most characters of a cause.
const CAUSE_MAX: usize = 160;

/// What went wrong at the bottom of it.
fn root_cause(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let root = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let root = root.trim_end_matches('.');
    if root.chars().count() <= CAUSE_MAX {
        return root.to_owned();
    }
    root.chars().take(CAUSE_MAX).chain(['…']).collect()
}

/// Why, from the first cause to the last; the error itself only names the layer of the SDK.
pub(super) fn causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The code and message of an error response.
#[derive(Debug, Default)]
struct Body {
    code: Option<String>,
    message: Option<String>,
}

/// The names in use: IVS writes `exceptionMessage` and puts the code in a header; the layers in
/// front of it (signatures, throttles) write `message` or `Message`, and `__type` or `code`.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    code: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(rename = "exceptionMessage")]
    exception_message: Option<String>,
    message: Option<String>,
    #[serde(rename = "Message")]
    capital_message: Option<String>,
}

impl Body {
    fn of(response: &HttpResponse) -> Self {
        let fields: Fields = response
            .body()
            .bytes()
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        let header = response
            .headers()
            .get("x-amzn-errortype")
            .map(str::to_owned);
        let code = header.or(fields.code).or(fields.kind);
        Self {
            code: code
                .map(|code| bare(&code).to_owned())
                .filter(|code| !code.is_empty()),
            message: fields
                .exception_message
                .or(fields.message)
                .or(fields.capital_message),
        }
    }
}

/// A code without its namespace (`ns#Code`) and its URL (`Code:http://…`), as the SDK reads it.
fn bare(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.split_once('#').map_or(code, |(_, code)| code).trim()
}
