//! The one map from what came back to the engine's outcome. Pure: no SDK type, no text made.
//!
//! Two rules decide what is not listed. Events end for good only on an answer that the API is
//! known to give: a stranger's (a proxy's 404, a login page) is a failure to be tried again.
//! And "failed" promises that nothing was applied: where nobody can promise that, it is
//! unknown.

#[cfg(test)]
mod tests;

use engine::{Outcome, Rejection, ThrottleScope};

/// Where a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Before it was sent: no credentials, no endpoint, or it could not be built.
    NotSent,
    /// No connection could be made.
    NotConnected,
    /// On its way, or while waiting for the answer.
    Lost,
    /// With a response, whole or in part.
    Answered,
}

impl Kind {
    /// For messages.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NotSent => "not sent: no credentials, or no endpoint",
            Self::NotConnected => "no connection",
            Self::Lost => "no answer",
            Self::Answered => "unreadable answer",
        }
    }
}

/// What a reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For the engine.
    pub outcome: Outcome,
    /// The account as a whole cannot send.
    pub account_trouble: bool,
}

/// What a call that was not plainly delivered means.
#[must_use]
pub fn classify(
    kind: Kind,
    status: Option<u16>,
    code: Option<&str>,
    message: Option<&str>,
) -> Verdict {
    let message = message.unwrap_or_default();
    match kind {
        // All there is before a connection belongs to the account: credentials, role,
        // endpoint. The payload is two strings that always serialise.
        Kind::NotSent => TROUBLE,
        Kind::NotConnected => plain(Outcome::Refused),
        Kind::Lost => plain(Outcome::Unknown),
        Kind::Answered => {
            let status = status.unwrap_or_default();
            // Taken, whatever the rest of the response looks like.
            if (200..300).contains(&status) {
                return plain(Outcome::Delivered);
            }
            code.and_then(|code| by_code(code, message))
                .unwrap_or_else(|| by_status(status, code))
        }
    }
}

const TROUBLE: Verdict = Verdict {
    outcome: Outcome::Failed,
    account_trouble: true,
};

const fn plain(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        account_trouble: false,
    }
}

/// Codes that say enough by themselves, whatever status they come with.
fn by_code(code: &str, message: &str) -> Option<Verdict> {
    Some(match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => plain(Outcome::Throttled(scope_of(message))),
        "ChannelNotBroadcasting" => plain(Outcome::Offline),
        "ResourceNotFoundException" => plain(Outcome::Rejected(Rejection::NoSuchChannel)),
        "ValidationException" if is_size(message) => plain(Outcome::TooLarge),
        "ValidationException" | "SerializationException" => {
            plain(Outcome::Rejected(Rejection::Validation))
        }
        // IAM answers per resource: one channel may be denied and its neighbour not.
        "AccessDeniedException" | "AccessDenied" => {
            plain(Outcome::Rejected(Rejection::AccessDenied))
        }
        "PendingVerification"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "OptInRequired"
        | "NotAuthorized" => TROUBLE,
        // ServiceQuotaExceeded (402) and Conflict (409) are in the API but not documented for
        // this call: about a moment rather than the payload, and not applied.
        "InternalServerException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "StreamUnavailable"
        | "ServiceQuotaExceededException"
        | "ConflictException" => plain(Outcome::Failed),
        _ => return None,
    })
}

/// Answers without a code, or with one nobody knows.
fn by_status(status: u16, code: Option<&str>) -> Verdict {
    plain(match status {
        // Only the API itself refuses a body as it is.
        400 | 422 => Outcome::Rejected(Rejection::Validation),
        401 | 403 => return TROUBLE,
        // The server waited for the rest of a request it may have understood.
        408 => Outcome::Unknown,
        413 => Outcome::TooLarge,
        429 => Outcome::Throttled(ThrottleScope::Unnamed),
        // A gateway that lost what stands behind it cannot say what that did.
        502 | 504 if code.is_none() => Outcome::Unknown,
        // Redirects, a bare 404, a proxy's 407, 500, 503: not IVS, or IVS in trouble.
        _ => Outcome::Failed,
    })
}

/// Whom a throttle is about: `…exceeded call rate: 5 for resource: <arn>`.
fn scope_of(message: &str) -> ThrottleScope {
    if message.contains(":channel/") {
        ThrottleScope::Channel
    } else if names_account(message) {
        ThrottleScope::Account
    } else {
        ThrottleScope::Unnamed
    }
}

/// Whether the message names an account: by the word, by the bare 12 digits of its id, or by
/// an ARN that is not a channel's.
fn names_account(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let resource = message.split("resource:").nth(1).unwrap_or_default().trim();
    let id = resource.trim_end_matches('.');
    message.contains("account")
        || resource.starts_with("arn:")
        || (id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a validation message is about the payload's size: `Metadata size exceeds payload
/// limit`, or the model's own words, `… at 'metadata' … length less than or equal to 1024`.
fn is_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let too_small = message.contains("greater than or equal to");
    let about = ["metadata", "payload", "request"]
        .iter()
        .any(|word| message.contains(word));
    let size = ["size", "length", "too large", "too long", "bytes"]
        .iter()
        .any(|word| message.contains(word));
    let arn = message.contains("channelarn");
    about && size && !too_small && !arn
}
