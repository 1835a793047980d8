//! What a queue is told of its channel and account, and what it answers.

use crate::call::{ChannelCondition, Demand, Outcome};
use crate::queue::{PayloadId, Queue, Settled};
use crate::scheduler::{AccountOutlook, ChannelOutlook};
use crate::time::Time;

/// How a channel stands at a moment: what its queue goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The moment.
    pub now: Time,
    /// The channel itself. An embedder that keeps it can tell the queue the present pace at any
    /// time, with the account's outlook of then: [`ChannelCondition::of`].
    pub channel: ChannelOutlook,
    /// The account.
    pub account: AccountOutlook,
    /// The calls of the channel that may still be handled: where the record says more, this is
    /// to be recorded.
    pub open: u32,
    /// Most bytes of a payload.
    pub payload_max: usize,
}

/// What a queue wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What it would send.
    pub demand: Option<Demand>,
    /// When it changes by itself.
    pub timer: Option<Time>,
    /// When it would send its state alone.
    pub state: Option<Time>,
}

impl View {
    /// Tells the queue how its channel stands, and asks what it wants.
    pub fn look(&self, queue: &mut Queue) -> Look {
        self.tell(queue);
        Look {
            demand: queue.demand(self.now),
            timer: queue.timer(),
            state: queue.state_due(),
        }
    }

    /// Tells the queue how its channel stands, and how a call of it ended.
    pub fn settle(&self, queue: &mut Queue, payload: PayloadId, outcome: Outcome) -> Settled {
        self.tell(queue);
        queue.settle(self.now, payload, outcome)
    }

    fn tell(&self, queue: &mut Queue) {
        queue.set_condition(ChannelCondition::of(self.now, &self.channel, &self.account));
        if queue.payload_max() != self.payload_max {
            let policy = std::sync::Arc::clone(queue.policy());
            queue.set_policy(policy, self.payload_max);
        }
    }
}
