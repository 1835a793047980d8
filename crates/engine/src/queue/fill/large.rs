//! Events that are larger than a plain payload: whether they fit one compressed, or how many slices they leave in.

use super::draft::{Draft, Sealed};
use crate::event::Content;
use crate::form::{DECODED_MAX, SLICES_MAX, slices_hold, slices_of};
use crate::queue::slices::Slices;
use crate::queue::{NUMBERS, Queue, Refusal};

/// The number that payloads are sized with, and by how many bytes others may be longer that have
/// another: the digits compress a little differently.
const SIZING_N: u64 = NUMBERS - 1;
const N_SLACK: usize = 8;

impl Queue {
    /// How many slices this event leaves in, which takes `plain` bytes plain in a payload of its own and
    /// fits none so; 0: it fits one compressed.
    pub(in crate::queue) fn slices_of(
        &self,
        content: &Content,
        plain: usize,
    ) -> Result<u8, Refusal> {
        let limit = self.payload_max();
        let envelope = self.policy.envelope;
        if !self.policy.compresses() || envelope.is_alone(&content.data) || plain > DECODED_MAX {
            return Err(self.too_large(plain));
        }
        let mut draft = Draft::new(envelope, self.policy.item_fields(), SIZING_N);
        draft.push(content);
        let sealed = draft.seal(1);
        let size = plain.min(sealed.text.len() + N_SLACK);
        if size <= limit {
            return Ok(0);
        }
        let Some(most) = self.policy.sliced_max() else {
            return Err(self.too_large(size));
        };
        if plain > most {
            return Err(Refusal::TooLargeForChannel {
                size: plain,
                limit: most,
            });
        }
        let is_compressed = sealed.text.len() < sealed.plain_bytes;
        let whole = Some(sealed).filter(|_| is_compressed);
        let whole = whole.or_else(|| draft.seal_whole());
        let whole = whole.map_or(usize::MAX, |whole| whole.text.len() + N_SLACK);
        let count = slices_of(whole, limit);
        match u8::try_from(count) {
            Ok(slices) if count <= SLICES_MAX => Ok(slices),
            _ => Err(Refusal::TooManySlices {
                size: whole,
                limit: slices_hold(SLICES_MAX, limit),
            }),
        }
    }

    /// The payload with this event alone, in the form `~0`, and how many slices it leaves in, beginning with a
    /// guess. None: in too many.
    pub(super) fn seal_slices(&self, content: &Content, guess: u8) -> Option<(Sealed, u8)> {
        let (envelope, fields) = (self.policy.envelope, self.policy.item_fields());
        let mut count = guess.max(2);
        // It says the number of the last slice, and is as long as that lets it be: another number may take a slice more.
        while usize::from(count) <= SLICES_MAX {
            let slices = Slices {
                count,
                since: self.now,
            };
            let mut draft = Draft::new(envelope, fields, slices.last_n(self.next_n));
            draft.push(content);
            let sealed = draft.seal_whole()?;
            let needed = u8::try_from(slices_of(sealed.text.len(), self.payload_max())).ok()?;
            if needed <= count {
                return Some((sealed, count));
            }
            count = needed;
        }
        None
    }

    const fn too_large(&self, size: usize) -> Refusal {
        Refusal::TooLarge {
            size,
            limit: self.payload_max(),
        }
    }
}
