//! How many events fit a payload in the form that is sent.
//!
//! How long a compressed payload is shows only when it is compressed. So this guesses by the last
//! payloads, compresses, and corrects the guess by what came out:
//!
//! - What fits plain goes in any case, in its order: no payload carries less than a plain one.
//! - Then a number of events is searched of which a payload was seen to fit, while one with one
//!   event more was seen not to. When the trials are spent, the most that were seen to fit go.
//! - Only then it looks past the event that did not fit, as far as the policy says.
//!
//! With more events a compressed payload may be shorter, though it hardly ever is. So "the most
//! that fit" is true of neighbouring numbers, and not always of all.

mod draft;
mod large;

use draft::{Draft, Sealed};

use super::Queue;
use super::gain::{FILLED_MAX, scaled};
use super::ledger::{DeadLetterReason, End};

/// Most payloads that are compressed to fill one; three or four are the rule.
const TRIALS: usize = 8;
/// After so many trials halving is surer than going by what came out.
const GUESSES: usize = 4;
/// Events that fit no payload and are counted out in one go: each costs a trial.
const UNFIT_MAX: usize = 16;

/// A payload that is ready to be sent.
pub(super) struct Filled {
    pub items: Vec<u32>,
    pub text: String,
    /// Bytes of the same payload, plain.
    pub plain_bytes: usize,
    /// How many slices it leaves in; 0: whole.
    pub slices: u8,
}

impl Queue {
    /// Picks the events of the next payload from so many levels, and writes it. None: there is nothing to send now,
    /// unless events were counted out that fit no payload.
    pub(super) fn fill(&mut self, levels: usize) -> Option<Filled> {
        let draft = Draft::new(self.policy.envelope, self.policy.item_fields(), self.next_n);
        let mut filling = Filling {
            queue: self,
            levels,
            draft,
            items: Vec::new(),
            sent: Vec::new(),
            passed: Vec::new(),
            trials: 0,
        };
        let filled = filling.fill();
        for index in filling.passed {
            self.order.put_back(index);
        }
        filled
    }
}

/// A payload that is being filled. Its events are packed as long as they are in it.
struct Filling<'q> {
    queue: &'q mut Queue,
    /// Events of so many levels, from the highest, may go.
    levels: usize,
    draft: Draft,
    /// The events of the draft, and which of them were in a payload before.
    items: Vec<u32>,
    sent: Vec<bool>,
    /// Events to be put back when it is full.
    passed: Vec<u32>,
    trials: usize,
}

/// What becomes of an event that fits no payload.
enum InSlices {
    Filled(Filled),
    /// Another is on its way in slices.
    Later,
    /// It is too large for that as well.
    Never,
}

/// How the first event of a payload goes.
enum First {
    /// In a payload of its own, as it is.
    Alone(u32),
    /// In slices of a payload of its own.
    InSlices(Filled),
    /// With others.
    Packed,
}

impl Filling<'_> {
    fn fill(&mut self) -> Option<Filled> {
        match self.begin()? {
            First::Alone(index) => return Some(self.alone(index)),
            First::InSlices(filled) => return Some(filled),
            First::Packed => {}
        }
        let mut sealed = self.search();
        if self.queue.policy.lookahead > 0 {
            self.look_past(&mut sealed);
        }
        let sealed = sealed.unwrap_or_else(|| self.draft.seal(self.items.len()));
        for &index in &self.items {
            self.queue.leave_line(index);
        }
        let sent = sealed.text.len();
        self.queue.gain.add(sealed.plain_bytes, sent);
        Some(Filled {
            items: std::mem::take(&mut self.items),
            text: sealed.text,
            plain_bytes: sealed.plain_bytes,
            slices: 0,
        })
    }

    /// The next event that may go. Those of keys in flight are passed over: they may not go now.
    fn next_candidate(&mut self) -> Option<u32> {
        let queue = &mut *self.queue;
        while let Some(index) = queue
            .order
            .get_mut()
            .and_then(|order| order.pop(self.levels))
        {
            if queue.outs.is_empty() || !queue.order.is_key_packed(index, &self.items) {
                return Some(index);
            }
            self.passed.push(index);
        }
        None
    }

    /// The first event of the payload. Those that fit none are counted out.
    fn begin(&mut self) -> Option<First> {
        for _ in 0..UNFIT_MAX {
            let index = self.next_candidate()?;
            let (item, policy) = (&self.queue.order.items[index], &self.queue.policy);
            if item.slices > 0 && self.queue.is_slicing() {
                self.passed.push(index);
                continue;
            }
            let fits_plain = item.size_alone(policy) <= self.limit();
            if item.is_alone(policy) && fits_plain && !item.content.data.text().is_empty() {
                return Some(First::Alone(index));
            }
            if !item.is_alone(policy) {
                self.draft.push(&item.content);
                if fits_plain || self.trial(1).text.len() <= self.limit() {
                    self.pack(index);
                    return Some(First::Packed);
                }
                self.draft.cut(0);
                match self.in_slices(index) {
                    InSlices::Filled(filled) => return Some(First::InSlices(filled)),
                    InSlices::Later => {
                        self.passed.push(index);
                        continue;
                    }
                    InSlices::Never => {}
                }
            }
            // Rules that changed since it was accepted may leave it without a payload.
            let reason = if fits_plain {
                DeadLetterReason::Validation
            } else {
                DeadLetterReason::TooLarge
            };
            self.queue.end_held(index, End::DeadLettered(reason));
        }
        None
    }

    /// The event is larger than a payload.
    fn in_slices(&mut self, index: u32) -> InSlices {
        let queue = &mut *self.queue;
        let item = &queue.order.items[index];
        let most = queue.policy.sliced_max().unwrap_or(0);
        if item.size_alone(&queue.policy) > most {
            return InSlices::Never;
        }
        if queue.is_slicing() {
            return InSlices::Later;
        }
        let Some((sealed, slices)) = queue.seal_slices(&item.content, item.slices) else {
            return InSlices::Never;
        };
        queue.leave_line(index);
        self.pack(index);
        InSlices::Filled(Filled {
            items: std::mem::take(&mut self.items),
            text: sealed.text,
            plain_bytes: sealed.plain_bytes,
            slices,
        })
    }

    fn alone(&mut self, index: u32) -> Filled {
        self.queue.leave_line(index);
        self.pack(index);
        let text = self.queue.order.items[index]
            .content
            .data
            .text()
            .to_string();
        Filled {
            items: std::mem::take(&mut self.items),
            plain_bytes: text.len(),
            text,
            slices: 0,
        }
    }

    fn limit(&self) -> usize {
        self.queue.payload_max()
    }

    const fn may_try(&self) -> bool {
        self.trials < TRIALS
    }

    fn trial(&mut self, count: usize) -> Sealed {
        self.trials += 1;
        self.draft.seal(count)
    }

    /// Finds how many of the events in their order fit, and leaves these in the payload; with its
    /// text, if it is written already.
    fn search(&mut self) -> Option<Sealed> {
        let limit = self.limit();
        self.gather(limit, 1);
        let (mut most, mut best) = (self.items.len(), None);
        let mut too_many = None;
        let mut guess = self.queue.gain.plain(limit);
        while self.may_try() {
            let count = match too_many {
                None => {
                    self.gather(guess, most + 1);
                    self.items.len()
                }
                Some(too_many) => self.between(most, too_many, guess),
            };
            if count == most {
                break;
            }
            let sealed = self.trial(count);
            guess = scaled(limit, sealed.plain_bytes, sealed.text.len());
            if sealed.text.len() <= limit {
                most = count;
                best = Some(sealed);
            } else {
                too_many = Some(count);
            }
        }
        self.give_up(most);
        best
    }

    /// A number of events more than `most` and fewer than `too_many`, about those in so many plain
    /// bytes; `most` if there is none.
    fn between(&self, most: usize, too_many: usize, plain: usize) -> usize {
        if too_many - most < 2 {
            most
        } else if self.trials < GUESSES {
            let within = self.draft.count_within(plain);
            within.clamp(most + 1, too_many - 1)
        } else {
            usize::midpoint(most, too_many)
        }
    }

    /// Adds events while the payload has at most so many bytes plain, and until it has so many
    /// events in any case.
    fn gather(&mut self, plain_max: usize, least: usize) {
        while let Some(index) = self.next_candidate() {
            let (item, policy) = (&self.queue.order.items[index], &self.queue.policy);
            let size = self.draft.size_with(item.size as usize);
            let is_wanted = size <= plain_max || self.items.len() < least;
            if item.is_alone(policy) || item.slices > 0 || !is_wanted || size > FILLED_MAX {
                self.queue.order.put_back(index);
                break;
            }
            self.draft.push(&item.content);
            self.pack(index);
        }
    }

    /// The event is in the payload, for now.
    fn pack(&mut self, index: u32) {
        let queue = &mut *self.queue;
        self.items.push(index);
        self.sent.push(queue.order.items[index].sent);
        queue.order.pack(index, &queue.policy);
    }

    /// Puts all but the first events back where they were.
    fn give_up(&mut self, count: usize) {
        let queue = &mut *self.queue;
        let items = self.items.split_off(count);
        let sent = self.sent.split_off(count);
        self.draft.cut(count);
        if items.is_empty() {
            return;
        }
        queue.order.restore(&items, &queue.policy);
        for (index, sent) in items.into_iter().zip(sent) {
            queue.order.items[index].sent = sent;
        }
    }

    /// Adds events behind one that does not fit.
    fn look_past(&mut self, sealed: &mut Option<Sealed>) {
        let mut misfits = 0;
        while misfits <= self.queue.policy.lookahead
            && let Some(index) = self.next_candidate()
        {
            // The first was seen not to fit, or goes alone.
            if misfits > 0 && self.add(index, sealed) {
                self.pack(index);
            } else {
                self.passed.push(index);
                misfits += 1;
            }
        }
    }

    /// Writes an event behind the others, if it fits.
    fn add(&mut self, index: u32, sealed: &mut Option<Sealed>) -> bool {
        let limit = self.limit();
        let (item, policy) = (&self.queue.order.items[index], &self.queue.policy);
        let size = self.draft.size_with(item.size as usize);
        let room = match sealed {
            Some(sealed) => scaled(limit, sealed.plain_bytes, sealed.text.len()),
            None => self.queue.gain.plain(limit),
        };
        let is_tried = size <= room && self.may_try();
        if item.is_alone(policy) || item.slices > 0 || (size > limit && !is_tried) {
            return false;
        }
        self.draft.push(&item.content);
        if size <= limit {
            *sealed = None;
            return true;
        }
        let longer = self.trial(self.items.len() + 1);
        let fits = longer.text.len() <= limit;
        if fits {
            *sealed = Some(longer);
        } else {
            self.draft.cut(self.items.len());
        }
        fits
    }
}
