//! What a node knows of the owner that it is not.

use super::{Epoch, NodeId, Reading};
use crate::time::{Span, Time};

/// Two takes within this time are many.
const OFTEN: Span = Span::from_millis(60_000);

/// The lease as it was last read, and what speaks against its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    reading: Option<Reading>,
    /// The first look that showed the present beat, and the last one. Silence counts between looks
    /// only: a node that cannot look does not suspect anybody.
    beat_from: Time,
    looked: Time,
    is_cut_off: bool,
    /// When the epoch was first seen as it is, and as it was before. Kept when all else is forgotten.
    changes: [Option<Time>; 2],
    epoch: Option<Epoch>,
}

impl Rival {
    pub(super) const UNKNOWN: Self = Self {
        reading: None,
        beat_from: Time::ZERO,
        looked: Time::ZERO,
        is_cut_off: false,
        changes: [None; 2],
        epoch: None,
    };

    /// The database showed this when it was asked at `asked`.
    pub(super) fn read(&mut self, asked: Time, reading: Reading) {
        let before = self.reading.replace(reading);
        if before.is_none_or(|before| before.owner != reading.owner) {
            self.is_cut_off = false;
        }
        if before != Some(reading) {
            self.beat_from = asked;
        }
        self.looked = asked.max(self.looked);
        if let Some(known) = self.epoch.replace(reading.epoch)
            && known != reading.epoch
        {
            self.changes = [Some(asked), self.changes[0]];
        }
    }

    pub(super) fn link(&mut self, to: NodeId, is_up: bool) {
        if self.reading.is_some_and(|known| known.owner == Some(to)) {
            self.is_cut_off = !is_up;
        }
    }

    pub(super) const fn forget(&mut self) {
        self.reading = None;
        self.is_cut_off = false;
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.reading.map(|known| known.epoch)
    }

    /// Nobody holds the lease. What a node that does not own finds under its own name is what is
    /// left of a take or a release that went wrong.
    pub(super) fn is_vacant(&self, me: NodeId) -> bool {
        self.reading
            .is_some_and(|known| known.owner.is_none_or(|owner| owner == me))
    }

    pub(super) const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// How long the owner's beat has not moved.
    pub(super) fn silence(&self) -> Span {
        self.reading
            .map_or(Span::ZERO, |_| self.looked.since(self.beat_from))
    }

    /// Whether the account was taken twice within a minute.
    pub(super) fn changes_often(&self) -> bool {
        matches!(self.changes, [Some(last), Some(first)] if last.since(first) < OFTEN)
    }
}
