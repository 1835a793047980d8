//! The invariants of the design that are the scheduler's, under seeded random networks.
//!
//! `CUEGATE_SIM_RUNS` multiplies the number of seeds; a failure prints the seed, and the
//! same seed gives the same run.

use super::super::bucket::Stamp;
use super::network::{Network, Random};
use super::world::{Load, Records, Report, Setup, World};
use crate::policy::{AccountPolicy, Pacing};
use crate::time::{Span, Time};

fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    let times = std::env::var("CUEGATE_SIM_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    1..=count * times.unwrap_or(1)
}

fn any_load(random: &mut Random) -> Load {
    match random.within(0, 3) {
        0 => Load::Saturated,
        1 => Load::Events(random.within(5_000, 400_000)),
        2 => Load::Events(random.within(400_000, 5_000_000)),
        _ => Load::Bursts(random.within(300_000, 5_000_000)),
    }
}

fn any_policy(random: &mut Random) -> AccountPolicy {
    let usual = random.chance(600);
    AccountPolicy {
        channel_tps: if usual {
            5
        } else {
            u32::try_from(random.within(1, 12)).unwrap()
        },
        account_tps: if usual {
            155
        } else {
            u32::try_from(random.within(1, 200)).unwrap()
        },
        pacing: [Pacing::Spread, Pacing::Spread, Pacing::Even, Pacing::Steady]
            [usize::try_from(random.within(0, 3)).unwrap()],
        fair_share: [0.5, 0.5, 0.1, 1.0][usize::try_from(random.within(0, 3)).unwrap()],
        max_in_flight_per_channel: [1, 1, 1, 3][usize::try_from(random.within(0, 3)).unwrap()],
        ..AccountPolicy::default()
    }
}

fn saturated(seed: u64, channels: usize, network: Network) -> Setup {
    Setup {
        seed,
        policy: AccountPolicy::default(),
        stamp: Stamp::Response,
        network,
        loads: vec![Load::Saturated; channels],
        seconds: 60,
        dies: 0,
        records: Records::Right,
        loans: false,
    }
}

/// Invariants 1 and 2, on any network within the assumption: jitter, heavy tails, lost
/// requests and replies, broken and refused connections, errors of all kinds, an unlike
/// clock; with any policy and any load; of one process, or of many that go on one after the
/// other by the records of open calls.
#[test]
fn no_second_on_the_servers_clock_holds_too_many_calls() {
    let (mut calls, mut channel_seconds, mut fullest) = (0, 0, (0, 0));
    let (mut deaths, mut open, mut loans) = (0, 0, 0);
    for seed in seeds(40) {
        let mut random = Random(seed);
        let policy = any_policy(&mut random);
        let crowd = random.chance(400);
        let channels = random.within(1, if crowd { 300 } else { 40 });
        let setup = Setup {
            seed,
            network: Network::any(&mut random),
            stamp: Stamp::Response,
            loads: (0..channels).map(|_| any_load(&mut random)).collect(),
            seconds: 60,
            dies: [0, 0, 1_000_000, 5_000_000][usize::try_from(random.within(0, 3)).unwrap()],
            records: Records::Right,
            loans: random.chance(500),
            policy: policy.clone(),
        };
        let (report, _) = World::new(setup.clone()).run();
        assert_eq!(
            (report.channel_over, report.account_over),
            (0, 0),
            "{report:?} {setup:?}"
        );
        assert!(report.calls > 0, "{report:?} {setup:?}");
        (deaths, open) = (deaths + report.deaths, open + report.open);
        loans += report.loans;
        calls += report.calls;
        channel_seconds += channels * 60;
        if (policy.channel_tps, policy.account_tps) == (5, 155) {
            fullest.0 = fullest.0.max(report.channel_most);
            fullest.1 = fullest.1.max(report.account_most);
        }
    }
    println!(
        "{calls} calls, {loans} that carried nothing, {} channel-hours, {deaths} deaths with {open} open calls; fullest second {fullest:?}",
        channel_seconds / 3600
    );
    assert_eq!(
        fullest,
        (5, 155),
        "the test must reach the limits to mean anything"
    );
}

/// The mutation: tokens that come back 1 s + grace after the *send*.
#[test]
fn a_bucket_that_stamps_at_the_send_is_caught() {
    let jitter = Network {
        delay: 200,
        jitter: 50_000,
        ..Network::CALM
    };
    let tail = Network {
        tail: 50,
        ..Network::CALM
    };
    for network in [jitter, tail] {
        for seed in seeds(5) {
            let run = |stamp| {
                World::new(Setup {
                    stamp,
                    ..saturated(seed, 40, network)
                })
                .run()
                .0
            };
            let (wrong, right) = (run(Stamp::Send), run(Stamp::Response));
            println!(
                "stamped at the send: {} of {} calls over",
                wrong.channel_over, wrong.calls
            );
            assert!(
                wrong.channel_over > wrong.calls / 1000,
                "seed {seed}: {wrong:?}"
            );
            assert!(wrong.channel_most > 5, "seed {seed}: {wrong:?}");
            assert_eq!(
                (right.channel_over, right.account_over),
                (0, 0),
                "seed {seed}: {right:?}"
            );
        }
    }
}

/// The mutations: a process that is not told of the calls which the one before left open, and
/// one that is told only of those which that one made itself.
#[test]
fn a_process_that_does_not_inherit_open_calls_is_caught() {
    let network = Network {
        reply_lost: 150,
        tail: 50,
        timeout: 500_000,
        ..Network::CALM
    };
    for (records, dies) in [
        (Records::Lost, 5_000_000),
        (Records::NotPassedOn, 1_000_000),
    ] {
        let mut over = 0;
        for seed in seeds(5) {
            let run = |records| {
                let setup = saturated(seed, 30, network);
                World::new(Setup {
                    dies,
                    records,
                    ..setup
                })
                .run()
                .0
            };
            let right = run(Records::Right);
            assert_eq!(
                (right.channel_over, right.account_over),
                (0, 0),
                "seed {seed}: {right:?}"
            );
            let wrong = run(records);
            over += wrong.channel_over + wrong.account_over;
        }
        println!("{records:?}: {over} calls over");
        assert!(over > 0, "{records:?}");
    }
}

/// Outside the proof's one assumption the promise may break; nothing else does.
#[test]
fn beyond_the_assumption_the_rest_still_holds() {
    let (mut over, mut calls) = (0, 0);
    for seed in seeds(5) {
        let network = Network {
            reply_lost: 100,
            abandon_percent: 300,
            ..Network::CALM
        };
        let (report, _) = World::new(saturated(seed, 40, network)).run();
        over += report.channel_over + report.account_over;
        calls += report.calls;
    }
    println!("handled up to 3 x abandon late: {over} of {calls} calls made a second too full");
}

/// Invariant 4. Counted from the moment the backlog begins, with all tokens home.
#[test]
fn a_backlog_uses_the_quota() {
    let mut least = u64::MAX;
    for seed in seeds(20) {
        let mut random = Random(seed);
        let network = Network {
            delay: random.within(100, 150_000),
            jitter: random.within(0, 60_000),
            lag: random.within(0, 2_000),
            ..Network::CALM
        };
        let pacing = if random.chance(500) {
            Pacing::Spread
        } else {
            Pacing::Even
        };
        let mut setup = saturated(
            seed,
            usize::try_from(random.within(1, 31)).unwrap(),
            network,
        );
        setup.policy.pacing = pacing;
        let round_trip = network.round_trip_max();
        let cycle = 1_000_000 + setup.policy.grace.micros() + round_trip;
        let (_, calls) = World::new(setup).run();
        for calls in calls {
            for (made, next) in (0_u64..).zip(calls.iter().map(|call| call.micros())) {
                let until = next.saturating_sub(1);
                let promised = (5 * (until / cycle)).min(until / round_trip);
                assert!(
                    made >= promised,
                    "{made} of {promised} by {until}; seed {seed} {network:?}"
                );
            }
            least = least.min(calls.len() as u64);
        }
    }
    println!("least calls of a channel in 60 s: {least}");
    assert!(least > 60, "{least}");
}

/// Invariant 5, while the account does not bind.
#[test]
fn pacing_holds_a_partial_payload_at_most_half_of_l() {
    let mut longest = Report::default();
    for seed in seeds(40) {
        let mut random = Random(seed);
        let mut policy = any_policy(&mut random);
        policy.account_tps = 155;
        policy.max_in_flight_per_channel = 1;
        if policy.pacing == Pacing::Steady {
            policy.pacing = Pacing::Spread;
        }
        let network = Network {
            delay: random.within(100, 100_000),
            jitter: random.within(0, 50_000),
            ..Network::CALM
        };
        let cycle = Span::SECOND + policy.grace + Span::from_micros(network.round_trip_max());
        let loads = (0..8)
            .map(|_| Load::Events(random.within(20_000, 2_000_000)))
            .collect();
        let setup = Setup {
            policy,
            loads,
            ..saturated(seed, 0, network)
        };
        let (report, _) = World::new(setup).run();
        assert!(report.held.times(2) <= cycle, "seed {seed}: {report:?}");
        assert_eq!(report.idle_held, Span::ZERO, "seed {seed}: {report:?}");
        longest.held = longest.held.max(report.held);
    }
    println!("longest hold: {} ms", longest.held.millis_ceil());
}

/// Invariant 7, with many more channels than the account can serve at once.
#[test]
fn a_ready_channel_is_served_in_time() {
    let mut worst = 0;
    for seed in seeds(12) {
        let mut random = Random(seed);
        let channels = random.within(32, 700);
        let mut loads: Vec<Load> = (0..channels).map(|_| any_load(&mut random)).collect();
        loads.push(Load::Events(1_000_000));
        let mut setup = Setup {
            loads,
            ..saturated(seed, 0, Network::CALM)
        };
        setup.policy.fair_share = [0.5, 0.1, 1.0, 0.75][usize::try_from(seed % 4).unwrap()];
        let (report, _) = World::new(setup).run();
        assert!(
            report.wait_per_mille <= 1000,
            "seed {seed}, {channels} channels: {report:?}"
        );
        worst = worst.max(report.wait_per_mille);
    }
    println!("longest wait: {worst} thousandths of its bound");
}

/// Work-conserving: whoever saturates the account gets all of it.
#[test]
fn the_accounts_quota_is_used() {
    for seed in seeds(3) {
        let (report, calls) = World::new(saturated(seed, 400, Network::CALM)).run();
        // 155 tokens, each out for at most 1.062 s.
        assert!(
            report.calls as u64 >= 155 * 60_000_000 / 1_062_000,
            "seed {seed}: {report:?}"
        );
        let counts = calls.iter().map(Vec::len);
        let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
        assert!(
            most - least <= 3,
            "equals are served equally: {least} to {most}; seed {seed}"
        );
        assert!(
            calls
                .iter()
                .flatten()
                .all(|call| *call <= Time::from_micros(60_000_000))
        );
    }
}
