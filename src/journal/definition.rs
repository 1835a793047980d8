//! A channel that was made by API, as the journal keeps it: beside the channel's own records, by its ARN.

use std::sync::Arc;

/// What the API said that a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The channel's alias.
    pub alias: Arc<str>,
    /// Grows with every channel that is made: which of two was made first.
    pub number: u64,
    /// Grows with every change of it. An alias that moves to another ARN is recorded there before it goes
    /// from the old one: after a crash in between, the later of the two counts.
    pub revision: u64,
    /// Its settings as a JSON object, with the ARN.
    pub settings: Arc<str>,
}

impl Definition {
    /// Whether this was said after `other`.
    #[must_use]
    pub fn is_later(&self, other: &Self) -> bool {
        (self.number, self.revision) > (other.number, other.revision)
    }
}

/// A channel was made or changed by API, or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defined {
    /// From now on it is that.
    As(Arc<Definition>),
    /// It is no longer defined by API.
    NoLonger,
}
