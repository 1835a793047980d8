//! The driver of one account and region: the scheduler, the busy channels and their timers, and
//! the one thing that moves them.
//!
//! The gateway and the simulation run this very code. They bring three things: the time and the
//! random numbers, access to the queues ([`Queues`], because the gateway locks its channels), and
//! the calls themselves. They tell what happened ([`Account::woken`], [`Account::finished`],
//! [`Account::gave_up`], [`Account::late`]), and then call [`Account::step`] until it waits.
//!
//! A call counts against the API's limits as long as it may still be handled, also when this
//! process has ended. So the embedder keeps on record how many calls of each channel are open,
//! and the next process is told of them. Four rules:
//!
//! 1. [`Queues::take`] is given the number with the call included. It is recorded before the call
//!    leaves, with the payload or, for a retry, alone. A call whose record fails does not leave.
//! 2. [`Queues::look`] and [`Queues::settle`] are given the number in [`View::open`]. Where it is
//!    less than the recorded one it is recorded, sooner or later. It is never guessed from what
//!    became of the payload, which may end while its call is on its way.
//! 3. Whoever goes on after an unclean end says so with [`Account::inherit`], and records what it
//!    inherits again, as any other number.
//! 4. Whoever ends in order hands over [`Account::leases`], and the next one goes on with
//!    [`Account::take_over`].
//!
//! It must never read a clock, and never forget a channel whose tokens or state still count:
//! only [`Account::forget`] does, and it says no.

#[cfg(test)]
mod tests;
mod view;

use std::cmp::Reverse;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasherDefault;

use crate::call::{CallId, ChannelId, Outcome};
use crate::policy::AccountPolicy;
use crate::queue::{PayloadId, Settled};
use crate::scheduler::{AccountOutlook, AccountStatus, ChannelStatus, LeaseLeft, Next, Scheduler};
use crate::time::Time;

pub use view::{Look, View};

/// Timers that no longer count, beyond twice as many as there are busy channels, before they
/// are cleared away.
const TIMERS_SLACK: usize = 64;

/// How the driver gets at the queues of its channels.
///
/// Each method works on one queue once, so that an implementation takes each lock once.
pub trait Queues {
    /// What the embedder needs to make a call, beside the [`Call`].
    type Parcel;

    /// Calls [`View::look`] with the channel's queue. `None`: there is no such channel.
    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look>;

    /// Takes a payload from the channel's queue, as [`crate::Queue::take`] does. `None`: there
    /// is nothing to send after all. `open`: the calls of the channel that may still be handled,
    /// this one included. That is on record before the call leaves.
    fn take(
        &mut self,
        now: Time,
        channel: ChannelId,
        open: u32,
    ) -> Option<(PayloadId, Self::Parcel)>;

    /// The same of a payload of state alone, as [`crate::Queue::take_state`] does.
    fn take_state(
        &mut self,
        now: Time,
        channel: ChannelId,
        open: u32,
    ) -> Option<(PayloadId, Self::Parcel)>;

    /// Calls [`View::settle`] with the queue of the call's channel.
    fn settle(&mut self, call: Call, view: &View, outcome: Outcome) -> Settled;

    /// The channel has nothing to send and nothing to wait for, and no call of it is open: the
    /// driver does not ask for it again before it is woken or a call of it ends.
    fn rest(&mut self, channel: ChannelId);
}

/// A call: in flight, or given up and still listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its leases.
    pub id: CallId,
    /// Its channel.
    pub channel: ChannelId,
    /// What it carries.
    pub payload: PayloadId,
}

/// What the embedder does next.
#[derive(Debug)]
pub enum Step<P> {
    /// Make this call now, and step again.
    Call(Call, P),
    /// Nothing before this moment, unless something happens. [`Time::NEVER`]: nothing at all.
    Wait(Time),
}

/// A channel that has something to send or that changes by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    timer: Option<Time>,
    /// And not only its state.
    has_events: bool,
}

/// The driver of one account in one region.
#[derive(Debug)]
pub struct Account {
    scheduler: Scheduler,
    /// Channels that have something to send or that change by themselves, each with the moment
    /// of its timer. std's hasher with fixed keys, because runs must be repeatable.
    busy: HashMap<ChannelId, Busy, BuildHasherDefault<DefaultHasher>>,
    timers: BinaryHeap<Reverse<(Time, ChannelId)>>,
    /// Most bytes of a payload, as configured.
    payload_max: usize,
    /// The same, as the API taught; a reload does not make the account forget it.
    payload_max_learned: usize,
}

impl Account {
    /// An account that counts all its tokens as out until `hold_until`: for a past of which no
    /// records tell. [`Time::ZERO`]: there was none, or [`Account::inherit`] tells.
    /// `payload_max` is in bytes.
    #[must_use]
    pub fn new(policy: AccountPolicy, hold_until: Time, payload_max: usize) -> Self {
        Self {
            scheduler: Scheduler::new(policy, hold_until),
            busy: HashMap::default(),
            timers: BinaryHeap::new(),
            payload_max,
            payload_max_learned: usize::MAX,
        }
    }

    /// A predecessor ended uncleanly, and its records say how many calls of its channels may still
    /// be handled. `heard` is when this process learnt that none of its calls leaves any more: its
    /// own start, or the answer to its take; nothing earlier will do.
    ///
    /// All tokens are out until `heard` + 1 s + grace, also without an open call. Those of open
    /// calls, of the channel and of the account, are out until `heard` + `abandon` + 1 s + grace.
    pub fn inherit(&mut self, heard: Time, open: impl IntoIterator<Item = (ChannelId, u32)>) {
        self.scheduler.hold_after(heard);
        for (channel, open) in open {
            self.scheduler.inherit(heard, channel, open);
        }
    }

    /// A predecessor ended in order and handed its leases over; nothing else is withheld.
    /// `heard` is when this process learnt of it.
    pub fn take_over(&mut self, heard: Time, leases: impl IntoIterator<Item = LeaseLeft>) {
        for lease in leases {
            self.scheduler.take_over(heard, lease);
        }
    }

    /// What a successor takes over, when all calls were answered or given up. One in flight counts
    /// as given up now.
    #[must_use]
    pub fn leases(&self, now: Time) -> Vec<LeaseLeft> {
        self.scheduler.leases(now)
    }

    /// The calls of a channel that may still be handled: in flight, given up, or inherited.
    #[must_use]
    pub fn open(&self, now: Time, channel: ChannelId) -> u32 {
        self.scheduler.open(now, channel)
    }

    /// The channel's queue has something new to say.
    pub fn woken<Q: Queues>(&mut self, now: Time, channel: ChannelId, queues: &mut Q) {
        self.look(now, channel, queues);
    }

    /// A call ended: its answer came, or its connection was refused or broke. `random` is uniform
    /// over all of `u64`.
    pub fn finished<Q: Queues>(
        &mut self,
        now: Time,
        call: Call,
        outcome: Outcome,
        random: u64,
        queues: &mut Q,
    ) -> Settled {
        self.scheduler.finished(now, call.id, outcome, random);
        self.settle(now, call, outcome, queues)
    }

    /// A call timed out. It may still be handled, so the embedder keeps listening to it for
    /// `abandon`, and tells of an answer by [`Account::late`].
    pub fn gave_up<Q: Queues>(
        &mut self,
        now: Time,
        call: Call,
        random: u64,
        queues: &mut Q,
    ) -> Settled {
        self.scheduler.gave_up(now, call.id, random);
        self.settle(now, call, Outcome::Unknown, queues)
    }

    /// A call that had timed out ended after all. Only a delivery changes what becomes of its
    /// payload. A connection that broke says nothing: the call may still be handled.
    pub fn late<Q: Queues>(
        &mut self,
        now: Time,
        call: Call,
        outcome: Outcome,
        queues: &mut Q,
    ) -> Option<Settled> {
        if outcome != Outcome::Unknown {
            self.scheduler.late(now, call.id);
        }
        if outcome == Outcome::Delivered {
            return Some(self.settle(now, call, outcome, queues));
        }
        self.look(now, call.channel, queues);
        None
    }

    /// Takes a token of the channel and one of the account for a call that carries nothing of any
    /// queue, and whose answer says nothing of the channel: to see whether the account may call.
    /// Follow up with [`Account::woken`], have the channel's open calls recorded before it leaves,
    /// and tell its end by [`Account::repaid`].
    ///
    /// # Errors
    /// When to ask again, because no token is free; [`Time::NEVER`]: when some call has ended.
    pub fn lend(&mut self, now: Time, channel: ChannelId) -> Result<CallId, Time> {
        self.scheduler.lend(now, channel)
    }

    /// Such a call ended, or nobody listens to it any more: [`Outcome::Unknown`]. Follow up with
    /// [`Account::woken`].
    pub fn repaid(&mut self, now: Time, call: CallId, outcome: Outcome) {
        self.scheduler.repaid(now, call, outcome);
    }

    /// Does one thing that is due: the next call, or nothing until a moment to come. Tell all
    /// that happened first, and step until it waits.
    pub fn step<Q: Queues>(&mut self, now: Time, queues: &mut Q) -> Step<Q::Parcel> {
        for channel in self.scheduler.take_fallen(now) {
            self.look(now, channel, queues);
        }
        self.run_timers(now, queues);
        loop {
            let channel = match self.scheduler.poll(now) {
                Next::Send(channel) => channel,
                Next::SendState(channel) => match self.state_call(now, channel, queues) {
                    Some(step) => return step,
                    None => continue,
                },
                Next::Wait(until) => return Step::Wait(until.min(self.next_change())),
            };
            let taken = if self.busy.contains_key(&channel) {
                let open = self.scheduler.open(now, channel).saturating_add(1);
                queues.take(now, channel, open)
            } else {
                None
            };
            let Some((payload, parcel)) = taken else {
                // It expired meanwhile.
                self.look(now, channel, queues);
                continue;
            };
            let id = self.scheduler.sent(now, channel);
            self.look(now, channel, queues);
            let call = Call {
                id,
                channel,
                payload,
            };
            return Step::Call(call, parcel);
        }
    }

    /// The call of a channel that sends its state, unless there is nothing to tell after all.
    fn state_call<Q: Queues>(
        &mut self,
        now: Time,
        channel: ChannelId,
        queues: &mut Q,
    ) -> Option<Step<Q::Parcel>> {
        let open = self.scheduler.open(now, channel).saturating_add(1);
        let Some((payload, parcel)) = queues.take_state(now, channel, open) else {
            self.scheduler.wish(channel, None);
            return None;
        };
        let id = self.scheduler.sent_state(now, channel);
        self.look(now, channel, queues);
        let call = Call {
            id,
            channel,
            payload,
        };
        Some(Step::Call(call, parcel))
    }

    /// No payload of state alone goes any more, because the process is about to end.
    pub fn drain(&mut self) {
        self.scheduler.drain();
    }

    /// Forgets a channel, so that nothing of it is kept. False, and nothing is forgotten, while
    /// that would change what the API sees or what operators are told: it has events to send
    /// or something to wait for, a token is out, it is paused or slowed down, it backs off, or its last bad
    /// news is less than 2 s old. True for a channel of which nothing
    /// is known.
    pub fn forget(&mut self, now: Time, channel: ChannelId) -> bool {
        let has_events = self.busy.get(&channel).is_some_and(|busy| busy.has_events);
        let forgets = !has_events && self.scheduler.forget(now, channel);
        if forgets {
            self.scheduler.wish(channel, None);
            self.busy.remove(&channel);
        }
        forgets
    }

    /// Whether nothing would be lost by forgetting the whole account: no channel has anything
    /// left to remember, no token is out, and the account is not slowed down.
    pub fn is_idle(&mut self, now: Time) -> bool {
        self.busy.is_empty() && self.scheduler.is_idle(now)
    }

    /// A changed configuration. Tokens that are out stay out.
    pub fn set_policy(&mut self, now: Time, policy: AccountPolicy) {
        self.scheduler.set_policy(now, policy);
    }

    /// The channel makes no calls until it is resumed; those in flight go on.
    pub fn pause(&mut self, now: Time, channel: ChannelId) {
        self.scheduler.pause(now, channel);
    }

    /// The channel makes calls again.
    pub fn resume(&mut self, now: Time, channel: ChannelId) {
        self.scheduler.resume(now, channel);
    }

    /// Somebody says that the channel's stream is live: an offline channel is probed without
    /// further waiting. Follow up with [`Account::woken`].
    pub fn hint_live(&mut self, now: Time, channel: ChannelId) {
        self.scheduler.hint_live(now, channel);
    }

    /// Somebody says that the channel's stream has ended. Follow up with [`Account::woken`].
    pub fn hint_ended(&mut self, now: Time, channel: ChannelId) {
        self.scheduler.hint_ended(now, channel);
    }

    /// A page of the account's list of live streams was read. While that goes on, no event is
    /// spent to see whether an offline stream is back: the list will tell.
    pub fn list_read(&mut self, now: Time) {
        self.scheduler.list_read(now);
    }

    /// A page of the list that was asked for at `asked` has the channel's stream. Follow up with
    /// [`Account::woken`].
    pub fn listed(&mut self, now: Time, channel: ChannelId, asked: Time) {
        self.scheduler.listed(now, channel, asked);
    }

    /// The whole list, begun at `began`, does not have the channel's stream. True: follow up with
    /// [`Account::woken`].
    pub fn not_listed(&mut self, now: Time, channel: ChannelId, began: Time) -> bool {
        self.scheduler.not_listed(now, channel, began)
    }

    /// The state of a channel; an unknown one is idle and live.
    #[must_use]
    pub fn status(&self, now: Time, channel: ChannelId) -> ChannelStatus {
        self.scheduler.status(now, channel)
    }

    /// The state of the account.
    #[must_use]
    pub fn account_status(&self, now: Time) -> AccountStatus {
        self.scheduler.account_status(now)
    }

    /// What all queues of the account need to know of it. It changes by what is told to the
    /// driver and by its steps, not by time alone.
    #[must_use]
    pub fn outlook(&self) -> AccountOutlook {
        self.scheduler.account_outlook()
    }

    /// Most bytes of a payload: as configured, or less where the API taught so.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        self.payload_max.min(self.payload_max_learned)
    }

    /// Changes the configured bound on payloads.
    pub fn set_payload_max(&mut self, bytes: usize) {
        self.payload_max = bytes;
    }

    fn settle<Q: Queues>(
        &mut self,
        now: Time,
        call: Call,
        outcome: Outcome,
        queues: &mut Q,
    ) -> Settled {
        let view = self.view(now, call.channel);
        let mut settled = queues.settle(call, &view, outcome);
        // Told on only where it is news.
        settled.payload_max = settled
            .payload_max
            .filter(|bytes| *bytes < self.payload_max_learned);
        if let Some(bytes) = settled.payload_max {
            self.payload_max_learned = bytes;
        }
        self.look(now, call.channel, queues);
        settled
    }

    fn view(&self, now: Time, channel: ChannelId) -> View {
        View {
            now,
            channel: self.scheduler.channel_outlook(now, channel),
            account: self.scheduler.account_outlook(),
            open: self.scheduler.open(now, channel),
            payload_max: self.payload_max(),
        }
    }

    /// Asks a queue what it wants and when it changes, and tells the scheduler.
    fn look<Q: Queues>(&mut self, now: Time, channel: ChannelId, queues: &mut Q) {
        let view = self.view(now, channel);
        let look = queues.look(channel, &view).unwrap_or_default();
        self.scheduler.update(now, channel, look.demand);
        self.scheduler.wish(channel, look.state);
        self.keep(channel, look);
        if look == Look::default() && view.open == 0 {
            queues.rest(channel);
        }
    }

    fn keep(&mut self, channel: ChannelId, look: Look) {
        let timer = look.timer;
        if look == Look::default() {
            self.busy.remove(&channel);
            return;
        }
        let known = self.busy.entry(channel).or_default();
        known.has_events = look.demand.is_some() || timer.is_some();
        if known.timer != timer {
            known.timer = timer;
            if let Some(at) = timer {
                self.timers.push(Reverse((at, channel)));
            }
            if self.timers.len() > 2 * self.busy.len() + TIMERS_SLACK {
                let busy = &self.busy;
                self.timers.retain(|Reverse((at, id))| {
                    busy.get(id).is_some_and(|busy| busy.timer == Some(*at))
                });
            }
        }
    }

    /// When a queue changes by itself, or a call ceases to be open.
    fn next_change(&self) -> Time {
        let timer = self.timers.peek();
        let timer = timer.map_or(Time::NEVER, |Reverse((at, _))| *at);
        timer.min(self.scheduler.next_fall())
    }

    fn run_timers<Q: Queues>(&mut self, now: Time, queues: &mut Q) {
        while let Some(Reverse((at, channel))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if let Some(busy) = self.busy.get_mut(&channel)
                && busy.timer == Some(at)
            {
                busy.timer = None;
                self.look(now, channel, queues);
            }
        }
    }
}
