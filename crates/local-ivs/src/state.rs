//! What the emulator knows: accounts by region, their resources, and the books of all calls.
//!
//! One lock over everything, held for about a microsecond a call. The clock is read under
//! that lock, so the recorded times never go back and the order of the books is the order
//! of the decisions. Nothing here knows HTTP, signatures or faults.
//!
//! | room | what it holds |
//! |---|---|
//! | `emulator_state` | what is under the lock; `PutMetadata`, rates |
//! | `region`, `channel` | one account in one region, one channel |
//! | `regional` | a region while an operation is at work; pages |
//! | `channels`, `stream_keys`, `streams`, `tags` | what operations do, by family |
//! | `encoder` | an encoder that connects, and the life of its stream on the clock |
//! | `life` | what becomes of a stream when, and how that is told |
//! | `broadcast` | where channels are played, and what is in a segment |
//! | `documents` | resources of any other kind |
//! | `settings`, `resources` | the resources as the API shows them |
//! | `snapshot` | all that a restart must not lose, as one value |
//! | `books`, `report` | counting calls; what the report says of them |

mod books;
mod broadcast;
mod channel;
mod channels;
mod document;
mod documents;
mod emulator_state;
mod encoder;
mod life;
mod region;
mod regional;
mod report;
mod resources;
mod settings;
mod snapshot;
mod steps;
mod stream_keys;
mod streams;
mod tags;

use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::events::EventSender;
use crate::limits::{MAX_CHANNELS, MAX_REGIONS};
use crate::options::Rates;
use books::Books;
pub(crate) use books::Outcome;
pub use books::{OperationTally, Tally};
#[cfg(test)]
pub(crate) use broadcast::OnAir;
pub use broadcast::Played;
pub(crate) use broadcast::Unplayed;
pub(crate) use channel::Page;
pub(crate) use channels::ChannelFilter;
pub(crate) use document::{Document, Kind, States};
use emulator_state::EmulatorState;
pub(crate) use encoder::{Ingest, IngestError, Publishing};
pub(crate) use regional::{Paging, Regional, Rejection};
pub use report::{ChannelReport, Report};
pub(crate) use resources::{Health, Session, StreamKey};
pub(crate) use settings::{ChannelChange, Settings, Tags};
pub(crate) use snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub(crate) use steps::Life;
use tokio::sync::{Notify, watch};

/// Why a call that was signed, allowed and valid did not put metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The channel's rate; holds its limit in calls per second.
    ChannelThrottled(u32),
    /// The account's rate in the region; holds its limit in calls per second.
    AccountThrottled(u32),
    /// No such channel in the region the call went to.
    NotFound,
    /// The channel has no live stream.
    NotBroadcasting,
}

/// Why a channel could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The text is not a channel ARN.
    #[error("'{0}' is not a channel ARN: arn:aws:ivs:REGION:ACCOUNT:channel/ID")]
    NotAnArn(String),
    /// There are as many channels or regions as the emulator holds.
    #[error("there are {MAX_CHANNELS} channels or {MAX_REGIONS} regions already")]
    TooMany,
}

/// The emulator's state; shared by all connections.
pub struct State {
    clock: Arc<dyn Clock>,
    inner: Mutex<EmulatorState>,
    /// A step of a stream may be due at another time than before.
    planned: Arc<Notify>,
}

impl State {
    pub(crate) fn new(clock: Arc<dyn Clock>, rates: Rates, seed: u64, events: EventSender) -> Self {
        let now_us = clock.now_us();
        let planned = Arc::new(Notify::new());
        let wake = Arc::clone(&planned);
        Self {
            clock,
            inner: Mutex::new(EmulatorState::new(rates, seed, events, now_us, wake)),
            planned,
        }
    }

    /// Gives a channel a live stream; makes the channel if there is none.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] if the ARN is not one, or there are too many channels.
    pub fn set_live(&self, arn: &str) -> Result<(), ChannelError> {
        self.set_stream(arn, true)
    }

    /// Ends a channel's stream; makes the channel if there is none.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] if the ARN is not one, or there are too many channels.
    pub fn set_offline(&self, arn: &str) -> Result<(), ChannelError> {
        self.set_stream(arn, false)
    }

    /// The value of a channel's stream key, which an encoder connects with; `None` if there
    /// is no such channel or it has no key.
    #[must_use]
    pub fn stream_key(&self, arn: &str) -> Option<String> {
        let arn = ChannelArn::parse(arn)?;
        let (state, _) = self.lock();
        let key = state.channel(&arn)?.stream_key.as_deref()?;
        let key = state.regions.get(arn.home())?.stream_keys.get(key)?;
        Some(key.value.to_string())
    }

    /// Counts the changes of what a restart must not lose.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.lock().0.changes.subscribe()
    }

    /// The books as they stand, from one snapshot.
    #[must_use]
    pub fn report(&self) -> Report {
        let (state, now_us) = self.lock();
        let mut accounts = BTreeMap::new();
        let mut channels = BTreeMap::new();
        for (home, region) in &state.regions {
            accounts.insert(Arc::clone(home), region.books.tally());
            for (arn, channel) in &region.channels {
                let report = ChannelReport {
                    tally: channel.books.tally(),
                    live: channel.is_live(),
                    last_seq: channel.last_seq(),
                    dropped_before: channel.dropped_before(),
                };
                channels.insert(Arc::clone(arn), report);
            }
        }
        Report {
            since_us: state.since_us,
            now_us,
            limits: state.rates,
            all: state.books.tally(),
            operations: state
                .operations
                .iter()
                .map(|(action, books)| (*action, books.tally()))
                .collect(),
            accounts,
            channels,
        }
    }

    /// Clears the books. Rates, channels and metadata stay as they are: forgetting the calls
    /// of the last second would let twice the limit through.
    pub fn reset(&self) {
        let (mut state, now_us) = self.lock();
        state.since_us = now_us;
        state.books = Books::default();
        state.operations.clear();
        for region in state.regions.values_mut() {
            region.books = Books::default();
            for channel in region.channels.values_mut() {
                channel.books = Books::default();
            }
        }
    }

    /// Handles a call to put metadata: this is the moment it counts. `home` is the account
    /// and region it was signed for, as `arn:aws:ivs:REGION:ACCOUNT`.
    pub(crate) fn put_metadata(
        &self,
        home: &str,
        arn: &ChannelArn,
        metadata: &str,
    ) -> Result<u64, Refusal> {
        let (mut state, now_us) = self.lock();
        let result = state.put_metadata(now_us, home, arn, metadata);
        let outcome = match result {
            Ok(_) => Outcome::Delivered,
            Err(Refusal::ChannelThrottled(_) | Refusal::AccountThrottled(_)) => Outcome::Throttled,
            Err(Refusal::NotFound) => Outcome::NotFound,
            Err(Refusal::NotBroadcasting) => Outcome::NotBroadcasting,
        };
        state.note(now_us, Some(home), Some(arn), outcome);
        result
    }

    /// Books a call that was refused before it could be handled.
    pub(crate) fn note(&self, home: Option<&str>, arn: Option<&ChannelArn>, outcome: Outcome) {
        let (mut state, now_us) = self.lock();
        state.note(now_us, home, arn, outcome);
    }

    /// The retained metadata of a channel after the sequence number `after`, at most `most`
    /// payloads; `None` if there is no such channel.
    pub(crate) fn metadata_after(&self, arn: &ChannelArn, after: u64, most: usize) -> Option<Page> {
        let (state, _) = self.lock();
        Some(state.channel(arn)?.page(after, most))
    }

    /// The viewers of a channel whose sessions were revoked, up to which version, the latest last;
    /// `None` if there is no such channel.
    pub(crate) fn revocations(&self, arn: &ChannelArn) -> Option<Vec<(String, u32)>> {
        let (state, _) = self.lock();
        Some(state.channel(arn)?.revoked.iter().cloned().collect())
    }

    /// Tells of every new sequence number of a channel; `None` if there is no such channel.
    pub(crate) fn news_of(&self, arn: &ChannelArn) -> Option<watch::Receiver<u64>> {
        let (state, _) = self.lock();
        Some(state.channel(arn)?.news())
    }

    pub(crate) fn channel_tps(&self) -> u32 {
        self.lock().0.rates.channel_tps
    }

    pub(crate) fn payload_max_bytes(&self) -> usize {
        self.lock().0.rates.payload_max_bytes
    }

    /// Sets what is given. A new rate of operations begins without the calls of the old one.
    pub(crate) fn set_limits(&self, payload_max_bytes: Option<usize>, operation_tps: Option<u32>) {
        let (mut state, _) = self.lock();
        if let Some(bytes) = payload_max_bytes {
            state.rates.payload_max_bytes = bytes;
        }
        if operation_tps.is_some() {
            state.rates.operation_tps = operation_tps;
            for region in state.regions.values_mut() {
                region.forget_operation_rates();
            }
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    fn set_stream(&self, arn: &str, live: bool) -> Result<(), ChannelError> {
        let arn = ChannelArn::parse(arn).ok_or_else(|| ChannelError::NotAnArn(arn.to_owned()))?;
        let (mut state, now_us) = self.lock();
        state.make_channel(now_us, &arn)?;
        // Whether that was a change is of no interest here.
        if live {
            state.begin_stream(&arn, Health::default(), 0);
        } else {
            state.end_stream(&arn, false);
        }
        Ok(())
    }

    /// The whole state, and the time, which never goes back.
    fn lock(&self) -> (MutexGuard<'_, EmulatorState>, u64) {
        // A panic under the lock leaves nothing half done that the next call would trip over.
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        state.now_us = state.now_us.max(self.clock.now_us());
        state.run_due();
        let now_us = state.now_us;
        (state, now_us)
    }
}

#[cfg(test)]
mod tests;
