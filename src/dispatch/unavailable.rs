//! Why no event of a request was looked at.

use crate::refusal::{Code, Refusal};

/// Why no event of a request was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No such alias, not an ARN, or unlisted and not allowed.
    UnknownChannel(&'static str),
    /// A bound of the whole process is reached.
    Overloaded {
        /// Which.
        bound: &'static str,
        /// When to try again, in ms.
        retry_after_ms: u64,
    },
    /// The journal's disk does not take what is written.
    JournalFails {
        /// When to try again, in ms.
        retry_after_ms: u64,
    },
}

impl From<Unavailable> for Refusal {
    fn from(refused: Unavailable) -> Self {
        match refused {
            Unavailable::UnknownChannel(why) => Self::new(Code::UnknownChannel, why),
            Unavailable::Overloaded {
                bound,
                retry_after_ms,
            } => Self::new(Code::Overloaded, format!("{bound} is reached"))
                .retry_after(retry_after_ms),
            Unavailable::JournalFails { retry_after_ms } => Self::new(
                Code::Overloaded,
                "the journal cannot be written at present, so nothing is promised: send it again, with the same id",
            )
            .retry_after(retry_after_ms),
        }
    }
}
