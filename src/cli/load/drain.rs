//! After the last event was sent: waiting for the queues to empty, with patience that ends.

use std::collections::VecDeque;
use std::time::Duration;

use cuegate_client::{Channel, Client};
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep};

use super::emulator::Observer;
use super::pace::Pace;
use super::producers::Run;
use super::progress::{Progress, SHOW};
use crate::cli::Error;

/// How often queues are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Waiting for the queues to empty.
pub(super) struct Drain<'a> {
    pub(super) gateway: &'a Client,
    pub(super) run: &'a Run,
    pub(super) pace: &'a Pace,
    /// When patience ends.
    pub(super) until: Instant,
}

impl Drain<'_> {
    /// Waits until the run's channels have nothing queued, and gives how each stands then, or
    /// stood when patience ended. A gateway that is away is asked again until then.
    pub(super) async fn wait(
        &self,
        observer: &mut Option<Observer>,
        progress: &mut Progress,
        stops: &mut Signal,
    ) -> Result<Vec<Channel>, Error> {
        let mut left: VecDeque<usize> = (0..self.run.names.len()).collect();
        let mut stands: Vec<Option<Channel>> = vec![None; self.run.names.len()];
        let mut shown = Instant::now();
        let mut hurried = false;
        loop {
            let asked = self.look(&mut left, &mut stands).await;
            let patient = !hurried && Instant::now() < self.until;
            match asked {
                Err(error) if !patient => return Err(error),
                Ok(()) if !patient || left.is_empty() => {
                    return Ok(stands.into_iter().flatten().collect());
                }
                _ => {}
            }
            if shown.elapsed() >= SHOW {
                shown = Instant::now();
                progress.sweep(observer, self.run, self.pace).await;
                let left = left.iter().filter_map(|&nth| stands[nth].as_ref());
                let queued: u64 = left.clone().map(|stand| stand.queued).sum();
                // One that is paused or offline has none.
                let eta_ms = left.filter_map(|stand| stand.eta_ms).max();
                let eta = eta_ms.unwrap_or_default().div_ceil(1000);
                let rest = format!("  draining: {queued} queued, about {eta} s");
                progress.show(self.run, self.pace, &rest);
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = stops.recv() => hurried = true,
            }
        }
    }

    /// Asks after the channels that are left; those with nothing queued leave.
    async fn look(
        &self,
        left: &mut VecDeque<usize>,
        stands: &mut [Option<Channel>],
    ) -> Result<(), Error> {
        for _ in 0..left.len() {
            let Some(&nth) = left.front() else { break };
            let stand = self.gateway.status(&self.run.names[nth]).await?;
            left.pop_front();
            if stand.queued > 0 {
                left.push_back(nth);
            }
            stands[nth] = Some(stand);
        }
        Ok(())
    }
}
