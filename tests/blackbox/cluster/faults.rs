//! Whatever fails, what was acknowledged is delivered or has another end, no limit is broken, and calls
//! go on within the time that the table of faults promises.
//!
//! Two shows run side by side, each with a database, an API and three nodes of its own. Between them
//! they have every kind of fault once, in an order of the seed; after each fault the books are closed.
//! `CUEGATE_CLUSTER_FAULTS` asks for more faults than each kind once: then further shows follow.
//!
//! - [`show`]: what runs, and what is looked at when all is still;
//! - [`producer`]: a producer that goes from node to node;
//! - [`kinds`]: the faults;
//! - [`pausing`]: a gateway that stops between a commit and its call;
//! - [`table`]: what came of it.

mod kinds;
mod pausing;
mod producer;
mod show;
mod table;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use kinds::{KINDS, Kind};
use show::{Findings, Show};
use table::{Line, Table};

use crate::support::seed;

/// What a machine that does something else adds to any time of the table.
const SLACK: Duration = Duration::from_secs(8);

#[test]
fn a_show_survives_every_kind_of_fault() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let faults = std::env::var("CUEGATE_CLUSTER_FAULTS").ok();
    let faults = faults.and_then(|text| text.parse().ok());
    let mut table = Table::default();
    loop {
        let seeds = [random.u64(..), random.u64(..)];
        let order = order(&mut random);
        let (half, rest) = order.split_at(order.len() / seeds.len());
        let lines: Vec<Line> = std::thread::scope(|scope| {
            let shows = [half, rest].into_iter().zip(seeds);
            let shows: Vec<_> = shows
                .map(|(kinds, seed)| scope.spawn(move || run(seed, kinds)))
                .collect();
            let lines = shows.into_iter().map(|it| it.join().expect("a show"));
            lines.flatten().collect()
        });
        if lines.is_empty() {
            // There is no database for tests, as was said.
            return;
        }
        table.lines.extend(lines);
        println!("{table}");
        if faults.is_none_or(|faults| table.lines.len() >= faults) {
            break;
        }
    }
    let wrong: Vec<_> = table
        .lines
        .iter()
        .filter(|it| !it.wrong.is_empty())
        .collect();
    assert!(wrong.is_empty(), "CUEGATE_TEST_SEED={seed}: {wrong:#?}");
}

/// The kinds that are asked for, each once; those after which a show cannot go on are the last of a half.
fn order(random: &mut fastrand::Rng) -> Vec<&'static Kind> {
    let only = std::env::var("CUEGATE_CLUSTER_FAULT").unwrap_or_default();
    let mut kinds: Vec<_> = KINDS
        .iter()
        .filter(|kind| only.is_empty() || only.split(',').any(|name| name == kind.name))
        .collect();
    random.shuffle(&mut kinds);
    kinds.sort_by_key(|kind| kind.is_last);
    kinds
}

/// Has a show with these faults, until one breaks a promise. Empty: there is no database for tests.
fn run(seed: u64, kinds: &[&'static Kind]) -> Vec<Line> {
    let mut lines = Vec::new();
    if kinds.is_empty() {
        return lines;
    }
    let Some(mut show) = Show::start(seed) else {
        return lines;
    };
    let mut events = 0;
    for kind in kinds {
        let faulty = AssertUnwindSafe(|| suffer(&mut show, kind));
        let (found, limit) = std::panic::catch_unwind(faulty).unwrap_or_else(|_| {
            let wrong = vec!["the show stands still, as was printed".to_owned()];
            let found = Findings {
                events,
                wrong,
                ..Findings::default()
            };
            (found, Duration::ZERO)
        });
        let line = Line::new(kind.name, found.events - events, found, limit);
        events += line.events;
        println!("{line}");
        let is_wrong = !line.wrong.is_empty();
        lines.push(line);
        if is_wrong {
            println!("{}", show.logs());
            break;
        }
    }
    lines
}

/// One fault, and what is found when it is over.
fn suffer(show: &mut Show, kind: &Kind) -> (Findings, Duration) {
    show.begin();
    let limit = (kind.run)(show) + SLACK;
    show.mend();
    show.await_calls();
    (show.judge(), limit)
}
