//! The account's circuit breaker: while nothing gets through to the API, one call at a time
//! is enough to find out when that changes.
//!
//! One broken channel is that channel's own affair ([`super::backoff`]); the circuit looks
//! at the account as a whole. It must never open for a few channels, and never by a count
//! of failures alone.

use std::collections::VecDeque;

use super::backoff::doubled;
use crate::call::{CallId, ChannelId, Outcome};
use crate::time::{Span, Time};

/// The calls that are looked at: those that ended within this time.
const WINDOW: Span = Span::from_millis(10_000);
/// Fewer calls than this say nothing.
const CALLS_MIN: usize = 20;
/// Failures on fewer channels than this are those channels' own.
const CHANNELS_MIN: usize = 5;
/// Most calls remembered: ten seconds at 155 a second, with room. Beyond it (connections
/// are refused faster than tokens come back) the oldest are forgotten.
const CALLS_MAX: usize = 2048;
/// The wait before the first probe; doubles with every further one.
const PROBE_BASE: Span = Span::from_millis(1000);
/// The longest wait between probes.
const PROBE_CAP: Span = Span::from_millis(10_000);

#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Time,
    channel: ChannelId,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    probes: u32,
    probe: Option<CallId>,
    next: Time,
}

/// The state of the account's circuit.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    recent: VecDeque<Ended>,
    failures: usize,
    open: Option<Open>,
    opened: u64,
}

impl Circuit {
    /// Whether only probes are let through.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How often it has opened so far.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Not before this moment may a call be made; [`Time::NEVER`] while the answer to one in
    /// flight is awaited, [`Time::ZERO`] while the circuit is closed.
    pub(super) const fn not_before(&self, in_flight: u32) -> Time {
        match self.open {
            None => Time::ZERO,
            Some(_) if in_flight > 0 => Time::NEVER,
            Some(open) => open.next,
        }
    }

    /// A call is made: with an open circuit, the probe.
    pub(super) fn call(&mut self, call: CallId) {
        if let Some(open) = &mut self.open {
            open.probe = Some(call);
        }
    }

    /// A call ended.
    pub(super) fn ended(&mut self, now: Time, call: CallId, channel: ChannelId, outcome: Outcome) {
        let failed = matches!(
            outcome,
            Outcome::Failed | Outcome::Refused | Outcome::Unknown
        );
        match &mut self.open {
            // The API answers.
            Some(_) if !failed => self.open = None,
            Some(open) if open.probe == Some(call) => {
                open.probes = open.probes.saturating_add(1);
                open.probe = None;
                open.next = now + probe_wait(open.probes);
            }
            // A call from before it opened says nothing new.
            Some(_) => {}
            None => self.count(Ended {
                at: now,
                channel,
                failed,
            }),
        }
    }

    fn count(&mut self, ended: Ended) {
        self.recent.push_back(ended);
        self.failures += usize::from(ended.failed);
        while self.recent.len() > CALLS_MAX
            || self
                .recent
                .front()
                .is_some_and(|oldest| ended.at.since(oldest.at) > WINDOW)
        {
            let forgotten = self.recent.pop_front();
            self.failures -= usize::from(forgotten.is_some_and(|forgotten| forgotten.failed));
        }
        if self.recent.len() >= CALLS_MIN
            && self.failures * 2 >= self.recent.len()
            && self.enough_channels_failed()
        {
            self.open = Some(Open {
                probes: 0,
                probe: None,
                next: ended.at + probe_wait(0),
            });
            self.opened = self.opened.saturating_add(1);
            self.recent.clear();
            self.failures = 0;
        }
    }

    fn enough_channels_failed(&self) -> bool {
        let mut channels = Vec::with_capacity(CHANNELS_MIN);
        for ended in self.recent.iter().filter(|ended| ended.failed) {
            if !channels.contains(&ended.channel) {
                channels.push(ended.channel);
                if channels.len() == CHANNELS_MIN {
                    return true;
                }
            }
        }
        false
    }
}

fn probe_wait(probes: u32) -> Span {
    Span::from_micros(doubled(PROBE_BASE, probes.saturating_add(1), PROBE_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ThrottleScope;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    /// Runs of calls, `(calls, channels, outcome)`, each call 10 ms after the one before.
    fn check(runs: &[(u32, u32, Outcome)], open: bool) {
        let mut circuit = Circuit::default();
        let mut clock = 0;
        for (calls, channels, outcome) in runs {
            for call in 0..*calls {
                clock += 10;
                circuit.ended(
                    at(clock),
                    CallId(clock),
                    ChannelId(call % channels),
                    *outcome,
                );
            }
        }
        assert_eq!(circuit.is_open(), open, "{runs:?}");
    }

    #[test]
    fn opens() {
        use Outcome::{Delivered, Failed, Refused, Unknown};
        for failure in [Failed, Refused, Unknown] {
            check(&[(19, 10, failure)], false);
            check(&[(20, 10, failure)], true);
            check(&[(20, 5, failure)], true);
            check(&[(200, 4, failure)], false);
        }
        check(&[(10, 10, Delivered), (9, 10, Failed)], false);
        check(&[(10, 10, Delivered), (10, 10, Failed)], true);
        check(&[(11, 10, Delivered), (10, 10, Failed)], false);
        // Four broken channels among many healthy ones.
        check(&[(30, 30, Delivered), (200, 4, Failed)], false);
        // Not failures of the API.
        check(
            &[(200, 10, Outcome::Throttled(ThrottleScope::Unnamed))],
            false,
        );
        check(&[(200, 10, Outcome::Offline)], false);
        // What is older than 10 s has been forgotten: 2000 calls are 20 s.
        check(&[(1000, 10, Failed)], true);
        check(
            &[(15, 10, Delivered), (1100, 1, Delivered), (19, 10, Failed)],
            false,
        );
    }

    #[test]
    fn probes_until_the_api_answers() {
        let mut circuit = Circuit::default();
        for call in 0..20 {
            circuit.ended(
                at(0),
                CallId(u64::from(call)),
                ChannelId(call),
                Outcome::Failed,
            );
        }
        let mut now = Time::ZERO;
        for (probe, wait_s) in (100..).zip([1, 2, 4, 8, 10, 10]) {
            assert_eq!(
                circuit.not_before(0),
                now + Span::from_millis(wait_s * 1000)
            );
            now = circuit.not_before(0);
            circuit.call(CallId(probe));
            assert_eq!(circuit.not_before(1), Time::NEVER, "one at a time");
            circuit.ended(now, CallId(3), ChannelId(3), Outcome::Failed);
            circuit.ended(now, CallId(probe), ChannelId(0), Outcome::Unknown);
        }
        circuit.ended(now, CallId(200), ChannelId(1), Outcome::Offline);
        assert!(!circuit.is_open());
        assert_eq!((circuit.not_before(1), circuit.opened()), (Time::ZERO, 1));
    }
}
