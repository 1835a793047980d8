//! The signals the process listens to.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use super::reload::Reload;

/// The signals the process listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads at every SIGHUP until SIGTERM or SIGINT.
    pub(super) async fn until_stop(&mut self, reload: &Arc<Reload>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    // Beside: the end does not wait for it.
                    reload.begin();
                }
            }
        }
    }
}
