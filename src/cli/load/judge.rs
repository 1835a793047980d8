//! From the books to the verdict: a pure function.
//!
//! An accepted event that was not seen is lost unless the gateway itself accounts for it: it
//! expired, was evicted, cancelled or dead-lettered, or is queued still.

use super::book::Seen;
use cuegate_client::Totals;

/// How events of a channel, or of all, ended otherwise than by a delivery, by the gateway's own
/// totals; and what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Ended {
    pub(super) delivered: u64,
    pub(super) merged: u64,
    pub(super) expired: u64,
    pub(super) cancelled: u64,
    pub(super) evicted: u64,
    pub(super) dead_lettered: u64,
    /// Still queued when the run was judged.
    pub(super) queued: u64,
}

impl Ended {
    /// What the totals grew by. A total that fell is of a gateway that was started anew
    /// meanwhile.
    pub(super) fn between(before: &Totals, after: &Totals, queued: u64) -> Self {
        let began_anew = after.accepted < before.accepted || after.delivered < before.delivered;
        let grew = |of: fn(&Totals) -> u64| {
            let before = if began_anew { 0 } else { of(before) };
            of(after).saturating_sub(before)
        };
        Self {
            delivered: grew(|t| t.delivered),
            merged: grew(|t| t.merged),
            expired: grew(|t| t.expired),
            cancelled: grew(|t| t.cancelled),
            evicted: grew(|t| t.evicted),
            dead_lettered: grew(|t| t.dead_lettered.values().sum()),
            queued,
        }
    }

    /// Events that need not have been seen.
    fn excused(&self) -> u64 {
        self.merged
            + self.expired
            + self.cancelled
            + self.evicted
            + self.dead_lettered
            + self.queued
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            merged: self.merged + other.merged,
            expired: self.expired + other.expired,
            cancelled: self.cancelled + other.cancelled,
            evicted: self.evicted + other.evicted,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            queued: self.queued + other.queued,
        }
    }
}

/// Calls of a channel or of an account, as the local IVS counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) made: u64,
    /// The most in any second.
    pub(super) most: u64,
    /// What is allowed in any second.
    pub(super) limit: u64,
}

/// The books of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChannelBooks {
    pub(super) seen: Seen,
    pub(super) ended: Ended,
    pub(super) calls: Calls,
}

/// All books of a run that the local IVS observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) channels: Vec<ChannelBooks>,
    pub(super) accounts: Vec<Calls>,
    /// Payloads that the local IVS forgot before they were read.
    pub(super) forgotten: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) delivered: u64,
    pub(super) unacknowledged: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) out_of_order: u64,
    /// Channels with a second above their limit.
    pub(super) channels_over: u64,
    /// Accounts with one.
    pub(super) accounts_over: u64,
    pub(super) forgotten: u64,
}

impl Findings {
    /// Judges the books.
    pub(super) fn of(books: &Books) -> Self {
        let mut found = Self {
            forgotten: books.forgotten,
            accounts_over: over(books.accounts.iter()),
            channels_over: over(books.channels.iter().map(|channel| &channel.calls)),
            ..Self::default()
        };
        for ChannelBooks { seen, ended, .. } in &books.channels {
            found.delivered += seen.delivered;
            found.unacknowledged += seen.unacknowledged;
            found.duplicated += seen.doubled;
            found.out_of_order += seen.disordered;
            // Channel by channel: what one channel has too many of excuses nothing in another.
            found.lost += seen.missing.saturating_sub(ended.excused());
        }
        found
    }

    /// What is wrong, in words; empty: nothing.
    pub(super) fn faults(&self) -> Vec<String> {
        let faults = [
            (self.lost, "lost"),
            (self.duplicated, "duplicated"),
            (self.out_of_order, "out of order"),
            (self.channels_over, "channels over their limit of calls"),
            (self.accounts_over, "accounts over their limit of calls"),
            (
                self.forgotten,
                "payloads that the local IVS forgot before they were read",
            ),
        ];
        let real = faults.iter().filter(|(count, _)| *count > 0);
        real.map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

fn over<'a>(calls: impl Iterator<Item = &'a Calls>) -> u64 {
    calls.filter(|calls| calls.most > calls.limit).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Books {
        let channel = ChannelBooks {
            seen: Seen {
                delivered: 90,
                missing: 10,
                ..Seen::default()
            },
            ended: Ended {
                delivered: 90,
                expired: 4,
                evicted: 3,
                dead_lettered: 2,
                queued: 1,
                ..Ended::default()
            },
            calls: Calls {
                made: 50,
                most: 5,
                limit: 5,
            },
        };
        Books {
            channels: vec![channel; 2],
            accounts: vec![Calls {
                made: 100,
                most: 155,
                limit: 155,
            }],
            forgotten: 0,
        }
    }

    #[test]
    fn each_fault_of_the_books_is_found_and_nothing_else_is() {
        type Doctor = fn(&mut Books);
        let cases: [(Doctor, &str); 10] = [
            (|_| {}, ""),
            (|books| books.channels[1].seen.missing += 1, "1 lost"),
            (|books| books.channels[0].ended.expired -= 2, "2 lost"),
            (|books| books.channels[0].ended.queued -= 1, "1 lost"),
            (
                // What the other channel has too many of excuses nothing.
                |books| {
                    books.channels[0].ended.expired += 5;
                    books.channels[1].seen.missing += 3;
                },
                "3 lost",
            ),
            (|books| books.channels[1].seen.doubled = 1, "1 duplicated"),
            (
                |books| books.channels[0].seen.disordered = 2,
                "2 out of order",
            ),
            (
                |books| books.channels[1].calls.most = 6,
                "1 channels over their limit of calls",
            ),
            (
                |books| books.accounts[0].most = 156,
                "1 accounts over their limit of calls",
            ),
            (
                |books| books.forgotten = 7,
                "7 payloads that the local IVS forgot before they were read",
            ),
        ];
        for (doctor, fault) in cases {
            let mut books = good();
            doctor(&mut books);
            let faults = Findings::of(&books).faults();
            assert_eq!(faults.join("; "), fault, "{books:?}");
        }
    }

    #[test]
    fn totals_are_compared_and_a_gateway_started_anew_counts_from_nothing() {
        let totals = |accepted, delivered, expired, dead: &[(&str, u64)]| {
            let mut totals = Totals::default();
            totals.accepted = accepted;
            totals.delivered = delivered;
            totals.expired = expired;
            let dead = dead.iter().map(|(name, n)| ((*name).to_owned(), *n));
            totals.dead_lettered = dead.collect();
            totals
        };
        let before = totals(100, 90, 3, &[("offline", 1)]);
        let after = totals(200, 180, 10, &[("offline", 2), ("expired", 4)]);
        let ended = Ended::between(&before, &after, 6);
        assert_eq!(
            (
                ended.delivered,
                ended.expired,
                ended.dead_lettered,
                ended.queued
            ),
            (90, 7, 5, 6)
        );
        assert_eq!(ended.excused(), 18);
        let anew = totals(50, 40, 2, &[]);
        let ended = Ended::between(&before, &anew, 0);
        assert_eq!((ended.delivered, ended.expired), (40, 2));
    }
}
