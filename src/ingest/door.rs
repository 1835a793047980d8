//! What every handler has at hand: the gateway, the meters, and where the process is in
//! its life.

use std::sync::Arc;

use tokio::sync::watch;

use super::body::BodyBudget;
use super::draft::Reader;
use super::refusal::Refusal;
use crate::config::Settings;
use crate::dispatch::{Channel, Clock, Gateway};
use crate::telemetry::Meters;

/// Where the process is in its life, as its connections need to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Events are taken.
    #[default]
    Serving,
    /// No new events; queues leave, and whoever waits for them stays connected.
    Draining,
    /// Every connection ends.
    Stopping,
}

/// The state of all handlers.
pub struct Door {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where to count.
    pub meters: Arc<Meters>,
    /// Told by whoever ends the process.
    pub life: watch::Receiver<Life>,
    /// Bytes of unfinished bodies.
    pub bodies: BodyBudget,
}

impl Door {
    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.gateway.settings()
    }

    /// Refuses while the process drains.
    ///
    /// # Errors
    /// `draining`.
    pub fn check_open(&self) -> Result<(), Refusal> {
        match self.gateway.draining() {
            None => Ok(()),
            Some(retry_after_ms) => Err(Refusal::draining(retry_after_ms)),
        }
    }

    /// The channel of an alias or an ARN.
    ///
    /// # Errors
    /// `unknown_channel`, `overloaded`.
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>, Refusal> {
        Ok(self.gateway.channel(name)?)
    }

    /// Returns when the process has come this far.
    pub async fn reaches(&self, life: Life) {
        let mut watched = self.life.clone();
        if watched.wait_for(|now| *now >= life).await.is_err() {
            // Nobody is left to end the process: it will not come to that.
            std::future::pending::<()>().await;
        }
    }
}

/// Runs `read` with a reader of events for this moment.
pub fn with_reader<T>(
    clock: &Clock,
    settings: &Settings,
    read: impl FnOnce(&mut Reader<'_>) -> T,
) -> T {
    let ahead = settings.limits.at_max_ahead.as_millis();
    let time_of = |ms: i64| clock.at(u64::try_from(ms).unwrap_or(0));
    read(&mut Reader {
        now_ms: i64::try_from(clock.epoch_ms()).unwrap_or(i64::MAX),
        at_max_ahead_ms: u64::try_from(ahead).unwrap_or(u64::MAX),
        time_of: &time_of,
        scratch: String::new(),
    })
}
