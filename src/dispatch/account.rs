//! One account and region, as everybody sees it: its engine, and what its task hears.
//!
//! Locks: the engine's comes before a channel's. So nobody who holds a channel asks the engine;
//! what a channel needs of its account is published beside it ([`Account::outlook`]).

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use engine::{AccountOutlook, AccountPolicy, AccountStatus, ChannelId, ChannelStatus, Span, Time};
use tokio::sync::Notify;

use super::home::Home;
use super::shared::Shared;
use super::unavailable::Unavailable;
use crate::lifecycle::Supervisor;

/// An account in a region; `C`: its channels, which its task is told of.
pub struct Account<C> {
    /// The account's id: 12 digits.
    pub id: String,
    /// The region.
    pub region: String,
    /// Channels whose queues have something new to say.
    woken: Mutex<Vec<Arc<C>>>,
    /// Rung when there is anything new.
    bell: Notify,
    engine: Mutex<engine::Account>,
    /// Its task makes no calls.
    quiet: AtomicBool,
    /// Where what belongs to it is kept; none: another node has it.
    home: RwLock<Option<Arc<Home>>>,
    /// How the engine's account stood when it was last let go.
    outlook: Mutex<AccountOutlook>,
    /// Why the account cannot send, if it cannot.
    trouble: Mutex<Option<String>>,
    /// When a call was last permitted, in µs of the engine's clock; 0: never.
    permitted: AtomicU64,
    supervisor: Supervisor,
}

/// How long a delivery says that the account may send: if all calls since are refused, it may not.
const PERMITTED_FOR: Span = Span::from_millis(10_000);

impl<C> Account<C> {
    pub(super) fn new(
        id: &str,
        region: &str,
        policy: AccountPolicy,
        payload_max: usize,
        shared: &Shared,
    ) -> Self {
        let home = shared.homes.of(id, region);
        let engine = match &home {
            Some(home) => home.past.account(policy, payload_max),
            None => engine::Account::new(policy, Time::ZERO, payload_max),
        };
        Self {
            id: id.to_owned(),
            region: region.to_owned(),
            woken: Mutex::default(),
            bell: Notify::new(),
            outlook: Mutex::new(engine.outlook()),
            engine: Mutex::new(engine),
            quiet: AtomicBool::new(false),
            home: RwLock::new(home),
            trouble: Mutex::default(),
            permitted: AtomicU64::new(0),
            supervisor: shared.supervisor.clone(),
        }
    }

    /// Where what belongs to it is kept.
    pub(super) fn home(&self) -> Result<Arc<Home>, Unavailable> {
        let home = self.home.read().unwrap_or_else(PoisonError::into_inner);
        home.clone().ok_or(Unavailable::Elsewhere)
    }

    /// It is at home here from now on, or no longer.
    pub(super) fn set_home(&self, home: Option<&Arc<Home>>) {
        *self.home.write().unwrap_or_else(PoisonError::into_inner) = home.cloned();
    }

    /// It begins again, knowing of no call but what that home's past has left.
    pub(super) fn begin(&self, policy: AccountPolicy, home: Option<&Home>) {
        let mut engine = self.engine();
        let payload_max = engine.payload_max();
        *engine = match home {
            Some(home) => home.past.account(policy, payload_max),
            None => engine::Account::new(policy, Time::ZERO, payload_max),
        };
        drop(engine);
        self.quiet.store(home.is_none(), Ordering::Release);
    }

    /// Its task makes no more calls.
    pub(super) fn quiet_down(&self) {
        self.quiet.store(true, Ordering::Release);
    }

    /// Whether its task makes no calls.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// A call was permitted: delivered, throttled or refused for another reason.
    pub(super) fn permitted(&self, now: Time) {
        self.permitted.store(now.micros().max(1), Ordering::Relaxed);
    }

    /// Whether one was of late: then what refuses another call is not the account's permissions.
    pub(super) fn was_permitted_lately(&self, now: Time) -> bool {
        let last = self.permitted.load(Ordering::Relaxed);
        last != 0 && now.since(Time::from_micros(last)) < PERMITTED_FOR
    }

    /// The account's task looks at the channel.
    pub(super) fn wake(&self, channel: Arc<C>) {
        self.lock_woken().push(channel);
        self.ring();
    }

    /// There is something new: a call was answered, or the account changed under its task.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Returns when there was something new.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The channels that were woken since this was last asked.
    pub(super) fn take_woken(&self) -> Vec<Arc<C>> {
        std::mem::take(&mut *self.lock_woken())
    }

    fn lock_woken(&self) -> MutexGuard<'_, Vec<Arc<C>>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's account, for work on it. Never called with a channel locked.
    pub(super) fn engine(&self) -> Engine<'_, C> {
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
        self.ring();
    }

    /// A page of the account's list of live streams was read.
    pub(super) fn list_read(&self, now: Time) {
        self.engine().list_read(now);
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
pub(super) struct Engine<'a, C> {
    account: &'a Account<C>,
    engine: MutexGuard<'a, engine::Account>,
}

impl<C> Deref for Engine<'_, C> {
    type Target = engine::Account;

    fn deref(&self) -> &engine::Account {
        &self.engine
    }
}

impl<C> DerefMut for Engine<'_, C> {
    fn deref_mut(&mut self) -> &mut engine::Account {
        &mut self.engine
    }
}

impl<C> Drop for Engine<'_, C> {
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
