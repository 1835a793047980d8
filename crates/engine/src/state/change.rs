//! What a journal keeps of the state: values whole, so that the last record of a key counts.

use std::sync::Arc;

use super::{Ending, Kept, State, StateEntry};
use crate::time::Time;

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// There are no keys, and payloads with smaller numbers count for no state.
    Began {
        /// The number.
        n: u64,
    },
    /// No state is kept any more.
    Off,
    /// A key has a value.
    Holds {
        /// What it is.
        entry: StateEntry,
        /// The payload that made it so.
        n: u64,
        /// When.
        at: Time,
    },
    /// The key is deleted once viewers are told.
    Ends {
        /// The key.
        key: Arc<str>,
        /// Somebody asked for it.
        asked: bool,
    },
    /// The key has no value any more; viewers are told so once more.
    Gone {
        /// The key.
        key: Arc<str>,
    },
    /// Nothing is left to be told of the key.
    Forgotten {
        /// The key.
        key: Arc<str>,
    },
    /// A payload reached the stream, or may have. Recorded before what it changed, where the state is told
    /// over HTTP.
    Told {
        /// Its number.
        n: u64,
        /// The metadata.
        text: Arc<str>,
        /// When its call ended.
        at: Time,
    },
    /// Of no payload before is anything told over HTTP any more.
    Untold,
}

impl State {
    /// The changes that make this state.
    pub(crate) fn snapshot(&self) -> Vec<StateChange> {
        let mut changes = vec![StateChange::Began { n: self.reset }];
        let mut keys: Vec<(&Arc<str>, &Kept)> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(_, kept)| kept.change);
        for (key, kept) in keys {
            changes.push(StateChange::Holds {
                entry: StateEntry {
                    key: Arc::clone(key),
                    data: Arc::clone(&kept.data),
                    kind: kept.kind.clone(),
                    merge: kept.merge,
                },
                n: kept.n,
                at: kept.at,
            });
        }
        changes.extend(self.deletions.values().map(|deletion| {
            let key = Arc::clone(&deletion.key);
            let ending = self.keys.get(&key).and_then(|kept| kept.ending);
            match ending {
                Some(ending) => StateChange::Ends {
                    key,
                    asked: ending == Ending::Asked,
                },
                None => StateChange::Gone { key },
            }
        }));
        changes
    }

    /// Adds a change that was kept.
    pub(crate) fn restore(&mut self, change: StateChange) {
        match change {
            StateChange::Began { n } => self.clear(n),
            StateChange::Off => self.clear(0),
            StateChange::Holds { entry, n, at } => self.hold(entry, n, at),
            StateChange::Ends { key, asked } => {
                let ending = if asked { Ending::Asked } else { Ending::Lapsed };
                self.end(&key, ending);
            }
            StateChange::Gone { key } => {
                self.take_out(&key);
                self.forget_deletion(&key);
                self.add_deletion(&key);
            }
            StateChange::Forgotten { key } => self.forget_deletion(&key),
            StateChange::Told { .. } | StateChange::Untold => {}
        }
        // It is kept already.
        self.log.clear();
    }

    fn hold(&mut self, entry: StateEntry, n: u64, at: Time) {
        let StateEntry {
            key,
            data,
            kind,
            merge,
        } = entry;
        self.count += 1;
        let before = self.keys.get(&key).and_then(|kept| kept.ending);
        let ending = before
            .filter(|ending| *ending == Ending::Asked && merge != crate::merge::Merge::Replace);
        if ending.is_none() {
            self.forget_deletion(&key);
        }
        let kept = Kept {
            data,
            kind,
            merge,
            n,
            sent: 0,
            change: self.count,
            at,
            ending,
            is_bare: false,
        };
        self.put(key, kept);
    }
}
