//! What the process before this one left: how much of the API's limits its calls may still take.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::{AccountPolicy, Span, Time};

use crate::config::{Settings, UpstreamMode};
use crate::journal::Recovery;

/// The past of this process.
pub(super) struct Past {
    /// When this process heard that it owns, if the one before did not end cleanly: none of its calls leaves from
    /// then on.
    heard: Option<Time>,
    /// When this process heard that it owns.
    began: Time,
    /// Until then an account that is opened makes no calls, in µs of the engine's clock; 0: records
    /// tell of all calls, or there were none.
    hold_until: AtomicU64,
}

impl Past {
    /// Of an owner that heard at that moment that it is one.
    pub(super) fn new(now: Time, recovery: &Recovery, settings: &Settings) -> Self {
        // In aws mode a process before this one may have made calls that nobody knows of; the
        // emulator of local mode began with this process.
        let unknown = recovery.fresh && settings.upstream.mode == UpstreamMode::Aws;
        let untold = recovery.unclean && !recovery.counted;
        let hold_until = if unknown || untold {
            now + settings.tuning.restart_hold.into()
        } else {
            Time::ZERO
        };
        Self {
            heard: recovery.unclean.then_some(now),
            began: now,
            hold_until: AtomicU64::new(hold_until.micros()),
        }
    }

    /// The engine of an account that is opened.
    pub(super) fn account(&self, policy: AccountPolicy, payload_max: usize) -> engine::Account {
        let hold_until = Time::from_micros(self.hold_until.load(Ordering::Acquire));
        let mut account = engine::Account::new(policy, hold_until, payload_max);
        if let Some(heard) = self.heard {
            // Its calls that were answered count for a second more.
            account.inherit(heard, []);
        }
        account
    }

    /// When this process began, if calls of the one before may still be handled.
    pub(super) const fn heard(&self) -> Option<Time> {
        self.heard
    }

    /// So many calls are on record as open of a channel whose account, of this policy, could not be
    /// opened. There may be room for that account later: then it makes no calls as long as those
    /// may be handled.
    pub(super) fn leave_to_nobody(&self, policy: &AccountPolicy, open: u32) {
        if open > 0 {
            let until = self.began + policy.abandon + Span::SECOND + policy.grace;
            self.hold_until.fetch_max(until.micros(), Ordering::AcqRel);
        }
    }
}
