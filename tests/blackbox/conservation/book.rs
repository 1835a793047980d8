//! What the producer knows of each event it sent.

use std::fmt::Write as _;

/// What an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It lives longer than the test.
    Lasting,
    /// It may expire.
    Brief,
    /// One vote, to be added to others.
    Vote,
}

/// What the producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent, and no answer came: it may be there or not.
    Unknown,
    /// Accepted: a promise.
    Promised,
    /// Accepted by a process that kept nothing on disk and was killed: it came out before that, or never does.
    Forgotten,
    /// Refused, and the answer came: no promise, and nothing half done.
    Refused,
    /// Cancelled, and the answer came: another promise.
    Cancelled,
    /// Its cancellation was sent, and no answer came.
    MaybeCancelled,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Entry {
    pub channel: usize,
    pub key: Option<u8>,
    pub kind: Kind,
    pub fate: Fate,
}

/// Every event of a lane. Its place is its number, its id and its data.
#[derive(Default)]
pub struct Book {
    pub entries: Vec<Entry>,
    /// Events before this one were there when a process was killed whose disk had no room even
    /// for what became of them: what it delivered since may be delivered again.
    pub repeatable: usize,
}

/// Keys of a channel.
const KEYS: u8 = 3;

impl Book {
    /// Enters some events for one channel that are about to be sent.
    pub fn enter(
        &mut self,
        channel: usize,
        count: usize,
        random: &mut fastrand::Rng,
    ) -> Vec<usize> {
        let first = self.entries.len();
        self.entries.extend((0..count).map(|_| {
            let kind = match random.u8(..100) {
                0..15 => Kind::Brief,
                15..45 => Kind::Vote,
                _ => Kind::Lasting,
            };
            Entry {
                channel,
                key: random.bool().then(|| random.u8(..KEYS)),
                kind,
                fate: Fate::Unknown,
            }
        }));
        (first..self.entries.len()).collect()
    }

    /// Events as one NDJSON body.
    pub fn body(&self, numbers: &[usize]) -> String {
        let mut body = String::new();
        for number in numbers {
            let entry = &self.entries[*number];
            // The same each time it is sent.
            let mut random = fastrand::Rng::with_seed(*number as u64);
            let _ = write!(body, r#"{{"id":"{number}","#);
            if entry.kind == Kind::Vote {
                let _ = writeln!(
                    body,
                    r#""key":"votes","merge":"sum","data":{{"votes":1}}}}"#
                );
                continue;
            }
            if let Some(key) = entry.key {
                let _ = write!(body, r#""key":"k{key}","#);
            }
            if entry.kind == Kind::Brief {
                let _ = write!(body, r#""ttl_ms":{},"#, random.u32(1..3000));
            }
            let priority = ["low", "normal", "normal", "high"][random.usize(..4)];
            let filler = "é".repeat(random.usize(..40));
            let _ = writeln!(
                body,
                r#""priority":"{priority}","data":{{"i":{number},"f":"{filler}"}}}}"#
            );
        }
        body
    }

    /// The process that knew of all this kept nothing on disk, and was killed.
    pub fn forget(&mut self) {
        for entry in &mut self.entries {
            if entry.fate == Fate::Promised {
                entry.fate = Fate::Forgotten;
            }
        }
    }

    /// They were accepted, or had been before; but for the `refused`, by their place.
    pub fn promise(&mut self, numbers: &[usize], refused: &[usize]) {
        for (place, number) in numbers.iter().enumerate() {
            let is_refused = refused.contains(&place);
            self.entries[*number].fate = if is_refused {
                Fate::Refused
            } else {
                Fate::Promised
            };
        }
    }
}
