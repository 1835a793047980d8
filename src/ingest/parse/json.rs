//! One pass over JSON text that is already known to be well formed: takes out the white
//! space outside strings and finds what `serde_json`'s `RawValue` lets through (nesting
//! without end, lone surrogates).
//!
//! Builds no tree, and changes nothing but white space: numbers keep their digits, keys
//! their order, strings their escapes.

use std::sync::Arc;

use crate::ingest::limits::DEPTH_MAX;

/// What is wrong with text that is JSON by its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// More than [`DEPTH_MAX`] arrays and objects inside one another.
    TooDeep,
    /// An escape names half a UTF-16 pair: no string of Unicode text holds that.
    LoneSurrogate,
}

impl Flaw {
    /// The flaw in words.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::TooDeep => "arrays and objects are nested deeper than 64",
            Self::LoneSurrogate => "an escape is a lone surrogate",
        }
    }
}

/// `text` without white space outside strings. `scratch` is reused between calls; its
/// content is of no meaning.
///
/// # Errors
/// The first flaw; see [`Flaw`].
pub fn minify(text: &str, scratch: &mut String) -> Result<Arc<str>, Flaw> {
    let mut kept = 0;
    scratch.clear();
    walk(text.as_bytes(), |start, end| {
        scratch.push_str(&text[kept..start]);
        kept = end;
    })?;
    if kept == 0 {
        return Ok(text.into());
    }
    scratch.push_str(&text[kept..]);
    Ok(scratch.as_str().into())
}

/// Looks for flaws only: for values that are read and not kept.
///
/// # Errors
/// The first flaw.
pub fn check(text: &str) -> Result<(), Flaw> {
    walk(text.as_bytes(), |_, _| ())
}

/// Tells `blank` every run of white space outside strings, as `start..end`. Text that is
/// not JSON gives some answer, never a panic.
fn walk(text: &[u8], mut blank: impl FnMut(usize, usize)) -> Result<(), Flaw> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = after_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Flaw::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                let start = at - 1;
                while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
                    at += 1;
                }
                blank(start, at);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the string whose content starts at `at` has ended.
fn after_string(text: &[u8], mut at: usize) -> Result<usize, Flaw> {
    while let Some(found) = text
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found + 1;
        if text[at - 1] == b'"' {
            return Ok(at);
        }
        at = after_escape(text, at)?;
    }
    Ok(text.len())
}

/// Where the escape whose letter is at `at` has ended, its second half included.
fn after_escape(text: &[u8], at: usize) -> Result<usize, Flaw> {
    if text.get(at) != Some(&b'u') {
        return Ok(at + 1);
    }
    match unit(text, at + 1) {
        Some(0xD800..=0xDBFF) => {
            let low = text.get(at + 5..at + 7) == Some(br"\u")
                && matches!(unit(text, at + 7), Some(0xDC00..=0xDFFF));
            if low {
                Ok(at + 11)
            } else {
                Err(Flaw::LoneSurrogate)
            }
        }
        Some(0xDC00..=0xDFFF) => Err(Flaw::LoneSurrogate),
        Some(_) | None => Ok(at + 1),
    }
}

/// The four hexadecimal digits at `at`.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    text.get(at..at + 4)?.iter().try_fold(0_u16, |unit, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn minified(text: &str) -> Result<String, Flaw> {
        minify(text, &mut String::from("left over")).map(|text| text.to_string())
    }

    #[test]
    #[rustfmt::skip] // a table
    fn white_space_goes_and_nothing_else() {
        for (text, expected) in [
            ("1", "1"),
            (" 1 ", "1"),
            ("\t[ 1 ,\r\n 2 ]\n", "[1,2]"),
            (r#"{ "a b" : " c\" d " }"#, r#"{"a b":" c\" d "}"#),
            (r"[1.50, 1E+2, -0, 1e400, 123456789012345678901234567890]", "[1.50,1E+2,-0,1e400,123456789012345678901234567890]"),
            (r#"{"b":1, "a":2, "b":3}"#, r#"{"b":1,"a":2,"b":3}"#),
            (r#""\u00e9 \/ é 😀 \ud83d\ude00""#, r#""\u00e9 \/ é 😀 \ud83d\ude00""#),
            (r#"["\\", "\\\"", " "]"#, r#"["\\","\\\""," "]"#),
        ] {
            assert_eq!(minified(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn half_pairs_are_found() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\uD83D\uD83D""#,
            r#""\uD83Dx\uDE00""#,
            r#""\ud83d\n""#,
            r#"{"\udfff":1}"#,
            r#"["\ude00\ud83d"]"#,
        ] {
            assert_eq!(minified(text), Err(Flaw::LoneSurrogate), "{text}");
        }
        assert_eq!(minified(r#""\\ud800""#).as_deref(), Ok(r#""\\ud800""#));
    }

    #[test]
    fn sixty_four_levels_and_no_more() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nest = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(minified(&nest(64)).is_ok());
            assert_eq!(minified(&nest(65)), Err(Flaw::TooDeep));
        }
        assert_eq!(minified(&"[".repeat(1 << 20)), Err(Flaw::TooDeep));
        assert!(
            minified(&format!("[{}1]", "[],".repeat(1000))).is_ok(),
            "width is not depth"
        );
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn is_subsequence(part: &str, whole: &str) -> bool {
        let mut whole = whole.chars();
        part.chars().all(|wanted| whole.any(|c| c == wanted))
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = minified(&text);
            let _ = minified(&String::from_utf8_lossy(&bytes));
            let _ = walk(&bytes, |_, _| ());
        }

        #[test]
        fn json_like_text_is_survived(text in r#"[\[\]{}",:\\ud8-f0-9 \n]{0,60}"#) {
            let _ = minified(&text);
        }

        #[test]
        fn the_value_stays_and_the_text_only_loses(value in json(), pretty in any::<bool>()) {
            let text = if pretty { format!(" {value:#}\r\n") } else { value.to_string() };
            let small = minified(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&small).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
            prop_assert!(is_subsequence(&small, &text));
            prop_assert_eq!(minified(&small).unwrap(), small.clone());
            prop_assert_eq!(small, value.to_string());
        }
    }
}
