//! The run's own book: of every event, whether it was sent, answered, and seen.
//!
//! One byte an event, so that what is said of a run rests on every event of it and not on
//! counters of the gateway. It reads no clock and does no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::event::{Form, Payload};
use super::histogram::Histogram;
use super::plan::{Plan, Request};

/// Marks of an event.
const SENT: u8 = 1;
const ACCEPTED: u8 = 2;
const REFUSED: u8 = 4;
const SEEN: u8 = 8;

/// A player drops an `n` that it saw among this many last ones (surface).
const PLAYER_REMEMBERS: usize = 64;
/// Codes of refusals that are counted apart; the gateway has fewer. Others are `other`.
const CODES_MAX: usize = 64;

/// Everything that is known of a run.
pub(super) struct Book {
    plan: Plan,
    form: Form,
    marks: Vec<u8>,
    players: Vec<Player>,
    seen: u64,
    /// Events sent.
    pub(super) sent: u64,
    /// When the last of them was sent, from the start.
    pub(super) last_sent: Duration,
    /// Events acknowledged.
    pub(super) accepted: u64,
    /// Events refused, by code.
    pub(super) refused: BTreeMap<String, u64>,
    /// From the moment a request was due to its answer, for each event.
    pub(super) acks: Histogram,
    /// From the moment a request was due to its sending, for each event.
    pub(super) lateness: Histogram,
    /// From the moment an event was due to the local IVS's time of its payload.
    pub(super) delays: Histogram,
    /// Payloads with events of this run, each slice counted.
    pub(super) payloads: u64,
    /// Their bytes.
    pub(super) payload_bytes: u64,
    /// Payloads that came again with the same `n`, which players drop.
    pub(super) repeated: u64,
    /// When the last of them was taken, in microseconds since 1970.
    pub(super) last_taken_us: u64,
}

/// A channel as a player of it sees it.
#[derive(Default)]
struct Player {
    numbers: VecDeque<u64>,
    /// The highest sequence number seen, and one.
    next: usize,
    doubled: u64,
    disordered: u64,
}

/// What the book knows of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Accepted events that were seen.
    pub(super) delivered: u64,
    /// Accepted events that were not seen.
    pub(super) missing: u64,
    /// Seen without having been accepted: refused, or never answered.
    pub(super) unacknowledged: u64,
    /// Times that an event was seen again, in another payload.
    pub(super) doubled: u64,
    /// Events that were first seen after a later one of their channel.
    pub(super) disordered: u64,
}

impl Book {
    pub(super) fn new(plan: Plan, form: Form) -> Self {
        Self {
            plan,
            form,
            marks: vec![0; plan.events],
            players: (0..plan.channels).map(|_| Player::default()).collect(),
            sent: 0,
            last_sent: Duration::ZERO,
            seen: 0,
            accepted: 0,
            refused: BTreeMap::new(),
            acks: Histogram::default(),
            lateness: Histogram::default(),
            delays: Histogram::default(),
            payloads: 0,
            payload_bytes: 0,
            repeated: 0,
            last_taken_us: 0,
        }
    }

    /// A request leaves, that long after it was due.
    pub(super) fn leaves(&mut self, request: &Request, late_us: u64) {
        self.mark(request, SENT);
        self.sent += request.count as u64;
        self.lateness.add(late_us, request.count as u64);
        let now = request.due + Duration::from_micros(late_us);
        self.last_sent = self.last_sent.max(now);
    }

    /// One event of a request was refused.
    pub(super) fn refused(&mut self, request: &Request, index: usize, code: &str) {
        if index >= request.count {
            return;
        }
        let place = self.plan.place(request.channel, request.first + index);
        let Some(mark) = place.and_then(|place| self.marks.get_mut(place)) else {
            return;
        };
        if *mark & (REFUSED | ACCEPTED) != 0 {
            return;
        }
        *mark |= REFUSED;
        let known = self.refused.contains_key(code) || self.refused.len() < CODES_MAX;
        let code = if known { code } else { "other" };
        *self.refused.entry(code.to_owned()).or_default() += 1;
    }

    /// A request was answered, that long after it was due: what was not refused is accepted.
    pub(super) fn answered(&mut self, request: &Request, after_us: u64) {
        self.acks.add(after_us, request.count as u64);
        let Some(first) = self.plan.place(request.channel, request.first) else {
            return;
        };
        for mark in &mut self.marks[first..first + request.count] {
            if *mark & (REFUSED | ACCEPTED) == 0 {
                *mark |= ACCEPTED;
                self.accepted += 1;
            }
        }
    }

    fn mark(&mut self, request: &Request, mark: u8) {
        if let Some(first) = self.plan.place(request.channel, request.first) {
            // The events of a request lie together.
            for event in &mut self.marks[first..first + request.count] {
                *event |= mark;
            }
        }
    }

    /// A payload that a channel took, at a moment in microseconds since 1970; the run began at
    /// `start_us`.
    pub(super) fn taken(&mut self, channel: usize, payload: &Payload, time_us: u64, start_us: u64) {
        let ours: Vec<_> = payload
            .data
            .iter()
            .filter_map(|data| self.form.identity(data))
            .filter(|(of, _)| *of == channel)
            .collect();
        let Some(player) = self.players.get_mut(channel).filter(|_| !ours.is_empty()) else {
            return;
        };
        self.payloads += payload.calls;
        self.payload_bytes += payload.bytes;
        self.last_taken_us = self.last_taken_us.max(time_us);
        if let Some(n) = payload.n {
            if player.numbers.contains(&n) {
                self.repeated += 1;
                return;
            }
            player.numbers.push_back(n);
            if player.numbers.len() > PLAYER_REMEMBERS {
                player.numbers.pop_front();
            }
        }
        for (_, seq) in ours {
            let Some(place) = self.plan.place(channel, seq) else {
                continue;
            };
            if self.marks[place] & SEEN != 0 {
                player.doubled += 1;
                continue;
            }
            self.marks[place] |= SEEN;
            self.seen += 1;
            player.disordered += u64::from(seq < player.next);
            player.next = player.next.max(seq + 1);
            let due_us = start_us + micros(self.plan.due_of(place));
            self.delays.add(time_us.saturating_sub(due_us), 1);
        }
    }

    /// Events sent that were neither accepted nor refused: nobody knows what became of them.
    pub(super) fn unanswered(&self) -> u64 {
        self.sent - self.accepted - self.refused_in_all()
    }

    /// Events refused, whatever for.
    pub(super) fn refused_in_all(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Events of the run that came out so far.
    pub(super) fn seen_so_far(&self) -> u64 {
        self.seen
    }

    /// Every channel's events, by its place.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let from_player = |player: &Player| Seen {
            doubled: player.doubled,
            disordered: player.disordered,
            ..Seen::default()
        };
        let mut all: Vec<Seen> = self.players.iter().map(from_player).collect();
        for (place, mark) in self.marks.iter().enumerate() {
            let channel = &mut all[self.plan.channel_of(place)];
            match (mark & ACCEPTED != 0, mark & SEEN != 0) {
                (true, true) => channel.delivered += 1,
                (true, false) => channel.missing += 1,
                (false, true) => channel.unacknowledged += 1,
                (false, false) => {}
            }
        }
        all
    }
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
