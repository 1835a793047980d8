//! What is told over HTTP to viewers who join late: the payloads of the last while, and the state as
//! of the first of them.
//!
//! It follows the changes of the state as a journal has them, so that both make the same of them. It
//! knows no HTTP. The state here is never newer than the window's first payload: the newest one would
//! tell viewers what their picture has not shown yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{KEY_BYTES, State, StateChange, StateEntry};
use crate::policy::Keyframes;
use crate::time::Time;

/// Most bytes of a window: as many as a player keeps of payloads. Ten minutes of full payloads, five a
/// second, are three times as much; then the window is shorter.
const BYTES_MAX: usize = 1 << 20;

/// Bytes of memory that a payload costs beside its text, rounded up.
const TOLD_BYTES: usize = 128;

/// What a channel tells over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicState {
    /// Nothing, ever: the channel takes no part.
    Off,
    /// Nothing for now: some of the payloads that are on their way to viewers are not known, or all of
    /// them are too new.
    NotYet,
    /// This.
    Told(ToldState),
}

/// The state as of a payload of a little earlier, and the payloads from there on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldState {
    /// The state is as of every payload with a smaller number.
    pub n: u64,
    /// Every key, in the order of their names.
    pub entries: Vec<StateEntry>,
    /// The numbers and texts of the payloads from `n` on; none: nothing was sent lately.
    pub since: Vec<(u64, Arc<str>)>,
}

/// What changed with one payload, and after it until the next.
#[derive(Clone, Debug, Default)]
struct Changes {
    /// Whatever was there before is gone.
    clears: bool,
    keys: Vec<(Arc<str>, Option<StateEntry>)>,
}

/// A payload that reached the stream, or may have.
#[derive(Clone, Debug)]
struct Told {
    n: u64,
    text: Arc<str>,
    at: Time,
    changes: Changes,
}

/// The last payloads of a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// The state before the first of the payloads.
    base: BTreeMap<Arc<str>, StateEntry>,
    /// By their numbers.
    told: VecDeque<Told>,
    /// The one that came last: changes are its own.
    latest: u64,
    /// No payload is here of which the number is smaller.
    floor: u64,
    /// From when on all payloads are known.
    since: Time,
    /// Bytes of the payloads with what they changed, and of the state before them.
    bytes: usize,
    base_bytes: usize,
}

impl Window {
    /// A window that begins now, with this state.
    pub(crate) fn begin(now: Time, state: &State) -> Self {
        let mut window = Self {
            since: now,
            ..Self::default()
        };
        let entries = state.entries();
        window.apply(Changes {
            clears: false,
            keys: entries
                .map(|entry| (Arc::clone(&entry.key), Some(entry)))
                .collect(),
        });
        window
    }

    /// The window as a journal has it; none: nothing was told of late.
    pub(crate) fn recovered(mut self, now: Time) -> Option<Self> {
        self.since = now;
        self.floor = self.told.front()?.n;
        for told in &mut self.told {
            // Clocks may have been set.
            told.at = told.at.min(now);
        }
        Some(self)
    }

    /// Follows a change. What comes behind a payload is a change of that payload.
    pub(crate) fn hear(&mut self, change: &StateChange) {
        match change {
            StateChange::Told { n, text, at } => self.tell(*n, text, *at),
            StateChange::Untold => while self.forget_first() {},
            StateChange::Off => *self = Self::default(),
            StateChange::Began { .. } => self.clear(),
            StateChange::Holds { entry, .. } => self.set(&entry.key, Some(entry)),
            StateChange::Gone { key } => self.set(key, None),
            StateChange::Ends { .. } | StateChange::Forgotten { .. } => {}
        }
    }

    /// Lets go of what is older than the rules say. `out`: no payload with a
    /// smaller number is on its way.
    pub(crate) fn pass(&mut self, now: Time, out: u64, rules: &Keyframes) {
        while let (Some(first), Some(next)) = (self.told.front(), self.told.get(1)) {
            // One stays that is older than the delay, so that there always is one to tell.
            let is_over =
                first.at + rules.window <= now && next.at + rules.delay <= now && first.n < out;
            if !is_over {
                break;
            }
            self.forget_first();
        }
    }

    /// What is told now, where the state is this one as of every payload before `out`.
    pub(crate) fn public(
        &self,
        now: Time,
        out: u64,
        state: &State,
        rules: &Keyframes,
    ) -> PublicState {
        let (quiet_since, n) = match (self.told.back(), self.told.len()) {
            (None, _) => (self.since, out),
            (Some(last), 1) => (last.at, last.n.saturating_add(1)),
            (Some(_), _) => return self.last_payloads(now, rules),
        };
        if quiet_since + rules.window.max(rules.delay) > now {
            return self.last_payloads(now, rules);
        }
        PublicState::Told(ToldState {
            n,
            entries: state.entries().collect(),
            since: Vec::new(),
        })
    }

    /// Bytes of memory, about, beside those of the state.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes + self.base_bytes
    }

    /// The changes that make this window, if they come before those that make the state.
    pub(crate) fn snapshot(&self) -> Vec<StateChange> {
        // A window without payloads is that of the state.
        if self.told.is_empty() {
            return Vec::new();
        }
        let mut changes = vec![StateChange::Began { n: 0 }];
        changes.extend(self.base.values().map(holds));
        for told in &self.told {
            changes.push(StateChange::Told {
                n: told.n,
                text: Arc::clone(&told.text),
                at: told.at,
            });
            if told.changes.clears {
                changes.push(StateChange::Began { n: told.n });
            }
            let keys = told.changes.keys.iter();
            changes.extend(keys.map(|(key, entry)| match entry {
                Some(entry) => holds(entry),
                None => StateChange::Gone {
                    key: Arc::clone(key),
                },
            }));
        }
        changes
    }

    fn last_payloads(&self, now: Time, rules: &Keyframes) -> PublicState {
        let old = self.told.iter().filter(|told| told.at + rules.delay <= now);
        let since: Vec<_> = old.map(|told| (told.n, Arc::clone(&told.text))).collect();
        match self.told.front() {
            Some(first) if !since.is_empty() => PublicState::Told(ToldState {
                n: first.n,
                entries: self.base.values().cloned().collect(),
                since,
            }),
            // Whoever joins now cannot tell whether its first payload comes right behind this state.
            _ => PublicState::NotYet,
        }
    }

    fn tell(&mut self, n: u64, text: &Arc<str>, at: Time) {
        self.latest = n;
        let place = self.told.partition_point(|told| told.n < n);
        let is_here = self.told.get(place).is_some_and(|told| told.n == n);
        // A payload that ended later than its successors, which are let go of: its changes are a part of
        // the state before the first.
        if n < self.floor || is_here {
            return;
        }
        let told = Told {
            n,
            text: Arc::clone(text),
            at,
            changes: Changes::default(),
        };
        self.bytes += told.bytes();
        self.told.insert(place, told);
        while self.bytes > BYTES_MAX && self.told.len() > 1 {
            self.forget_first();
        }
    }

    fn set(&mut self, key: &Arc<str>, entry: Option<&StateEntry>) {
        let (key, entry) = (Arc::clone(key), entry.cloned());
        if let Some(told) = latest(&mut self.told, self.latest) {
            self.bytes += bytes_of(&key, entry.as_ref());
            told.changes.keys.push((key, entry));
        } else {
            self.apply(Changes {
                clears: false,
                keys: vec![(key, entry)],
            });
        }
    }

    fn clear(&mut self) {
        let cleared = Changes {
            clears: true,
            keys: Vec::new(),
        };
        if let Some(told) = latest(&mut self.told, self.latest) {
            self.bytes -= told.changes.bytes();
            told.changes = cleared;
        } else {
            self.apply(cleared);
        }
    }

    /// Whether there was one.
    fn forget_first(&mut self) -> bool {
        let Some(told) = self.told.pop_front() else {
            return false;
        };
        self.bytes -= told.bytes();
        self.floor = told.n.saturating_add(1);
        self.apply(told.changes);
        true
    }

    /// These changes are of the state before the first payload.
    fn apply(&mut self, changes: Changes) {
        if changes.clears {
            self.base.clear();
            self.base_bytes = 0;
        }
        for (key, entry) in changes.keys {
            self.base_bytes += entry.as_ref().map_or(0, |it| bytes_of(&key, Some(it)));
            let before = match entry {
                Some(entry) => self.base.insert(Arc::clone(&key), entry),
                None => self.base.remove(&key),
            };
            self.base_bytes -= before.map_or(0, |it| bytes_of(&key, Some(&it)));
        }
    }
}

impl Told {
    fn bytes(&self) -> usize {
        self.text.len() + TOLD_BYTES + self.changes.bytes()
    }
}

impl Changes {
    fn bytes(&self) -> usize {
        let keys = self.keys.iter();
        keys.map(|(key, entry)| bytes_of(key, entry.as_ref())).sum()
    }
}

/// The payload that came last, if it is here: nearly always the last of all.
fn latest(told: &mut VecDeque<Told>, n: u64) -> Option<&mut Told> {
    told.iter_mut().rfind(|told| told.n == n)
}

fn bytes_of(key: &str, entry: Option<&StateEntry>) -> usize {
    key.len() + KEY_BYTES + entry.map_or(0, |entry| entry.data.len())
}

fn holds(entry: &StateEntry) -> StateChange {
    StateChange::Holds {
        entry: entry.clone(),
        n: 0,
        at: Time::ZERO,
    }
}
