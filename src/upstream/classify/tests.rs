//! Every answer that was ever seen or thought of, and what it means.

use engine::Outcome::{
    Delivered, Failed, Offline, Refused, Rejected, Throttled, TooLarge, Unknown,
};
use engine::{Outcome, Rejection, ThrottleScope};

use super::*;

const CHANNEL: &str = "Operation: ivs:PutMetadata exceeded call rate: 5 for resource: \
                       arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl";

/// Whether the account is in trouble.
const TROUBLED: bool = true;
const FINE: bool = false;

fn check(kind: Kind, cases: &[(u16, &str, &str, Outcome, bool)]) {
    for &(status, code, message, outcome, account_trouble) in cases {
        let code = Some(code).filter(|code| !code.is_empty());
        let status = Some(status).filter(|status| *status != 0);
        let verdict = classify(kind, status, code, Some(message));
        assert_eq!(
            verdict,
            Verdict {
                outcome,
                account_trouble
            },
            "{status:?} {code:?} {message:?}"
        );
    }
}

#[test]
fn answers_of_the_api() {
    let validation = Rejected(Rejection::Validation);
    let throttled = |scope| Throttled(scope);
    check(
        Kind::Answered,
        &[
            (
                429,
                "ThrottlingException",
                CHANNEL,
                throttled(ThrottleScope::Channel),
                FINE,
            ),
            (
                429,
                "ThrottlingException",
                "Operation: ivs:PutMetadata exceeded call rate: 155 for resource: 123456789012",
                throttled(ThrottleScope::Account),
                FINE,
            ),
            (
                429,
                "ThrottlingException",
                "Rate exceeded for account 123456789012",
                throttled(ThrottleScope::Account),
                FINE,
            ),
            (
                429,
                "ThrottlingException",
                "Rate exceeded",
                throttled(ThrottleScope::Unnamed),
                FINE,
            ),
            (
                400,
                "Throttling",
                "Rate exceeded",
                throttled(ThrottleScope::Unnamed),
                FINE,
            ),
            (429, "", "", throttled(ThrottleScope::Unnamed), FINE),
            (429, "SlowDown", "", throttled(ThrottleScope::Unnamed), FINE),
            (404, "ChannelNotBroadcasting", "", Offline, FINE),
            (
                404,
                "ResourceNotFoundException",
                "",
                Rejected(Rejection::NoSuchChannel),
                FINE,
            ),
            (
                400,
                "ValidationException",
                "Metadata size exceeds payload limit",
                TooLarge,
                FINE,
            ),
            (
                400,
                "ValidationException",
                "1 validation error detected: Value at 'metadata' failed to satisfy constraint: \
                 Member must have length less than or equal to 1024",
                TooLarge,
                FINE,
            ),
            (
                400,
                "ValidationException",
                "1 validation error detected: Value at 'metadata' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1",
                validation,
                FINE,
            ),
            (
                400,
                "ValidationException",
                "1 validation error detected: Value at 'channelArn' failed to satisfy constraint: \
                 Member must have length less than or equal to 128",
                validation,
                FINE,
            ),
            (400, "ValidationException", "", validation, FINE),
            (400, "SerializationException", "", validation, FINE),
            (
                403,
                "AccessDeniedException",
                "",
                Rejected(Rejection::AccessDenied),
                FINE,
            ),
            (402, "ServiceQuotaExceededException", "", Failed, FINE),
            (409, "ConflictException", "", Failed, FINE),
            (500, "InternalServerException", "", Failed, FINE),
            (503, "ServiceUnavailable", "", Failed, FINE),
            (503, "StreamUnavailable", "", Failed, FINE),
        ],
    );
}

#[test]
fn trouble_of_the_account() {
    let codes = [
        (403, "PendingVerification"),
        (403, "ExpiredTokenException"),
        (400, "ExpiredToken"),
        (400, "UnrecognizedClientException"),
        (403, "UnrecognizedClientException"),
        (403, "InvalidSignatureException"),
        (403, "SignatureDoesNotMatch"),
        (400, "IncompleteSignature"),
        (403, "MissingAuthenticationToken"),
        (403, "InvalidClientTokenId"),
        (400, "RequestExpired"),
        (403, "OptInRequired"),
        (401, ""),
        (403, ""),
        (403, "SomethingNew"),
    ];
    check(
        Kind::Answered,
        &codes.map(|(status, code)| (status, code, "", Failed, TROUBLED)),
    );
    check(Kind::NotSent, &[(0, "", "", Failed, TROUBLED)]);
}

#[test]
fn answers_of_strangers() {
    check(
        Kind::Answered,
        &[
            (204, "", "", Delivered, FINE),
            (200, "ThrottlingException", "", Delivered, FINE),
            (301, "", "", Failed, FINE),
            (400, "", "", Rejected(Rejection::Validation), FINE),
            (404, "", "", Failed, FINE),
            (404, "UnknownOperationException", "", Failed, FINE),
            (405, "", "", Failed, FINE),
            (407, "", "", Failed, FINE),
            (408, "", "", Unknown, FINE),
            (413, "", "", TooLarge, FINE),
            (422, "", "", Rejected(Rejection::Validation), FINE),
            (500, "", "", Failed, FINE),
            (502, "", "", Unknown, FINE),
            (503, "", "", Failed, FINE),
            (504, "", "", Unknown, FINE),
            (504, "InternalFailure", "", Failed, FINE),
        ],
    );
}

#[test]
fn no_answer() {
    check(Kind::NotConnected, &[(0, "", "", Refused, FINE)]);
    check(Kind::Lost, &[(0, "", "", Unknown, FINE)]);
}
