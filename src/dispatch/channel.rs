//! One channel: its queue behind its lock, and what hangs on the queue.
//!
//! Every change goes through [`Channel::lock`], which keeps the process's books straight
//! afterwards: memory, waiting producers, and whether the account's task must be woken.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use engine::{ChannelCondition, ChannelId, ChannelOutlook, Health, Ledger, Payload, Queue, Time};
use tokio::sync::broadcast;

use super::account;
use super::aggregate::Counted;
use super::commits::Commits;
use super::definitions::{ListedBy, Listing};
use super::home::{AccountKey, Home, key};
use super::hooks::Hooked;
use super::last_error::LastError;
use super::notices::Noticed;
use super::origins::Origins;
use super::own_definition::OwnDefinition;
use super::receipts::{self, Receipts};
use super::recent::Delivered;
use super::shared::Shared;
use super::unavailable::Unavailable;
use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::journal::{Beside, Drained, Pause, Source, Ticket};
use crate::telemetry::spans::Origin;
use crate::telemetry::warnings::Warning;
use crate::telemetry::{ChannelState, Meters};

/// Payloads a subscriber may fall behind before it misses some: several seconds of a channel
/// at full pace.
const STREAM_BACKLOG: usize = 64;

/// The account of a channel.
pub(super) type Account = account::Account<Channel>;

/// A channel that is known.
pub struct Channel {
    pub(super) id: ChannelId,
    pub(super) arn: ChannelArn,
    pub(super) account: Arc<Account>,
    /// How it is listed, if it is.
    listing: RwLock<Option<Listing>>,
    /// Metrics may say something else of it than at the last scrape.
    stirred: AtomicBool,
    /// The account's task has been told and has not looked yet.
    woken: AtomicBool,
    /// It is a member of the journal's open group.
    joined: AtomicBool,
    state: Mutex<State>,
}

/// Where those who follow a channel's payloads get them from.
pub(super) type Payloads = broadcast::Sender<Arc<Delivered>>;

pub(super) struct State {
    /// Where it is kept; none: another node has its account, and nothing is to be done with it here.
    home: Option<Arc<Home>>,
    pub queue: Queue,
    /// What metrics have of it.
    pub counted: Counted,
    /// The queue's events and footprint as they stand in the process's totals.
    totalled: (usize, usize),
    /// The losses that were counted for the log.
    lost: Lost,
    pub payloads: Option<Payloads>,
    /// How its events with an id end, while somebody asks.
    pub receipts: Option<Box<Receipts>>,
    /// The webhooks that are told how they end.
    hooked: Hooked,
    pub last_error: Option<Box<LastError>>,
    /// Since when an operator has it paused.
    /// A copy of what the account's engine owns; only [`Channel::set_paused`] writes it.
    paused: Option<Time>,
    /// The journal has not heard yet that it was paused or resumed.
    pause_changed: bool,
    /// What it is by API.
    pub definition: OwnDefinition,
    /// Its calls that may still be handled, as the account's engine last said.
    open: u32,
    /// The same, as the journal last heard.
    open_heard: u32,
    /// How the channel stood, as the account's engine last said.
    pub outlook: ChannelOutlook,
    /// The last call that was answered was refused for want of a permission: the payload is given
    /// up, so that to the engine nothing is wrong with the channel.
    pub denied: bool,
    /// The newest notices about its stream.
    pub noticed: Option<Box<Noticed>>,
    /// Events were placed anew: the journal writes all of them anew.
    anew: bool,
    /// The requests of what is queued, while traces are exported.
    origins: Option<Box<Origins>>,
}

impl State {
    /// Of a channel that is kept there.
    fn new(arn: &ChannelArn, home: Option<Arc<Home>>, queue: Queue) -> Self {
        let letters = home.as_ref().map(|home| &home.letters);
        let last_error = letters.and_then(|letters| letters.error_of(arn.as_str()));
        Self {
            home,
            queue,
            counted: Counted::default(),
            totalled: (0, 0),
            lost: Lost::default(),
            payloads: None,
            receipts: None,
            hooked: Hooked::default(),
            last_error: last_error.map(Box::new),
            paused: None,
            pause_changed: false,
            definition: OwnDefinition::default(),
            open: 0,
            open_heard: 0,
            outlook: ChannelOutlook::default(),
            denied: false,
            noticed: None,
            anew: false,
            origins: None,
        }
    }

    /// The events accepted since the queue's next number was `first` came with this request.
    pub fn note(&mut self, origin: Option<Origin>, first: u64) {
        let numbers = first..self.queue.next_sequence();
        if let Some(origin) = origin.filter(|_| !numbers.is_empty()) {
            let origins = self.origins.get_or_insert_default();
            origins.add(numbers, origin, &self.queue);
        }
    }

    /// Whether its events wait for an operator or a stream, so that nobody knows how long.
    pub fn is_held(&self) -> bool {
        self.paused.is_some() || self.outlook.health == Health::Offline
    }

    /// Its state as operators see it.
    pub const fn shown(&self, health: Health) -> ChannelState {
        match health {
            _ if self.paused.is_some() => ChannelState::Paused,
            Health::Offline => ChannelState::Offline,
            Health::Failing => ChannelState::Failing,
            Health::Live if self.denied => ChannelState::Failing,
            Health::Live => ChannelState::Live,
        }
    }

    /// Where it is kept; none: another node has its account.
    pub const fn home(&self) -> Option<&Arc<Home>> {
        self.home.as_ref()
    }

    /// Since when an operator has it paused.
    pub const fn paused(&self) -> Option<Time> {
        self.paused
    }

    /// Notes that it is paused since then, or no longer; a second pause changes nothing.
    pub const fn set_paused(&mut self, since: Option<Time>) {
        if self.paused.is_some() != since.is_some() {
            self.paused = since;
            self.pause_changed = true;
        }
    }

    /// Notes how many of its calls may still be handled. For a call that is about to leave, before it
    /// does. Under the engine's lock only, so that the last word is the newest.
    pub const fn set_open(&mut self, calls: u32) {
        self.open = calls;
    }

    /// Whether the journal has to hear of it without anything else to be told.
    const fn open_changed(&self) -> bool {
        self.open != self.open_heard
    }

    /// What the journal hears of the open calls; none: it knows.
    fn tell_open(&mut self) -> Option<u32> {
        let open = self.open_changed().then_some(self.open);
        self.open_heard = self.open;
        open
    }

    /// Whether nothing of it need be kept.
    fn is_idle(&self) -> bool {
        self.queue.is_idle()
            && self.paused.is_none()
            && self.open == 0
            && self.definition.get().is_none()
    }

    /// What the journal hears of a pause.
    fn pause(&self) -> Pause {
        self.paused.map_or(Pause::Over, Pause::Since)
    }

    /// Places events with an `at` by the wall clock as it is believed now.
    fn follow(&mut self, clock: &Clock) {
        let origin = clock.wall_origin();
        if origin != self.queue.wall_origin() {
            self.anew |= self.queue.set_wall_origin(clock.now(), origin);
        }
    }

    /// The requests whose events are in a payload.
    pub fn origins_of(&self, payload: &Payload) -> Vec<Origin> {
        let origins = self.origins.as_ref();
        origins.map_or_else(Vec::new, |origins| origins.of(payload.id, &self.queue))
    }
}

impl Channel {
    pub(super) fn new(
        id: ChannelId,
        arn: ChannelArn,
        account: Arc<Account>,
        home: Option<Arc<Home>>,
        queue: Queue,
        label: Option<Arc<str>>,
    ) -> Self {
        let state = State {
            counted: Counted::new(label),
            ..State::new(&arn, home, queue)
        };
        Self {
            id,
            arn,
            account,
            listing: RwLock::default(),
            stirred: AtomicBool::new(true),
            woken: AtomicBool::new(false),
            joined: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// It is kept there from now on, with this queue; none: another node has its account, and the queue
    /// is empty. Whoever follows its payloads or ends has to look for that node.
    pub(super) fn settle(
        self: &Arc<Self>,
        shared: &Shared,
        home: Option<&Arc<Home>>,
        mut queue: Queue,
    ) {
        let mut locked = self.lock(shared);
        let before = &mut *locked.state;
        queue.succeed(&before.queue);
        *before = State {
            counted: std::mem::take(&mut before.counted),
            totalled: before.totalled,
            lost: before.lost,
            ..State::new(&self.arn, home.cloned(), queue)
        };
        // Of another journal.
        self.joined.store(false, Ordering::Release);
    }

    /// Nothing more of it is told to a journal.
    pub(super) fn unsettle(self: &Arc<Self>, shared: &Shared) {
        let mut locked = self.lock(shared);
        locked.state.home = None;
        locked.state.definition.recall(None);
    }

    /// The channel's ARN.
    #[must_use]
    pub const fn arn(&self) -> &ChannelArn {
        &self.arn
    }

    /// The account that it is of.
    #[must_use]
    pub fn account_key(&self) -> AccountKey {
        key(&self.arn)
    }

    /// Its alias, if it is listed.
    #[must_use]
    pub fn alias(&self) -> Option<Arc<str>> {
        let listing = self.listing();
        listing.as_ref().map(|listing| Arc::clone(&listing.alias))
    }

    /// Where it is listed, if it is.
    pub(super) fn listed_by(&self) -> Option<ListedBy> {
        self.listing().as_ref().map(|listing| listing.by)
    }

    fn listing(&self) -> RwLockReadGuard<'_, Option<Listing>> {
        self.listing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number in this process.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.id
    }

    /// Gives it another name, which may be its label in metrics too.
    pub(super) fn set_listing(&self, shared: &Shared, listing: Option<&Listing>) {
        let mut state = self.lock_state();
        let State { queue, counted, .. } = &mut *state;
        let label = listing.and_then(Listing::label);
        shared.aggregates.relabel(counted, queue, label);
        drop(state);
        *self.listing.write().unwrap_or_else(PoisonError::into_inner) = listing.cloned();
        // After it has its name: webhooks may want it by that.
        self.lock_state().hooked.forget();
        self.stirs(true);
    }

    /// Whether metrics may say something else of it than at the last scrape.
    pub(super) fn is_stirred(&self) -> bool {
        self.stirred.load(Ordering::Acquire)
    }

    /// Says so, or no longer.
    pub(super) fn stirs(&self, stirs: bool) {
        self.stirred.store(stirs, Ordering::Release);
    }

    /// Locks the channel for work on it. Its queue goes by the account's present pace: an idle
    /// channel's own news of it may be hours old.
    pub(super) fn lock<'a>(self: &'a Arc<Self>, shared: &'a Shared) -> Locked<'a> {
        let mut state = self.lock_state();
        state.follow(&shared.clock);
        if state
            .hooked
            .follow(&shared.hooks, self.arn.as_str(), || self.alias())
        {
            let gives = state.receipts.is_some() || state.hooked.any();
            state.queue.give_receipts(gives);
        }
        let account = self.account.outlook();
        let link = ChannelCondition::of(shared.clock.now(), &state.outlook, &account);
        state.queue.set_condition(link);
        Locked {
            channel: self,
            shared,
            state,
            stirs: true,
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the channel under its lock.
    pub(super) fn with<R>(
        self: &Arc<Self>,
        shared: &Shared,
        work: impl FnOnce(&mut State) -> R,
    ) -> R {
        work(&mut self.lock(shared))
    }

    /// The same, for a scrape, which is not a reason to look at the channel at the next one.
    pub(super) fn look<R>(
        self: &Arc<Self>,
        shared: &Shared,
        work: impl FnOnce(&mut State) -> R,
    ) -> R {
        let mut locked = self.lock(shared);
        locked.stirs = false;
        work(&mut locked)
    }

    /// Locks the channel, if its account is at home here.
    pub(super) fn lock_here<'a>(
        self: &'a Arc<Self>,
        shared: &'a Shared,
    ) -> Result<Locked<'a>, Unavailable> {
        let locked = self.lock(shared);
        if locked.home.is_none() {
            return Err(Unavailable::Elsewhere);
        }
        Ok(locked)
    }

    /// Changes the channel under its lock, and says what makes the change last.
    pub(super) fn change<R>(
        self: &Arc<Self>,
        shared: &Shared,
        work: impl FnOnce(&mut State) -> R,
    ) -> Result<(R, Commits), Unavailable> {
        let mut locked = self.lock_here(shared)?;
        let result = work(&mut locked);
        let commits = locked.commits();
        Ok((result, commits))
    }

    /// The account's task is told to look, once until it does.
    pub(super) fn wake(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.account.wake(Arc::clone(self));
        }
    }

    /// The account's task looks now: news after this wake it again.
    pub(super) fn seen(&self) {
        self.woken.store(false, Ordering::Release);
    }

    /// Pauses it or lets it go on. The account's engine owns the pause; the channel's own note is
    /// its copy, and is only written here, under the engine's lock, so that the two agree
    /// whoever pauses and resumes at once.
    pub(super) fn set_paused(
        self: &Arc<Self>,
        shared: &Shared,
        now: Time,
        since: Option<Time>,
    ) -> Result<Commits, Unavailable> {
        let mut engine = self.account.engine();
        let ((), commits) = self.change(shared, |state| state.set_paused(since))?;
        if since.is_some() {
            engine.pause(now, self.id);
        } else {
            engine.resume(now, self.id);
        }
        drop(engine);
        self.account.ring();
        Ok(commits)
    }

    /// A process before this one left so many calls that may still be handled, and the journal has
    /// them. If its records count, they are this process's from when it heard of them; if not, the
    /// account's engine soon says so. Before the account's task hears of the channel.
    pub(super) fn inherit(&self, open: u32) {
        let heard = (self.lock_state().home.as_ref()).and_then(|home| home.past.heard());
        let mut engine = self.account.engine();
        if let Some(heard) = heard {
            engine.inherit(heard, [(self.id, open)]);
        }
        let mut state = self.lock_state();
        (state.open, state.open_heard) = (open, open);
    }

    /// A notice says that its stream began, or that it ended.
    pub(super) fn hint(self: &Arc<Self>, now: Time, is_live: bool) {
        if is_live {
            self.account.engine().hint_live(now, self.id);
        } else {
            self.account.engine().hint_ended(now, self.id);
        }
        self.wake();
    }

    /// A page of the account's list that was asked for at `asked` has its stream.
    pub(super) fn listed(self: &Arc<Self>, now: Time, asked: Time) {
        self.account.engine().listed(now, self.id, asked);
        self.wake();
    }

    /// The whole list, begun at `began`, does not have its stream.
    pub(super) fn not_listed(self: &Arc<Self>, now: Time, began: Time) {
        if self.account.engine().not_listed(now, self.id, began) {
            self.wake();
        }
    }

    /// Every payload delivered from now on.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        shared: &Shared,
    ) -> broadcast::Receiver<Arc<Delivered>> {
        self.with(shared, |state| {
            state
                .payloads
                .get_or_insert_with(|| broadcast::channel(STREAM_BACKLOG).0)
                .subscribe()
        })
    }
}

impl Source for Channel {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }

    fn join(&self) -> bool {
        !self.joined.swap(true, Ordering::AcqRel)
    }

    fn leave(&self) {
        self.joined.store(false, Ordering::Release);
    }

    fn take(&self) -> Drained {
        let mut state = self.lock_state();
        Drained {
            changes: state.queue.take_changes(),
            alive: state.queue.footprint(),
            anew: std::mem::take(&mut state.anew),
            beside: Beside {
                pause: std::mem::take(&mut state.pause_changed).then(|| state.pause()),
                open: state.tell_open(),
                defined: state.definition.news(),
            },
            is_idle: state.is_idle(),
            n_next: state.queue.next_n(),
        }
    }

    fn snapshot(&self) -> Drained {
        let mut state = self.lock_state();
        state.queue.take_changes();
        (state.anew, state.pause_changed) = (false, false);
        state.open_heard = state.open;
        Drained {
            changes: state.queue.snapshot(),
            beside: Beside {
                pause: state.paused.map(Pause::Since),
                open: Some(state.open).filter(|open| *open > 0),
                defined: state.definition.told(),
            },
            is_idle: state.is_idle(),
            alive: state.queue.footprint(),
            anew: false,
            n_next: state.queue.next_n(),
        }
    }
}

/// A locked channel. Letting go of it passes on what came of the work.
pub(super) struct Locked<'a> {
    channel: &'a Arc<Channel>,
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    /// Metrics have to look at it.
    stirs: bool,
}

impl Locked<'_> {
    /// What makes everything until now last, and what was before it.
    pub(super) fn commits(&self) -> Commits {
        let home = self.state.home.as_ref();
        home.map_or_else(Commits::default, |home| {
            Commits::of(&home.journal, self.mark(home))
        })
    }

    /// The channel's next group tells the journal that it is there.
    pub(super) fn tell(&self) {
        if let Some(home) = &self.state.home {
            self.mark(home);
        }
    }

    /// The channel has something for its journal.
    fn mark(&self, home: &Home) -> Ticket {
        let channel = || Arc::clone(self.channel) as Arc<dyn Source>;
        home.journal.mark(channel)
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    // Still under the lock, and safe there: the inbox and the waiters have locks of their own,
    // under which nobody ever locks a channel.
    fn drop(&mut self) {
        if self
            .shared
            .supervisor
            .left_half_done("a change of a channel")
        {
            return;
        }
        if self.stirs {
            self.channel.stirs(true);
        }
        if self.state.queue.has_dead() {
            // Before the changes that say so: an event may die twice, but is never lost.
            let dead = self.state.queue.take_dead();
            let error = self.state.last_error.as_deref();
            if let Some(home) = &self.state.home {
                let (clock, channel) = (&self.shared.clock, self.channel.arn.as_str());
                home.bury(clock, channel, &dead, error);
            }
        }
        let changed =
            self.state.queue.has_changes() || self.state.anew || self.state.open_changed();
        if changed {
            self.tell();
        }
        let state = &mut *self.state;
        let (events, bytes) = (state.queue.len(), state.queue.footprint());
        change(&self.shared.queued_events, state.totalled.0, events);
        change(&self.shared.queued_bytes, state.totalled.1, bytes);
        state.totalled = (events, bytes);
        state
            .lost
            .count(state.queue.ledger(), &self.shared.meters, &self.channel.arn);
        if events == 0 {
            state.origins = None;
        }
        self.shared.waiters.tell(&state.queue.take_ended());
        let (queue, hooked) = (&mut state.queue, &state.hooked);
        let (clock, recent) = (&self.shared.clock, &self.shared.receipts);
        let id = self.channel.id;
        receipts::pass_on(&mut state.receipts, hooked, queue, clock, recent, id);
        if state.queue.wake() {
            self.channel.wake();
        }
    }
}

/// Events that did not reach a viewer, by how they ended.
#[derive(Clone, Copy, Default)]
struct Lost {
    expired: u64,
    evicted: u64,
    dead_lettered: u64,
}

impl Lost {
    /// Counts what was lost since this was last called, for the log.
    fn count(&mut self, ledger: &Ledger, meters: &Meters, arn: &ChannelArn) {
        let dead_lettered = ledger.dead_lettered.iter().sum();
        for (warning, counted, now) in [
            (Warning::Expired, &mut self.expired, ledger.expired),
            (Warning::Evicted, &mut self.evicted, ledger.evicted),
            (
                Warning::DeadLettered,
                &mut self.dead_lettered,
                dead_lettered,
            ),
        ] {
            if *counted != now {
                let lost = now - std::mem::replace(counted, now);
                meters.warnings().count(warning, lost, arn.as_str());
            }
        }
    }
}

fn change(total: &AtomicUsize, from: usize, to: usize) {
    if to >= from {
        total.fetch_add(to - from, Ordering::Relaxed);
    } else {
        total.fetch_sub(from - to, Ordering::Relaxed);
    }
}
