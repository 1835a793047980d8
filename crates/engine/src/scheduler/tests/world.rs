//! A small simulated world: stub queues, a network that delays, loses and breaks, and a
//! server that measures its windows exactly, on its own clock.
//!
//! Everything follows from the seed. The world keeps books of its own about the tokens, and
//! never looks into the scheduler to learn what is right.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::super::bucket::Stamp;
use super::super::{Next, Scheduler};
use super::network::{Network, Random};
use crate::call::{CallId, ChannelId, Demand, Outcome, Rejection, ThrottleScope};
use crate::policy::AccountPolicy;
use crate::time::{Span, Time};

/// What a stub queue gets to send.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Always a full payload.
    Saturated,
    /// Single events, so many µs apart on average: uniform up to twice that.
    Events(u64),
    /// Bursts of 40 events, so many µs apart.
    Bursts(u64),
}

/// Events in a full payload.
const PAYLOAD: u32 = 10;

#[derive(Debug, Default)]
struct Stub {
    events: VecDeque<Time>,
    /// Refused payloads, to go again.
    again: VecDeque<Time>,
    calls: Vec<Time>,
    in_flight: u32,
    last_answer: Time,
    starved_until: Time,
    tokens: Tokens,
    /// Calls that may still be handled, with the ends of their leases.
    open: BTreeMap<CallId, Time>,
}

impl Stub {
    fn open(&mut self, now: Time) -> usize {
        self.open.retain(|_, end| *end > now);
        self.open.len()
    }
}

/// The tokens as the promise has it: when each comes back, none while in flight; and when
/// the last one so far came home.
#[derive(Debug, Default)]
struct Tokens(BTreeMap<CallId, Option<Time>>, Time);

impl Tokens {
    fn out(&mut self, now: Time) -> usize {
        let home = self.0.values().flatten().filter(|end| **end <= now).max();
        self.1 = self.1.max(home.copied().unwrap_or(Time::ZERO));
        self.0.retain(|_, end| end.is_none_or(|end| end > now));
        self.0.len()
    }

    fn end(&mut self, call: CallId, at: Time) {
        if let Some(end) = self.0.get_mut(&call) {
            *end = Some(end.map_or(at, |before| before.min(at)));
        }
    }

    fn next(&self) -> Time {
        self.0
            .values()
            .map(|end| end.unwrap_or(Time::NEVER))
            .min()
            .unwrap_or(Time::ZERO)
    }
}

/// The server's log of one scope: exact sliding windows, in units of 10^-12 s.
#[derive(Debug, Default)]
struct Windows {
    second: VecDeque<u128>,
    most: usize,
    over: usize,
}

const SERVER_SECOND: u128 = 1_000_000_000_000;

impl Windows {
    fn handled(&mut self, at: u128, limit: usize) {
        while self
            .second
            .front()
            .is_some_and(|first| at - first >= SERVER_SECOND)
        {
            self.second.pop_front();
        }
        self.second.push_back(at);
        self.most = self.most.max(self.second.len());
        self.over += usize::from(self.second.len() > limit);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival(ChannelId),
    Handled(ChannelId),
    Answer(CallId, u8),
    GiveUp(CallId),
    Late(ChannelId, CallId),
    Die,
}

/// What a process that goes on after another one is told of its open calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// All of them.
    Right,
    /// Nothing: the mutation.
    Lost,
    /// Those of the process before, but not those which that one inherited: the mutation.
    NotPassedOn,
}

/// Outcomes by number, so that events can be ordered.
const OUTCOMES: [Outcome; 9] = [
    Outcome::Delivered,
    Outcome::Unknown,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Offline,
    Outcome::Throttled(ThrottleScope::Unnamed),
    Outcome::Throttled(ThrottleScope::Account),
    Outcome::TooLarge,
    Outcome::Rejected(Rejection::AccessDenied),
];

/// What a run looks like.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) policy: AccountPolicy,
    pub(super) stamp: Stamp,
    pub(super) network: Network,
    pub(super) loads: Vec<Load>,
    pub(super) seconds: u64,
    /// The process dies so often, in µs on average, and another goes on at once; 0: never.
    pub(super) dies: u64,
    pub(super) records: Records,
    /// Now and then a call leaves that carries nothing.
    pub(super) loans: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    pub(super) calls: usize,
    /// Calls that carried nothing.
    pub(super) loans: usize,
    /// The most calls in any one second on the server's clock.
    pub(super) channel_most: usize,
    pub(super) account_most: usize,
    /// Calls that made a second too full.
    pub(super) channel_over: usize,
    pub(super) account_over: usize,
    /// The longest a partial payload was held with a token free and nothing in flight.
    pub(super) held: Span,
    /// The longest an event waited that came to an idle channel, all tokens home.
    pub(super) idle_held: Span,
    /// The longest wait of a ready channel, in thousandths of its bound.
    pub(super) wait_per_mille: u64,
    pub(super) deepest: usize,
    /// How often the process died, and the calls that were open then.
    pub(super) deaths: usize,
    pub(super) open: usize,
}

pub(super) struct World {
    setup: Setup,
    random: Random,
    now: Time,
    scheduler: Scheduler,
    stubs: Vec<Stub>,
    tokens: Tokens,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    calls: BTreeMap<CallId, (ChannelId, Vec<Time>)>,
    /// Those that carry nothing.
    loans: BTreeMap<CallId, ChannelId>,
    channel_windows: Vec<Windows>,
    account_windows: Windows,
    arrivals_seen: u64,
    waiting: BTreeMap<ChannelId, (u64, Time, usize)>,
    /// After a death: no token is at home before.
    held_until: Time,
    report: Report,
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let mut scheduler = Scheduler::new(setup.policy.clone(), Time::ZERO);
        scheduler.stamp = setup.stamp;
        let count = setup.loads.len();
        let mut world = Self {
            random: Random(setup.seed),
            now: Time::ZERO,
            scheduler,
            stubs: (0..count).map(|_| Stub::default()).collect(),
            tokens: Tokens::default(),
            events: BinaryHeap::new(),
            sequence: 0,
            calls: BTreeMap::new(),
            loans: BTreeMap::new(),
            channel_windows: (0..count).map(|_| Windows::default()).collect(),
            account_windows: Windows::default(),
            arrivals_seen: 0,
            waiting: BTreeMap::new(),
            held_until: Time::ZERO,
            report: Report::default(),
            setup,
        };
        for index in 0..count {
            let channel = id(index);
            match world.setup.loads[index] {
                Load::Saturated => world.update(channel),
                Load::Events(gap) | Load::Bursts(gap) => {
                    let first = world.random.within(0, gap);
                    world.schedule(first, Event::Arrival(channel));
                }
            }
        }
        world.schedule_death();
        world
    }

    /// Runs to the end. Panics, naming the seed, if the books or the turns are wrong; what
    /// the server measured is reported.
    pub(super) fn run(mut self) -> (Report, Vec<Vec<Time>>) {
        let end = Time::from_micros(self.setup.seconds * 1_000_000);
        loop {
            let next = self.scheduler.poll(self.now);
            self.watch_turns();
            match next {
                Next::Send(channel) => self.send(channel),
                Next::SendState(channel) => panic!("{channel:?} has no state"),
                Next::Wait(until) => {
                    assert!(
                        until > self.now,
                        "waits for the past; seed {}",
                        self.setup.seed
                    );
                    let event = self
                        .events
                        .peek()
                        .map_or(Time::NEVER, |Reverse((at, ..))| *at);
                    let next = until.min(event);
                    if next > end {
                        break;
                    }
                    self.now = next;
                    while let Some(Reverse((at, ..))) = self.events.peek()
                        && *at <= self.now
                        && let Some(Reverse((_, _, event))) = self.events.pop()
                    {
                        self.happen(event);
                    }
                }
            }
        }
        for (_, since, ready) in std::mem::take(&mut self.waiting).into_values() {
            self.waited(since, ready);
        }
        self.report.channel_most = self
            .channel_windows
            .iter()
            .map(|w| w.most)
            .max()
            .unwrap_or(0);
        self.report.channel_over = self.channel_windows.iter().map(|w| w.over).sum();
        self.report.account_most = self.account_windows.most;
        self.report.account_over = self.account_windows.over;
        (
            self.report,
            self.stubs.into_iter().map(|stub| stub.calls).collect(),
        )
    }

    fn send(&mut self, channel: ChannelId) {
        let index = channel.0 as usize;
        if self.random.chance(10) && !matches!(self.setup.loads[index], Load::Saturated) {
            // The payload expired between the decision and the packing.
            self.stubs[index].events.clear();
            self.stubs[index].again.clear();
            self.waiting.remove(&channel);
            return self.update(channel);
        }
        self.check_books(channel);
        let (now, full) = (
            self.now,
            self.demand(channel).is_some_and(|demand| demand.full),
        );
        let call = self.scheduler.sent(now, channel);
        if let Some((_, since, ready)) = self.waiting.remove(&channel) {
            self.waited(since, ready);
        }
        let stub = &mut self.stubs[index];
        let payload: Vec<Time> = if let Some(oldest) = stub.again.pop_front() {
            vec![oldest]
        } else {
            let count = stub.events.len().min(PAYLOAD as usize);
            stub.events.drain(..count).collect()
        };
        if !full && let Some(first) = payload.first() {
            let from = (*first).max(stub.last_answer).max(stub.starved_until);
            self.report.held = self.report.held.max(now.since(from));
            if stub.tokens.0.is_empty() && stub.tokens.1 <= *first {
                self.report.idle_held = self.report.idle_held.max(now.since(*first));
            }
        }
        stub.calls.push(now);
        stub.in_flight += 1;
        stub.tokens.0.insert(call, None);
        stub.open.insert(call, Time::NEVER);
        self.tokens.0.insert(call, None);
        self.report.calls += 1;
        self.report.deepest = self.report.deepest.max(self.tokens.0.len());
        self.calls.insert(call, (channel, payload));
        self.travel(channel, call);
        self.update(channel);
        if self.setup.loans && self.random.chance(50) {
            self.lend(channel);
        }
    }

    /// A call that carries nothing, if there are tokens for it.
    fn lend(&mut self, channel: ChannelId) {
        let Ok(call) = self.scheduler.lend(self.now, channel) else {
            return;
        };
        let stub = &mut self.stubs[channel.0 as usize];
        stub.tokens.0.insert(call, None);
        stub.open.insert(call, Time::NEVER);
        self.tokens.0.insert(call, None);
        self.report.loans += 1;
        self.loans.insert(call, channel);
        self.travel(channel, call);
    }

    /// Decides the fate of a call.
    fn travel(&mut self, channel: ChannelId, call: CallId) {
        let net = self.setup.network;
        let random = &mut self.random;
        let left = random.within(0, net.lag);
        let abandon = self.setup.policy.abandon.micros() * net.abandon_percent / 100;
        let handled = left + net.one_way(random);
        let answered = handled + net.one_way(random) + random.within(0, net.lag);
        if random.chance(net.refused) {
            let refused = random.within(100, net.timeout / 4);
            self.schedule(refused, Event::Answer(call, 2));
        } else if random.chance(net.lost) {
            self.schedule(net.timeout, Event::GiveUp(call));
        } else if random.chance(net.reply_lost) {
            let handled = random.within(left, net.timeout + abandon);
            self.schedule(handled, Event::Handled(channel));
            self.schedule(net.timeout, Event::GiveUp(call));
        } else if random.chance(net.broken) {
            let broken = random.within(left, net.timeout.max(left));
            let handled = random.within(left, broken + abandon);
            self.schedule(handled, Event::Handled(channel));
            self.schedule(broken, Event::Answer(call, 1));
        } else {
            let kind = if random.chance(net.errors * 6) {
                random.within(3, 8)
            } else {
                0
            };
            let kind = u8::try_from(kind).unwrap();
            self.schedule(handled.min(net.timeout + abandon), Event::Handled(channel));
            if answered < net.timeout {
                self.schedule(answered, Event::Answer(call, kind));
            } else {
                self.schedule(net.timeout, Event::GiveUp(call));
                self.schedule(answered, Event::Late(channel, call));
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let (now, window) = (self.now, Span::SECOND + self.setup.policy.grace);
        let abandoned = now + self.setup.policy.abandon + window;
        match event {
            Event::Arrival(channel) => {
                let (count, gap) = match self.setup.loads[channel.0 as usize] {
                    Load::Saturated => return,
                    Load::Events(gap) => (1, gap),
                    Load::Bursts(gap) => (40, gap),
                };
                let stub = &mut self.stubs[channel.0 as usize];
                stub.events.extend((0..count).map(|_| now));
                stub.events.truncate(400);
                let next = self.random.within(0, 2 * gap);
                self.schedule(next, Event::Arrival(channel));
                self.update(channel);
            }
            Event::Handled(channel) => {
                let rate = u128::try_from(1_000_000 + self.setup.network.skew).unwrap();
                let at = u128::from(now.micros()) * rate;
                let (k, a) = (self.setup.policy.channel_tps, self.setup.policy.account_tps);
                self.channel_windows[channel.0 as usize].handled(at, k as usize);
                self.account_windows.handled(at, a as usize);
            }
            Event::Answer(call, kind) => {
                let outcome = OUTCOMES[usize::from(kind)];
                self.finish(call, outcome);
                let returns = match outcome {
                    Outcome::Refused => now,
                    Outcome::Unknown => abandoned,
                    _ => now + window,
                };
                self.ended(call, outcome, returns);
            }
            Event::GiveUp(call) => {
                self.finish(call, Outcome::Unknown);
                self.ended(call, Outcome::Unknown, abandoned);
            }
            Event::Die => self.die(),
            Event::Late(channel, call) => {
                self.scheduler.late(now, call);
                self.tokens.end(call, now + window);
                let stub = &mut self.stubs[channel.0 as usize];
                stub.tokens.end(call, now + window);
                stub.open.remove(&call);
                stub.starved_until = stub.starved_until.min(now + window);
            }
        }
    }

    fn finish(&mut self, call: CallId, outcome: Outcome) {
        if self.loans.contains_key(&call) {
            return self.scheduler.repaid(self.now, call, outcome);
        }
        let random = self.random.next();
        self.scheduler.finished(self.now, call, outcome, random);
    }

    fn ended(&mut self, call: CallId, outcome: Outcome, returns: Time) {
        let loan = self.loans.remove(&call);
        let is_loan = loan.is_some();
        let (channel, payload) = loan.map_or_else(
            || self.calls.remove(&call).unwrap(),
            |channel| (channel, Vec::new()),
        );
        self.tokens.end(call, returns);
        let stub = &mut self.stubs[channel.0 as usize];
        stub.tokens.end(call, returns);
        if outcome == Outcome::Unknown {
            stub.open.insert(call, returns);
        } else {
            stub.open.remove(&call);
        }
        if is_loan {
            return;
        }
        stub.in_flight -= 1;
        stub.last_answer = self.now;
        if stub.tokens.out(self.now) >= self.setup.policy.channel_tps as usize {
            stub.starved_until = stub.tokens.next();
        }
        let gone = matches!(
            outcome,
            Outcome::Delivered | Outcome::TooLarge | Outcome::Rejected(_)
        );
        if !gone && let Some(oldest) = payload.first() {
            stub.again.push_back(*oldest);
        }
        self.update(channel);
    }

    /// The process dies, and another one goes on at once: the worst moment for the windows.
    fn die(&mut self) {
        let (now, policy) = (self.now, self.setup.policy.clone());
        let window = Span::SECOND + policy.grace;
        // What nobody awaits any more is handled within `abandon`, and heard of by nobody.
        let latest = now + policy.abandon;
        for Reverse((at, sequence, event)) in std::mem::take(&mut self.events) {
            match event {
                Event::Handled(_) => self.events.push(Reverse((at.min(latest), sequence, event))),
                Event::Arrival(_) => self.events.push(Reverse((at, sequence, event))),
                _ => {}
            }
        }
        for (_, (channel, payload)) in std::mem::take(&mut self.calls) {
            let stub = &mut self.stubs[channel.0 as usize];
            stub.again.extend(payload.first());
        }
        self.loans.clear();
        let returns = latest + window;
        self.scheduler = Scheduler::new(policy, Time::ZERO);
        self.scheduler.hold_after(now);
        self.held_until = now + window;
        self.waiting.clear();
        self.arrivals_seen = 0;
        self.tokens.0.clear();
        let mut inherited = (0..).map(|id| CallId(u64::MAX - id));
        for index in 0..self.stubs.len() {
            let stub = &mut self.stubs[index];
            let known = stub.open(now);
            let own = stub.open.range(..CallId(u64::MAX / 2)).count();
            let told = match self.setup.records {
                Records::Right => known,
                Records::Lost => 0,
                Records::NotPassedOn => own,
            };
            self.report.open += known;
            stub.in_flight = 0;
            stub.tokens.0.clear();
            stub.open.clear();
            for call in inherited.by_ref().take(known) {
                stub.open.insert(call, returns);
                stub.tokens.0.insert(call, Some(returns));
                self.tokens.0.insert(call, Some(returns));
            }
            let told = u32::try_from(told).unwrap();
            self.scheduler.inherit(now, id(index), told);
            self.update(id(index));
        }
        self.report.deaths += 1;
        self.schedule_death();
    }

    fn schedule_death(&mut self) {
        if self.setup.dies > 0 {
            let after = self.random.within(0, 2 * self.setup.dies);
            self.schedule(after, Event::Die);
        }
    }

    fn update(&mut self, channel: ChannelId) {
        let demand = self.demand(channel);
        self.scheduler.update(self.now, channel, demand);
    }

    fn demand(&self, channel: ChannelId) -> Option<Demand> {
        let stub = &self.stubs[channel.0 as usize];
        let (oldest, full) = match (stub.again.front(), stub.events.front()) {
            (Some(oldest), _) => (*oldest, true),
            (None, Some(oldest)) => (*oldest, stub.events.len() > PAYLOAD as usize),
            (None, None) => match self.setup.loads[channel.0 as usize] {
                Load::Saturated => (stub.calls.last().copied().unwrap_or(Time::ZERO), true),
                Load::Events(_) | Load::Bursts(_) => return None,
            },
        };
        Some(Demand {
            ready_at: oldest,
            oldest,
            full,
        })
    }

    /// Invariant 2, by the world's own books, before a call takes its tokens.
    fn check_books(&mut self, channel: ChannelId) {
        let (now, seed) = (self.now, self.setup.seed);
        let stub = &mut self.stubs[channel.0 as usize];
        if self.setup.stamp == Stamp::Response && self.setup.records == Records::Right {
            assert!(now >= self.held_until, "a call at {now}; seed {seed}");
            let (open, said) = (stub.open(now), self.scheduler.open(now, channel));
            assert_eq!(open, said as usize, "open calls at {now}; seed {seed}");
            let (out, most) = (stub.tokens.out(now), self.setup.policy.channel_tps as usize);
            assert!(
                out < most,
                "{out} tokens of {channel:?} out at {now}; seed {seed}"
            );
            let (out, most) = (self.tokens.out(now), self.setup.policy.account_tps as usize);
            assert!(
                out < most,
                "{out} tokens of the account out at {now}; seed {seed}"
            );
        }
        let most = self.setup.policy.max_in_flight_per_channel;
        assert!(
            stub.in_flight < most,
            "{} in flight; seed {seed}",
            stub.in_flight
        );
    }

    fn watch_turns(&mut self) {
        for (arrival, channel, ready) in self
            .scheduler
            .agenda
            .ready
            .arrived_after(self.arrivals_seen)
        {
            self.arrivals_seen = arrival;
            self.waiting.insert(channel, (arrival, self.now, ready));
        }
    }

    fn waited(&mut self, since: Time, ready: usize) {
        let policy = &self.setup.policy;
        let share = Span::from_micros(u64::from(policy.account_tps)).scaled(policy.fair_share);
        let rounds = (ready as u64).div_ceil(share.micros().max(1));
        let cycle = Span::SECOND + policy.grace;
        let cycle = cycle + Span::from_micros(self.setup.network.round_trip_max());
        let used = self.now.since(since).micros() * 1000 / cycle.times(rounds).micros();
        self.report.wait_per_mille = self.report.wait_per_mille.max(used);
    }

    fn schedule(&mut self, after: u64, event: Event) {
        self.sequence += 1;
        let at = self.now + Span::from_micros(after);
        self.events.push(Reverse((at, self.sequence, event)));
    }
}

pub(super) fn id(index: usize) -> ChannelId {
    ChannelId(u32::try_from(index).unwrap())
}
