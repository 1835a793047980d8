//! Payloads of nothing but state: what they may take of the account, and when none goes.

use super::{
    A, Account, AccountPolicy, Arc, ChannelId, ChannelPolicy, Data, Event, OnUnknown, Outcome,
    Queue, Span, Time, World, at,
};
use crate::envelope::EnvelopeFields;
use crate::event::Content;
use crate::merge::Merge;
use crate::policy::Keyframes;

const CHANNELS: u32 = 40;
/// By then all events have left, and what they took of the account is back.
const QUIET_MS: u64 = 3000;
const STEP_MS: u64 = 5;

/// Channels that each have a key, and would send their state ten times a second.
fn world(policy: AccountPolicy) -> World {
    let mut world = World {
        account: Account::new(policy, Time::ZERO, 1024),
        queues: super::Known::default(),
        on_unknown: OnUnknown::Retry,
    };
    for channel in (0..CHANNELS).map(ChannelId) {
        let policy = ChannelPolicy {
            keyframes: Keyframes {
                on: true,
                idle: Span::from_millis(100),
                ..Keyframes::default()
            },
            fields: EnvelopeFields {
                kind: true,
                key: true,
                id: false,
            },
            ..ChannelPolicy::default()
        };
        let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::from_millis(210));
        let event = Event::from(Content {
            key: Some("score".into()),
            merge: Some(Merge::Replace),
            ..Event::new(Data::Json("1".into())).content
        });
        queue.accept(at(0), event).expect("accepted");
        world.queues.all.insert(channel, queue);
        world.account.woken(at(0), channel, &mut world.queues);
    }
    world
}

/// When each call was made in this time, and of which channel; every one is delivered at once.
fn calls(world: &mut World, from_ms: u64, to_ms: u64) -> Vec<(u64, ChannelId)> {
    let mut made = Vec::new();
    for ms in (from_ms..to_ms).step_by(usize::try_from(STEP_MS).expect("small")) {
        for call in world.calls(ms) {
            made.push((ms, call.channel));
            let queues = &mut world.queues;
            world
                .account
                .finished(at(ms), call, Outcome::Delivered, 0, queues);
        }
    }
    made
}

/// The most in any second.
fn most(made: &[(u64, ChannelId)]) -> usize {
    let within = |&(from, _): &(u64, ChannelId)| {
        let second = from..from + 1000;
        made.iter().filter(|(ms, _)| second.contains(ms)).count()
    };
    made.iter().map(within).max().unwrap_or(0)
}

#[test]
fn all_channels_together_keep_to_their_share() {
    let mut world = world(AccountPolicy::default());
    let events = calls(&mut world, 0, QUIET_MS);
    assert!(events.len() >= 40, "{}", events.len());
    let state = calls(&mut world, QUIET_MS, QUIET_MS + 10_000);
    // A tenth of 155 a second.
    assert!(most(&state) <= 16, "{} in a second", most(&state));
    assert!((140..=156).contains(&state.len()), "{}", state.len());
    // All of them have a turn.
    let served: std::collections::BTreeSet<_> = state.iter().map(|(_, channel)| *channel).collect();
    assert_eq!(served.len(), CHANNELS as usize);
}

#[test]
fn half_of_the_account_stays_free() {
    let policy = AccountPolicy {
        account_tps: 20,
        state_share: 1.0,
        ..AccountPolicy::default()
    };
    let mut world = world(policy);
    calls(&mut world, 0, 2 * QUIET_MS);
    let state = calls(&mut world, 2 * QUIET_MS, 2 * QUIET_MS + 10_000);
    assert!(state.len() > 50, "{}", state.len());
    assert!(most(&state) <= 11, "{} in a second", most(&state));
}

#[test]
fn none_goes_while_paused_or_draining() {
    let mut world = world(AccountPolicy::default());
    calls(&mut world, 0, QUIET_MS);
    let of =
        |made: &[(u64, ChannelId)], channel| made.iter().filter(|(_, of)| *of == channel).count();
    world.account.pause(at(QUIET_MS), A);
    let state = calls(&mut world, QUIET_MS, QUIET_MS + 8000);
    assert_eq!(of(&state, A), 0);
    assert!(state.len() > 100, "{}", state.len());
    world.account.resume(at(QUIET_MS + 8000), A);
    world
        .account
        .woken(at(QUIET_MS + 8000), A, &mut world.queues);
    let state = calls(&mut world, QUIET_MS + 8000, QUIET_MS + 16_000);
    assert!(of(&state, A) > 0);
    world.account.drain();
    assert_eq!(calls(&mut world, QUIET_MS + 16_000, QUIET_MS + 18_000), []);
}
