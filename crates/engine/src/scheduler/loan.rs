//! Tokens for a call that carries nothing of any queue: to see whether the account may call at all.
//!
//! The API counts it like every other call, so it takes a token of a channel and one of the account,
//! and is open while it may still be handled. Its answer says nothing of the channel: health, paces
//! and the circuit stay as they are.

use super::Scheduler;
use super::bucket::Lease;
use crate::call::{CallId, ChannelId, Outcome};
use crate::time::Time;

impl Scheduler {
    /// Takes the tokens, or says when one may be free; [`Time::NEVER`]: only an answer frees one.
    pub(crate) fn lend(&mut self, now: Time, channel: ChannelId) -> Result<CallId, Time> {
        self.advance(now);
        let opens = self.account_opens(now);
        if opens > now {
            return Err(opens);
        }
        if let Some(state) = self.channels.get(&channel)
            && state.bucket.out(now) >= self.rules.channel_tokens()
        {
            return Err(state.bucket.next_return(now));
        }
        let call = self.new_call();
        let state = self.channels.entry(channel).or_default();
        let lease = Lease::new(call, channel, now, state.condition.health);
        state.bucket.take(lease);
        self.account.take(lease);
        self.settle(now, channel);
        Ok(call)
    }

    /// That call ended; [`Outcome::Unknown`]: nobody knows how.
    pub(crate) fn repaid(&mut self, now: Time, call: CallId, outcome: Outcome) {
        self.advance(now);
        let Some(lease) = self.account.get(call).copied() else {
            return;
        };
        self.end_lease(now, lease, outcome);
        self.settle(now, lease.channel);
    }
}
