//! The scheduler's rules one by one, by hand and against a small API that answers after
//! 50 ms whatever a test wants.

use std::collections::{BTreeMap, VecDeque};

use super::super::{Next, Scheduler};
use super::network::Random;
use super::world::id;
use crate::call::{CallId, ChannelId, Demand, Health, Outcome, Rejection, ThrottleScope};
use crate::policy::{AccountPolicy, Pacing};
use crate::time::{Span, Time};

const ROUND_TRIP: Span = Span::from_millis(50);
const A: ChannelId = ChannelId(0);
const B: ChannelId = ChannelId(1);

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

#[expect(clippy::unnecessary_wraps, reason = "as `update` takes it")]
fn full(ready_ms: u64) -> Option<Demand> {
    Some(Demand {
        ready_at: at(ready_ms),
        oldest: at(ready_ms),
        full: true,
    })
}

fn partial(ready_ms: u64) -> Option<Demand> {
    full(ready_ms).map(|demand| Demand {
        full: false,
        ..demand
    })
}

fn scheduler() -> Scheduler {
    Scheduler::new(AccountPolicy::default(), Time::ZERO)
}

/// A call of a channel that must be allowed now, with nothing more to send after it.
fn call(scheduler: &mut Scheduler, ms: u64, channel: ChannelId) -> CallId {
    scheduler.update(at(ms), channel, full(ms));
    assert_eq!(scheduler.poll(at(ms)), Next::Send(channel), "at {ms} ms");
    scheduler.sent(at(ms), channel)
}

fn delivered(scheduler: &mut Scheduler, ms: u64, channel: ChannelId) {
    let call = call(scheduler, ms, channel);
    scheduler.finished(at(ms), call, Outcome::Delivered, 0);
}

/// Channels that always have a full payload, from `from` on for `seconds`. The calls made.
fn run(
    scheduler: &mut Scheduler,
    channels: usize,
    from: u64,
    seconds: u64,
    mut answer: impl FnMut(Time, ChannelId, &Scheduler) -> Outcome,
) -> Vec<(Time, ChannelId)> {
    let mut random = Random(from ^ channels as u64);
    let (mut now, end) = (at(from * 1000), at((from + seconds) * 1000));
    let (mut calls, mut flying) = (Vec::new(), VecDeque::new());
    let demand = |now| {
        Some(Demand {
            ready_at: now,
            oldest: now,
            full: true,
        })
    };
    for channel in (0..channels).map(id) {
        scheduler.update(now, channel, demand(now));
    }
    while now < end {
        match scheduler.poll(now) {
            Next::SendState(channel) => panic!("{channel:?} has no state"),
            Next::Send(channel) => {
                let probe = scheduler.status(now, channel).health == Health::Offline;
                assert!(
                    !(probe && scheduler.agenda.ready.any(Health::Live)),
                    "not spare"
                );
                let call = scheduler.sent(now, channel);
                scheduler.update(now, channel, demand(now));
                calls.push((now, channel));
                flying.push_back((now + ROUND_TRIP, channel, call));
            }
            Next::Wait(until) => {
                assert!(until > now, "waits for the past");
                let next = flying
                    .front()
                    .map_or(Time::NEVER, |(at, ..)| *at)
                    .min(until);
                now = next.min(end);
                while let Some((_, channel, call)) = flying.pop_front_if(|(at, ..)| *at <= now) {
                    let outcome = answer(now, channel, scheduler);
                    scheduler.finished(now, call, outcome, random.next());
                    scheduler.update(now, channel, demand(now));
                }
            }
        }
    }
    for (_, channel, call) in flying {
        let outcome = answer(end, channel, scheduler);
        scheduler.finished(end, call, outcome, random.next());
    }
    calls
}

fn count(calls: &[(Time, ChannelId)], of: impl Fn(usize) -> bool) -> usize {
    calls
        .iter()
        .filter(|(_, channel)| of(channel.0 as usize))
        .count()
}

/// How a call ends, told to the scheduler step by step, and when its token is back.
fn check_lease(steps: &[(u64, Option<Outcome>)], late_ms: Option<u64>, back_us: u64) {
    let mut scheduler = scheduler();
    let call = call(&mut scheduler, 0, A);
    for (ms, outcome) in steps {
        match outcome {
            Some(outcome) => scheduler.finished(at(*ms), call, *outcome, 0),
            None => scheduler.gave_up(at(*ms), call, 0),
        }
    }
    if let Some(ms) = late_ms {
        scheduler.late(at(ms), call);
    }
    let available = |micros| {
        let now = Time::from_micros(micros);
        (
            scheduler.status(now, A).tokens_available,
            scheduler.account_status(now).tokens_available,
        )
    };
    assert_eq!(
        available(back_us),
        (5, 155),
        "back, {steps:?}, late {late_ms:?}"
    );
    if back_us > 100_000 {
        assert_eq!(
            available(back_us - 1),
            (4, 154),
            "out, {steps:?}, late {late_ms:?}"
        );
    }
    assert_eq!(scheduler.account_status(at(10)).in_flight, 0, "{steps:?}");
}

#[test]
fn when_a_token_comes_back() {
    let answers = [
        Outcome::Delivered,
        Outcome::Throttled(ThrottleScope::Channel),
        Outcome::Offline,
        Outcome::TooLarge,
        Outcome::Rejected(Rejection::Validation),
        Outcome::Failed,
    ];
    for answer in answers {
        check_lease(&[(80, Some(answer))], None, 1_082_000);
        // A second end of the same call changes nothing.
        check_lease(
            &[(80, Some(answer)), (90, Some(Outcome::Unknown))],
            Some(95),
            1_082_000,
        );
    }
    check_lease(&[(80, Some(Outcome::Refused))], None, 80_000);
    check_lease(&[(80, Some(Outcome::Unknown))], None, 6_082_000);
    check_lease(&[(2000, None)], None, 8_002_000);
    check_lease(&[(2000, None)], Some(2500), 3_502_000);
    check_lease(&[(2000, None)], Some(7500), 8_002_000);
    check_lease(
        &[(2000, None), (2100, Some(Outcome::Delivered))],
        None,
        3_102_000,
    );
}

#[test]
fn all_tokens_count_as_out_until_the_hold_is_over() {
    let mut scheduler = Scheduler::new(AccountPolicy::default(), at(1500));
    assert_eq!(scheduler.poll(at(0)), Next::Wait(Time::NEVER));
    scheduler.update(at(10), A, full(10));
    assert_eq!(scheduler.poll(at(10)), Next::Wait(at(1500)));
    assert_eq!(scheduler.status(at(10), A).tokens_available, 0);
    assert_eq!(scheduler.account_status(at(10)).tokens_available, 0);
    assert_eq!(scheduler.link(at(10), A).next_call, at(1500));
    assert_eq!(scheduler.poll(at(1500)), Next::Send(A));
    assert_eq!(scheduler.status(at(1500), A).tokens_available, 5);
}

#[test]
fn a_queue_that_has_nothing_after_all() {
    let mut scheduler = scheduler();
    scheduler.update(at(0), A, full(0));
    scheduler.update(at(0), B, full(0));
    let Next::Send(first) = scheduler.poll(at(0)) else {
        panic!()
    };
    assert_eq!(
        scheduler.poll(at(0)),
        Next::Send(first),
        "polling changes nothing"
    );
    scheduler.update(at(0), first, None);
    let Next::Send(second) = scheduler.poll(at(0)) else {
        panic!()
    };
    assert_ne!(first, second);
    scheduler.update(at(0), second, full(300));
    assert_eq!(scheduler.poll(at(0)), Next::Wait(at(300)), "the next `at`");
    assert_eq!(scheduler.poll(at(300)), Next::Send(second));
}

#[test]
fn one_call_in_flight_a_channel() {
    for most in [1, 2] {
        let policy = AccountPolicy {
            max_in_flight_per_channel: most,
            ..AccountPolicy::default()
        };
        let mut scheduler = Scheduler::new(policy, Time::ZERO);
        let first = call(&mut scheduler, 0, A);
        for _ in 1..most {
            call(&mut scheduler, 0, A);
        }
        scheduler.update(at(0), A, full(0));
        assert_eq!(
            scheduler.poll(at(0)),
            Next::Wait(Time::NEVER),
            "{most} at once"
        );
        // Given up, it is not in flight, though its tokens are out and the channel backs off.
        scheduler.gave_up(at(2000), first, 0);
        assert_eq!(scheduler.poll(at(2000)), Next::Send(A), "{most} at once");
        assert_eq!(scheduler.status(at(2000), A).in_flight, most - 1);
    }
}

#[test]
fn partial_payloads_are_paced() {
    let mut scheduler = scheduler();
    delivered(&mut scheduler, 1000, A);
    // e1 is 2002 ms: last + .06 * 1002 ms.
    scheduler.update(at(1000), A, partial(1000));
    assert_eq!(
        scheduler.poll(at(1000)),
        Next::Wait(Time::from_micros(1_060_120))
    );
    // Full goes at once, and whoever was full first has not lost its turn.
    scheduler.update(at(1010), A, full(1000));
    assert_eq!(scheduler.poll(at(1010)), Next::Send(A));
    for ms in [1010, 1020, 1030, 1040] {
        delivered(&mut scheduler, ms, A);
    }
    // No token is free: the first one comes back at 2002, then u is 4 and e1 2012 ms.
    scheduler.update(at(1040), A, partial(1040));
    assert_eq!(scheduler.poll(at(1040)), Next::Wait(at(2002)));
    assert_eq!(scheduler.poll(at(2002)), Next::Send(A));
}

#[test]
fn steady_is_one_call_an_interval() {
    let policy = AccountPolicy {
        pacing: Pacing::Steady,
        ..AccountPolicy::default()
    };
    let mut scheduler = Scheduler::new(policy, Time::ZERO);
    let calls = run(&mut scheduler, 1, 0, 20, |_, _, _| Outcome::Delivered);
    // L/K = 1052/5 ms, once the round trip is known and the first leases have ended.
    let gaps = calls
        .windows(2)
        .skip(5)
        .map(|two| two[1].0.since(two[0].0).micros());
    assert!(
        gaps.clone().all(|gap| gap == 210_400),
        "{:?}",
        gaps.collect::<Vec<_>>()
    );
}

#[test]
fn a_smaller_limit_counts_the_leases_that_are_out() {
    let mut scheduler = scheduler();
    for ms in [0, 10, 20, 30] {
        delivered(&mut scheduler, ms, A);
    }
    let policy = AccountPolicy {
        channel_tps: 2,
        ..AccountPolicy::default()
    };
    scheduler.set_policy(at(40), policy);
    scheduler.update(at(40), A, full(40));
    assert_eq!(scheduler.status(at(40), A).tokens_available, 0);
    // Three of the four have to come back: 2 tokens, one of them free.
    let mut now = at(40);
    while let Next::Wait(until) = scheduler.poll(now) {
        now = until;
    }
    assert_eq!(now, at(1022));
    scheduler.set_policy(at(1022), AccountPolicy::default());
    assert_eq!(scheduler.status(at(1022), A).tokens_available, 4);
}

#[test]
fn paused_channels_wait_and_are_remembered() {
    let mut scheduler = scheduler();
    scheduler.pause(at(0), A);
    scheduler.update(at(0), A, full(0));
    assert_eq!(scheduler.poll(at(0)), Next::Wait(Time::NEVER));
    assert!(scheduler.status(at(0), A).paused);
    scheduler.resume(at(50), A);
    assert_eq!(scheduler.poll(at(50)), Next::Send(A));
    scheduler.pause(at(50), A);
    scheduler.update(at(50), A, None);
    assert!(!scheduler.forget(at(50), A), "an operator's word is kept");
    scheduler.resume(at(60), A);
    assert!(scheduler.forget(at(60), A));
    // Resuming what is not paused makes no state.
    scheduler.resume(at(60), B);
    assert!(scheduler.channels.is_empty());
}

#[test]
fn idle_channels_take_no_memory() {
    let mut scheduler = scheduler();
    let calls = run(&mut scheduler, 300, 0, 5, |_, _, _| Outcome::Delivered);
    assert_eq!(scheduler.channels.len(), 300);
    for channel in (0..300).map(id) {
        scheduler.update(at(5000), channel, None);
    }
    let (_, last) = calls[calls.len() - 1];
    assert!(!scheduler.forget(at(5000), last), "its tokens are out");
    assert_eq!(
        scheduler.poll(at(5500)),
        Next::Wait(Time::NEVER),
        "nobody is woken to tidy up"
    );
    scheduler.poll(at(6100));
    assert_eq!(scheduler.channels.len(), 0);
    assert!(scheduler.forget(at(6100), A), "unknown is forgotten");
}

#[test]
fn failing_channels_hold_a_tenth() {
    let mut scheduler = scheduler();
    let broken = |channel: usize| channel < 200;
    let mut most = 0;
    let calls = run(&mut scheduler, 220, 0, 40, |now, channel, scheduler| {
        if now > at(15_000) {
            most = most.max(scheduler.account.out_in(now, Health::Failing));
        }
        let denied = Outcome::Rejected(Rejection::AccessDenied);
        if broken(channel.0 as usize) {
            denied
        } else {
            Outcome::Delivered
        }
    });
    let late: Vec<_> = calls
        .into_iter()
        .filter(|(at, _)| *at > self::at(15_000))
        .collect();
    assert!((1..=15).contains(&most), "{most} leases");
    // 20 live channels at 5 in 1.052 s each, as if the others were not there.
    let live = count(&late, |channel| !broken(channel));
    assert!(live >= 20 * 5 * (25_000 / 1052), "{live}");
    assert!(count(&late, broken) > 100, "the others go on trying");
}

#[test]
fn a_lone_failing_channel_goes_on() {
    let policy = AccountPolicy {
        account_tps: 5,
        ..AccountPolicy::default()
    };
    let mut scheduler = Scheduler::new(policy, Time::ZERO);
    let mut fails = 6;
    let calls = run(&mut scheduler, 1, 0, 60, |_, _, _| {
        fails -= i32::from(fails > 0);
        if fails > 0 {
            Outcome::Unknown
        } else {
            Outcome::Delivered
        }
    });
    assert!(calls.len() > 60, "{}", calls.len());
}

#[test]
fn offline_streams_are_probed_with_spare_calls() {
    let mut scheduler = scheduler();
    let offline = |channel: usize| channel < 3;
    let mut live_from = at(60_000);
    let outcome = |now: Time, channel: ChannelId, from: Time| {
        if offline(channel.0 as usize) && now < from {
            Outcome::Offline
        } else {
            Outcome::Delivered
        }
    };
    let calls = run(&mut scheduler, 4, 0, 60, |now, channel, _| {
        outcome(now, channel, live_from)
    });
    let mut probes: BTreeMap<ChannelId, Vec<Time>> = BTreeMap::new();
    for (at, channel) in calls
        .iter()
        .filter(|(_, channel)| offline(channel.0 as usize))
    {
        probes.entry(*channel).or_default().push(*at);
    }
    for times in probes.values() {
        let gaps: Vec<u64> = times
            .windows(2)
            .map(|two| two[1].since(two[0]).millis_ceil())
            .collect();
        for (gap, wait) in gaps
            .iter()
            .zip([1000, 2000, 4000, 8000, 10_000, 10_000, 10_000])
        {
            assert!((wait * 7 / 8..=wait + 51).contains(gap), "{gaps:?}");
        }
    }
    assert_eq!(scheduler.status(at(60_000), A).health, Health::Offline);
    assert!(!scheduler.forget(at(60_000), A));
    // A notice that it is live: probed at once, and live.
    live_from = at(61_000);
    scheduler.hint_live(at(60_900), A);
    let calls = run(&mut scheduler, 1, 61, 5, |now, channel, _| {
        outcome(now, channel, live_from)
    });
    assert!(calls.len() >= 23, "{}", calls.len());
    assert_eq!(scheduler.status(at(66_000), A).health, Health::Live);
}

/// (That no live channel is ready when a probe goes, `run` asserts.)
#[test]
fn probes_leave_the_account_to_live_channels() {
    let mut scheduler = scheduler();
    let offline = |channel: usize| channel >= 60;
    let calls = run(&mut scheduler, 1000, 0, 30, |_, channel, _| {
        if offline(channel.0 as usize) {
            Outcome::Offline
        } else {
            Outcome::Delivered
        }
    });
    let late: Vec<_> = calls
        .into_iter()
        .filter(|(at, _)| at_ms(*at) > 10_000)
        .collect();
    let probes = count(&late, offline);
    // A tenth of 155 tokens, out for 1.052 s each, for 20 s.
    assert!((250..=300).contains(&probes), "{probes} probes");
    assert!(
        late.len() - probes >= 139 * 20_000 / 1052,
        "{} others",
        late.len() - probes
    );
    // With nothing live, at most a quarter of the account's leases go to probes.
    let mut scheduler = Scheduler::new(AccountPolicy::default(), Time::ZERO);
    let mut most = 0;
    run(&mut scheduler, 1000, 0, 30, |now, _, scheduler| {
        if now > at(15_000) {
            most = most.max(scheduler.account.out(now));
        }
        Outcome::Offline
    });
    assert!((30..=38).contains(&most), "{most}");
}

#[test]
fn the_circuit_stops_an_account_that_cannot_call() {
    let mut scheduler = scheduler();
    let mut open = 0;
    let calls = run(&mut scheduler, 100, 0, 60, |now, _, scheduler| {
        open += u32::from(scheduler.account_status(now).circuit_open);
        if now < at(45_000) {
            Outcome::Failed
        } else {
            Outcome::Delivered
        }
    });
    let before = calls.iter().filter(|(at, _)| *at < self::at(1000)).count();
    assert!((20..=155).contains(&before), "{before}");
    let during: Vec<_> = calls
        .iter()
        .map(|(at, _)| *at)
        .filter(|at| (at_ms(*at)) > 1200 && at_ms(*at) < 45_000)
        .collect();
    assert!((5..=8).contains(&during.len()), "{during:?}");
    let status = scheduler.account_status(at(60_000));
    assert_eq!((status.circuit_open, status.circuit_opened), (false, 1));
    let after = calls.iter().filter(|(at, _)| at_ms(*at) > 58_000).count();
    assert!(after > 200, "{after}: the quota is used again");
    assert!(open > 0);
}

fn at_ms(at: Time) -> u64 {
    at.micros() / 1000
}

/// A throttle of this scope; then the widened paces of the channel and the account, and
/// when the retry may go.
fn check_throttle(
    scope: ThrottleScope,
    channel_us: Option<u64>,
    account_us: Option<u64>,
    retry_us: u64,
) {
    let mut scheduler = scheduler();
    let call = call(&mut scheduler, 0, A);
    scheduler.finished(at(0), call, Outcome::Throttled(scope), 0);
    scheduler.update(at(0), A, full(0));
    let Next::Wait(retry) = scheduler.poll(at(0)) else {
        panic!("{scope:?}")
    };
    assert_eq!(retry.micros(), retry_us, "{scope:?}");
    assert_eq!(scheduler.poll(retry), Next::Send(A));
    let micros = |pace: Option<Span>| pace.map(Span::micros);
    assert_eq!(
        micros(scheduler.status(retry, A).pace),
        channel_us,
        "{scope:?}"
    );
    assert_eq!(
        micros(scheduler.account_status(retry).pace),
        account_us,
        "{scope:?}"
    );
    assert_eq!(scheduler.status(retry, A).health, Health::Live);
}

#[test]
fn throttles_widen_the_pace_of_their_scope() {
    check_throttle(ThrottleScope::Channel, Some(400_800), None, 400_800);
    check_throttle(ThrottleScope::Unnamed, Some(400_800), None, 400_800);
    check_throttle(ThrottleScope::Account, None, Some(12_928), 12_928);
}

#[test]
fn three_throttled_channels_slow_the_account_down_until_it_recovers() {
    let mut scheduler = scheduler();
    for channel in [A, B, ChannelId(2)] {
        let call = call(&mut scheduler, 0, channel);
        scheduler.finished(at(0), call, Outcome::Throttled(ThrottleScope::Unnamed), 0);
    }
    assert!(scheduler.account_status(at(0)).pace.is_some());
    let calls = run(&mut scheduler, 100, 1, 30, |_, _, _| Outcome::Delivered);
    let in_second = |second: u64| {
        calls
            .iter()
            .filter(|(at, _)| at_ms(*at) / 1000 == second)
            .count()
    };
    assert!((80..=100).contains(&in_second(1)), "{}", in_second(1));
    assert!((135..=155).contains(&in_second(20)), "{}", in_second(20));
    assert_eq!(scheduler.account_status(at(31_000)).pace, None);
    assert!(scheduler.throttle.is_none(), "the limiter is gone");
}

/// The mean interval of a channel among so many busy ones.
fn check_interval(busy: usize, interval_us: u64) {
    let mut scheduler = scheduler();
    for channel in (0..busy).map(id) {
        scheduler.update(at(0), channel, full(0));
    }
    let link = scheduler.link(at(0), A);
    assert_eq!(link.interval.micros(), interval_us, "{busy} busy");
    assert_eq!((link.health, link.next_call), (Health::Live, at(0)));
}

#[test]
fn the_interval_that_queues_plan_with() {
    check_interval(0, 200_400);
    check_interval(31, 200_400);
    check_interval(62, 400_800);
    check_interval(1550, 10_020_000);
}
