//! The families with a label `channel`, as text.
//!
//! They are written straight from the snapshot, not through the recorder: 20,000 channels have
//! 360,000 series, and a recorder looks each up twice at every scrape.

use std::fmt::Write as _;

use super::labels::ChannelState;
use super::names::{self, Metric};
use super::snapshot::ChannelSnapshot;

/// What a family shows of a channel.
type Of<T> = fn(&ChannelSnapshot) -> T;

/// Families of whole numbers.
const COUNTS: [(&Metric, Of<u64>); 16] = [
    (&names::EVENTS_ACCEPTED, |c| c.ledger.accepted),
    (&names::EVENTS_RECOVERED, |c| c.ledger.recovered),
    (&names::EVENTS_RELEASED, |c| c.ledger.released),
    (&names::EVENTS_DUPLICATES, |c| c.ledger.duplicates),
    (&names::EVENTS_DELIVERED, |c| c.ledger.delivered),
    (&names::EVENTS_MERGED, |c| c.ledger.merged),
    (&names::EVENTS_EXPIRED, |c| c.ledger.expired),
    (&names::EVENTS_CANCELLED, |c| c.ledger.cancelled),
    (&names::EVENTS_EVICTED, |c| c.ledger.evicted),
    (&names::PAYLOAD_PLAIN_BYTES, |c| c.ledger.plain_bytes),
    (&names::STATE_KEYS, |c| c.state_keys),
    (&names::STATE_PAYLOADS, |c| c.ledger.state_payloads),
    (&names::STATE_ENTRIES, |c| c.ledger.state_entries),
    (&names::STATE_EVICTED, |c| c.ledger.state_evicted),
    (&names::QUEUE_EVENTS, |c| c.queue_events),
    (&names::CHANNEL_TOKENS_AVAILABLE, |c| c.tokens_available),
];

/// Families of seconds.
const SECONDS: [(&Metric, Of<f64>); 3] = [
    (&names::OLDEST_EVENT_AGE, |c| c.oldest_event_age_seconds),
    (&names::QUEUE_ETA, |c| c.eta_seconds),
    (&names::CHANNEL_PAUSED, |c| c.paused_seconds),
];

/// Bytes of a series beside its name and label, about.
const REST_OF_LINE: usize = 8;

/// Adds the families of these channels to the text.
pub(super) fn render(text: &mut String, channels: &[ChannelSnapshot]) {
    let labelled: Vec<(String, &ChannelSnapshot)> = channels
        .iter()
        .map(|channel| (label(&channel.label), channel))
        .collect();
    for (metric, of) in COUNTS {
        begin(text, metric, &labelled, 1);
        for (label, channel) in &labelled {
            series(text, metric, label, "} ");
            text.push_str(itoa::Buffer::new().format(of(channel)));
        }
        text.push_str("\n\n");
    }
    for (metric, of) in SECONDS {
        begin(text, metric, &labelled, 1);
        for (label, channel) in &labelled {
            series(text, metric, label, "} ");
            seconds(text, of(channel));
        }
        text.push_str("\n\n");
    }
    states(text, &labelled);
}

fn states(text: &mut String, labelled: &[(String, &ChannelSnapshot)]) {
    let metric = &names::CHANNEL_STATE;
    let endings = ChannelState::ALL.map(|state| format!(",state=\"{}\"}} ", state.label()));
    begin(text, metric, labelled, endings.len());
    for (label, channel) in labelled {
        for (ending, count) in endings.iter().zip(channel.states) {
            series(text, metric, label, ending);
            text.push_str(itoa::Buffer::new().format(count));
        }
    }
    text.push_str("\n\n");
}

/// The head of a family with so many series a channel. Room is made for all of them at once: text
/// that grows is copied.
fn begin(
    text: &mut String,
    metric: &Metric,
    labelled: &[(String, &ChannelSnapshot)],
    series: usize,
) {
    let labels: usize = labelled.iter().map(|(label, _)| label.len()).sum();
    let lines = labelled.len() * (metric.name.len() + REST_OF_LINE) + labels;
    text.reserve(lines * series + 256);
    metric.describe(text);
    // Each series ends the line before it.
    text.truncate(text.trim_end().len());
}

fn series(text: &mut String, metric: &Metric, label: &str, ending: &str) {
    text.push('\n');
    text.push_str(metric.name);
    text.push_str(label);
    text.push_str(ending);
}

/// Most are 0, and a float takes long to be written.
fn seconds(text: &mut String, seconds: f64) {
    if seconds.to_bits() == 0 {
        text.push('0');
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "{seconds}");
    }
}

/// The labels of a channel's series, without the end.
fn label(channel: &str) -> String {
    let mut text = String::with_capacity(channel.len() + 12);
    text.push_str("{channel=\"");
    for character in channel.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}
