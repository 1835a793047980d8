//! Which node makes the calls of an account and region: one node's part in it.
//!
//! Nodes share a database. Its lease says who owns the account, and under which [`Epoch`]. Every
//! commit of an owner carries its epoch, so that one who was replaced writes nothing, and a call
//! whose attempt is not committed does not leave. That is the fence, and no clock is part of it.
//! What is here decides only *when* to take, and *when* to stop.
//!
//! A node is told what it sees, and then asked for its next action until there is none:
//!
//! ```text
//! read, link, took, recovered, confirmed, fenced, stopped, drained, released  ->  step  ->  Action
//! ```
//!
//! - [`Ownership::read`] is called with every look at the database, about twice a second.
//! - [`Ownership::may_call`] is asked right before every call.
//! - [`Ownership::wake`] says when to step next if nothing happens.
//!
//! When another node takes:
//!
//! - The lease was released: at once.
//! - The link to the owner is down **and** its beat has not moved for `take_after`.
//! - The owner's beat has not moved for `lease`, whatever the link says.
//!
//! Always a random pause later, so that nodes rarely take at the same time; a longer one for a node that
//! owns more. A wrong suspicion costs a second without calls and never a limit.
//!
//! The clock must count while the machine sleeps (`CLOCK_BOOTTIME`): an owner that slept must not
//! believe that its last commit is fresh.

mod rival;

use crate::time::{Span, Time};
use rival::Rival;

/// An answer that the database gave so long ago says nothing about who owns now.
const MARGIN: Span = Span::SECOND;

/// One life of a process. A restart of the same node is another life: its predecessor's lease is
/// not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// The number of a take. It grows by one with every take of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What a look at the database showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The epoch of the lease.
    pub epoch: Epoch,
    /// Its owner; none: it was released, or never taken.
    pub owner: Option<NodeId>,
    /// The owner's beat: a number that moves as long as the owner lives.
    pub beat: u64,
}

/// When nodes take, and how long an owner believes that it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnershipRules {
    /// So long must the beat of an owner stand still whose link is down. 1.5 s by default.
    pub take_after: Span,
    /// So long must the beat of any owner stand still. 6 s by default, 3 s at least.
    pub lease: Span,
    /// The random pause before a take is at most this, and as much longer for each account that the
    /// node owns already. 0.3 s by default.
    pub pause: Span,
}

impl Default for OwnershipRules {
    fn default() -> Self {
        Self {
            take_after: Span::from_millis(1500),
            lease: Span::from_millis(6000),
            pause: Span::from_millis(300),
        }
    }
}

/// Where a node is with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipState {
    /// Another node owns the account, or nobody.
    Other,
    /// Another node owns it, and seems to be gone.
    Suspect,
    /// The answer to this node's take is awaited.
    Taking,
    /// The node owns it and reads what its predecessor left.
    Recovering,
    /// The node accepts events and makes no calls: those of its predecessor still count.
    Holding,
    /// The node accepts events and makes calls.
    Owning,
    /// The node hands it over: calls are awaited, none is made.
    Releasing,
    /// Another node took it: everything of it is to be dropped.
    Fenced,
}

/// The answer to a take or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lease was changed.
    Done,
    /// It was not, because its epoch was another one.
    TooLate,
    /// Nobody knows: the connection broke, the time was over, or the standby did not confirm.
    Doubtful,
}

/// What the embedder is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the database now, beside the regular looks.
    Read,
    /// Take the lease if its epoch is still `seen`, under the epoch that follows. The answer goes to
    /// [`Ownership::took`].
    Take {
        /// The epoch that is replaced.
        seen: Epoch,
    },
    /// Read the log and go on from it; then [`Ownership::recovered`]. What the predecessor left is
    /// inherited as of `heard` ([`crate::Account::inherit`]).
    Recover {
        /// The node's own.
        epoch: Epoch,
        /// When this node learnt that it owns: no call of its predecessor is committed after that.
        heard: Time,
    },
    /// Make no calls, wait for those in flight, commit; then [`Ownership::drained`].
    Drain,
    /// Release the lease, with the leases that are left ([`crate::Account::leases`]). The answer goes
    /// to [`Ownership::released`].
    Release {
        /// The node's own.
        epoch: Epoch,
    },
    /// Another node owns: drop queues and calls, write nothing; then [`Ownership::stopped`].
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    Taking {
        seen: Epoch,
        doubtful: bool,
    },
    Recovering {
        epoch: Epoch,
    },
    /// Calls are made from `calls_from` on.
    Owning {
        epoch: Epoch,
        calls_from: Time,
    },
    Releasing {
        epoch: Epoch,
        drained: bool,
    },
    Fenced,
}

/// One node's part in who owns an account and region.
#[derive(Clone, Debug)]
pub struct Ownership {
    me: NodeId,
    rules: OwnershipRules,
    state: State,
    /// What is known of the owner, while that is another one.
    rival: Rival,
    /// What was asked before this moment may be older than what this node did itself.
    asked_from: Time,
    /// When the last request was sent that the database confirmed to this node.
    confirmed: Time,
    /// The take that is due, once it is.
    due: Option<Time>,
    /// No take before this moment: the node was asked to hand the account over.
    abstains_until: Time,
    /// It is to be released as soon as that is possible.
    leaves: bool,
    todo: Option<Action>,
}

impl Ownership {
    /// A node that knows nothing yet.
    #[must_use]
    pub const fn new(me: NodeId, rules: OwnershipRules) -> Self {
        Self {
            me,
            rules,
            state: State::Watching,
            rival: Rival::UNKNOWN,
            asked_from: Time::ZERO,
            confirmed: Time::ZERO,
            due: None,
            abstains_until: Time::ZERO,
            leaves: false,
            todo: None,
        }
    }

    /// Where the node is at that moment.
    #[must_use]
    pub fn state(&self, now: Time) -> OwnershipState {
        match self.state {
            State::Watching if self.is_suspect() => OwnershipState::Suspect,
            State::Watching => OwnershipState::Other,
            State::Taking { .. } => OwnershipState::Taking,
            State::Recovering { .. } => OwnershipState::Recovering,
            State::Owning { calls_from, .. } if now < calls_from => OwnershipState::Holding,
            State::Owning { .. } => OwnershipState::Owning,
            State::Releasing { .. } => OwnershipState::Releasing,
            State::Fenced => OwnershipState::Fenced,
        }
    }

    /// The node's own epoch, from the take to the release or the fence.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        match self.state {
            State::Recovering { epoch }
            | State::Owning { epoch, .. }
            | State::Releasing { epoch, .. } => Some(epoch),
            State::Watching | State::Taking { .. } | State::Fenced => None,
        }
    }

    /// Whether a call may leave now whose attempt is committed. It may not where the database has
    /// confirmed nothing for `lease` less a second: another node may own by now, and the attempt
    /// would take one of the tokens that it withholds.
    #[must_use]
    pub fn may_call(&self, now: Time) -> bool {
        self.state(now) == OwnershipState::Owning
            && now.since(self.confirmed) + MARGIN < self.rules.lease
    }

    /// The database showed this when it was asked at `asked`.
    pub fn read(&mut self, now: Time, asked: Time, reading: Reading) {
        if asked < self.asked_from {
            return;
        }
        let is_mine = reading.owner == Some(self.me);
        match self.state {
            State::Watching => self.rival.read(asked, reading),
            State::Taking {
                doubtful: false, ..
            }
            | State::Fenced => {}
            State::Taking { seen, .. } if is_mine && reading.epoch > seen => {
                self.begin(now, reading.epoch);
            }
            State::Taking { .. } => {
                self.watch(now);
                self.rival.read(asked, reading);
            }
            State::Recovering { epoch } | State::Owning { epoch, .. } => {
                if !is_mine || reading.epoch != epoch {
                    self.fence();
                }
            }
            State::Releasing { epoch, drained } => {
                if !is_mine || reading.epoch != epoch {
                    // Ours if it is released under our epoch: the answer to the release was lost.
                    if drained && reading.owner.is_none() && reading.epoch == epoch {
                        self.left(now);
                    } else {
                        self.fence();
                    }
                } else if drained && self.todo.is_none() {
                    self.todo = Some(Action::Release { epoch });
                }
            }
        }
    }

    /// The link to that node is up, or it is down: refused, reset, or silent for a second.
    pub fn link(&mut self, to: NodeId, is_up: bool) {
        self.rival.link(to, is_up);
    }

    /// The database confirmed a commit under this node's epoch, or its beat, that was sent then.
    pub fn confirmed(&mut self, sent: Time) {
        self.confirmed = self.confirmed.max(sent);
    }

    /// The answer to [`Action::Take`].
    pub fn took(&mut self, now: Time, answer: Answer) {
        let State::Taking { seen, .. } = self.state else {
            return;
        };
        match answer {
            Answer::Done => self.begin(now, Epoch(seen.0 + 1)),
            Answer::TooLate => {
                self.watch(now);
                self.todo = Some(Action::Read);
            }
            Answer::Doubtful => {
                self.state = State::Taking {
                    seen,
                    doubtful: true,
                };
                self.asked_from = now;
                self.todo = Some(Action::Read);
            }
        }
    }

    /// The log was read; calls may be made from `calls_from` on, because what was inherited counts
    /// until then.
    pub fn recovered(&mut self, calls_from: Time) {
        let State::Recovering { epoch } = self.state else {
            return;
        };
        self.state = State::Owning { epoch, calls_from };
        if self.leaves {
            self.drain();
        }
    }

    /// A commit under that epoch wrote nothing, because the lease has another.
    pub fn fenced(&mut self, epoch: Epoch) {
        if self.epoch() == Some(epoch) {
            self.fence();
        }
    }

    /// Everything of the account was dropped, as [`Action::Stop`] asked.
    pub fn stopped(&mut self, now: Time) {
        if self.state == State::Fenced {
            self.watch(now);
        }
    }

    /// Hands the account over, now or as soon as it is the node's; if it is not, the node does not
    /// take it. Either way it takes it again after a lease's time at the earliest.
    pub fn release(&mut self, now: Time) {
        self.abstains_until = now + self.rules.lease;
        match self.state {
            State::Owning { .. } => self.drain(),
            State::Taking { .. } | State::Recovering { .. } => self.leaves = true,
            State::Watching | State::Releasing { .. } | State::Fenced => {}
        }
    }

    /// No call is in flight, and all is committed, as [`Action::Drain`] asked.
    pub fn drained(&mut self) {
        if let State::Releasing { epoch, .. } = self.state {
            self.state = State::Releasing {
                epoch,
                drained: true,
            };
            self.todo = Some(Action::Release { epoch });
        }
    }

    /// The answer to [`Action::Release`].
    pub fn released(&mut self, now: Time, answer: Answer) {
        let State::Releasing { drained: true, .. } = self.state else {
            return;
        };
        match answer {
            Answer::Done => self.left(now),
            Answer::TooLate => self.fence(),
            Answer::Doubtful => {
                self.asked_from = now;
                self.todo = Some(Action::Read);
            }
        }
    }

    /// The next thing to do, if there is one now. `random` is uniform over all of `u64`; `owned` is
    /// how many accounts the node owns.
    pub fn step(&mut self, now: Time, random: u64, owned: u32) -> Option<Action> {
        if let Some(action) = self.todo.take() {
            return Some(action);
        }
        let State::Watching = self.state else {
            return None;
        };
        if !self.is_ripe() {
            self.due = None;
            return None;
        }
        let due = *self
            .due
            .get_or_insert_with(|| now + pause(self.rules.pause, random, owned));
        let seen = self.rival.epoch()?;
        if now < due.max(self.abstains_until) {
            return None;
        }
        self.due = None;
        self.state = State::Taking {
            seen,
            doubtful: false,
        };
        Some(Action::Take { seen })
    }

    /// When to step next, if nothing is told before.
    #[must_use]
    pub fn wake(&self, now: Time) -> Time {
        match self.state {
            _ if self.todo.is_some() => now,
            State::Watching => self
                .due
                .map_or(Time::NEVER, |due| due.max(self.abstains_until)),
            State::Owning { calls_from, .. } if now < calls_from => calls_from,
            _ => Time::NEVER,
        }
    }

    /// Whether the lease is to be taken, by what is known of it.
    fn is_ripe(&self) -> bool {
        self.rival.is_vacant(self.me)
            || self.rival.silence() >= self.rules.lease
            || self.rival.is_cut_off() && self.rival.silence() >= self.take_after()
    }

    fn is_suspect(&self) -> bool {
        !self.rival.is_vacant(self.me)
            && (self.rival.is_cut_off() || self.rival.silence() >= self.rules.take_after)
    }

    /// Doubled where the account was taken twice within a minute: nodes that suspect each other
    /// wrongly are to leave it in peace.
    fn take_after(&self) -> Span {
        let after = self.rules.take_after;
        if self.rival.changes_often() {
            after.times(2).min(self.rules.lease)
        } else {
            after
        }
    }

    fn begin(&mut self, now: Time, epoch: Epoch) {
        self.state = State::Recovering { epoch };
        self.asked_from = now;
        self.confirmed = self.confirmed.max(now);
        self.todo = Some(Action::Recover { epoch, heard: now });
    }

    fn drain(&mut self) {
        if let State::Owning { epoch, .. } = self.state {
            self.leaves = false;
            self.state = State::Releasing {
                epoch,
                drained: false,
            };
            self.todo = Some(Action::Drain);
        }
    }

    fn left(&mut self, now: Time) {
        self.watch(now);
        self.abstains_until = self.abstains_until.max(now + self.rules.lease);
    }

    fn fence(&mut self) {
        self.leaves = false;
        self.state = State::Fenced;
        self.todo = Some(Action::Stop);
    }

    /// The node does not own; what it knows of the owner is out of date.
    fn watch(&mut self, now: Time) {
        self.state = State::Watching;
        self.asked_from = now;
        self.leaves = false;
        self.due = None;
        self.todo = None;
        self.rival.forget();
    }
}

/// The pause before a take: one of `most` at random, and `most` for each account that the node owns, up
/// to four.
fn pause(most: Span, random: u64, owned: u32) -> Span {
    let part = (u128::from(most.micros()) * u128::from(random)) >> 64;
    let part = Span::from_micros(u64::try_from(part).unwrap_or(u64::MAX));
    most.times(u64::from(owned.min(4))) + part
}

#[cfg(test)]
mod tests;
