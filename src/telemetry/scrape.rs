//! From a snapshot to series: what queues and schedulers know, copied at the scrape.
//!
//! Nothing is counted here. One scrape at a time, and the snapshot is taken inside: two that
//! crossed would mix the totals of one with the queue of the other.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{DeadLetter, Ledger};
use metrics::{Counter, Gauge};

use super::labels::{ChannelState, OTHER_ACCOUNTS, OTHER_CHANNELS};
use super::names;
use super::registry::Registry;
use super::snapshot::{AccountSnapshot, ChannelSnapshot, Snapshot};

/// The series that come from snapshots.
pub(super) struct Scrape {
    registry: Arc<Registry>,
    channels: HashMap<Arc<str>, ChannelSeries>,
    accounts: HashMap<(String, String), AccountSeries>,
    dead_lettered: [Counter; DeadLetter::ALL.len()],
    queue_bytes: Gauge,
    journal_bytes: Gauge,
    journal_errors: Counter,
    journal_lost_blocks: Counter,
    dead_letters: Gauge,
    unaccounted: Gauge,
}

struct ChannelSeries {
    /// In the order of [`totals`].
    totals: [Counter; 8],
    queue_events: Gauge,
    oldest_event_age: Gauge,
    eta: Gauge,
    paused: Gauge,
    tokens_available: Gauge,
    states: [Gauge; ChannelState::ALL.len()],
}

struct AccountSeries {
    tokens_available: Gauge,
    tokens_limit: Gauge,
    up: Gauge,
}

impl Scrape {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let r = &*registry;
        let mut scrape = Self {
            channels: HashMap::new(),
            accounts: HashMap::new(),
            dead_lettered: DeadLetter::ALL
                .map(|why| r.counter(&names::EVENTS_DEAD_LETTERED, &[why.name()])),
            queue_bytes: r.gauge(&names::QUEUE_BYTES, &[]),
            journal_bytes: r.gauge(&names::JOURNAL_BYTES, &[]),
            journal_errors: r.counter(&names::JOURNAL_ERRORS, &[]),
            journal_lost_blocks: r.counter(&names::JOURNAL_LOST_BLOCKS, &[]),
            dead_letters: r.gauge(&names::DEAD_LETTERS, &[]),
            unaccounted: r.gauge(&names::EVENTS_UNACCOUNTED, &[]),
            registry,
        };
        scrape.channel(&OTHER_CHANNELS.into());
        // Nothing is known against accounts that nobody has used.
        scrape.account(OTHER_ACCOUNTS, OTHER_ACCOUNTS).up.set(1.0);
        scrape
    }

    /// Sets every series to what the snapshot says.
    pub(super) fn apply(&mut self, snapshot: &Snapshot) {
        for channel in &snapshot.channels {
            self.channel(&channel.label).set(channel);
        }
        for account in &snapshot.accounts {
            self.account(&account.account, &account.region).set(account);
        }
        for (counter, total) in self.dead_lettered.iter().zip(snapshot.dead_lettered()) {
            counter.absolute(total);
        }
        self.queue_bytes.set(float(snapshot.queue_bytes));
        self.journal_bytes.set(float(snapshot.journal_bytes));
        self.journal_errors.absolute(snapshot.journal_errors);
        self.journal_lost_blocks
            .absolute(snapshot.journal_lost_blocks);
        self.dead_letters.set(float(snapshot.dead_letters));
        self.unaccounted.set(signed_float(snapshot.unaccounted()));
    }

    fn channel(&mut self, label: &Arc<str>) -> &ChannelSeries {
        let make = || ChannelSeries::new(&self.registry, label);
        self.channels.entry(label.clone()).or_insert_with(make)
    }

    fn account(&mut self, account: &str, region: &str) -> &AccountSeries {
        let make = || AccountSeries::new(&self.registry, account, region);
        self.accounts
            .entry((account.to_owned(), region.to_owned()))
            .or_insert_with(make)
    }
}

impl ChannelSeries {
    fn new(registry: &Registry, label: &str) -> Self {
        let gauge = |metric| registry.gauge(metric, &[label]);
        Self {
            totals: [
                &names::EVENTS_ACCEPTED,
                &names::EVENTS_RECOVERED,
                &names::EVENTS_DUPLICATES,
                &names::EVENTS_DELIVERED,
                &names::EVENTS_MERGED,
                &names::EVENTS_EXPIRED,
                &names::EVENTS_CANCELLED,
                &names::EVENTS_EVICTED,
            ]
            .map(|metric| registry.counter(metric, &[label])),
            queue_events: gauge(&names::QUEUE_EVENTS),
            oldest_event_age: gauge(&names::OLDEST_EVENT_AGE),
            eta: gauge(&names::QUEUE_ETA),
            paused: gauge(&names::CHANNEL_PAUSED),
            tokens_available: gauge(&names::CHANNEL_TOKENS_AVAILABLE),
            states: ChannelState::ALL
                .map(|state| registry.gauge(&names::CHANNEL_STATE, &[label, state.label()])),
        }
    }

    fn set(&self, channel: &ChannelSnapshot) {
        for (counter, total) in self.totals.iter().zip(totals(&channel.ledger)) {
            counter.absolute(total);
        }
        self.queue_events.set(float(channel.queue_events));
        self.oldest_event_age.set(channel.oldest_event_age_seconds);
        self.eta.set(channel.eta_seconds);
        self.paused.set(channel.paused_seconds);
        self.tokens_available.set(float(channel.tokens_available));
        for (gauge, channels) in self.states.iter().zip(channel.states) {
            gauge.set(float(channels));
        }
    }
}

/// In the order of [`ChannelSeries::new`].
const fn totals(l: &Ledger) -> [u64; 8] {
    [
        l.accepted,
        l.recovered,
        l.duplicates,
        l.delivered,
        l.merged,
        l.expired,
        l.cancelled,
        l.evicted,
    ]
}

impl AccountSeries {
    fn new(registry: &Registry, account: &str, region: &str) -> Self {
        let gauge = |metric| registry.gauge(metric, &[account, region]);
        Self {
            tokens_available: gauge(&names::ACCOUNT_TOKENS_AVAILABLE),
            tokens_limit: gauge(&names::ACCOUNT_TOKENS_LIMIT),
            up: gauge(&names::ACCOUNT_UP),
        }
    }

    fn set(&self, account: &AccountSnapshot) {
        self.tokens_available.set(float(account.tokens_available));
        self.tokens_limit.set(float(account.tokens_limit));
        self.up.set(f64::from(u8::from(account.up)));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; exact below 2^53"
)]
const fn float(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; exact below 2^53"
)]
const fn signed_float(n: i64) -> f64 {
    n as f64
}
