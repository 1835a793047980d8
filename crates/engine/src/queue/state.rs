//! What became of an event, as far as its id is remembered.

use super::Queue;
use super::ids::Whereabouts;
use super::item::{Item, Stage};
use super::ledger::Fate;
use super::pack::InFlightPayload;
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
        Some(self.state_at(index, item))
    }

    /// Where a queued event is.
    pub(super) fn state_at(&self, index: u32, item: &Item) -> EventState {
        match item.stage {
            Stage::Scheduled | Stage::Blocked => EventState::Scheduled {
                due: item.place.due,
            },
            Stage::Waiting => EventState::Waiting,
            Stage::Packed => {
                let mut outs = self.outs.iter();
                let out = outs.find(|out| out.items.contains(&index));
                // There always is one.
                EventState::InFlight {
                    n: out.map_or(0, InFlightPayload::own_n),
                }
            }
        }
    }
}
