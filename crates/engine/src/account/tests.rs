//! When an account forgets a channel, and when it does not: driven through real queues.

use std::collections::HashMap;
use std::sync::Arc;

mod loan;
mod state;
mod succession;

use super::{Account, Call, Look, Queues, Step, View};
use crate::call::{ChannelCondition, ChannelId, Health, Outcome, Rejection, ThrottleScope};
use crate::event::{Data, Event};
use crate::policy::{AccountPolicy, ChannelPolicy, OnUnknown};
use crate::queue::{Payload, PayloadId, Queue, Settled};
use crate::time::{Span, Time};

const A: ChannelId = ChannelId(0);

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

#[derive(Default)]
struct Known {
    all: HashMap<ChannelId, Queue>,
    /// The open calls, as the driver had them recorded.
    records: HashMap<ChannelId, u32>,
    rested: bool,
}

impl Queues for Known {
    type Parcel = Payload;

    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look> {
        self.records.insert(channel, view.open);
        self.rested = false;
        self.all.get_mut(&channel).map(|queue| view.look(queue))
    }

    fn take(&mut self, now: Time, channel: ChannelId, open: u32) -> Option<(PayloadId, Payload)> {
        let payload = self.all.get_mut(&channel)?.take(now)?;
        self.records.insert(channel, open);
        Some((payload.id, payload))
    }

    fn take_state(
        &mut self,
        now: Time,
        channel: ChannelId,
        open: u32,
    ) -> Option<(PayloadId, Payload)> {
        let payload = self.all.get_mut(&channel)?.take_state(now)?;
        self.records.insert(channel, open);
        Some((payload.id, payload))
    }

    fn settle(&mut self, call: Call, view: &View, outcome: Outcome) -> Settled {
        self.records.insert(call.channel, view.open);
        let queue = self.all.get_mut(&call.channel).expect("a queue");
        view.settle(queue, call.payload, outcome)
    }

    fn rest(&mut self, _: ChannelId) {
        self.rested = true;
    }
}

struct World {
    account: Account,
    queues: Known,
    on_unknown: OnUnknown,
}

impl World {
    fn new() -> Self {
        Self {
            account: Account::new(AccountPolicy::default(), Time::ZERO, 1024),
            queues: Known::default(),
            on_unknown: OnUnknown::Retry,
        }
    }

    fn offer(&mut self, ms: u64, channel: ChannelId) {
        let queue = self.queues.all.entry(channel).or_insert_with(|| {
            let interval = Span::from_millis(210);
            let policy = ChannelPolicy {
                // An unanswered call ends its payload, so that nothing of it goes again.
                on_unknown: self.on_unknown,
                ..ChannelPolicy::default()
            };
            Queue::new(Arc::new(policy), 1024, 1, interval)
        });
        let event = Event::new(Data::Json("1".into()));
        queue.accept(at(ms), event).expect("accepted");
        self.account.woken(at(ms), channel, &mut self.queues);
    }

    /// The calls that are made at that moment.
    fn calls(&mut self, ms: u64) -> Vec<Call> {
        let mut calls = Vec::new();
        while let Step::Call(call, _) = self.account.step(at(ms), &mut self.queues) {
            calls.push(call);
        }
        calls
    }

    /// One event and its call, which ends at the same moment.
    fn call(&mut self, ms: u64, channel: ChannelId, outcome: Outcome) {
        self.offer(ms, channel);
        let calls = self.calls(ms);
        let [call] = calls[..] else {
            panic!("{calls:?} at {ms} ms");
        };
        self.account
            .finished(at(ms), call, outcome, 0, &mut self.queues);
    }

    fn forgets(&mut self, ms: u64, channel: ChannelId) -> bool {
        self.account.forget(at(ms), channel)
    }
}

/// A call ends so at 0 ms, and the event, if it is still there, is taken back: the channel is
/// forgotten from `ms` on and not before.
fn check(outcome: Outcome, ms: u64) {
    let mut world = World::new();
    world.call(0, A, outcome);
    let queue = world.queues.all.get_mut(&A).expect("a queue");
    queue.purge(at(0), None, None);
    if !queue.is_empty() {
        // A payload that is to go again expires instead.
        let calls = world.calls(ms - 1);
        assert!(calls.is_empty(), "{outcome:?}");
    }
    world.account.woken(at(0), A, &mut world.queues);
    assert!(!world.forgets(ms - 1, A), "{outcome:?} at {} ms", ms - 1);
    assert!(!world.account.is_idle(at(ms - 1)), "{outcome:?}");
    assert!(world.forgets(ms, A), "{outcome:?} at {ms} ms");
    assert!(world.account.is_idle(at(ms.max(6000))), "{outcome:?}");
}

#[test]
fn a_channel_is_forgotten_when_nothing_of_it_counts() {
    // Its token is out for 1 s and the grace of 2 ms.
    check(Outcome::Delivered, 1002);
    // Bad news count for 2 s.
    check(Outcome::Rejected(Rejection::NoSuchChannel), 2000);
    check(Outcome::Rejected(Rejection::AccessDenied), 2000);
    // About the payload alone.
    check(Outcome::Rejected(Rejection::Validation), 1002);
}

#[test]
fn a_channel_that_comes_again_makes_no_call_too_many() {
    let mut world = World::new();
    let mut calls = Vec::new();
    // As many events as can be, and the registry wants the room all the time.
    for ms in 0..5000 {
        if world.queues.all.get(&A).is_none_or(Queue::is_empty) {
            world.offer(ms, A);
        }
        for call in world.calls(ms) {
            calls.push(ms);
            world
                .account
                .finished(at(ms), call, Outcome::Delivered, 0, &mut world.queues);
        }
        if world.forgets(ms, A) {
            world.queues.all.remove(&A);
        }
    }
    for five in calls.windows(6) {
        assert!(five[5] - five[0] >= 1000, "{five:?}");
    }
    assert!(calls.len() >= 23, "{}", calls.len());
}

#[test]
fn a_pause_and_what_is_queued_are_never_forgotten() {
    let mut world = World::new();
    world.account.pause(at(0), A);
    assert!(!world.forgets(3_600_000, A));
    assert!(!world.account.is_idle(at(3_600_000)));
    world.offer(3_600_000, A);
    world.account.resume(at(3_600_001), A);
    assert!(!world.forgets(3_600_001, A), "an event waits");
    // It expires after 10 s, and nothing is left.
    assert!(world.calls(3_700_000).is_empty());
    assert!(world.forgets(3_700_000, A));
    assert!(world.account.is_idle(at(3_700_000)));
}

#[test]
fn a_throttle_counts_until_it_has_recovered() {
    let mut world = World::new();
    world.call(0, A, Outcome::Throttled(ThrottleScope::Channel));
    world.queues.all.remove(&A);
    world.account.woken(at(0), A, &mut world.queues);
    assert!(!world.forgets(4999, A));
    assert!(world.forgets(5000, A));
}

#[test]
fn states_of_many_channels_take_no_memory_once_they_are_forgotten() {
    let mut world = World::new();
    let mut ms = 0;
    for channel in (0..2000).map(ChannelId) {
        ms += 10;
        world.call(ms, channel, Outcome::Rejected(Rejection::NoSuchChannel));
        world.queues.all.remove(&channel);
    }
    assert!(!world.forgets(ms, ChannelId(1999)), "its call was just now");
    for channel in (0..2000).map(ChannelId) {
        assert!(world.forgets(ms + 30_000, channel), "{channel:?}");
    }
    assert!(world.account.is_idle(at(ms + 30_000)));
}

#[test]
fn a_channel_that_was_idle_goes_by_the_present_pace() {
    let mut world = World::new();
    // 400 channels at once: A is the last that is looked at in company.
    for channel in (0..400).rev().map(ChannelId) {
        world.offer(0, channel);
    }
    let queue = world.queues.all.get(&A).expect("a queue");
    let crowded = queue.link().interval;
    assert!(crowded >= Span::from_millis(2000), "{crowded:?}");
    let known = world.account.view(at(0), A).channel;
    let mut ms = 0;
    while !world.account.is_idle(at(ms)) {
        for call in world.calls(ms) {
            world
                .account
                .finished(at(ms), call, Outcome::Delivered, 0, &mut world.queues);
        }
        ms += 100;
        assert!(ms < 60_000, "drained");
    }
    let link = ChannelCondition::of(at(ms), &known, &world.account.outlook());
    assert!(link.interval <= Span::from_millis(210), "{link:?}");
}

#[test]
fn a_probe_that_is_due_is_due_for_a_moment_read_before_the_link() {
    let mut world = World::new();
    world.call(0, A, Outcome::Offline);
    let known = world.account.view(at(0), A).channel;
    let account = world.account.outlook();
    // The wait before the first probe is at most a second.
    let link = ChannelCondition::of(at(1500), &known, &account);
    assert_eq!(link.health, crate::call::Health::Offline);
    assert!(link.next_call <= at(1000), "{link:?}");
}
