//! One account and region, as everybody sees it: its engine, and what its task hears.
//!
//! Locks: the engine's comes before a channel's. So nobody who holds a channel asks the engine;
//! what a channel needs of its account is published beside it ([`Account::outlook`]).

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{AccountOutlook, AccountPolicy, AccountStatus, ChannelId, ChannelStatus, Span, Time};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::call::Call;
use super::channel::Channel;
use super::driver::Driver;
use super::shared::Shared;
use crate::journal::Ticket;
use crate::lifecycle::Supervisor;
use crate::upstream::Answer;

/// An account in a region.
pub struct Account {
    /// The account's id: 12 digits.
    pub id: String,
    /// The region.
    pub region: String,
    inbox: Mutex<Vec<News>>,
    bell: Notify,
    engine: Mutex<engine::Account>,
    /// How the engine's account stood when it was last let go.
    outlook: Mutex<AccountOutlook>,
    /// Why the account cannot send, if it cannot.
    trouble: Mutex<Option<String>>,
    /// When a call was last delivered, in µs of the engine's clock; 0: never.
    delivered: AtomicU64,
    supervisor: Supervisor,
}

/// How long a delivery says that the account may send: if all calls since are refused, it may not.
const PERMITTED_FOR: Span = Span::from_millis(10_000);

/// What the account's task is told.
pub(super) enum News {
    /// A queue has something new to say.
    Wake(Arc<Channel>),
    /// A call was answered, or its connection failed.
    Answered(Call, Answer, Duration),
    /// A call timed out.
    GaveUp(Call, Duration),
    /// A call that had timed out was answered after all.
    Late(Call, Answer),
    /// The account changed under the task: a pause, a reload.
    Look,
}

impl Account {
    pub(super) fn new(
        id: &str,
        region: &str,
        policy: AccountPolicy,
        payload_max: usize,
        shared: &Shared,
    ) -> Self {
        let engine = engine::Account::new(policy, shared.hold_until, payload_max);
        Self {
            id: id.to_owned(),
            region: region.to_owned(),
            inbox: Mutex::default(),
            bell: Notify::new(),
            outlook: Mutex::new(engine.outlook()),
            engine: Mutex::new(engine),
            trouble: Mutex::default(),
            delivered: AtomicU64::new(0),
            supervisor: shared.supervisor.clone(),
        }
    }

    /// A call was delivered.
    pub(super) fn delivered(&self, now: Time) {
        self.delivered.store(now.micros().max(1), Ordering::Relaxed);
    }

    /// Whether one was of late: then what refuses another call is not the account's permissions.
    pub(super) fn has_delivered_lately(&self, now: Time) -> bool {
        let last = self.delivered.load(Ordering::Relaxed);
        last != 0 && now.since(Time::from_micros(last)) < PERMITTED_FOR
    }

    /// Starts the account's task.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared>) -> JoinHandle<()> {
        let driver = Driver::new(Arc::clone(self), Arc::clone(shared));
        shared
            .supervisor
            .spawn("the task of an account", driver.run())
    }

    pub(super) fn wake(&self, channel: Arc<Channel>) {
        self.post(News::Wake(channel));
    }

    pub(super) fn post(&self, news: News) {
        self.inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(news);
        self.bell.notify_one();
    }

    /// What the task was told since it last asked.
    pub(super) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when there are news.
    pub(super) async fn news(&self) {
        self.bell.notified().await;
    }

    /// The engine's account, for work on it. Never called with a channel locked.
    pub(super) fn engine(&self) -> Engine<'_> {
        let engine = self.engine.lock();
        Engine {
            account: self,
            engine: engine.unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// How the account stands, for whoever has a channel locked.
    pub(super) fn outlook(&self) -> AccountOutlook {
        *self.lock_outlook()
    }

    fn lock_outlook(&self) -> MutexGuard<'_, AccountOutlook> {
        self.outlook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a channel.
    pub(super) fn channel_status(&self, now: Time, channel: ChannelId) -> ChannelStatus {
        self.engine().status(now, channel)
    }

    /// The state of the account.
    pub(super) fn status(&self, now: Time) -> AccountStatus {
        self.engine().account_status(now)
    }

    pub(super) fn set_policy(&self, now: Time, policy: AccountPolicy, payload_max: usize) {
        let mut engine = self.engine();
        engine.set_policy(now, policy);
        engine.set_payload_max(payload_max);
        drop(engine);
        self.post(News::Look);
    }

    /// Pauses a channel or lets it go on. The engine owns the pause; the channel's own note is
    /// its copy, and is only written here, under the engine's lock, so that the two agree
    /// whoever pauses and resumes at once.
    pub(super) fn set_paused(
        &self,
        shared: &Shared,
        now: Time,
        channel: &Arc<Channel>,
        since: Option<Time>,
    ) -> Ticket {
        let mut engine = self.engine();
        if since.is_some() {
            engine.pause(now, channel.id);
        } else {
            engine.resume(now, channel.id);
        }
        let ((), ticket) = channel.change(shared, |state| state.set_paused(since));
        drop(engine);
        self.post(News::Look);
        ticket
    }

    /// A notice says that a channel's stream began, or that it ended.
    pub(super) fn hint(&self, now: Time, channel: &Arc<Channel>, is_live: bool) {
        if is_live {
            self.engine().hint_live(now, channel.id);
        } else {
            self.engine().hint_ended(now, channel.id);
        }
        channel.wake();
    }

    /// A page of the account's list of live streams was read.
    pub(super) fn list_read(&self, now: Time) {
        self.engine().list_read(now);
    }

    /// A page of the list that was asked for at `asked` has the channel's stream.
    pub(super) fn listed(&self, now: Time, channel: &Arc<Channel>, asked: Time) {
        self.engine().listed(now, channel.id, asked);
        channel.wake();
    }

    /// The whole list, begun at `began`, does not have the channel's stream.
    pub(super) fn not_listed(&self, now: Time, channel: &Arc<Channel>, began: Time) {
        if self.engine().not_listed(now, channel.id, began) {
            channel.wake();
        }
    }

    /// Most bytes of a payload.
    pub(super) fn payload_max(&self) -> usize {
        self.engine().payload_max()
    }

    /// Why the account cannot send, if it cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        let mut current = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*current, &trouble) {
            (None, Some(reason)) => {
                tracing::error!(account = %self.id, region = %self.region, %reason, "the account cannot send");
            }
            (Some(_), None) => {
                tracing::info!(account = %self.id, region = %self.region, "the account can send again");
            }
            _ => {}
        }
        *current = trouble;
    }
}

/// The engine's account, locked. Letting go of it publishes how the account stands.
pub(super) struct Engine<'a> {
    account: &'a Account,
    engine: MutexGuard<'a, engine::Account>,
}

impl Deref for Engine<'_> {
    type Target = engine::Account;

    fn deref(&self) -> &engine::Account {
        &self.engine
    }
}

impl DerefMut for Engine<'_> {
    fn deref_mut(&mut self) -> &mut engine::Account {
        &mut self.engine
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if self
            .account
            .supervisor
            .left_half_done("a change of an account")
        {
            return;
        }
        *self.account.lock_outlook() = self.engine.outlook();
    }
}
