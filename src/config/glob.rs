//! Patterns of channel names: a name, or a name with `*` for any run of characters.
//!
//! Nothing else is special: an alias has no character that would need escaping, and a
//! pattern that means more than it says is no good in a list of permissions.

use std::fmt;
use std::str::FromStr;

/// Longest pattern: as long as the longest ARN.
const GLOB_MAX_CHARS: usize = crate::arn::ARN_MAX_CHARS;

/// A pattern over channel aliases and ARNs, as `show-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// The text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a pattern: letters, digits and . _ - : / with * for any run of them, at most 128 characters"
)]
pub struct InvalidGlob;

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// Whether every name fits.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.bytes().all(|c| c == b'*')
    }

    /// Whether `name` fits; at most `pattern * name` steps.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // The last star, and how much of the name it has swallowed so far: a mismatch only
        // ever needs to go back there.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, n));
                p += 1;
            } else if pattern.get(p) == Some(&name[n]) {
                p += 1;
                n += 1;
            } else if let Some((at, swallowed)) = star {
                star = Some((at, swallowed + 1));
                p = at + 1;
                n = swallowed + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&c| c == b'*')
    }
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(text: &str) -> Result<Self, InvalidGlob> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-:/*".contains(&c);
        let valid = (1..=GLOB_MAX_CHARS).contains(&text.len()) && text.bytes().all(fits);
        valid.then(|| Self(text.to_owned())).ok_or(InvalidGlob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_any_run() {
        let cases = [
            ("quiz", "quiz", true),
            ("quiz", "quiz2", false),
            ("quiz2", "quiz", false),
            ("*", "", true),
            ("*", "anything", true),
            ("show-*", "show-", true),
            ("show-*", "show-7", true),
            ("show-*", "a-show-7", false),
            ("*-eu", "show-eu-eu", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**", "a", true),
        ];
        for (pattern, name, expected) in cases {
            let glob: Glob = pattern.parse().expect("a pattern");
            assert_eq!(glob.matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn nothing_else_is_special() {
        for bad in [
            "",
            "a?",
            "[ab]",
            "a b",
            "é",
            "!a",
            "{a,b}",
            &"a".repeat(129),
        ] {
            assert_eq!(bad.parse::<Glob>(), Err(InvalidGlob), "{bad}");
        }
    }
}
