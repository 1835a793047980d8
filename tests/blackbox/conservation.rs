//! Conservation: whatever happens, every acknowledged event is delivered or has one of the other
//! ends, none is delivered under two numbers, order per key and the limits hold.
//!
//! A producer with books of its own sends to a gateway that is killed again and again, at
//! moments from a seed, while the API and the disk have trouble. Several such lanes run side by
//! side, each with an emulator, a journal and a seed of its own; at the end of a lane its books
//! are held against what the emulator took.
//!
//! - [`book`]: what the producer knows of each event;
//! - [`lane`]: lives of a gateway on one journal;
//! - [`trouble`]: what goes wrong besides;
//! - [`judge`]: the books against what the API took.

pub mod book;
pub mod judge;
mod lane;
mod trouble;

use std::thread::ScopedJoinHandle;

use lane::{DAMAGED, FORGETFUL, Lane};

use crate::support::seed;

/// Lanes side by side. One keeps nothing on disk, the journal of another is damaged now and then, and a
/// third has more channels than it may know at a time.
const LANES: u64 = 11;

/// The lane that has more channels than the account's limit has room for.
const CROWDED: u64 = 7;

/// Kills in all, unless `CUEGATE_CONSERVATION_KILLS` says more.
const KILLS: u64 = 208;

#[test]
fn what_is_accepted_is_delivered_or_accounted_for() {
    let seed = seed();
    let kills = std::env::var("CUEGATE_CONSERVATION_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let each = u64::div_ceil(kills, LANES);
    let lanes: Vec<u64> = match std::env::var("CUEGATE_CONSERVATION_LANE") {
        Ok(lane) => vec![lane.parse().expect("the number of a lane")],
        Err(_) => (0..LANES).collect(),
    };
    std::thread::scope(|scope| {
        let lanes = lanes.into_iter().map(|lane| {
            let channels = match lane {
                CROWDED => 40,
                FORGETFUL => 8,
                _ => 3,
            };
            let run = move || Lane::new(lane, seed, channels).run(each);
            let name = format!("lane {lane}");
            let spawned = std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, run);
            (lane, spawned.expect("a thread"))
        });
        let lanes: Vec<_> = lanes.collect();
        let verdicts: Vec<_> = lanes
            .into_iter()
            .map(|(number, lane)| (number, ScopedJoinHandle::join(lane)))
            .collect();
        for (number, verdict) in verdicts {
            let verdict = verdict.unwrap_or_else(|_| panic!("lane {number} failed"));
            println!("lane {number}: {verdict}");
            verdict.check(each);
            assert_eq!(
                verdict.stopped > 0,
                number == DAMAGED,
                "lane {number}: {verdict}"
            );
        }
    });
}
