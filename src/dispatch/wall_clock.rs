//! The wall clock, looked after: when it was set, events that wait for a moment of it are placed anew.

use std::time::Duration;

use super::gateway::Gateway;

/// How often the wall clock is looked at: what was scheduled is placed anew within a second of a
/// step, also on a busy machine.
const CLOCK_LOOK: Duration = Duration::from_millis(250);

/// Channels that are looked at before other tasks may run: a fraction of a millisecond.
const CHANNELS_AT_ONCE: usize = 256;

impl Gateway {
    /// Looks after the wall clock for as long as it runs: when it was set, the events that wait
    /// for a moment of it are placed anew.
    pub async fn watch_clock(&self) {
        let mut applied = self.shared.clock.wall_origin();
        loop {
            tokio::time::sleep(CLOCK_LOOK).await;
            self.shared.clock.look();
            let origin = self.shared.clock.wall_origin();
            if origin == applied {
                continue;
            }
            let by_ms = origin.micros().saturating_sub(applied.micros()) / 1000;
            tracing::warn!(
                by_ms,
                "the wall clock was set; events with an `at` are placed anew"
            );
            applied = origin;
            self.correct_letters();
            for (nth, channel) in self.registry.channels().into_iter().enumerate() {
                // Whoever locks a channel places its events anew.
                if channel.with(&self.shared, |state| !state.queue.is_empty()) {
                    channel.wake();
                }
                if nth % CHANNELS_AT_ONCE == CHANNELS_AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The wall clock was set: dead letters died at another moment of it.
    pub(super) fn correct_letters(&self) {
        for home in self.shared.homes.all() {
            if home.letters.correct(&self.shared.clock.moment()) {
                home.mark_letters();
            }
        }
    }
}
