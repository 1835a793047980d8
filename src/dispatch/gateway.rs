//! What the edges call: find a channel, offer it events, ask after it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use engine::{Admission, Cancelled, Event, EventState, Refusal, Replaced, Time};
use tokio::sync::Semaphore;
use tokio::sync::broadcast;

use super::channel::{Channel, Delivered, State};
use super::registry::Registry;
use super::report::{self, AccountReport, ChannelReport};
use super::room::Remembered;
use super::shared::{Parts, Shared};
use super::unavailable::Unavailable;
use super::waiters::Waiter;
use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::config::{ChannelSettings, Settings, UpstreamMode};
use crate::journal::{Failing, Recovery, Room, Ticket};
use crate::telemetry::Snapshot;
use crate::telemetry::spans::Origin;
use crate::upstream::AccountOptions;

/// When a client that met a bound of the whole process may try again, in ms.
const OVERLOADED_RETRY_MS: u64 = 1000;

/// A listed channel that could not be opened: it is unknown until another reload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel {name} could not be opened: the bound is reached of {bound}")]
pub struct NotOpened {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What there are too many of.
    bound: &'static str,
}

/// What became of events that are accepted all or none: the admissions in order, or the index
/// of the first that was refused, and why.
pub type AllOrNone = Result<(Vec<Admission>, Standing), (usize, Refusal)>;

/// How a channel stands after events were offered to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events queued: waiting, scheduled, held and in flight.
    pub queued: usize,
    /// How long they take at the channel's present pace and after what its next call waits for, in ms.
    leaves_ms: u64,
    /// They wait for an operator or a stream, and nobody knows how long.
    held: bool,
    /// The commit to wait for before anything of it is promised.
    pub ticket: Ticket,
}

impl Standing {
    /// How long what is queued takes, in ms; none while a channel is paused or offline.
    #[must_use]
    pub fn eta_ms(&self) -> Option<u64> {
        (!self.held).then_some(self.leaves_ms)
    }

    /// Of several channels: all that is queued, and the longest time.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            leaves_ms: self.leaves_ms.max(other.leaves_ms),
            held: self.held || other.held,
            ticket: self.ticket.max(other.ticket),
        }
    }
}

/// The gateway as its edges see it.
pub struct Gateway {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Registry,
    settings: RwLock<Arc<Settings>>,
    /// Held while dead letters are replayed.
    pub(super) replaying: Mutex<()>,
    /// Where ids are forgotten when memory is short.
    pub(super) remembered: Mutex<Remembered>,
    /// One list of what is queued at a time.
    pub(super) listing: Semaphore,
    /// When the drain is over, in µs of the engine's clock; 0: there is none.
    draining_until: AtomicU64,
}

impl Gateway {
    /// A gateway by these settings, with what the journal holds in its queues; its account
    /// tasks run on the current tokio runtime.
    #[must_use]
    pub fn start(settings: Arc<Settings>, parts: Parts, recovery: Recovery) -> Arc<Self> {
        // In aws mode a process before this one may have made calls that nobody knows of; the
        // emulator of local mode began with this process.
        let unknown = recovery.fresh && settings.upstream.mode == UpstreamMode::Aws;
        let hold_until = if recovery.unclean || unknown {
            parts.clock.now() + settings.tuning.restart_hold.into()
        } else {
            Time::ZERO
        };
        let gateway = Self {
            shared: Arc::new(Shared::new(parts, hold_until)),
            registry: Registry::default(),
            settings: RwLock::new(Arc::clone(&settings)),
            replaying: Mutex::default(),
            remembered: Mutex::default(),
            listing: Semaphore::const_new(1),
            draining_until: AtomicU64::new(0),
        };
        let abandon = settings.account_defaults.abandon;
        gateway
            .shared
            .set_timeouts(settings.upstream.call_timeout, abandon);
        let paused = gateway.take_back(&settings, recovery);
        for failed in gateway.apply(settings).iter().take(CHANNELS_TOLD) {
            tracing::error!("{failed}");
        }
        gateway.tell_paused(&paused);
        gateway.correct_letters();
        Arc::new(gateway)
    }

    /// Opens the channels of the journal, whether they are listed (still) or not: what was
    /// accepted is delivered. The answer is which are paused, and since when.
    fn take_back(&self, settings: &Settings, recovery: Recovery) -> Vec<(Arc<Channel>, Time)> {
        let mut paused = Vec::new();
        let listed = listed(settings);
        for kept in recovery.channels {
            let listed = listed.get(&kept.arn);
            let policy = listed.map_or(&settings.channel_defaults, |listed| &listed.policy);
            let label = listed.map(|listed| &listed.name);
            let made =
                self.registry
                    .make(&self.shared, settings, &kept.arn, policy, label, kept.queue);
            match made {
                Ok(channel) => {
                    // Before its account hears of it.
                    if let Some(since) = kept.paused {
                        self.set_paused(&channel, Some(since));
                        paused.push((Arc::clone(&channel), since));
                    }
                    // Its first group tells the journal that it is there again.
                    channel.lock(&self.shared).ticket();
                    // A queue that only has payloads to send again does not call by itself.
                    channel.wake();
                }
                Err(full) => {
                    tracing::error!(channel = %kept.arn, bound = full.0, "the channel could not be opened; its events stay in the journal");
                }
            }
        }
        paused
    }

    /// Puts changed settings in force. Queues and tokens stay as they are. The answer is which of
    /// the listed channels could not be opened: those without are as before.
    pub fn apply(&self, settings: Arc<Settings>) -> Vec<NotOpened> {
        self.shared.set_timeouts(
            settings.upstream.call_timeout,
            settings.account_defaults.abandon,
        );
        let now = self.now();
        for account in self.registry.accounts() {
            let policy = settings.account_policy(&account.id, &account.region);
            account.set_policy(now, policy, settings.quota.payload_max_bytes);
        }
        let failed = self.open_listed(&settings);
        self.registry
            .set_listed_accounts(&settings, &self.shared.meters);
        let listed = listed(&settings);
        for channel in self.registry.channels() {
            let listed = listed.get(&channel.arn);
            let policy = listed.map_or(&settings.channel_defaults, |listed| &listed.policy);
            let policy = Arc::clone(policy);
            let payload_max = channel.account.payload_max();
            channel.with(&self.shared, |state| {
                state.queue.set_policy(policy, payload_max);
            });
        }
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        failed
    }

    /// Opens the listed channels and gives them their names.
    fn open_listed(&self, settings: &Settings) -> Vec<NotOpened> {
        let known = settings.channels.iter().filter_map(|listed| {
            let channel = self.registry.by_arn(&listed.arn)?;
            Some((Arc::clone(&listed.name), channel))
        });
        let mut aliases: HashMap<_, _> = known.collect();
        if aliases.len() < settings.channels.len() {
            // Those that are listed no longer go first: they may have to make room.
            self.registry.set_aliases(&self.shared, aliases.clone());
        }
        let mut failed = Vec::new();
        for listed in &settings.channels {
            if aliases.contains_key(&listed.name) {
                continue;
            }
            let opened = self.registry.open(
                &self.shared,
                settings,
                &listed.arn,
                &listed.policy,
                Some(&listed.name),
            );
            match opened {
                Ok(channel) => drop(aliases.insert(Arc::clone(&listed.name), channel)),
                Err(full) => failed.push(NotOpened {
                    name: Arc::clone(&listed.name),
                    bound: full.0,
                }),
            }
        }
        self.registry.set_aliases(&self.shared, aliases);
        failed
    }

    /// Accounts that are called in a way of their own from now on, beside those of the start.
    pub fn add_accounts(&self, accounts: Vec<AccountOptions>) {
        self.shared.upstream.add_accounts(accounts);
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Most bytes of memory that all queues may take.
    pub(super) fn queue_limit(&self) -> usize {
        let settings = self.settings.read();
        let settings = settings.unwrap_or_else(PoisonError::into_inner);
        settings.limits.queue_total_bytes
    }

    /// The engine's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// The clocks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The channel of an alias or an ARN, if there is one already.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<Arc<Channel>> {
        let by_arn = || self.registry.by_arn(&name.parse().ok()?);
        self.registry.by_alias(name).or_else(by_arn)
    }

    /// The channel of an alias or an ARN.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not known and may not be made, or there are too many.
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
        if let Some(channel) = self.registry.by_alias(name) {
            return Ok(channel);
        }
        let Ok(arn) = name.parse::<ChannelArn>() else {
            return Err(Unavailable::UnknownChannel(
                "no channel has this name, and it is not a channel's ARN",
            ));
        };
        let settings = self.settings();
        let known = self.registry.by_arn(&arn);
        match known {
            Some(channel) if settings.unlisted.allowed || channel.alias().is_some() => Ok(channel),
            _ if !settings.unlisted.allowed => Err(Unavailable::UnknownChannel(
                "the channel is not listed, and channels.allow_unlisted is false",
            )),
            _ => self
                .registry
                .open(
                    &self.shared,
                    &settings,
                    &arn,
                    &settings.channel_defaults,
                    None,
                )
                .map_err(|full| overloaded(full.0)),
        }
    }

    /// Offers events to a channel in order, under one lock; one result an event.
    ///
    /// # Errors
    /// [`Unavailable`]: no event was looked at.
    pub fn offer(
        &self,
        channel: &Arc<Channel>,
        events: impl IntoIterator<Item = Event>,
        results: &mut Vec<Result<Admission, Refusal>>,
    ) -> Result<Standing, Unavailable> {
        self.check_room()?;
        let now = self.now();
        let origin = Origin::current();
        let (standing, ticket) = channel.change(&self.shared, |state| {
            let first = state.queue.next_sequence();
            results.extend(
                events
                    .into_iter()
                    .map(|event| state.queue.accept(now, event)),
            );
            state.note(origin, first);
            standing(state, now)
        });
        Ok(Standing { ticket, ..standing })
    }

    /// Offers events to any channels, all or none.
    ///
    /// # Errors
    /// [`Unavailable`]: no event was looked at.
    pub fn offer_all(&self, events: Vec<(Arc<Channel>, Event)>) -> Result<AllOrNone, Unavailable> {
        self.check_room()?;
        let mut channels: Vec<&Arc<Channel>> = events.iter().map(|(channel, _)| channel).collect();
        // Always locked in the order of their ids: no two requests wait for each other.
        channels.sort_by_key(|channel| channel.id);
        channels.dedup_by_key(|channel| channel.id);
        let channels: Vec<Arc<Channel>> = channels.into_iter().cloned().collect();
        let mut locked: Vec<_> = channels
            .iter()
            .map(|channel| channel.lock(&self.shared))
            .collect();
        let now = self.now();
        let origin = Origin::current();
        let firsts: Vec<u64> = locked
            .iter_mut()
            .map(|state| {
                state.queue.begin(now);
                state.queue.next_sequence()
            })
            .collect();
        let mut admissions = Vec::with_capacity(events.len());
        for (index, (channel, event)) in events.into_iter().enumerate() {
            let Ok(at) = channels.binary_search_by_key(&channel.id, |channel| channel.id) else {
                continue;
            };
            match locked[at].queue.accept(now, event) {
                Ok(admission) => admissions.push(admission),
                Err(refusal) => {
                    for state in &mut locked {
                        state.queue.roll_back();
                    }
                    return Ok(Err((index, refusal)));
                }
            }
        }
        let mut standings = Standing::default();
        for (state, first) in locked.iter_mut().zip(firsts) {
            state.queue.commit();
            state.note(origin, first);
            let ticket = state.ticket();
            let standing = standing(state, now);
            standings = standings.and(Standing { ticket, ..standing });
        }
        Ok(Ok((admissions, standings)))
    }

    /// Returns when what was offered or taken back will outlive the process, as far as the
    /// journal's mode promises.
    ///
    /// # Errors
    /// [`Unavailable::JournalFails`]: nothing is promised. Events may still be delivered.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), Unavailable> {
        let committed = self.shared.journal.committed(ticket).await;
        committed.map_err(|Failing| JOURNAL_FAILS)
    }

    pub(super) fn check_room(&self) -> Result<(), Unavailable> {
        match self.shared.journal.room() {
            Room::Enough => {}
            Room::Full => return Err(overloaded("journal.max_bytes, or the room on its disk,")),
            Room::Failing => return Err(JOURNAL_FAILS),
        }
        if self.has_queue_room() {
            Ok(())
        } else {
            Err(overloaded("limits.queue_total_bytes"))
        }
    }

    /// Somebody who waits for the ends of events.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        self.shared.waiters.register()
    }

    /// Offers an event in the place of the queued one of its id.
    ///
    /// # Errors
    /// [`Unavailable`]: the event was not looked at.
    pub fn replace(
        &self,
        channel: &Arc<Channel>,
        event: Event,
    ) -> Result<Result<(Replaced, Standing), Refusal>, Unavailable> {
        self.check_room()?;
        let now = self.now();
        let origin = Origin::current();
        let (replaced, ticket) = channel.change(&self.shared, |state| {
            let first = state.queue.next_sequence();
            let replaced = state.queue.replace(now, event)?;
            state.note(origin, first);
            Ok((replaced, standing(state, now)))
        });
        Ok(replaced.map(|(replaced, standing)| (replaced, Standing { ticket, ..standing })))
    }

    /// What became of the event of that id, as far as it is remembered.
    pub fn event_state(&self, channel: &Arc<Channel>, id: &str) -> Option<EventState> {
        let now = self.now();
        channel.with(&self.shared, |state| state.queue.state_of(now, id))
    }

    /// Takes an event back by its id.
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn cancel(&self, channel: &Arc<Channel>, id: &str) -> Result<Cancelled, Unavailable> {
        let now = self.now();
        let cancel = channel.change(&self.shared, |state| state.queue.cancel(now, id));
        self.durable(cancel.1).await.map(|()| cancel.0)
    }

    /// Takes back every queued event of that type and key (none: any).
    ///
    /// # Errors
    /// As [`Gateway::durable`].
    pub async fn purge(
        &self,
        channel: &Arc<Channel>,
        kind: Option<&str>,
        key: Option<&str>,
    ) -> Result<usize, Unavailable> {
        let now = self.now();
        let purge = channel.change(&self.shared, |state| state.queue.purge(now, kind, key));
        self.durable(purge.1).await.map(|()| purge.0)
    }

    /// Stops calls for a channel; its events wait, and expire. It holds at once, and over
    /// restarts from the commit of the ticket on.
    pub fn pause(&self, channel: &Arc<Channel>) -> Ticket {
        self.set_paused(channel, Some(self.now()))
    }

    /// Lets calls for a channel go on.
    pub fn resume(&self, channel: &Arc<Channel>) -> Ticket {
        self.set_paused(channel, None)
    }

    fn set_paused(&self, channel: &Arc<Channel>, since: Option<Time>) -> Ticket {
        let account = &channel.account;
        account.set_paused(&self.shared, self.now(), channel, since)
    }

    /// Tells which channels are paused since before the start.
    fn tell_paused(&self, paused: &[(Arc<Channel>, Time)]) {
        let now = self.now();
        for (channel, since) in paused.iter().take(PAUSES_TOLD) {
            let for_s = now.since(*since).as_duration().as_secs();
            tracing::warn!(channel = %channel.name(), for_s, "the channel is paused since before the start; resume it when it may send");
        }
        if paused.len() > PAUSES_TOLD {
            let channels = paused.len();
            tracing::warn!(
                channels,
                "so many channels are paused since before the start"
            );
        }
    }

    /// Looks after the wall clock for as long as it runs: when it was set, the events that wait
    /// for a moment of it are placed anew.
    pub async fn watch_clock(&self) {
        let mut applied = self.shared.clock.wall_origin();
        loop {
            tokio::time::sleep(CLOCK_LOOK).await;
            self.shared.clock.look();
            let origin = self.shared.clock.wall_origin();
            if origin == applied {
                continue;
            }
            let by_ms = origin.micros().saturating_sub(applied.micros()) / 1000;
            tracing::warn!(
                by_ms,
                "the wall clock was set; events with an `at` are placed anew"
            );
            applied = origin;
            self.correct_letters();
            for (nth, channel) in self.registry.channels().into_iter().enumerate() {
                // Whoever locks a channel places its events anew.
                if channel.with(&self.shared, |state| !state.queue.is_empty()) {
                    channel.wake();
                }
                if nth % CHANNELS_AT_ONCE == CHANNELS_AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The wall clock was set: dead letters died at another moment of it.
    fn correct_letters(&self) {
        if self.shared.letters.correct(&self.shared.clock.moment()) {
            self.shared.journal.mark_shelf();
        }
    }

    /// Every payload of a channel delivered from now on.
    #[must_use]
    pub fn payloads(&self, channel: &Arc<Channel>) -> broadcast::Receiver<Arc<Delivered>> {
        channel.subscribe(&self.shared)
    }

    /// The last payloads that were delivered to a channel, oldest first, as far as they are kept.
    #[must_use]
    pub fn recent_payloads(&self, channel: &Channel) -> Vec<Arc<Delivered>> {
        self.shared.recent.of(channel.id)
    }

    /// How a channel stands.
    #[must_use]
    pub fn report(&self, channel: &Arc<Channel>) -> ChannelReport {
        ChannelReport::of(&self.shared, &self.settings(), channel)
    }

    /// How up to `limit` channels stand that come after `after`, by name (an unlisted one's is
    /// its ARN), of those whose name or ARN contains `part`, whatever its case; and how many
    /// of these there are in all.
    #[must_use]
    pub fn find(
        &self,
        wanted: impl Fn(&str, &str) -> bool,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<ChannelReport>, usize) {
        let mut named: Vec<(Arc<str>, Arc<Channel>)> = self
            .registry
            .channels()
            .into_iter()
            .map(|channel| (channel.name(), channel))
            .filter(|(name, channel)| wanted(name, channel.arn.as_str()))
            .collect();
        let total = named.len();
        named.retain(|(name, _)| after.is_none_or(|after| &**name > after));
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named.truncate(limit);
        let settings = self.settings();
        let reports = named
            .iter()
            .map(|(_, channel)| ChannelReport::of(&self.shared, &settings, channel));
        (reports.collect(), total)
    }

    /// How many channels are known.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.registry.channels().len()
    }

    /// Queues and accounts as they stand, for a scrape.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        report::snapshot(&self.shared, &self.registry)
    }

    /// How the accounts stand.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountReport> {
        let now = self.now();
        self.registry
            .accounts()
            .iter()
            .map(|account| AccountReport::of(now, account))
            .collect()
    }

    /// Refuses new events from now on; queues may take `timeout` to leave.
    pub fn drain(&self, timeout: Duration) {
        let until = self.now() + timeout.into();
        self.draining_until.store(until.micros(), Ordering::Release);
    }

    /// Whether new events are refused because the process is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining_until.load(Ordering::Acquire) != 0
    }

    /// While draining: when the next process may be there, in ms from now.
    #[must_use]
    pub fn draining(&self) -> Option<u64> {
        let until = Time::from_micros(self.draining_until.load(Ordering::Acquire));
        (until != Time::ZERO).then(|| until.since(self.now()).millis_ceil().max(1000))
    }

    /// Returns when nothing is queued, or after `timeout`.
    pub async fn drained(&self, timeout: Duration) {
        let empty = async {
            while self.queued() > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        let _ = tokio::time::timeout(timeout, empty).await;
    }

    /// Whether the journal takes events.
    #[must_use]
    pub fn room(&self) -> Room {
        self.shared.journal.room()
    }

    /// How long everything queued takes at the present pace, in ms; none while any of it waits for
    /// an operator or a stream.
    #[must_use]
    pub fn eta_ms(&self) -> Option<u64> {
        let now = self.now();
        let eta = |channel: &Arc<Channel>| {
            channel.with(&self.shared, |state| {
                let depth = state.queue.depth(now);
                (depth.events == 0 || !state.is_held()).then(|| depth.leaves_in.millis_ceil())
            })
        };
        let channels = self.registry.channels();
        channels
            .iter()
            .map(eta)
            .try_fold(0, |longest, eta| Some(eta?.max(longest)))
    }

    /// Events queued, over all channels.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queued_events.load(Ordering::Relaxed)
    }

    /// Events delivered since the start.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    /// Ends the accounts' tasks: no call is made after this.
    pub fn stop(&self) {
        self.registry.stop();
    }
}

/// Listed channels that could not be opened and are told by name, for the same reason.
const CHANNELS_TOLD: usize = 20;

/// Paused channels that are told by name at a start: more would push everything else out of
/// sight.
const PAUSES_TOLD: usize = 20;

/// How often the wall clock is looked at: what was scheduled is placed anew within a second of a
/// step, also on a busy machine.
const CLOCK_LOOK: Duration = Duration::from_millis(250);

/// Channels that are looked at before other tasks may run: a fraction of a millisecond.
const CHANNELS_AT_ONCE: usize = 256;

/// The listed channels, by their ARNs: a show can list 100,000.
fn listed(settings: &Settings) -> HashMap<&ChannelArn, &ChannelSettings> {
    let listed = settings.channels.iter();
    listed.map(|listed| (&listed.arn, listed)).collect()
}

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

const JOURNAL_FAILS: Unavailable = Unavailable::JournalFails {
    retry_after_ms: OVERLOADED_RETRY_MS,
};

const fn overloaded(bound: &'static str) -> Unavailable {
    Unavailable::Overloaded {
        bound,
        retry_after_ms: OVERLOADED_RETRY_MS,
    }
}

fn standing(state: &mut State, now: Time) -> Standing {
    let depth = state.queue.depth(now);
    Standing {
        queued: depth.events,
        leaves_ms: depth.leaves_in.millis_ceil(),
        held: state.is_held(),
        ticket: Ticket::NONE,
    }
}
