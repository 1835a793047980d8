//! The books of one channel: what came in, and how each event ended.
//!
//! Invariant 8: accepted + recovered - released = every end + queued. Nothing else in the program
//! counts events.

use std::ops::AddAssign;

use crate::time::Wall;

/// Why events became dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// The stream was not live, and the policy is to drop, or the event was accepted before
    /// a `reject` channel was known to be offline.
    Offline,
    /// The credentials may not put metadata there.
    AccessDenied,
    /// There is no such channel.
    NoSuchChannel,
    /// The API found the payload invalid.
    Validation,
    /// It cannot fit a payload any more: a limit fell after it was accepted.
    TooLarge,
    /// Its payload was sent in vain until the TTL was over.
    Expired,
    /// Nobody knows whether the API took it, and the policy is not to send it twice.
    Unknown,
}

impl DeadLetterReason {
    /// Every reason, in the order of [`Ledger::dead_lettered`].
    pub const ALL: [Self; 7] = [
        Self::Offline,
        Self::AccessDenied,
        Self::NoSuchChannel,
        Self::Validation,
        Self::TooLarge,
        Self::Expired,
        Self::Unknown,
    ];

    /// Its label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::AccessDenied => "access_denied",
            Self::NoSuchChannel => "no_such_channel",
            Self::Validation => "validation",
            Self::TooLarge => "too_large",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The API took its payload.
    Delivered,
    /// A later event of its key took it in.
    Merged,
    /// Its TTL was over before it was packed.
    Expired,
    /// A producer took it back, by id or by a purge.
    Cancelled,
    /// The full queue gave its place to another.
    Evicted,
    /// It can never be delivered.
    DeadLettered(DeadLetterReason),
}

impl End {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Merged => "merged",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Evicted => "evicted",
            Self::DeadLettered(_) => "dead_lettered",
        }
    }

    /// Why it is a dead letter, if it is one.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::DeadLettered(reason) => Some(reason.name()),
            _ => None,
        }
    }
}

/// How an event ended, as it is remembered with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How it ended. A journal of an older version knows only of cancellations: every other end
    /// that it remembers is [`End::Delivered`], without `n` and `at`.
    pub end: End,
    /// The `n` of the payload it was in at the end, if it was in one; below 2^53.
    pub n: Option<u64>,
    /// When it ended; none where nobody can ask, because the event has no id.
    pub at: Option<Wall>,
}

impl Fate {
    /// An end of which no more is known.
    #[must_use]
    pub const fn of(end: End) -> Self {
        Self {
            end,
            n: None,
            at: None,
        }
    }
}

/// Totals since the queue was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events accepted, duplicates not among them.
    pub accepted: u64,
    /// Events that came back from the journal.
    pub recovered: u64,
    /// Events that left with their account, when another node took it. They have not ended.
    pub released: u64,
    /// Events whose id was known.
    pub duplicates: u64,
    /// Ends.
    pub delivered: u64,
    /// Ends.
    pub merged: u64,
    /// Ends.
    pub expired: u64,
    /// Ends.
    pub cancelled: u64,
    /// Ends.
    pub evicted: u64,
    /// Ends, by [`DeadLetterReason::ALL`].
    pub dead_lettered: [u64; DeadLetterReason::ALL.len()],
    /// Bytes of delivered payloads, plain: those that left compressed were shorter.
    pub plain_bytes: u64,
    /// Delivered payloads with nothing but state.
    pub state_payloads: u64,
    /// Entries of the state in delivered payloads.
    pub state_entries: u64,
    /// Keys that left the state for want of room.
    pub state_evicted: u64,
}

impl Ledger {
    pub(crate) fn end(&mut self, end: End) {
        let count = match end {
            End::Delivered => &mut self.delivered,
            End::Merged => &mut self.merged,
            End::Expired => &mut self.expired,
            End::Cancelled => &mut self.cancelled,
            End::Evicted => &mut self.evicted,
            End::DeadLettered(reason) => &mut self.dead_lettered[reason as usize],
        };
        *count += 1;
    }

    /// Every event that came in and did not leave with its account.
    #[must_use]
    pub const fn entered(&self) -> u64 {
        self.accepted + self.recovered - self.released
    }

    /// Every event that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        let dead: u64 = self.dead_lettered.iter().sum();
        self.delivered + self.merged + self.expired + self.cancelled + self.evicted + dead
    }
}

impl Ledger {
    /// What was counted since the ledger stood like `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            accepted: self.accepted - before.accepted,
            recovered: self.recovered - before.recovered,
            released: self.released - before.released,
            duplicates: self.duplicates - before.duplicates,
            delivered: self.delivered - before.delivered,
            merged: self.merged - before.merged,
            expired: self.expired - before.expired,
            cancelled: self.cancelled - before.cancelled,
            evicted: self.evicted - before.evicted,
            dead_lettered: std::array::from_fn(|why| {
                self.dead_lettered[why] - before.dead_lettered[why]
            }),
            plain_bytes: self.plain_bytes - before.plain_bytes,
            state_payloads: self.state_payloads - before.state_payloads,
            state_entries: self.state_entries - before.state_entries,
            state_evicted: self.state_evicted - before.state_evicted,
        }
    }
}

impl AddAssign<&Self> for Ledger {
    fn add_assign(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.recovered += other.recovered;
        self.released += other.released;
        self.duplicates += other.duplicates;
        self.delivered += other.delivered;
        self.merged += other.merged;
        self.expired += other.expired;
        self.cancelled += other.cancelled;
        self.evicted += other.evicted;
        self.plain_bytes += other.plain_bytes;
        self.state_payloads += other.state_payloads;
        self.state_entries += other.state_entries;
        self.state_evicted += other.state_evicted;
        for (sum, count) in self.dead_lettered.iter_mut().zip(other.dead_lettered) {
            *sum += count;
        }
    }
}
