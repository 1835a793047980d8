//! One per account and region: which channel calls next, and when.
//!
//! Time and random numbers are arguments; [`Scheduler::poll`] says what to do or until when
//! there is nothing to do. The scheduler never sees an event, and never promises less than:
//! no window of one second on the server's clock holds more calls of a channel, or of the
//! account, than the policy says.
//!
//! The rooms, from the promise outwards:
//!
//! - `bucket`: leased tokens: what keeps the promise.
//! - `succession`: the leases of a predecessor, and what a successor must know of ours.
//! - `pacing`: when a partial payload goes while tokens are free.
//! - `steady`: one call per interval (governor), for `steady` pacing and after throttles.
//! - `throttle`: the rate of a scope after the API said "too often".
//! - `backoff`: a channel's health, and how long it stays quiet after bad news.
//! - `signs`: who says that an offline stream is live, and when an event is spent to see.
//! - `circuit`: the account's, when nothing gets through.
//! - `channel`: one channel: when it may call.
//! - `ready`: whose turn it is among those that may.
//! - `agenda`: every channel in the one place where it waits for its moment.
//! - `keyframes`: when payloads of state alone go.
//! - `loan`: tokens for a call that carries nothing.
//! - `outcome`: what the end of a call changes.
//! - `rules`: the policy, the round trip, and every span that follows from them.
//! - `outlook`: what queues get to know.
//! - `report`: what operators and tests get to see.

mod backoff;
mod bucket;
mod channel;
mod circuit;
mod keyframes;
mod loan;
mod outcome;
mod outlook;
mod pacing;
mod placement;
mod ready;
mod report;
mod signs;
mod steady;
mod succession;
mod throttle;
mod timing;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

use self::backoff::Condition;
use self::bucket::{Bucket, Lease, Stamp};
use self::channel::Channel;
use self::circuit::Circuit;
use self::keyframes::{Turn, Wishes};
use self::placement::{Placement, Settled};
use self::ready::Turns;
use self::throttle::{Throttle, Unnamed};
use self::timing::Timing;
use crate::call::{CallId, ChannelId, Demand, Health};
use crate::policy::AccountPolicy;
use crate::time::Time;

pub use outlook::{AccountOutlook, ChannelOutlook};
pub use report::{AccountStatus, ChannelStatus};
pub use succession::LeaseLeft;

/// What the runtime does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This channel may call now: [`Scheduler::sent`], or, if its queue turns out to have
    /// nothing, [`Scheduler::update`] with what it does have.
    Send(ChannelId),
    /// No event goes, and this channel may send its state: [`Scheduler::sent_state`], or else
    /// [`Scheduler::wish`].
    SendState(ChannelId),
    /// Nothing before this moment, unless something is told to the scheduler meanwhile.
    /// [`Time::NEVER`]: nothing at all.
    Wait(Time),
}

/// The scheduler of one account in one region.
///
/// Calls must come in the order of their times. After `sent`, `finished` and `gave_up` the
/// caller follows up with [`Scheduler::update`]. A decision is O(log n) in the number of
/// channels with something to send; channels that are idle, healthy and have all their
/// tokens home take no memory.
#[derive(Debug)]
pub(crate) struct Scheduler {
    rules: Timing,
    /// All tokens count as out until then: what an unclean end may have left in flight.
    hold_until: Time,
    /// The latest time we were told.
    seen: Time,
    /// std's hasher with fixed keys: the ids are our own, and runs must be repeatable.
    channels: HashMap<ChannelId, Channel, BuildHasherDefault<DefaultHasher>>,
    agenda: Placement,
    turns: Turns,
    account: Bucket,
    in_flight: u32,
    /// Channels of which fewer calls are open than was last told: leases lapsed.
    fallen: Vec<ChannelId>,
    throttle: Option<Throttle>,
    unnamed: Unnamed,
    circuit: Circuit,
    /// When a page of the account's list of live streams was last read.
    list_read: Option<Time>,
    wishes: Wishes,
    next_call: u64,
    stamp: Stamp,
}

impl Scheduler {
    /// A scheduler that counts all tokens as out until `hold_until`: the restart hold after
    /// an unclean end of which no records tell, [`Time::ZERO`] for none.
    #[must_use]
    pub(crate) fn new(policy: AccountPolicy, hold_until: Time) -> Self {
        Self {
            turns: Turns::new(policy.fair_share),
            rules: Timing::new(policy),
            hold_until,
            seen: Time::ZERO,
            channels: HashMap::default(),
            agenda: Placement::default(),
            account: Bucket::default(),
            in_flight: 0,
            fallen: Vec::new(),
            throttle: None,
            unnamed: Unnamed::default(),
            circuit: Circuit::default(),
            list_read: None,
            wishes: Wishes::default(),
            next_call: 1,
            stamp: Stamp::Response,
        }
    }

    /// A changed configuration. Tokens that are out stay out, also if there are now more of
    /// them than the limit. O(n log n) in the channels that are not idle.
    pub(crate) fn set_policy(&mut self, now: Time, policy: AccountPolicy) {
        self.advance(now);
        self.turns = Turns::new(policy.fair_share);
        self.rules.policy = policy;
        let mut channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        channels.sort_unstable();
        for channel in channels {
            self.settle(now, channel);
        }
    }

    /// What the channel's queue would send now; none: nothing. Unknown channels are made.
    pub(crate) fn update(&mut self, now: Time, channel: ChannelId, demand: Option<Demand>) {
        self.advance(now);
        if demand.is_none() && !self.channels.contains_key(&channel) {
            return;
        }
        let state = self.channels.entry(channel).or_default();
        if state.demand != demand {
            state.demand = demand;
            // Settled here and not by `settle`: looking the channel up a second time is
            // what a decision would spend most of its time on.
            if self.agenda.settle(now, channel, state, &self.rules) == Settled::Done {
                self.channels.remove(&channel);
            }
        }
    }

    /// The channel makes no calls until it is resumed; those in flight go on.
    pub(crate) fn pause(&mut self, now: Time, channel: ChannelId) {
        self.set_paused(now, channel, true);
    }

    /// The channel makes calls again.
    pub(crate) fn resume(&mut self, now: Time, channel: ChannelId) {
        self.set_paused(now, channel, false);
    }

    /// Somebody says that the channel's stream is live (a notice from AWS, an operator). It
    /// need not be true: an offline channel is probed without further waiting, and that is all.
    pub(crate) fn hint_live(&mut self, now: Time, channel: ChannelId) {
        self.told(now, channel, |condition| condition.hint_live(now));
    }

    /// Somebody says that the channel's stream has ended: an earlier word that it is live counts
    /// no longer.
    pub(crate) fn hint_ended(&mut self, now: Time, channel: ChannelId) {
        self.told(now, channel, |condition| condition.signs.noticed_end());
    }

    /// A page of the account's list of live streams, asked for at `asked`, has the channel's.
    pub(crate) fn listed(&mut self, now: Time, channel: ChannelId, asked: Time) {
        self.told(now, channel, |condition| condition.listed(asked));
    }

    /// The whole list of live streams, begun at `began`, does not have the channel's; whether that
    /// changes what is let through.
    pub(crate) fn not_listed(&mut self, now: Time, channel: ChannelId, began: Time) -> bool {
        let mut changed = false;
        self.told(now, channel, |condition| {
            changed = condition.signs.not_listed(began);
        });
        changed
    }

    /// A page of the account's list of live streams was read.
    pub(crate) fn list_read(&mut self, now: Time) {
        self.advance(now);
        self.list_read = Some(now);
    }

    fn told(&mut self, now: Time, channel: ChannelId, change: impl FnOnce(&mut Condition)) {
        self.advance(now);
        if let Some(state) = self.channels.get_mut(&channel)
            && state.condition.health == Health::Offline
        {
            change(&mut state.condition);
            self.settle(now, channel);
        }
    }

    /// Forgets a channel. False, and nothing is done, while it has a demand, a token is out, or
    /// its state counts: it is paused or slowed down, it backs off, or its last bad news has
    /// not lapsed; nor while its record says that more calls are open than are. True for a channel
    /// that is not known.
    pub(crate) fn forget(&mut self, now: Time, channel: ChannelId) -> bool {
        self.advance(now);
        if self.fallen.contains(&channel) {
            return false;
        }
        let Some(state) = self.channels.get_mut(&channel) else {
            return true;
        };
        if state.counts_until(now) > now {
            return false;
        }
        self.agenda.take_out(channel, state);
        self.channels.remove(&channel);
        true
    }

    /// Whether there is nothing to remember: no channel, no token out, no throttle, and a closed
    /// circuit.
    pub(crate) fn is_idle(&mut self, now: Time) -> bool {
        self.advance(now);
        let slowed = self.throttle.as_ref().is_some_and(|it| it.over() > now);
        self.channels.is_empty() && self.account.out(now) == 0 && !slowed && !self.circuit.is_open()
    }

    /// Who calls next, or until when nobody does. Changes nothing that a second poll at
    /// the same time would notice.
    pub(crate) fn poll(&mut self, now: Time) -> Next {
        match self.poll_events(now) {
            Next::Wait(until) => match self.state_turn(now) {
                Turn::Now(channel) => Next::SendState(channel),
                Turn::Not(at) => Next::Wait(until.min(at)),
            },
            next => next,
        }
    }

    fn poll_events(&mut self, now: Time) -> Next {
        self.advance(now);
        let timer = self.agenda.next_timer();
        if self.agenda.ready.is_empty() {
            return Next::Wait(timer);
        }
        let open = self.account_opens(now);
        if open > now {
            return Next::Wait(open);
        }
        match self.choose(now) {
            Some(channel) => Next::Send(channel),
            // All that are ready have used up the leases that their kind may hold.
            None => Next::Wait(self.account.next_return(now).min(timer)),
        }
    }

    /// The channel that [`Next::Send`] named makes its call now: takes a token of the
    /// channel and one of the account. Call it before the request is written: the lease
    /// must not begin after the send.
    pub(crate) fn sent(&mut self, now: Time, channel: ChannelId) -> CallId {
        self.advance(now);
        let call = self.new_call();
        let state = self.channels.entry(channel).or_default();
        let lease = Lease::new(call, channel, now, state.condition.health);
        state.bucket.take(lease);
        self.account.take(lease);
        self.in_flight += 1;
        self.turns.taken();
        self.circuit.call(call);
        state.call(now, &self.rules);
        self.throttle.take_if(|throttle| throttle.over() <= now);
        if let Some(throttle) = &mut self.throttle {
            throttle.call(now, self.rules.account_interval());
        }
        self.settle(now, channel);
        call
    }

    const fn new_call(&mut self) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        call
    }

    fn set_paused(&mut self, now: Time, channel: ChannelId, paused: bool) {
        self.advance(now);
        if paused || self.channels.contains_key(&channel) {
            self.channels.entry(channel).or_default().paused = paused;
            self.settle(now, channel);
        }
    }

    /// When the account lets the next call go; [`Time::NEVER`]: only an answer changes that.
    fn account_opens(&self, now: Time) -> Time {
        let token = if self.account.kept() < self.rules.account_tokens() {
            Time::ZERO
        } else {
            self.account.next_return(now)
        };
        let pace = self.throttle.as_ref().map_or(Time::ZERO, Throttle::next);
        self.hold_until
            .max(token)
            .max(pace)
            .max(self.circuit.not_before(self.in_flight))
    }

    /// Healthy channels first, and among them the failing ones as far as their leases
    /// reach; offline ones are probed only when nobody else wants the call.
    fn choose(&self, now: Time) -> Option<ChannelId> {
        let room =
            |health, most| self.agenda.ready.any(health) && self.account.out_in(now, health) < most;
        let failing = room(Health::Failing, self.rules.failing_leases());
        self.agenda
            .ready
            .first(self.turns.next(), failing)
            .or_else(|| {
                let probe = room(Health::Offline, self.rules.probe_leases(self.agenda.busy));
                if probe {
                    self.agenda.ready.first_offline()
                } else {
                    None
                }
            })
    }

    /// What time alone has changed, in the order in which it did.
    fn advance(&mut self, now: Time) {
        self.seen = self.seen.max(now);
        self.fallen.extend(self.account.lapsed(now));
        self.account.purge(now);
        while let Some(channel) = self.agenda.due(now) {
            self.settle(now, channel);
        }
    }

    /// Puts the channel where it belongs now, or forgets it.
    fn settle(&mut self, now: Time, channel: ChannelId) {
        if let Some(state) = self.channels.get_mut(&channel)
            && self.agenda.settle(now, channel, state, &self.rules) == Settled::Done
        {
            self.channels.remove(&channel);
        }
    }
}
