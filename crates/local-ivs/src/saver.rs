//! When the state is saved: soon after every change, all changes of a moment at once.
//!
//! A call that changed something waits for it, and so does an encoder that connects: what was
//! answered survives a kill. What else `/_local/` changes is saved as soon, but nobody waits.

use crate::state::{Snapshot, State};
use crate::store::Store;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After a write that failed, another try follows even if nothing changes.
const RETRY: Duration = Duration::from_secs(1);

/// How far the saving is, in changes of the state.
#[derive(Debug, Clone, Default)]
struct Progress {
    saved: u64,
    failed: u64,
    reason: String,
}

/// Saves until it is told to stop.
pub(crate) struct Saver {
    store: Arc<Store>,
    state: Arc<State>,
    progress: watch::Sender<Progress>,
}

/// Tells when a change is saved.
#[derive(Debug, Clone)]
pub(crate) struct Saved(watch::Receiver<Progress>);

impl Saver {
    pub(crate) fn new(store: Store, state: Arc<State>) -> (Self, Saved) {
        let (progress, seen) = watch::channel(Progress::default());
        let saver = Self {
            store: Arc::new(store),
            state,
            progress,
        };
        (saver, Saved(seen))
    }

    /// Saves at once, after every change, and once more at the end.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut changes = self.state.changes();
        loop {
            let started = Instant::now();
            let is_saved = self.save().await;
            // At most half of the time is spent writing, however large the state grows.
            let pause = if is_saved { started.elapsed() } else { RETRY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = &mut stop => break,
            }
            if is_saved {
                tokio::select! {
                    news = changes.changed() => if news.is_err() { break },
                    () = &mut stop => break,
                }
            }
        }
        self.save().await;
    }

    /// Whether everything is saved now.
    async fn save(&self) -> bool {
        let (changes, snapshot) = self.state.snapshot();
        let saved = self.progress.borrow().saved;
        if changes == saved && changes > 0 {
            return true;
        }
        let store = Arc::clone(&self.store);
        let write = move |snapshot: Snapshot| store.write(&snapshot);
        let written = tokio::task::spawn_blocking(move || write(snapshot)).await;
        let failure = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let is_saved = failure.is_none();
        self.progress.send_modify(|progress| match failure {
            None => progress.saved = changes,
            Some(reason) => {
                tracing::error!(reason, file = %self.store.file().display(), "the state could not be saved");
                progress.failed = changes;
                progress.reason = reason;
            }
        });
        is_saved
    }
}

impl Saved {
    /// Ready once so many changes are saved.
    ///
    /// # Errors
    ///
    /// Why they could not be.
    pub(crate) async fn until(&self, changes: u64) -> Result<(), String> {
        let mut seen = self.0.clone();
        let progress = seen
            .wait_for(|progress| progress.saved >= changes || progress.failed >= changes)
            .await
            .map_err(|_| "the server closes".to_owned())?;
        if progress.saved >= changes {
            Ok(())
        } else {
            Err(progress.reason.clone())
        }
    }
}
