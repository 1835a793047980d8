//! How channels stand after events were offered to them.

/// How a channel stands after events were offered to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events queued: waiting, scheduled, held and in flight.
    pub queued: usize,
    /// How long they take at the channel's present pace and after what its next call waits for, in ms.
    leaves_ms: u64,
    /// They wait for an operator or a stream, and nobody knows how long.
    held: bool,
}

impl Standing {
    /// How long what is queued takes, in ms; none while a channel is paused or offline.
    #[must_use]
    pub fn eta_ms(&self) -> Option<u64> {
        (!self.held).then_some(self.leaves_ms)
    }

    /// Of what a queue, or another node, says.
    #[must_use]
    pub const fn told(queued: usize, leaves_ms: u64, held: bool) -> Self {
        Self {
            queued,
            leaves_ms,
            held,
        }
    }

    /// What another node needs to be told of it.
    #[must_use]
    pub const fn parts(&self) -> (usize, u64, bool) {
        (self.queued, self.leaves_ms, self.held)
    }

    /// Of several channels: all that is queued, and the longest time.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            leaves_ms: self.leaves_ms.max(other.leaves_ms),
            held: self.held || other.held,
        }
    }
}
