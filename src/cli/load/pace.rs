//! The clock of a run: says when a request is due, and wakes the connection that sends it.
//!
//! A thread of its own sleeps from one due moment to the next, because the runtime's timers are a
//! millisecond coarse, which is as long as an answer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::book::micros;
use super::plan::Plan;

/// How long after its end a run that fell behind may still send: so that the last requests of
/// one that keeps pace, due at the very end, are not cut off.
const CATCH_UP: Duration = Duration::from_secs(1);
/// How often the thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The clock.
pub(super) struct Pace {
    start: Instant,
    /// The same moment in microseconds since 1970.
    pub(super) start_us: u64,
    /// Nothing is sent after this time from the start.
    end: Duration,
    wake: Vec<Notify>,
    stopped: AtomicBool,
}

impl Pace {
    /// The run begins.
    pub(super) fn begin(plan: Plan, connections: usize, length: Duration) -> Arc<Self> {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let pace = Arc::new(Self {
            start: Instant::now(),
            start_us: micros(epoch.unwrap_or_default()),
            end: length + CATCH_UP,
            wake: (0..connections).map(|_| Notify::new()).collect(),
            stopped: AtomicBool::new(false),
        });
        let waking = Arc::clone(&pace);
        std::thread::spawn(move || waking.wake_all(plan));
        pace
    }

    fn wake_all(&self, plan: Plan) {
        for number in 0..plan.requests() {
            let due = plan.due(number);
            while let Some(left) = due.checked_sub(self.elapsed()).filter(|l| !l.is_zero()) {
                if self.is_stopped() {
                    return;
                }
                std::thread::sleep(left.min(LOOK));
            }
            // A permit is kept for a connection that is not waiting now.
            self.wake[plan.connection(number, self.wake.len())].notify_one();
        }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long ago a moment of the plan was, in microseconds.
    pub(super) fn since(&self, due: Duration) -> u64 {
        micros(self.elapsed().saturating_sub(due))
    }

    /// Waits until a connection's request is due; the answer is whether it is to be sent.
    pub(super) async fn reaches(&self, connection: usize, due: Duration) -> bool {
        loop {
            let now = self.elapsed();
            if self.is_stopped() || now > self.end {
                return false;
            }
            if now >= due {
                return true;
            }
            self.wake[connection].notified().await;
        }
    }

    /// Ends the run early.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake.iter().for_each(Notify::notify_one);
    }

    /// Whether the run was ended early.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_sent_when_due_and_not_held_up_by_what_was_late() {
        let plan = Plan {
            channels: 2,
            rate: 1000,
            batch: 1,
            events: 100,
        };
        let pace = Pace::begin(plan, 2, Duration::from_millis(100));
        let before = pace.elapsed();
        let connection = |connection| {
            let pace = &pace;
            async move {
                let mut late_us = 0;
                for request in plan.of(connection, 2) {
                    assert!(pace.reaches(connection, request.due).await);
                    assert!(pace.elapsed() >= request.due, "too early");
                    late_us = pace.since(request.due);
                }
                late_us
            }
        };
        tokio::join!(connection(0), connection(1));
        assert!(pace.elapsed() >= Duration::from_millis(99));
        assert!(before < Duration::from_mins(1), "it began at once");
        // All are due: whoever was late goes through them without waiting.
        for request in plan.of(0, 1) {
            assert!(pace.reaches(0, request.due).await);
        }
    }

    #[tokio::test]
    async fn a_stop_wakes_who_waits() {
        let plan = Plan {
            channels: 1,
            rate: 1,
            batch: 1,
            events: 1_000_000,
        };
        let pace = Pace::begin(plan, 1, Duration::from_secs(1_000_000));
        let far = Duration::from_secs(999_999);
        let (sent, ()) = tokio::join!(pace.reaches(0, far), async { pace.stop() });
        assert!(!sent);
        assert!(
            !pace.reaches(0, Duration::ZERO).await,
            "nothing more is sent"
        );
    }
}
