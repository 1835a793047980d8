//! What operators see: metrics, logs and traces.
//!
//! It must never decide anything, nor name a metric outside of [`names`].
//!
//! - [`names`]: every metric: name, type, help, labels.
//! - [`labels`]: the label values the program knows.
//! - [`meters`]: handles for what is counted where it happens.
//! - [`snapshot`], [`scrape`]: what queues and schedulers know, copied at a scrape.
//! - [`refusals`]: why events were refused of late, in words.
//! - [`registry`]: the Prometheus recorder; `channels`: what has the label `channel`, as text.
//! - [`process`]: `process_*`, from `/proc`.
//! - [`logs`]: tracing to standard error.
//! - [`spans`]: every span; [`trace_context`]: what producers say of theirs.
//! - [`traces`]: spans to a collector; `collector`: the way there.
//! - [`request_id`]: the id of a request; [`actions`]: what operators did, as lines of the log.
//! - [`warnings`]: what goes wrong often, told once a minute and kind.

pub mod actions;
mod channels;
mod collector;
pub mod labels;
pub mod logs;
mod meters;
pub mod names;
mod process;
mod refusals;
mod registry;
pub mod request_id;
mod scrape;
mod snapshot;
pub mod spans;
#[cfg(test)]
mod tests;
pub mod trace_context;
pub mod traces;
pub mod warnings;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use labels::{ChannelState, Take, Transport};
pub use meters::{Meters, WebhookMeters};
pub use refusals::{RecentRefusal, RefusalSample};
pub use request_id::RequestId;
pub use snapshot::{AccountSnapshot, ChannelSnapshot, Snapshot};
pub use traces::Traces;

use registry::Registry;
use scrape::Scrape;

/// How often recorded samples are folded into buckets: until then each takes 8 bytes, at most
/// some 100,000 of them in this time.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// All metrics of one gateway.
pub struct Telemetry {
    registry: Arc<Registry>,
    meters: Arc<Meters>,
    scrape: Mutex<Scrape>,
}

impl Telemetry {
    /// All series of the program at 0, for an upstream of `mode`: `local` or `aws`. Accounts
    /// of the configuration are listed with [`Meters::list_account`].
    #[must_use]
    pub fn new(mode: &str) -> Self {
        let registry = Arc::new(Registry::new());
        registry
            .gauge(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        registry.gauge(&names::UPSTREAM_INFO, &[mode]).set(1.0);
        let meters = Arc::new(Meters::new(registry.clone()));
        meters.reloaded(true);
        Self {
            scrape: Mutex::new(Scrape::new(registry.clone())),
            meters,
            registry,
        }
    }

    /// The handles for what is counted where it happens.
    #[must_use]
    pub const fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// The text of `/metrics`, in format 0.0.4. `take` makes the snapshot; it is called once,
    /// while no other scrape takes one. Takes a while with thousands of channels: not for the
    /// threads that serve producers.
    #[must_use]
    pub fn scrape(&self, take: impl FnOnce() -> Snapshot) -> String {
        let mut scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = take();
        scrape.apply(&snapshot);
        let mut text = self.registry.render();
        drop(scrape);
        snapshot.complete();
        channels::render(&mut text, &snapshot.channels);
        process::render(&mut text);
        text
    }

    /// Keeps the memory of histograms bounded; runs until it is dropped or aborted.
    pub async fn upkeep(&self) {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            self.registry.upkeep();
        }
    }

    /// Logs what goes wrong often, at most once a minute and kind; runs as [`Telemetry::upkeep`].
    pub async fn warn(&self) {
        let mut ticks = tokio::time::interval(warnings::LOOK_EVERY);
        loop {
            let now = ticks.tick().await;
            self.meters.warnings().tell(now);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}
