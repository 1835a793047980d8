//! Which posts become of an event, when they are due, and when a failed one is due again.
//!
//! Time and randomness are arguments: the time is what has gone by since some start, and the
//! draws are a function of the seed and of the order of events. Nothing here waits or sends.

use super::settings::Mishaps;
use crate::faults::SplitMix64;
use crate::limits::{EVENT_BACKOFF, EVENT_HOLD, MAX_EVENT_AGE, MAX_EVENT_TRIES, MAX_WAITING_POSTS};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A request that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) body: Bytes,
    /// When it was due for the first time.
    first_due: Duration,
    due: Duration,
    /// Of two that are due at once, the lower goes first.
    order: u64,
    tries: u32,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Post(Post),
    /// This one is older than `MAX_EVENT_AGE`.
    TooOld,
    /// Nothing is due before.
    WaitUntil(Duration),
    Idle,
}

/// What becomes of a post that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    TriedAgain,
    GivenUp,
}

/// The posts of one destination that are still to be made.
#[derive(Debug)]
pub(super) struct Schedule {
    mishaps: Mishaps,
    draws: SplitMix64,
    /// Of its own, so that a failing destination does not change what is drawn for events.
    jitter: SplitMix64,
    waiting: BinaryHeap<Post>,
    /// The posts of an event that the next one overtakes, until `due`.
    held: Vec<Post>,
    orders: u64,
}

impl Schedule {
    pub(super) fn new(mishaps: Mishaps) -> Self {
        Self {
            mishaps,
            draws: SplitMix64::new(mishaps.seed),
            jitter: SplitMix64::new(!mishaps.seed),
            waiting: BinaryHeap::new(),
            held: Vec::new(),
            orders: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING_POSTS
    }

    /// Takes an event; false if it is dropped. Whatever comes of it, five numbers are drawn,
    /// so that one probability does not change what another one hits.
    pub(super) fn take(&mut self, now: Duration, body: &Bytes) -> bool {
        let [dropped, repeated, overtaken] =
            [self.mishaps.drop, self.mishaps.repeat, self.mishaps.reorder]
                .map(|probability| self.draws.unit() < probability);
        let delays = [self.delay(), self.delay()];
        if dropped {
            return false;
        }
        let mut posts = Vec::with_capacity(2);
        for delay in &delays[..=usize::from(repeated)] {
            posts.push(self.post(now + *delay, body.clone()));
        }
        // Two neighbours change places; the one that overtakes is not held itself.
        if overtaken && self.held.is_empty() {
            for post in &mut posts {
                post.set_due(post.due.max(now + EVENT_HOLD));
            }
            self.held = posts;
            return true;
        }
        let overtaking = posts[0].due;
        self.waiting.extend(posts);
        for mut post in std::mem::take(&mut self.held) {
            post.order = self.next_order();
            post.set_due(overtaking);
            self.waiting.push(post);
        }
        true
    }

    /// What is to be done at this time. Due posts come one by one, in order.
    pub(super) fn next(&mut self, now: Duration) -> Next {
        if self.held.first().is_some_and(|post| post.due <= now) {
            // Nothing came that could overtake it.
            self.waiting
                .append(&mut std::mem::take(&mut self.held).into());
        }
        let held = self.held.first().map(|post| post.due);
        match self.waiting.peek().map(|post| post.due) {
            Some(due) if due <= now => match self.waiting.pop() {
                Some(post) if now.saturating_sub(post.first_due) > MAX_EVENT_AGE => Next::TooOld,
                Some(post) => Next::Post(post),
                None => Next::Idle,
            },
            due => match due.into_iter().chain(held).min() {
                Some(due) => Next::WaitUntil(due),
                None => Next::Idle,
            },
        }
    }

    /// A post failed in a way that may pass: it is tried again, with a growing wait of which
    /// half is drawn, `MAX_EVENT_TRIES` times in all.
    pub(super) fn failed(&mut self, now: Duration, mut post: Post) -> Failed {
        post.tries += 1;
        if post.tries >= MAX_EVENT_TRIES {
            return Failed::GivenUp;
        }
        let wait = EVENT_BACKOFF * 2_u32.pow(post.tries - 1);
        post.due = now + wait.mul_f64(f64::midpoint(1.0, self.jitter.unit()));
        self.waiting.push(post);
        Failed::TriedAgain
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = self.mishaps.delay;
        least + most.saturating_sub(least).mul_f64(self.draws.unit())
    }

    fn post(&mut self, due: Duration, body: Bytes) -> Post {
        Post {
            body,
            first_due: due,
            due,
            order: self.next_order(),
            tries: 0,
        }
    }

    fn next_order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }
}

impl Post {
    fn set_due(&mut self, due: Duration) {
        self.due = due;
        self.first_due = due;
    }
}

/// `BinaryHeap` gives its greatest first, so the earliest is the greatest.
impl Ord for Post {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

impl PartialOrd for Post {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
