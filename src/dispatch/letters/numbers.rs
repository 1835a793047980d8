//! The ids of letters. A process by itself counts them. In a cluster each owner of an account gives ids of its own,
//! and a list over all of them is in the order of ids: there they are moments, with a place for each account.

/// 2026-01-01, in ms since 1970.
const ORIGIN_MS: u64 = 1_767_225_600_000;

/// Places of accounts within a millisecond. With the 40 bits of 34 years, an id is a whole number in every language.
const PLACES: u64 = 1 << 13;

/// The ids that come next.
#[derive(Default)]
pub(super) struct Numbers {
    next: u64,
    /// The account's place, in a cluster.
    place: Option<u64>,
}

impl Numbers {
    /// Those of an account in a cluster. (Of 20 accounts two share a place once in 43 times, and an id only where both
    /// lose an event in one millisecond.)
    pub fn of_account(&mut self, id: &str, region: &str) {
        let bytes = id.bytes().chain([b'/']).chain(region.bytes());
        // FNV-1a: every node, be it of another version, gives an account the same place.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.place = Some((hash ^ (hash >> 32)) % PLACES);
    }

    /// That one is taken.
    pub fn note(&mut self, id: u64) {
        self.next = self.next.max(id + 1);
    }

    /// The next, at that moment.
    pub fn take(&mut self, now_ms: u64) -> u64 {
        let id = match self.place {
            None => self.next,
            Some(place) => {
                let free = self.next.saturating_sub(place).div_ceil(PLACES);
                now_ms.saturating_sub(ORIGIN_MS).max(free) * PLACES + place
            }
        };
        self.note(id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_by_itself_counts() {
        let mut numbers = Numbers::default();
        numbers.note(6);
        assert_eq!([9, 9, 7].map(|now| numbers.take(now)), [7, 8, 9]);
    }

    #[test]
    fn accounts_of_a_cluster_share_no_id_and_keep_the_order_of_time() {
        let mut both = [Numbers::default(), Numbers::default()];
        both[0].of_account("000000000000", "us-west-2");
        both[1].of_account("111111111111", "us-west-2");
        // Those of before have small ones.
        both[0].note(17);
        let now = ORIGIN_MS + 34 * 365 * 86_400_000;
        let mut before = 0;
        for ms in [0, 10, 20] {
            let ids = [0, 1, 0, 1].map(|nth: usize| both[nth].take(now + ms));
            let mut sorted = ids;
            sorted.sort_unstable();
            assert!(sorted.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
            assert!(before < sorted[0] && sorted[3] < 1 << 53, "{ids:?}");
            assert!(ids[0] < ids[2] && ids[1] < ids[3]);
            before = sorted[3];
        }
        let last = both[0].take(now + 20);
        assert!(both[0].take(0) > last, "the clock was set back");
    }
}
