//! What `/metrics` says of channels, added up by their labels.
//!
//! A channel's ledger is never added up anew. What is new in it since the last time is added under
//! the label that the channel has then, and what was added stays there. So a counter never falls and
//! no event is counted twice, whatever a reload renames and whichever channel is forgotten
//! meanwhile. A channel at rest is not looked at again.
//!
//! Locks: [`Sums`] belong to one scrape at a time and come before everything. What is noted
//! between scrapes has a lock of its own, which is the last that anyone takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Ledger, Queue, Span};

use crate::telemetry::labels::OTHER_CHANNELS;
use crate::telemetry::{ChannelSnapshot, ChannelState};

/// The label of a channel; none: that of all unlisted channels together.
type Label = Option<Arc<str>>;

/// What of a channel was added up, and the label under which more is added.
#[derive(Default)]
pub(super) struct Counted {
    label: Label,
    ledger: Ledger,
    gauges: Gauges,
}

/// What a channel adds to the gauges of its label.
#[derive(Clone, Copy, Default)]
pub(super) struct Gauges {
    pub events: u64,
    pub bytes: u64,
    pub tokens: u64,
    pub state_keys: u64,
    /// None: the channel is not counted under any label.
    pub state: Option<ChannelState>,
}

/// What comes to a label, and what goes from it.
#[derive(Default)]
struct Change {
    ledger: Ledger,
    events: i64,
    bytes: i64,
    tokens: i64,
    state_keys: i64,
    states: [i64; ChannelState::ALL.len()],
}

impl Change {
    fn add(&mut self, other: &Self) {
        self.ledger += &other.ledger;
        self.events += other.events;
        self.bytes += other.bytes;
        self.tokens += other.tokens;
        self.state_keys += other.state_keys;
        for (sum, count) in self.states.iter_mut().zip(other.states) {
            *sum += count;
        }
    }

    fn add_gauges(&mut self, gauges: Gauges, sign: i64) {
        self.events += sign * signed(gauges.events);
        self.bytes += sign * signed(gauges.bytes);
        self.tokens += sign * signed(gauges.tokens);
        self.state_keys += sign * signed(gauges.state_keys);
        if let Some(state) = gauges.state {
            self.states[state as usize] += sign;
        }
    }
}

impl Counted {
    /// Nothing yet, and what comes is added under this label.
    pub(super) fn new(label: Label) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }

    /// What is new since the last time; it counts as added from now on.
    fn advance(&mut self, ledger: &Ledger, gauges: Gauges) -> Change {
        let mut change = Change {
            ledger: ledger.since(&self.ledger),
            ..Change::default()
        };
        change.add_gauges(self.gauges, -1);
        change.add_gauges(gauges, 1);
        self.ledger.clone_from(ledger);
        self.gauges = gauges;
        change
    }
}

/// The sums of all channels.
#[derive(Default)]
pub(super) struct Aggregates {
    sums: Mutex<Sums>,
    /// What changed between scrapes where no later look at a channel would find it. A label has
    /// one entry, so that it stays small when nobody scrapes.
    noted: Mutex<HashMap<Label, Change>>,
}

impl Aggregates {
    /// The sums, for one scrape.
    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel gets another label: what it did until now is the old one's, what it has queued
    /// goes with it.
    pub(super) fn relabel(&self, counted: &mut Counted, queue: &Queue, label: Option<&Arc<str>>) {
        if counted.label.as_ref() == label {
            return;
        }
        let gauges = Gauges {
            events: queue.len() as u64,
            ..counted.gauges
        };
        let gone = counted.advance(queue.ledger(), Gauges::default());
        let from = std::mem::replace(&mut counted.label, label.cloned());
        let come = counted.advance(queue.ledger(), gauges);
        let mut noted = self.noted();
        noted.entry(from).or_default().add(&gone);
        noted.entry(label.cloned()).or_default().add(&come);
    }

    /// A channel is forgotten: what it did stays.
    pub(super) fn forget(&self, counted: &mut Counted, queue: &Queue) {
        let change = counted.advance(queue.ledger(), Gauges::default());
        let mut noted = self.noted();
        noted.entry(counted.label.clone()).or_default().add(&change);
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Label, Change>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sums as the last scrape left them.
pub(super) struct Sums {
    by_label: HashMap<Arc<str>, usize>,
    /// The first is that of all unlisted channels.
    sums: Vec<Sum>,
}

struct Sum {
    label: Arc<str>,
    all: Change,
    peaks: Peaks,
}

/// The largest of all channels under a label. A channel at rest has none.
#[derive(Clone, Copy, Default)]
pub(super) struct Peaks {
    pub age: Span,
    pub eta: Span,
    pub paused: Span,
}

impl Peaks {
    fn rise(&mut self, to: Self) {
        self.age = self.age.max(to.age);
        self.eta = self.eta.max(to.eta);
        self.paused = self.paused.max(to.paused);
    }
}

impl Sum {
    fn new(label: Arc<str>) -> Self {
        Self {
            label,
            all: Change::default(),
            peaks: Peaks::default(),
        }
    }
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            by_label: HashMap::new(),
            sums: vec![Sum::new(OTHER_CHANNELS.into())],
        }
    }
}

impl Sums {
    /// A scrape begins: the largest of each label are found anew.
    pub(super) fn begin(&mut self) {
        for sum in &mut self.sums {
            sum.peaks = Peaks::default();
        }
    }

    /// Adds what is new of a channel.
    pub(super) fn add(
        &mut self,
        counted: &mut Counted,
        ledger: &Ledger,
        gauges: Gauges,
        peaks: Peaks,
    ) {
        let change = counted.advance(ledger, gauges);
        let sum = self.of(counted.label.as_ref());
        sum.all.add(&change);
        sum.peaks.rise(peaks);
    }

    /// Adds what was noted since the last scrape. After the looks: what a channel did before it
    /// was forgotten is in one or the other.
    pub(super) fn settle(&mut self, aggregates: &Aggregates) {
        let noted = std::mem::take(&mut *aggregates.noted());
        for (label, change) in noted {
            self.of(label.as_ref()).all.add(&change);
        }
    }

    fn of(&mut self, label: Option<&Arc<str>>) -> &mut Sum {
        let Some(label) = label else {
            return &mut self.sums[0];
        };
        let next = self.sums.len();
        let at = *self.by_label.entry(Arc::clone(label)).or_insert(next);
        if at == next {
            self.sums.push(Sum::new(Arc::clone(label)));
        }
        &mut self.sums[at]
    }

    /// The channels of a snapshot, one for each label that there ever was.
    pub(super) fn channels(&self) -> Vec<ChannelSnapshot> {
        let channel = |sum: &Sum| ChannelSnapshot {
            label: Arc::clone(&sum.label),
            ledger: sum.all.ledger.clone(),
            queue_events: unsigned(sum.all.events),
            oldest_event_age_seconds: seconds(sum.peaks.age),
            eta_seconds: seconds(sum.peaks.eta),
            paused_seconds: seconds(sum.peaks.paused),
            tokens_available: unsigned(sum.all.tokens),
            state_keys: unsigned(sum.all.state_keys),
            states: sum.all.states.map(unsigned),
        };
        self.sums.iter().map(channel).collect()
    }

    /// Bytes of all that is queued.
    pub(super) fn queue_bytes(&self) -> u64 {
        unsigned(self.sums.iter().map(|sum| sum.all.bytes).sum())
    }
}

fn seconds(span: Span) -> f64 {
    span.as_duration().as_secs_f64()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
