//! Crashes in the middle of a random run: the queue is built again from what was recorded,
//! and has to go on as the naive queue does, which never stopped.

use std::sync::Arc;

use super::Pair;
use crate::call::Outcome;
use crate::queue::{Change, Queue, Rebuild};
use crate::time::Time;

/// What a journal would hold.
#[derive(Default)]
pub(super) struct Journal {
    /// Every change since the start, over every crash, in the groups it was written in.
    all: Vec<Vec<Change>>,
    /// A snapshot, and what changed since.
    snapshot: Option<Vec<Vec<Change>>>,
    pub crashes: u64,
}

impl Pair {
    pub(super) fn journal_step(&mut self) {
        if self.journal.is_none() {
            assert!(!self.queue.has_changes(), "nobody asked for changes");
            assert_eq!(self.queue.take_changes(), []);
        } else if self.random.chance(40) {
            self.write_down();
            self.snapshot();
        } else {
            self.crash();
        }
    }

    fn write_down(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let has_changes = self.queue.has_changes();
        let changes = self.queue.take_changes();
        assert_eq!(has_changes, !changes.is_empty());
        assert!(!self.queue.has_changes());
        if let Some(snapshot) = &mut journal.snapshot {
            snapshot.push(changes.clone());
        }
        journal.all.push(changes);
    }

    /// What is recorded is replaced by what is there, as after a wall clock was set.
    pub(super) fn write_anew(&mut self) {
        self.write_down();
        self.snapshot();
        if let Some(journal) = &mut self.journal
            && let Some(snapshot) = &journal.snapshot
        {
            journal.all.clone_from(snapshot);
        }
    }

    fn snapshot(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.snapshot = Some(vec![self.queue.snapshot()]);
        }
    }

    fn crash(&mut self) {
        self.write_down();
        self.say(format_args!("crash"));
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.crashes += 1;
        // What ends at the crash, the rebuilt queue counts.
        self.before += self.queue.ledger();
        let from_all = journal.all.clone();
        let from_snapshot = journal.snapshot.clone().unwrap_or_else(|| from_all.clone());
        let mut queues = [from_all, from_snapshot].map(|changes| self.rebuilt(changes));

        // The queue that did not crash hears of its calls what the others have to assume.
        self.model.crash(self.now);
        self.calls.sort_unstable_by_key(|(n, ..)| *n);
        for (_, id, in_flight) in &self.calls {
            if let (Some(id), true) = (id, in_flight) {
                self.queue.settle(self.now, *id, Outcome::Unknown);
            }
        }
        self.queue.demand(self.now);
        for queue in &mut queues {
            queue.demand(self.now);
            for id in displaced(queue, &self.queue) {
                self.queue.ids.forget_ended(&id);
                self.model.forget(&id);
            }
        }
        let expected = standing(&self.queue);
        for (queue, from) in queues.iter_mut().zip(["the changes", "a snapshot"]) {
            forget_others(queue, &expected);
            let now = standing(queue);
            let missing: Vec<_> = expected.iter().filter(|one| !now.contains(one)).collect();
            assert_eq!(
                now.len(),
                expected.len(),
                "from {from}, without {missing:?}"
            );
            for (now, expected) in now.iter().zip(&expected) {
                assert_eq!(now, expected, "from {from}");
            }
        }

        let [from_all, from_snapshot] = queues;
        let which = self.random.chance(50);
        self.queue = if which { from_all } else { from_snapshot };
        self.model.ended.clear();
        let out = |n: &u64| self.model.outs.iter().any(|out| out.n == *n);
        self.calls.retain(|(n, ..)| out(n));
        for call in &mut self.calls {
            (call.1, call.2) = (None, false);
        }
    }

    fn rebuilt(&self, groups: Vec<Vec<Change>>) -> Queue {
        let mut rebuild = Rebuild::default();
        for group in groups {
            for change in group {
                rebuild.apply(change).expect("written by a queue");
            }
            // A long journal is read with little memory. Within a group an id may have ended that
            // another event takes over at once.
            rebuild.forget(Time::ZERO, self.queue.policy().dedup_max_ids);
        }
        assert_eq!(rebuild.len(), rebuild.events().len());
        let mut queue = Queue::rebuild(
            Arc::clone(self.queue.policy()),
            self.queue.payload_max(),
            self.model.n,
            self.queue.link().interval,
            self.now,
            self.origin,
            rebuild,
        );
        queue.set_condition(self.queue.link());
        queue
    }
}

/// The ids that the rebuilt queue no longer remembers, as it may where it remembers as many as the
/// bound allows, and each has a window that ends later. The other queue may have forgotten some of
/// those, because of ids that were accepted anew since.
fn displaced(rebuilt: &Queue, other: &Queue) -> Vec<Arc<str>> {
    let remembered = |queue: &Queue| -> Vec<(Time, Arc<str>)> {
        let known = queue.ids.remembered(queue.now);
        known
            .map(|(id, until, _)| (until, Arc::clone(id)))
            .collect()
    };
    let kept = remembered(rebuilt);
    let mut displaced = remembered(other);
    displaced.retain(|one| !kept.contains(one));
    for (until, id) in &displaced {
        assert!(
            kept.len() >= rebuilt.policy().dedup_max_ids,
            "{id}: there was room"
        );
        assert!(
            kept.iter().all(|(kept, _)| kept >= until),
            "{id} had its place"
        );
    }
    displaced.into_iter().map(|(_, id)| id).collect()
}

/// Where the number of ids is bounded, a queue may have forgotten one because of another that was
/// accepted anew since. The rebuilt one, which only sees what was left, remembers it.
fn forget_others(queue: &mut Queue, expected: &[Change]) {
    for change in standing(queue) {
        if let Change::Remembered { id, .. } = &change
            && !expected.contains(&change)
        {
            queue.ids.forget_ended(id);
        }
    }
}

/// Everything alive. How an event in a payload has aged does not matter before it is out of
/// it, and then it catches up at once.
fn standing(queue: &Queue) -> Vec<Change> {
    let mut changes = queue.snapshot();
    let (mut packed, mut last) = (Vec::new(), None);
    for change in &changes {
        if let Change::Queued(kept) = change {
            assert!(last < Some(kept.seq), "as they were accepted");
            last = Some(kept.seq);
        }
        if let Change::Packed { seqs, .. } = change {
            packed.extend_from_slice(seqs);
        }
    }
    for change in &mut changes {
        if let Change::Queued(kept) = change
            && packed.contains(&kept.seq)
        {
            (kept.level, kept.rises) = (kept.content.priority, Time::NEVER);
        }
    }
    changes
}
