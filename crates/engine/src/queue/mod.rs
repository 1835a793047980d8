//! The queue of one channel: accepts, merges, orders, expires, packs and settles.
//!
//! Every method takes the present moment; between two calls nothing happens. Each event
//! that was accepted has exactly one end in the [`Ledger`]. Whose turn it is among channels,
//! and when, is the scheduler's business and none of the queue's.
//!
//! - `accept`: what comes in, and what is refused;
//! - `order`: which goes next;
//! - `pack`: payloads out, and how they end; `fill`: how many events fit one that is compressed;
//! - `slices`: payloads of one event that is larger than what can be sent;
//! - `gain`: how much compressing gains, without compressing;
//! - `shares`: what each producer holds of it;
//! - `ends`: cancelling, expiry, and the one place that counts an event out;
//! - `replace`: another event in the place of one that is queued; `state`: what became of an event;
//! - `trial`: all of several events or none;
//! - `ids`, `ledger`, `item`, `items`: what is remembered; `part`: and what an idle queue does without;
//! - `scheduled`: events with an `at`, and a wall clock that is set;
//! - `changes`, `rebuild`: what a journal keeps, and a queue made of it;
//! - `keyframes`: the state of the channel's keys, in payloads and when they end; `carried`: what one told;
//! - `dead`: dead letters with all they said; `receipts`: the ends of events with an id; `news`: what is to be told.

mod accept;
mod carried;
mod changes;
mod dead;
mod ends;
mod fill;
mod gain;
mod gate;
mod ids;
mod item;
mod items;
mod keyframes;
mod lazy;
mod ledger;
mod listing;
mod news;
mod order;
mod pack;
mod queued_event;
mod rebuild;
mod receipts;
mod replace;
mod scheduled;
mod shares;
mod slices;
mod state;
#[cfg(test)]
mod tests;
mod totals;
mod trial;

use std::sync::Arc;

use crate::call::{ChannelCondition, Demand, Entry, Health};
use crate::event::Event;
use crate::policy::ChannelPolicy;
use crate::time::{Span, Time, Wall};

pub use accept::{Admission, Refusal};
pub use changes::Change;
pub use dead::DeadLetter;
pub use ledger::{DeadLetterReason, End, Fate, Ledger};
pub use listing::{Listed, NoRank, Outline, Page, Rank, Spot};
pub use pack::{Payload, PayloadId, Settled};
pub use queued_event::QueuedEvent;
pub use rebuild::{Rebuild, Unusable};
pub use receipts::Receipt;
pub use replace::Replaced;
pub use scheduled::Scheduled;
pub use slices::Slices;
pub use state::EventState;

use gain::Gain;
use ids::Ids;
use item::Stage;
use keyframes::Keeping;
use lazy::Lazy;
use news::News;
use order::Order;
use pack::InFlightPayload;
use shares::Shares;
use totals::Packable;
use trial::Trial;

/// Bytes of memory a queued event costs beside its own text: the item, its places in the
/// heaps and its key's line, rounded up from what was measured.
const ITEM_BYTES: usize = 320;

/// What numbers stay below, both of events and of payloads: 2^53, which JSON is exact to.
/// At a million a second they last for 285 years.
const NUMBERS: u64 = 1 << 53;

/// A number of bytes that is far below 2^32, as an idle queue keeps it.
fn small(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The end of an event somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As in [`Event::waiter`].
    pub waiter: u64,
    /// How it ended.
    pub end: End,
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The event will not be sent (nor would it have been: it was taken back before).
    Done,
    /// No event of that id is remembered.
    NeverSeen,
    /// It was sent or merged, or has ended otherwise.
    Gone,
}

/// What is queued, in all: waiting, scheduled, held and in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events, counted on their own and not from the ledger.
    pub events: usize,
    /// Bytes of their data, types, keys and ids.
    pub bytes: usize,
    /// `max(accepted, at)` of the oldest that is due.
    pub oldest: Option<Time>,
    /// How long the backlog takes at the channel's present pace, once it may leave.
    pub eta: Span,
    /// The same from now on: with the backoff, the open circuit or the missing tokens that the
    /// next call waits for. A lower bound while an open circuit waits for an answer.
    pub leaves_in: Span,
}

/// The queue of one channel.
#[derive(Clone, Debug)]
pub struct Queue {
    policy: Arc<ChannelPolicy>,
    /// Most bytes of a payload: about a thousand.
    payload_max: u32,
    order: Lazy<Order>,
    outs: Vec<InFlightPayload>,
    ids: Lazy<Ids>,
    ledger: Ledger,
    link: ChannelCondition,
    /// Bytes of everything queued, as `queue_max_bytes` counts them.
    bytes: usize,
    /// What compressing gained in the last payloads.
    gain: Gain,
    shares: Lazy<Shares>,
    /// The state of its keys, if it is kept.
    keeping: Option<Box<Keeping>>,
    /// What takes the latest events back, between [`Queue::begin`] and the end of the trial.
    trial: Option<Box<Trial>>,
    /// The latest moment anybody told.
    now: Time,
    /// The wall clock at [`Time::ZERO`], as it was last told.
    wall_origin: Wall,
    next_seq: u64,
    next_n: u64,
    next_payload: u64,
    news: Lazy<News>,
    /// What changed since it was last taken; `None`: nothing is recorded.
    changes: Option<Vec<Change>>,
    /// The demand the scheduler knows of.
    told: Option<Demand>,
    /// The timer the runtime knows of.
    told_timer: Time,
    /// With several calls in flight, everything left may belong to keys in flight.
    stuck: bool,
    /// Somebody asks how events with an id end.
    gives_receipts: bool,
}

impl Queue {
    /// An empty queue. `payload_max` is in bytes; `next_n` numbers the first payload: the
    /// wall clock in ms, or what the journal reserved; `interval` is the pace to reckon with
    /// until the scheduler knows better.
    #[must_use]
    pub fn new(
        policy: Arc<ChannelPolicy>,
        payload_max: usize,
        next_n: u64,
        interval: Span,
    ) -> Self {
        let mut queue = Self {
            policy,
            payload_max: small(payload_max),
            order: Lazy::NONE,
            outs: Vec::new(),
            ids: Lazy::NONE,
            ledger: Ledger::default(),
            link: ChannelCondition {
                health: Health::Live,
                entry: Entry::Open,
                next_call: Time::ZERO,
                interval,
            },
            bytes: 0,
            gain: Gain::default(),
            shares: Lazy::NONE,
            keeping: None,
            trial: None,
            now: Time::ZERO,
            wall_origin: Wall::default(),
            next_seq: 0,
            next_n,
            next_payload: 0,
            news: Lazy::NONE,
            changes: None,
            told: None,
            told_timer: Time::NEVER,
            stuck: false,
            gives_receipts: false,
        };
        queue.follow_keyframes();
        queue
    }

    /// The books.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts on from where the queue before it stood, whose account moved to another node or came back
    /// from one. What that queue still held is counted as released.
    pub fn succeed(&mut self, before: &Self) {
        self.ledger += &before.ledger;
        self.ledger.released += before.len() as u64;
    }

    /// The rules in force.
    #[must_use]
    pub const fn policy(&self) -> &Arc<ChannelPolicy> {
        &self.policy
    }

    /// Most bytes of a payload.
    #[must_use]
    pub const fn payload_max(&self) -> usize {
        self.payload_max as usize
    }

    /// What the scheduler last said of this channel.
    #[must_use]
    pub const fn link(&self) -> ChannelCondition {
        self.link
    }

    /// Tells the queue where its channel stands.
    pub fn set_condition(&mut self, link: ChannelCondition) {
        if link.health == Health::Offline && self.link.health != Health::Offline {
            self.stream_ended();
        }
        self.link = link;
    }

    /// Changes the rules: what is queued stays, measured anew. An event that fits no payload
    /// any more becomes a dead letter when its turn comes.
    pub fn set_policy(&mut self, policy: Arc<ChannelPolicy>, payload_max: usize) {
        self.payload_max = small(payload_max);
        if policy == self.policy {
            return;
        }
        let old = std::mem::replace(&mut self.policy, policy);
        self.follow_keyframes();
        let shows = |policy: &ChannelPolicy| {
            let keeps = policy.keyframes().is_some();
            (policy.envelope, policy.fields, keeps)
        };
        if shows(&old) == shows(&self.policy) {
            return;
        }
        let indices: Vec<u32> = self.order.items.iter().map(|(index, _)| index).collect();
        for index in indices {
            if self.order.items[index].stage != Stage::Packed {
                self.order.remeasure(index, &old, &self.policy);
            }
        }
    }

    /// What the scheduler should know, after time has passed until `now`. Whoever calls
    /// this passes the answer on: [`Queue::wake`] is about what changed since.
    pub fn demand(&mut self, now: Time) -> Option<Demand> {
        self.advance(now);
        self.told = self.current_demand();
        self.told
    }

    fn current_demand(&mut self) -> Option<Demand> {
        if let Some(again) = self.outs.iter().find(|out| out.again) {
            return Some(Demand {
                ready_at: again.oldest,
                oldest: again.oldest,
                full: true,
            });
        }
        if self.stuck {
            return None;
        }
        let (place, _) = self.order.get_mut()?.oldest()?;
        Some(Demand {
            ready_at: place.due,
            oldest: place.due,
            full: self.is_full(),
        })
    }

    /// Whether a payload packed now would have no room for the next event.
    fn is_full(&self) -> bool {
        let waiting = Packable::sum(&self.order.waiting);
        let (bytes, count) = (waiting.items.bytes, waiting.items.count);
        self.order.alone > 0
            || waiting.slices > 0
            || self.policy.envelope.payload_size(bytes, count) > self.plain_max()
    }

    /// Bytes of a plain payload that fills one in the form that is sent, judged by the last
    /// payloads. What really fits, the next payload tells.
    fn plain_max(&self) -> usize {
        if self.policy.compresses() {
            self.gain.plain(self.payload_max())
        } else {
            self.payload_max()
        }
    }

    /// Whether the scheduler must hear of this queue since [`Queue::demand`] and [`Queue::timer`]
    /// were last asked: it was empty, or a payload became full, or the timer moved forward, or there
    /// is nothing left to wait for.
    #[must_use]
    pub fn wake(&mut self) -> bool {
        let news = match self.told {
            None => !self.stuck && self.order.is_anything_waiting(),
            Some(told) => !told.full && self.is_full(),
        };
        let timer = self
            .next_timer()
            .into_iter()
            .chain(self.next_forgotten())
            .chain(self.next_state_expiry());
        let timer = timer.min().unwrap_or(Time::NEVER);
        let is_over = timer == Time::NEVER && self.is_empty();
        news || self.has_state_news()
            || timer < self.told_timer
            || (is_over && self.told_timer != Time::NEVER)
    }

    fn next_timer(&mut self) -> Option<Time> {
        self.order.get_mut()?.next_timer()
    }

    fn next_forgotten(&self) -> Option<Time> {
        self.ids.next_forgotten(self.now, self.policy.dedup_max_ids)
    }

    /// When this queue next changes by itself: an `at`, a rise, an expiry, or ids whose windows
    /// are over (up to a second late). Ask for [`Queue::demand`] then.
    pub fn timer(&mut self) -> Option<Time> {
        let items = self.next_timer();
        let again = self
            .outs
            .iter()
            .filter(|out| out.again)
            .map(InFlightPayload::changes_at)
            .min();
        let times = items
            .into_iter()
            .chain(again)
            .chain(self.next_forgotten())
            .chain(self.next_state_expiry());
        let next = times.min();
        self.told_timer = next.unwrap_or(Time::NEVER);
        next
    }

    /// What is queued, after time has passed until `now`.
    pub fn depth(&mut self, now: Time) -> Depth {
        self.advance(now);
        let out = self.outs.iter().map(|out| out.oldest).min();
        let oldest = self
            .order
            .get_mut()
            .and_then(Order::oldest)
            .map(|(place, _)| place.due)
            .into_iter()
            .chain(out)
            .min();
        Depth {
            events: self.order.items.len(),
            bytes: self.bytes,
            oldest,
            eta: self.eta(),
            leaves_in: self.leaves_in(),
        }
    }

    /// The pace covers the wait for an interval; what the next call waits longer comes on top.
    fn leaves_in(&self) -> Span {
        let calls = self.order.is_anything_waiting() || self.outs.iter().any(|out| out.again);
        let wait = self.link.next_call.since(self.now);
        if calls && wait > self.link.interval {
            self.eta() + (wait - self.link.interval)
        } else {
            self.eta()
        }
    }

    fn eta(&self) -> Span {
        let waiting = Packable::sum(&self.order.waiting);
        let least = usize::from(!waiting.is_empty());
        let payloads = self.payloads(&waiting).max(least) + self.calls_left();
        self.link.interval.times(payloads as u64)
    }

    /// Calls that the payloads on their way take.
    fn calls_left(&self) -> usize {
        self.outs.iter().map(InFlightPayload::calls_left).sum()
    }

    /// How many full payloads what waits makes, rounded down.
    fn payloads(&self, waiting: &Packable) -> usize {
        let (bytes, count) = (
            waiting.items.bytes + waiting.items.count,
            waiting.items.count,
        );
        let room = self
            .plain_max()
            .saturating_sub(self.policy.envelope.overhead())
            .max(1);
        let payloads = if self.policy.envelope.is_of_one() {
            count
        } else {
            (bytes / room).max(self.order.alone.min(count))
        };
        payloads + waiting.slices
    }

    /// Bytes of memory this queue takes beyond an idle one's, about: for the bound over all
    /// queues.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let state = self.keeping.as_ref();
        let state = state.map_or(0, |keeping| keeping.footprint());
        self.bytes + self.order.items.len() * ITEM_BYTES + self.ids.bytes() + state
    }

    /// How many events are queued: waiting, scheduled, held and in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.items.len()
    }

    /// Whether no event is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.items.is_empty()
    }

    /// Whether nothing would be lost by forgetting this queue.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.order.items.is_empty()
            && self.outs.is_empty()
            && self.ids.bytes() == 0
            && self
                .keeping
                .as_ref()
                .is_none_or(|keeping| keeping.is_idle())
    }

    /// The number that the next event gets which is accepted: whoever remembers it finds the
    /// event again in [`Queue::sequences_of`]. Numbers only grow.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next_seq
    }

    /// The `n` that the next payload gets: greater than those of all payloads before it.
    #[must_use]
    pub const fn next_n(&self) -> u64 {
        self.next_n
    }

    /// The numbers of everything queued, in no order. Events that merged have the latest's.
    pub fn sequences(&self) -> impl Iterator<Item = u64> {
        self.order.items.iter().map(|(_, item)| item.id_seq)
    }

    /// The numbers of the events in a payload that was taken and has not ended.
    pub fn sequences_of(&self, payload: PayloadId) -> impl Iterator<Item = u64> {
        let out = self.outs.iter().find(|out| out.id == payload);
        let items = out.into_iter().flat_map(|out| &out.items);
        items.filter_map(|&index| Some(self.order.item(index)?.id_seq))
    }

    /// The ends of events somebody waits for, since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        self.tell(|news| std::mem::take(&mut news.ended))
    }

    /// Passes on what there is to tell: nothing is left of it where all of it is.
    fn tell<T: Default>(&mut self, pass_on: impl FnOnce(&mut News) -> T) -> T {
        let Some(news) = self.news.get_mut() else {
            return T::default();
        };
        let told = pass_on(news);
        if news.is_empty() {
            self.news.release();
        }
        told
    }
}

impl Event {
    /// Bytes of its data, type, key and id.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        self.content.data.text().len()
            + length(&self.content.kind)
            + length(&self.content.id)
            + length(&self.content.key)
    }
}
