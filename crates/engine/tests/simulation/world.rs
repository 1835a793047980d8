//! One run: the clock, and everything that happens at a moment of it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use engine::{CallId, ChannelPolicy, Outcome, Time};

use crate::books::Taken;
use crate::driver::{Driver, Flight, News};
use crate::mishaps::HOUR;
use crate::network::{Server, fate};
use crate::producers::Producer;
use crate::random::Random;
use crate::scenario::{ABANDON, CALL_TIMEOUT, CALM, Faults, SECOND, Scenario, Traffic};

/// Time after the traffic has ended in which everything must have come to its end: the
/// longest TTL and `at` together, and the longest backoff.
const DRAIN: u64 = 120 * SECOND;

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Step,
    Produce(u32),
    Handle(CallId),
    Answer(CallId, Outcome),
    GiveUp(CallId),
    /// One of the things about this call is over.
    Over(CallId),
    Spell,
    Operate,
    Forget,
    SetClock,
    Kill,
    /// The API handles a call of a process that is gone.
    Orphan(usize),
}

pub(crate) struct Due {
    pub(crate) at: u64,
    pub(crate) order: u64,
    pub(crate) action: Action,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    // The earliest is the greatest: a heap pops that first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub trace: u64,
    pub events: u64,
    pub delivered: u64,
    pub merged: u64,
    pub calls: u64,
    pub most_channel: usize,
    pub most_account: usize,
    pub violations: u64,
    pub first_violation: Option<String>,
    pub longest_wait: u64,
    pub forgotten: u64,
    /// Events that had another place after the wall clock was set.
    pub moved: u64,
    /// Slices of large events.
    pub slices: u64,
    pub kills: u64,
    /// Events that a next process found, and those that none has.
    pub recovered: u64,
    pub lost: u64,
}

pub struct World {
    pub(crate) scenario: Scenario,
    /// What goes wrong at present: nothing once the traffic has ended.
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    pub(crate) now: u64,
    pub(crate) agenda: BinaryHeap<Due>,
    order: u64,
    pub(crate) driver: Driver,
    pub(crate) server: Server,
    pub(crate) producers: Vec<Producer>,
    /// Calls of processes that were killed, which are still to be handled.
    pub(crate) orphans: Vec<Flight>,
    pub(crate) kills: u64,
    /// The earliest step that is on the agenda.
    step_at: u64,
}

impl World {
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let mut random = Random(seed);
        let producers: Vec<Producer> = (0..scenario.channels)
            .map(|id| Producer::new(id, scenario.traffic[id as usize % scenario.traffic.len()]))
            .collect();
        let policies: Vec<Arc<ChannelPolicy>> = producers
            .iter()
            .map(|producer| producer.policy(&mut random))
            .collect();
        let mut world = Self {
            driver: Driver::new(scenario, &policies),
            server: Server::new(producers.len()),
            scenario: *scenario,
            faults: scenario.faults,
            now: 0,
            agenda: BinaryHeap::new(),
            order: 0,
            producers,
            orphans: Vec::new(),
            kills: 0,
            step_at: u64::MAX,
            random,
        };
        for id in 0..scenario.channels {
            let at = world.random.within(0..SECOND);
            world.add(at, Action::Produce(id));
        }
        if scenario.faults.spells > 0 {
            world.add(SECOND, Action::Spell);
        }
        if scenario.operators {
            world.add(SECOND, Action::Operate);
        }
        if scenario.forgets {
            world.add(0, Action::Forget);
        }
        if scenario.is_killed() {
            world.add(5 * SECOND, Action::Kill);
        }
        if scenario.clock_is_set {
            // Before the first event, too.
            world.set_clock(HOUR);
        }
        world
    }

    pub(crate) fn add(&mut self, at: u64, action: Action) {
        self.order += 1;
        self.agenda.push(Due {
            at,
            order: self.order,
            action,
        });
    }

    pub(crate) fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    /// Runs to the end, and fails on anything that must not be.
    pub fn run(mut self) -> Report {
        let until = self.scenario.seconds * SECOND;
        let mut open = true;
        while let Some(Due { at, action, .. }) = self.agenda.pop() {
            if at > until + DRAIN {
                break;
            }
            if at >= until && open {
                open = false;
                self.close();
            }
            self.now = at;
            self.act(action, open);
        }
        for (id, channel) in self.driver.world.channels.iter().enumerate() {
            assert!(
                channel.queue.is_empty(),
                "channel {id} keeps {} events",
                channel.queue.len()
            );
            channel.books.closed();
            if self.scenario.is_calm() && !self.scenario.is_crowded() {
                assert_eq!(
                    channel.books.counts_shown, channel.books.counts_accepted,
                    "votes of channel {id}"
                );
            }
        }
        let floods =
            (0..self.producers.len()).filter(|id| self.producers[*id].traffic == Traffic::Flood);
        self.driver.world.monitor.throughput(floods, until);
        if self.scenario.faults.beyond_abandon == 0 {
            assert_eq!(
                self.server.violations, 0,
                "{:?}",
                self.server.first_violation
            );
        }
        self.report()
    }

    fn report(&self) -> Report {
        let ledgers = || {
            let channels = self.driver.world.channels.iter();
            channels.map(|channel| {
                let mut ledger = channel.books.retired.clone();
                ledger += channel.queue.ledger();
                ledger
            })
        };
        Report {
            trace: self.driver.world.trace,
            events: ledgers().map(|ledger| ledger.accepted).sum(),
            delivered: ledgers().map(|ledger| ledger.delivered).sum(),
            merged: ledgers().map(|ledger| ledger.merged).sum(),
            calls: self.driver.world.monitor.calls,
            most_channel: self
                .server
                .channels
                .iter()
                .map(|window| window.most)
                .max()
                .unwrap_or(0),
            most_account: self.server.account.most,
            violations: self.server.violations,
            first_violation: self.server.first_violation.clone(),
            longest_wait: self.driver.world.monitor.longest_wait,
            forgotten: self.driver.forgotten,
            kills: self.kills,
            recovered: ledgers().map(|ledger| ledger.recovered).sum(),
            lost: {
                let channels = self.driver.world.channels.iter();
                channels.map(|channel| channel.books.lost).sum()
            },
            moved: self.driver.moved(),
            slices: {
                let channels = self.driver.world.channels.iter();
                channels.map(|channel| channel.books.slices).sum()
            },
        }
    }

    /// The traffic ends, and so does everything that was wrong.
    fn close(&mut self) {
        self.faults = CALM;
        self.server.down_until = 0;
        self.server.offline_until.fill(0);
        for id in 0..self.scenario.channels {
            self.set_paused(id, false);
        }
        if self.scenario.clock_is_set {
            // So far ahead that nothing waits for its moment any longer.
            self.driver.set_clock(self.time(), 3 * HOUR);
            self.ring();
        }
    }

    fn act(&mut self, action: Action, open: bool) {
        match action {
            Action::Step if self.step_at == self.now => {
                self.step_at = u64::MAX;
                self.step();
            }
            Action::Produce(id) if open => self.produce(id),
            Action::Handle(call) => self.handle(call),
            Action::Answer(call, outcome) => self.answer(call, outcome),
            Action::GiveUp(call) => self.give_up(call),
            Action::Over(call) => self.over(call),
            Action::Spell if open => self.spell(),
            Action::Operate if open => self.operate(),
            Action::Forget if open => self.forget(),
            Action::Kill if open => self.kill(),
            Action::Orphan(nth) => {
                let flight = self.orphans[nth].clone();
                self.take(&flight, false);
            }
            Action::SetClock if open => {
                let offset = self.random.pick(&[-HOUR, -HOUR / 120, 0, HOUR / 120, HOUR]);
                self.set_clock(offset);
            }
            _ => {}
        }
        if self.driver.has_news() {
            self.ring();
        }
    }

    /// The account's task runs soon.
    pub(crate) fn ring(&mut self) {
        let lag = self.random.within(0..self.scenario.lag + 1);
        self.step_by(self.now + lag);
    }

    fn step_by(&mut self, at: u64) {
        if at < self.step_at {
            self.step_at = at;
            self.add(at, Action::Step);
        }
    }

    fn step(&mut self) {
        let next = self.driver.step(self.time(), &mut self.random);
        for call in std::mem::take(&mut self.driver.launched) {
            self.launch(call);
        }
        if next != Time::NEVER {
            let lag = self.random.within(0..self.scenario.lag + 1);
            assert!(next > self.time(), "the task would spin");
            self.step_by(next.micros() + lag);
        }
    }

    fn launch(&mut self, call: CallId) {
        let fate = fate(&mut self.random, &self.faults, ABANDON);
        let mut pending = 0;
        if let Some(after) = fate.handled {
            self.add(self.now + after, Action::Handle(call));
            pending += 1;
        }
        if let Some((after, outcome)) = fate.broken {
            self.add(self.now + after, Action::Answer(call, outcome));
            pending += 1;
        }
        self.add(self.now + CALL_TIMEOUT, Action::GiveUp(call));
        let flight = self.driver.flights.get_mut(&call).expect("a flight");
        flight.pending = pending + 1;
        // Only a call that is not broken has a reply.
        flight.reply = fate.reply;
    }

    fn handle(&mut self, call: CallId) {
        let flight = self.driver.flights[&call].clone();
        let channel = &self.driver.world.channels[flight.channel as usize];
        let live = channel.is_live(flight.call.payload);
        let outcome = self.take(&flight, live);
        if let Some(after) = flight.reply {
            self.add(self.now + after, Action::Answer(call, outcome));
            self.driver
                .flights
                .get_mut(&call)
                .expect("a flight")
                .pending += 1;
        }
        self.over(call);
    }

    /// The API takes a call, or not.
    fn take(&mut self, flight: &Flight, live: bool) -> Outcome {
        let id = flight.channel as usize;
        let outcome = self.server.handle(
            self.now,
            id,
            flight.text.len(),
            &mut self.random,
            &self.faults,
        );
        if outcome == Outcome::Delivered {
            let taken = Taken {
                n: flight.n,
                text: &flight.text,
                events: flight.events,
            };
            self.driver.world.channels[id].books.applied(taken, live);
        }
        outcome
    }

    fn answer(&mut self, call: CallId, outcome: Outcome) {
        let now = self.now;
        let flight = self.driver.flights.get_mut(&call).expect("a flight");
        match flight.gave_up {
            None => {
                flight.answered = true;
                self.driver.post(News::Answered(call, outcome));
            }
            Some(at) if now <= at + ABANDON => self.driver.post(News::Late(call, outcome)),
            // Nobody listens any more.
            Some(_) => {}
        }
        if self.driver.has_news() {
            // Heard before the flight is forgotten.
            self.ring();
            return self.over_later(call);
        }
        self.over(call);
    }

    fn give_up(&mut self, call: CallId) {
        let now = self.now;
        let flight = self.driver.flights.get_mut(&call).expect("a flight");
        if flight.answered {
            return self.over(call);
        }
        flight.gave_up = Some(now);
        self.driver.post(News::GaveUp(call));
        self.ring();
        self.over_later(call);
    }

    /// The task has a lag to read its news in, and needs the flight for that.
    fn over_later(&mut self, call: CallId) {
        let at = self.now + self.scenario.lag + 1;
        self.add(at, Action::Over(call));
    }

    fn over(&mut self, call: CallId) {
        let flight = self.driver.flights.get_mut(&call).expect("a flight");
        flight.pending -= 1;
        if flight.pending == 0 {
            self.driver.flights.remove(&call);
        }
    }

    fn produce(&mut self, id: u32) {
        let now = self.time();
        let producer = &mut self.producers[id as usize];
        let next = producer.work(now, &mut self.driver, &mut self.random);
        self.add(self.now + next.max(1), Action::Produce(id));
    }
}
