//! The engine end to end: many channels, a clock that is counted up, an adversarial network,
//! and an API that checks its limits exactly. Every promise of the design is looked at after
//! every step, or at the end of the run.
//!
//! A failure names its scenario and seed; `CUEGATE_SIM_SEED=adverse-4:3` runs that one alone.

#![expect(clippy::disallowed_methods, reason = "how long a run took is printed")]

mod books;
mod driver;
mod mishaps;
mod monitor;
mod network;
mod producers;
mod random;
mod restart;
mod scenario;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use scenario::{ADVERSE, ALL, Faults, SECOND, Scenario, Traffic};
use world::{Report, World};

fn scenario(name: &str) -> Scenario {
    *ALL.iter()
        .find(|scenario| scenario.name == name)
        .expect("a scenario of that name")
}

fn run(scenario: &Scenario, seed: u64) -> Report {
    let label = format!("CUEGATE_SIM_SEED={}:{seed}", scenario.name);
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| World::new(scenario, seed).run()));
    let Ok(report) = result else {
        panic!("failed: {label}");
    };
    println!(
        "{label}: {} channels x {} s in {:.1} s: {report:?}",
        scenario.channels,
        scenario.seconds,
        started.elapsed().as_secs_f64()
    );
    report
}

/// Whether one run alone was asked for.
fn replays() -> bool {
    std::env::var_os("CUEGATE_SIM_SEED").is_some()
}

/// Runs a scenario by all of its seeds, or by the one that was asked for.
fn check(name: &str) {
    let mut scenario = scenario(name);
    if let Ok(wanted) = std::env::var("CUEGATE_SIM_SEED") {
        if let Some((of, seed)) = wanted.split_once(':')
            && of == name
        {
            run(&scenario, seed.parse().expect("a number"));
        }
        return;
    }
    if cfg!(debug_assertions) {
        // Unoptimised, a tenth of it has to do.
        scenario.seconds /= 10;
    }
    for seed in 0..scenario.seeds {
        let report = run(&scenario, seed);
        assert!(report.most_channel <= 5 && report.most_account <= 155);
        assert!(report.events > 0 && report.delivered > 0);
        assert!(!scenario.forgets || report.forgotten > 0, "{report:?}");
        assert!(!scenario.clock_is_set || report.moved > 0, "{report:?}");
        assert!(!scenario.is_killed() || report.kills > 3, "{report:?}");
        let is_torn = report.recovered > 0 && report.lost > 0;
        assert!(!scenario.is_torn() || is_torn, "{report:?}");
        let has_large = scenario.traffic.contains(&Traffic::Mixed) && scenario.is_crowded();
        assert!(!has_large || report.slices > 0, "{report:?}");
    }
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*

        #[test]
        fn every_scenario_is_run() {
            let names = [$($name),*];
            assert!(ALL.iter().all(|scenario| names.contains(&scenario.name)));
            let hours: u64 = ALL.iter().map(|s| u64::from(s.channels) * s.seconds * s.seeds).sum::<u64>() / 3600;
            println!("{hours} channel-hours");
            assert!(hours >= 1000, "{hours} channel-hours");
        }
    };
}

scenarios! {
    calm: "calm-4",
    calm_even: "calm-4-even",
    saturated: "saturated-40",
    crowded: "crowded-100",
    sparse: "sparse-400",
    adverse: "adverse-4",
    adverse_operated: "adverse-5-operated",
    adverse_three_in_flight: "adverse-8-three-in-flight",
    adverse_crowded: "adverse-60",
    adverse_sparse: "adverse-400-sparse",
    adverse_steady: "adverse-6-steady",
    adverse_torn: "adverse-6-torn",
    adverse_killed: "adverse-6-killed",
    adverse_crowded_killed: "adverse-60-killed",
    adverse_clock: "adverse-6-clock-is-set",
    calm_forgotten: "calm-forgotten-6",
    adverse_forgotten: "adverse-forgotten-6",
}

#[test]
fn the_same_seed_gives_the_same_run() {
    if replays() {
        return;
    }
    for name in ["adverse-5-operated", "adverse-60"] {
        let scenario = Scenario {
            seconds: 120,
            ..scenario(name)
        };
        let first = run(&scenario, 77);
        assert_eq!(first, run(&scenario, 77), "{name}");
        assert_ne!(
            first.trace,
            run(&scenario, 78).trace,
            "{name}: the trace says nothing"
        );
    }
}

/// Beyond the proof's one assumption (no call is handled later than `abandon` after it was
/// given up) nothing is promised. This shows what happens, and asserts only that the test
/// does go beyond.
#[test]
fn beyond_the_abandon_assumption() {
    if replays() {
        return;
    }
    let faults = Faults {
        broken: 500,
        beyond_abandon: 5 * SECOND,
        ..ADVERSE
    };
    let mut windows = 0;
    let mut calls = 0;
    let mut most = 0;
    for seed in 0..4 {
        let report = run(
            &Scenario {
                name: "beyond",
                faults,
                ..scenario("adverse-4")
            },
            seed,
        );
        windows += report.violations;
        calls += report.calls;
        most = most.max(report.most_channel);
    }
    println!(
        "beyond the assumption: {windows} of {calls} calls exceed a window, at most {most} in one second"
    );
    assert!(most >= 5);
}
