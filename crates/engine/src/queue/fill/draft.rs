//! A payload that is being written, and what it is with only the first of its items.

use crate::envelope::{Envelope, ItemFields};
use crate::event::Content;
use crate::form::Compressor;

/// A payload in the form that is sent.
pub(super) struct Sealed {
    pub text: String,
    pub plain_bytes: usize,
}

pub(super) struct Draft {
    envelope: Envelope,
    fields: ItemFields,
    /// Its opening and its items, not closed.
    text: String,
    opening: usize,
    /// Where each item ends in the text.
    ends: Vec<usize>,
    compressor: Option<Compressor>,
    /// The payload with some of the items, closed.
    closed: String,
}

impl Draft {
    pub(super) fn new(envelope: Envelope, fields: ItemFields, n: u64) -> Self {
        let mut text = String::new();
        envelope.open(n, &mut text);
        Self {
            envelope,
            fields,
            opening: text.len(),
            text,
            ends: Vec::new(),
            compressor: None,
            closed: String::new(),
        }
    }

    pub(super) fn push(&mut self, content: &Content) {
        if !self.ends.is_empty() {
            self.text.push(',');
        }
        let text = &mut self.text;
        self.envelope.write_item(self.fields, content, text);
        self.ends.push(text.len());
    }

    /// Leaves the first items.
    pub(super) fn cut(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.end(count));
    }

    fn end(&self, count: usize) -> usize {
        let last = count.checked_sub(1).and_then(|last| self.ends.get(last));
        last.copied().unwrap_or(self.opening)
    }

    /// Bytes of the payload with one item more, plain and with the longest number.
    pub(super) fn size_with(&self, item: usize) -> usize {
        let more = 1 + usize::from(!self.ends.is_empty());
        let items = self.text.len() - self.opening;
        self.envelope.payload_size(items + item, more)
    }

    /// How many of the items are in the first so many bytes.
    pub(super) fn count_within(&self, plain: usize) -> usize {
        self.ends.partition_point(|&end| end <= plain)
    }

    /// The payload with the first items, in the shortest form.
    pub(super) fn seal(&mut self, count: usize) -> Sealed {
        self.close(count);
        let compressor = self.compressor.get_or_insert_with(Compressor::new);
        let compressed = compressor.compress(&self.closed);
        Sealed {
            plain_bytes: self.closed.len(),
            text: compressed.unwrap_or_else(|| self.closed.clone()),
        }
    }

    /// The payload with all items in the form `~0`, which slices are of. None: it is far longer so.
    pub(super) fn seal_whole(&mut self) -> Option<Sealed> {
        self.close(self.ends.len());
        let compressor = self.compressor.get_or_insert_with(Compressor::new);
        Some(Sealed {
            text: compressor.compress_anyway(&self.closed)?,
            plain_bytes: self.closed.len(),
        })
    }

    fn close(&mut self, count: usize) {
        let end = self.end(count);
        self.closed.clear();
        self.closed.push_str(&self.text[..end]);
        self.envelope.close(&mut self.closed);
    }
}
