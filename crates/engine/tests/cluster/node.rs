//! A node: its part in the ownership, and what it runs while it owns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use engine::{
    Account, AccountPolicy, Call, ChannelId, ChannelPolicy, Data, Envelope, Epoch, Event, Look,
    NodeId, Outcome, Ownership, OwnershipRules, Payload, PayloadId, Queue, Queues, Settled, Span,
    Time, View,
};

use crate::Mutation;
use crate::api::{ACCOUNT_TPS, CHANNEL_TPS};
use crate::database::Statement;

pub const CHANNELS: u32 = 4;

/// What the tuning of the run is: the defaults, but for a short lease.
pub fn rules() -> OwnershipRules {
    OwnershipRules {
        lease: Span::from_millis(3000),
        ..OwnershipRules::default()
    }
}

pub fn policy() -> AccountPolicy {
    AccountPolicy {
        channel_tps: CHANNEL_TPS,
        account_tps: ACCOUNT_TPS,
        ..AccountPolicy::default()
    }
}

pub struct Node {
    /// The present life.
    pub id: NodeId,
    pub is_up: bool,
    /// True time until which nothing is done.
    pub paused_until: u64,
    pub paused_from: u64,
    /// Until then no statement of it reaches the database, and no answer comes.
    pub cut_until: u64,
    /// Parts per million by which its clock is fast.
    pub ppm: i64,
    pub ownership: Ownership,
    pub owner: Option<Owner>,
    pub next_look: Time,
    /// When its last take was sent.
    pub took_at: Time,
    /// The step that is planned, in true time.
    pub next_step: u64,
}

impl Node {
    /// What its clock shows.
    pub fn clock(&self, now: u64) -> Time {
        let drift = i128::from(now) * i128::from(self.ppm) / 1_000_000;
        Time::from_micros(u64::try_from(i128::from(now) + drift).expect("positive") + 1_000_000)
    }

    /// When its clock shows that moment, or a little later.
    pub fn moment(&self, at: Time) -> u64 {
        let micros = i128::from(at.micros()) - 1_000_000;
        let moment = micros * 1_000_000 / (1_000_000 + i128::from(self.ppm)) + 2;
        u64::try_from(moment.max(0)).expect("positive")
    }

    pub fn begin(&mut self, id: NodeId) {
        self.id = id;
        self.is_up = true;
        self.ownership = Ownership::new(id, rules());
        self.owner = None;
        self.next_look = Time::ZERO;
    }
}

/// What an owner runs.
pub struct Owner {
    pub epoch: Epoch,
    pub account: Account,
    pub queues: Known,
    /// The group that is on its way: its number, and the calls that leave with it.
    pub committing: Option<(Statement, u64, Vec<Call>)>,
    pub next_seq: u64,
    /// Calls that wait for the next group.
    pub waiting: Vec<Call>,
    pub is_draining: bool,
}

/// The queues of an owner, which are never empty, and what is to be recorded of open calls.
pub struct Known {
    pub all: HashMap<ChannelId, Queue>,
    pub mutation: Mutation,
    /// Calls that are in flight or were given up, with the end of the time that they may count.
    pub calls: HashMap<u64, (ChannelId, Option<Time>)>,
    pub dirty: BTreeSet<ChannelId>,
    open: HashMap<ChannelId, u32>,
    /// Numbers of payloads that left before.
    pub sent: HashSet<(ChannelId, u64)>,
}

impl Known {
    fn note(&mut self, channel: ChannelId, open: u32) {
        if self.open.insert(channel, open) != Some(open) {
            self.dirty.insert(channel);
        }
    }

    /// The number that is recorded.
    pub fn recorded(&self, now: Time, channel: ChannelId) -> u32 {
        let open = self.open.get(&channel).copied().unwrap_or(0);
        let own = |counts: fn(Time, &Option<Time>) -> bool| {
            let of_it = self.calls.values().filter(|(of, _)| *of == channel);
            let count = of_it.filter(|(_, until)| counts(now, until)).count();
            u32::try_from(count).expect("few")
        };
        match self.mutation {
            Mutation::CountedDownByExpiry => own(|_, until| until.is_none()),
            Mutation::NotPassedOn => own(|now, until| until.is_none_or(|until| until > now)),
            _ => open,
        }
    }
}

impl Queues for Known {
    type Parcel = Payload;

    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look> {
        self.note(channel, view.open);
        self.all.get_mut(&channel).map(|queue| view.look(queue))
    }

    fn take(&mut self, now: Time, channel: ChannelId, open: u32) -> Option<(PayloadId, Payload)> {
        let payload = self.all.get_mut(&channel)?.take(now)?;
        self.note(channel, open);
        self.dirty.insert(channel);
        Some((payload.id, payload))
    }

    fn take_state(&mut self, _: Time, _: ChannelId, _: u32) -> Option<(PayloadId, Payload)> {
        None
    }

    fn settle(&mut self, call: Call, view: &View, outcome: Outcome) -> Settled {
        self.note(call.channel, view.open);
        let queue = self.all.get_mut(&call.channel).expect("a queue");
        view.settle(queue, call.payload, outcome)
    }

    fn rest(&mut self, _: ChannelId) {}
}

impl Owner {
    pub fn new(epoch: Epoch, now: Time, mutation: Mutation) -> Self {
        let channel = Arc::new(ChannelPolicy {
            envelope: Envelope::Raw,
            ..ChannelPolicy::default()
        });
        let queue = || Queue::new(Arc::clone(&channel), 1024, now.micros(), Span::ZERO);
        Self {
            epoch,
            account: Account::new(policy(), Time::ZERO, 1024),
            queues: Known {
                all: (0..CHANNELS).map(|id| (ChannelId(id), queue())).collect(),
                mutation,
                calls: HashMap::new(),
                dirty: BTreeSet::new(),
                open: HashMap::new(),
                sent: HashSet::new(),
            },
            committing: None,
            next_seq: 0,
            waiting: Vec::new(),
            is_draining: false,
        }
    }

    /// Every channel has a few events.
    pub fn fill(&mut self, now: Time) {
        for id in (0..CHANNELS).map(ChannelId) {
            let queue = self.queues.all.get_mut(&id).expect("a queue");
            if queue.len() < 3 {
                for _ in 0..5 {
                    let event = Event::new(Data::Json("1".into()));
                    // It may be refused, because it would wait too long.
                    let _ = queue.accept(now, event);
                }
                self.account.woken(now, id, &mut self.queues);
            }
        }
    }
}
