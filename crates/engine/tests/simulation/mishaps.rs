//! What befalls a run now and then: a stream that goes offline, an API that is down,
//! operators, and channels that are forgotten to make room.

use crate::scenario::SECOND;
use crate::world::{Action, World};

/// In µs.
pub const HOUR: i64 = 3600 * SECOND.cast_signed();

impl World {
    /// Sets the wall clock so far off, and again after a while.
    pub(crate) fn set_clock(&mut self, offset_us: i64) {
        let now = self.time();
        self.driver.set_clock(now, offset_us);
        self.ring();
        let after = self.random.within(SECOND / 10..20 * SECOND);
        self.add(self.now + after, Action::SetClock);
    }

    pub(crate) fn spell(&mut self) {
        let length = self.random.within(SECOND..40 * SECOND);
        if self.random.chance(2500) {
            self.server.down_until = self.now + length / 2;
        } else {
            let id = self.random.within(0..u64::from(self.scenario.channels));
            let id = usize::try_from(id).expect("small");
            self.server.offline_until[id] = self.now + length;
        }
        let mean = 3600 * SECOND / self.scenario.faults.spells;
        let after = self.random.within(0..2 * mean);
        self.add(self.now + after, Action::Spell);
    }

    pub(crate) fn operate(&mut self) {
        let now = self.time();
        let id =
            u32::try_from(self.random.within(0..u64::from(self.scenario.channels))).expect("small");
        match self.random.within(0..5) {
            0 => self.set_paused(id, true),
            1 => {
                for id in 0..self.scenario.channels {
                    self.set_paused(id, false);
                }
            }
            2 => self.driver.account.hint_live(now, self.driver.id(id)),
            3 => {
                let policy = self.producers[id as usize].policy(&mut self.random);
                let max = self.driver.world.channels[id as usize].queue.payload_max();
                self.driver
                    .with(id, |channel| channel.queue.set_policy(policy, max));
            }
            _ => {
                let mut policy = self.scenario.policy();
                policy.channel_tps = self.random.pick(&[2, 3, 5, 5]);
                policy.account_tps = self.random.pick(&[20, 155, 155]);
                policy.fair_share = self.random.pick(&[0.1, 0.5, 1.0]);
                policy.max_in_flight_per_channel = self.random.pick(&[1, self.scenario.in_flight]);
                self.driver.account.set_policy(now, policy);
            }
        }
        self.ring();
        let after = self.random.within(SECOND..20 * SECOND);
        self.add(self.now + after, Action::Operate);
    }

    /// Room is needed, so whatever channel is idle goes, if the account lets it.
    pub(crate) fn forget(&mut self) {
        let now = self.time();
        let first = self.random.within(0..u64::from(self.scenario.channels));
        let first = u32::try_from(first).expect("small");
        for index in (first..self.scenario.channels).chain(0..first).take(8) {
            self.driver.forget(now, index);
        }
        let after = self.random.within(1..SECOND / 5);
        self.add(self.now + after, Action::Forget);
    }

    pub(crate) fn set_paused(&mut self, id: u32, paused: bool) {
        let now = self.time();
        self.driver.world.channels[id as usize].paused = paused;
        let channel = self.driver.id(id);
        if paused {
            self.driver.account.pause(now, channel);
        } else {
            self.driver.account.resume(now, channel);
        }
        self.ring();
    }
}
