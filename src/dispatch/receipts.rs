//! Those who follow the ends of a channel's events, and what is kept for one who comes back.
//!
//! A channel collects receipts from the moment somebody follows it until nobody has for
//! [`KEPT_FOR`]: a channel that nobody asks costs nothing.

use std::sync::Arc;

use engine::{ChannelId, Queue, Receipt, Span, Time};
use tokio::sync::broadcast;

use super::hooks::Hooked;
use super::recent::{Bounded, Recent};
use crate::clock::Clock;

/// Receipts that a follower may fall behind before it misses some: several full payloads, and
/// most batches.
const BACKLOG: usize = 4096;

/// A channel that nobody follows any more collects receipts this long, for one who comes back:
/// longer than a client waits between two tries.
const KEPT_FOR: Span = Span::from_millis(60_000);

/// A receipt, as it is numbered within its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedReceipt {
    /// One more than of the receipt before it; greater after every restart; below 2^53.
    pub number: u64,
    /// How the event ended.
    pub receipt: Receipt,
}

impl Bounded for NumberedReceipt {
    /// Ten full payloads of small events: two seconds at full pace.
    const PER_CHANNEL: usize = 1000;

    /// All of some 20 busy channels.
    const BYTES_MAX: usize = 4 << 20;

    fn text_bytes(&self) -> usize {
        let into = self.receipt.into.as_ref();
        self.receipt.id.len() + into.map_or(0, |into| into.len())
    }
}

/// What a follower that came back has missed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    None,
    /// So many receipts.
    Of(u64),
    /// Nobody knows how many: none were collected for a while, or by another process.
    Unknown,
}

/// The receipts of one channel, while they are collected.
pub(super) struct Receipts {
    /// Those who follow; none: they have left.
    followers: Option<broadcast::Sender<Arc<NumberedReceipt>>>,
    /// When the last of them left.
    left: Time,
    /// The number of the first receipt that was collected.
    first: u64,
    /// The number of the next.
    next: u64,
}

impl Receipts {
    pub(super) fn new(clock: &Clock) -> Self {
        // In µs, so that the numbers of a channel grow over a restart and over times when none are
        // collected, as long as fewer than a million events a second end.
        let first = clock.number_ms().saturating_mul(1000);
        Self {
            followers: None,
            left: Time::ZERO,
            first,
            next: first,
        }
    }

    /// Everything from now on.
    pub(super) fn follow(&mut self) -> broadcast::Receiver<Arc<NumberedReceipt>> {
        let followers = &mut self.followers;
        followers
            .get_or_insert_with(|| broadcast::channel(BACKLOG).0)
            .subscribe()
    }

    /// One of those who follow is about to leave.
    pub(super) fn leave(&mut self, now: Time) {
        let followers = self.followers.as_ref();
        if followers.is_some_and(|followers| followers.receiver_count() <= 1) {
            self.followers = None;
            self.left = now;
        }
    }

    /// What one who had `last` has missed, of these that are kept, and what is lost.
    pub(super) fn since(
        &self,
        last: u64,
        mut kept: Vec<Arc<NumberedReceipt>>,
    ) -> (Vec<Arc<NumberedReceipt>>, Gap) {
        if !(self.first..=self.next).contains(&last.saturating_add(1)) {
            return (kept, Gap::Unknown);
        }
        kept.retain(|receipt| receipt.number > last);
        let begins = kept.first().map_or(self.next, |receipt| receipt.number);
        match begins - last - 1 {
            0 => (kept, Gap::None),
            missed => (kept, Gap::Of(missed)),
        }
    }

    /// Passes on what the queue has collected.
    fn pass_on(
        &mut self,
        recent: &Recent<NumberedReceipt>,
        channel: ChannelId,
        receipts: Vec<Receipt>,
    ) {
        let mut numbered = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let number = self.next;
            self.next += 1;
            numbered.push(Arc::new(NumberedReceipt { number, receipt }));
        }
        recent.add(channel, &numbered);
        for receipt in numbered {
            if let Some(followers) = &self.followers {
                // Whoever left meanwhile is not an error.
                let _ = followers.send(receipt);
            }
        }
    }

    /// Nobody follows, and nobody is expected back.
    fn is_over(&self, now: Time) -> bool {
        self.followers.is_none() && now.since(self.left) > KEPT_FOR
    }
}

/// Passes a channel's receipts on, under its lock, after whatever was done with its queue.
pub(super) fn pass_on(
    receipts: &mut Option<Box<Receipts>>,
    hooked: &Hooked,
    queue: &mut Queue,
    clock: &Clock,
    recent: &Recent<NumberedReceipt>,
    channel: ChannelId,
) {
    if receipts.is_none() && !hooked.any() {
        return;
    }
    let collected = queue.take_receipts();
    if collected.is_empty() {
        return;
    }
    hooked.pass_on(&collected);
    let Some(own) = receipts else {
        return;
    };
    if own.is_over(clock.now()) {
        queue.give_receipts(hooked.any());
        *receipts = None;
        recent.clear(channel);
    } else {
        own.pass_on(recent, channel, collected);
    }
}
