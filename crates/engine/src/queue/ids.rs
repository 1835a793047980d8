//! Which ids a channel has seen: for duplicates and for cancelling.
//!
//! An id is known for the dedup window after it was accepted, and to a cancel in any case as
//! long as its event is queued. Of those whose events ended, at most `dedup_max_ids` are
//! remembered, those that ended first forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::queue::End;
use crate::time::Time;

/// Where the event of an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Queued, as this item.
    Queued(u32),
    /// Delivered, merged, or ended otherwise.
    Ended,
    /// Taken back.
    Cancelled,
}

impl Whereabouts {
    /// Where the event of an id is after that end.
    pub(crate) fn after(end: End) -> Self {
        if end == End::Cancelled {
            Self::Cancelled
        } else {
            Self::Ended
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// Tells two acceptances of the same id apart.
    seq: u64,
    at: Whereabouts,
    /// The dedup window ends here. Only the entry of a queued event outlives it.
    until: Time,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    entries: HashMap<Arc<str>, Entry>,
    /// Ids whose events ended, in that order: at most `dedup_max_ids`. They need not reach
    /// the end of their windows in the same order; one that has waits here, unknown to all,
    /// for those before it.
    settled: VecDeque<(Time, Arc<str>, u64)>,
    bytes: usize,
}

/// Bytes an id costs beside its characters: two map and queue entries, and the allocation.
const ENTRY_BYTES: usize = 128;

impl Ids {
    /// Forgets what the window and the bound no longer cover.
    pub(crate) fn forget(&mut self, now: Time, max_ids: usize) {
        while let Some((until, _, _)) = self.settled.front() {
            if *until > now && self.settled.len() <= max_ids {
                break;
            }
            if let Some((_, id, seq)) = self.settled.pop_front()
                && self.entries.get(&id).is_some_and(|entry| entry.seq == seq)
            {
                self.remove(&id);
            }
        }
    }

    /// Whether no id is known. (What is settled is then stale.)
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, id: &str) {
        if self.entries.remove(id).is_some() {
            self.bytes -= id.len() + ENTRY_BYTES;
        }
    }

    /// Forgets an id unless its event is queued.
    pub(crate) fn forget_ended(&mut self, id: &str) {
        let queued = |entry: &Entry| matches!(entry.at, Whereabouts::Queued(_));
        if self.entries.get(id).is_some_and(|entry| !queued(entry)) {
            self.remove(id);
        }
    }

    /// Whether the id was accepted within the window.
    pub(crate) fn is_duplicate(&self, now: Time, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.until > now)
    }

    pub(crate) fn find(&self, now: Time, id: &str) -> Option<Whereabouts> {
        let entry = self.entries.get(id)?;
        let known = entry.until > now || matches!(entry.at, Whereabouts::Queued(_));
        known.then_some(entry.at)
    }

    /// Remembers an id that was just accepted, as the item it is queued as.
    pub(crate) fn insert(&mut self, id: Arc<str>, seq: u64, item: u32, until: Time) {
        let length = id.len();
        let entry = Entry {
            seq,
            at: Whereabouts::Queued(item),
            until,
        };
        if self.entries.insert(id, entry).is_none() {
            self.bytes += length + ENTRY_BYTES;
        }
    }

    /// The event of that id is no longer queued.
    pub(crate) fn ended(&mut self, now: Time, id: &Arc<str>, seq: u64, at: Whereabouts) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.seq == seq) else {
            return;
        };
        entry.at = at;
        if entry.until > now {
            self.settled.push_back((entry.until, Arc::clone(id), seq));
        } else {
            self.remove(id);
        }
    }

    /// The end of the dedup window of that acceptance of the id, if the id is still its.
    pub(crate) fn until(&self, id: &str, seq: u64) -> Option<Time> {
        let entry = self.entries.get(id).filter(|entry| entry.seq == seq)?;
        Some(entry.until)
    }

    /// Ids that are duplicates though their events ended, and whether those were taken back,
    /// in the order they will be forgotten.
    pub(crate) fn remembered(&self, now: Time) -> impl Iterator<Item = (&Arc<str>, Time, bool)> {
        self.settled.iter().filter_map(move |(until, id, seq)| {
            let entry = self.entries.get(id).filter(|entry| entry.seq == *seq)?;
            (*until > now).then_some((id, *until, entry.at == Whereabouts::Cancelled))
        })
    }

    /// The queued event of that id is another item now.
    pub(crate) fn moved(&mut self, id: &str, seq: u64, item: u32) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.seq == seq) {
            entry.at = Whereabouts::Queued(item);
        }
    }

    /// No window ends later than at `latest`.
    pub(crate) fn clamp(&mut self, latest: Time) {
        for entry in self.entries.values_mut() {
            entry.until = entry.until.min(latest);
        }
        for (until, ..) in &mut self.settled {
            *until = latest.min(*until);
        }
    }

    /// Forgets every settled id that is unknown by now, not only the first ones: looks at all.
    pub(crate) fn tidy(&mut self, now: Time) {
        let settled = std::mem::take(&mut self.settled);
        for (until, id, seq) in settled {
            if self.entries.get(&id).is_none_or(|entry| entry.seq != seq) {
                continue;
            }
            if until > now {
                self.settled.push_back((until, id, seq));
            } else {
                self.remove(&id);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity() + self.settled.capacity()
    }

    /// Bytes of memory the remembered ids take, about.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}
