//! Which entries go with the next payload, and how they are written behind its items:
//! `,"s":[entry,…],"c":[o,i,last],"r":R`.
//!
//! Deletions go first, then the keys that were told longest ago, as far as the room reaches. A
//! cycle ends with the payload behind which no key is left that was not told since it began.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Cycle, Kept, State, StateEntry};
use crate::envelope::{escaped_size, write_escaped};
use crate::merge::Merge;

/// Entries that are passed over because they do not fit: what filling a payload costs must not
/// depend on how many keys there are.
const MISFITS_MAX: usize = 32;

/// What is known of the room in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fits {
    /// Bytes that are free.
    pub room: usize,
    /// Most bytes of an entry with which it fits a payload of its own.
    pub entry_max: usize,
    /// What is longer may fit compressed: it waits for a trial. Else it is named alone.
    pub waits: bool,
    /// Most keys.
    pub keys_max: usize,
    /// The payload has no items: the first deletion may take more than its quarter.
    pub is_own: bool,
}

/// What a payload carries beside its items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    /// Behind the items, before the last brace.
    pub text: String,
    /// Keys that it tells to be deleted.
    pub deletions: Vec<Arc<str>>,
    /// Keys that it tells of.
    pub told: Vec<Arc<str>>,
    cycle: Option<Cycle>,
    is_last: bool,
}

impl Tail {
    /// How many entries are in it.
    pub(crate) fn entries(&self) -> u64 {
        (self.deletions.len() + self.told.len()) as u64
    }
}

impl State {
    /// What the payload `n` may carry. None: nothing. Keys that are `busy`, because a payload in
    /// flight has them, get no entry.
    pub(crate) fn tail(&self, n: u64, fits: Fits, busy: impl Fn(&str) -> bool) -> Option<Tail> {
        let cycle = self.cycle.unwrap_or(Cycle { start: n, part: 0 });
        let mut close = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            close,
            r#","c":[{},{},0],"r":{}"#,
            n.saturating_sub(cycle.start),
            cycle.part,
            self.reset
        );
        let left = fits.room.checked_sub(close.len())?;
        let mut written = Written {
            text: String::new(),
            left: left.checked_sub(r#","s":[]"#.len()),
        };
        let mut tail = Tail {
            cycle: Some(cycle),
            ..Tail::default()
        };
        self.add_deletions(&mut tail, &mut written, fits, &busy);
        let all = self.add_keys(&mut tail, &mut written, cycle.start, fits, &busy);
        let ending = self.keys.len() - self.by_change.len();
        let told = tail
            .deletions
            .iter()
            .filter(|key| self.keys.contains_key(*key));
        tail.is_last = all && ending == told.count();
        if tail.entries() == 0 && !tail.is_last {
            return None;
        }
        if tail.entries() > 0 {
            let _ = write!(tail.text, r#","s":[{}]"#, written.text);
        }
        if tail.is_last {
            close = close.replacen(",0]", ",1]", 1);
        }
        tail.text.push_str(&close);
        Some(tail)
    }

    fn add_deletions(
        &self,
        tail: &mut Tail,
        written: &mut Written,
        fits: Fits,
        busy: &impl Fn(&str) -> bool,
    ) {
        let mut quarter = fits.room / 4;
        // A payload that ends the cycle begins none: those of the next one wait.
        let cycle = self.cycles + u64::from(self.cycle.is_none());
        let due = self.deletions.values().filter(|deletion| {
            !deletion.in_flight && deletion.cycle <= cycle && !busy(&deletion.key)
        });
        for deletion in due.take(MISFITS_MAX) {
            let size = r#"{"k":"","x":1},"#.len() + escaped_size(&deletion.key);
            let is_first = fits.is_own && tail.deletions.is_empty();
            if size > quarter && !is_first {
                continue;
            }
            let entry = entry(&deletion.key, |text| text.push_str(r#","x":1"#));
            if written.push(&entry) {
                quarter = quarter.saturating_sub(size);
                tail.deletions.push(Arc::clone(&deletion.key));
            }
        }
    }

    /// Whether every key was told since the cycle began, or is told now.
    fn add_keys(
        &self,
        tail: &mut Tail,
        written: &mut Written,
        start: u64,
        fits: Fits,
        busy: &impl Fn(&str) -> bool,
    ) -> bool {
        let mut misfits = 0;
        for (sent, key) in &self.by_sent {
            if *sent >= start {
                break;
            }
            let Some(kept) = self.keys.get(key) else {
                continue;
            };
            let text = match whole(key, kept, fits.entry_max) {
                Some(whole) => Some(whole),
                None if fits.waits && !kept.is_bare => None,
                None => Some(entry(key, |_| {})),
            };
            let has_room = tail.told.len() < fits.keys_max && !busy(key);
            if has_room && text.is_some_and(|text| written.push(&text)) {
                tail.told.push(Arc::clone(key));
            } else {
                misfits += 1;
                if misfits > MISFITS_MAX {
                    break;
                }
            }
        }
        misfits == 0
    }

    /// The key that was told longest ago, if its entry is longer than that and it is not known to fit
    /// no payload.
    pub(crate) fn first_long(&self, most: usize) -> Option<Arc<str>> {
        let (_, key) = self.by_sent.first()?;
        let kept = self.keys.get(key).filter(|kept| !kept.is_bare)?;
        whole(key, kept, most).is_none().then(|| Arc::clone(key))
    }

    /// The key's value fits no payload: it is named alone until it changes.
    pub(crate) fn name_alone(&mut self, key: &str) {
        if let Some(kept) = self.keys.get_mut(key) {
            kept.is_bare = true;
        }
    }

    /// The payload `n` is sent with that.
    pub(crate) fn carried(&mut self, n: u64, tail: &Tail) {
        for key in &tail.deletions {
            if let Some(deletion) = self.deletion_mut(key) {
                deletion.in_flight = true;
            }
        }
        for key in &tail.told {
            if let Some(kept) = self.keys.get_mut(key) {
                self.by_sent.remove(&(kept.sent, Arc::clone(key)));
                kept.sent = n;
                self.by_sent.insert((n, Arc::clone(key)));
            }
        }
        let Some(cycle) = tail.cycle else { return };
        self.cycles += u64::from(cycle.part == 0);
        self.cycle = (!tail.is_last).then_some(Cycle {
            part: cycle.part + 1,
            ..cycle
        });
    }
}

/// Entries, one after another, in what is left of the room.
struct Written {
    text: String,
    left: Option<usize>,
}

impl Written {
    fn push(&mut self, entry: &str) -> bool {
        let size = entry.len() + usize::from(!self.text.is_empty());
        let Some(left) = self.left.and_then(|left| left.checked_sub(size)) else {
            return false;
        };
        self.left = Some(left);
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(entry);
        true
    }
}

/// The entry of a key with its value; none: it fits no payload.
fn whole(key: &str, kept: &Kept, most: usize) -> Option<String> {
    if kept.data.len() + key.len() > most {
        return None;
    }
    let text = with_value(key, &kept.data, kept.kind.as_deref(), kept.merge);
    (text.len() <= most).then_some(text)
}

impl StateEntry {
    /// The entry as payloads and the state over HTTP have it: `{"k":key,"d":value,"t":type,"m":merge}`.
    #[must_use]
    pub fn text(&self) -> String {
        with_value(&self.key, &self.data, self.kind.as_deref(), self.merge)
    }
}

fn with_value(key: &str, data: &str, kind: Option<&str>, merge: Merge) -> String {
    entry(key, |text| {
        text.push_str(r#","d":"#);
        text.push_str(data);
        if let Some(kind) = kind {
            text.push_str(r#","t":""#);
            write_escaped(kind, text);
            text.push('"');
        }
        text.push_str(r#","m":""#);
        text.push_str(merge.name());
        text.push('"');
    })
}

fn entry(key: &str, rest: impl FnOnce(&mut String)) -> String {
    let mut text = String::from(r#"{"k":""#);
    write_escaped(key, &mut text);
    text.push('"');
    rest(&mut text);
    text.push('}');
    text
}
