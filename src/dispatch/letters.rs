//! Dead letters: the events that can never be delivered, with the reason and the last error,
//! until somebody replays or purges them.
//!
//! All of them are in memory, and in the journal where there is one. Bounded: the oldest go
//! first, and are counted. Events that a policy dropped while their stream was offline are
//! none: that is what the policy asks for.
//!
//! With them is kept what the API last said about each channel that fails, because an event that
//! dies after a restart died of it too.
//!
//! - `numbers`: their ids;
//! - `letter`: one letter, as it is written and as operators see it;
//! - `last_errors`: what the API last said about channels.

mod last_errors;
mod letter;
mod numbers;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::DeadLetter;
use serde::Serialize;

use super::last_error::LastError;
use crate::clock::Moment;
use crate::journal::DeadLetterStore;
use last_errors::{FIRST_ERROR, LastErrors};
pub use letter::{Letter, LetterFilter, ShownLetter};
use numbers::Numbers;

/// Most letters kept: a wrong role on a busy channel makes hundreds a second, and a person
/// looks at the first few.
const LETTERS_MAX: usize = 10_000;

/// Most bytes they take, as they are written.
const BYTES_MAX: usize = 16 << 20;

#[derive(Default)]
struct Kept {
    /// With their bytes as they are written.
    letters: BTreeMap<u64, (Letter, usize)>,
    bytes: usize,
    numbers: Numbers,
    errors: LastErrors,
    /// What the journal has not heard yet; none where there is no journal, which would never ask.
    changed: Option<Vec<u64>>,
}

/// All dead letters.
#[derive(Default)]
pub struct DeadLetters(Mutex<Kept>);

impl DeadLetters {
    /// They are those of an account in a cluster.
    pub(super) fn of_account(&self, id: &str, region: &str) {
        self.lock().numbers.of_account(id, region);
    }

    pub(super) fn add(
        &self,
        channel: &str,
        dead: &[DeadLetter],
        error: Option<&LastError>,
        now: &Moment,
    ) {
        let mut kept = self.lock();
        for dead in dead {
            let now_ms = u64::try_from(now.wall.micros() / 1000).unwrap_or(0);
            let id = kept.numbers.take(now_ms);
            let Some(letter) = Letter::of(id, channel, dead, error, now) else {
                continue;
            };
            let bytes = text(&letter).len();
            kept.insert(letter, bytes);
        }
        while kept.letters.len() > LETTERS_MAX || kept.bytes > BYTES_MAX {
            let Some((&oldest, _)) = kept.letters.first_key_value() else {
                break;
            };
            kept.remove(oldest);
            tracing::debug!(id = oldest, "the oldest dead letter made room");
        }
    }

    /// What the API said about a channel, which is kept over restarts until a call is delivered:
    /// none then. Whether that is something new to the journal.
    pub(super) fn note(&self, channel: &str, error: Option<&LastError>) -> bool {
        let mut kept = self.lock();
        let changed = match error {
            Some(error) => kept.errors.fails(channel, error),
            None => Vec::from_iter(kept.errors.works(channel)),
        };
        for number in &changed {
            kept.changed(*number);
        }
        !changed.is_empty()
    }

    /// What the API last said about a channel that fails.
    pub(super) fn error_of(&self, channel: &str) -> Option<LastError> {
        self.lock().errors.of(channel).cloned()
    }

    /// Up to `limit` letters after `after`, oldest first.
    pub(super) fn list(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<Letter> {
        let first = after.map_or(0, |after| after.saturating_add(1));
        let kept = self.lock();
        let letters = kept.letters.range(first..).map(|(_, (letter, _))| letter);
        letters
            .filter(|letter| filter.fits(letter))
            .take(limit)
            .map(Letter::told)
            .collect()
    }

    /// The wall clock was set: corrects when letters of this boot died; whether any changed.
    pub(super) fn correct(&self, now: &Moment) -> bool {
        let mut kept = self.lock();
        let kept = &mut *kept;
        let mut any = false;
        for (id, (letter, bytes)) in &mut kept.letters {
            if letter.correct(now) {
                kept.bytes -= *bytes;
                *bytes = text(letter).len();
                kept.bytes += *bytes;
                any = true;
                if let Some(changed) = &mut kept.changed {
                    changed.push(*id);
                }
            }
        }
        any
    }

    /// Forgets letters; the answer is how many there were.
    pub(super) fn remove(&self, ids: impl IntoIterator<Item = u64>) -> usize {
        let mut kept = self.lock();
        ids.into_iter().filter(|id| kept.remove(*id)).count()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().letters.len()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Notes for the journal that what is under this number changed.
    fn changed(&mut self, number: u64) {
        if let Some(changed) = &mut self.changed {
            changed.push(number);
        }
    }

    /// What is on the shelf under a number, as it is written.
    fn written(&self, number: u64) -> Option<Vec<u8>> {
        if number >= FIRST_ERROR {
            return self.errors.at(number).map(text);
        }
        self.letters.get(&number).map(|(letter, _)| text(letter))
    }

    fn insert(&mut self, letter: Letter, bytes: usize) {
        self.changed(letter.id);
        self.bytes += bytes;
        self.letters.insert(letter.id, (letter, bytes));
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some((_, bytes)) = self.letters.remove(&id) else {
            return false;
        };
        self.bytes -= bytes;
        self.changed(id);
        true
    }
}

impl DeadLetterStore for DeadLetters {
    /// What cannot be read is told and left out.
    fn restore(&self, letters: Vec<(u64, Vec<u8>)>) {
        let mut kept = self.lock();
        for (id, text) in letters {
            let read = if id >= FIRST_ERROR {
                serde_json::from_slice(&text).map(|failing| kept.errors.put(id, failing))
            } else {
                kept.numbers.note(id);
                serde_json::from_slice(&text).map(|letter| kept.insert(letter, text.len()))
            };
            if let Err(error) = read {
                tracing::error!(id, %error, "a dead letter, or a channel's last error, cannot be read");
            }
        }
        kept.changed = Some(Vec::new());
    }

    fn take(&self) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut kept = self.lock();
        let mut changed = kept
            .changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        changed.sort_unstable();
        changed.dedup();
        let now = |id: u64| (id, kept.written(id));
        changed.into_iter().map(now).collect()
    }

    fn all(&self) -> Vec<(u64, Vec<u8>)> {
        let mut kept = self.lock();
        kept.changed.iter_mut().for_each(Vec::clear);
        let letters = kept.letters.iter();
        let letters = letters.map(|(id, (letter, _))| (*id, text(letter)));
        let errors = kept.errors.all();
        letters
            .chain(errors.map(|(number, failing)| (number, text(failing))))
            .collect()
    }
}

/// As it is written to the journal.
fn text(thing: &impl Serialize) -> Vec<u8> {
    // None has anything that JSON cannot say.
    serde_json::to_vec(thing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::last_errors::ERRORS_MAX;
    use super::*;
    use engine::{Content, Data, DeadLetterReason, Merge, Priority};

    use crate::clock::manual::Machine;

    fn dead(data: &str) -> DeadLetter {
        DeadLetter {
            content: Content {
                kind: Some("t".into()),
                key: Some("k".into()),
                merge: Some(Merge::Sum),
                priority: Priority::High,
                ..Content::new(Data::Json(data.into()))
            },
            due: engine::Time::ZERO,
            reason: DeadLetterReason::AccessDenied,
            n: Some(7),
        }
    }

    /// Those of a gateway with a journal.
    fn journalled() -> DeadLetters {
        let letters = DeadLetters::default();
        letters.restore(Vec::new());
        letters
    }

    /// Without a journal nobody would ever take the notes: they would only grow.
    #[test]
    fn nothing_is_noted_for_a_journal_that_is_off() {
        for (letters, noted) in [(DeadLetters::default(), 0), (journalled(), 2)] {
            letters.add("a", &[dead("1"), dead("2")], None, &moment());
            assert_eq!(letters.take().len(), noted);
        }
    }

    fn moment() -> Moment {
        Machine::new().start().moment()
    }

    /// The wall clock is set while it is kept, and before it is read again.
    #[test]
    fn when_a_letter_died_is_right_once_the_clock_is() {
        let at_ms =
            |letters: &DeadLetters| letters.list(&LetterFilter::default(), None, 1)[0].at_ms;
        let machine = Machine::new();
        let truth = machine.wall_ms().cast_unsigned() + 5000;
        machine.set_by_ms(-3_600_000);
        let clock = machine.start();
        machine.pass_ms(5000);
        let letters = journalled();
        letters.add("a", &[dead("1")], None, &clock.moment());
        letters.take();
        assert_eq!(at_ms(&letters), truth - 3_600_000);
        machine.pass_ms(60_000);
        machine.set_by_ms(500);
        assert!(!letters.correct(&clock.moment()), "hardly");
        machine.set_by_ms(3_600_000 - 500);
        let before = letters.all();
        assert!(letters.correct(&clock.moment()));
        assert_eq!(at_ms(&letters), truth);
        assert_eq!(letters.take().len(), 1, "the disk hears of it");
        // Or nobody was there when the clock was set.
        let later = DeadLetters::default();
        later.restore(before.clone());
        later.correct(&machine.start().moment());
        assert_eq!(at_ms(&later), truth);
        // After a boot it stays as it was written.
        let after = DeadLetters::default();
        after.restore(before);
        machine.boot();
        assert!(!after.correct(&machine.start().moment()));
        assert_eq!(at_ms(&after), truth - 3_600_000);
        let told = serde_json::to_string(&after.list(&LetterFilter::default(), None, 1));
        assert!(!told.expect("JSON").contains("died"));
    }

    #[test]
    fn the_oldest_make_room() {
        let letters = DeadLetters::default();
        let many: Vec<DeadLetter> = (0..LETTERS_MAX + 5).map(|n| dead(&n.to_string())).collect();
        letters.add("a", &many, None, &moment());
        assert_eq!(letters.len(), LETTERS_MAX);
        let first = letters.list(&LetterFilter::default(), None, 1);
        assert_eq!(first[0].id, 5);
        let large = "1".repeat(BYTES_MAX / 4);
        letters.add("a", &vec![dead(&large); 4], None, &moment());
        assert_eq!(letters.len(), 3);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let letters = journalled();
        letters.add("a", &[dead("1.50"), dead("2")], None, &moment());
        letters.add("b", &[dead("3")], None, &moment());
        assert_eq!(letters.remove([1, 1, 9]), 1);
        let news = letters.take();
        let ids: Vec<_> = news
            .iter()
            .map(|(id, text)| (*id, text.is_some()))
            .collect();
        assert_eq!(ids, [(0, true), (1, false), (2, true)]);
        assert!(letters.take().is_empty());

        let again = DeadLetters::default();
        again.restore(letters.all());
        assert!(again.take().is_empty());
        let of_a = LetterFilter {
            channel: Some("a".to_owned()),
            ..LetterFilter::default()
        };
        let kept = again.list(&of_a, None, 9);
        assert_eq!(kept.len(), 1);
        let event = kept[0].event.content();
        assert_eq!(event.data, Data::Json("1.50".into()));
        assert_eq!(
            (event.merge, event.priority),
            (Some(Merge::Sum), Priority::High)
        );
        again.add("c", &[dead("4")], None, &moment());
        assert_eq!(again.list(&LetterFilter::default(), Some(2), 9)[0].id, 3);
    }

    /// A channel's last error is kept until a call is delivered, apart from the letters.
    #[test]
    fn last_errors_are_written_and_read_again() {
        let error = |message: &str| LastError {
            code: None,
            status: Some(503),
            message: message.to_owned(),
            at_ms: 1,
        };
        let letters = journalled();
        assert!(letters.note("a", Some(&error("x"))));
        let later = LastError {
            at_ms: 2,
            ..error("x")
        };
        assert!(!letters.note("a", Some(&later)), "the same again");
        assert!(letters.note("b", Some(&error("y"))));
        assert!(letters.note("a", Some(&error("z"))));
        assert!(!letters.note("c", None), "it never failed");
        letters.add("a", &[dead("1")], None, &moment());
        let again = DeadLetters::default();
        again.restore(
            letters
                .take()
                .into_iter()
                .map(|(id, text)| (id, text.expect("there")))
                .collect(),
        );
        assert_eq!(again.error_of("a"), Some(error("z")));
        assert_eq!(again.len(), 1);
        assert!(again.note("a", None));
        assert!(!again.note("b", Some(&error("y"))));
        assert!(
            again.note("c", Some(&error("y"))),
            "under a number of its own"
        );
        assert_eq!(again.take().len(), 2, "one is gone, one is new");
        let third = DeadLetters::default();
        third.restore(again.all());
        let known = ["a", "b", "c"].map(|channel| third.error_of(channel).is_some());
        assert_eq!(known, [false, true, true]);
        // Those of the oldest go.
        for nth in 0..=ERRORS_MAX {
            third.note(&format!("many-{nth}"), Some(&error("x")));
        }
        assert_eq!(third.error_of("b"), None);
        assert_eq!(third.all().len(), ERRORS_MAX + 1);
    }

    #[test]
    fn a_string_of_an_aws_client_stays_as_it_is() {
        let verbatim = DeadLetter {
            content: Content::new(Data::Verbatim("  \"é\n".into())),
            ..dead("")
        };
        let letters = DeadLetters::default();
        letters.add("a", std::slice::from_ref(&verbatim), None, &moment());
        let letter = letters.list(&LetterFilter::default(), None, 1).remove(0);
        assert_eq!(letter.event.content().data, verbatim.content.data);
    }
}
