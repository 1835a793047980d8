//! How many calls may still be handled, what is on record of it, and what the next process makes
//! of that.

use super::{A, Call, ChannelId, OnUnknown, Outcome, Step, Time, World, at};
use crate::scheduler::LeaseLeft;
use crate::time::Span;

const B: ChannelId = ChannelId(1);

/// When the lease of a call that is given up at 0 ms ends: `abandon`, a second and the grace.
const LAPSE: u64 = 6002;

impl World {
    fn recorded(&self, channel: ChannelId) -> u32 {
        self.queues.records.get(&channel).copied().unwrap_or(0)
    }

    /// Steps at that moment, makes no call, and says until when nothing happens.
    fn waits(&mut self, ms: u64) -> Time {
        match self.account.step(at(ms), &mut self.queues) {
            Step::Wait(until) => until,
            Step::Call(call, _) => panic!("{call:?} at {ms} ms"),
        }
    }

    /// One event and its call, which is not answered.
    fn unanswered(&mut self, ms: u64, channel: ChannelId) -> Call {
        self.offer(ms, channel);
        let calls = self.calls(ms);
        let [call] = calls[..] else {
            panic!("{calls:?} at {ms} ms");
        };
        assert_eq!(self.recorded(channel), self.account.open(at(ms), channel));
        call
    }
}

/// A call that ends so at 0 ms is open until `until`, and the record is put right then, although
/// its payload is gone and the channel has nothing to do.
fn check(outcome: Outcome, late: Option<(u64, Outcome)>, until: u64) {
    let case = format!("{outcome:?} {late:?}");
    let mut world = World::new();
    world.on_unknown = OnUnknown::Drop;
    let call = world.unanswered(0, A);
    assert_eq!(world.recorded(A), 1, "{case}: in flight");
    if until == 0 {
        world
            .account
            .finished(at(0), call, outcome, 0, &mut world.queues);
    } else {
        world.account.gave_up(at(0), call, 0, &mut world.queues);
        let next = world.waits(until - 1);
        assert_eq!(
            (world.recorded(A), world.queues.rested),
            (1, false),
            "{case}"
        );
        assert_eq!(world.account.open(at(until - 1), A), 1, "{case}");
        if let Some((ms, outcome)) = late {
            world.account.late(at(ms), call, outcome, &mut world.queues);
        } else {
            assert_eq!(next, at(until), "{case}");
        }
        world.waits(until);
    }
    assert_eq!(world.account.open(at(until), A), 0, "{case}");
    assert_eq!(world.recorded(A), 0, "{case}");
}

#[test]
fn a_call_is_open_until_it_was_answered_or_its_lease_ends() {
    for answered in [
        Outcome::Delivered,
        Outcome::Failed,
        Outcome::Refused,
        Outcome::Offline,
        Outcome::TooLarge,
    ] {
        check(answered, None, 0);
    }
    check(Outcome::Unknown, None, LAPSE);
    check(Outcome::Unknown, Some((3000, Outcome::Delivered)), 3000);
    check(Outcome::Unknown, Some((3000, Outcome::Failed)), 3000);
    // The connection of a call that was given up broke: nobody was told anything.
    let mut world = World::new();
    world.on_unknown = OnUnknown::Drop;
    let call = world.unanswered(0, A);
    world.account.gave_up(at(0), call, 0, &mut world.queues);
    world
        .account
        .late(at(3000), call, Outcome::Unknown, &mut world.queues);
    assert_eq!((world.waits(LAPSE - 1), world.recorded(A)), (at(LAPSE), 1));
}

#[test]
fn a_connection_that_breaks_late_frees_no_token() {
    for (outcome, back) in [(Outcome::Unknown, LAPSE), (Outcome::Failed, 4002)] {
        let mut world = World::new();
        let call = world.unanswered(0, A);
        world.account.gave_up(at(0), call, 0, &mut world.queues);
        world
            .account
            .late(at(3000), call, outcome, &mut world.queues);
        let tokens = |ms| world.account.status(at(ms), A).tokens_available;
        assert_eq!(tokens(back - 1), 4, "{outcome:?}");
        assert_eq!(tokens(back), 5, "{outcome:?}");
    }
}

/// A successor that hears at 0 ms of these open calls, with so many events for each channel.
fn successor(open: &[(ChannelId, u32)], channels: &[ChannelId]) -> World {
    let mut world = World::new();
    world.account.inherit(at(0), open.iter().copied());
    for channel in channels {
        world.offer(0, *channel);
    }
    world
}

/// The calls of a channel that always has something, each answered at once, in each ms.
fn calls_of(world: &mut World, until: u64) -> Vec<u64> {
    let mut made = Vec::new();
    for ms in 0..=until {
        for call in world.calls(ms) {
            made.push(ms);
            world
                .account
                .finished(at(ms), call, Outcome::Delivered, 0, &mut world.queues);
            world.offer(ms, call.channel);
        }
    }
    made
}

#[test]
fn what_may_still_be_handled_is_withheld_and_passed_on() {
    for open in 0..=5_u32 {
        let mut world = successor(&[(A, open)], &[A]);
        assert_eq!(world.recorded(A), open, "on record again");
        let status = world.account.account_status(at(0));
        assert_eq!((status.tokens_available, status.inherited), (0, open));
        assert_eq!(world.account.status(at(1001), A).tokens_available, 0);
        assert_eq!(world.account.status(at(1002), A).tokens_available, 5 - open);
        let made = calls_of(&mut world, LAPSE - 1);
        let first = made.first().copied();
        assert_eq!(first, (open < 5).then_some(1002), "{open} open");
        // Never more than 5 - open in a second of our own.
        let own = 5 - open as usize;
        for calls in made.windows(own + 1).filter(|_| own > 0) {
            assert!(calls[own] - calls[0] >= 1000, "{open} open: {calls:?}");
        }
        assert!(world.recorded(A) >= open, "passed on to the end");
        assert_eq!(world.account.account_status(at(LAPSE - 1)).inherited, open);
        assert_eq!(world.account.account_status(at(LAPSE)).inherited, 0);
        if open == 5 {
            assert_eq!(world.calls(LAPSE).len(), 1);
        }
    }
}

#[test]
fn the_account_withholds_the_sum() {
    let open: Vec<_> = (0..31).map(|id| (ChannelId(id), 5)).collect();
    let others: Vec<_> = (100..300).map(ChannelId).collect();
    for (channels, calls) in [(31, 0), (30, 5), (1, 150), (0, 155)] {
        let mut world = successor(&open[..channels], &others);
        assert_eq!(world.calls(1001).len(), 0);
        assert_eq!(world.calls(1002).len(), calls, "{channels} channels");
        assert_eq!(world.calls(LAPSE - 1).len(), 0);
        assert_eq!(world.calls(LAPSE).len(), (155 - calls).min(200 - calls));
    }
}

#[test]
fn a_channel_with_inherited_calls_is_not_forgotten() {
    let mut world = successor(&[(A, 1)], &[]);
    assert!(!world.forgets(LAPSE - 1, A));
    assert!(!world.account.is_idle(at(LAPSE - 1)));
    assert_eq!(world.waits(1), at(LAPSE));
    assert!(!world.forgets(LAPSE, A), "its record says that one is open");
    world.waits(LAPSE);
    assert!(world.forgets(LAPSE, A));
    assert!(world.account.is_idle(at(LAPSE)));
}

#[test]
fn leases_are_handed_over_without_a_hold() {
    let mut world = World::new();
    let (answered, given_up) = (world.unanswered(0, A), world.unanswered(0, B));
    let (in_flight, queues) = (world.unanswered(0, ChannelId(2)), &mut world.queues);
    world
        .account
        .finished(at(100), answered, Outcome::Delivered, 0, queues);
    world.account.gave_up(at(100), given_up, 0, queues);
    let mut leases = world.account.leases(at(600));
    leases.sort_by_key(|lease| lease.channel);
    let left = |channel, ms, open| LeaseLeft {
        channel,
        left: Span::from_millis(ms),
        open,
    };
    let expected = [
        left(A, 502, false),
        left(B, 5502, true),
        left(in_flight.channel, LAPSE, true),
    ];
    assert_eq!(leases, expected);

    let mut next = World::new();
    next.account.take_over(at(10_000), leases);
    let status = next.account.account_status(at(10_000));
    assert_eq!((status.tokens_available, status.inherited), (152, 2));
    let tokens = |ms, channel| next.account.status(at(ms), channel).tokens_available;
    assert_eq!((tokens(10_501, A), tokens(10_502, A)), (4, 5));
    assert_eq!((tokens(15_501, B), tokens(15_502, B)), (4, 5));
    assert_eq!(next.account.open(at(10_000), A), 0);
    assert_eq!(next.account.open(at(10_000), B), 1);
    next.offer(10_000, A);
    assert_eq!(next.calls(10_000).len(), 1, "no hold");
}
