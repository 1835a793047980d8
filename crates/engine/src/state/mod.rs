//! The state of a channel: the value of each key that merging events change, and what of it is sent
//! to viewers who join late or missed something.
//!
//! It knows nothing of queues, calls or compression: it is told which payload ended with what in
//! it, and says what the next one may carry.
//!
//! - `change`: what a journal keeps of it;
//! - `tail`: which entries go next, and how they are written;
//! - `window`: the payloads of the last while, and the state before them, to be told over HTTP.
//!
//! A value changes when a payload ends. A deletion takes effect with the payload that first carries
//! it, so that the state is at any time what the payloads told.

mod change;
mod tail;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::merge;
use crate::merge::Merge;
use crate::policy::Keyframes;
use crate::time::Time;

pub use change::StateChange;
pub(crate) use tail::{Fits, Tail};
pub(crate) use window::Window;
pub use window::{PublicState, ToldState};

/// Most bytes of one value.
const VALUE_MAX: usize = 65_536;

/// Bytes of memory that a key costs beside its name and its value, rounded up.
const KEY_BYTES: usize = 320;

/// What a key is, as `GET …/state` and keyframes tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The key.
    pub key: Arc<str>,
    /// Its value, as JSON text.
    pub data: Arc<str>,
    /// The type of the last event that changed it.
    pub kind: Option<Arc<str>>,
    /// How that one merged.
    pub merge: Merge,
}

/// One item of a payload that ended.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub key: Arc<str>,
    pub data: Arc<str>,
    pub kind: Option<Arc<str>>,
    pub merge: Merge,
}

/// Why a key is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Somebody asked for it. Only a value that replaces the present one takes that back.
    Asked,
    /// Its time is over, or the state has no room for it. It stays if it changes before.
    Lapsed,
}

#[derive(Clone, Debug)]
struct Kept {
    data: Arc<str>,
    kind: Option<Arc<str>>,
    merge: Merge,
    /// The payload that last changed it.
    n: u64,
    /// The payload that last told its whole value; 0: none.
    sent: u64,
    /// When it changed, by a count and by the clock.
    change: u64,
    at: Time,
    ending: Option<Ending>,
    /// It was seen to fit no payload.
    is_bare: bool,
}

impl Kept {
    fn bytes(&self, key: &str) -> usize {
        key.len() + self.data.len()
    }
}

/// A deletion that is to be told.
#[derive(Clone, Debug)]
struct Deletion {
    key: Arc<str>,
    /// It is told in this cycle or a later one.
    cycle: u64,
    /// It was told once.
    told: bool,
    /// It is in a payload that has not ended.
    in_flight: bool,
}

/// A tour of all keys.
#[derive(Clone, Copy, Debug)]
struct Cycle {
    /// The payload it began with.
    start: u64,
    /// The number of its next part.
    part: u64,
}

/// The state of one channel. Everything in it is in an order, because runs must be repeatable.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    keys: BTreeMap<Arc<str>, Kept>,
    /// The keys that entries are sent of, that told longest ago first.
    by_sent: BTreeSet<(u64, Arc<str>)>,
    /// The keys that stay, that changed longest ago first.
    by_change: BTreeMap<u64, Arc<str>>,
    /// In their order, and where each key's is.
    deletions: BTreeMap<u64, Deletion>,
    deletion_of: BTreeMap<Arc<str>, u64>,
    /// Bytes of all keys, and of those that stay.
    bytes: usize,
    staying: usize,
    /// Counts changes and deletions.
    count: u64,
    /// Payloads with smaller numbers count for no state.
    reset: u64,
    cycle: Option<Cycle>,
    /// Cycles that were begun.
    cycles: u64,
    /// Keys that went for want of room.
    evicted: u64,
    /// Where changes are recorded.
    log: Vec<StateChange>,
}

impl State {
    /// An empty state, for which no payload before `n` counts.
    pub(crate) fn begin(n: u64) -> Self {
        let mut state = Self {
            reset: n,
            ..Self::default()
        };
        state.log.push(StateChange::Began { n });
        state
    }

    /// Forgets everything; no payload before `n` counts.
    pub(crate) fn clear(&mut self, n: u64) {
        let (evicted, cycles) = (self.evicted, self.cycles);
        let log = std::mem::take(&mut self.log);
        *self = Self {
            reset: n.max(self.reset),
            evicted,
            cycles,
            log,
            ..Self::default()
        };
        self.log.push(StateChange::Began { n: self.reset });
    }

    /// How many keys it has.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing would be lost by forgetting it.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.deletions.is_empty()
    }

    /// Bytes of memory, about.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes + (self.keys.len() + self.deletions.len()) * KEY_BYTES
    }

    /// Every key, in the order of their names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = StateEntry> {
        self.keys.iter().map(|(key, kept)| StateEntry {
            key: Arc::clone(key),
            data: Arc::clone(&kept.data),
            kind: kept.kind.clone(),
            merge: kept.merge,
        })
    }

    /// What changed since this was last asked.
    pub(crate) fn take_log(&mut self) -> Vec<StateChange> {
        std::mem::take(&mut self.log)
    }

    /// Keys evicted since this was last asked.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// The payload `n` ended and reached the stream, or may have: first what it told to be deleted,
    /// then its items.
    pub(crate) fn payload(
        &mut self,
        n: u64,
        deletions: &[Arc<str>],
        items: impl Iterator<Item = Item>,
        now: Time,
        rules: &Keyframes,
    ) {
        if n < self.reset {
            return;
        }
        for key in deletions {
            self.deleted(n, key);
        }
        for item in items {
            self.item(n, item, now);
        }
        self.keep_bounds(rules);
    }

    /// The payload `n` ended and reached the stream, or may have; what it changes comes next.
    pub(crate) fn tell(&mut self, n: u64, text: &Arc<str>, at: Time) {
        self.log.push(StateChange::Told {
            n,
            text: Arc::clone(text),
            at,
        });
    }

    /// What a payload carried did not reach the stream: deletions are told again, and viewers miss a
    /// part of the cycle.
    pub(crate) fn lost(&mut self, deletions: &[Arc<str>]) {
        for key in deletions {
            if let Some(deletion) = self.deletion_mut(key) {
                deletion.in_flight = false;
            }
        }
        self.cycle = None;
    }

    /// A key is to be deleted.
    pub(crate) fn delete(&mut self, key: &str) {
        if let Some((key, _)) = self.keys.get_key_value(key) {
            let key = Arc::clone(key);
            self.end(&key, Ending::Asked);
        }
    }

    /// Keys that did not change for too long are to be deleted.
    pub(crate) fn expire(&mut self, now: Time, rules: &Keyframes) {
        while let Some(over) = self.next_expiry(rules)
            && over <= now
            && let Some((_, key)) = self.by_change.first_key_value()
        {
            let key = Arc::clone(key);
            self.end(&key, Ending::Lapsed);
        }
        self.keep_bounds(rules);
    }

    /// When the next key ends that does not change before.
    pub(crate) fn next_expiry(&self, rules: &Keyframes) -> Option<Time> {
        let ttl = rules.ttl()?;
        let (_, key) = self.by_change.first_key_value()?;
        self.keys.get(key).map(|kept| kept.at + ttl)
    }

    fn item(&mut self, n: u64, item: Item, now: Time) {
        let Item {
            key,
            data,
            kind,
            merge,
        } = item;
        if merge == Merge::Replace && &*data == "null" {
            self.remove(&key);
            return;
        }
        let held = self.keys.get(&key);
        let data = match merge {
            Merge::Replace => data,
            _ => merge::apply(merge, held.map(|kept| &*kept.data), &data).into(),
        };
        if data.len() > VALUE_MAX {
            self.evicted += u64::from(held.is_some());
            self.remove(&key);
            return;
        }
        let is_deleted_later =
            merge != Merge::Replace && held.is_some_and(|kept| kept.ending == Some(Ending::Asked));
        // Whoever saw the payload that brought a key knows all of it; who missed that the key was
        // deleted before does not.
        let sent = match held {
            Some(kept) => kept.sent,
            None if self.deletion_of.contains_key(&key) => 0,
            None => n,
        };
        if !is_deleted_later {
            self.forget_deletion(&key);
        }
        self.count += 1;
        let kept = Kept {
            data,
            kind,
            merge,
            n,
            sent,
            change: self.count,
            at: now,
            ending: is_deleted_later.then_some(Ending::Asked),
            is_bare: false,
        };
        self.put(key, kept);
    }

    /// The key has that value.
    fn put(&mut self, key: Arc<str>, kept: Kept) {
        self.log.push(StateChange::Holds {
            entry: StateEntry {
                key: Arc::clone(&key),
                data: Arc::clone(&kept.data),
                kind: kept.kind.clone(),
                merge: kept.merge,
            },
            n: kept.n,
            at: kept.at,
        });
        self.take_out(&key);
        let bytes = kept.bytes(&key);
        self.bytes += bytes;
        if kept.ending.is_none() {
            self.staying += bytes;
            self.by_change.insert(kept.change, Arc::clone(&key));
            self.by_sent.insert((kept.sent, Arc::clone(&key)));
        }
        self.keys.insert(key, kept);
    }

    fn take_out(&mut self, key: &Arc<str>) -> Option<Kept> {
        let kept = self.keys.remove(key)?;
        let bytes = kept.bytes(key);
        self.bytes -= bytes;
        if kept.ending.is_none() {
            self.staying -= bytes;
            self.by_change.remove(&kept.change);
            self.by_sent.remove(&(kept.sent, Arc::clone(key)));
        }
        Some(kept)
    }

    /// The key has no value; viewers are told that too.
    fn remove(&mut self, key: &Arc<str>) {
        if self.take_out(key).is_none() {
            return;
        }
        self.log.push(StateChange::Gone {
            key: Arc::clone(key),
        });
        self.forget_deletion(key);
        self.add_deletion(key);
    }

    /// The payload `n` told that the key is deleted.
    fn deleted(&mut self, n: u64, key: &Arc<str>) {
        let cycle = self.cycles + 1;
        let Some(deletion) = self.deletion_mut(key) else {
            // Something took it back meanwhile.
            return;
        };
        deletion.in_flight = false;
        if deletion.told {
            self.forget_deletion(key);
            self.log.push(StateChange::Forgotten {
                key: Arc::clone(key),
            });
            return;
        }
        (deletion.told, deletion.cycle) = (true, cycle);
        let is_over = self
            .keys
            .get(key)
            .is_some_and(|kept| kept.ending.is_some() && kept.n < n);
        if is_over {
            self.take_out(key);
            self.log.push(StateChange::Gone {
                key: Arc::clone(key),
            });
        }
    }

    /// The key is deleted once its deletion is told.
    fn end(&mut self, key: &Arc<str>, ending: Ending) {
        let Some(mut kept) = self.take_out(key) else {
            return;
        };
        let is_news = kept.ending.is_none();
        if is_news || ending == Ending::Asked {
            kept.ending = Some(ending);
        }
        self.bytes += kept.bytes(key);
        self.keys.insert(Arc::clone(key), kept);
        self.log.push(StateChange::Ends {
            key: Arc::clone(key),
            asked: ending == Ending::Asked,
        });
        if is_news {
            self.forget_deletion(key);
            self.add_deletion(key);
        }
    }

    fn add_deletion(&mut self, key: &Arc<str>) {
        self.count += 1;
        let deletion = Deletion {
            key: Arc::clone(key),
            cycle: 0,
            told: false,
            in_flight: false,
        };
        self.deletions.insert(self.count, deletion);
        self.deletion_of.insert(Arc::clone(key), self.count);
    }

    fn deletion_mut(&mut self, key: &str) -> Option<&mut Deletion> {
        let number = self.deletion_of.get(key)?;
        self.deletions.get_mut(number)
    }

    fn forget_deletion(&mut self, key: &str) {
        if let Some(number) = self.deletion_of.remove(key) {
            self.deletions.remove(&number);
        }
    }

    /// The keys that changed longest ago make room. What is to be deleted is bounded too: as much
    /// again, and what is beyond goes untold, because the next cycle tells what is left.
    fn keep_bounds(&mut self, rules: &Keyframes) {
        while self.by_change.len() > rules.max_keys || self.staying > rules.max_bytes {
            let Some((_, key)) = self.by_change.first_key_value() else {
                break;
            };
            let key = Arc::clone(key);
            self.evicted += 1;
            self.end(&key, Ending::Lapsed);
        }
        while self.deletions.len() > rules.max_keys
            || self.bytes - self.staying > rules.max_bytes.max(VALUE_MAX)
        {
            let Some((_, deletion)) = self.deletions.first_key_value() else {
                break;
            };
            let key = Arc::clone(&deletion.key);
            self.forget_deletion(&key);
            if self
                .keys
                .get(&key)
                .is_some_and(|kept| kept.ending.is_some())
            {
                self.take_out(&key);
                self.log.push(StateChange::Gone {
                    key: Arc::clone(&key),
                });
            }
            self.log.push(StateChange::Forgotten { key });
        }
    }
}
