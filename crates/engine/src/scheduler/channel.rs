//! One channel: what it has out, how it fares, and when it may call next.
//!
//! Looks at this channel alone; the account's tokens, the turns and the circuit are
//! decided elsewhere. An idle channel in good health is not kept at all.

use super::backoff::Condition;
use super::bucket::Bucket;
use super::pacing::{self, Moment};
use super::ready;
use super::steady::Pace;
use super::throttle::Throttle;
use super::timing::Timing;
use crate::call::{Demand, Health};
use crate::policy::Pacing;
use crate::time::{Span, Time};

/// Where the scheduler keeps the channel at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: something must happen to it first.
    #[default]
    Nowhere,
    /// Among the timers: it can call from this moment on.
    Waiting(Time),
    /// Among the ready.
    Ready(ready::Place),
    /// Idle, and can be forgotten at this moment.
    Leaving(Time),
}

/// What a channel does next, if nothing happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It can call now; `oldest` is the age of its oldest event.
    Ready { oldest: Time },
    /// It can call at this moment at the earliest.
    Waiting(Time),
    /// Only the answer to a call in flight, a demand or an operator changes anything.
    Blocked,
    /// There is nothing to do, and from this moment on nothing to remember.
    Leaving(Time),
}

/// The state of a channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) demand: Option<Demand>,
    pub(super) bucket: Bucket,
    pub(super) last_sent: Time,
    pub(super) in_flight: u32,
    pub(super) paused: bool,
    /// It takes part in the account's rate.
    pub(super) busy: bool,
    pub(super) condition: Condition,
    pub(super) place: Place,
    steady: Option<Box<Pace>>,
    throttle: Option<Box<Throttle>>,
}

impl Channel {
    /// When it may call, now that ended leases are forgotten.
    pub(super) fn prospect(&mut self, now: Time, rules: &Timing) -> Prospect {
        self.bucket.purge(now);
        let Some(demand) = self.demand else {
            return self.idle();
        };
        if self.paused || self.in_flight >= rules.policy.max_in_flight_per_channel.max(1) {
            return Prospect::Blocked;
        }
        let allowed = demand.ready_at.max(self.paces_allow());
        let goes = if allowed > now {
            allowed
        } else {
            self.token_allows(now, demand, rules)
        };
        match goes {
            Time::NEVER => Prospect::Blocked,
            goes if goes > now => Prospect::Waiting(goes),
            _ => Prospect::Ready {
                oldest: demand.oldest,
            },
        }
    }

    /// Whether the channel competes for the account's calls: for the mean interval.
    pub(super) fn is_busy(&self, now: Time) -> bool {
        self.condition.health == Health::Live
            && !self.paused
            && (self.in_flight > 0 || self.demand.is_some_and(|demand| demand.ready_at <= now))
    }

    /// A call is made now, and has taken what the queue had.
    pub(super) fn call(&mut self, now: Time, rules: &Timing) {
        self.demand = None;
        self.last_sent = now;
        self.in_flight += 1;
        if rules.policy.pacing == Pacing::Steady {
            let interval = rules.channel_interval();
            match &mut self.steady {
                Some(pace) => pace.call(now, interval),
                None => self.steady = Some(Box::new(Pace::after_call(now, interval))),
            }
        } else {
            self.steady = None;
        }
        self.throttle.take_if(|throttle| throttle.over() <= now);
        if let Some(throttle) = &mut self.throttle {
            throttle.call(now, rules.channel_interval());
        }
    }

    /// The API throttled the channel; the floor is one call in 2 s.
    pub(super) fn throttled(&mut self, now: Time, rules: &Timing) {
        let (full, floor) = (rules.channel_interval(), super::throttle::CHANNEL_FLOOR);
        match &mut self.throttle {
            Some(throttle) if throttle.over() > now => throttle.again(now, full, floor),
            _ => self.throttle = Some(Box::new(Throttle::new(now, full, floor))),
        }
    }

    /// The time between two calls since a throttle; none at the full rate.
    pub(super) fn widened(&self, now: Time) -> Option<Span> {
        let throttle = self
            .throttle
            .as_ref()
            .filter(|throttle| throttle.over() > now);
        throttle.map(|throttle| throttle.interval())
    }

    /// The same, with the moment until which that holds.
    pub(super) fn widened_until(&self, now: Time) -> Option<(Span, Time)> {
        let interval = self.widened(now)?;
        let over = self.throttle.as_ref().map_or(now, |it| it.over());
        Some((interval, over))
    }

    /// Until when the channel must not be forgotten; [`Time::NEVER`]: only something that happens
    /// to it changes that.
    pub(super) fn counts_until(&self, now: Time) -> Time {
        if self.demand.is_some() || self.paused || self.in_flight > 0 || self.bucket.out(now) > 0 {
            return Time::NEVER;
        }
        let throttle = self.throttle.as_ref().map_or(Time::ZERO, |it| it.over());
        throttle
            .max(self.paces_allow())
            .max(self.condition.lapses())
    }

    /// Not before this moment does any pace, backoff or probe let the channel call.
    pub(super) fn paces_allow(&self) -> Time {
        let steady = self.steady.as_ref().map_or(Time::ZERO, |pace| pace.next());
        let throttle = self
            .throttle
            .as_ref()
            .map_or(Time::ZERO, |throttle| throttle.next());
        self.condition.not_before.max(steady).max(throttle)
    }

    /// When tokens and pacing allow the call; `NEVER`: only an answer can free a token.
    fn token_allows(&self, now: Time, demand: Demand, rules: &Timing) -> Time {
        let (tokens, out) = (rules.channel_tokens(), self.bucket.kept());
        if out >= tokens {
            return self.bucket.next_return(now);
        }
        if demand.full || self.bucket.is_free_of_events() {
            return now;
        }
        let cycle = rules.cycle();
        pacing::partial_goes(
            rules.policy.pacing,
            Moment {
                tokens,
                out,
                last: self.last_sent,
                next_return: self.bucket.next_return_estimate(now, cycle).unwrap_or(now),
                cycle,
            },
        )
    }

    fn idle(&mut self) -> Prospect {
        let remembered = self.paused || self.condition != Condition::default();
        if remembered && self.bucket.is_empty() {
            self.bucket.shrink();
            return Prospect::Blocked;
        }
        let tokens = self.bucket.last_return();
        if tokens == Time::NEVER {
            return Prospect::Blocked;
        }
        let throttle = self
            .throttle
            .as_ref()
            .map_or(Time::ZERO, |throttle| throttle.over());
        Prospect::Leaving(if remembered {
            tokens
        } else {
            tokens.max(throttle).max(self.paces_allow())
        })
    }
}
