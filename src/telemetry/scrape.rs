//! From a snapshot to series: what queues and schedulers know, copied at the scrape.
//!
//! Nothing is counted here; what has the label `channel` is written by [`super::channels`]. One scrape at a time, and the snapshot is taken inside: two that
//! crossed would mix the totals of one with the queue of the other.

use std::collections::HashMap;
use std::sync::Arc;

use engine::DeadLetterReason;
use metrics::{Counter, Gauge};

use super::labels::OTHER_ACCOUNTS;
use super::names;
use super::registry::Registry;
use super::snapshot::{AccountSnapshot, Snapshot};

/// The series that come from snapshots, but for those of channels.
pub(super) struct Scrape {
    registry: Arc<Registry>,
    accounts: HashMap<(String, String), AccountSeries>,
    dead_lettered: [Counter; DeadLetterReason::ALL.len()],
    queue_bytes: Gauge,
    journal_bytes: Gauge,
    journal_errors: Counter,
    journal_lost_blocks: Counter,
    dead_letters: Gauge,
    unaccounted: Gauge,
}

struct AccountSeries {
    tokens_available: Gauge,
    tokens_limit: Gauge,
    up: Gauge,
    owner: Gauge,
}

impl Scrape {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let r = &*registry;
        let mut scrape = Self {
            accounts: HashMap::new(),
            dead_lettered: DeadLetterReason::ALL
                .map(|why| r.counter(&names::EVENTS_DEAD_LETTERED, &[why.name()])),
            queue_bytes: r.gauge(&names::QUEUE_BYTES, &[]),
            journal_bytes: r.gauge(&names::JOURNAL_BYTES, &[]),
            journal_errors: r.counter(&names::JOURNAL_ERRORS, &[]),
            journal_lost_blocks: r.counter(&names::JOURNAL_LOST_BLOCKS, &[]),
            dead_letters: r.gauge(&names::DEAD_LETTERS, &[]),
            unaccounted: r.gauge(&names::EVENTS_UNACCOUNTED, &[]),
            registry,
        };
        // Nothing is known against accounts that nobody has used.
        let others = scrape.account(OTHER_ACCOUNTS, OTHER_ACCOUNTS);
        others.up.set(1.0);
        others.owner.set(1.0);
        scrape
    }

    /// Sets these series to what the snapshot says.
    pub(super) fn apply(&mut self, snapshot: &Snapshot) {
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

    fn account(&mut self, account: &str, region: &str) -> &AccountSeries {
        let make = || AccountSeries::new(&self.registry, account, region);
        self.accounts
            .entry((account.to_owned(), region.to_owned()))
            .or_insert_with(make)
    }
}

impl AccountSeries {
    fn new(registry: &Registry, account: &str, region: &str) -> Self {
        let gauge = |metric| registry.gauge(metric, &[account, region]);
        Self {
            tokens_available: gauge(&names::ACCOUNT_TOKENS_AVAILABLE),
            tokens_limit: gauge(&names::ACCOUNT_TOKENS_LIMIT),
            up: gauge(&names::ACCOUNT_UP),
            owner: gauge(&names::CLUSTER_OWNER),
        }
    }

    fn set(&self, account: &AccountSnapshot) {
        self.tokens_available.set(float(account.tokens_available));
        self.tokens_limit.set(float(account.tokens_limit));
        self.up.set(f64::from(u8::from(account.up)));
        self.owner.set(f64::from(u8::from(account.is_here)));
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
