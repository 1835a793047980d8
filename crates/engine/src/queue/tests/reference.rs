//! A naive queue: one list, every question answered by looking through all of it.
//!
//! Written from the rules of the surface and not from the queue's code; slow and plain is
//! its whole point. It shares the arithmetic of merging and nothing else.

mod accept;
mod compressed;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::call::{ChannelCondition, Entry as Through, Health, Outcome};
use crate::envelope::Envelope;
use crate::event::{Data, Event, Priority};
use crate::merge::Merge;
use crate::policy::{ChannelPolicy, Offline, OnUnknown};
use crate::queue::{Cancelled, DeadLetter, DeadLetterReason, End, EventState, Fate, Ledger};
use crate::time::{Span, Time, Wall};

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub event: Event,
    /// Order of acceptance.
    seq: u64,
    id_seq: u64,
    /// The `at` of the event that gave it its place, and when that was accepted.
    at: Option<Wall>,
    accepted: Time,
    /// When the latest event in it was; `event` has its `at`.
    latest_accepted: Time,
    due: Time,
    deadline: Time,
    ttl: Span,
    level: Priority,
    rises: Time,
    packed: bool,
    sent: bool,
    /// The payload it is in.
    n: Option<u64>,
}

impl Entry {
    fn dead(&self, reason: DeadLetterReason) -> DeadLetter {
        DeadLetter {
            content: self.event.content.clone(),
            due: self.due,
            reason,
            n: self.n,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct InFlightPayload {
    pub n: u64,
    pub text: String,
    entries: Vec<Entry>,
    pub again: bool,
}

#[derive(Clone, Debug)]
struct Known {
    id: Arc<str>,
    seq: u64,
    until: Time,
    /// How its event ended, and in which payload; none: it has not.
    fate: Option<Fate>,
}

#[derive(Clone)]
pub(super) struct Reference {
    pub policy: Arc<ChannelPolicy>,
    pub payload_max: usize,
    pub link: ChannelCondition,
    /// The wall clock at 0.
    origin: Wall,
    /// A batch is tried: no id makes room for another before all of it was accepted.
    pub trying: bool,
    /// Nothing was let through to an offline stream when the batch began.
    pub shut: bool,
    /// When time was last looked at.
    looked: Time,
    pub ledger: Ledger,
    pub ended: Vec<(u64, End)>,
    pub dead: Vec<DeadLetter>,
    pub outs: Vec<InFlightPayload>,
    /// Everything in no payload, as accepted.
    waiting: Vec<Entry>,
    /// Queued ids, and behind them settled ones in the order they ended.
    ids: Vec<Known>,
    seq: u64,
    pub n: u64,
    /// Plain bytes in 256 that were sent, of the last payloads that could be compressed.
    gain: Option<usize>,
}

/// How what was scheduled ends if it is not let through when it becomes due.
const END_OF_WAIT: End = End::DeadLettered(DeadLetterReason::Offline);

fn midway(from: Time, to: Time) -> Time {
    from + Span::from_micros(to.since(from).micros() / 2)
}

impl Reference {
    pub(super) fn new(
        policy: Arc<ChannelPolicy>,
        payload_max: usize,
        n: u64,
        link: ChannelCondition,
    ) -> Self {
        Self {
            policy,
            payload_max,
            link,
            origin: Wall::default(),
            n,
            trying: false,
            shut: false,
            looked: Time::ZERO,
            ledger: Ledger::default(),
            ended: Vec::new(),
            dead: Vec::new(),
            outs: Vec::new(),
            waiting: Vec::new(),
            ids: Vec::new(),
            seq: 0,
            gain: None,
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.ids
            .retain(|known| known.fate.is_none() || &*known.id != id);
    }

    /// A crash: nobody waits any more, and nobody knows of any call how it ended.
    pub(super) fn crash(&mut self, now: Time) {
        self.gain = None;
        let packed = self.outs.iter_mut().flat_map(|out| &mut out.entries);
        for entry in self.waiting.iter_mut().chain(packed) {
            entry.event.waiter = 0;
        }
        let in_flight = self.outs.iter().filter(|out| !out.again);
        let mut in_flight: Vec<u64> = in_flight.map(|out| out.n).collect();
        in_flight.sort_unstable();
        for n in in_flight {
            self.settle(now, n, Outcome::Unknown);
        }
    }

    /// The wall clock is set. What has an `at` and was never sent waits for it again if it is
    /// still to come, and goes if it has come.
    pub(super) fn set_wall_origin(&mut self, now: Time, origin: Wall) {
        self.advance(now);
        self.origin = origin;
        for entry in &mut self.waiting {
            let Some(at) = entry.at.filter(|_| !entry.sent) else {
                continue;
            };
            let due = at.time(origin).max(entry.accepted);
            if due == entry.due || due.max(entry.due) <= now {
                continue;
            }
            let latest = entry.event.at.map_or(Time::ZERO, |at| at.time(origin));
            entry.due = due;
            entry.deadline = latest.max(entry.latest_accepted) + entry.ttl;
            entry.level = entry.event.content.priority;
            entry.rises = if entry.level == Priority::High {
                Time::NEVER
            } else {
                midway(due, entry.deadline)
            };
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.outs.iter().map(|out| out.entries.len()).sum::<usize>()
    }

    pub(super) fn bytes(&self) -> usize {
        let packed = self.outs.iter().flat_map(|out| &out.entries);
        self.waiting
            .iter()
            .chain(packed)
            .map(|entry| entry.event.bytes())
            .sum()
    }

    fn end(&mut self, now: Time, entry: &Entry, end: End) {
        self.ledger.end(end);
        if let End::DeadLettered(reason) = end {
            self.dead.push(entry.dead(reason));
        }
        if entry.event.waiter > 0 {
            self.ended.push((entry.event.waiter, end));
        }
        if let Some(at) = self.ids.iter().position(|known| {
            Some(&known.id) == entry.event.content.id.as_ref() && known.seq == entry.id_seq
        }) {
            let mut known = self.ids.remove(at);
            let at = Some(now.wall(self.origin));
            known.fate = Some(Fate {
                end,
                n: entry.n,
                at,
            });
            if known.until > now {
                self.ids.push(known);
            }
        }
    }

    pub(super) fn advance(&mut self, now: Time) {
        let mut released = Vec::new();
        while let Some((at, end)) = self.next_over(now, &released) {
            if end == END_OF_WAIT && self.lets_through(now, &released) {
                released.push(self.waiting[at].seq);
                continue;
            }
            let entry = self.waiting.remove(at);
            self.end(now, &entry, end);
        }
        self.looked = now;
        for entry in &mut self.waiting {
            while entry.due <= now && entry.level < Priority::High && entry.rises <= now {
                entry.level = entry.level.raised();
                entry.rises = midway(entry.rises, entry.deadline);
            }
        }
        while let Some(at) = self
            .outs
            .iter()
            .position(|out| out.again && out.entries.iter().all(|entry| entry.deadline <= now))
        {
            self.bury(now, at, End::DeadLettered(DeadLetterReason::Expired));
        }
        self.ids
            .retain(|known| known.fate.is_none() || known.until > now);
        while !self.trying
            && self.ids.iter().filter(|known| known.fate.is_some()).count()
                > self.policy.dedup_max_ids
        {
            // Of windows that end at the same time the first that ended: the list has that order.
            let (first, _) = self
                .ids
                .iter()
                .enumerate()
                .filter(|(_, known)| known.fate.is_some())
                .min_by_key(|(_, known)| known.until)
                .expect("one");
            self.ids.remove(first);
        }
    }

    /// What becomes due or ends next by itself: where it is, and how it ends, if it is let
    /// through no longer.
    fn next_over(&self, now: Time, released: &[u64]) -> Option<(usize, End)> {
        let over = |(at, entry): (usize, &Entry)| {
            let end = if !self.has_come(entry, released) && entry.due <= entry.deadline {
                (entry.due, END_OF_WAIT)
            } else if entry.sent {
                (entry.deadline, End::DeadLettered(DeadLetterReason::Expired))
            } else {
                (entry.deadline, End::Expired)
            };
            (end.0, entry.seq, at, end.1)
        };
        let all = self.waiting.iter().enumerate().map(over);
        let due = all.filter(|(moment, ..)| *moment <= now);
        let first = due.min_by_key(|(moment, seq, ..)| (*moment, *seq));
        first.map(|(_, _, at, end)| (at, end))
    }

    fn has_come(&self, entry: &Entry, released: &[u64]) -> bool {
        entry.due <= self.looked || released.contains(&entry.seq)
    }

    /// Whether what is due goes on: one event alone may see whether an offline stream is back.
    pub(super) fn lets_through(&self, now: Time, released: &[u64]) -> bool {
        if self.link.health != Health::Offline || self.policy.offline == Offline::Hold {
            return true;
        }
        let Through::ProbeFrom(from) = self.link.entry else {
            return true;
        };
        let is_behind = |entry: &Entry, before: &Entry| {
            before.seq < entry.seq
                && before.event.content.key.is_some()
                && before.event.content.key == entry.event.content.key
        };
        let has_come = |entry: &Entry| self.has_come(entry, released);
        let mut waiting = self.waiting.iter().filter(|entry| has_come(entry));
        let anything = waiting.any(|entry| {
            let mut earlier = self
                .waiting
                .iter()
                .filter(|before| is_behind(entry, before));
            earlier.all(has_come)
        });
        now >= from && self.outs.is_empty() && !anything
    }

    fn bury(&mut self, now: Time, out: usize, end: End) {
        let out = self.outs.remove(out);
        for entry in &out.entries {
            self.end(now, entry, end);
        }
    }

    fn item_text(&self, event: &Event) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
        let data: &str = event.content.data.text();
        match (&event.content.data, self.policy.envelope) {
            (Data::Verbatim(_), _) | (_, Envelope::Array) => data.to_owned(),
            (_, Envelope::Raw) => serde_json::from_str::<String>(data).unwrap_or(data.to_owned()),
            (_, Envelope::Cue) => {
                let fields = self.policy.fields;
                let mut text = format!(r#"{{"d":{data}"#);
                if let Some(kind) = event.content.kind.as_ref().filter(|_| fields.kind) {
                    let _ = write!(text, r#","t":{}"#, quoted(kind));
                }
                if let Some(key) = event
                    .content
                    .key
                    .as_ref()
                    .filter(|_| fields.key || event.content.merge.is_some())
                {
                    let _ = write!(text, r#","k":{}"#, quoted(key));
                }
                if let Some(id) = event.content.id.as_ref().filter(|_| fields.id) {
                    let _ = write!(text, r#","i":{}"#, quoted(id));
                }
                if let Some(merge) = event.content.merge.filter(|merge| *merge != Merge::Replace) {
                    let _ = write!(text, r#","m":"{}""#, merge.name());
                }
                text + "}"
            }
        }
    }

    fn alone(&self, event: &Event) -> bool {
        self.policy.envelope == Envelope::Raw || matches!(event.content.data, Data::Verbatim(_))
    }

    fn payload_text(&self, events: &[&Event], n: u64) -> String {
        let items: Vec<String> = events.iter().map(|event| self.item_text(event)).collect();
        match events {
            [one] if self.alone(one) => items[0].clone(),
            _ if self.policy.envelope == Envelope::Array => format!("[{}]", items.join(",")),
            _ => format!(r#"{{"v":1,"n":{n},"e":[{}]}}"#, items.join(",")),
        }
    }

    /// Its size, with `n` at 16 digits.
    fn size(&self, events: &[&Event]) -> usize {
        self.payload_text(events, 1_000_000_000_000_000).len()
    }

    /// Due, and all of its key before it are.
    fn packable(&self, now: Time) -> Vec<&Entry> {
        let blocks = |entry: &Entry, before: &Entry| {
            before.seq < entry.seq
                && before.due > now
                && before.event.content.key.is_some()
                && before.event.content.key == entry.event.content.key
        };
        self.waiting
            .iter()
            .filter(|entry| {
                entry.due <= now && !self.waiting.iter().any(|before| blocks(entry, before))
            })
            .collect()
    }

    /// The first of their keys among these.
    fn candidates(&self, now: Time) -> Vec<&Entry> {
        let mut all = self.packable(now);
        all.retain(|entry| {
            !self.waiting.iter().any(|before| {
                before.seq < entry.seq
                    && before.event.content.key.is_some()
                    && before.event.content.key == entry.event.content.key
            })
        });
        all.sort_by_key(|entry| (std::cmp::Reverse(entry.level), entry.due, entry.seq));
        all
    }

    pub(super) fn full(&self, now: Time) -> bool {
        let events: Vec<&Event> = self
            .packable(now)
            .iter()
            .map(|entry| &entry.event)
            .collect();
        events.iter().any(|event| self.alone(event)) || self.size(&events) > self.plain_max()
    }

    pub(super) fn oldest(&self, now: Time) -> Option<Time> {
        self.candidates(now).iter().map(|entry| entry.due).min()
    }

    pub(super) fn cancel(&mut self, now: Time, id: &str) -> Cancelled {
        self.advance(now);
        let Some(known) = self.ids.iter().find(|known| &*known.id == id).cloned() else {
            return Cancelled::NeverSeen;
        };
        match known.fate.map(|fate| fate.end) {
            Some(End::Cancelled) => Cancelled::Done,
            None if self.take_back(now, End::Cancelled, |entry| {
                entry.event.content.id.as_deref() == Some(id) && entry.id_seq == known.seq
            }) == 1 =>
            {
                Cancelled::Done
            }
            Some(_) | None => Cancelled::Gone,
        }
    }

    pub(super) fn state_of(&mut self, now: Time, id: &str) -> Option<EventState> {
        self.advance(now);
        let known = self.ids.iter().find(|known| &*known.id == id)?;
        if let Some(fate) = known.fate {
            return (known.until > now).then_some(EventState::Ended(fate));
        }
        let mine = |entry: &&Entry| entry.id_seq == known.seq;
        if let Some(entry) = self.waiting.iter().find(mine) {
            let is_waiting = self.packable(now).iter().any(mine);
            let due = entry.due;
            return Some(if is_waiting {
                EventState::Waiting
            } else {
                EventState::Scheduled { due }
            });
        }
        let out = self
            .outs
            .iter()
            .find(|out| out.entries.iter().any(|it| mine(&it)))?;
        Some(EventState::InFlight { n: out.n })
    }

    pub(super) fn purge(&mut self, now: Time, kind: Option<&str>, key: Option<&str>) -> usize {
        self.advance(now);
        self.take_back(now, End::Cancelled, |entry| {
            (kind.is_none() || kind == entry.event.content.kind.as_deref())
                && (key.is_none() || key == entry.event.content.key.as_deref())
        })
    }

    /// The next payload. `sent` is what the queue says it is: where payloads are compressed, how
    /// many events are in it is the queue's choice, within what must hold.
    pub(super) fn take(&mut self, now: Time, sent: Option<&str>) -> Option<(u64, String)> {
        self.advance(now);
        if let Some(out) = self
            .outs
            .iter_mut()
            .filter(|out| out.again)
            .min_by_key(|out| out.n)
        {
            out.again = false;
            return Some((out.n, out.text.clone()));
        }
        let (picked, text) = if self.compresses() {
            self.pick_as_sent(now, sent)?
        } else {
            self.pick(now)?
        };
        self.outs.push(InFlightPayload {
            n: self.n,
            text: text.clone(),
            entries: picked,
            again: false,
        });
        self.n += 1;
        Some((self.n - 1, text))
    }

    fn pick(&mut self, now: Time) -> Option<(Vec<Entry>, String)> {
        let mut picked: Vec<Entry> = Vec::new();
        let mut passed: Vec<u64> = Vec::new();
        let mut looked_past = 0;
        loop {
            let next = self
                .candidates(now)
                .into_iter()
                .find(|entry| !passed.contains(&entry.seq))
                .cloned();
            let Some(entry) = next else { break };
            let reason = match self.size(&[&entry.event]) {
                0 => Some(DeadLetterReason::Validation),
                size if size > self.payload_max => Some(DeadLetterReason::TooLarge),
                _ => None,
            };
            if let Some(reason) = reason {
                self.take_back(now, End::DeadLettered(reason), |other| {
                    other.seq == entry.seq
                });
                continue;
            }
            if self.is_key_in_flight(&entry) {
                passed.push(entry.seq);
                continue;
            }
            let mut events: Vec<&Event> = picked.iter().map(|entry| &entry.event).collect();
            events.push(&entry.event);
            let alone = self.alone(&entry.event);
            if !picked.is_empty() && (alone || self.size(&events) > self.payload_max) {
                passed.push(entry.seq);
                looked_past += 1;
                if looked_past > self.policy.lookahead {
                    break;
                }
                continue;
            }
            self.pack(entry, &mut picked);
            if alone {
                break;
            }
        }
        if picked.is_empty() {
            return None;
        }
        let events: Vec<&Event> = picked.iter().map(|entry| &entry.event).collect();
        let text = self.payload_text(&events, self.n);
        Some((picked, text))
    }

    fn is_key_in_flight(&self, entry: &Entry) -> bool {
        let mut packed = self.outs.iter().flat_map(|out| &out.entries);
        entry.event.content.key.is_some()
            && packed.any(|other| other.event.content.key == entry.event.content.key)
    }

    fn pack(&mut self, entry: Entry, picked: &mut Vec<Entry>) {
        self.waiting.retain(|other| other.seq != entry.seq);
        picked.push(Entry {
            sent: true,
            packed: true,
            n: Some(self.n),
            ..entry
        });
    }

    pub(super) fn settle(&mut self, now: Time, n: u64, outcome: Outcome) {
        if let Some(at) = self.outs.iter().position(|out| out.n == n) {
            match outcome {
                Outcome::Delivered => {
                    let text = &self.outs[at].text;
                    let plain = crate::form::decode(text);
                    self.ledger.plain_bytes += plain.as_ref().unwrap_or(text).len() as u64;
                    self.bury(now, at, End::Delivered);
                }
                Outcome::Unknown if self.policy.on_unknown == OnUnknown::Drop => {
                    self.bury(now, at, End::DeadLettered(DeadLetterReason::Unknown));
                }
                Outcome::Offline if self.policy.offline != Offline::Hold => {
                    let end = End::DeadLettered(DeadLetterReason::Offline);
                    self.bury(now, at, end);
                    // As it was when time was last looked at.
                    self.take_back(now, end, |entry| entry.packed || entry.due <= now);
                }
                Outcome::TooLarge if self.outs[at].text.len() > 1000 => {
                    let out = self.outs.remove(at);
                    let whole = |entry| Entry { n: None, ..entry };
                    self.waiting.extend(out.entries.into_iter().map(whole));
                    self.waiting.sort_by_key(|entry| entry.seq);
                    self.payload_max = self.payload_max.min(1000);
                }
                Outcome::TooLarge => {
                    self.bury(now, at, End::DeadLettered(DeadLetterReason::TooLarge));
                }
                Outcome::Rejected(_) => {
                    self.bury(now, at, End::DeadLettered(DeadLetterReason::Validation));
                }
                _ => self.outs[at].again = true,
            }
        }
        self.advance(now);
    }
}
