//! One account in one region: its rates, its books and its resources.
//!
//! Decides who is throttled; whether a channel exists or is live comes after that.

use super::Refusal;
use super::books::Books;
use super::channel::Channel;
use super::document::{Document, Documents};
use super::resources::StreamKey;
use crate::arn::{ChannelArn, ResourceArn};
use crate::limits::MAX_UNKNOWN_CHANNELS;
use crate::options::Rates;
use crate::window::Limiter;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Region {
    limiter: Limiter,
    pub(crate) books: Books,
    /// By ARN, as all resources: sorted, so that a page can begin after any of them.
    pub(crate) channels: BTreeMap<Arc<str>, Channel>,
    pub(crate) stream_keys: BTreeMap<Arc<str>, Arc<StreamKey>>,
    /// All other resources, by the kind in their ARNs.
    pub(crate) documents: BTreeMap<String, Documents>,
    /// The rates of the operations that were used, by action.
    operations: BTreeMap<&'static str, Limiter>,
    /// The rates of channels that do not exist: throttling comes before existence.
    unknown: HashMap<Arc<str>, Limiter>,
}

impl Region {
    pub(crate) fn new(rates: &Rates) -> Self {
        Self {
            limiter: Limiter::new(rates.measure, rates.account_tps),
            books: Books::default(),
            channels: BTreeMap::new(),
            stream_keys: BTreeMap::new(),
            documents: BTreeMap::new(),
            operations: BTreeMap::new(),
            unknown: HashMap::new(),
        }
    }

    /// Counts a call against the channel's rate and the account's, or against neither.
    pub(crate) fn admit(
        &mut self,
        now_us: u64,
        arn: &ChannelArn,
        rates: &Rates,
    ) -> Result<(), Refusal> {
        let known = match self.channels.get_mut(arn.as_str()) {
            Some(channel) => Some(&mut channel.limiter),
            None => self.unknown.get_mut(arn.as_str()),
        };
        if let Some(limiter) = &known
            && !limiter.has_room(now_us)
        {
            return Err(Refusal::ChannelThrottled(limiter.limit()));
        }
        if !self.limiter.has_room(now_us) {
            return Err(Refusal::AccountThrottled(self.limiter.limit()));
        }
        self.limiter.take(now_us);
        if let Some(limiter) = known {
            limiter.take(now_us);
        } else {
            self.remember_unknown(now_us, arn, rates);
        }
        Ok(())
    }

    /// Counts a call of an operation against its rate.
    pub(crate) fn admit_operation(
        &mut self,
        now_us: u64,
        action: &'static str,
        tps: u32,
        rates: &Rates,
    ) -> Result<(), Refusal> {
        let limiter = self
            .operations
            .entry(action)
            .or_insert_with(|| Limiter::new(rates.measure, tps));
        if !limiter.has_room(now_us) {
            return Err(Refusal::AccountThrottled(tps));
        }
        limiter.take(now_us);
        Ok(())
    }

    pub(crate) fn forget_operation_rates(&mut self) {
        self.operations.clear();
    }

    /// The rate of a channel to be made. What was called before it existed keeps the rate it
    /// used up.
    pub(crate) fn limiter_for(&mut self, arn: &ChannelArn, rates: &Rates) -> Limiter {
        self.unknown
            .remove(arn.as_str())
            .unwrap_or_else(|| Limiter::new(rates.measure, rates.channel_tps))
    }

    /// Keeps the rate that a deleted channel used up, as long as it matters.
    pub(crate) fn remember_limiter(&mut self, now_us: u64, arn: &str, limiter: Limiter) {
        if self.has_room_for_unknown(now_us) && !limiter.is_idle(now_us) {
            self.unknown.insert(arn.into(), limiter);
        }
    }

    /// The document of an ARN, if there is one.
    pub(crate) fn document(&self, arn: &str) -> Option<Arc<Document>> {
        let kind = ResourceArn::parse(arn)?;
        self.documents.get(kind.kind())?.get(arn).map(Arc::clone)
    }

    /// Whether forgetting it would change no answer.
    pub(crate) fn is_idle(&self, now_us: u64) -> bool {
        self.channels.is_empty()
            && self.documents.values().all(BTreeMap::is_empty)
            && self
                .operations
                .values()
                .all(|limiter| limiter.is_idle(now_us))
            && self.limiter.is_idle(now_us)
            && self.unknown.values().all(|limiter| limiter.is_idle(now_us))
    }

    fn remember_unknown(&mut self, now_us: u64, arn: &ChannelArn, rates: &Rates) {
        if self.has_room_for_unknown(now_us) {
            let mut limiter = Limiter::new(rates.measure, rates.channel_tps);
            if limiter.has_room(now_us) {
                limiter.take(now_us);
            }
            self.unknown.insert(arn.shared(), limiter);
        }
    }

    fn has_room_for_unknown(&mut self, now_us: u64) -> bool {
        if self.unknown.len() >= MAX_UNKNOWN_CHANNELS {
            self.unknown.retain(|_, limiter| !limiter.is_idle(now_us));
        }
        self.unknown.len() < MAX_UNKNOWN_CHANNELS
    }
}
