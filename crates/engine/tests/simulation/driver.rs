//! Real queues and the real scheduler, driven step by step as the gateway's account task
//! drives them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use engine::{
    CallId, ChannelId, ChannelPolicy, Next, Outcome, PayloadId, Queue, Scheduler, Span, Time,
};

use crate::books::{Books, Taken};
use crate::monitor::Monitor;
use crate::random::Random;
use crate::scenario::Scenario;

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
    pub payload: PayloadId,
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
    pub queue: Queue,
    pub books: Books,
    pub paused: bool,
    woken: bool,
    /// Calls neither answered nor given up.
    in_flight: Vec<(CallId, PayloadId)>,
}

impl Channel {
    /// Whether the payload is still to have its end.
    pub fn is_live(&self, payload: PayloadId) -> bool {
        self.queue.goes_again(payload) || self.in_flight.iter().any(|(_, live)| *live == payload)
    }
}

pub struct Driver {
    pub scheduler: Scheduler,
    pub channels: Vec<Channel>,
    pub flights: HashMap<CallId, Flight>,
    pub monitor: Monitor,
    /// Calls that were made since the world last looked.
    pub launched: Vec<CallId>,
    inbox: Vec<News>,
    busy: BTreeMap<u32, Option<Time>>,
    timers: BinaryHeap<Reverse<(Time, u32)>>,
    payload_max: usize,
    /// A hash of every decision: equal runs have equal ones.
    pub trace: u64,
}

impl Driver {
    pub fn new(scenario: &Scenario, policies: &[Arc<ChannelPolicy>]) -> Self {
        let channels = policies.iter().map(|policy| Channel {
            queue: Queue::new(
                Arc::clone(policy),
                1024,
                1_800_000_000_000,
                Span::from_millis(210),
            ),
            books: Books::default(),
            paused: false,
            woken: false,
            in_flight: Vec::new(),
        });
        Self {
            scheduler: Scheduler::new(scenario.policy(), Time::ZERO),
            monitor: Monitor::new(scenario, policies.len()),
            channels: channels.collect(),
            flights: HashMap::new(),
            launched: Vec::new(),
            inbox: Vec::new(),
            busy: BTreeMap::new(),
            timers: BinaryHeap::new(),
            payload_max: 1024,
            trace: 0,
        }
    }

    pub fn mark(&mut self, value: u64) {
        self.trace = (self.trace.rotate_left(5) ^ value).wrapping_mul(0x0100_0000_01b3);
    }

    pub fn post(&mut self, news: News) {
        self.inbox.push(news);
    }

    pub fn has_news(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Works on a channel as anybody does under its lock; the books are looked at after.
    pub fn with<R>(&mut self, id: u32, work: impl FnOnce(&mut Channel) -> R) -> R {
        let channel = &mut self.channels[id as usize];
        let result = work(channel);
        for ended in channel.queue.take_ended() {
            channel.books.ended(ended);
        }
        channel.books.balance(&channel.queue);
        if channel.queue.wake() && !channel.woken {
            channel.woken = true;
            self.inbox.push(News::Wake(id));
        }
        result
    }

    /// Does all there is to do now, and says when there is more.
    pub fn step(&mut self, now: Time, random: &mut Random) -> Time {
        for news in std::mem::take(&mut self.inbox) {
            self.hear(now, news, random);
        }
        self.run_timers(now);
        loop {
            match self.scheduler.poll(now) {
                Next::Send(channel) => self.send(now, channel.0),
                Next::Wait(until) => {
                    let timer = self
                        .timers
                        .peek()
                        .map_or(Time::NEVER, |Reverse((at, _))| *at);
                    return until.min(timer);
                }
            }
        }
    }

    fn hear(&mut self, now: Time, news: News, random: &mut Random) {
        match news {
            News::Wake(channel) => {
                self.channels[channel as usize].woken = false;
                self.look(now, channel);
            }
            News::Answered(call, outcome) => {
                self.mark(call.0 ^ outcome.label().len() as u64);
                self.scheduler.finished(now, call, outcome, random.next());
                let channel = self.flights[&call].channel;
                self.monitor.answered(now, channel, call, outcome);
                self.settle(now, call, outcome);
            }
            News::GaveUp(call) => {
                self.mark(call.0);
                self.scheduler.gave_up(now, call, random.next());
                let channel = self.flights[&call].channel;
                self.monitor.answered(now, channel, call, Outcome::Unknown);
                self.settle(now, call, Outcome::Unknown);
            }
            News::Late(call, outcome) => {
                self.mark(call.0);
                self.scheduler.late(now, call);
                self.monitor.late(now, self.flights[&call].channel, call);
                if outcome == Outcome::Delivered {
                    self.settle(now, call, outcome);
                }
            }
        }
    }

    fn settle(&mut self, now: Time, call: CallId, outcome: Outcome) {
        let (id, payload) = (self.flights[&call].channel, self.flights[&call].payload);
        let link = self.scheduler.link(now, ChannelId(id));
        let settled = self.with(id, |channel| {
            channel.in_flight.retain(|(other, _)| *other != call);
            channel.queue.set_link(link);
            channel.queue.settle(now, payload, outcome)
        });
        if let Some(bytes) = settled.payload_max {
            self.payload_max = self.payload_max.min(bytes);
        }
        self.look(now, id);
    }

    /// Asks a queue what it wants and when it changes, and tells the scheduler.
    fn look(&mut self, now: Time, id: u32) {
        let link = self.scheduler.link(now, ChannelId(id));
        let payload_max = self.payload_max;
        let (demand, timer) = self.with(id, |channel| {
            channel.queue.set_link(link);
            if channel.queue.payload_max() != payload_max {
                let policy = Arc::clone(channel.queue.policy());
                channel.queue.set_policy(policy, payload_max);
            }
            (channel.queue.demand(now), channel.queue.timer())
        });
        self.scheduler.update(now, ChannelId(id), demand);
        let ready = self.scheduler.account_status(now).ready;
        self.monitor.demand(now, id, demand, ready);
        if demand.is_none() && timer.is_none() && self.scheduler.remove(ChannelId(id)) {
            self.busy.remove(&id);
            return;
        }
        let busy = self.busy.entry(id).or_default();
        if *busy != timer {
            *busy = timer;
            if let Some(at) = timer {
                self.timers.push(Reverse((at, id)));
            }
            if self.timers.len() > 2 * self.busy.len() + 64 {
                let busy = &self.busy;
                self.timers
                    .retain(|Reverse((at, id))| busy.get(id) == Some(&Some(*at)));
            }
        }
    }

    fn run_timers(&mut self, now: Time) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if let Some(timer) = self.busy.get_mut(&id).filter(|timer| **timer == Some(at)) {
                *timer = None;
                self.look(now, id);
            }
        }
    }

    fn send(&mut self, now: Time, id: u32) {
        if !self.busy.contains_key(&id) {
            self.scheduler.update(now, ChannelId(id), None);
            return;
        }
        assert!(!self.channels[id as usize].paused, "channel {id} is paused");
        let payload = self.with(id, |channel| channel.queue.take(now));
        if let Some(payload) = payload {
            let call = self.scheduler.sent(now, ChannelId(id));
            self.mark(now.micros() ^ (u64::from(id) << 48) ^ payload.n ^ payload.text.len() as u64);
            self.monitor.sent(now, id, call);
            let channel = &mut self.channels[id as usize];
            let limit = channel.queue.payload_max();
            channel.books.taken(
                now,
                limit,
                Taken {
                    n: payload.n,
                    text: &payload.text,
                    events: payload.events,
                },
            );
            channel.in_flight.push((call, payload.id));
            let flight = Flight {
                channel: id,
                payload: payload.id,
                n: payload.n,
                text: payload.text,
                events: payload.events,
                reply: None,
                gave_up: None,
                answered: false,
                pending: 0,
            };
            self.flights.insert(call, flight);
            self.launched.push(call);
        }
        self.look(now, id);
    }
}
