//! What survives the process: every accepted event until its end, the payloads under way,
//! the numbers that are taken.
//!
//! A queue tells what changed ([`engine::Change`]); one committer thread gathers the changes
//! of all channels into groups and writes each group at once. An acknowledgement waits for
//! its group, so that many producers share one write. Written is not durable: what a commit
//! promises depends on the mode.
//!
//! A channel's records are *blocks*, one a group; when its blocks outgrow what is alive by
//! far, a *snapshot* of the queue takes their place. Where groups go is a [`log::Log`]'s; the whole
//! journal can be written anew into it from memory.
//!
//! - `record`: changes as bytes; `definition`: a channel that was made by API;
//! - `log`: what is asked of a storage;
//! - `disk`: the storage on this machine, in fjall;
//! - `database`: the storage that nodes share, in PostgreSQL;
//! - `recovery`: what a log holds, as queues that can be built again;
//! - `group_commit`: groups and tickets: who waits for which commit;
//! - `source`: what is kept, and what is asked of it;
//! - `committer`: the thread that writes;
//! - `error`: why a journal cannot be opened.

mod committer;
mod database;
mod definition;
pub(crate) mod disk;
mod error;
mod group_commit;
mod log;
pub(crate) mod record;
mod recovery;
mod source;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use database::Shared;
pub use definition::{Defined, Definition};
pub use disk::{Inspection, inspect, salvage, space_used};
pub use error::OpenError;
pub use group_commit::{Failing, Room, Ticket};
pub use log::{Epoch, Handed};
pub use record::{Beside, Pause};
pub use recovery::{RecoveredChannel, Recovery};
pub use source::{DeadLetterStore, Drained, Source};

use crate::clock::Clock;
use crate::config::JournalMode;
use crate::lifecycle::Supervisor;
use committer::Committer;
use disk::Durability;
use group_commit::GroupCommit;
use log::Log;

/// How long the disk may take for one group before everyone is told. A busy disk takes tenths of a
/// second; an event's TTL is 10 s by default.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a commit promises.
    pub mode: JournalMode,
    /// Where it is.
    pub dir: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// Where nobody knows which calls of the last process the API may still count: for how long
    /// after the start none is made.
    pub hold: Duration,
    /// The API began with this process: nobody called it before.
    pub api_is_new: bool,
}

/// The thread that writes, and what is disconnected when it ends.
type Thread = (JoinHandle<()>, Receiver<()>);

/// The journal as the rest of the program sees it.
pub struct Journal {
    /// None: there is no journal, and nothing waits.
    gate: Option<Arc<GroupCommit>>,
    thread: Mutex<Option<Thread>>,
    /// Blocks that were missing at the start.
    lost: u64,
}

impl Journal {
    /// No journal: events are in memory only.
    #[must_use]
    pub fn off() -> Self {
        Self {
            gate: None,
            thread: Mutex::default(),
            lost: 0,
        }
    }

    /// Opens the journal, repairs its tail, and reads what it holds.
    ///
    /// # Errors
    /// [`OpenError`]: it is in use, damaged, or the disk does not do its work.
    pub fn open(
        options: &Options,
        clock: &Arc<Clock>,
        shelf: Arc<dyn DeadLetterStore>,
        supervisor: &Supervisor,
    ) -> Result<(Self, Recovery), OpenError> {
        let durability = match options.mode {
            JournalMode::Off => return Ok((Self::off(), Recovery::unknown())),
            JournalMode::Os => Durability::Process,
            JournalMode::Fsync => Durability::Machine,
        };
        let (log, recovery) = disk::open(&options.dir, options.max_bytes, durability, clock)?;
        Self::begin(Box::new(log), recovery, options, clock, shelf, supervisor)
    }

    /// Opens the journal of a lease that was taken, in the database that nodes share, and reads what
    /// it holds. The mode and the directory of the options do not count. It waits for the database: not
    /// to be called on a runtime's own thread.
    ///
    /// # Errors
    /// [`OpenError::Storage`]: the database cannot be reached or used, or lacks a part of the log.
    pub fn open_shared(
        shared: &Shared,
        options: &Options,
        clock: &Arc<Clock>,
        shelf: Arc<dyn DeadLetterStore>,
        supervisor: &Supervisor,
    ) -> Result<(Self, Recovery), OpenError> {
        let (log, recovery) = database::open(shared, options.max_bytes, clock)?;
        Self::begin(Box::new(log), recovery, options, clock, shelf, supervisor)
    }

    /// Starts to write into a log that was read.
    fn begin(
        log: Box<dyn Log>,
        mut recovery: Recovery,
        options: &Options,
        clock: &Arc<Clock>,
        shelf: Arc<dyn DeadLetterStore>,
        supervisor: &Supervisor,
    ) -> Result<(Self, Recovery), OpenError> {
        // First of all: the journal may be written anew at once, with the dead letters.
        shelf.restore(std::mem::take(&mut recovery.letters));
        let gate = Arc::new(GroupCommit::default());
        gate.set_n_next(recovery.n_floor);
        let committer = Committer::new(
            log,
            options,
            &recovery,
            shelf,
            Arc::clone(&gate),
            Arc::clone(clock),
        )?;
        let thread = start(committer, &gate, supervisor).map_err(OpenError::io(&options.dir))?;
        watch(&gate, supervisor).map_err(OpenError::io(&options.dir))?;
        let journal = Self {
            gate: Some(gate),
            thread: Mutex::new(Some(thread)),
            lost: recovery.lost,
        };
        Ok((journal, recovery))
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.gate.is_some()
    }

    /// No payload of any channel that was ever sent had a number that is not below this:
    /// numbers of a channel start here, or at the wall clock if that is later.
    #[must_use]
    pub fn n_floor(&self) -> u64 {
        self.gate.as_ref().map_or(0, |gate| gate.n_next())
    }

    /// A source has changes; the answer is the ticket of the group that takes them. To be
    /// called under the source's own lock, after the change.
    pub fn mark(&self, source: impl FnOnce() -> Arc<dyn Source>) -> Ticket {
        self.gate
            .as_ref()
            .map_or(Ticket::NONE, |gate| gate.mark(source()))
    }

    /// The shelf has changes.
    pub fn mark_shelf(&self) -> Ticket {
        self.gate
            .as_ref()
            .map_or(Ticket::NONE, |gate| gate.mark_shelf())
    }

    /// Returns when the group of the ticket is written.
    ///
    /// # Errors
    /// [`Failing`]: the disk does not take it now; it will be written when it does.
    pub async fn committed(&self, ticket: Ticket) -> Result<(), Failing> {
        match &self.gate {
            Some(gate) => gate.committed(ticket).await,
            None => Ok(()),
        }
    }

    /// Returns when a call may leave: its group is written, so that the next process knows of it. Where
    /// the disk takes nothing it may all the same, as soon as the journal says that it does not tell of
    /// calls. As long as the disk does not answer, it waits.
    pub async fn recorded(&self, ticket: Ticket) {
        if let Some(gate) = &self.gate {
            gate.recorded(ticket).await;
        }
    }

    /// Returns when another node has taken the account and region from this one: nothing that is not
    /// acknowledged yet ever will be, and no call leaves any more.
    pub async fn fenced(&self) {
        match &self.gate {
            Some(gate) => gate.fenced().await,
            None => std::future::pending().await,
        }
    }

    /// Whether events may be accepted.
    #[must_use]
    pub fn room(&self) -> Room {
        self.gate.as_ref().map_or(Room::Enough, |gate| gate.room())
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.gate.as_ref().map_or(0, |gate| gate.bytes())
    }

    /// Writes that failed since the start.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.gate.as_ref().map_or(0, |gate| gate.errors())
    }

    /// Blocks that were missing at the start, because the machine went down before they were on
    /// its disk, which [`JournalMode::Os`] does not promise.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes what is left and closes. `clean`: the API counts none of our calls any more,
    /// so that the next process may use all its tokens at once.
    pub fn close(&self, clean: bool) {
        self.end(clean, Vec::new());
    }

    /// The same while the API counts calls that were made: the next process withholds their tokens, and no
    /// other. Only nodes that share a journal hand anything over.
    pub fn hand_over(&self, handed: Vec<Handed>) {
        self.end(handed.is_empty(), handed);
    }

    fn end(&self, clean: bool, handed: Vec<Handed>) {
        if let Some(gate) = &self.gate {
            gate.close(clean, handed);
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (Some((thread, ended)), Some(gate)) = (thread, &self.gate) else {
            return;
        };
        while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if gate.is_hanging() {
                tracing::error!(
                    "the journal could not be closed, because its disk does not answer; the next start will repair it"
                );
                return;
            }
        }
        // A panic was told where it was caught.
        let _ = thread.join();
    }
}

/// Starts the thread that writes. If it panics, nothing is written any more: whoever waits is
/// told, and the process is to end. The next start has all that was acknowledged.
fn start(
    committer: Committer,
    gate: &Arc<GroupCommit>,
    supervisor: &Supervisor,
) -> std::io::Result<Thread> {
    let (gate, supervisor) = (Arc::clone(gate), supervisor.clone());
    let (ends, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || {
            let _ends = ends;
            let run = || committer.run(&|| supervisor.goes_on(THREAD));
            if supervisor.run(THREAD, run).is_none() {
                gate.died();
            }
        })?;
    Ok((thread, ended))
}

/// The name of the thread that writes, for people.
const THREAD: &str = "the journal's thread";

/// Looks after the thread that writes, which cannot tell that its disk does not answer. Ends with
/// the journal.
fn watch(gate: &Arc<GroupCommit>, supervisor: &Supervisor) -> std::io::Result<()> {
    let (gate, supervisor) = (Arc::downgrade(gate), supervisor.clone());
    std::thread::Builder::new()
        .name("journal-watch".to_owned())
        .spawn(move || {
            supervisor.run("the watch over the journal's disk", || {
                while let Some(gate) = gate.upgrade() {
                    // Once a second while it hangs, as for a disk that refuses.
                    let hangs = gate.look_for_hang(PATIENCE);
                    drop(gate);
                    std::thread::sleep(if hangs { 4 * LOOK_EVERY } else { LOOK_EVERY });
                }
            });
        })
        .map(drop)
}

#[cfg(test)]
mod tests;
