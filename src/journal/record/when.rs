//! When a block was written, and what time that is now: within a boot by the boot's own clock,
//! and by the wall's only where the machine has booted since.

use std::collections::HashMap;

use engine::{Time, Wall};
use serde::{Deserialize, Serialize};

use super::{FIRST_WITH_HEADER, VERSION};
use crate::clock::{BootId, Clock, Moment};

/// When a block was written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// The boot, and µs since.
    pub boot: Option<(BootId, u64)>,
    /// µs since 1970.
    pub wall: i64,
}

/// µs from `now`.
pub(super) fn offset(time: Time, now: Time) -> i64 {
    let micros = i128::from(time.micros()) - i128::from(now.micros());
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// What is needed to understand blocks: what time it is, and when they were written.
pub(crate) struct Reading {
    moment: Moment,
    /// The wall clock at the engine's origin.
    pub(super) wall_origin: Wall,
    /// The last that is known of each boot: µs since it, and the wall clock then. Clocks are
    /// corrected and not the other way round, so this wall clock is right if any was.
    boots: HashMap<BootId, (u64, i64)>,
}

impl Reading {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            moment: clock.moment(),
            wall_origin: clock.wall_origin(),
            boots: HashMap::new(),
        }
    }

    /// Learns from a block's header. To be done with all blocks before any is decoded.
    pub(crate) fn learn(&mut self, block: &[u8]) {
        let Some((&(FIRST_WITH_HEADER..=VERSION), rest)) = block.split_first() else {
            return;
        };
        let Ok((Header { boot, wall }, _)) = postcard::take_from_bytes(rest) else {
            return;
        };
        if let Some((boot, since)) = boot {
            let last = self.boots.entry(boot).or_insert((since, wall));
            if since >= last.0 {
                *last = (since, wall);
            }
        }
    }

    /// How many µs ago a block was written.
    pub(super) fn age(&self, header: Header) -> i128 {
        let (boot, now) = (self.moment.boot, i128::from(self.moment.wall.micros()));
        let Some((then, since)) = header.boot else {
            return (now - i128::from(header.wall)).max(0);
        };
        // Within a boot its own clock tells, unless it makes no sense (another machine's copy).
        if let Some((_, since_now)) = boot.filter(|(id, now)| *id == then && *now >= since) {
            return i128::from(since_now - since);
        }
        let last = self.boots.get(&then).copied();
        let (last, wall) = last.unwrap_or((since, header.wall));
        let after = i128::from(last.saturating_sub(since));
        after + (now - i128::from(wall)).max(0)
    }

    /// The engine's time of a moment that is so many µs after the block was written.
    pub(super) fn time(&self, age: i128, offset: i64) -> Time {
        let micros = i128::from(self.moment.now.micros()) - age + i128::from(offset);
        Time::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
    }
}
