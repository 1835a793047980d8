//! Where commands write: standard output for answers, standard error for what went wrong.
//!
//! Never a panic, whatever is connected there: a failed write is an error of the command. What
//! producers wrote may hold characters that steer a terminal, so that a terminal gets them escaped;
//! a pipe and a file get every byte as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write, stderr, stdout};

/// Writes a line to standard output.
///
/// # Errors
/// It could not be written.
pub fn line(text: &str) -> std::io::Result<()> {
    let text = if stdout().is_terminal() {
        visible(text)
    } else {
        Cow::Borrowed(text)
    };
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    // At once: what cannot be written is told, and not at the end, when nobody hears.
    out.flush()
}

/// Writes lines to standard output; their ends stay what they are.
///
/// # Errors
/// As [`line`].
pub fn lines(text: &str) -> std::io::Result<()> {
    text.lines().try_for_each(line)
}

/// Standard output, a line at a time, as [`line`] writes them.
#[derive(Debug, Default)]
pub struct Stdout {
    begun: Vec<u8>,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.begun.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        self.begun.extend_from_slice(&bytes[..end]);
        let text = std::mem::take(&mut self.begun);
        line(&String::from_utf8_lossy(&text))?;
        Ok(end + 1)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stdout().flush()
    }
}

/// Writes lines to standard error, as far as that goes: there is no place to tell that it failed.
pub fn error(text: &str) {
    let is_terminal = stderr().is_terminal();
    let mut out = stderr().lock();
    for line in text.lines() {
        let line = if is_terminal {
            visible(line)
        } else {
            Cow::Borrowed(line)
        };
        let _ = writeln!(out, "{line}");
    }
}

/// A text in which every character that could steer a terminal, or turn its direction, is written
/// as an escape.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks, embeddings,
/// overrides and isolates of the bidirectional algorithm (Unicode, UAX #9).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_shown() {
        for (text, shown) in [
            ("plain é 😀 \"\\", "plain é 😀 \"\\"),
            ("\u{1b}]52;c;eA==\u{7}", "\\u001b]52;c;eA==\\u0007"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("a\u{202e}b\u{2066}c\u{61c}", "a\\u202eb\\u2066c\\u061c"),
            ("two\r\nlines\t", "two\\u000d\\u000alines\\u0009"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }
}
