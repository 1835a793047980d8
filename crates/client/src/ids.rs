//! Ids for events that have none, so that they can be sent again.

use std::sync::atomic::{AtomicU64, Ordering};

/// A source of ids: the same random part, and a number that counts.
///
/// 64 bits of randomness tell producers apart: among a million sessions, two have the same with a
/// probability of 3 in 10^8.
#[derive(Debug)]
pub struct Ids {
    random: u64,
    next: AtomicU64,
}

impl Ids {
    /// A source of its own. Randomness is an argument.
    pub const fn new(random: u64) -> Self {
        Self {
            random,
            next: AtomicU64::new(0),
        }
    }

    /// The next id: at most 37 bytes.
    pub fn next(&self) -> String {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{nth}", self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_fit() {
        let ids = Ids::new(0xABC);
        assert_eq!(ids.next(), "0000000000000abc-0");
        assert_eq!(ids.next(), "0000000000000abc-1");
        ids.next.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(ids.next().len(), 37);
    }
}
