//! The API: how many calls it handles in any second.

use std::collections::{HashMap, VecDeque};

use engine::ChannelId;

const SECOND: u64 = 1_000_000;

/// The limits of the run: small ones, so that both are met.
pub const CHANNEL_TPS: u32 = 5;
pub const ACCOUNT_TPS: u32 = 12;

#[derive(Default)]
pub struct Api {
    channels: HashMap<ChannelId, VecDeque<u64>>,
    account: VecDeque<u64>,
    pub calls: u64,
    pub violations: u64,
    last: u64,
    /// The longest time without a call, in µs.
    pub longest: u64,
}

fn exceeds(recent: &mut VecDeque<u64>, now: u64, limit: u32) -> bool {
    while recent.front().is_some_and(|first| now - first >= SECOND) {
        recent.pop_front();
    }
    recent.push_back(now);
    recent.len() > limit as usize
}

impl Api {
    pub fn handle(&mut self, now: u64, channel: ChannelId) {
        self.calls += 1;
        self.longest = self.longest.max(now - self.last);
        self.last = now;
        let of_channel = exceeds(self.channels.entry(channel).or_default(), now, CHANNEL_TPS);
        let of_account = exceeds(&mut self.account, now, ACCOUNT_TPS);
        self.violations += u64::from(of_channel || of_account);
    }

    /// Whether one more call of that channel would be too many.
    pub fn is_full(&self, now: u64, channel: ChannelId) -> bool {
        let meets = |recent: &VecDeque<u64>, limit: u32| {
            recent.iter().filter(|at| now - **at < SECOND).count() >= limit as usize
        };
        let of_channel = self.channels.get(&channel);
        meets(&self.account, ACCOUNT_TPS) || of_channel.is_some_and(|of| meets(of, CHANNEL_TPS))
    }
}
