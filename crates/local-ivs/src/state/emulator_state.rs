//! Everything under the lock: regions, books, what is retained. Where a call of `PutMetadata`
//! and the rates of all operations are decided.

use super::Refusal;
use super::books::{Books, BusiestSecond, Outcome};
use super::channel::Channel;
use super::region::Region;
use super::settings::{ChannelChange, Settings};
use super::steps::{Due, Life};
use super::{ChannelError, OperationTally};
use crate::arn::ChannelArn;
use crate::events::EventSender;
use crate::ids::Ids;
use crate::limits::{MAX_CHANNELS, MAX_REGIONS, MAX_RETAINED_PAYLOADS};
use crate::options::Rates;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

pub(crate) struct EmulatorState {
    pub(super) rates: Rates,
    pub(super) ids: Ids,
    pub(super) events: EventSender,
    /// The latest time given to a call.
    pub(super) now_us: u64,
    /// When the books were opened.
    pub(super) since_us: u64,
    /// By `arn:aws:ivs:REGION:ACCOUNT`.
    pub(super) regions: HashMap<Arc<str>, Region>,
    pub(super) channels: usize,
    /// The channel of each stream key's value.
    pub(super) key_values: HashMap<Arc<str>, Arc<str>>,
    pub(super) books: Books,
    pub(super) operations: BTreeMap<&'static str, OperationBooks>,
    /// Which channel took each retained payload, oldest first.
    pub(super) retained: VecDeque<(Arc<str>, u64)>,
    /// Where playback URLs lead; `None` for the form of real ones.
    pub(super) playback_origin: Option<String>,
    pub(super) life: Life,
    /// The steps of streams that wait for their time, in its order and in theirs.
    pub(super) due: BTreeMap<(u64, u64), Due>,
    /// Steps so far.
    pub(super) planned: u64,
    /// Wakes whoever waits for the next step.
    pub(super) wake: Arc<Notify>,
    /// Counts the changes of what a restart must not lose.
    pub(super) changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct OperationBooks {
    tally: OperationTally,
    calls: BusiestSecond,
}

impl OperationBooks {
    pub(super) fn tally(&self) -> OperationTally {
        self.tally
    }
}

impl EmulatorState {
    pub(super) fn new(
        rates: Rates,
        seed: u64,
        events: EventSender,
        now_us: u64,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            rates,
            ids: Ids::new(seed),
            events,
            now_us,
            since_us: now_us,
            regions: HashMap::new(),
            channels: 0,
            key_values: HashMap::new(),
            books: Books::default(),
            operations: BTreeMap::new(),
            retained: VecDeque::new(),
            playback_origin: None,
            life: Life::default(),
            due: BTreeMap::new(),
            planned: 0,
            wake,
            changes: watch::Sender::new(0),
        }
    }

    /// Notes a change of what a restart must not lose.
    pub(super) fn touch(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn put_metadata(
        &mut self,
        now_us: u64,
        home: &str,
        arn: &ChannelArn,
        metadata: &str,
    ) -> Result<u64, Refusal> {
        let rates = self.rates;
        // Signatures may name any region: those without channels are forgotten when idle.
        let region = self
            .region_or_new(now_us, home)
            .ok_or(Refusal::AccountThrottled(rates.account_tps))?;
        region.admit(now_us, arn, &rates)?;
        let channel = region
            .channels
            .get_mut(arn.as_str())
            .ok_or(Refusal::NotFound)?;
        if !channel.is_live() {
            return Err(Refusal::NotBroadcasting);
        }
        let seq = channel.append(now_us, metadata);
        self.retained.push_back((arn.shared(), seq));
        if self.retained.len() > MAX_RETAINED_PAYLOADS {
            self.forget_oldest_payload();
        }
        Ok(seq)
    }

    pub(super) fn note(
        &mut self,
        now_us: u64,
        home: Option<&str>,
        arn: Option<&ChannelArn>,
        outcome: Outcome,
    ) {
        self.books.note(now_us, outcome);
        let Some(region) = home.and_then(|home| self.regions.get_mut(home)) else {
            return;
        };
        region.books.note(now_us, outcome);
        if let Some(channel) = arn.and_then(|arn| region.channels.get_mut(arn.as_str())) {
            channel.books.note(now_us, outcome);
        }
    }

    /// Counts a call of another operation than `PutMetadata` against its rate.
    pub(super) fn admit(
        &mut self,
        now_us: u64,
        home: &str,
        action: &'static str,
        tps: u32,
    ) -> Result<(), Refusal> {
        let rates = self.rates;
        let tps = rates.operation_tps.unwrap_or(tps);
        self.region_or_new(now_us, home)
            .ok_or(Refusal::AccountThrottled(tps))?
            .admit_operation(now_us, action, tps, &rates)
    }

    pub(super) fn note_operation(&mut self, now_us: u64, action: &'static str, admitted: bool) {
        let books = self.operations.entry(action).or_default();
        books.tally.calls += 1;
        books.tally.throttled += u64::from(!admitted);
        if admitted {
            books.tally.max_admitted_per_second = books.calls.note(now_us);
        }
    }

    pub(super) fn channel_mut(&mut self, arn: &ChannelArn) -> Option<&mut Channel> {
        let region = self.regions.get_mut(arn.home())?;
        region.channels.get_mut(arn.as_str())
    }

    pub(super) fn channel(&self, arn: &ChannelArn) -> Option<&Channel> {
        self.regions.get(arn.home())?.channels.get(arn.as_str())
    }

    /// Makes a channel of this ARN, named by its ID, unless there is one.
    pub(super) fn make_channel(
        &mut self,
        now_us: u64,
        arn: &ChannelArn,
    ) -> Result<(), ChannelError> {
        if self.channel(arn).is_some() {
            return Ok(());
        }
        if self.channels >= MAX_CHANNELS || self.region_or_new(now_us, arn.home()).is_none() {
            return Err(ChannelError::TooMany);
        }
        let defaults = Settings::new(&mut self.ids, arn, self.playback_origin.as_deref());
        let named = ChannelChange {
            name: Some(arn.id().to_owned()),
            ..ChannelChange::default()
        };
        let settings = defaults.with(&named).unwrap_or(defaults);
        self.add_channel(arn, Arc::new(settings));
        Ok(())
    }

    /// `None` when there are too many regions and none of them can be forgotten.
    fn region_or_new(&mut self, now_us: u64, home: &str) -> Option<&mut Region> {
        if !self.regions.contains_key(home) {
            if self.regions.len() >= MAX_REGIONS {
                self.regions.retain(|_, region| !region.is_idle(now_us));
            }
            if self.regions.len() >= MAX_REGIONS {
                return None;
            }
            let region = Region::new(&self.rates);
            self.regions.insert(home.into(), region);
        }
        self.regions.get_mut(home)
    }

    /// For whoever knows that the region is there, or that there is room for it.
    pub(super) fn region_or_made(&mut self, home: &str) -> &mut Region {
        let rates = self.rates;
        self.regions
            .entry(home.into())
            .or_insert_with(|| Region::new(&rates))
    }

    fn forget_oldest_payload(&mut self) {
        let Some((arn, seq)) = self.retained.pop_front() else {
            return;
        };
        let home = ChannelArn::parse(&arn);
        let channel = home
            .and_then(|arn| self.regions.get_mut(arn.home()))
            .and_then(|region| region.channels.get_mut(&arn));
        if let Some(channel) = channel {
            channel.forget(seq);
        }
    }
}
