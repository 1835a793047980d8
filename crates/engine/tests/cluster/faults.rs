//! What goes wrong, and how often.

use crate::random::Random;

const MS: u64 = 1000;

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A node ends without a word, and another life of it begins so much later.
    Kill(usize, u64),
    /// A node stands still.
    Pause(usize, u64),
    /// A node does not reach the database.
    Cut(usize, u64),
    /// Two nodes do not reach each other.
    Part(usize, usize, u64),
    /// A node is asked to hand over.
    Move(usize),
    /// The standby confirms nothing; then it is back, or takes over.
    NoStandby(u64, bool),
}

/// A fault. It meets the owner more often than others.
pub fn next(random: &mut Random, nodes: usize, owner: Option<usize>) -> Fault {
    let any = |random: &mut Random| usize::try_from(random.within(0..nodes as u64)).expect("few");
    let node = owner
        .filter(|_| random.chance(6000))
        .unwrap_or_else(|| any(random));
    match random.within(0..10) {
        0..3 => Fault::Kill(node, random.within(500 * MS..5000 * MS)),
        3..5 => Fault::Pause(node, random.within(200 * MS..8000 * MS)),
        5 => Fault::Cut(node, random.within(200 * MS..10_000 * MS)),
        6 => Fault::Part(node, any(random), random.within(200 * MS..6000 * MS)),
        7 => Fault::Move(node),
        _ => Fault::NoStandby(random.within(300 * MS..4000 * MS), random.chance(7000)),
    }
}

/// How long after a fault the next one comes, in µs: sometimes at once, mostly when all is well again.
pub fn pause(random: &mut Random) -> u64 {
    if random.chance(4000) {
        random.within(0..2000 * MS)
    } else {
        random.within(4000 * MS..12_000 * MS)
    }
}

/// How long a statement or its answer is on its way, in µs.
pub fn leg(random: &mut Random) -> u64 {
    if random.chance(500) {
        random.within(0..1500 * MS)
    } else {
        random.within(200..20 * MS)
    }
}
