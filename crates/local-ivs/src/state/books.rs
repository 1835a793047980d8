//! The books of calls: how many, how they ended, and the busiest second.
//!
//! Pure counting; times come in, never back. Every call ends in exactly one [`Outcome`].

use crate::limits::{MAX_CALLS_IN_A_SECOND, SECOND_US};
use serde::Serialize;
use std::collections::VecDeque;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    Throttled,
    Oversize,
    Malformed,
    Unauthenticated,
    Denied,
    NotFound,
    NotBroadcasting,
}

/// Totals since the books were opened. `calls` is the sum of the eight ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls handled, however they ended.
    pub calls: u64,
    /// 204: players see the metadata.
    pub delivered: u64,
    /// 429, by the limit of the channel or of the account.
    pub throttled: u64,
    /// 400 or 413, metadata or body over its limit.
    pub oversize: u64,
    /// 400, for any other reason.
    pub malformed: u64,
    /// 403, by the signature.
    pub unauthenticated: u64,
    /// 403, the key may not do this.
    pub denied: u64,
    /// 404, no such channel.
    pub not_found: u64,
    /// 404, no live stream.
    pub not_broadcasting: u64,
    /// The most calls in any span of one second, however they ended; exact up to 65,536.
    pub max_calls_per_second: u64,
    /// The most delivered calls in any span of one second; exact up to 65,536.
    pub max_delivered_per_second: u64,
}

/// The calls of an operation other than `PutMetadata`, those that passed signature,
/// permission and input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OperationTally {
    /// Calls, throttled or not.
    pub calls: u64,
    /// 429.
    pub throttled: u64,
    /// The most calls in any span of one second that were not throttled, over all accounts.
    pub max_admitted_per_second: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    tally: Tally,
    calls: BusiestSecond,
    delivered: BusiestSecond,
}

impl Books {
    pub(crate) fn note(&mut self, now_us: u64, outcome: Outcome) {
        let tally = &mut self.tally;
        let end = match outcome {
            Outcome::Delivered => &mut tally.delivered,
            Outcome::Throttled => &mut tally.throttled,
            Outcome::Oversize => &mut tally.oversize,
            Outcome::Malformed => &mut tally.malformed,
            Outcome::Unauthenticated => &mut tally.unauthenticated,
            Outcome::Denied => &mut tally.denied,
            Outcome::NotFound => &mut tally.not_found,
            Outcome::NotBroadcasting => &mut tally.not_broadcasting,
        };
        *end += 1;
        tally.calls += 1;
        tally.max_calls_per_second = self.calls.note(now_us);
        if outcome == Outcome::Delivered {
            tally.max_delivered_per_second = self.delivered.note(now_us);
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

/// The most calls in any half-open span of one second. A busiest span can be moved until it
/// ends just after a call, so looking back one second at every call finds it.
#[derive(Debug, Default)]
pub(super) struct BusiestSecond {
    /// The calls of the last second, oldest first.
    recent: VecDeque<u64>,
    most: u64,
}

impl BusiestSecond {
    /// Counts a call and gives the most in any second so far.
    pub(super) fn note(&mut self, now_us: u64) -> u64 {
        while self
            .recent
            .front()
            .is_some_and(|at| now_us - at >= SECOND_US)
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= MAX_CALLS_IN_A_SECOND {
            self.recent.pop_front();
        }
        self.recent.push_back(now_us);
        self.most = self.most.max(self.recent.len() as u64);
        self.most
    }
}
