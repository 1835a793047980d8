//! What the API last said about each channel that fails, by numbers beyond those of letters.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::dispatch::last_error::LastError;

/// Most channels whose last error is kept over restarts; of more, the oldest error goes.
pub(super) const ERRORS_MAX: usize = 10_000;

/// Where the numbers of errors begin. No letter gets there: it would take a million a second for a
/// hundred thousand years.
pub(super) const FIRST_ERROR: u64 = 1 << 63;

/// A channel that fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failing {
    /// The channel's ARN.
    channel: String,
    error: LastError,
}

/// The channels that fail.
pub(super) struct LastErrors {
    by_number: BTreeMap<u64, Failing>,
    /// By the channels' ARNs.
    numbers: HashMap<String, u64>,
    next: u64,
}

impl Default for LastErrors {
    fn default() -> Self {
        Self {
            by_number: BTreeMap::new(),
            numbers: HashMap::new(),
            next: FIRST_ERROR,
        }
    }
}

impl LastErrors {
    /// The API said that; the answer is the numbers that changed. Of an error that comes again only
    /// the first counts: a channel has many a minute.
    pub(super) fn fails(&mut self, channel: &str, error: &LastError) -> Vec<u64> {
        let known = self.numbers.get(channel).copied();
        let said = |error: &LastError| (error.code.clone(), error.status, error.message.clone());
        if let Some(failing) = known.and_then(|number| self.by_number.get(&number))
            && said(&failing.error) == said(error)
        {
            return Vec::new();
        }
        let number = known.unwrap_or(self.next);
        let failing = Failing {
            channel: channel.to_owned(),
            error: error.clone(),
        };
        self.put(number, failing);
        let mut changed = vec![number];
        while self.by_number.len() > ERRORS_MAX {
            let Some((oldest, failing)) = self.by_number.pop_first() else {
                break;
            };
            self.numbers.remove(&failing.channel);
            changed.push(oldest);
        }
        changed
    }

    /// A call was delivered; the answer is the number that is free now.
    pub(super) fn works(&mut self, channel: &str) -> Option<u64> {
        let number = self.numbers.remove(channel)?;
        self.by_number.remove(&number);
        Some(number)
    }

    /// What was last said about a channel.
    pub(super) fn of(&self, channel: &str) -> Option<&LastError> {
        self.at(*self.numbers.get(channel)?)
            .map(|failing| &failing.error)
    }

    /// The channel of a number.
    pub(super) fn at(&self, number: u64) -> Option<&Failing> {
        self.by_number.get(&number)
    }

    /// All of them, with their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Failing)> {
        self.by_number
            .iter()
            .map(|(number, failing)| (*number, failing))
    }

    /// One under a number.
    pub(super) fn put(&mut self, number: u64, failing: Failing) {
        self.next = self.next.max(number + 1);
        self.numbers.insert(failing.channel.clone(), number);
        self.by_number.insert(number, failing);
    }
}
