//! What the naive queue takes in, merges, refuses and evicts.

use std::sync::Arc;

use super::{Entry, Known, Reference, midway};
use crate::call::{Entry as Through, Health};
use crate::envelope::Envelope;
use crate::event::{Content, Data, Event, Priority};
use crate::policy::{Offline, Overflow};
use crate::queue::{Admission, DeadLetterReason, End, Refusal, Replaced};
use crate::time::{Span, Time};

impl Reference {
    pub(in crate::queue::tests) fn accept(
        &mut self,
        now: Time,
        event: Event,
    ) -> Result<Admission, Refusal> {
        self.advance(now);
        self.admit(now, event, None)
    }

    /// Replaces the queued event of the same id, tried on a copy.
    pub(in crate::queue::tests) fn replace(
        &mut self,
        now: Time,
        mut event: Event,
    ) -> Result<Replaced, Refusal> {
        self.advance(now);
        let id = event.content.id.clone().expect("an id");
        let known = self.ids.iter().find(|known| known.id == id);
        let known = known.filter(|known| known.until > now || known.fate.is_none());
        let (seq, fate) = known.map_or((None, None), |it| (Some(it.seq), it.fate));
        if fate.is_some_and(|fate| matches!(fate.end, End::Delivered | End::Merged)) {
            return Ok(Replaced::Gone);
        }
        let queued = fate.is_none() && seq.is_some();
        let at = self
            .waiting
            .iter()
            .position(|it| queued && Some(it.id_seq) == seq);
        if queued && at.is_none() {
            return Ok(Replaced::Gone);
        }
        let mut trial = self.clone();
        trial.trying = true;
        trial.shut = !trial.lets_through(now, &[]);
        let mut seat = None;
        if let Some(at) = at {
            let old = trial.waiting.remove(at);
            if event.at.is_none() {
                event.at = old.at;
                let same =
                    event.content.key.is_none() || event.content.key == old.event.content.key;
                seat = same.then_some((old.due, old.seq));
            }
            trial.end(now, &old, End::Cancelled);
        }
        trial.ids.retain(|known| known.id != id);
        trial.admit(now, event, seat)?;
        trial.trying = false;
        *self = trial;
        Ok(if at.is_some() {
            Replaced::Replaced
        } else {
            Replaced::Accepted
        })
    }

    fn admit(
        &mut self,
        now: Time,
        event: Event,
        seat: Option<(Time, u64)>,
    ) -> Result<Admission, Refusal> {
        let size = self.least_size(&event);
        if size > self.payload_max {
            return Err(Refusal::TooLarge {
                size,
                limit: self.payload_max,
            });
        }
        if size == 0 {
            return Err(Refusal::InvalidData("a payload has at least one character"));
        }
        if let (Some(merge), Data::Json(data)) = (event.content.merge, &event.content.data) {
            crate::merge::validate(merge, data).map_err(Refusal::InvalidData)?;
        }
        if self
            .ids
            .iter()
            .any(|known| Some(&known.id) == event.content.id.as_ref() && known.until > now)
        {
            self.ledger.duplicates += 1;
            return Ok(Admission::Duplicate);
        }
        let due = event.at.map_or(now, |at| at.time(self.origin)).max(now);
        let ttl = Span::from_millis(u64::from(event.ttl_ms.unwrap_or(self.policy.ttl_ms)));
        let rises = if event.content.priority == Priority::High {
            Time::NEVER
        } else {
            midway(due, due + ttl)
        };
        let mut entry = Entry {
            seq: self.seq,
            id_seq: self.seq,
            at: event.at,
            accepted: now,
            latest_accepted: now,
            due,
            deadline: due + ttl,
            ttl,
            level: event.content.priority,
            rises,
            packed: false,
            sent: false,
            n: None,
            event,
        };
        let behind = entry.event.content.key.is_some()
            && self
                .waiting
                .iter()
                .any(|other| other.event.content.key == entry.event.content.key);
        let offline = due <= now && self.is_turned_away(now, behind);
        if offline && self.policy.offline == Offline::Reject {
            return Err(Refusal::Offline);
        }
        if offline && self.policy.offline == Offline::Drop {
            self.took(now, &entry);
            self.end(now, &entry, End::DeadLettered(DeadLetterReason::Offline));
            return Ok(Admission::Accepted);
        }
        if let Some((due, seq)) = seat {
            self.make_room(now, &entry.event)?;
            self.took(now, &entry);
            (entry.due, entry.seq) = (due, seq);
            if entry.level < Priority::High {
                entry.rises = midway(due.max(now), entry.deadline);
            }
            let after = self.waiting.iter().position(|other| other.seq > seq);
            let at = after.unwrap_or(self.waiting.len());
            self.waiting.insert(at, entry);
            return Ok(Admission::Accepted);
        }
        if let Some((at, data)) = self.merges(now, &entry) {
            let old = self.waiting[at].clone();
            self.end(now, &old, End::Merged);
            self.took(now, &entry);
            if old.level < Priority::High {
                entry.rises = old.rises.min(midway(old.due.max(now), entry.deadline));
            } else {
                entry.rises = old.rises;
            }
            entry.event.content.data = data;
            self.waiting[at] = Entry {
                seq: old.seq,
                at: old.at,
                accepted: old.accepted,
                due: old.due,
                level: old.level,
                sent: old.sent,
                ..entry
            };
            return Ok(Admission::Accepted);
        }
        self.would_expire(now, &entry, ttl)?;
        self.make_room(now, &entry.event)?;
        self.took(now, &entry);
        self.waiting.push(entry);
        Ok(Admission::Accepted)
    }

    /// Whether an event that is due is not let through to an offline stream; `behind`: another of
    /// its key is queued.
    fn is_turned_away(&self, now: Time, behind: bool) -> bool {
        if self.trying {
            return self.shut;
        }
        let asks_alone = matches!(self.link.entry, Through::ProbeFrom(_));
        let is_held = self.link.health != Health::Offline || self.policy.offline == Offline::Hold;
        !self.lets_through(now, &[]) || (!is_held && asks_alone && behind)
    }

    fn took(&mut self, now: Time, entry: &Entry) {
        self.ledger.accepted += 1;
        self.seq += 1;
        if let Some(id) = &entry.event.content.id {
            let until = now + self.policy.dedup_window;
            self.ids.retain(|known| known.id != *id);
            self.ids.push(Known {
                id: Arc::clone(id),
                seq: entry.id_seq,
                until,
                fate: None,
            });
        }
    }

    fn merges(&self, now: Time, entry: &Entry) -> Option<(usize, Data)> {
        let event = &entry.event;
        let (kind, _) = (event.content.merge?, event.content.key.as_ref()?);
        let at = self
            .waiting
            .iter()
            .rposition(|other| other.event.content.key == event.content.key)?;
        let last = &self.waiting[at];
        let alike = last.event.content.merge == event.content.merge
            && last.event.content.kind == event.content.kind
            && last.event.content.priority == event.content.priority;
        // Neither before its own `at` nor only after its own deadline.
        let in_time = (entry.due == now || entry.due <= last.due) && last.due < entry.deadline;
        if !alike || !in_time {
            return None;
        }
        let text = crate::merge::merge(
            kind,
            last.event.content.data.text(),
            event.content.data.text(),
        )?;
        let data = Data::Json(text.into());
        let merged = Event::from(Content {
            data: data.clone(),
            ..event.clone().content
        });
        let size = self.least_size(&merged);
        let bytes = self.bytes() - last.event.bytes() + merged.bytes();
        let fits = size > 0
            && size <= self.payload_max
            && (bytes <= self.policy.queue_max_bytes || bytes <= self.bytes());
        fits.then_some((at, data))
    }

    fn would_expire(&self, now: Time, entry: &Entry, ttl: Span) -> Result<(), Refusal> {
        if self.link.health == Health::Offline
            || entry.due > now
            || self.policy.overflow == Overflow::DropOldest
        {
            return Ok(());
        }
        let ahead: Vec<&Event> = self
            .packable(now)
            .iter()
            .filter(|other| other.level >= entry.event.content.priority)
            .map(|other| &other.event)
            .collect();
        let alone = self
            .packable(now)
            .iter()
            .filter(|other| self.alone(&other.event))
            .count();
        let bytes: usize = ahead
            .iter()
            .map(|event| self.item_text(event).len() + 1)
            .sum();
        let again = self.outs.iter().filter(|out| out.again).count();
        let full = if self.policy.envelope == Envelope::Raw {
            ahead.len()
        } else {
            let overhead = self.size(&[]);
            (bytes / (self.plain_max().saturating_sub(overhead)).max(1)).max(alone.min(ahead.len()))
        };
        let wait = self.link.interval.times((full + again) as u64);
        if wait > ttl {
            return Err(Refusal::WouldExpire {
                wait,
                retry_after: wait - ttl,
            });
        }
        Ok(())
    }

    fn make_room(&mut self, now: Time, event: &Event) -> Result<(), Refusal> {
        let full = Refusal::QueueFull {
            retry_after: self.link.interval,
        };
        let policy = Arc::clone(&self.policy);
        let fits = |model: &Self| {
            model.len() < policy.queue_max_events
                && model.bytes() + event.bytes() <= policy.queue_max_bytes
        };
        if fits(self) {
            return Ok(());
        }
        let evictable = |entry: &Entry| match policy.overflow {
            Overflow::Reject => false,
            Overflow::DropLowestPriority => entry.level < event.content.priority,
            Overflow::DropOldest => true,
        };
        // Tried on a copy: a refusal evicts nothing.
        let mut trial = self.waiting.clone();
        trial.retain(|entry| !evictable(entry));
        let (gone, bytes) = self
            .waiting
            .iter()
            .filter(|entry| evictable(entry))
            .fold((0, 0), |(count, bytes), entry| {
                (count + 1, bytes + entry.event.bytes())
            });
        if self.len() - gone >= policy.queue_max_events
            || self.bytes() - bytes + event.bytes() > policy.queue_max_bytes
        {
            return Err(full);
        }
        while !fits(self) {
            let lowest = if policy.overflow == Overflow::DropOldest {
                None
            } else {
                self.waiting
                    .iter()
                    .filter(|entry| evictable(entry))
                    .map(|entry| entry.level)
                    .min()
            };
            let of_level = |entry: &&Entry| lowest.is_none_or(|level| entry.level == level);
            let candidate = self
                .candidates(now)
                .into_iter()
                .filter(of_level)
                .min_by_key(|entry| (entry.due, entry.seq));
            let any = self
                .waiting
                .iter()
                .filter(of_level)
                .min_by_key(|entry| (entry.due, entry.seq));
            let victim = candidate.or(any).expect("feasible").seq;
            self.take_back(now, End::Evicted, |entry| entry.seq == victim);
        }
        Ok(())
    }

    pub(super) fn take_back(
        &mut self,
        now: Time,
        end: End,
        wanted: impl Fn(&Entry) -> bool,
    ) -> usize {
        let mut gone: Vec<Entry> = self
            .waiting
            .iter()
            .filter(|entry| wanted(entry))
            .cloned()
            .collect();
        self.waiting.retain(|entry| !wanted(entry));
        gone.sort_by_key(|entry| (entry.due, entry.seq));
        for entry in &gone {
            self.end(now, entry, end);
        }
        gone.len()
    }
}
