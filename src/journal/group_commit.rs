//! Groups and tickets: many tasks wait for one commit.
//!
//! A source that has changes joins the group that is open; its ticket is that group's
//! number. The committer takes a group, writes it, and says so; everyone with a ticket up
//! to that number goes on. Nobody is ever in a group that was taken before its change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::log::Handed;
use super::source::Source;

/// The group that takes a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// Nothing to wait for.
    pub const NONE: Self = Self(0);
}

/// The disk does not take what is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written at present")]
pub struct Failing;

/// Whether more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It can.
    Enough,
    /// The bound is reached, or the disk is nearly full: only ends are written.
    Full,
    /// The last write failed.
    Failing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Every group up to this number is written.
    written: u64,
    failing: bool,
    /// Calls do not wait, because the log says that its records do not tell of them.
    calls_go: bool,
    /// Another owner has the log: nothing more will be written.
    fenced: bool,
}

/// What the thread that writes is at.
#[derive(Default)]
struct Work {
    /// When it last came on with it; none while there is nothing to do.
    since: Option<Instant>,
    /// Everyone was told that it does not come on.
    hanging: bool,
}

struct Open {
    number: u64,
    members: Vec<Arc<dyn Source>>,
    /// The shelf is a member too.
    shelf: bool,
    /// Once the end has come: whether it is a clean one, and what is handed over.
    closing: Option<Ending>,
}

/// What the committer is given.
pub(super) struct Group {
    pub number: u64,
    pub members: Vec<Arc<dyn Source>>,
    pub shelf: bool,
    pub closing: Option<Ending>,
}

/// Whether an end is a clean one, and what is handed over.
pub(super) type Ending = (bool, Vec<Handed>);

pub(super) struct GroupCommit {
    open: Mutex<Open>,
    bell: Condvar,
    progress: watch::Sender<Progress>,
    failing: AtomicBool,
    full: AtomicBool,
    bytes: AtomicU64,
    errors: AtomicU64,
    work: Mutex<Work>,
    /// The first number that no payload has yet.
    n_next: AtomicU64,
}

impl Default for GroupCommit {
    fn default() -> Self {
        Self {
            open: Mutex::new(Open {
                number: 1,
                members: Vec::new(),
                shelf: false,
                closing: None,
            }),
            bell: Condvar::new(),
            progress: watch::Sender::default(),
            failing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            work: Mutex::default(),
            n_next: AtomicU64::new(0),
        }
    }
}

impl GroupCommit {
    pub(super) fn mark(&self, source: Arc<dyn Source>) -> Ticket {
        let mut open = self.lock();
        if source.join() {
            open.members.push(source);
            if open.members.len() == 1 {
                self.bell.notify_one();
            }
        }
        Ticket(open.number)
    }

    pub(super) fn mark_shelf(&self) -> Ticket {
        let mut open = self.lock();
        open.shelf = true;
        self.bell.notify_one();
        Ticket(open.number)
    }

    pub(super) async fn committed(&self, ticket: Ticket) -> Result<(), Failing> {
        let is_over = |progress: &Progress| progress.written >= ticket.0 || progress.failing;
        let mut progress = self.progress.subscribe();
        match progress.wait_for(is_over).await {
            Ok(progress) if progress.written >= ticket.0 => Ok(()),
            _ => Err(Failing),
        }
    }

    /// Returns when a call may leave: what is recorded of it is written, or the log says that it is not.
    pub(super) async fn recorded(&self, ticket: Ticket) {
        let may_leave = |progress: &Progress| progress.written >= ticket.0 || progress.calls_go;
        let mut progress = self.progress.subscribe();
        // The sender is ours: it is not gone before we are.
        let _ = progress.wait_for(may_leave).await;
    }

    /// The log says that its records do not tell of calls from now on.
    pub(super) fn let_calls_go(&self) {
        self.progress
            .send_modify(|progress| progress.calls_go = true);
    }

    /// From now on calls wait for their groups.
    pub(super) fn keep_calls(&self) {
        self.progress
            .send_modify(|progress| progress.calls_go = false);
    }

    /// Whether calls leave although nothing records them.
    pub(super) fn lets_calls_go(&self) -> bool {
        self.progress.borrow().calls_go
    }

    /// The open group as soon as it has members, or after `patience` as it is.
    pub(super) fn take(&self, patience: Duration) -> Group {
        let is_idle =
            |open: &mut Open| open.members.is_empty() && !open.shelf && open.closing.is_none();
        let (mut open, _) = self
            .bell
            .wait_timeout_while(self.lock(), patience, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let number = open.number;
        open.number += 1;
        // Under the gate's lock: whoever marks from here on is a member of the next group.
        open.members.iter().for_each(|member| member.leave());
        Group {
            number,
            members: std::mem::take(&mut open.members),
            shelf: std::mem::take(&mut open.shelf),
            closing: open.closing.clone(),
        }
    }

    pub(super) fn wrote(&self, group: u64) {
        self.came_on();
        self.failing.store(false, Ordering::Relaxed);
        self.progress.send_replace(Progress {
            written: group,
            ..Progress::default()
        });
    }

    /// The thread that writes has work from now on, or has come on with it.
    pub(super) fn came_on(&self) {
        self.set_work(Some(Instant::now()));
    }

    /// It has nothing to do.
    pub(super) fn rests(&self) {
        self.set_work(None);
    }

    fn set_work(&self, since: Option<Instant>) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.since = since;
        if std::mem::take(&mut work.hanging) {
            tracing::info!("the journal's disk answers again");
            self.failing.store(false, Ordering::Relaxed);
            self.progress
                .send_modify(|progress| progress.failing = false);
        }
    }

    /// A disk that does not answer says nothing: whoever waits is told all the same. True while
    /// it hangs.
    pub(super) fn look_for_hang(&self, patience: Duration) -> bool {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = work.since.filter(|since| since.elapsed() >= patience) else {
            return false;
        };
        if !work.hanging {
            work.hanging = true;
            tracing::error!(
                seconds = since.elapsed().as_secs(),
                "the journal's disk does not answer; no event is accepted and no call is made until it does"
            );
        }
        self.failed();
        true
    }

    /// Whether everyone was told that the disk does not answer.
    pub(super) fn is_hanging(&self) -> bool {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.hanging
    }

    /// The thread that writes has panicked: nothing will be written any more.
    pub(super) fn died(&self) {
        self.failing.store(true, Ordering::Relaxed);
        self.progress
            .send_modify(|progress| progress.failing = true);
    }

    /// Another owner has the log: whoever waits is told, and no call leaves any more.
    pub(super) fn fence(&self) {
        self.failing.store(true, Ordering::Relaxed);
        self.progress.send_modify(|progress| {
            progress.failing = true;
            progress.fenced = true;
        });
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.progress.borrow().fenced
    }

    /// Returns when another owner has the log.
    pub(super) async fn fenced(&self) {
        // The sender is ours: it is not gone before we are.
        let _ = self.progress.subscribe().wait_for(|it| it.fenced).await;
    }

    /// Whoever waits is told; the group stays to be written.
    pub(super) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
        self.progress
            .send_modify(|progress| progress.failing = true);
    }

    pub(super) fn set_space(&self, bytes: u64, full: bool) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn room(&self) -> Room {
        if self.failing.load(Ordering::Relaxed) {
            Room::Failing
        } else if self.full.load(Ordering::Relaxed) {
            Room::Full
        } else {
            Room::Enough
        }
    }

    pub(super) fn set_n_next(&self, n: u64) {
        self.n_next.store(n, Ordering::Relaxed);
    }

    pub(super) fn n_next(&self) -> u64 {
        self.n_next.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self, clean: bool, handed: Vec<Handed>) {
        self.lock().closing = Some((clean, handed));
        self.bell.notify_one();
    }

    /// Whether the end has come, for a committer that waits for its disk.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
