//! The adversary: what becomes of a request, and an API that measures to the microsecond.

use std::collections::VecDeque;

use engine::{Outcome, ThrottleScope};

use crate::random::Random;
use crate::scenario::{Faults, LEG_MAX, SECOND};

/// What the network does to one call, in µs after its send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    /// The server handles it then.
    pub handled: Option<u64>,
    /// The reply, if the server makes one, needs so long; none: it is lost.
    pub reply: Option<u64>,
    /// The client learns this from its own side of the connection, then.
    pub broken: Option<(u64, Outcome)>,
}

/// Draws a fate. `abandon` is in µs.
pub fn fate(random: &mut Random, faults: &Faults, abandon: u64) -> Fate {
    let leg = |random: &mut Random| {
        let stall = if random.chance(faults.stall) {
            random.within(0..3 * SECOND)
        } else {
            0
        };
        stall + random.within(0..LEG_MAX)
    };
    let (out, back) = (leg(random), leg(random));
    if random.chance(faults.refused) {
        return Fate {
            broken: Some((out, Outcome::Refused)),
            ..Fate::default()
        };
    }
    if random.chance(faults.lost_request) {
        return Fate::default();
    }
    if random.chance(faults.broken) {
        // Heard of at once, handled at any time that the assumption allows, or never.
        let heard = out.min(SECOND);
        let late = if faults.beyond_abandon > 0 {
            abandon + random.within(0..faults.beyond_abandon)
        } else {
            random.within(0..abandon)
        };
        return Fate {
            handled: random.chance(7000).then_some(heard + late),
            reply: None,
            broken: Some((heard, Outcome::Unknown)),
        };
    }
    let reply = (!random.chance(faults.lost_reply)).then_some(back);
    Fate {
        handled: Some(out),
        reply,
        broken: None,
    }
}

/// The most calls in any window of one second, exactly.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    recent: VecDeque<u64>,
    /// Most calls seen in one window.
    pub most: usize,
}

impl Window {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            recent: VecDeque::new(),
            most: 0,
        }
    }

    /// A call is handled now; whether it keeps the limit.
    pub fn call(&mut self, now: u64) -> bool {
        while self
            .recent
            .front()
            .is_some_and(|first| now - first >= SECOND)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.most = self.most.max(self.recent.len());
        self.recent.len() <= self.limit
    }
}

/// The API: windows, and the state it is in.
#[derive(Debug)]
pub struct Server {
    pub channels: Vec<Window>,
    pub account: Window,
    /// Calls beyond a limit, and the first of them.
    pub violations: u64,
    pub first_violation: Option<String>,
    pub calls: u64,
    /// Channels offline until then.
    pub offline_until: Vec<u64>,
    /// All calls fail until then.
    pub down_until: u64,
}

impl Server {
    pub fn new(channels: usize) -> Self {
        Self {
            channels: (0..channels).map(|_| Window::new(5)).collect(),
            account: Window::new(155),
            violations: 0,
            first_violation: None,
            calls: 0,
            offline_until: vec![0; channels],
            down_until: 0,
        }
    }

    /// Handles a call now.
    pub fn handle(
        &mut self,
        now: u64,
        channel: usize,
        bytes: usize,
        random: &mut Random,
        faults: &Faults,
    ) -> Outcome {
        self.calls += 1;
        let kept = [self.channels[channel].call(now), self.account.call(now)];
        if kept != [true, true] {
            self.violations += 1;
            self.first_violation.get_or_insert_with(|| {
                format!(
                    "at {now} µs, channel {channel}: (channel, account) kept its limit: {kept:?}"
                )
            });
        }
        if now < self.down_until || random.chance(faults.failed) {
            Outcome::Failed
        } else if random.chance(faults.throttled) {
            Outcome::Throttled(random.pick(&[
                ThrottleScope::Channel,
                ThrottleScope::Unnamed,
                ThrottleScope::Account,
            ]))
        } else if now < self.offline_until[channel] {
            Outcome::Offline
        } else if faults.small_kilobyte && bytes > 1000 {
            Outcome::TooLarge
        } else {
            Outcome::Delivered
        }
    }
}
