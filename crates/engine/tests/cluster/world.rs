//! Everything that happens, in the order of true time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine::{
    Action, Answer, Call, ChannelId, Epoch, NodeId, Outcome, OwnershipState, Span, Step, Time,
};

use crate::Mutation;
use crate::api::Api;
use crate::database::{Database, Reply, Statement};
use crate::faults::{self, Fault};
use crate::node::{Node, Owner, policy, rules};
use crate::random::Random;

const MS: u64 = 1000;
const NODES: usize = 3;
/// How long a node waits for an answer of the database.
const PATIENCE: u64 = 2000 * MS;
const CALL_TIMEOUT: u64 = 2000 * MS;
/// A call is handled within this of its commit at the latest: its time-out and `abandon`.
const HANDLED_WITHIN: u64 = 6900 * MS;
/// And within this of a take that follows its commit: `abandon`, because it is given up by then.
const HANDLED_AFTER_TAKE: u64 = 4900 * MS;
const LOOK_EVERY: Span = Span::from_millis(250);

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub calls: u64,
    pub takes: u64,
    pub violations: u64,
    /// The longest time without calls, in ms.
    pub longest_ms: u64,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.takes += other.takes;
        self.violations += other.violations;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
    }
}

enum What {
    Step(usize),
    Arrives(usize, NodeId, Time, Statement),
    Replies(usize, NodeId, Time, Reply),
    /// No answer came to that take, commit or release.
    Overdue(usize, NodeId, Time, Statement),
    Leaves(usize, NodeId, Epoch, Call, u64),
    Handled(ChannelId),
    /// A call that hangs cannot be handled later than now.
    HandledAtLast(u64),
    Answered(usize, NodeId, Epoch, Call),
    TimesOut(usize, NodeId, Epoch, Call),
    Begins(usize),
    Dies(usize),
    Fault,
    StandbyIsBack(bool),
}

struct Entry(u64, u64, What);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub struct World {
    now: u64,
    mutation: Mutation,
    random: Random,
    agenda: BinaryHeap<Reverse<Entry>>,
    number: u64,
    lives: u64,
    nodes: Vec<Node>,
    /// Until when two nodes do not reach each other.
    parted: [[u64; NODES]; NODES],
    database: Database,
    /// What the standby has, while it confirms nothing.
    standby: Option<Database>,
    api: Api,
    /// Calls that the API may handle at any moment, until they must be.
    hanging: Vec<(u64, ChannelId)>,
    /// The last take.
    taken: u64,
}

impl World {
    pub fn new(seed: u64, mutation: Mutation) -> Self {
        let mut random = Random(seed);
        let nodes = (1..=NODES as u64).map(|life| Node {
            id: NodeId(life),
            is_up: true,
            paused_until: 0,
            paused_from: 0,
            cut_until: 0,
            ppm: i64::try_from(random.within(0..1001)).expect("small") - 500,
            ownership: engine::Ownership::new(NodeId(life), rules()),
            owner: None,
            next_look: Time::ZERO,
            took_at: Time::ZERO,
            next_step: 0,
        });
        let nodes = nodes.collect();
        let mut world = Self {
            now: 0,
            mutation,
            random,
            agenda: BinaryHeap::new(),
            number: 0,
            lives: NODES as u64,
            nodes,
            parted: [[0; NODES]; NODES],
            database: Database::default(),
            standby: None,
            api: Api::default(),
            hanging: Vec::new(),
            taken: 0,
        };
        (0..NODES).for_each(|node| world.at(0, What::Step(node)));
        world.plan_fault();
        world
    }

    pub fn run(mut self, seconds: u64) -> Report {
        while let Some(Reverse(Entry(at, _, what))) = self.agenda.pop() {
            if at > seconds * 1_000_000 {
                break;
            }
            self.now = at;
            self.happens(what);
        }
        Report {
            calls: self.api.calls,
            takes: self.database.takes,
            violations: self.api.violations,
            longest_ms: self.api.longest / 1000,
        }
    }

    fn at(&mut self, at: u64, what: What) {
        self.number += 1;
        self.agenda.push(Reverse(Entry(at, self.number, what)));
    }

    fn plan_fault(&mut self) {
        let after = faults::pause(&mut self.random);
        self.at(self.now + after, What::Fault);
    }

    /// When a node that stands still goes on, if that is later than now.
    fn stands_still(&self, node: usize) -> Option<u64> {
        let until = self.nodes[node].paused_until;
        (until > self.now).then_some(until)
    }

    fn is_alive(&self, node: usize, life: NodeId) -> bool {
        self.nodes[node].is_up && self.nodes[node].id == life
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Step(node)
            | What::Replies(node, ..)
            | What::Overdue(node, ..)
            | What::Answered(node, ..)
            | What::TimesOut(node, ..)
                if self.stands_still(node).is_some() =>
            {
                let until = self.stands_still(node).unwrap_or(0);
                self.at(until, what);
            }
            What::Step(node) => self.step(node),
            What::Arrives(node, life, sent, statement) => {
                self.arrives(node, life, sent, &statement);
            }
            What::Replies(node, life, sent, reply) if self.is_alive(node, life) => {
                self.replies(node, sent, reply);
                self.step(node);
            }
            What::Overdue(node, life, sent, statement) if self.is_alive(node, life) => {
                self.overdue(node, sent, &statement);
                self.step(node);
            }
            // The kernel of a killed process goes on sending what it has.
            What::Leaves(node, life, epoch, call, committed)
                if self.is_alive(node, life) || self.random.chance(5000) =>
            {
                self.leaves(node, life, epoch, call, committed);
            }
            What::Handled(channel) => self.handle(channel),
            What::HandledAtLast(number) => {
                if let Some(at) = self.hanging.iter().position(|(of, _)| *of == number) {
                    let (_, channel) = self.hanging.remove(at);
                    self.handle(channel);
                }
            }
            What::Answered(node, life, epoch, call) if self.is_alive(node, life) => {
                self.answered(node, epoch, call, false);
            }
            What::TimesOut(node, life, epoch, call) if self.is_alive(node, life) => {
                self.answered(node, epoch, call, true);
            }
            What::Begins(node) => {
                self.lives += 1;
                self.nodes[node].begin(NodeId(self.lives));
                self.step(node);
            }
            What::Dies(node) => {
                let down = self.random.within(500 * MS..5000 * MS);
                self.breaks(Fault::Kill(node, down));
            }
            What::Fault => {
                let owner = (0..NODES).find(|node| self.nodes[*node].owner.is_some());
                let fault = faults::next(&mut self.random, NODES, owner);
                self.breaks(fault);
                self.plan_fault();
            }
            What::StandbyIsBack(takes_over) => {
                if let Some(standby) = self.standby.take()
                    && takes_over
                {
                    self.database.fail_over(standby);
                    let owner = (0..NODES).find(|node| self.nodes[*node].owner.is_some());
                    if let Some(owner) = owner.filter(|_| self.random.chance(5000)) {
                        self.happens(What::Dies(owner));
                    }
                }
            }
            _ => {}
        }
    }

    fn breaks(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(node, down) if self.nodes[node].is_up => {
                self.nodes[node].is_up = false;
                self.nodes[node].paused_until = 0;
                self.at(self.now + down, What::Begins(node));
            }
            Fault::Pause(node, time) => {
                let node = &mut self.nodes[node];
                node.paused_from = self.now;
                node.paused_until = node.paused_until.max(self.now + time);
            }
            Fault::Cut(node, time) => self.nodes[node].cut_until = self.now + time,
            Fault::Part(one, other, time) => {
                self.parted[one][other] = self.now + time;
                self.parted[other][one] = self.now + time;
            }
            Fault::Move(node) => {
                let now = self.nodes[node].clock(self.now);
                self.nodes[node].ownership.release(now);
            }
            Fault::NoStandby(time, takes_over) if self.standby.is_none() => {
                self.standby = Some(self.database.clone());
                self.at(self.now + time, What::StandbyIsBack(takes_over));
            }
            Fault::Kill(..) | Fault::NoStandby(..) => {}
        }
    }

    fn send(&mut self, node: usize, statement: Statement) {
        let statement = match statement {
            Statement::Commit { epoch, seq, .. }
                if self.mutation == Mutation::MultiStatementCommit =>
            {
                Statement::Check { epoch, seq }
            }
            other => other,
        };
        let (life, sent) = (self.nodes[node].id, self.nodes[node].clock(self.now));
        let overdue = matches!(
            statement,
            Statement::Take { .. }
                | Statement::Commit { .. }
                | Statement::Release { .. }
                | Statement::ReadLog
        );
        if overdue {
            let again = statement.clone();
            self.at(self.now + PATIENCE, What::Overdue(node, life, sent, again));
        }
        let arrives = self.now + faults::leg(&mut self.random);
        if self.nodes[node].cut_until <= self.now {
            self.at(arrives, What::Arrives(node, life, sent, statement));
        }
    }

    fn arrives(&mut self, node: usize, life: NodeId, sent: Time, statement: &Statement) {
        let reply = self.database.execute(life, statement);
        if let Reply::Took(Answer::Done) = reply {
            self.is_taken(node);
        }
        let is_written = matches!(
            reply,
            Reply::Took(Answer::Done)
                | Reply::Committed(Answer::Done, _)
                | Reply::Released(Answer::Done)
        );
        if self.standby.is_some() && is_written {
            // The wait for the standby is cancelled, with a notice, or goes on.
            if self.random.chance(5000) {
                let noticed = if self.mutation == Mutation::NoticeIgnored {
                    Answer::Done
                } else {
                    Answer::Doubtful
                };
                let reply = match reply {
                    Reply::Took(_) => Reply::Took(noticed),
                    Reply::Committed(_, seq) => Reply::Committed(noticed, seq),
                    _ => Reply::Released(noticed),
                };
                self.reply(node, life, sent, reply);
            }
            return;
        }
        self.reply(node, life, sent, reply);
    }

    /// From a take on, its predecessor's calls are given up: they are handled within `abandon`. Now and
    /// then the taker dies soon after.
    fn is_taken(&mut self, node: usize) {
        self.taken = self.now;
        let numbers: Vec<u64> = self.hanging.iter().map(|(number, _)| *number).collect();
        for number in numbers {
            self.at(self.now + HANDLED_AFTER_TAKE, What::HandledAtLast(number));
        }
        if self.random.chance(2500) {
            let later = self.now + self.random.within(50 * MS..1500 * MS);
            self.at(later, What::Dies(node));
        }
    }

    fn reply(&mut self, node: usize, life: NodeId, sent: Time, reply: Reply) {
        let arrives = self.now + faults::leg(&mut self.random);
        if self.nodes[node].cut_until <= self.now {
            self.at(arrives, What::Replies(node, life, sent, reply));
        }
    }

    fn replies(&mut self, index: usize, sent: Time, reply: Reply) {
        let now = self.nodes[index].clock(self.now);
        match reply {
            Reply::Beaten => self.nodes[index].ownership.confirmed(sent),
            Reply::Looked(reading) => {
                if let Some(owner) = reading.owner {
                    let is_up = self.reaches(index, owner);
                    self.nodes[index].ownership.read(now, sent, reading);
                    self.nodes[index].ownership.link(owner, is_up);
                } else {
                    self.nodes[index].ownership.read(now, sent, reading);
                }
            }
            Reply::Took(answer) => self.nodes[index].ownership.took(now, answer),
            Reply::Released(answer) => self.nodes[index].ownership.released(now, answer),
            Reply::Checked(Answer::Done, seq) => {
                let owner = self.nodes[index].owner.as_ref();
                let group = owner.and_then(|owner| owner.committing.as_ref());
                if let Some((Statement::Commit { open, .. }, of, _)) = group
                    && *of == seq
                {
                    let open = open.clone();
                    self.send(index, Statement::Insert { seq, open });
                }
            }
            Reply::Committed(answer, seq) | Reply::Checked(answer, seq) => {
                self.committed(index, sent, answer, seq);
            }
            Reply::Log { open, handed } => {
                let node = &mut self.nodes[index];
                let recovering = node.ownership.state(now) == OwnershipState::Recovering;
                if let (Some(owner), true) = (&mut node.owner, recovering) {
                    let heard = Time::from_micros(owner.next_seq);
                    let calls_from = if let Some(leases) = handed {
                        owner.account.take_over(heard, leases);
                        now
                    } else {
                        let open = if self.mutation == Mutation::NotInherited {
                            Vec::new()
                        } else {
                            open
                        };
                        owner.account.inherit(heard, open);
                        heard + Span::SECOND + policy().grace
                    };
                    owner.next_seq = 0;
                    node.ownership.recovered(calls_from);
                }
            }
        }
    }

    /// Whether a node has a link to the one that lives so.
    fn reaches(&self, from: usize, life: NodeId) -> bool {
        let Some(to) = (0..NODES).find(|node| self.is_alive(*node, life)) else {
            return false;
        };
        let node = &self.nodes[to];
        let is_silent = node.paused_until > self.now && node.paused_from + 1_000_000 < self.now;
        !is_silent && self.parted[from][to] <= self.now
    }

    fn overdue(&mut self, index: usize, sent: Time, statement: &Statement) {
        let now = self.nodes[index].clock(self.now);
        let node = &mut self.nodes[index];
        match statement {
            // An answer that came makes nothing of these.
            Statement::Take { .. } => {
                if node.ownership.state(now) == OwnershipState::Taking && node.took_at == sent {
                    node.ownership.took(now, Answer::Doubtful);
                }
            }
            Statement::Release { .. } => node.ownership.released(now, Answer::Doubtful),
            Statement::Commit { epoch, seq, .. } => {
                let again = node.owner.as_ref().and_then(|owner| {
                    let (statement, of, _) = owner.committing.as_ref()?;
                    (owner.epoch == *epoch && of == seq).then(|| statement.clone())
                });
                if let Some(again) = again {
                    self.send(index, again);
                }
            }
            Statement::ReadLog => {
                if node.ownership.state(now) == OwnershipState::Recovering {
                    self.send(index, Statement::ReadLog);
                }
            }
            Statement::Beat
            | Statement::Look
            | Statement::Check { .. }
            | Statement::Insert { .. } => {}
        }
    }

    fn committed(&mut self, index: usize, sent: Time, answer: Answer, seq: u64) {
        let now = self.nodes[index].clock(self.now);
        let node = &mut self.nodes[index];
        let Some(owner) = &mut node.owner else {
            return;
        };
        let epoch = owner.epoch;
        let is_it = owner
            .committing
            .as_ref()
            .is_some_and(|(_, of, _)| *of == seq);
        if !is_it {
            return;
        }
        match answer {
            Answer::TooLate => node.ownership.fenced(epoch),
            Answer::Doubtful => {
                if let Some((statement, ..)) = owner.committing.clone() {
                    self.send(index, statement);
                }
            }
            Answer::Done => {
                node.ownership.confirmed(sent);
                let (_, _, calls) = owner.committing.take().expect("looked at");
                let life = node.id;
                for call in calls {
                    let node = &mut self.nodes[index];
                    if node.ownership.may_call(now) {
                        // A sleep between the last look and the socket.
                        let sleep = if self.random.chance(700) {
                            self.random.within(0..3500 * MS)
                        } else {
                            0
                        };
                        let committed = self.now;
                        self.at(
                            committed + sleep,
                            What::Leaves(index, life, epoch, call, committed),
                        );
                    } else if let Some(owner) = &mut node.owner {
                        owner.queues.calls.remove(&call.id.0);
                        owner
                            .account
                            .finished(now, call, Outcome::Refused, 0, &mut owner.queues);
                    }
                }
            }
        }
    }

    /// The API handles a call, and then one that hangs, if this is the worst moment for it.
    fn handle(&mut self, channel: ChannelId) {
        self.api.handle(self.now, channel);
        let (now, api) = (self.now, &self.api);
        let worst = self
            .hanging
            .iter()
            .position(|(_, of)| api.is_full(now, *of));
        if let Some(at) = worst {
            let (_, channel) = self.hanging.remove(at);
            self.api.handle(now, channel);
        }
    }

    fn leaves(&mut self, node: usize, life: NodeId, epoch: Epoch, call: Call, committed: u64) {
        let within = if self.taken >= committed {
            HANDLED_AFTER_TAKE
        } else {
            HANDLED_WITHIN
        };
        let handled_by = committed + within;
        let out = self.random.within(0..30 * MS);
        let handled = (self.now + out).min(handled_by);
        if self.random.chance(250) {
            // It hangs, and no answer comes.
            self.number += 1;
            self.hanging.push((self.number, call.channel));
            self.at(handled_by, What::HandledAtLast(self.number));
        } else if !self.random.chance(50) {
            self.at(handled, What::Handled(call.channel));
            if !self.random.chance(150) {
                let back = handled + self.random.within(0..30 * MS);
                self.at(back, What::Answered(node, life, epoch, call));
            }
        }
        self.at(
            self.now + CALL_TIMEOUT,
            What::TimesOut(node, life, epoch, call),
        );
    }

    /// A call was answered, or its time is over.
    fn answered(&mut self, index: usize, epoch: Epoch, call: Call, is_timeout: bool) {
        let random = self.random.next();
        let node = &mut self.nodes[index];
        let now = node.clock(self.now);
        let Some(owner) = node.owner.as_mut().filter(|owner| owner.epoch == epoch) else {
            return;
        };
        let lapse = policy().abandon + Span::SECOND + policy().grace;
        let known = owner.queues.calls.get(&call.id.0).copied();
        match (known, is_timeout) {
            (Some((channel, None)), true) => {
                owner
                    .queues
                    .calls
                    .insert(call.id.0, (channel, Some(now + lapse)));
                owner.account.gave_up(now, call, random, &mut owner.queues);
            }
            (Some((_, None)), false) => {
                owner.queues.calls.remove(&call.id.0);
                owner
                    .account
                    .finished(now, call, Outcome::Delivered, random, &mut owner.queues);
            }
            (Some((_, Some(_))), false) => {
                owner.queues.calls.remove(&call.id.0);
                owner
                    .account
                    .late(now, call, Outcome::Delivered, &mut owner.queues);
            }
            (None, _) | (Some((_, Some(_))), true) => return,
        }
        self.step(index);
    }

    fn step(&mut self, index: usize) {
        if !self.nodes[index].is_up || self.stands_still(index).is_some() {
            return;
        }
        let now = self.nodes[index].clock(self.now);
        if self.nodes[index].next_look <= now {
            self.nodes[index].next_look = now + LOOK_EVERY;
            self.send(index, Statement::Beat);
            self.send(index, Statement::Look);
        }
        loop {
            let random = self.random.next();
            let Some(action) = self.nodes[index].ownership.step(now, random, 0) else {
                break;
            };
            self.act(index, now, action);
        }
        let calls = self.work(index, now);
        let node = &self.nodes[index];
        let wake = node.next_look.min(node.ownership.wake(now)).min(calls);
        let moment = node.moment(wake).max(self.now + 1);
        // A step too many does no harm; those of the past are dropped by the look at the clock.
        if node.next_step <= self.now || moment < node.next_step {
            self.nodes[index].next_step = moment;
            self.at(moment, What::Step(index));
        }
    }

    fn act(&mut self, index: usize, now: Time, action: Action) {
        match action {
            Action::Read => self.send(index, Statement::Look),
            Action::Take { seen } => {
                self.nodes[index].took_at = now;
                self.send(index, Statement::Take { seen });
            }
            Action::Recover { epoch, heard } => {
                let heard = if self.mutation == Mutation::HoldFromTheTake {
                    self.nodes[index].took_at
                } else {
                    heard
                };
                let mut owner = Owner::new(epoch, now, self.mutation);
                // Kept here until the log is read.
                owner.next_seq = heard.micros();
                self.nodes[index].owner = Some(owner);
                self.send(index, Statement::ReadLog);
            }
            Action::Drain => {
                if let Some(owner) = &mut self.nodes[index].owner {
                    owner.is_draining = true;
                }
            }
            Action::Release { epoch } => {
                if let Some(owner) = &self.nodes[index].owner {
                    let leases = owner.account.leases(now);
                    self.send(index, Statement::Release { epoch, leases });
                }
            }
            Action::Stop => {
                self.nodes[index].owner = None;
                self.nodes[index].ownership.stopped(now);
            }
        }
    }

    /// What an owner does now; when it has more to do.
    fn work(&mut self, index: usize, now: Time) -> Time {
        let node = &mut self.nodes[index];
        let state = node.ownership.state(now);
        let Some(owner) = &mut node.owner else {
            return Time::NEVER;
        };
        if node.ownership.epoch().is_none() {
            // It was handed over.
            node.owner = None;
            return Time::NEVER;
        }
        let mut next = Time::NEVER;
        let mut early = Vec::new();
        if matches!(state, OwnershipState::Holding | OwnershipState::Owning) {
            owner.fill(now);
            loop {
                match owner.account.step(now, &mut owner.queues) {
                    Step::Call(call, payload) => {
                        owner.queues.calls.insert(call.id.0, (call.channel, None));
                        let is_retry = !owner.queues.sent.insert((call.channel, payload.n));
                        if is_retry && self.mutation == Mutation::NoOpenBeforeRetries {
                            early.push(call);
                        } else {
                            owner.waiting.push(call);
                        }
                    }
                    Step::Wait(until) => {
                        next = until;
                        break;
                    }
                }
            }
        }
        let mut commit = None;
        if owner.committing.is_none()
            && state != OwnershipState::Recovering
            && (!owner.waiting.is_empty() || !owner.queues.dirty.is_empty())
        {
            let dirty = std::mem::take(&mut owner.queues.dirty);
            let open = dirty
                .iter()
                .map(|channel| (*channel, owner.queues.recorded(now, *channel)));
            owner.next_seq += 1;
            let statement = Statement::Commit {
                epoch: owner.epoch,
                seq: owner.next_seq,
                open: open.collect(),
            };
            let calls = std::mem::take(&mut owner.waiting);
            owner.committing = Some((statement.clone(), owner.next_seq, calls));
            commit = Some(statement);
        }
        let in_flight = owner
            .queues
            .calls
            .values()
            .any(|(_, until)| until.is_none());
        let is_drained = owner.is_draining && owner.committing.is_none() && !in_flight;
        if is_drained {
            owner.is_draining = false;
            node.ownership.drained();
            next = now;
        }
        let (life, epoch) = (node.id, owner.epoch);
        for call in early {
            self.at(self.now, What::Leaves(index, life, epoch, call, self.now));
        }
        if let Some(statement) = commit {
            self.send(index, statement);
        }
        next
    }
}
