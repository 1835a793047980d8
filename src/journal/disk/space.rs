//! When there is room, and when the journal is written anew. Pure.
//!
//! What was settled leaves the disk only as the storage's tables and logs are merged or
//! dropped, in units of up to 64 MiB. Within a small bound that is too late, so the whole
//! journal is written anew once what is alive is a small part of it.

use crate::journal::log::Verdict;

/// The present state of the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// Taken by the journal.
    pub used: u64,
    /// Of that, what would be written anew.
    pub alive: u64,
    /// What it took right after it was last written anew; 0: it was not.
    pub anew: u64,
    /// Free on its disk.
    pub free: u64,
}

/// Most bytes that are set aside.
const RESERVE_MAX: u64 = 16 << 20;

/// Bytes to set aside for a disk that others fill, so that deliveries are still recorded: the
/// end of an event takes some tens of bytes.
pub(super) fn reserve(max_bytes: u64) -> u64 {
    (max_bytes / 64).min(RESERVE_MAX)
}

/// Judges by `max_bytes`, or by what the disk has if that is less.
pub(super) fn judge(space: Space, max_bytes: u64) -> Verdict {
    let limit = max_bytes.min(space.used.saturating_add(space.free));
    Verdict {
        // An eighth of the room is enough to deliver and count out a whole queue.
        full: space.used >= limit - limit / 8,
        // At half there is still room for what is alive beside what it replaces.
        // What is not much more than it was then would not become less: others fill the disk.
        renew: space.used >= limit / 2
            && space.alive < space.used / 4
            && space.used / 2 >= space.anew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let check = |used, alive, free, max, expected: (bool, bool)| {
            let space = Space {
                used,
                alive,
                anew: 100,
                free,
            };
            let verdict = judge(space, max);
            assert_eq!(
                (verdict.full, verdict.renew),
                expected,
                "{used} {alive} {free} {max}"
            );
        };
        check(0, 0, 1000, 800, (false, false));
        check(399, 0, 1000, 800, (false, false));
        check(400, 99, 1000, 800, (false, true));
        check(400, 100, 1000, 800, (false, false));
        check(700, 600, 1000, 800, (true, false));
        check(700, 100, 1000, 800, (true, true));
        // The disk is smaller than the bound.
        check(400, 300, 50, 800, (true, false));
        check(400, 300, 100, 800, (false, false));
        check(0, 0, 0, 800, (true, false));
        // Others fill it: what is left of the journal does not become less.
        check(199, 0, 10, 800, (true, false));
        check(200, 0, 10, 800, (true, true));
        check(u64::MAX, 0, u64::MAX, u64::MAX, (true, true));
    }
}
