//! What the owner of an account has: where its events are kept, its dead letters, and what the owner
//! before it left.
//!
//! A process by itself has one home for every account. In a cluster each account has one of its own, at
//! the node that owns it, and none at the others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use engine::{DeadLetter, DeadLetterReason, Time};

use super::commits::Commits;
use super::last_error::LastError;
use super::letters::DeadLetters;
use super::past::Past;
use super::unavailable::Unavailable;
use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::config::Settings;
use crate::journal::{Journal, Recovery, Room};

/// Whether a call may leave at that moment of the clock that counts while the machine sleeps
/// ([`Clock::now_with_sleep`]).
pub type MayCall = Box<dyn Fn(Time) -> bool + Send + Sync>;

/// What an owner begins with.
pub struct Holdings {
    /// What survives the process.
    pub journal: Arc<Journal>,
    /// The events that could not be delivered, as the journal has them.
    pub letters: Arc<DeadLetters>,
    /// All else that the journal holds.
    pub recovery: Recovery,
}

impl Holdings {
    /// Of a process without a journal.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            journal: Arc::new(Journal::off()),
            letters: Arc::default(),
            recovery: Recovery::unknown(),
        }
    }
}

/// Where what belongs to an account is kept.
pub struct Home {
    /// Asked right before every call whose attempt is committed: whether this node may still own.
    may_call: MayCall,
    pub(super) journal: Arc<Journal>,
    pub(super) letters: Arc<DeadLetters>,
    pub(super) past: Past,
}

impl Home {
    /// Of an owner that heard at that moment that it is one; and what its journal holds.
    pub(super) fn new(
        heard: Time,
        holdings: Holdings,
        settings: &Settings,
        may_call: MayCall,
    ) -> (Self, Recovery) {
        let Holdings {
            journal,
            letters,
            recovery,
        } = holdings;
        let home = Self {
            may_call,
            journal,
            letters,
            past: Past::new(heard, &recovery, settings),
        };
        (home, recovery)
    }

    /// Whether a call may leave now.
    pub(super) fn may_call(&self, clock: &Clock) -> bool {
        (self.may_call)(clock.now_with_sleep())
    }

    /// Whether events may be accepted.
    pub(super) fn check_room(&self) -> Result<(), Unavailable> {
        match self.journal.room() {
            Room::Enough => Ok(()),
            Room::Full => {
                let bound = "journal.max_bytes, or the room on its disk,";
                Err(Unavailable::Overloaded(bound))
            }
            Room::Failing => Err(Unavailable::JournalFails),
        }
    }

    /// The dead letters have changed: what makes that last.
    pub(super) fn mark_letters(&self) -> Commits {
        Commits::of(&self.journal, self.journal.mark_shelf())
    }

    /// Keeps what the API last said about a channel; none: it took a payload.
    pub(super) fn note_error(&self, channel: &str, error: Option<&LastError>) {
        if self.letters.note(channel, error) {
            self.journal.mark_shelf();
        }
    }

    /// Keeps the dead letters of a channel.
    pub(super) fn bury(
        &self,
        clock: &Clock,
        channel: &str,
        dead: &[DeadLetter],
        error: Option<&LastError>,
    ) {
        let kept: Vec<DeadLetter> = dead
            .iter()
            .filter(|dead| dead.reason != DeadLetterReason::Offline)
            .cloned()
            .collect();
        if !kept.is_empty() {
            self.letters.add(channel, &kept, error, &clock.moment());
            self.journal.mark_shelf();
        }
    }
}

/// An account's id and region.
pub type AccountKey = (String, String);

/// The account and region of a channel.
pub(super) fn key(arn: &ChannelArn) -> AccountKey {
    (arn.account().to_owned(), arn.region().to_owned())
}

/// The homes of a process.
pub(super) enum Homes {
    /// It is by itself.
    One(Arc<Home>),
    /// Those of the accounts that this node owns.
    Each(RwLock<HashMap<AccountKey, Arc<Home>>>),
}

impl Homes {
    /// That of an account; none: another node has it.
    pub(super) fn of(&self, account: &str, region: &str) -> Option<Arc<Home>> {
        match self {
            Self::One(home) => Some(Arc::clone(home)),
            Self::Each(homes) => {
                let homes = homes.read().unwrap_or_else(PoisonError::into_inner);
                let key = (account.to_owned(), region.to_owned());
                homes.get(&key).map(Arc::clone)
            }
        }
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Home>> {
        match self {
            Self::One(home) => vec![Arc::clone(home)],
            Self::Each(homes) => {
                let homes = homes.read().unwrap_or_else(PoisonError::into_inner);
                homes.values().map(Arc::clone).collect()
            }
        }
    }

    /// The accounts that are here; of a process by itself none are told apart.
    pub(super) fn accounts(&self) -> Vec<AccountKey> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Each(homes) => {
                let homes = homes.read().unwrap_or_else(PoisonError::into_inner);
                homes.keys().cloned().collect()
            }
        }
    }

    /// Whether it is sure that nothing outlives the process.
    pub(super) fn keep_nothing(&self) -> bool {
        matches!(self, Self::One(home) if !home.journal.is_on())
    }

    /// Whether an account may be at another node.
    pub(super) const fn are_shared(&self) -> bool {
        matches!(self, Self::Each(_))
    }

    /// An account comes home, or leaves.
    pub(super) fn set(&self, account: &str, region: &str, home: Option<&Arc<Home>>) {
        let Self::Each(homes) = self else {
            return;
        };
        let mut homes = homes.write().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), region.to_owned());
        match home {
            Some(home) => drop(homes.insert(key, Arc::clone(home))),
            None => drop(homes.remove(&key)),
        }
    }

    /// How the worst of the journals stands.
    pub(super) fn room(&self) -> Room {
        let rooms = self.all().into_iter().map(|home| home.journal.room());
        rooms.fold(Room::Enough, |worst, room| match (worst, room) {
            (Room::Failing, _) | (_, Room::Failing) => Room::Failing,
            (Room::Full, _) | (_, Room::Full) => Room::Full,
            _ => Room::Enough,
        })
    }
}
