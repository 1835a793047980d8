//! Who is told of the ends of events without asking: which channels' and which ends each webhook wants, and
//! what waits to be told to it.
//!
//! Ends are handed over under a channel's lock, so all that happens there is a bounded list that grows or
//! loses its oldest: a webhook that nobody answers costs that memory and nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use engine::Receipt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::config::WebhookSettings;
use crate::telemetry::warnings::Warning;
use crate::telemetry::{Meters, WebhookMeters};

/// The end of an event, and of which channel.
#[derive(Clone, Debug)]
pub struct NamedEnd {
    /// The channel's alias; its ARN, if it has none.
    pub channel: Arc<str>,
    /// How the event ended.
    pub receipt: Receipt,
}

/// Ends that are told together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In the order in which they came.
    pub ends: Vec<NamedEnd>,
    /// Ends that were not told since the last batch that was taken.
    pub dropped: u64,
}

impl Batch {
    /// What is not told if this is not.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.dropped + self.ends.len() as u64
    }
}

/// What waits to be told to one webhook.
pub struct Outbox {
    name: String,
    waiting: Mutex<Waiting>,
    /// Something came, or all of it is to be told now.
    news: Notify,
    counts: WebhookMeters,
    meters: Arc<Meters>,
}

struct Waiting {
    ends: VecDeque<NamedEnd>,
    most: usize,
    dropped: u64,
    /// When the first that waits came.
    since: Instant,
    /// Nobody wants any more of them.
    is_closed: bool,
    /// What is there is to be told at once, and no more comes.
    is_last: bool,
}

impl Outbox {
    /// Of the webhook of that name: nothing waits.
    #[must_use]
    pub fn new(name: &str, most: usize, meters: &Arc<Meters>) -> Self {
        Self {
            name: name.to_owned(),
            waiting: Mutex::new(Waiting {
                ends: VecDeque::new(),
                most,
                dropped: 0,
                since: Instant::now(),
                is_closed: false,
                is_last: false,
            }),
            news: Notify::new(),
            counts: meters.webhook(name),
            meters: Arc::clone(meters),
        }
    }

    /// So many may wait from now on.
    pub fn set_most(&self, most: usize) {
        let mut waiting = self.lock();
        waiting.most = most;
        let dropped = waiting.shorten();
        drop(waiting);
        self.count_dropped(dropped);
    }

    /// These have ended: the oldest that wait make room.
    fn push(&self, channel: &Arc<str>, receipts: impl Iterator<Item = Receipt>) {
        let mut waiting = self.lock();
        if waiting.ends.is_empty() {
            waiting.since = Instant::now();
        }
        waiting.ends.extend(receipts.map(|receipt| NamedEnd {
            channel: Arc::clone(channel),
            receipt,
        }));
        let dropped = waiting.shorten();
        drop(waiting);
        self.count_dropped(dropped);
        self.news.notify_one();
    }

    /// The next batch: `most` ends, or those that are there `wait` after the first came. None: no more
    /// comes.
    pub async fn next(&self, most: usize, wait: Duration) -> Option<Batch> {
        loop {
            let due = {
                let mut waiting = self.lock();
                let due = waiting.since + wait;
                let is_due = waiting.is_last || waiting.ends.len() >= most || due <= Instant::now();
                if !waiting.ends.is_empty() && is_due {
                    return Some(waiting.take(most));
                }
                if waiting.is_last {
                    return None;
                }
                (!waiting.ends.is_empty()).then_some(due)
            };
            match due {
                // What wakes it does not matter: it looks again.
                Some(due) => drop(timeout_at(due, self.news.notified()).await),
                None => self.news.notified().await,
            }
        }
    }

    /// A batch was taken.
    pub fn told(&self, batch: &Batch) {
        self.counts.delivered(batch.ends.len() as u64);
    }

    /// A batch is given up.
    pub fn not_told(&self, batch: &Batch) {
        self.lock().dropped += batch.weight();
        // What was dropped before it was counted then.
        self.count_dropped(batch.ends.len() as u64);
    }

    /// An attempt failed, for this reason.
    pub fn failed(&self, why: &str) {
        self.counts.failed();
        let latest = format!("{}: {why}", self.name);
        self.meters
            .warnings()
            .count(Warning::WebhookFailed, 1, &latest);
    }

    /// An attempt took so long.
    pub fn took(&self, time: Duration) {
        self.meters.webhook_took(time);
    }

    /// Nobody wants what waits and what comes, or they do again.
    pub fn close(&self, is_closed: bool) {
        let mut waiting = self.lock();
        waiting.is_closed = is_closed;
        let dropped = waiting.shorten();
        drop(waiting);
        self.count_dropped(dropped);
    }

    /// What waits is told at once, and then no more.
    pub fn finish(&self) {
        self.lock().is_last = true;
        self.news.notify_one();
    }

    fn count_dropped(&self, dropped: u64) {
        if dropped > 0 {
            self.counts.dropped(dropped);
            let warnings = self.meters.warnings();
            warnings.count(Warning::WebhookDropped, dropped, &self.name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The oldest go beyond what may wait; the answer is how many.
    fn shorten(&mut self) -> u64 {
        let most = if self.is_closed { 0 } else { self.most };
        let surplus = self.ends.len().saturating_sub(most);
        self.ends.drain(..surplus);
        self.dropped += surplus as u64;
        surplus as u64
    }

    fn take(&mut self, most: usize) -> Batch {
        let count = most.min(self.ends.len());
        let ends = self.ends.drain(..count).collect();
        // What stays has waited for as long as this batch was full.
        self.since = Instant::now();
        Batch {
            ends,
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}

/// A webhook as channels see it.
pub(super) struct Hook {
    settings: WebhookSettings,
    outbox: Arc<Outbox>,
}

impl Hook {
    fn wants_of(&self, names: [Option<&str>; 2]) -> bool {
        let globs = &self.settings.channels;
        let fits = |name: &str| globs.iter().any(|glob| glob.matches(name));
        names.into_iter().flatten().any(fits)
    }

    fn pass_on(&self, channel: &Arc<str>, receipts: &[Receipt]) {
        let wanted = |it: &&Receipt| self.settings.ends.contains(&it.end.name());
        let mut wanted = receipts.iter().filter(wanted).cloned().peekable();
        if wanted.peek().is_some() {
            self.outbox.push(channel, wanted);
        }
    }
}

/// All webhooks.
#[derive(Default)]
pub(super) struct Hooks {
    all: RwLock<Vec<Arc<Hook>>>,
    /// One more with every change, so that a channel sees at a glance whether it has to look.
    generation: AtomicU64,
}

impl Hooks {
    /// These are told from now on, and no others.
    pub(super) fn set(&self, hooks: impl Iterator<Item = (WebhookSettings, Arc<Outbox>)>) {
        let hooks = hooks.map(|(settings, outbox)| Arc::new(Hook { settings, outbox }));
        let hooks: Vec<_> = hooks.collect();
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = hooks;
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// The webhooks of one channel, as they were when it last looked.
#[derive(Default)]
pub(super) struct Hooked {
    generation: u64,
    told: Option<Box<Told>>,
}

/// Who is told of a channel's ends.
struct Told {
    /// What the channel is called there.
    name: Arc<str>,
    hooks: Vec<Arc<Hook>>,
}

impl Hooked {
    /// Looks again, if they have changed since; `alias` is asked for then. True: it may be other ones.
    pub(super) fn follow(
        &mut self,
        hooks: &Hooks,
        arn: &str,
        alias: impl FnOnce() -> Option<Arc<str>>,
    ) -> bool {
        let generation = hooks.generation();
        if self.generation == generation {
            return false;
        }
        self.generation = generation;
        let alias = alias();
        let names = [alias.as_deref(), Some(arn)];
        let all = hooks.all.read().unwrap_or_else(PoisonError::into_inner);
        let own = all.iter().filter(|it| it.wants_of(names));
        let hooks: Vec<_> = own.cloned().collect();
        drop(all);
        let name = alias.unwrap_or_else(|| arn.into());
        self.told = (!hooks.is_empty()).then(|| Box::new(Told { name, hooks }));
        true
    }

    /// The channel has another name: it looks again.
    pub(super) const fn forget(&mut self) {
        self.generation = u64::MAX;
    }

    /// Whether anybody is told.
    pub(super) const fn any(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn pass_on(&self, receipts: &[Receipt]) {
        if let Some(told) = &self.told {
            for hook in &told.hooks {
                hook.pass_on(&told.name, receipts);
            }
        }
    }
}

#[cfg(test)]
mod tests;
