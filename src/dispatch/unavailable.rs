//! Why no event of a request was looked at.

use crate::refusal::{Code, Refusal};

/// When a client that met a bound of the whole process may try again, in ms.
const RETRY_AFTER_MS: u64 = 1000;

/// Why no event of a request was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No such alias, not an ARN, or unlisted and not allowed.
    UnknownChannel(&'static str),
    /// This bound of the whole process is reached.
    Overloaded(&'static str),
    /// Another node has the channel's account, or is about to.
    Elsewhere,
    /// The journal's disk does not take what is written.
    JournalFails,
}

impl From<Unavailable> for Refusal {
    fn from(refused: Unavailable) -> Self {
        match refused {
            Unavailable::UnknownChannel(why) => Self::new(Code::UnknownChannel, why),
            Unavailable::Overloaded(bound) => {
                Self::new(Code::Overloaded, format!("{bound} is reached"))
                    .retry_after(RETRY_AFTER_MS)
            }
            Unavailable::Elsewhere => Self::new(
                Code::Overloaded,
                "another node of the cluster has this channel's account, or is about to take it: nothing was taken",
            )
            .elsewhere()
            .retry_after(RETRY_AFTER_MS),
            Unavailable::JournalFails => Self::new(
                Code::Overloaded,
                "the journal cannot be written at present, so nothing is promised: send it again, with the same id",
            )
            .retry_after(RETRY_AFTER_MS),
        }
    }
}
