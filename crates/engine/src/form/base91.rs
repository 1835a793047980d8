//! basE91: 13 or 14 bits in two characters, low bits first.
//!
//! The alphabet has no quote, backslash, apostrophe or space, so that nothing of it is escaped in
//! JSON or in an attribute of HTML.

pub(super) const ALPHABET: &[u8; 91] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-";
const BASE: u32 = 91;
/// Thirteen bits of this value and less leave room for a fourteenth: 91 * 91 = 8192 + 89.
const LOW: u32 = 88;
/// In [`VALUES`]: no character of the alphabet.
const NONE: u8 = u8::MAX;

/// The value of each character.
static VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value: u8 = 0;
    while (value as usize) < ALPHABET.len() {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Appends the bytes to `out`.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len() * 16 / 13 + 2);
    let (mut held, mut count) = (0, 0);
    for &byte in bytes {
        held |= u32::from(byte) << count;
        count += 8;
        if count > 13 {
            let low = held & 0x1fff;
            let (value, taken) = if low > LOW {
                (low, 13)
            } else {
                (held & 0x3fff, 14)
            };
            held >>= taken;
            count -= taken;
            push(value % BASE, out);
            push(value / BASE, out);
        }
    }
    if count > 0 {
        push(held % BASE, out);
        if count > 7 || held >= BASE {
            push(held / BASE, out);
        }
    }
}

fn push(value: u32, out: &mut String) {
    out.push(char::from(ALPHABET[value as usize]));
}

/// The bytes that `text` stands for; none: it has a character that is not of the alphabet.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 7 / 8 + 1);
    let (mut held, mut count) = (0, 0);
    let mut pairs = text.as_bytes().chunks_exact(2);
    for pair in &mut pairs {
        let value = value(pair[0])? + value(pair[1])? * BASE;
        held |= value << count;
        count += if value & 0x1fff > LOW { 13 } else { 14 };
        while count > 7 {
            bytes.push(held.to_le_bytes()[0]);
            held >>= 8;
            count -= 8;
        }
    }
    if let [last] = pairs.remainder() {
        held |= value(*last)? << count;
        bytes.push(held.to_le_bytes()[0]);
    }
    Some(bytes)
}

fn value(character: u8) -> Option<u32> {
    let value = VALUES[usize::from(character)];
    (value != NONE).then_some(value.into())
}
