//! Producers that wait for the ends of their events (`?wait=delivered`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{End, Ended};
use tokio::sync::Notify;

/// How the events of one request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The API took them.
    pub delivered: usize,
    /// A later event of their key took them in.
    pub merged: usize,
    /// Their TTL was over first.
    pub expired: usize,
    /// Taken back.
    pub cancelled: usize,
    /// The full queue gave their place to others.
    pub evicted: usize,
    /// They can never be delivered.
    pub dead_lettered: usize,
    /// Still queued.
    pub pending: usize,
}

impl Ends {
    /// Of all events together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            merged: self.merged + other.merged,
            expired: self.expired + other.expired,
            cancelled: self.cancelled + other.cancelled,
            evicted: self.evicted + other.evicted,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            pending: self.pending + other.pending,
        }
    }

    fn count(&mut self, end: End) {
        *match end {
            End::Delivered => &mut self.delivered,
            End::Merged => &mut self.merged,
            End::Expired => &mut self.expired,
            End::Cancelled => &mut self.cancelled,
            End::Evicted => &mut self.evicted,
            End::DeadLettered(_) => &mut self.dead_lettered,
        } += 1;
    }

    const fn total(&self) -> usize {
        self.delivered
            + self.merged
            + self.expired
            + self.cancelled
            + self.evicted
            + self.dead_lettered
    }
}

#[derive(Debug, Default)]
struct Waiting {
    ends: Mutex<Ends>,
    news: Notify,
}

/// Everyone who waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Arc<Waiting>>>,
}

impl Waiters {
    pub(super) fn register(self: &Arc<Self>) -> Waiter {
        // 0 stands for nobody.
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let waiting = Arc::new(Waiting::default());
        self.lock().insert(id, Arc::clone(&waiting));
        Waiter {
            id,
            waiting,
            waiters: Arc::clone(self),
        }
    }

    pub(super) fn tell(&self, ended: &[Ended]) {
        for ended in ended {
            let Some(waiting) = self.lock().get(&ended.waiter).cloned() else {
                continue;
            };
            waiting
                .ends
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .count(ended.end);
            waiting.news.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that waits. It is forgotten when this is dropped.
#[derive(Debug)]
pub struct Waiter {
    id: u64,
    waiting: Arc<Waiting>,
    waiters: Arc<Waiters>,
}

impl Waiter {
    /// For [`engine::Event::waiter`].
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The ends of `accepted` events: when all have ended, or after `timeout`.
    pub async fn ended(&self, accepted: usize, timeout: Duration) -> Ends {
        let all = async {
            while self.ends(accepted).pending > 0 {
                self.waiting.news.notified().await;
            }
        };
        let _ = tokio::time::timeout(timeout, all).await;
        self.ends(accepted)
    }

    fn ends(&self, accepted: usize) -> Ends {
        let ends = *self
            .waiting
            .ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ends {
            pending: accepted.saturating_sub(ends.total()),
            ..ends
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.lock().remove(&self.id);
    }
}
