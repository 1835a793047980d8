//! Signs of life of a stream that a call found offline, and when an event may be spent to see
//! whether it is back: the one owner of that policy.
//!
//! Under the policies `drop` and `reject` a probe costs an event that a producer was told is
//! accepted. So none is spent while the account's list of live streams is read and does not have
//! the channel. Where nobody can read it, one event in [`SPEND_EVERY`] is, because a notice may
//! never come. Nothing here knows of queues, tokens or paces.

use crate::call::Entry;
use crate::time::{Span, Time};

/// At most one event is spent in this time unless somebody says that the stream is live: an
/// event's default TTL.
const SPEND_EVERY: Span = Span::from_millis(10_000);

/// How long a page of the list counts: lists come once a second, and one that fails for ten
/// times in a row is as good as none.
const LIST_COUNTS: Span = Span::from_millis(10_000);

/// Who says that a stream is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witness {
    /// A notice, or an operator.
    Notice,
    /// The account's list of live streams.
    List,
}

/// What is known of a stream beside the calls to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// When a call last found it offline.
    offline: Time,
    /// Who has said since that it is live, and when.
    live: Option<(Witness, Time)>,
    /// When a call last found it offline though the list had it.
    list_was_wrong: Time,
}

impl Signs {
    /// A call found it offline.
    pub(super) fn found_offline(&mut self, now: Time) {
        if matches!(self.live, Some((Witness::List, _))) {
            self.list_was_wrong = now;
        }
        self.live = None;
        self.offline = now;
    }

    /// A notice says that it is live.
    pub(super) const fn noticed_live(&mut self, now: Time) {
        self.live = Some((Witness::Notice, now));
    }

    /// A notice says that it has ended.
    pub(super) const fn noticed_end(&mut self) {
        self.live = None;
    }

    /// A page of the list that was asked for at `asked` has it. False: that is no news, because a
    /// call was answered since.
    ///
    /// A list that was wrong is not believed again at once: each time it would cost an event.
    pub(super) fn listed(&mut self, asked: Time) -> bool {
        if asked <= self.offline {
            return false;
        }
        let doubtful =
            self.list_was_wrong != Time::ZERO && asked.since(self.list_was_wrong) < SPEND_EVERY;
        let witness = self.live.map_or(Witness::List, |(witness, _)| witness);
        if self.live.is_some() || !doubtful {
            self.live = Some((witness, asked));
        }
        true
    }

    /// A whole list that was begun at `began` does not have it; whether that changes anything. One
    /// that was begun before the last sign of life says nothing.
    pub(super) fn not_listed(&mut self, began: Time) -> bool {
        let over = self.live.is_some_and(|(_, at)| at < began);
        if over {
            self.live = None;
        }
        over
    }

    /// What is let through while it is offline, the list aside.
    pub(super) fn entry(&self) -> Entry {
        match self.live {
            Some(_) => Entry::Open,
            None => Entry::ProbeFrom(self.offline + SPEND_EVERY),
        }
    }
}

/// What is let through of a stream with these signs, the account's list having been read last at
/// `list_read`.
pub(super) fn with_list(entry: Entry, list_read: Option<Time>) -> Entry {
    match (entry, list_read) {
        (Entry::ProbeFrom(from), Some(read)) => Entry::ProbeFrom(from.max(read + LIST_COUNTS)),
        (entry, _) => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Said {
        Offline(u64),
        Live(u64),
        End,
        Listed(u64),
        NotListed(u64),
    }

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    /// What is said, in order, in seconds; then from which second on an event is spent (`None`:
    /// all are let through), with the list last read at that second.
    fn check(said: &[Said], list_read: Option<u64>, probe_from: Option<u64>) {
        let mut signs = Signs::default();
        for said in said {
            match *said {
                Said::Offline(now) => signs.found_offline(at(now)),
                Said::Live(now) => signs.noticed_live(at(now)),
                Said::End => signs.noticed_end(),
                Said::Listed(asked) => _ = signs.listed(at(asked)),
                Said::NotListed(began) => _ = signs.not_listed(at(began)),
            }
        }
        let entry = with_list(signs.entry(), list_read.map(at));
        let expected = probe_from.map_or(Entry::Open, |from| Entry::ProbeFrom(at(from)));
        assert_eq!(entry, expected, "{said:?}, read at {list_read:?}");
    }

    #[test]
    fn when_events_are_spent() {
        use Said::{End, Listed, Live, NotListed, Offline};
        check(&[Offline(5)], None, Some(15));
        // Read, and not there: the list will tell. Until it is no longer read.
        check(&[Offline(5)], Some(5), Some(15));
        check(&[Offline(5), NotListed(100)], Some(101), Some(111));
        // Somebody says that it is live.
        check(&[Offline(5), Live(6)], Some(6), None);
        check(&[Offline(5), Listed(6)], Some(6), None);
        // A list from before the call was answered says nothing.
        check(&[Offline(5), Listed(4)], Some(6), Some(16));
        check(&[Offline(5), Listed(5)], Some(6), Some(16));
        // Nor does one from before a notice that it is missing in, but a later one does.
        check(&[Offline(5), Live(7), NotListed(6)], Some(8), None);
        check(&[Offline(5), Live(7), NotListed(8)], Some(9), Some(19));
        check(
            &[Offline(5), Live(7), Listed(8), NotListed(8)],
            Some(9),
            None,
        );
        check(&[Offline(5), Listed(6), NotListed(7)], Some(8), Some(18));
        check(&[Offline(5), Live(6), End], Some(7), Some(17));
        // A list that was wrong is believed again after a while; a notice at any time.
        let wrong = [Offline(5), Listed(6), Offline(7)];
        check(&[&wrong[..], &[Listed(8)]].concat(), Some(8), Some(18));
        check(&[&wrong[..], &[Listed(16)]].concat(), Some(16), Some(26));
        check(&[&wrong[..], &[Listed(17)]].concat(), Some(17), None);
        check(&[&wrong[..], &[Live(8)]].concat(), Some(8), None);
        // A notice that was wrong makes the list no worse.
        check(&[Offline(5), Live(6), Offline(7), Listed(8)], Some(8), None);
    }
}
