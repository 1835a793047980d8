//! How a call ended, and everything that changes by it: the leases, the channel's health,
//! the round trip, the paces, the circuit. What becomes of the payload is the queue's.

use super::Scheduler;
use super::bucket::{Lease, Stamp};
use super::throttle::{self, Throttle};
use crate::call::{CallId, ChannelId, Outcome, ThrottleScope};
use crate::time::Time;

impl Scheduler {
    /// The call ended: the response came, or the connection was refused or broke. `random`
    /// is uniform over all of `u64`.
    ///
    /// `Refused` frees its token at once. After `Unknown` (the connection broke) the call may
    /// still be handled, like one that was given up, and its lease ends likewise. For a call
    /// that was given up this is [`Scheduler::late`]; one that has ended is ignored.
    pub(crate) fn finished(&mut self, now: Time, call: CallId, outcome: Outcome, random: u64) {
        self.advance(now);
        let Some(lease) = self.account.get(call).copied() else {
            return;
        };
        if !lease.is_in_flight() {
            return self.late(now, call);
        }
        match outcome {
            Outcome::Delivered
            | Outcome::Throttled(_)
            | Outcome::Offline
            | Outcome::TooLarge
            | Outcome::Rejected(_) => self.rules.answered(lease.sent, now),
            Outcome::Failed | Outcome::Refused | Outcome::Unknown => {}
        }
        self.end(now, lease, outcome, random);
    }

    /// The call was given up after its time-out: for the channel its outcome is unknown and
    /// it is no longer in flight. Its lease ends 1 s + grace after [`Scheduler::late`], at
    /// the latest 1 s + grace after `abandon` has passed: the call may be handled up to that
    /// moment, and (the proof's one assumption) no later.
    pub(crate) fn gave_up(&mut self, now: Time, call: CallId, random: u64) {
        self.finished(now, call, Outcome::Unknown, random);
    }

    /// The response of a call that was given up came after all. Ignored for any other.
    pub(crate) fn late(&mut self, now: Time, call: CallId) {
        self.advance(now);
        let Some(lease) = self.account.get(call).copied() else {
            return;
        };
        if lease.is_in_flight() {
            return;
        }
        let returns = now + self.rules.window();
        self.account.answered(call, returns);
        if let Some(state) = self.channels.get_mut(&lease.channel) {
            state.bucket.answered(call, returns);
            self.settle(now, lease.channel);
        }
    }

    fn end(&mut self, now: Time, lease: Lease, outcome: Outcome, random: u64) {
        let (call, channel) = (lease.call, lease.channel);
        self.end_lease(now, lease, outcome);
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        self.in_flight = self.in_flight.saturating_sub(1);
        state.in_flight = state.in_flight.saturating_sub(1);
        let before = state.condition.health;
        state.condition.after(now, outcome, random);
        if state.condition.health != before {
            self.account.mark(channel, state.condition.health);
        }
        self.circuit.ended(now, call, channel, outcome);
        if let Outcome::Throttled(scope) = outcome {
            self.throttled(now, channel, scope);
        }
        self.settle(now, channel);
    }

    /// When the tokens of a call that ended come back.
    pub(super) fn end_lease(&mut self, now: Time, lease: Lease, outcome: Outcome) {
        let (call, window) = (lease.call, self.rules.window());
        let handled_by = match (self.stamp, outcome) {
            (Stamp::Response, Outcome::Unknown) => now + self.rules.policy.abandon,
            (Stamp::Response, _) => now,
            #[cfg(test)]
            (Stamp::Send, _) => lease.sent,
        };
        let channel = self.channels.get_mut(&lease.channel);
        for bucket in channel
            .map(|state| &mut state.bucket)
            .into_iter()
            .chain([&mut self.account])
        {
            match outcome {
                Outcome::Refused => bucket.release(call),
                Outcome::Unknown => bucket.given_up(call, handled_by + window),
                _ => bucket.answered(call, handled_by + window),
            }
        }
    }

    fn throttled(&mut self, now: Time, channel: ChannelId, scope: ThrottleScope) {
        let account = match scope {
            ThrottleScope::Channel => false,
            ThrottleScope::Account => true,
            ThrottleScope::Unnamed => self.unnamed.is_third(now, channel),
        };
        if account {
            let (full, floor) = (self.rules.account_interval(), throttle::ACCOUNT_FLOOR);
            match &mut self.throttle {
                Some(throttle) if throttle.over() > now => throttle.again(now, full, floor),
                _ => self.throttle = Some(Throttle::new(now, full, floor)),
            }
        }
        if scope != ThrottleScope::Account
            && let Some(state) = self.channels.get_mut(&channel)
        {
            state.throttled(now, &self.rules);
        }
    }
}
