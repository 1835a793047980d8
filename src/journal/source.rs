//! What the journal keeps, and what it asks of that.

use engine::Change;

use super::record::Beside;

/// Something whose changes are kept: a channel.
pub trait Source: Send + Sync {
    /// The channel's ARN.
    fn arn(&self) -> &str;

    /// Joins the open group; false if it is a member already.
    fn join(&self) -> bool;

    /// Its group is taken: the next join begins a new membership.
    fn leave(&self);

    /// What changed since this was last asked.
    fn take(&self) -> Drained;

    /// Everything that is alive; changes until now are part of it and are not asked again.
    fn snapshot(&self) -> Drained;
}

/// Small things that are kept one by one until they are removed: dead letters.
pub trait DeadLetterStore: Send + Sync {
    /// What an earlier process left on it, by number. Before anything is written.
    fn restore(&self, things: Vec<(u64, Vec<u8>)>);

    /// What was put there or removed since this was last asked, by number.
    fn take(&self) -> Vec<(u64, Option<Vec<u8>>)>;

    /// Everything there; changes until now are not asked again.
    fn all(&self) -> Vec<(u64, Vec<u8>)>;
}

/// What a source has to say.
pub struct Drained {
    /// What changed.
    pub changes: Vec<Change>,
    /// What there is to say beside them.
    pub beside: Beside,
    /// Bytes of memory of what is alive: on disk it is less.
    pub alive: usize,
    /// Nothing is alive, no id remembered, the channel is not paused, no call of it is open, and it was not
    /// made by API.
    pub is_idle: bool,
    /// What was written before no longer tells the whole: a snapshot takes its place.
    pub anew: bool,
    /// The first number that no payload of it has yet. A payload that came and went since changes
    /// were last asked is not among those of a snapshot.
    pub n_next: u64,
}

impl Drained {
    pub(super) fn is_nothing(&self) -> bool {
        self.changes.is_empty() && self.beside == Beside::default() && !self.is_idle && !self.anew
    }
}
