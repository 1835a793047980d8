//! What every channel and account task shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use engine::Span;

use super::aggregate::Aggregates;
use super::home::Homes;
use super::hooks::Hooks;
use super::receipts::NumberedReceipt;
use super::recent::{Delivered, Recent};
use super::waiters::Waiters;
use crate::clock::Clock;
use crate::config::ChannelSettings;
use crate::lifecycle::Supervisor;
use crate::telemetry::Meters;
use crate::upstream::Upstream;

/// The emulator of local mode, as the gateway needs it.
pub trait LocalUpstream: Send + Sync {
    /// Takes channels that it was never told of as live ones, and lets `upstream` sign for their accounts; the
    /// answer is what it did not take, a line each.
    fn make_known(&self, upstream: &Upstream, channels: &[ChannelSettings]) -> Vec<String>;
}

/// What a gateway is built from.
pub struct Parts {
    /// The clocks.
    pub clock: Arc<Clock>,
    /// The API.
    pub upstream: Upstream,
    /// The emulator, in local mode.
    pub emulator: Option<Arc<dyn LocalUpstream>>,
    /// What is counted where it happens.
    pub meters: Arc<Meters>,
    /// Who looks after its tasks.
    pub supervisor: Supervisor,
}

pub(super) struct Shared {
    pub clock: Arc<Clock>,
    pub homes: Homes,
    pub upstream: Upstream,
    pub emulator: Option<Arc<dyn LocalUpstream>>,
    pub meters: Arc<Meters>,
    pub supervisor: Supervisor,
    pub waiters: Arc<Waiters>,
    /// What was delivered of late.
    pub recent: Recent<Delivered>,
    /// How events with an id ended of late, of channels that are asked for it.
    pub receipts: Recent<NumberedReceipt>,
    /// Who is told how they end without asking.
    pub hooks: Hooks,
    /// What metrics say of channels.
    pub aggregates: Aggregates,
    /// Everything queued, over all channels.
    pub queued_events: AtomicUsize,
    /// Bytes of memory it takes.
    pub queued_bytes: AtomicUsize,
    /// Events delivered since the start, for the last line of a drain.
    pub delivered: AtomicU64,
    call_timeout_ms: AtomicU64,
    abandon_ms: AtomicU64,
}

impl Shared {
    pub(super) fn new(parts: Parts, homes: Homes) -> Self {
        let Parts {
            clock,
            upstream,
            emulator,
            meters,
            supervisor,
        } = parts;
        Self {
            clock,
            homes,
            upstream,
            emulator,
            meters,
            supervisor,
            waiters: Arc::default(),
            recent: Recent::default(),
            receipts: Recent::default(),
            hooks: Hooks::default(),
            aggregates: Aggregates::default(),
            queued_events: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            call_timeout_ms: AtomicU64::new(2000),
            abandon_ms: AtomicU64::new(5000),
        }
    }

    /// How long a call may take before it is given up.
    pub(super) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms.load(Ordering::Relaxed))
    }

    /// How long a call that was given up is listened to.
    pub(super) fn abandon(&self) -> Duration {
        Duration::from_millis(self.abandon_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_timeouts(&self, call_timeout: Duration, abandon: Span) {
        let millis = u64::try_from(call_timeout.as_millis()).unwrap_or(u64::MAX);
        self.call_timeout_ms.store(millis, Ordering::Relaxed);
        self.abandon_ms
            .store(abandon.millis_ceil(), Ordering::Relaxed);
    }
}
