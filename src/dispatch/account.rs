//! One account and region, as everybody sees it: its scheduler, and what its task hears.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{AccountPolicy, ChannelId, Scheduler, Time};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::call::Call;
use super::channel::Channel;
use super::driver::Driver;
use super::shared::Shared;
use crate::upstream::Answer;

/// An account in a region.
pub struct Account {
    /// The account's id: 12 digits.
    pub id: String,
    /// The region.
    pub region: String,
    inbox: Mutex<Vec<News>>,
    bell: Notify,
    scheduler: Mutex<Scheduler>,
    /// Most bytes of a payload, as configured.
    payload_max: AtomicUsize,
    /// The same, as the API taught; a reload does not make it forget.
    payload_max_learned: AtomicUsize,
    /// Why the account cannot send, if it cannot.
    trouble: Mutex<Option<String>>,
}

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
    /// The scheduler changed under the task: a pause, a reload.
    Look,
}

impl Account {
    pub(super) fn new(
        id: &str,
        region: &str,
        policy: AccountPolicy,
        hold_until: Time,
        payload_max: usize,
    ) -> Self {
        Self {
            id: id.to_owned(),
            region: region.to_owned(),
            inbox: Mutex::default(),
            bell: Notify::new(),
            scheduler: Mutex::new(Scheduler::new(policy, hold_until)),
            payload_max: AtomicUsize::new(payload_max),
            payload_max_learned: AtomicUsize::new(usize::MAX),
            trouble: Mutex::default(),
        }
    }

    /// Starts the account's task.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared>) -> JoinHandle<()> {
        let driver = Driver::new(Arc::clone(self), Arc::clone(shared));
        tokio::spawn(driver.run())
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

    /// The scheduler, for a look or a change of its rules.
    pub(super) fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_policy(&self, now: Time, policy: AccountPolicy) {
        self.scheduler().set_policy(now, policy);
        self.post(News::Look);
    }

    pub(super) fn set_paused(&self, now: Time, channel: ChannelId, paused: bool) {
        let mut scheduler = self.scheduler();
        if paused {
            scheduler.pause(now, channel);
        } else {
            scheduler.resume(now, channel);
        }
        drop(scheduler);
        self.post(News::Look);
    }

    /// Most bytes of a payload.
    pub(super) fn payload_max(&self) -> usize {
        let learned = self.payload_max_learned.load(Ordering::Relaxed);
        self.payload_max.load(Ordering::Relaxed).min(learned)
    }

    /// Changes the configured bound on payloads.
    pub(super) fn set_payload_max(&self, bytes: usize) {
        self.payload_max.store(bytes, Ordering::Relaxed);
    }

    /// The API taught a bound on payloads; the answer is whether that is new.
    pub(super) fn learn_payload_max(&self, bytes: usize) -> bool {
        self.payload_max_learned.fetch_min(bytes, Ordering::Relaxed) > bytes
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
                tracing::error!(account = %self.id, region = %self.region, %reason, "the account cannot send; events are kept and calls retried");
            }
            (Some(_), None) => {
                tracing::info!(account = %self.id, region = %self.region, "the account can send again");
            }
            _ => {}
        }
        *current = trouble;
    }
}
