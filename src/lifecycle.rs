//! The tasks that the process cannot do without, and what happens when one of them panics.
//!
//! A panic ends a task and nothing else: an account would stop, a call would keep its tokens for
//! ever, and the probes would say that all is well. So every task that others depend on is
//! spawned by a [`Supervisor`], which hears of the panic, and the process ends. The next start
//! has everything that was acknowledged.
//!
//! What a panic may end alone is what one client asked for: its connection. But a client's request
//! that panics while it changes a queue or an account leaves it half changed, so that ends the
//! process too ([`Supervisor::left_half_done`]).

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A task that panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} panicked: {message}")]
pub struct Death {
    /// Which, in words.
    pub task: &'static str,
    /// What the panic said.
    pub message: String,
}

/// What a test does in place of a task: called with the task's name each time it goes on. It
/// panics, or does nothing.
pub type Fault = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Looks after tasks. Its clones look after the same process.
#[derive(Clone, Default)]
pub struct Supervisor {
    /// The first one: what comes later is often its consequence.
    first: watch::Sender<Option<Death>>,
    fault: Option<Fault>,
}

impl Supervisor {
    /// For tests that link the library: tasks fail as `fault` has it. The program has none.
    #[must_use]
    pub fn with_fault(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Runs a task on the current runtime. If it panics, the process is to end.
    pub fn spawn<F>(&self, task: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            let mut future = pin!(future);
            let polled = std::future::poll_fn(|context| {
                supervisor.goes_on(task);
                future.as_mut().poll(context)
            });
            if let Err(panic) = AssertUnwindSafe(polled).catch_unwind().await {
                supervisor.died_of(task, &*panic);
            }
        })
    }

    /// Runs work that takes long on a thread that may be busy. If it panics, the process is to end,
    /// and the caller waits for that.
    pub async fn blocking<R: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let supervisor = self.clone();
        let work = tokio::task::spawn_blocking(move || supervisor.run(task, work));
        match work.await {
            Ok(Some(result)) => result,
            // It was told already, or the runtime ends.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Runs a task on this thread; nothing if it panicked, and then the process is to end.
    pub fn run<R>(&self, task: &'static str, work: impl FnOnce() -> R) -> Option<R> {
        let supervised = || {
            self.goes_on(task);
            work()
        };
        catch_unwind(AssertUnwindSafe(supervised))
            .map_err(|panic| self.died_of(task, &*panic))
            .ok()
    }

    /// A task goes on: where a test lets it fail. For threads, which nobody polls.
    pub fn goes_on(&self, task: &'static str) {
        if let Some(fault) = &self.fault {
            fault(task);
        }
    }

    /// To be called when a lock is let go. If that is because of a panic, what it guards is half
    /// changed and the process is to end; the answer says so.
    #[must_use]
    pub fn left_half_done(&self, what: &'static str) -> bool {
        let panicking = std::thread::panicking();
        if panicking {
            self.died(what, "the log has its message");
        }
        panicking
    }

    /// A task came to its end that it should not have come to.
    pub fn died(&self, task: &'static str, message: impl fmt::Display) {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| Death {
                task,
                message: message.to_string(),
            });
            is_first
        });
    }

    fn died_of(&self, task: &'static str, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        self.died(task, text.unwrap_or("it gave no message"));
    }

    /// Returns when a task has panicked.
    pub async fn death(&self) -> Death {
        let mut first = self.first.subscribe();
        let death = first.wait_for(Option::is_some).await;
        match death.ok().and_then(|death| death.clone()) {
            Some(death) => death,
            // Not while this sender lives.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
