//! What became of an event, as far as its id is remembered.

use super::Queue;
use super::ids::Whereabouts;
use super::item::Stage;
use super::ledger::Fate;
use crate::time::Time;

/// Where an event is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// It waits for its `at`, or for that of an event of its key before it.
    Scheduled {
        /// When it is due by itself.
        due: Time,
    },
    /// It can go with the next payloads.
    Waiting,
    /// It is in a payload that was sent, or that goes again.
    InFlight {
        /// The payload's number.
        n: u64,
    },
    /// It has ended.
    Ended(Fate),
}

impl Queue {
    /// What became of the event of that id; none: the id is not remembered.
    pub fn state_of(&mut self, now: Time, id: &str) -> Option<EventState> {
        self.advance(now);
        let index = match self.ids.find(self.now, id)? {
            Whereabouts::Ended(fate) => return Some(EventState::Ended(fate)),
            Whereabouts::Queued(index) => index,
        };
        let item = self.order.item(index)?;
        match item.stage {
            Stage::Scheduled | Stage::Blocked => Some(EventState::Scheduled {
                due: item.place.due,
            }),
            Stage::Waiting => Some(EventState::Waiting),
            Stage::Packed => {
                let out = self.outs.iter().find(|out| out.items.contains(&index))?;
                Some(EventState::InFlight { n: out.n })
            }
        }
    }
}
