//! Faults: what shall go wrong, how often, where and how long, repeatably.
//!
//! Draws a [`Plan`] for every API call; `server` carries it out. Nothing here sleeps, reads
//! a clock or touches a connection.

mod rng;
mod rule;

use crate::limits::MAX_FAULT_RULES;
pub(crate) use rng::SplitMix64;
use rule::{Kind, Raw, Rule, When};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to one call, beside what the API does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// On the way in: the call is handled this much later, even if its client gave up.
    pub(crate) before: Duration,
    /// On the way back.
    pub(crate) after: Duration,
    pub(crate) verdict: Verdict,
}

impl Plan {
    const NONE: Self = Self {
        before: Duration::ZERO,
        after: Duration::ZERO,
        verdict: Verdict::Handle,
    };
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As the API would have it.
    Handle,
    /// 429 in the API's words, without being handled.
    Throttle,
    /// This answer; `handled` first or not at all.
    Error { error: FaultError, handled: bool },
    /// No answer, until the client gives up or a minute has passed.
    Hang { handled: bool },
    /// The connection is reset; not handled.
    Reset,
    /// Handled, then the connection is reset.
    ReplyLost,
}

/// An answer of a fault's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultError {
    pub(crate) status: u16,
    pub(crate) answer: FaultAnswer,
}

/// Who answers in the place of the call's own answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultAnswer {
    /// The API, with a code and a message.
    Api(String, String),
    /// Neither code nor body, as a load balancer answers.
    Bare,
    /// The network before the API, without any of its headers.
    CloudFront,
}

/// The rules in force. Each draws from a stream of its own, so that what one channel does
/// does not change what befalls another.
#[derive(Debug)]
pub(crate) struct Faults(Mutex<Book>);

#[derive(Debug)]
struct Book {
    rules: Vec<Rule>,
    seeds: SplitMix64,
    injected: BTreeMap<&'static str, u64>,
}

/// A rule as it is listed: what was asked for, with the seed it draws from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    rule: Raw,
    /// Calls it was tried on, and those it hit.
    tried: u64,
    hit: u64,
}

impl Faults {
    /// `seed` gives the seeds of rules that bring none.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Book {
            rules: Vec::new(),
            seeds: SplitMix64::new(seed),
            injected: BTreeMap::new(),
        }))
    }

    /// Adds rules, given as JSON: one object or an array; all of them or, if one is wrong,
    /// none. Gives them back with their seeds.
    pub(crate) fn add(&self, json: &[u8], now_us: u64) -> Result<Vec<Listed>, String> {
        let raw = Raw::read(json)?;
        let mut book = self.lock();
        book.forget_expired(now_us);
        if book.rules.len() + raw.len() > MAX_FAULT_RULES {
            return Err(format!("there can be at most {MAX_FAULT_RULES} rules"));
        }
        let mut rules = Vec::with_capacity(raw.len());
        for (index, raw) in raw.into_iter().enumerate() {
            let rule = Rule::resolve(raw, now_us, &mut book.seeds)
                .map_err(|error| format!("rule {index}: {error}"))?;
            rules.push(rule);
        }
        let listed = rules.iter().map(Rule::listed).collect();
        book.rules.append(&mut rules);
        Ok(listed)
    }

    pub(crate) fn list(&self, now_us: u64) -> Vec<Listed> {
        let mut book = self.lock();
        book.forget_expired(now_us);
        book.rules.iter().map(Rule::listed).collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().rules.clear();
    }

    /// How many calls each kind of fault has hit since the books were opened.
    pub(crate) fn injected(&self) -> BTreeMap<&'static str, u64> {
        self.lock().injected.clone()
    }

    pub(crate) fn reset_books(&self) {
        self.lock().injected.clear();
    }

    /// Draws what happens to a call about `channel`. Latencies add up; of the other kinds
    /// the first rule that hits decides, and the later ones are not tried.
    pub(crate) fn plan(&self, channel: Option<&str>, now_us: u64) -> Plan {
        let mut book = self.lock();
        if book.rules.is_empty() {
            return Plan::NONE;
        }
        book.forget_expired(now_us);
        let Book {
            rules, injected, ..
        } = &mut *book;
        let mut plan = Plan::NONE;
        for rule in rules.iter_mut().filter(|rule| rule.concerns(channel)) {
            if plan.verdict != Verdict::Handle && !matches!(rule.kind, Kind::Latency(_)) {
                continue;
            }
            if !rule.hits() {
                continue;
            }
            *injected.entry(rule.kind.name()).or_default() += 1;
            match &rule.kind {
                Kind::Latency(distribution) => {
                    let total = distribution.draw(&mut rule.rng);
                    let before = match rule.when {
                        When::Before => total,
                        When::After => Duration::ZERO,
                        When::Split => total.mul_f64(rule.rng.unit()),
                    };
                    plan.before += before;
                    plan.after += total.saturating_sub(before);
                }
                Kind::Throttle => plan.verdict = Verdict::Throttle,
                Kind::Error(error) => {
                    let error = error.clone();
                    let handled = rule.is_handled();
                    plan.verdict = Verdict::Error { error, handled };
                }
                Kind::Hang => {
                    let handled = rule.is_handled();
                    plan.verdict = Verdict::Hang { handled };
                }
                Kind::Reset => plan.verdict = Verdict::Reset,
                Kind::ReplyLost => plan.verdict = Verdict::ReplyLost,
            }
        }
        plan
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn forget_expired(&mut self, now_us: u64) {
        self.rules
            .retain(|rule| rule.until_us.is_none_or(|until| now_us < until));
    }
}
