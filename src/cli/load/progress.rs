//! What is shown while a run goes on: a line a second on standard error.

use std::time::Duration;

use super::super::output;
use super::emulator::Observer;
use super::pace::Pace;
use super::producers::Run;

/// How often progress is shown, and what came out is read.
pub(super) const SHOW: Duration = Duration::from_secs(1);

/// The line of every second.
#[derive(Default)]
pub(super) struct Progress {
    sent: u64,
    observed: bool,
}

impl Progress {
    /// Reads what came out; a local IVS that does not answer is asked again the next time.
    pub(super) async fn sweep(&mut self, observer: &mut Option<Observer>, run: &Run, pace: &Pace) {
        if let Some(observer) = observer {
            self.observed = true;
            if let Err(error) = observer.sweep(run, pace.start_us).await {
                output::error(&format!("note: {error}"));
            }
        }
    }

    /// Writes the line, with something more at its end.
    pub(super) fn show(&mut self, run: &Run, pace: &Pace, rest: &str) {
        let book = run.book();
        let seen = if self.observed {
            format!("  delivered {}", book.seen_so_far())
        } else {
            String::new()
        };
        output::error(&format!(
            "{:4} s  sent {} (+{})  accepted {}  refused {}{seen}{rest}",
            pace.elapsed().as_secs(),
            book.sent,
            book.sent - self.sent,
            book.accepted,
            book.refused_in_all(),
        ));
        self.sent = book.sent;
    }
}
