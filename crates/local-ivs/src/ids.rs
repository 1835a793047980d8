//! Identifiers in the forms of Amazon IVS, from one seeded generator.
//!
//! Repeatable, and so not for secrets: stream keys of an emulator protect nothing.

use crate::faults::SplitMix64;

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The generator, and with it the position to go on from.
#[derive(Debug, Clone)]
pub(crate) struct Ids(SplitMix64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Where it stands: one made with this as its seed goes on here.
    pub(crate) fn position(&self) -> u64 {
        self.0.position()
    }

    /// Of a channel, a stream key, a key pair or a recording configuration: 12 characters.
    pub(crate) fn resource(&mut self) -> String {
        self.alphanumeric(12)
    }

    /// `st-` and 23 characters.
    pub(crate) fn stream(&mut self) -> String {
        format!("st-{}", self.alphanumeric(23))
    }

    pub(crate) fn alphanumeric(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        for _ in 0..length {
            let index = usize::try_from(self.0.next_u64() % 62).unwrap_or(0);
            text.push(char::from(ALPHANUMERIC[index]));
        }
        text
    }
}

/// A UUID of version 4 in form, the same for the same seed.
pub(crate) fn uuid(seed: u64) -> String {
    let mut rng = SplitMix64::new(seed);
    let (high, low) = (rng.next_u64(), rng.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}
