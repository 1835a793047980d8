//! What the edges call: find a channel, offer it events, ask after it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use engine::{EventState, Time};
use tokio::sync::Semaphore;
use tokio::sync::broadcast;

use super::channel::Channel;
use super::commits::Commits;
use super::definitions::Definitions;
use super::ends::EndsFollower;
use super::home::{AccountKey, Holdings, Home, Homes};
use super::hooks::Outbox;
use super::peers::Others;
use super::receipts::{Gap, NumberedReceipt};
use super::recent::Delivered;
use super::registry::Registry;
use super::report::{AccountReport, ChannelReport};
use super::room::Remembered;
use super::scrape;
use super::shared::{Parts, Shared};
use super::unavailable::Unavailable;
use super::waiters::Waiter;
use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::config::{ChannelSettings, Settings, WebhookSettings};
use crate::journal::{Recovery, Room};
use crate::telemetry::{Meters, Snapshot};
use crate::upstream::Upstream;

/// The gateway as its edges see it.
pub struct Gateway {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Registry,
    pub(super) settings: RwLock<Arc<Settings>>,
    /// Which channels are listed, and where that is said. Whoever changes that, or the settings, holds it.
    pub(super) definitions: tokio::sync::Mutex<Definitions>,
    /// The other nodes of a cluster.
    pub(super) others: Others,
    /// Accounts whose owner has told its channels made by API since the start, and tells what changes.
    pub(super) heard: RwLock<HashSet<AccountKey>>,
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
    /// A gateway by itself, with what its journal holds in its queues; its account tasks run on the
    /// current tokio runtime.
    #[must_use]
    pub fn start(settings: Arc<Settings>, parts: Parts, holdings: Holdings) -> Arc<Self> {
        // Nobody else has the journal.
        let may_call = Box::new(|_| true);
        let (home, recovery) = Home::new(parts.clock.now(), holdings, &settings, may_call);
        Self::begin(settings, parts, Homes::One(Arc::new(home)), recovery)
    }

    /// A gateway that shares its accounts with other nodes. It has none before [`Gateway::adopt`].
    #[must_use]
    pub fn join(settings: Arc<Settings>, parts: Parts) -> Arc<Self> {
        let homes = Homes::Each(RwLock::default());
        Self::begin(settings, parts, homes, Recovery::default())
    }

    fn begin(settings: Arc<Settings>, parts: Parts, homes: Homes, recovery: Recovery) -> Arc<Self> {
        let mut gateway = Self {
            shared: Arc::new(Shared::new(parts, homes)),
            registry: Registry::default(),
            settings: RwLock::new(Arc::clone(&settings)),
            definitions: tokio::sync::Mutex::default(),
            others: Others::default(),
            heard: RwLock::default(),
            replaying: Mutex::default(),
            remembered: Mutex::default(),
            listing: Semaphore::const_new(1),
            draining_until: AtomicU64::new(0),
        };
        let abandon = settings.account_defaults.abandon;
        gateway
            .shared
            .set_timeouts(settings.upstream.call_timeout, abandon);
        let mut definitions = Definitions::default();
        gateway.open_all(&mut definitions, settings, recovery);
        *gateway.definitions.get_mut() = definitions;
        gateway.correct_letters();
        Arc::new(gateway)
    }

    /// In local mode the emulator must know a channel before its first event is sent; the answer is what it
    /// did not take, a line each.
    pub fn make_known(&self, channels: &[ChannelSettings]) -> Vec<String> {
        let emulator = self.shared.emulator.as_ref();
        emulator.map_or_else(Vec::new, |emulator| {
            emulator.make_known(&self.shared.upstream, channels)
        })
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
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

    /// What is counted where it happens.
    #[must_use]
    pub fn meters(&self) -> &Arc<Meters> {
        &self.shared.meters
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
    /// [`Unavailable`]: it is not known and may not be made, there are too many, or another node has its
    /// account.
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
        let channel = self.found(name)?;
        channel.account.home()?;
        Ok(channel)
    }

    /// The same where no other node is asked: a name that is not known here is unknown.
    ///
    /// # Errors
    /// As [`Gateway::channel`].
    pub fn channel_here(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
        let channel = self.named(name)?;
        channel.account.home()?;
        Ok(channel)
    }

    pub(super) fn found(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
        let is_name = || name.parse::<ChannelArn>().is_err();
        match self.named(name) {
            Err(Unavailable::UnknownChannel(_)) if is_name() && self.may_be_elsewhere() => {
                Err(Unavailable::Elsewhere)
            }
            found => found,
        }
    }

    fn named(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
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
                .map_err(|full| Unavailable::Overloaded(full.0)),
        }
    }

    /// Somebody who waits for the ends of events.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        self.shared.waiters.register()
    }

    /// What became of the event of that id, as far as it is remembered.
    pub fn event_state(&self, channel: &Arc<Channel>, id: &str) -> Option<EventState> {
        let now = self.now();
        channel.with(&self.shared, |state| state.queue.state_of(now, id))
    }

    /// Stops calls for a channel; its events wait, and expire. It holds at once, and over
    /// restarts once the commits are done.
    ///
    /// # Errors
    /// Another node has the channel's account.
    pub fn pause(&self, channel: &Arc<Channel>) -> Result<Commits, Unavailable> {
        self.set_paused(channel, Some(self.now()))
    }

    /// Lets calls for a channel go on.
    ///
    /// # Errors
    /// Another node has the channel's account.
    pub fn resume(&self, channel: &Arc<Channel>) -> Result<Commits, Unavailable> {
        self.set_paused(channel, None)
    }

    pub(super) fn set_paused(
        &self,
        channel: &Arc<Channel>,
        since: Option<Time>,
    ) -> Result<Commits, Unavailable> {
        channel.set_paused(&self.shared, self.now(), since)
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

    /// Follows the ends of a channel's events that have an id: from the receipt after `last` on as far as
    /// they are kept. Also: those that are kept, oldest first, and what is lost.
    #[must_use]
    pub fn ends(
        &self,
        channel: &Arc<Channel>,
        last: Option<u64>,
    ) -> (EndsFollower, Vec<Arc<NumberedReceipt>>, Gap) {
        EndsFollower::new(&self.shared, channel, last)
    }

    /// These webhooks are told from now on how events end, and no others.
    pub fn tell(&self, webhooks: impl Iterator<Item = (WebhookSettings, Arc<Outbox>)>) {
        self.shared.hooks.set(webhooks);
    }

    /// How a channel stands.
    #[must_use]
    pub fn report(&self, channel: &Arc<Channel>) -> ChannelReport {
        ChannelReport::of(&self.shared, &self.settings(), channel)
    }

    /// How up to `limit` channels of the accounts that are here stand that come after `after`, by name (an unlisted one's is
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
            .filter(|channel| !self.is_elsewhere(channel))
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

    /// How many channels are known of the accounts that are here.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        let channels = self.registry.channels();
        let here = channels.iter().filter(|it| !self.is_elsewhere(it));
        here.count()
    }

    /// Queues and accounts as they stand, for a scrape.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        scrape::snapshot(&self.shared, &self.registry)
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
        self.refuse(timeout);
        for account in self.registry.accounts() {
            account.engine().drain();
        }
    }

    /// Refuses new events from now on: what is queued goes to another node within `patience`.
    pub fn refuse(&self, patience: Duration) {
        let until = self.now() + patience.into();
        self.draining_until.store(until.micros(), Ordering::Release);
    }

    /// The API, for reads beside its calls.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.shared.upstream
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
        self.shared.homes.room()
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

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
