//! The forms of a payload, read by an implementation of their own that knows nothing of the gateway.

use std::collections::BTreeMap;
use std::io::Read as _;

const ALPHABET: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-";
const DICTIONARY: &[u8] = include_bytes!("../../../player/dictionary.txt");

fn value(character: char) -> u32 {
    let place = ALPHABET.find(character);
    let place = place.unwrap_or_else(|| panic!("{character:?} is not of the alphabet"));
    u32::try_from(place).expect("small")
}

fn unbase91(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(value).collect();
    let (mut bits, mut count, mut bytes) = (0_u64, 0, Vec::new());
    for pair in digits.chunks(2) {
        let (number, width) = match *pair {
            [low, high] => {
                let number = low + 91 * high;
                (number, if number & 8191 > 88 { 13 } else { 14 })
            }
            [last] => (last, 8 - count % 8),
            _ => unreachable!("pairs"),
        };
        bits |= u64::from(number) << count;
        count += width;
        while count >= 8 {
            bytes.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    }
    bytes
}

/// What is compressed with the preset dictionary, as if that stood before it uncompressed.
fn inflate(deflated: &[u8]) -> String {
    let length = u16::try_from(DICTIONARY.len()).expect("short");
    let mut stream = vec![0];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(DICTIONARY);
    stream.extend(deflated);
    let mut plain = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(&stream[..]);
    decoder.read_to_end(&mut plain).expect("DEFLATE");
    String::from_utf8(plain.split_off(DICTIONARY.len())).expect("UTF-8")
}

/// FNV-1a of 32 bits, in four characters, the low ones first.
fn identity(body: &str) -> String {
    let mut hash = 2_166_136_261_u32;
    for byte in body.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    }
    let alphabet: Vec<char> = ALPHABET.chars().collect();
    let rest = hash % 91_u32.pow(4);
    (0..4)
        .map(|place| alphabet[(rest / 91_u32.pow(place) % 91) as usize])
        .collect()
}

/// What these payloads say, plain, in the order in which they are whole; slices that came again say nothing again.
pub fn plain(payloads: &[String]) -> Vec<String> {
    let mut parts: BTreeMap<(&str, u32), BTreeMap<u32, &str>> = BTreeMap::new();
    let mut plain = Vec::new();
    for text in payloads {
        if let Some(body) = text.strip_prefix("~0") {
            plain.push(inflate(&unbase91(body)));
        } else if text.starts_with("~2") {
            let mut numbers = text[6..8].chars().map(value);
            let (place, count) = (numbers.next().expect("two"), numbers.next().expect("two"));
            assert!(place < count && (2..=16).contains(&count), "{text}");
            let known = parts.entry((&text[2..6], count)).or_default();
            let is_new = known.insert(place, &text[8..]).is_none();
            if is_new && known.len() == count as usize {
                let body: String = known.values().copied().collect();
                assert_eq!(identity(&body), text[2..6]);
                plain.push(inflate(&unbase91(&body)));
            }
        } else {
            plain.push(text.clone());
        }
    }
    plain
}
