//! What a predecessor left behind, and what a successor must know of this one.
//!
//! A process ends while calls of it are on their way, and another one goes on: the next start on
//! the same journal, or another node. The API counts the calls of both. So the records say how
//! many calls of a channel are *open*: they may still be handled. Those are in flight, or were
//! given up and not answered, or were inherited. A call whose answer came was handled before.
//!
//! The successor hears at R that no call of the predecessor can leave any more. Then:
//!
//! - All tokens are out until R + 1 s + grace. Every call that is not open was handled before R.
//! - For u open calls of a channel, u of its tokens and of the account's are out until
//!   R + `abandon` + 1 s + grace. They were given up by R at the latest, so they are handled by
//!   R + `abandon`. In any second at most u of them and at most K - u of ours are handled.
//!
//! What was inherited is open here too, until its leases end, so that the next one inherits it.
//! This file must never count from anything earlier than R: until then the predecessor calls.

use super::Scheduler;
use super::bucket::Lease;
use super::report::count;
use crate::call::ChannelId;
use crate::time::{Span, Time};

/// Most open calls of a channel that are taken from a record: far above any limit of a channel,
/// and a bound on what a damaged record may cost.
const OPEN_MAX: u32 = 1000;

/// A token that is out when an account is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLeft {
    /// The channel of its call.
    pub channel: ChannelId,
    /// How long it is still out.
    pub left: Span,
    /// Its call may still be handled.
    pub open: bool,
}

impl Scheduler {
    /// The calls of a channel that may still be handled.
    pub(crate) fn open(&self, now: Time, channel: ChannelId) -> u32 {
        let state = self.channels.get(&channel);
        count(state.map_or(0, |state| state.bucket.open(now)))
    }

    /// The channels of which fewer calls are open since this was last asked, because leases ended
    /// without an answer.
    pub(crate) fn take_fallen(&mut self, now: Time) -> Vec<ChannelId> {
        self.advance(now);
        let mut fallen = std::mem::take(&mut self.fallen);
        fallen.sort_unstable();
        fallen.dedup();
        fallen
    }

    /// Not before this moment will there be such a channel.
    pub(crate) const fn next_fall(&self) -> Time {
        self.account.next_lapse()
    }

    /// A predecessor was heard of at `heard`: its answered calls count for a second more.
    pub(crate) fn hold_after(&mut self, heard: Time) {
        self.hold_until = self.hold_until.max(heard + self.rules.window());
    }

    /// Of that predecessor, so many calls of a channel are open.
    pub(crate) fn inherit(&mut self, heard: Time, channel: ChannelId, open: u32) {
        let returns = heard + self.rules.policy.abandon + self.rules.window();
        for _ in 0..open.min(OPEN_MAX) {
            self.lease_again(heard, channel, returns, true);
        }
    }

    /// The leases that a predecessor handed over, heard of at `heard`.
    pub(crate) fn take_over(&mut self, heard: Time, lease: LeaseLeft) {
        self.lease_again(heard, lease.channel, heard + lease.left, lease.open);
    }

    /// The leases that a successor takes over. Calls still in flight count as given up now.
    pub(crate) fn leases(&self, now: Time) -> Vec<LeaseLeft> {
        let unknown = self.rules.policy.abandon + self.rules.window();
        let left = |lease: &Lease| LeaseLeft {
            channel: lease.channel,
            left: if lease.is_in_flight() {
                unknown
            } else {
                lease.returns().since(now)
            },
            open: lease.is_open(),
        };
        self.account.leases(now).map(left).collect()
    }

    fn lease_again(&mut self, heard: Time, channel: ChannelId, returns: Time, open: bool) {
        let now = self.seen.max(heard);
        self.advance(now);
        if returns <= now {
            return;
        }
        let call = self.new_call();
        let state = self.channels.entry(channel).or_default();
        let lease = Lease::new(call, channel, heard, state.condition.health);
        let lease = lease.inherited(returns, open);
        state.bucket.take(lease);
        self.account.take(lease);
        self.settle(now, channel);
    }
}
