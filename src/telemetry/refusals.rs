//! Why events were refused of late, for people: which channel, which code, and the words that
//! the producer was given.
//!
//! Equal refusals are one entry with a count, so that a flood does not push out the one that
//! explains it. No value that a producer sent is kept, only the names that details quote.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::labels::Transport;

/// Entries kept: more than a person reads, some 50 KB.
const ENTRIES_MAX: usize = 128;

/// Bytes of a channel's name that are kept: an ARN is shorter, and an unknown name is whatever
/// a producer wrote.
const CHANNEL_MAX: usize = 128;

/// Events that were refused together.
#[derive(Clone, Copy, Debug)]
pub struct RefusalSample<'a> {
    /// How they came in.
    pub transport: Transport,
    /// The channel's name, where one was given.
    pub channel: Option<&'a str>,
    /// The code of the refusal.
    pub code: &'static str,
    /// What the producer was told.
    pub detail: &'a str,
    /// How many events.
    pub events: u64,
    /// When, in ms since 1970.
    pub at_ms: u64,
}

/// Refusals of one channel by one code.
#[derive(Clone, Debug, Serialize)]
pub struct RecentRefusal {
    /// The channel's name, where one was given.
    pub channel: Option<String>,
    /// How the last of them came in.
    pub transport: &'static str,
    /// The code.
    pub code: &'static str,
    /// What the producer was told, the last time.
    pub detail: String,
    /// How many events since the first of them.
    pub events: u64,
    /// When the first was refused, in ms since 1970.
    pub first_at_ms: u64,
    /// When the last was.
    pub at_ms: u64,
}

/// The refusals of late.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Vec<RecentRefusal>>);

impl Recent {
    pub(super) fn add(&self, refused: &RefusalSample<'_>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = refused.channel.map(|name| cut(name, CHANNEL_MAX));
        let is_same = |entry: &RecentRefusal| {
            // A producer can make up any number of unknown names: they share an entry.
            entry.code == refused.code
                && (entry.channel.as_deref() == channel || refused.code == "unknown_channel")
        };
        let detail = without_values(refused.detail);
        if let Some(entry) = entries.iter_mut().find(|entry| is_same(entry)) {
            entry.channel = channel.map(str::to_owned);
            entry.transport = refused.transport.label();
            entry.detail = detail;
            entry.events += refused.events;
            entry.at_ms = refused.at_ms;
            return;
        }
        if entries.len() >= ENTRIES_MAX {
            let oldest = (0..entries.len()).min_by_key(|at| entries[*at].at_ms);
            if let Some(oldest) = oldest {
                entries.swap_remove(oldest);
            }
        }
        entries.push(RecentRefusal {
            channel: channel.map(str::to_owned),
            transport: refused.transport.label(),
            code: refused.code,
            detail,
            events: refused.events,
            first_at_ms: refused.at_ms,
            at_ms: refused.at_ms,
        });
    }

    /// All that are kept, the latest first.
    pub(super) fn all(&self) -> Vec<RecentRefusal> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = entries.clone();
        drop(entries);
        all.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms));
        all
    }
}

fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A detail without what stands in double quotes, and without numbers in backquotes: serde
/// quotes the value it did not expect.
fn without_values(detail: &str) -> String {
    let mut kept = String::with_capacity(detail.len());
    let mut rest = detail;
    while let Some(at) = rest.find(['"', '`']) {
        let quote = &rest[at..=at];
        kept.push_str(&rest[..=at]);
        let inside = &rest[at + 1..];
        // A quote that a value contains is escaped; one that was cut off has no end.
        let end = end_of(inside, quote);
        let value = &inside[..end];
        let is_value =
            quote == "\"" || value.parse::<f64>().is_ok() || value == "true" || value == "false";
        kept.push_str(if is_value { "…" } else { value });
        rest = &inside[end..];
        if let Some(after) = rest.strip_prefix(quote) {
            kept.push_str(quote);
            rest = after;
        }
    }
    kept.push_str(rest);
    kept
}

fn end_of(text: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find(quote) {
        let end = from + at;
        let escapes = text[..end].bytes().rev().take_while(|byte| *byte == b'\\');
        if escapes.count() % 2 == 0 {
            return end;
        }
        from = end + 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<'a>(channel: Option<&'a str>, code: &'static str, at_ms: u64) -> RefusalSample<'a> {
        RefusalSample {
            transport: Transport::Http,
            channel,
            code,
            detail: "why",
            events: 2,
            at_ms,
        }
    }

    #[test]
    fn equal_refusals_are_one_entry() {
        let recent = Recent::default();
        recent.add(&refused(Some("a"), "queue_full", 1));
        recent.add(&refused(Some("b"), "queue_full", 2));
        recent.add(&refused(Some("a"), "queue_full", 3));
        recent.add(&refused(None, "malformed", 4));
        let all = recent.all();
        let shown: Vec<_> = all
            .iter()
            .map(|e| {
                (
                    e.channel.as_deref(),
                    e.code,
                    e.events,
                    e.first_at_ms,
                    e.at_ms,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (None, "malformed", 2, 4, 4),
                (Some("a"), "queue_full", 4, 1, 3),
                (Some("b"), "queue_full", 2, 2, 2),
            ]
        );
    }

    #[test]
    fn nobody_can_fill_it() {
        let recent = Recent::default();
        recent.add(&refused(Some("quiz"), "would_expire", 0));
        let long = "é".repeat(1000);
        for at in 1..1000 {
            recent.add(&refused(
                Some(&format!("{at}{long}")),
                "unknown_channel",
                at,
            ));
        }
        let all = recent.all();
        assert_eq!(all.len(), 2, "unknown names push nothing out");
        assert!(
            all[0]
                .channel
                .as_ref()
                .is_some_and(|name| name.len() <= CHANNEL_MAX)
        );
        for at in 0..1000 {
            recent.add(&refused(Some(&at.to_string()), "queue_full", 1000 + at));
        }
        let all = recent.all();
        assert_eq!(all.len(), ENTRIES_MAX);
        assert_eq!(
            (all[0].at_ms, all[0].channel.as_deref()),
            (1999, Some("999"))
        );
    }

    #[test]
    fn values_are_left_out() {
        for (detail, kept) in [
            ("a queue is full", "a queue is full"),
            ("unknown field `foo`", "unknown field `foo`"),
            (
                r#"invalid type: string "s3cr\"et", expected u32 at line 1"#,
                r#"invalid type: string "…", expected u32 at line 1"#,
            ),
            (
                "invalid type: integer `-5`, expected a string",
                "invalid type: integer `…`, expected a string",
            ),
            ("invalid type: boolean `true`", "invalid type: boolean `…`"),
            (
                r#"invalid type: string "cut off"#,
                r#"invalid type: string "…"#,
            ),
            (r#"a "b\\" c "d""#, r#"a "…" c "…""#),
            ("`", "`"),
            ("é\"é\"é", "é\"…\"é"),
        ] {
            assert_eq!(without_values(detail), kept, "{detail}");
        }
    }
}
