//! Which ids a channel has seen: for duplicates and for cancelling.
//!
//! An id is known for the dedup window after it was accepted, and to a cancel in any case as
//! long as its event is queued. Of those whose events ended, at most `dedup_max_ids` are
//! remembered; those whose windows end first are forgotten first. Forgetting is bounded a call,
//! so that nothing holds the channel's lock for long.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::num::NonZeroI64;
use std::sync::{Arc, LazyLock};

use crate::queue::items::touch;
use crate::queue::lazy::Empty;
use crate::queue::{End, Fate};
use crate::time::{Span, Time, Wall};

/// Most ids that one call forgets: 0.1 ms at 0.4 µs an id. More than a call can add but for a
/// full payload, so that what is over leaves faster than it comes.
pub(super) const FORGET_MAX: usize = 256;

/// How late an id may be forgotten after its window: ids that end one after another are forgotten
/// together, so that a channel wakes its account once a second at most.
const COARSE: Span = Span::SECOND;

/// The pause between two calls while more is to be forgotten than one may: 256,000 ids a second,
/// with the lock free for nine tenths of the time.
const PAUSE: Span = Span::from_millis(1);

/// Where the event of an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Queued, as this item.
    Queued(u32),
    /// It has ended.
    Ended(Fate),
}

/// A [`Fate`] in 24 bytes: there may be ten million.
#[derive(Clone, Copy, Debug)]
struct SmallFate {
    end: End,
    /// 0: none.
    n: u64,
    at: Option<NonZeroI64>,
}

impl SmallFate {
    fn new(fate: Fate) -> Self {
        Self {
            end: fate.end,
            n: fate.n.unwrap_or(0),
            at: fate.at.and_then(|at| NonZeroI64::new(at.micros())),
        }
    }

    fn fate(self) -> Fate {
        Fate {
            end: self.end,
            n: Some(self.n).filter(|n| *n != 0),
            at: self.at.map(|micros| Wall::from_micros(micros.get())),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Queued(u32),
    Ended(SmallFate),
}

/// What is known of an id.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Tells two acceptances of the same id apart.
    seq: u64,
    state: State,
    /// The dedup window ends here. Only the entry of a queued event outlives it.
    until: Time,
}

impl Entry {
    const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued(_))
    }
}

/// An id whose event ended: the end of its window, how many had ended before, the id, and the
/// acceptance that has ended.
pub(super) type Settled = (Time, u64, Arc<str>, u64);

/// Dead elements that the ends may hold beyond as many as live.
const SLACK: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    entries: HashMap<Arc<str>, Entry>,
    /// Ids whose events ended, the end of the window first, then in the order they ended. An
    /// element counts only while the id's entry is of that acceptance.
    settled: BinaryHeap<Reverse<Settled>>,
    /// How many of the entries have ended.
    ended: usize,
    /// How many have ended so far.
    ranks: u64,
    bytes: usize,
}

/// Bytes an id costs beside its characters: two map and queue entries, and the allocation.
pub(super) const ENTRY_BYTES: usize = 152;

impl Empty for Ids {
    #[cold]
    #[inline(never)]
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Ids> = LazyLock::new(Ids::default);
        &EMPTY
    }
}

impl Ids {
    /// Forgets what the window and the bound no longer cover, at most `most` ids.
    pub(crate) fn forget(&mut self, now: Time, max_ids: usize, most: usize) {
        for _ in 0..most {
            let is_over = |Reverse((until, ..)): &Reverse<Settled>| *until <= now;
            if self.ended <= max_ids && !self.settled.peek().is_some_and(is_over) {
                break;
            }
            self.forget_first();
        }
    }

    /// Forgets the id whose window ends first of those whose events ended; whether there was one.
    fn forget_first(&mut self) -> bool {
        touch();
        let Some(Reverse((.., id, seq))) = self.settled.pop() else {
            return false;
        };
        if self.has_ended(&id, seq) {
            self.remove(&id);
        }
        true
    }

    /// Forgets ids whose events ended until `bytes` bytes are free, at most `most`; the answer
    /// is how many bytes are.
    pub(super) fn free(&mut self, bytes: usize, most: usize) -> usize {
        let before = self.bytes;
        for _ in 0..most {
            if before - self.bytes >= bytes || !self.forget_first() {
                break;
            }
        }
        before - self.bytes
    }

    /// When [`Ids::forget`] has something to do, a little late; `now`: when it was last called.
    pub(super) fn next_forgotten(&self, now: Time, max_ids: usize) -> Option<Time> {
        let Reverse((until, ..)) = self.settled.peek()?;
        if *until <= now || self.ended > max_ids {
            Some(now + PAUSE)
        } else {
            Some(*until + COARSE)
        }
    }

    /// The end of the window of the id that is forgotten first.
    pub(super) fn first_forgotten(&self) -> Option<Time> {
        self.settled.peek().map(|Reverse((until, ..))| *until)
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.settled.is_empty()
    }

    fn has_ended(&self, id: &str, seq: u64) -> bool {
        let entry = self.entries.get(id);
        entry.is_some_and(|entry| !entry.is_queued() && entry.seq == seq)
    }

    fn remove(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id) {
            self.bytes -= id.len() + ENTRY_BYTES;
            self.ended -= usize::from(!entry.is_queued());
        }
    }

    fn put(&mut self, id: Arc<str>, entry: Entry) {
        let length = id.len();
        self.ended += usize::from(!entry.is_queued());
        match self.entries.insert(id, entry) {
            None => self.bytes += length + ENTRY_BYTES,
            Some(before) => self.ended -= usize::from(!before.is_queued()),
        }
    }

    /// Forgets an id unless its event is queued.
    pub(crate) fn forget_ended(&mut self, id: &str) {
        if self.entries.get(id).is_some_and(|entry| !entry.is_queued()) {
            self.remove(id);
        }
    }

    /// Whether the id was accepted within the window.
    pub(crate) fn is_duplicate(&self, now: Time, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.until > now)
    }

    pub(crate) fn find(&self, now: Time, id: &str) -> Option<Whereabouts> {
        let entry = self.entries.get(id)?;
        let known = entry.until > now || entry.is_queued();
        known.then(|| match entry.state {
            State::Queued(index) => Whereabouts::Queued(index),
            State::Ended(fate) => Whereabouts::Ended(fate.fate()),
        })
    }

    /// Remembers an id that was just accepted, as the item it is queued as.
    pub(crate) fn insert(&mut self, id: Arc<str>, seq: u64, item: u32, until: Time) {
        let entry = Entry {
            seq,
            state: State::Queued(item),
            until,
        };
        self.put(id, entry);
    }

    /// The event of that id is no longer queued. The answer, if there is one, must be handed to
    /// [`Ids::settle`], now or later.
    #[must_use]
    pub(crate) fn ended(
        &mut self,
        now: Time,
        id: &Arc<str>,
        seq: u64,
        fate: Fate,
    ) -> Option<Settled> {
        let entry = self.entries.get_mut(id).filter(|entry| entry.seq == seq)?;
        self.ended += usize::from(entry.is_queued());
        entry.state = State::Ended(SmallFate::new(fate));
        let until = entry.until;
        if until <= now {
            self.remove(id);
            return None;
        }
        self.ranks += 1;
        Some((until, self.ranks, Arc::clone(id), seq))
    }

    /// The id may be forgotten from now on, and will be.
    pub(super) fn settle(&mut self, settled: Settled) {
        self.settled.push(Reverse(settled));
        if self.settled.len() > 2 * self.ended + SLACK {
            let settled = std::mem::take(&mut self.settled).into_vec();
            let lives = |Reverse((.., id, seq)): &Reverse<Settled>| self.has_ended(id, *seq);
            self.settled = settled.into_iter().filter(lives).collect();
        }
    }

    /// What is known of an id, whether or not that counts.
    pub(super) fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// What was known of an id is known again.
    pub(super) fn put_back(&mut self, id: Arc<str>, before: Option<Entry>) {
        let Some(before) = before else {
            self.remove(&id);
            return;
        };
        self.put(id, before);
    }

    /// The end of the dedup window of that acceptance of the id, if the id is still its.
    pub(crate) fn until(&self, id: &str, seq: u64) -> Option<Time> {
        let entry = self.entries.get(id).filter(|entry| entry.seq == seq)?;
        Some(entry.until)
    }

    /// Ids that are duplicates though their events ended, and how those ended, in the order they
    /// will be forgotten.
    pub(crate) fn remembered(&self, now: Time) -> impl Iterator<Item = (&Arc<str>, Time, Fate)> {
        let known = |Reverse((until, _, id, seq)): &&Reverse<Settled>| {
            *until > now && self.has_ended(id, *seq)
        };
        let mut known: Vec<_> = self.settled.iter().filter(known).collect();
        known.sort_unstable_by_key(|Reverse((until, rank, ..))| (*until, *rank));
        known.into_iter().filter_map(|Reverse((until, _, id, _))| {
            match self.entries.get(id)?.state {
                State::Ended(fate) => Some((id, *until, fate.fate())),
                State::Queued(_) => None,
            }
        })
    }

    /// The queued event of that id is another item now.
    pub(crate) fn moved(&mut self, id: &str, seq: u64, item: u32) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.seq == seq) {
            entry.state = State::Queued(item);
        }
    }

    /// No window ends later than at `latest`.
    pub(crate) fn clamp(&mut self, latest: Time) {
        for entry in self.entries.values_mut() {
            entry.until = entry.until.min(latest);
        }
        let settled = std::mem::take(&mut self.settled).into_vec();
        let clamped = |Reverse((until, rank, id, seq)): Reverse<Settled>| {
            Reverse((latest.min(until), rank, id, seq))
        };
        self.settled = settled.into_iter().map(clamped).collect();
    }

    /// Forgets every settled id that is unknown by now, however many they are.
    pub(crate) fn tidy(&mut self, now: Time) {
        self.forget(now, usize::MAX, usize::MAX);
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
