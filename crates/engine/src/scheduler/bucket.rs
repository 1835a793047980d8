//! A token bucket whose tokens are leased: what keeps the promise of so many calls a second.
//!
//! A call takes one token, and the token comes back one window (1 s + grace) after the
//! call's *response*. The server handles a call somewhere between its send and its response,
//! so with K tokens the k+Kth call is sent, and therefore handled, at least one window after
//! the kth was handled, whatever the network does in between.
//!
//! A call that was given up may still be handled, by assumption not later than `abandon`
//! after that moment (the one assumption of the proof). Its token therefore comes back a
//! window after its late response, or a window after `abandon` has passed, whichever is
//! first. A connection that broke after the request was sent is the same case without a
//! late response. A connection that was never made frees its token at once.
//!
//! A lease is *open* while its call may still be handled: until an answer shows that it was, and
//! without one until the lease ends. A process that comes after this one asks for no more.
//!
//! The limit is not kept here: it may shrink while tokens are out, and those still count.
//! This file must never hand a token back on the strength of the send's time, and never
//! knows why a call ended.

use crate::call::{CallId, ChannelId, Health};
use crate::time::{Span, Time};

/// From which moment a token's way back is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// From the response: correct.
    Response,
    /// From the send: the mutation that the window test has to catch.
    #[cfg(test)]
    Send,
}

/// One token that is out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// The call that took it.
    pub(super) call: CallId,
    /// The call's channel.
    pub(super) channel: ChannelId,
    /// When it was taken.
    pub(super) sent: Time,
    /// The state of the channel, kept up to date in the account's bucket only.
    pub(super) health: Health,
    /// It carries state alone.
    is_state: bool,
    /// When its token comes back; `NEVER` while the call is in flight and nobody can say.
    returns: Time,
    call_is: Standing,
}

/// What the server may still do with a lease's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It may still handle it.
    Open,
    /// The same, and the call is one of a predecessor.
    Inherited,
    /// It has handled it: an answer came.
    Handled,
}

impl Lease {
    /// The lease of a call that is sent now.
    pub(super) const fn new(call: CallId, channel: ChannelId, sent: Time, health: Health) -> Self {
        Self {
            call,
            channel,
            sent,
            health,
            is_state: false,
            returns: Time::NEVER,
            call_is: Standing::Open,
        }
    }

    /// A lease that a predecessor left, heard of at `sent`: its token comes back at `returns`.
    pub(super) const fn inherited(self, returns: Time, open: bool) -> Self {
        Self {
            returns,
            call_is: if open {
                Standing::Inherited
            } else {
                Standing::Handled
            },
            ..self
        }
    }

    /// The same of a call that carries state alone.
    pub(super) const fn of_state(
        call: CallId,
        channel: ChannelId,
        sent: Time,
        health: Health,
    ) -> Self {
        let mut lease = Self::new(call, channel, sent, health);
        lease.is_state = true;
        lease
    }

    /// Whether the call is in flight: neither answered nor given up.
    pub(super) fn is_in_flight(&self) -> bool {
        self.returns == Time::NEVER
    }

    /// When its token comes back; `NEVER` while the call is in flight.
    pub(super) const fn returns(&self) -> Time {
        self.returns
    }

    /// Whether the call may still be handled, as long as the lease has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.call_is != Standing::Handled
    }

    fn is_out(&self, now: Time) -> bool {
        self.returns > now
    }
}

/// The tokens of one channel, or of the account, that are out.
///
/// A vector that is scanned: it holds 5 entries, or 155, each passed over in about a
/// nanosecond, and nothing at all while the channel is idle.
#[derive(Debug)]
pub(super) struct Bucket {
    leases: Vec<Lease>,
    /// Not before this moment does a lease end: most purges need not look.
    next_end: Time,
    /// Not before this moment does a lease end while it is open.
    next_lapse: Time,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            leases: Vec::new(),
            next_end: Time::NEVER,
            next_lapse: Time::NEVER,
        }
    }
}

impl Bucket {
    /// Takes a token. Whether one is free is the caller's to ask, before: a call that was
    /// sent counts in any case.
    pub(super) fn take(&mut self, lease: Lease) {
        self.leases.push(lease);
        self.ends(lease);
    }

    /// Forgets the leases that have ended.
    pub(super) fn purge(&mut self, now: Time) {
        if self.next_end <= now {
            // The order of the leases means nothing, and moving one is cheaper than all.
            let mut index = 0;
            (self.next_end, self.next_lapse) = (Time::NEVER, Time::NEVER);
            while let Some(lease) = self.leases.get(index).copied() {
                if lease.is_out(now) {
                    self.ends(lease);
                    index += 1;
                } else {
                    self.leases.swap_remove(index);
                }
            }
        }
    }

    /// The channels of leases that end by now while they are open, once for each lease: no
    /// answer came. Asked before they are forgotten.
    pub(super) fn lapsed(&self, now: Time) -> impl Iterator<Item = ChannelId> {
        let all: &[Lease] = if self.next_lapse <= now {
            &self.leases
        } else {
            &[]
        };
        let lapsed = all
            .iter()
            .filter(move |lease| lease.is_open() && !lease.is_out(now));
        lapsed.map(|lease| lease.channel)
    }

    /// Not before this moment does a lease end while it is open; `NEVER`: none that has an end.
    pub(super) const fn next_lapse(&self) -> Time {
        self.next_lapse
    }

    /// The calls that may still be handled.
    pub(super) fn open(&self, now: Time) -> usize {
        let out = self.leases.iter().filter(|lease| lease.is_out(now));
        out.filter(|lease| lease.is_open()).count()
    }

    /// Those of them that a predecessor made.
    pub(super) fn inherited(&self, now: Time) -> usize {
        let out = self.leases.iter().filter(|lease| lease.is_out(now));
        out.filter(|lease| lease.call_is == Standing::Inherited)
            .count()
    }

    /// The leases that have not ended.
    pub(super) fn leases(&self, now: Time) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(move |lease| lease.is_out(now))
    }

    /// The tokens out, if ended leases have just been forgotten.
    pub(super) fn kept(&self) -> usize {
        self.leases.len()
    }

    /// Whether no call with events has a token out, if ended leases have just been forgotten.
    pub(super) fn is_free_of_events(&self) -> bool {
        self.leases.iter().all(|lease| lease.is_state)
    }

    /// The tokens out.
    pub(super) fn out(&self, now: Time) -> usize {
        self.leases.iter().filter(|lease| lease.is_out(now)).count()
    }

    /// The tokens out whose channels are in this state.
    pub(super) fn out_in(&self, now: Time, health: Health) -> usize {
        self.leases
            .iter()
            .filter(|lease| lease.health == health && lease.is_out(now))
            .count()
    }

    /// Whether no lease is kept, ended ones included.
    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Gives back the memory of an idle bucket.
    pub(super) fn shrink(&mut self) {
        self.leases.shrink_to_fit();
    }

    /// The lease of this call, unless it has been forgotten. Young ones are at the end.
    pub(super) fn get(&self, call: CallId) -> Option<&Lease> {
        self.leases.iter().rfind(|lease| lease.call == call)
    }

    /// The call was answered: its token comes back at `at`. A lease that has an end already
    /// keeps the earlier one: each of the two alone is proof enough.
    pub(super) fn answered(&mut self, call: CallId, at: Time) {
        self.end_at(call, at, Standing::Handled);
    }

    /// The call was given up: its token comes back at `at`, and until then it is open.
    pub(super) fn given_up(&mut self, call: CallId, at: Time) {
        self.end_at(call, at, Standing::Open);
    }

    fn end_at(&mut self, call: CallId, at: Time, call_is: Standing) {
        let young = self.leases.iter_mut().rfind(|lease| lease.call == call);
        if let Some(lease) = young {
            lease.returns = lease.returns.min(at);
            lease.call_is = call_is;
            let lease = *lease;
            self.ends(lease);
        }
    }

    fn ends(&mut self, lease: Lease) {
        self.next_end = self.next_end.min(lease.returns);
        if lease.is_open() {
            self.next_lapse = self.next_lapse.min(lease.returns);
        }
    }

    /// Nothing was sent: the token is back.
    pub(super) fn release(&mut self, call: CallId) {
        self.leases.retain(|lease| lease.call != call);
    }

    /// Notes the state of a channel on its leases.
    pub(super) fn mark(&mut self, channel: ChannelId, health: Health) {
        for lease in self
            .leases
            .iter_mut()
            .filter(|lease| lease.channel == channel)
        {
            lease.health = health;
        }
    }

    /// When the next token comes back for certain; `NEVER` while all that are out belong to
    /// calls in flight.
    pub(super) fn next_return(&self, now: Time) -> Time {
        let out = self.leases.iter().filter(|lease| lease.is_out(now));
        out.map(|lease| lease.returns).min().unwrap_or(Time::NEVER)
    }

    /// When the next token is likely to come back, given how long after its send a call in
    /// flight is expected to hold one; none if all are home.
    pub(super) fn next_return_estimate(&self, now: Time, after_send: Span) -> Option<Time> {
        let out = self.leases.iter().filter(|lease| lease.is_out(now));
        out.map(|lease| {
            if lease.is_in_flight() {
                lease.sent + after_send
            } else {
                lease.returns
            }
        })
        .min()
    }

    /// When the last token comes back; `NEVER` while a call is in flight, `ZERO` if all are
    /// home.
    pub(super) fn last_return(&self) -> Time {
        let ends = self.leases.iter().map(|lease| lease.returns);
        ends.max().unwrap_or(Time::ZERO)
    }
}
