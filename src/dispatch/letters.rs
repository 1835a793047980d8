//! Dead letters: the events that can never be delivered, with the reason and the last error,
//! until somebody replays or purges them.
//!
//! All of them are in memory, and in the journal where there is one. Bounded: the oldest go
//! first, and are counted. Events that a policy dropped while their stream was offline are
//! none: that is what the policy asks for.
//!
//! With them is kept what the API last said about each channel that fails, because an event that
//! dies after a restart died of it too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Content, Data, DeadLetter, Merge, Priority};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::last_error::LastError;
use crate::clock::{BootId, Moment};
use crate::journal::DeadLetterStore;
use crate::timestamp::rfc3339;

/// Most letters kept: a wrong role on a busy channel makes hundreds a second, and a person
/// looks at the first few.
const LETTERS_MAX: usize = 10_000;

/// Most bytes they take, as they are written.
const BYTES_MAX: usize = 16 << 20;

/// Most channels whose last error is kept over restarts; of more, the oldest error goes.
const ERRORS_MAX: usize = 10_000;

/// Where the numbers of errors begin on the shelf. No letter gets there: it would take a million a
/// second for a hundred thousand years.
const FIRST_ERROR: u64 = 1 << 63;

/// What the API last said about a channel that fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Failing {
    /// The channel's ARN.
    channel: String,
    error: LastError,
}

/// One dead letter, as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct ShownLetter {
    id: u64,
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<Arc<str>>,
    reason: String,
    at: String,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LastError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    event: LetterEvent,
}

/// One dead letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Greater than those of all letters before it that are kept.
    pub id: u64,
    /// The channel's ARN.
    pub channel: String,
    /// As in `cuegate_events_dead_lettered_total`.
    pub reason: String,
    /// When it died, in ms since 1970, by the wall clock as it is known now.
    pub at_ms: u64,
    /// The same on the clock of that boot, which nobody sets. Kept, and not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    died: Option<Died>,
    /// What the API last said about the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<LastError>,
    /// The payload it was sent in, if it was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// The event.
    pub event: LetterEvent,
}

/// A moment of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Died {
    boot: BootId,
    /// µs since it.
    micros: u64,
}

/// A wall clock that is set by less says nothing about moments in the past: it drifts, and it is
/// read a little later than the others.
const DRIFT_MS: u64 = 1000;

impl Letter {
    /// As operators see it, under the alias that its channel has now.
    #[must_use]
    pub fn shown(self, alias: Option<Arc<str>>) -> ShownLetter {
        ShownLetter {
            id: self.id,
            channel: self.channel,
            alias,
            reason: self.reason,
            at: rfc3339(i64::try_from(self.at_ms).unwrap_or(i64::MAX)),
            at_ms: self.at_ms,
            error: self.error,
            n: self.n,
            event: self.event,
        }
    }

    /// Corrects when it died, if that was in this boot and the wall clock was set since; whether
    /// it did.
    fn correct(&mut self, now: &Moment) -> bool {
        let Some((died, (boot, micros))) = self.died.zip(now.boot) else {
            return false;
        };
        if died.boot != boot {
            return false;
        }
        let ago = i64::try_from(micros.saturating_sub(died.micros)).unwrap_or(i64::MAX);
        let at_ms = now.wall.micros().saturating_sub(ago) / 1000;
        let at_ms = u64::try_from(at_ms).unwrap_or(0);
        let moved = at_ms.abs_diff(self.at_ms) > DRIFT_MS;
        if moved {
            self.at_ms = at_ms;
        }
        moved
    }
}

/// The event of a letter, as its producer wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LetterEvent {
    data: Box<RawValue>,
    /// The data is a string that leaves byte for byte: it came in as an AWS client's call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    verbatim: bool,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<String>,
    priority: String,
}

impl LetterEvent {
    /// None: its data is no JSON, which no accepted event's is.
    fn of(content: &Content) -> Option<Self> {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let data = match &content.data {
            Data::Json(text) => RawValue::from_string(text.to_string()),
            Data::Verbatim(text) => serde_json::value::to_raw_value(&**text),
        };
        Some(Self {
            data: data.ok()?,
            verbatim: matches!(content.data, Data::Verbatim(_)),
            kind: text(&content.kind),
            id: text(&content.id),
            key: text(&content.key),
            merge: content.merge.map(|merge| merge.name().to_owned()),
            priority: content.priority.name().to_owned(),
        })
    }

    /// What the event said.
    pub(super) fn content(&self) -> Content {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let data = if self.verbatim {
            let string: String = serde_json::from_str(self.data.get()).unwrap_or_default();
            Data::Verbatim(string.into())
        } else {
            Data::Json(self.data.get().into())
        };
        Content {
            kind: text(&self.kind),
            id: text(&self.id),
            key: text(&self.key),
            merge: self.merge.as_deref().and_then(Merge::from_name),
            priority: Priority::from_name(&self.priority).unwrap_or_default(),
            ..Content::new(data)
        }
    }
}

/// Which letters are meant; what is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// One letter.
    pub id: Option<u64>,
    /// A channel's ARN.
    pub channel: Option<String>,
    /// A reason.
    pub reason: Option<String>,
}

impl LetterFilter {
    fn fits(&self, letter: &Letter) -> bool {
        self.id.is_none_or(|id| id == letter.id)
            && self
                .channel
                .as_ref()
                .is_none_or(|arn| *arn == letter.channel)
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason)
    }
}

struct Kept {
    /// With their bytes as they are written.
    letters: BTreeMap<u64, (Letter, usize)>,
    bytes: usize,
    next: u64,
    /// By their numbers on the shelf.
    failing: BTreeMap<u64, Failing>,
    /// The same, by the channels' ARNs.
    failing_of: HashMap<String, u64>,
    next_error: u64,
    /// What the journal has not heard yet; none where there is no journal, which would never ask.
    changed: Option<Vec<u64>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            letters: BTreeMap::new(),
            bytes: 0,
            next: 0,
            failing: BTreeMap::new(),
            failing_of: HashMap::new(),
            next_error: FIRST_ERROR,
            changed: None,
        }
    }
}

/// All dead letters.
#[derive(Default)]
pub struct DeadLetters(Mutex<Kept>);

impl DeadLetters {
    pub(super) fn add(
        &self,
        channel: &str,
        dead: &[DeadLetter],
        error: Option<&LastError>,
        now: &Moment,
    ) {
        let at_ms = u64::try_from(now.wall.micros() / 1000).unwrap_or(0);
        let died = now.boot.map(|(boot, micros)| Died { boot, micros });
        let mut kept = self.lock();
        for dead in dead {
            let Some(event) = LetterEvent::of(&dead.content) else {
                continue;
            };
            let letter = Letter {
                id: kept.next,
                channel: channel.to_owned(),
                reason: dead.reason.name().to_owned(),
                at_ms,
                died,
                error: error.cloned(),
                n: dead.n,
                event,
            };
            kept.next += 1;
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
        match error {
            Some(error) => kept.fails(channel, error),
            None => kept.works(channel),
        }
    }

    /// What the API last said about a channel that fails.
    pub(super) fn error_of(&self, channel: &str) -> Option<LastError> {
        let kept = self.lock();
        let number = kept.failing_of.get(channel)?;
        kept.failing
            .get(number)
            .map(|failing| failing.error.clone())
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
            .cloned()
            .map(|letter| Letter {
                died: None,
                ..letter
            })
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
    /// Of an error that comes again only the first is written: a channel has many a minute.
    fn fails(&mut self, channel: &str, error: &LastError) -> bool {
        let known = self.failing_of.get(channel).copied();
        let said = |error: &LastError| (error.code.clone(), error.status, error.message.clone());
        if let Some(failing) = known.and_then(|number| self.failing.get(&number))
            && said(&failing.error) == said(error)
        {
            return false;
        }
        let number = known.unwrap_or(self.next_error);
        self.next_error = self.next_error.max(number + 1);
        let failing = Failing {
            channel: channel.to_owned(),
            error: error.clone(),
        };
        self.put(number, failing);
        self.changed(number);
        while self.failing.len() > ERRORS_MAX {
            let Some((oldest, failing)) = self.failing.pop_first() else {
                break;
            };
            self.failing_of.remove(&failing.channel);
            self.changed(oldest);
        }
        true
    }

    fn works(&mut self, channel: &str) -> bool {
        let Some(number) = self.failing_of.remove(channel) else {
            return false;
        };
        self.failing.remove(&number);
        self.changed(number);
        true
    }

    /// Notes for the journal that what is under this number changed.
    fn changed(&mut self, number: u64) {
        if let Some(changed) = &mut self.changed {
            changed.push(number);
        }
    }

    fn put(&mut self, number: u64, failing: Failing) {
        self.failing_of.insert(failing.channel.clone(), number);
        self.failing.insert(number, failing);
    }

    /// What is on the shelf under a number, as it is written.
    fn written(&self, number: u64) -> Option<Vec<u8>> {
        if number >= FIRST_ERROR {
            return self.failing.get(&number).map(text);
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
                kept.next_error = kept.next_error.max(id + 1);
                serde_json::from_slice(&text).map(|failing| kept.put(id, failing))
            } else {
                kept.next = kept.next.max(id + 1);
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
        let failing = kept.failing.iter();
        letters
            .chain(failing.map(|(number, failing)| (*number, text(failing))))
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
    use super::*;
    use engine::DeadLetterReason;

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
