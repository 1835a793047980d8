//! The form `~2`: a payload that is longer than what can be sent leaves in slices of its form `~0`.
//!
//! `~2` stands before an identity of four characters, the slice's place, how many there are, and a part of
//! what follows `~0` in the whole payload.

use std::collections::VecDeque;

use super::base91::ALPHABET;
use super::{MARK, decode};

/// Most slices of one payload.
pub(crate) const SLICES_MAX: usize = 16;
const SLICE_MARK: &str = "~2";
const ID: usize = 4;
/// What stands before the part: mark, identity, place, count.
const HEAD: usize = SLICE_MARK.len() + ID + 2;

/// Payloads of which a reader keeps slices at once, as players do.
const OPEN_MAX: usize = 3;
/// Payloads that a reader knows to be finished: their slices may come again.
const FINISHED_MAX: usize = 8;

/// How many characters of a payload in the form `~0` so many slices hold, of `limit` bytes each.
pub(crate) const fn slices_hold(count: usize, limit: usize) -> usize {
    count * limit.saturating_sub(HEAD)
}

/// How many slices of at most `limit` bytes a payload in the form `~0` takes: at least two.
pub(crate) fn slices_of(whole: usize, limit: usize) -> usize {
    let body = whole.saturating_sub(MARK.len());
    body.div_ceil(slices_hold(1, limit).max(1)).max(2)
}

/// The slice at `place` of `count`, from 0, of a payload in the form `~0`; all have the same size, but for the
/// last. None: there is no such slice.
pub(crate) fn slice(whole: &str, place: usize, count: usize) -> Option<String> {
    let body = whole.strip_prefix(MARK)?;
    if count > SLICES_MAX || place >= count {
        return None;
    }
    let size = body.len().div_ceil(count);
    let end = body.len().min((place + 1) * size);
    let part = body
        .get(place * size..end)
        .filter(|part| !part.is_empty())?;
    let mut text = String::with_capacity(HEAD + part.len());
    text.push_str(SLICE_MARK);
    let mut id = identity(body);
    for _ in 0..ID {
        text.push(digit(id % ALPHABET.len()));
        id /= ALPHABET.len();
    }
    text.push(digit(place));
    text.push(digit(count));
    text.push_str(part);
    Some(text)
}

fn digit(value: usize) -> char {
    char::from(ALPHABET[value])
}

/// FNV-1a of 32 bits, in four characters.
fn identity(body: &str) -> usize {
    let hash = body.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize % ALPHABET.len().pow(4)
}

/// Reads payloads in every form, one after another, and puts slices together.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    open: VecDeque<Open>,
    finished: VecDeque<String>,
}

/// A payload of which slices came.
#[derive(Clone, Debug)]
struct Open {
    /// Mark, identity and count.
    name: String,
    parts: Vec<Option<String>>,
}

impl Reader {
    /// What a payload says, plain. None: a slice that completes nothing. What is in no form comes back as it is.
    pub fn read(&mut self, text: &str) -> Option<String> {
        let Some(slice) = Slice::of(text) else {
            return Some(decode(text).unwrap_or_else(|_| text.to_owned()));
        };
        let whole = self.join(&slice)?;
        // Parts that do not make a payload are nothing.
        (identity(&whole[MARK.len()..]) == slice.id).then(|| decode(&whole).ok())?
    }

    /// The payload that a slice completes, in the form `~0`.
    fn join(&mut self, slice: &Slice<'_>) -> Option<String> {
        if self.finished.contains(&slice.name) {
            return None;
        }
        let known = self.open.iter().position(|open| open.name == slice.name);
        let place = known.unwrap_or_else(|| {
            if self.open.len() == OPEN_MAX {
                self.open.pop_front();
            }
            self.open.push_back(Open {
                name: slice.name.clone(),
                parts: vec![None; slice.count],
            });
            self.open.len() - 1
        });
        let parts = &mut self.open[place].parts;
        parts[slice.place].get_or_insert_with(|| slice.part.to_owned());
        if parts.iter().any(Option::is_none) {
            return None;
        }
        let open = self.open.remove(place)?;
        if self.finished.len() == FINISHED_MAX {
            self.finished.pop_front();
        }
        self.finished.push_back(open.name);
        let parts: String = open.parts.into_iter().flatten().collect();
        Some(format!("{MARK}{parts}"))
    }
}

/// A slice, taken apart.
struct Slice<'a> {
    id: usize,
    name: String,
    place: usize,
    count: usize,
    part: &'a str,
}

impl<'a> Slice<'a> {
    /// None: the text is no slice.
    fn of(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(SLICE_MARK)?;
        let (head, part) = rest.split_at_checked(HEAD - SLICE_MARK.len())?;
        let value = |character: u8| ALPHABET.iter().position(|known| *known == character);
        let digits: Vec<usize> = head.bytes().map(value).collect::<Option<_>>()?;
        let (place, count) = (digits[ID], digits[ID + 1]);
        let id = digits[..ID].iter().rev();
        (place < count && count <= SLICES_MAX).then(|| Self {
            id: id.fold(0, |id, digit| id * ALPHABET.len() + digit),
            name: format!("{}{count}", &head[..ID]),
            place,
            count,
            part,
        })
    }
}
