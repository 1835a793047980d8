//! Those who follow the ends of a channel's events, and what is kept for one who comes back.
//!
//! A channel collects receipts from the moment somebody follows it until nobody has for
//! [`KEPT_FOR`]: a channel that nobody asks costs nothing.

use std::sync::Arc;

use engine::{ChannelId, Queue, Receipt, Span, Time};
use tokio::sync::broadcast;

use super::channel::Channel;
use super::recent::Bounded;
use super::shared::Shared;

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
    fn new(shared: &Shared) -> Self {
        // In µs, so that the numbers of a channel grow over a restart and over times when none are
        // collected, as long as fewer than a million events a second end.
        let first = shared.clock.number_ms().saturating_mul(1000);
        Self {
            followers: None,
            left: Time::ZERO,
            first,
            next: first,
        }
    }

    /// Everything from now on.
    fn follow(&mut self) -> broadcast::Receiver<Arc<NumberedReceipt>> {
        let followers = &mut self.followers;
        followers
            .get_or_insert_with(|| broadcast::channel(BACKLOG).0)
            .subscribe()
    }

    /// One of those who follow is about to leave.
    fn leave(&mut self, now: Time) {
        let followers = self.followers.as_ref();
        if followers.is_some_and(|followers| followers.receiver_count() <= 1) {
            self.followers = None;
            self.left = now;
        }
    }

    /// What one who had `last` has missed, of these that are kept, and what is lost.
    fn since(
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

    /// Passes on what the queue has collected; whether it is worth collecting more.
    fn pass_on(&mut self, shared: &Shared, channel: ChannelId, receipts: Vec<Receipt>) -> bool {
        if self.followers.is_none() && shared.clock.now().since(self.left) > KEPT_FOR {
            return false;
        }
        let mut numbered = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let number = self.next;
            self.next += 1;
            numbered.push(Arc::new(NumberedReceipt { number, receipt }));
        }
        shared.receipts.add(channel, &numbered);
        for receipt in numbered {
            if let Some(followers) = &self.followers {
                // Whoever left meanwhile is not an error.
                let _ = followers.send(receipt);
            }
        }
        true
    }
}

/// Passes a channel's receipts on, under its lock, after whatever was done with its queue.
pub(super) fn pass_on(
    receipts: &mut Option<Box<Receipts>>,
    queue: &mut Queue,
    shared: &Shared,
    channel: ChannelId,
) {
    let Some(own) = receipts else {
        return;
    };
    let collected = queue.take_receipts();
    if !collected.is_empty() && !own.pass_on(shared, channel, collected) {
        queue.give_receipts(false);
        *receipts = None;
        shared.receipts.clear(channel);
    }
}

/// One who follows the ends of a channel's events.
pub struct EndsFollower {
    /// What ends from now on.
    pub received: broadcast::Receiver<Arc<NumberedReceipt>>,
    shared: Arc<Shared>,
    channel: Arc<Channel>,
}

impl EndsFollower {
    /// Follows a channel, from the receipt after `last` on as far as they are kept. Also: those that are
    /// kept, oldest first, and what is lost.
    pub(super) fn new(
        shared: &Arc<Shared>,
        channel: &Arc<Channel>,
        last: Option<u64>,
    ) -> (Self, Vec<Arc<NumberedReceipt>>, Gap) {
        // Under the lock under which receipts are passed on: nothing comes twice or is left out.
        let (received, kept, gap) = channel.with(shared, |state| {
            let receipts = state
                .receipts
                .get_or_insert_with(|| Box::new(Receipts::new(shared)));
            state.queue.give_receipts(true);
            let (kept, gap) = match last {
                Some(last) => receipts.since(last, shared.receipts.of(channel.id)),
                None => (Vec::new(), Gap::None),
            };
            (receipts.follow(), kept, gap)
        });
        let follower = Self {
            received,
            shared: Arc::clone(shared),
            channel: Arc::clone(channel),
        };
        (follower, kept, gap)
    }
}

impl Drop for EndsFollower {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        self.channel.look(&self.shared, |state| {
            if let Some(receipts) = &mut state.receipts {
                receipts.leave(now);
            }
        });
    }
}
