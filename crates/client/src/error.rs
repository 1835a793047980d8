//! What can go wrong, and whether another try makes sense.

use std::time::Duration;

use crate::refusal::Refusal;

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's mistake: an address, a key, a file of certificates or an event that cannot be
    /// used. Nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// There is no connection to the gateway, it broke, or no answer came in time. Whether the
    /// gateway took what was sent is not known: send it again with the same ids.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Where the gateway was looked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The gateway refused the whole request.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something answered that is not Cuegate, or a version that this client does not know.
    #[error("{url}: not an answer of Cuegate: {what}")]
    Unexpected {
        /// Who answered.
        url: String,
        /// What is wrong with the answer.
        what: String,
    },
}

impl Error {
    /// Whether the same request can succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.is_retryable(),
            Self::Usage(_) | Self::Unexpected { .. } => false,
        }
    }

    /// When another try makes sense, where the gateway said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
