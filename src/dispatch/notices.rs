//! The notices of `EventBridge` about a channel's stream, told apart.
//!
//! They come late, twice or out of order, so their time decides.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Notices of one second that are told apart: there are few kinds, and each comes a few times.
const NOTICES_OF_A_SECOND: usize = 16;

/// What `EventBridge` says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its time, which is exact to the second, in s since 1970.
    pub at_s: i64,
    /// Its id, time and name: the same again is the same notice, sent twice.
    pub identity: String,
    /// The stream began; else it ended, or failed.
    pub is_live: bool,
}

/// The newest notices about a channel's stream.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// The time of the newest.
    at_s: i64,
    /// Those of that second, by the hashes of their identities.
    seen: Vec<u64>,
}

impl Noticed {
    /// Whether a notice says anything new: nothing newer is known, and it was not here before. A
    /// time ahead of the clock counts as now, so that a wrong one does not silence all that follow.
    pub(super) fn is_news(&mut self, notice: &Notice, now_s: i64) -> bool {
        let at_s = notice.at_s.min(now_s);
        let identity = BuildHasherDefault::<DefaultHasher>::default().hash_one(&notice.identity);
        if at_s > self.at_s {
            self.at_s = at_s;
            self.seen.clear();
        }
        let is_news = at_s == self.at_s && !self.seen.contains(&identity);
        if is_news {
            self.seen.truncate(NOTICES_OF_A_SECOND - 1);
            self.seen.insert(0, identity);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_told_apart() {
        let mut noticed = Noticed::default();
        let mut check = |id: &str, at_s: i64, name: &str, now_s, expected| {
            let notice = Notice {
                at_s,
                identity: format!("{id} {at_s} {name}"),
                is_live: true,
            };
            let found = noticed.is_news(&notice, now_s);
            assert_eq!(found, expected, "{id} {at_s} {name} at {now_s}");
        };
        check("a", 100, "end", 1000, true);
        // Another of the same second, by its id or by its name; and each of them again.
        check("b", 100, "start", 1000, true);
        check("b", 100, "end", 1000, true);
        check("a", 100, "end", 1000, false);
        check("b", 100, "start", 1000, false);
        check("c", 99, "start", 1000, false);
        // From the future: it counts as now, and later ones are heard.
        check("d", 99_999, "start", 1000, true);
        check("d", 99_999, "start", 1000, false);
        check("e", 1000, "end", 1000, true);
        check("f", 1001, "start", 1001, true);
        check("d", 99_999, "start", 1005, true);
    }

    #[test]
    fn a_second_is_bounded() {
        let mut noticed = Noticed::default();
        for number in 0..100 {
            let notice = Notice {
                at_s: 1,
                identity: number.to_string(),
                is_live: true,
            };
            assert!(noticed.is_news(&notice, 5));
            assert!(!noticed.is_news(&notice, 5));
        }
        assert_eq!(noticed.seen.len(), NOTICES_OF_A_SECOND);
    }
}
