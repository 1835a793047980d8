//! Tokens counted anew, and how soon calls were made: what must hold of the scheduler, kept
//! apart from it.

use engine::{CallId, Demand, Outcome, Time};

use crate::scenario::{ABANDON, LEG_MAX, SECOND, Scenario};

const GRACE: u64 = 2000;
/// L: how long a token is out at most, in calm.
const CYCLE: u64 = SECOND + 2 * LEG_MAX + GRACE;

#[derive(Clone, Copy, Debug)]
struct Lease {
    call: CallId,
    returns: Option<u64>,
}

/// Tokens, counted from what happened to the calls and not by the scheduler.
#[derive(Clone, Debug, Default)]
struct Tokens(Vec<Lease>);

impl Tokens {
    fn out(&mut self, now: u64) -> usize {
        self.0
            .retain(|lease| lease.returns.is_none_or(|at| at > now));
        self.0.len()
    }

    fn end(&mut self, call: CallId, at: u64) {
        for lease in self.0.iter_mut().filter(|lease| lease.call == call) {
            lease.returns = Some(lease.returns.map_or(at, |before| before.min(at)));
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Watch {
    tokens: Tokens,
    /// When the queue came to want something; to want a full payload; and how many channels
    /// were ready when it came to want something.
    wants: Option<u64>,
    full: Option<u64>,
    ready: usize,
    answered: u64,
    /// Moments at which tokens were back, of the last five.
    backs: Vec<u64>,
    sends: Vec<u64>,
}

/// Invariants 2, 4, 5 and 7.
pub struct Monitor {
    calm: bool,
    crowded: bool,
    share: usize,
    account: Tokens,
    channels: Vec<Watch>,
    /// When the last payloads of state alone went.
    states: Vec<u64>,
    pub calls: u64,
    /// The longest that a ready channel waited, in µs.
    pub longest_wait: u64,
}

impl Monitor {
    pub fn new(scenario: &Scenario, channels: usize) -> Self {
        Self {
            calm: scenario.is_calm() && scenario.in_flight == 1,
            crowded: scenario.is_crowded(),
            share: 77,
            account: Tokens::default(),
            channels: vec![Watch::default(); channels],
            states: Vec::new(),
            calls: 0,
            longest_wait: 0,
        }
    }

    pub fn demand(&mut self, now: Time, channel: u32, demand: Option<Demand>, ready: usize) {
        let watch = &mut self.channels[channel as usize];
        let now = now.micros();
        match demand {
            None => (watch.wants, watch.full) = (None, None),
            Some(demand) => {
                if watch.wants.is_none() {
                    watch.wants = Some(now);
                    watch.ready = ready;
                }
                watch.full = if demand.full {
                    watch.full.or(Some(now))
                } else {
                    None
                };
            }
        }
    }

    /// Whether the channel is known to want something.
    pub fn wants(&self, channel: u32) -> bool {
        self.channels[channel as usize].wants.is_some()
    }

    /// A call is about to be made.
    pub fn sends(&mut self, now: Time, channel: u32) {
        let now = now.micros();
        self.calls += 1;
        let account_out = self.account.out(now);
        let watch = &mut self.channels[channel as usize];
        let out = watch.tokens.out(now);
        assert!(
            out < 5 && account_out < 155,
            "at {now} µs: {out} and {account_out} tokens out"
        );
        if self.calm {
            self.longest_wait =
                self.longest_wait
                    .max(watch.check(now, out, self.crowded, self.share));
        }
        let watch = &mut self.channels[channel as usize];
        (watch.wants, watch.full) = (None, None);
        watch.sends.push(now);
    }

    /// A call with state alone is about to be made: nobody else needs its tokens.
    pub fn sends_state(&mut self, now: Time, channel: u32) {
        let now = now.micros();
        self.calls += 1;
        let account_out = self.account.out(now);
        assert!(2 * account_out <= 155, "at {now} µs: {account_out} are out");
        let watch = &mut self.channels[channel as usize];
        let out = watch.tokens.out(now);
        assert!(
            out == 0,
            "at {now} µs: {out} tokens of channel {channel} are out"
        );
        let waits = watch.wants.is_some_and(|wants| wants < now);
        assert!(
            !self.calm || !waits,
            "at {now} µs: an event of channel {channel} waits"
        );
        self.states.push(now);
        let second = self.states.iter().filter(|at| **at + SECOND > now).count();
        assert!(
            second <= 16,
            "at {now} µs: {second} calls with state in a second"
        );
        if self.states.len() > 32 {
            self.states.remove(0);
        }
    }

    /// It was made.
    pub fn sent(&mut self, channel: u32, call: CallId) {
        let lease = Lease {
            call,
            returns: None,
        };
        self.account.0.push(lease);
        self.channels[channel as usize].tokens.0.push(lease);
    }

    /// A call was answered, given up, or its connection failed.
    pub fn answered(&mut self, now: Time, channel: u32, call: CallId, outcome: Outcome) {
        let now = now.micros();
        let watch = &mut self.channels[channel as usize];
        watch.answered = now;
        let back = match outcome {
            Outcome::Refused => now,
            Outcome::Unknown => now + ABANDON + SECOND + GRACE,
            _ => now + SECOND + GRACE,
        };
        self.account.end(call, back);
        watch.tokens.end(call, back);
        watch.backs.push(back);
        if watch.backs.len() > 5 {
            watch.backs.remove(0);
        }
    }

    /// The process was killed: what it sent is handled within a leg, and counts for a second.
    pub fn killed(&mut self, now: Time) {
        let back = now.micros() + LEG_MAX + SECOND;
        let channels = self.channels.iter_mut();
        let tokens = channels.map(|watch| {
            (watch.wants, watch.full) = (None, None);
            &mut watch.tokens
        });
        for lease in tokens.chain([&mut self.account]).flat_map(|it| &mut it.0) {
            // The next process numbers its calls from the beginning.
            lease.call = CallId(u64::MAX);
            lease.returns = Some(lease.returns.map_or(back, |at| at.min(back)));
        }
    }

    pub fn late(&mut self, now: Time, channel: u32, call: CallId) {
        let back = now.micros() + SECOND + GRACE;
        self.account.end(call, back);
        self.channels[channel as usize].tokens.end(call, back);
    }

    /// Invariant 4, of channels that always have more than they can send.
    pub fn throughput(&self, channels: impl Iterator<Item = usize>, until: u64) {
        if !self.calm || self.crowded {
            return;
        }
        for channel in channels {
            let sends = &self.channels[channel].sends;
            for seconds in [2, 10, 60] {
                let span = seconds * SECOND;
                let least = (5 * (span / CYCLE)).min(span / (2 * LEG_MAX));
                let mut from = 5 * SECOND;
                while from + span < until {
                    let before = sends.partition_point(|at| *at < from);
                    let within = sends.partition_point(|at| *at < from + span);
                    let count = (within - before) as u64;
                    assert!(
                        count >= least,
                        "channel {channel}: {count} calls in {seconds} s from {from} µs, not {least}"
                    );
                    from += 777_777;
                }
            }
        }
    }
}

impl Watch {
    /// Invariants 5 and 7, in calm; the answer is how long a ready channel waited.
    fn check(&self, now: u64, out: usize, crowded: bool, share: usize) -> u64 {
        let wants = self.wants.expect("a call without a demand");
        // With one call at a time leases end in the order of their sends, so that the fifth
        // last is the one whose return left a token free.
        let token = if self.backs.len() == 5 {
            self.backs[0]
        } else {
            0
        };
        let free = wants.max(self.answered).max(token);
        let bound = |ready: usize| CYCLE * ready.div_ceil(share).max(1) as u64;
        if crowded {
            if out == 0 {
                assert!(
                    now - wants <= bound(self.ready),
                    "an idle channel waited {} µs among {}",
                    now - wants,
                    self.ready
                );
                return now - wants;
            }
            return 0;
        }
        if out == 0 {
            assert_eq!(now, free, "an idle channel's first event goes at once");
        } else if let Some(full) = self.full {
            let ready = full.max(self.answered).max(token);
            assert!(
                now <= ready,
                "a full payload goes at once, not after {} µs",
                now - ready
            );
        }
        assert!(
            now - free <= CYCLE / 2,
            "a partial payload was held {} µs",
            now - free
        );
        now - free
    }
}
