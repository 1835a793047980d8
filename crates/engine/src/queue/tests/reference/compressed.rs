//! Payloads that may leave compressed. How many events a queue packs depends on what it tries; what
//! must hold whatever it tries is checked here, payload by payload.

use super::{Entry, Reference};
use crate::envelope::Envelope;
use crate::event::Event;
use crate::form::{self, Compressor};
use crate::policy::Compress;
use crate::queue::{DeadLetterReason, End};
use crate::time::Time;

impl Reference {
    pub(super) fn compresses(&self) -> bool {
        self.policy.compress == Compress::Deflate && self.policy.envelope == Envelope::Cue
    }

    /// The payload of that number in the shortest form.
    fn sealed(&self, events: &[&Event], n: u64) -> String {
        let plain = self.payload_text(events, n);
        Compressor::new().compress(&plain).unwrap_or(plain)
    }

    /// Bytes of a payload with this event alone, whatever its number.
    pub(super) fn least_size(&self, event: &Event) -> usize {
        let plain = self.size(&[event]);
        if self.compresses()
            && !self.alone(event)
            && (self.payload_max + 1..=65_536).contains(&plain)
        {
            plain.min(self.sealed(&[event], (1 << 53) - 1).len() + 8)
        } else {
            plain
        }
    }

    /// Bytes of a plain payload that is full once it is compressed, as far as the last ones tell.
    pub(super) fn plain_max(&self) -> usize {
        match self.gain {
            Some(gain) if self.compresses() => {
                (self.payload_max * gain / 256).clamp(self.payload_max, 16_384)
            }
            _ => self.payload_max,
        }
    }

    /// The events of the payload that was sent.
    pub(super) fn pick_as_sent(
        &mut self,
        now: Time,
        sent: Option<&str>,
    ) -> Option<(Vec<Entry>, String)> {
        let plain = sent.map_or(String::new(), |sent| {
            form::decode(sent).unwrap_or_else(|_| sent.to_owned())
        });
        let mut picked: Vec<Entry> = Vec::new();
        let (mut passed, mut misfits, mut unfit) = (Vec::new(), 0, 0);
        while misfits <= self.policy.lookahead && unfit < 16 {
            let mut candidates = self.candidates(now).into_iter();
            let next = candidates.find(|entry| !passed.contains(&entry.seq));
            let Some(entry) = next.cloned() else { break };
            if self.is_key_in_flight(&entry) {
                passed.push(entry.seq);
                continue;
            }
            let mut events: Vec<&Event> = picked.iter().map(|entry| &entry.event).collect();
            events.push(&entry.event);
            let alone = self.alone(&entry.event);
            if picked.is_empty() {
                if let Some(reason) = self.unfit(&entry.event) {
                    unfit += 1;
                    let end = End::DeadLettered(reason);
                    self.take_back(now, end, |other| other.seq == entry.seq);
                    continue;
                }
            } else if alone || !self.is_next(&events, &plain) {
                // What fits is not left out: plain in any case, compressed as the next event.
                assert!(alone || self.size(&events) > self.payload_max);
                assert!(
                    misfits > 0 || alone || self.sealed(&events, self.n).len() > self.payload_max
                );
                passed.push(entry.seq);
                misfits += 1;
                continue;
            }
            self.pack(entry, &mut picked);
            if alone {
                break;
            }
        }
        let events: Vec<&Event> = picked.iter().map(|entry| &entry.event).collect();
        let text = match events[..] {
            [] => return None,
            [one] if self.alone(one) => {
                return Some((picked.clone(), self.payload_text(&events, self.n)));
            }
            _ => self.sealed(&events, self.n),
        };
        // As if what was sent before were 3,072 bytes.
        let plain = 256 * self.payload_text(&events, self.n).len();
        let (before, sent) = match self.gain {
            Some(gain) => (gain * 3072, 3072 + text.len()),
            None => (0, text.len()),
        };
        self.gain = Some(((before + plain + sent / 2) / sent).min(65_535));
        Some((picked, text))
    }

    /// Why an event fits no payload.
    fn unfit(&self, event: &Event) -> Option<DeadLetterReason> {
        let size = self.size(&[event]);
        let is_large = size > self.payload_max
            && (self.alone(event) || self.sealed(&[event], self.n).len() > self.payload_max);
        match size {
            0 => Some(DeadLetterReason::Validation),
            _ => is_large.then_some(DeadLetterReason::TooLarge),
        }
    }

    /// Whether a plain payload begins with these.
    fn is_next(&self, events: &[&Event], plain: &str) -> bool {
        let text = self.payload_text(events, self.n);
        let open = text.strip_suffix("]}").expect("a payload");
        let rest = plain.strip_prefix(open);
        rest.is_some_and(|rest| rest == "]}" || rest.starts_with(','))
    }
}
