//! What can be wrong with a signature, with the code, the HTTP status and the words that
//! AWS's services use for it.
//!
//! Nothing here may reveal a secret, a computed signature or the string that was signed.

/// Why a request's signature was not accepted.
///
/// `Display` gives the text for the answer's message, in AWS's style.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no `Authorization` header.
    #[error("Missing Authentication Token")]
    MissingAuthentication,

    /// The signature is in the query string, which this crate does not verify.
    #[error(
        "Presigned requests are not supported here: sign the request with an 'Authorization' header"
    )]
    Presigned,

    /// The scheme of the `Authorization` header is not `AWS4-HMAC-SHA256`.
    #[error("Unsupported AWS 'algorithm': '{0}'.")]
    Algorithm(String),

    /// The `Authorization` or `X-Amz-Date` header is there but cannot be read; the text says why.
    #[error("{0}")]
    Incomplete(String),

    /// No secret is known for the access key id, or the session token is not the key's.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,

    /// The credential scope names another service, another day or another terminator.
    #[error("{0}")]
    Scope(String),

    /// The `Host` header is not among the signed ones.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,

    /// A header that must be signed, as every `x-amz-*` must, is not.
    #[error("There were headers present in the request which were not signed: {0}")]
    HeaderNotSigned(String),

    /// A signed header is not in the request.
    #[error("The signed header '{0}' is not present in the request.")]
    HeaderMissing(String),

    /// The claimed time is further in the past than the skew allows.
    #[error("Signature expired: {claimed} is now earlier than {bound} ({now} - 15 min.)")]
    Expired {
        /// The request's `X-Amz-Date`.
        claimed: String,
        /// The earliest time that would have been accepted.
        bound: String,
        /// The verifier's time.
        now: String,
    },

    /// The claimed time is further in the future than the skew allows.
    #[error("Signature not yet current: {claimed} is still later than {bound} ({now} + 15 min.)")]
    NotYetCurrent {
        /// The request's `X-Amz-Date`.
        claimed: String,
        /// The latest time that would have been accepted.
        bound: String,
        /// The verifier's time.
        now: String,
    },

    /// `x-amz-content-sha256` is not the hash of the body.
    #[error(
        "The provided 'x-amz-content-sha256' header does not match what was computed: it must be the lower-case hexadecimal SHA-256 of the body"
    )]
    PayloadHash,

    /// Everything can be read, and the signature is another one.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl Error {
    /// The AWS error code, as it goes into `x-amzn-ErrorType`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingAuthentication => "MissingAuthenticationTokenException",
            Self::Presigned | Self::Algorithm(_) | Self::Incomplete(_) => {
                "IncompleteSignatureException"
            }
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Scope(_)
            | Self::HostNotSigned
            | Self::HeaderNotSigned(_)
            | Self::HeaderMissing(_)
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::PayloadHash
            | Self::Mismatch => "InvalidSignatureException",
        }
    }

    /// The HTTP status that goes with [`code`](Self::code): all of them are 403.
    #[must_use]
    pub fn status(&self) -> u16 {
        403
    }
}
