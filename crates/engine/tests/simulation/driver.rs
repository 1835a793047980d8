//! Real queues and the real driver of an account, moved as the gateway's account task moves
//! them. What is here are the books beside them.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{
    Account, Call, CallId, Change, ChannelId, ChannelPolicy, Look, Outcome, Payload, PayloadId,
    Queue, Queues, Settled, Span, Step, Time, View, Wall,
};

use crate::books::{Books, Taken};
use crate::monitor::Monitor;
use crate::random::Random;
use crate::scenario::Scenario;

/// The wall clock at the start, in ms: payloads are numbered from there.
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// Most bytes of a payload.
pub const PAYLOAD_MAX: usize = 1024;

/// What the account's task hears of.
#[derive(Clone, Copy, Debug)]
pub enum News {
    Wake(u32),
    Answered(CallId, Outcome),
    GaveUp(CallId),
    Late(CallId, Outcome),
}

/// One call, from its send until nothing more can come of it.
#[derive(Clone, Debug)]
pub struct Flight {
    pub channel: u32,
    pub call: Call,
    pub n: u64,
    pub text: Arc<str>,
    pub events: usize,
    /// How long the server's reply takes, if it arrives.
    pub reply: Option<u64>,
    pub gave_up: Option<u64>,
    pub answered: bool,
    /// Actions of the world still to come about it.
    pub pending: u32,
}

/// One channel as the gateway keeps it.
#[derive(Debug)]
pub struct Channel {
    /// Its number in the account: another one when it was forgotten and comes again.
    pub id: ChannelId,
    pub queue: Queue,
    pub books: Books,
    pub paused: bool,
    pub woken: bool,
    /// Calls neither answered nor given up.
    pub in_flight: Vec<(CallId, PayloadId)>,
    /// Each block of changes that is on the disk, where there is one.
    pub records: Option<Vec<Vec<Change>>>,
}

impl Channel {
    /// Whether the payload is still to have its end.
    pub fn is_live(&self, payload: PayloadId) -> bool {
        self.queue.goes_again(payload) || self.in_flight.iter().any(|(_, live)| *live == payload)
    }
}

pub struct Driver {
    pub account: Account,
    pub world: Known,
    pub flights: HashMap<CallId, Flight>,
    /// Calls that were made since the world last looked.
    pub launched: Vec<CallId>,
    /// How often a channel was forgotten.
    pub forgotten: u64,
}

/// The channels, and what is known of them.
pub struct Known {
    pub channels: Vec<Channel>,
    /// The channel of each number that is in use.
    pub by_id: HashMap<ChannelId, u32>,
    pub next_id: u32,
    pub monitor: Monitor,
    pub inbox: Vec<News>,
    /// The wall clock at 0.
    pub origin: Wall,
    /// Channels that are ready: counted before the driver moves, and on from there.
    ready: usize,
    /// A hash of every decision: equal runs have equal ones.
    pub trace: u64,
}

pub fn queue(policy: &Arc<ChannelPolicy>, now: Time) -> Queue {
    Queue::new(
        Arc::clone(policy),
        PAYLOAD_MAX,
        EPOCH_MS + now.micros() / 1000,
        Span::from_millis(210),
    )
}

impl Known {
    fn mark(&mut self, value: u64) {
        self.trace = (self.trace.rotate_left(5) ^ value).wrapping_mul(0x0100_0000_01b3);
    }

    fn with<R>(&mut self, index: u32, work: impl FnOnce(&mut Channel) -> R) -> R {
        let channel = &mut self.channels[index as usize];
        let result = work(channel);
        for ended in channel.queue.take_ended() {
            channel.books.ended(ended);
        }
        channel.books.balance(&channel.queue);
        if let Some(records) = &mut channel.records {
            let changes = channel.queue.take_changes();
            if !changes.is_empty() {
                records.push(changes);
            }
        }
        if channel.queue.wake() && !channel.woken {
            channel.woken = true;
            self.inbox.push(News::Wake(index));
        }
        result
    }
}

impl Queues for Known {
    type Parcel = Payload;

    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look> {
        let index = self.by_id[&channel];
        let look = self.with(index, |channel| view.look(&mut channel.queue));
        if look.demand.is_some() && !self.monitor.wants(index) {
            self.ready += 1;
        }
        self.monitor
            .demand(view.now, index, look.demand, self.ready);
        Some(look)
    }

    fn take(&mut self, now: Time, channel: ChannelId, _: u32) -> Option<(PayloadId, Payload)> {
        let index = self.by_id[&channel];
        let taken = self.with(index, |channel| {
            assert!(!channel.paused, "channel {index} is paused");
            let payload = channel.queue.take(now)?;
            let taken = Taken {
                n: payload.n,
                text: &payload.text,
                events: payload.events,
            };
            let limit = channel.queue.payload_max();
            channel.books.taken(now, limit, taken);
            Some((payload.id, payload))
        });
        if taken.is_some() {
            self.monitor.sends(now, index);
        }
        taken
    }

    fn take_state(
        &mut self,
        now: Time,
        channel: ChannelId,
        _: u32,
    ) -> Option<(PayloadId, Payload)> {
        let index = self.by_id[&channel];
        let taken = self.with(index, |channel| {
            assert!(!channel.paused, "channel {index} is paused");
            let payload = channel.queue.take_state(now)?;
            assert!(payload.text.len() <= channel.queue.payload_max());
            Some((payload.id, payload))
        });
        if taken.is_some() {
            self.monitor.sends_state(now, index);
        }
        taken
    }

    fn settle(&mut self, call: Call, view: &View, outcome: Outcome) -> Settled {
        let index = self.by_id[&call.channel];
        self.with(index, |channel| {
            channel.in_flight.retain(|(other, _)| *other != call.id);
            view.settle(&mut channel.queue, call.payload, outcome)
        })
    }

    fn rest(&mut self, _: ChannelId) {}
}

impl Driver {
    pub fn new(scenario: &Scenario, policies: &[Arc<ChannelPolicy>]) -> Self {
        let count = u32::try_from(policies.len()).expect("few");
        let channels = (0..count).zip(policies).map(|(id, policy)| Channel {
            id: ChannelId(id),
            queue: {
                let mut queue = queue(policy, Time::ZERO);
                if scenario.is_torn() {
                    queue.keep_changes();
                }
                queue
            },
            books: Books::default(),
            paused: false,
            woken: false,
            in_flight: Vec::new(),
            records: scenario.is_torn().then(Vec::new),
        });
        Self {
            account: Account::new(scenario.policy(), Time::ZERO, PAYLOAD_MAX),
            world: Known {
                channels: channels.collect(),
                by_id: (0..count).map(|id| (ChannelId(id), id)).collect(),
                next_id: count,
                monitor: Monitor::new(scenario, policies.len()),
                inbox: Vec::new(),
                origin: Wall::default(),
                ready: 0,
                trace: 0,
            },
            flights: HashMap::new(),
            launched: Vec::new(),
            forgotten: 0,
        }
    }

    pub fn mark(&mut self, value: u64) {
        self.world.mark(value);
    }

    pub fn post(&mut self, news: News) {
        self.world.inbox.push(news);
    }

    pub fn has_news(&self) -> bool {
        !self.world.inbox.is_empty()
    }

    /// The account's number of a channel.
    pub fn id(&self, index: u32) -> ChannelId {
        self.world.channels[index as usize].id
    }

    /// Works on a channel as anybody does under its lock; the books are looked at after.
    pub fn with<R>(&mut self, index: u32, work: impl FnOnce(&mut Channel) -> R) -> R {
        self.world.with(index, work)
    }

    /// Forgets a channel as the gateway does to make room, if nobody holds it and the account
    /// lets it go. Its next event makes it anew, under another number.
    pub fn forget(&mut self, now: Time, index: u32) {
        let held = self.flights.values().any(|flight| flight.channel == index);
        let channel = &mut self.world.channels[index as usize];
        let idle = channel.queue.is_idle() && !channel.woken && !held;
        if idle && self.account.forget(now, channel.id) {
            channel.books.retire(&channel.queue);
            channel.queue = queue(&Arc::clone(channel.queue.policy()), now);
            channel.queue.set_wall_origin(now, self.world.origin);
            self.world.by_id.remove(&channel.id);
            channel.id = ChannelId(self.world.next_id);
            self.world.next_id += 1;
            self.world.by_id.insert(channel.id, index);
            self.forgotten += 1;
            self.mark(u64::from(index));
        }
    }

    /// The wall clock is set so many µs off: what is queued is placed anew, and whoever has some
    /// is asked what it wants, as the gateway does.
    pub fn set_clock(&mut self, now: Time, offset_us: i64) {
        let origin = Wall::from_micros(offset_us);
        self.world.origin = origin;
        for index in 0..u32::try_from(self.world.channels.len()).expect("few") {
            self.with(index, |channel| {
                channel.queue.set_wall_origin(now, origin);
                channel.books.clock_is_set(now, origin);
            });
            let channel = &mut self.world.channels[index as usize];
            if !channel.queue.is_empty() && !channel.woken {
                channel.woken = true;
                self.post(News::Wake(index));
            }
        }
        self.mark(offset_us.cast_unsigned());
    }

    /// Events that had another place after the clock was set.
    pub fn moved(&self) -> u64 {
        let channels = self.world.channels.iter();
        channels.map(|channel| channel.books.moved).sum()
    }

    /// Does all there is to do now, and says when there is more.
    pub fn step(&mut self, now: Time, random: &mut Random) -> Time {
        for news in std::mem::take(&mut self.world.inbox) {
            self.hear(now, news, random);
        }
        loop {
            self.world.ready = self.account.account_status(now).ready;
            match self.account.step(now, &mut self.world) {
                Step::Call(call, payload) => self.called(now, call, payload),
                Step::Wait(until) => return until,
            }
        }
    }

    fn hear(&mut self, now: Time, news: News, random: &mut Random) {
        self.world.ready = self.account.account_status(now).ready;
        match news {
            News::Wake(index) => {
                let channel = &mut self.world.channels[index as usize];
                channel.woken = false;
                let id = channel.id;
                self.account.woken(now, id, &mut self.world);
            }
            News::Answered(call, outcome) => {
                self.mark(call.0 ^ outcome.label().len() as u64);
                let random = random.next();
                let flight = &self.flights[&call];
                self.world
                    .monitor
                    .answered(now, flight.channel, call, outcome);
                let call = flight.call;
                self.account
                    .finished(now, call, outcome, random, &mut self.world);
            }
            News::GaveUp(call) => {
                self.mark(call.0);
                let random = random.next();
                let flight = &self.flights[&call];
                self.world
                    .monitor
                    .answered(now, flight.channel, call, Outcome::Unknown);
                let call = flight.call;
                self.account.gave_up(now, call, random, &mut self.world);
            }
            News::Late(call, outcome) => {
                self.mark(call.0);
                let flight = &self.flights[&call];
                self.world.monitor.late(now, flight.channel, call);
                let call = flight.call;
                self.account.late(now, call, outcome, &mut self.world);
            }
        }
    }

    fn called(&mut self, now: Time, call: Call, payload: Payload) {
        let index = self.world.by_id[&call.channel];
        let length = payload.text.len() as u64;
        self.mark(now.micros() ^ (u64::from(index) << 48) ^ payload.n ^ length);
        let channel = &mut self.world.channels[index as usize];
        channel.in_flight.push((call.id, payload.id));
        self.world.monitor.sent(index, call.id);
        let flight = Flight {
            channel: index,
            call,
            n: payload.n,
            text: payload.text,
            events: payload.events,
            reply: None,
            gave_up: None,
            answered: false,
            pending: 0,
        };
        self.flights.insert(call.id, flight);
        self.launched.push(call.id);
    }
}
