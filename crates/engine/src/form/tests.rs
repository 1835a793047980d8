//! The form `~0` against vectors that Python's zlib made, and against garbage.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Vectors for every player, made by `player/vectors.py`.
const VECTORS: &str = include_str!("../../../../player/vectors.json");

/// Bytes in hexadecimal, and their basE91, as `player/reference/forms.py` writes it.
const BASE91: &[(&str, &str)] = &[
    ("", ""),
    ("00", "AA"),
    ("ff", "/C"),
    ("61", "GB"),
    ("74657374", "fPNKd"),
    ("00000000000000000000000000", "AAAAAAAAAAAAAAA"),
    ("ffffffffffffffffffffffffff", "B-B-B-B-B-B-B-B-"),
    ("58005900", "}A^DA"),
    ("c3a9f09f9880", "qb9}cR;C"),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627",
        ":C#(:C?hVB$MSiVEwndBAMZRxwFfBB;IW<}YQV!A_v$Y_c%zT",
    ),
];

/// Plain payloads and their form `~0`, as `player/reference/forms.py` writes it. Another
/// compressor may find other texts, which stand for the same.
const COMPRESSED: &[(&str, &str)] = &[
    (r#"{"v":1,"n":7,"e":[]}"#, "~0izk4Cw}PAA"),
    (
        r#"{"v":1,"n":1800000000000,"e":[{"d":{"q":"1"},"t":"quiz.answer"}]}"#,
        "~05!3PNtuWO5)-O.FR<t993[+AA",
    ),
    (
        r#"{"v":1,"n":9007199254740991,"e":[{"d":"é😀","t":"chat.message"},{"d":1,"k":"votes","m":"sum"},{"d":2,"k":"votes","m":"sum"}]}"#,
        "~0iz3P]hoo!fM:q6bRnwsPGl)Mmdl?=}(|$/BN08xwYF/Esuxla&+i.<rM{yLmtAA",
    ),
];

/// 65,536 times `x`, and once more.
const LONGEST: &str = "~0mF8WAAAA%FV=|&|CwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAv(FA";
const TOO_LONG: &str = "~0mF8WDAAAwI@<j~eroIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABB";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn base91_is_as_python_writes_it() {
    for (hex, text) in BASE91 {
        let mut written = String::new();
        base91::encode(&bytes(hex), &mut written);
        assert_eq!(&written, text, "{hex}");
        assert_eq!(base91::decode(text), Some(bytes(hex)), "{text}");
    }
    for text in ["A A", "\"A", "A'", "\\\\", "é", "A\n"] {
        assert_eq!(base91::decode(text), None, "{text}");
    }
}

#[test]
fn what_python_compressed_is_decoded() {
    for (plain, text) in COMPRESSED {
        assert_eq!(decode(text).as_deref(), Ok(*plain));
        let ours = Compressor::new().compress(plain).expect("shorter");
        assert_eq!(decode(&ours).as_deref(), Ok(*plain), "{ours}");
        assert!(ours.len() <= text.len() + 2, "{ours} for {text}");
    }
}

/// A part of the vectors. (Other parts have texts that `serde_json` does not read.)
fn pairs_of(name: &str) -> Vec<(String, Value)> {
    let (_, part) = VECTORS.split_once(&format!("\"{name}\":")).expect("there");
    let mut values = serde_json::Deserializer::from_str(part).into_iter();
    values.next().expect("a list").expect("pairs")
}

#[test]
fn the_vectors_of_players() {
    for (hex, text) in pairs_of("basE91") {
        let mut written = String::new();
        base91::encode(&bytes(&hex), &mut written);
        assert_eq!(text, written, "{hex}");
        assert_eq!(base91::decode(&written), Some(bytes(&hex)));
    }
    let (mut decoded, mut refused) = (0, 0);
    for (text, plain) in pairs_of("decoded") {
        let found = decode(&text);
        if let Some(plain) = plain.as_str() {
            assert_eq!(found.as_deref(), Ok(plain), "{text}");
            decoded += 1;
        } else if let Some(length) = plain["length"].as_u64() {
            let found = found.expect(&text);
            assert!(found.starts_with(plain["begins"].as_str().expect("a text")));
            assert_eq!(found.len() as u64, length);
            decoded += 1;
        } else {
            // What is decoded may still be no payload.
            assert!(!found.is_ok_and(|it| it.starts_with(r#"{"v":1"#)), "{text}");
            refused += 1;
        }
    }
    assert!(decoded > 5 && refused > 20, "{decoded} {refused}");
    let mut slices = 0;
    for (whole, parts) in pairs_of("slices") {
        let parts: Vec<String> = serde_json::from_value(parts).expect("texts");
        for (place, part) in parts.iter().enumerate() {
            assert_eq!(slice(&whole, place, parts.len()).as_ref(), Some(part));
        }
        // In any order, each perhaps twice: the last that was missing completes the payload.
        let mut reader = Reader::default();
        for part in parts.iter().skip(1).rev().chain(parts.iter().skip(1)) {
            assert_eq!(reader.read(part), None, "{part}");
        }
        assert_eq!(reader.read(&parts[0]), decode(&whole).ok());
        assert_eq!(reader.read(&parts[0]), None, "it is finished");
        slices += parts.len();
    }
    assert!(slices > 20, "{slices}");
}

/// What players keep of slices, and what they do not take for any.
#[test]
fn slices_that_make_nothing() {
    let mut random = 1_u32;
    let mut payload = |n: u32| {
        let mut digits = String::new();
        for _ in 0..80 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let _ = write!(digits, "{random:08x}");
        }
        let plain = format!(r#"{{"v":1,"n":{n},"e":[{{"d":"{digits}"}}]}}"#);
        let whole = Compressor::new().compress(&plain).expect("shorter");
        (
            plain,
            [slice(&whole, 0, 2), slice(&whole, 1, 2)].map(Option::unwrap),
        )
    };
    let mut reader = Reader::default();
    let all: Vec<_> = (0..4).map(&mut payload).collect();
    for (_, parts) in &all {
        assert_eq!(reader.read(&parts[0]), None);
    }
    // Of four that are open the oldest was forgotten.
    assert_eq!(reader.read(&all[0].1[1]), None);
    assert_eq!(reader.read(&all[3].1[1]), Some(all[3].0.clone()));
    // Slices of another identity are nothing together.
    let wrong = all[0]
        .1
        .clone()
        .map(|part| part.replacen(&part[2..6], "AAAA", 1));
    let mut reader = Reader::default();
    assert_eq!(
        (reader.read(&wrong[0]), reader.read(&wrong[1])),
        (None, None)
    );
    // These are no slices, and come back as they are.
    let part = &all[0].1[0];
    for text in [
        "~2".to_owned(),
        "~2AAAA".to_owned(),
        "~2AAAAA".to_owned(),
        format!("{}A{}", &part[..7], &part[8..]),
        format!("{}C{}", &part[..6], &part[7..]),
        format!("{}R{}", &part[..7], &part[8..]),
        format!("~2\"{}", &part[3..]),
        "~2é".to_owned(),
    ] {
        assert_eq!(reader.read(&text), Some(text.clone()), "{text}");
    }
    assert_eq!(slice("~0abc", 5, 6), None);
    assert_eq!(slice("{}", 0, 2), None);
    assert_eq!(slice("~0abc", 0, 17), None);
}

/// What a player does with a text, and whether we take it for ours.
#[test]
fn what_players_take_for_ours() {
    let (mut ours, mut others) = (0, 0);
    for line in VECTORS.lines() {
        // A step a line; others are none, and some have texts that serde_json does not read.
        let mut steps = serde_json::Deserializer::from_str(line).into_iter::<Value>();
        let Some(Ok(step)) = steps.next() else {
            continue;
        };
        let Some(text) = step["push"].as_str() else {
            continue;
        };
        if step["time"].is_number() {
            // What it is shows later.
            continue;
        }
        let is_foreign = step["events"][0]["on"] == "#foreign";
        if text.starts_with('~') {
            assert!(is_ours(text));
        } else {
            assert_eq!(is_ours(text), !is_foreign, "{text}");
            ours += usize::from(!is_foreign);
            others += usize::from(is_foreign);
        }
    }
    assert!(ours > 100 && others > 100, "{ours} {others}");
    for (text, expected) in [
        (r#"{"v":1,"n":1,"e":[]}"#, true),
        (
            r#"{"v":1.0,"n":1e3,"e":[{"d":1e999,"\ud800":"\udfff\\ud800"}]}"#,
            true,
        ),
        (r#"{"n":1,"v":2,"e":[],"v":1}"#, true),
        (r#"{"v":1,"n":1,"e":[{"d":"}}]]{{[["}]}"#, true),
        (r#"{"v":1,"n":-1,"e":[]}"#, false),
        (r#"{"v":1,"n":1.5,"e":[]}"#, false),
        (r#"{"v":"1","n":1,"e":[]}"#, false),
        (r#"{"v":1,"n":9007199254740992,"e":[]}"#, false),
        (r#"{"v":1,"n":1,"e":{}}"#, false),
        (r#"{"v":1,"n":1,"e":[{"k":1}]}"#, false),
        (r#" {"v":1,"n":1,"e":[]}"#, false),
        (r#"{"v":1,"n":1,"e":[],"c":[1,2]}"#, false),
        (r#"{"v":1,"n":1,"e":[],"s":[{"k":1}]}"#, false),
        ("hello", false),
        ("", false),
    ] {
        assert_eq!(is_ours(text), expected, "{text}");
    }
    for depth in [69, 70, 71, 200] {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"{{"v":1,"n":1,"e":[{{"d":{data}}}]}}"#);
        assert_eq!(is_ours(&text), depth + 3 <= 70, "{depth}");
    }
}

#[test]
fn what_is_no_payload_of_this_form() {
    let (_, text) = COMPRESSED[1];
    let longer = format!("{text}AAAA");
    let mut not_utf8 = String::from(MARK);
    let mut compressor = Compressor::new();
    let deflated = compressor.deflate(&[0xff; 40], 40).expect("shorter");
    base91::encode(deflated, &mut not_utf8);
    for (text, why) in [
        ("", Undecodable::Mark),
        ("~", Undecodable::Mark),
        ("~1", Undecodable::Mark),
        ("{}", Undecodable::Mark),
        ("~0 ", Undecodable::Alphabet),
        ("~0", Undecodable::Deflate),
        ("~0A", Undecodable::Deflate),
        (&text[..text.len() - 4], Undecodable::Deflate),
        (&longer, Undecodable::Deflate),
        (TOO_LONG, Undecodable::TooLong),
        (&not_utf8, Undecodable::Utf8),
    ] {
        assert_eq!(decode(text), Err(why), "{text}");
    }
    assert_eq!(decode(LONGEST), Ok("x".repeat(DECODED_MAX)));
}

#[test]
fn what_is_not_shorter_stays_plain() {
    let mut compressor = Compressor::new();
    for plain in ["", "x", r#"{"v":2}"#, "\u{1}\u{2}\u{3}"] {
        assert_eq!(compressor.compress(plain), None, "{plain}");
    }
}

/// A form that is as long as the plain one is no gain.
#[test]
fn a_tie_is_plain() {
    let mut compressor = Compressor::new();
    let mut ties = 0;
    for length in 0..400_u32 {
        let plain: String = (0..length)
            .map(|at| char::from(b' ' + (at * at % 89) as u8))
            .collect();
        let text = compressor
            .deflate(plain.as_bytes(), plain.len())
            .map(|deflated| {
                let mut text = String::from(MARK);
                base91::encode(deflated, &mut text);
                text
            });
        let shorter = text.filter(|text| text.len() <= plain.len());
        ties += usize::from(
            shorter
                .as_ref()
                .is_some_and(|text| text.len() == plain.len()),
        );
        let shorter = shorter.filter(|text| text.len() < plain.len());
        assert_eq!(compressor.compress(&plain), shorter, "{plain}");
    }
    assert!(ties > 0);
}

proptest! {
    #[test]
    fn what_was_compressed_is_decoded(plain in "\\PC{0,300}|[{}\":,a-d0-9]{0,2000}") {
        let mut compressor = Compressor::new();
        let first = compressor.compress(&plain);
        if let Some(text) = &first {
            prop_assert!(text.len() < plain.len());
            prop_assert_eq!(decode(text), Ok(plain.clone()));
        }
        // A compressor has no memory.
        let _ = compressor.compress(r#"{"v":1,"n":1,"e":[{"d":1},{"d":2}]}"#);
        prop_assert_eq!(compressor.compress(&plain), first);
    }

    #[test]
    fn bytes_survive_base91(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = String::new();
        base91::encode(&bytes, &mut text);
        prop_assert_eq!(base91::decode(&text), Some(bytes));
    }

    #[test]
    fn slices_are_put_together(plain in "[a-d0-9]{200,4000}", limit in 100..1024_usize, order in any::<prop::sample::Index>()) {
        let whole = Compressor::new().compress_anyway(&plain).expect("about as long");
        let count = slices_of(whole.len(), limit);
        prop_assume!(count <= SLICES_MAX);
        let mut parts: Vec<String> = (0..count).map(|place| slice(&whole, place, count).expect("a slice")).collect();
        prop_assert!(parts.iter().all(|part| part.len() <= limit));
        parts.rotate_left(order.index(count));
        let mut reader = Reader::default();
        let last = parts.pop().expect("a slice");
        for part in &parts {
            prop_assert_eq!(reader.read(part), None);
        }
        prop_assert_eq!(reader.read(&last), Some(plain));
    }

    #[test]
    fn garbage_in_slices(texts in prop::collection::vec("~2[AB]{4}[A-Q]{2}\\PC{0,40}|~2\\PC{0,12}", 0..60)) {
        let mut reader = Reader::default();
        for text in &texts {
            let _ = reader.read(text);
        }
        prop_assert_eq!(reader.read("other"), Some("other".to_owned()));
    }

    #[test]
    fn garbage_is_refused_and_takes_little(text in "~0[!-~]{0,1100}") {
        if let Ok(plain) = decode(&text) {
            prop_assert!(plain.len() <= DECODED_MAX);
        }
    }
}
