//! One who follows the ends of a channel's events: what it gets, and that it leaves.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::channel::Channel;
use super::receipts::{Gap, NumberedReceipt, Receipts};
use super::shared::Shared;

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
                .get_or_insert_with(|| Box::new(Receipts::new(&shared.clock)));
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
