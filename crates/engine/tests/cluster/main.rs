//! Several nodes, one account: who owns it, and that no window of the API is ever exceeded, however
//! nodes die, sleep, are cut off, hand over, and whatever the database loses that it had not
//! confirmed. The scheduler and the ownership are the real ones; the database, the network and the
//! API are models of them.
//!
//! Every rule of the fence is taken away once, and the run must then fail: else it would show nothing.
//! A failure names its seed; `CUEGATE_CLUSTER_SEED=17` runs that one alone.

mod api;
mod database;
mod faults;
mod node;
#[path = "../simulation/random.rs"]
#[expect(dead_code, reason = "the simulation of one node uses more of it")]
mod random;
mod world;

use world::{Report, World};

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// All rules are kept.
    None,
    /// A retry leaves without being on record.
    NoOpenBeforeRetries,
    /// A call that was given up is no longer counted as open.
    CountedDownByExpiry,
    /// Open calls of the predecessor are not withheld.
    NotInherited,
    /// They are withheld, and not recorded for the next one.
    NotPassedOn,
    /// A commit that the standby did not confirm counts as confirmed.
    NoticeIgnored,
    /// The epoch is looked at in one statement, and the group is inserted in another.
    MultiStatementCommit,
    /// The predecessor's calls count from the sending of the take and not from its answer.
    HoldFromTheTake,
}

const SECONDS: u64 = 120;

fn run(seed: u64, mutation: Mutation) -> Report {
    World::new(seed, mutation).run(SECONDS)
}

#[test]
fn no_window_is_exceeded_and_calls_go_on() {
    let seeds = match std::env::var("CUEGATE_CLUSTER_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) if cfg!(debug_assertions) => 0..40,
        Err(_) => 0..400,
    };
    let mut all = Report::default();
    for seed in seeds {
        let report = run(seed, Mutation::None);
        assert_eq!(
            report.violations, 0,
            "CUEGATE_CLUSTER_SEED={seed} {report:?}"
        );
        assert!(
            report.calls > 100 && report.takes > 3,
            "CUEGATE_CLUSTER_SEED={seed} {report:?}"
        );
        all.add(&report);
    }
    println!("{all:?}");
}

/// Whether a run of one of the seeds fails.
fn is_seen(mutation: Mutation) {
    let seen = (0..400).find(|seed| run(*seed, mutation).violations > 0);
    assert!(seen.is_some(), "{mutation:?} breaks no window");
    println!("{mutation:?}: seen by seed {seen:?}");
}

macro_rules! mutations {
    ($($test:ident: $mutation:ident,)*) => {
        $(#[test]
        fn $test() {
            is_seen(Mutation::$mutation);
        })*
    };
}

mutations! {
    a_retry_that_is_not_on_record_is_seen: NoOpenBeforeRetries,
    a_count_that_ends_with_the_payload_is_seen: CountedDownByExpiry,
    open_calls_that_are_not_inherited_are_seen: NotInherited,
    open_calls_that_are_not_passed_on_are_seen: NotPassedOn,
    a_notice_that_is_ignored_is_seen: NoticeIgnored,
    a_commit_in_two_statements_is_seen: MultiStatementCommit,
    a_hold_that_begins_too_early_is_seen: HoldFromTheTake,
}
