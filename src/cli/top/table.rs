//! The table as text, fitted to the terminal.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use cuegate_client::{Channel, LastError};

/// Where nothing says how wide it is.
const COLUMNS: usize = 80;
const LINES: usize = 24;
/// Less does not hold the figures.
const COLUMNS_MIN: usize = 72;
/// The columns between the name and the last error, with the spaces before each.
const FIGURES: usize = 61;
/// A name has at least this room, and an error that is shown too.
const NAME_MIN: usize = 10;
const ERROR_MIN: usize = 12;

/// Events a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) accepted: f64,
    pub(super) delivered: f64,
}

/// How much text there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

impl Size {
    /// Of the terminal: as the environment says, else as `stty` does.
    pub(super) fn of_terminal() -> Self {
        let asked = Command::new("stty")
            .arg("size")
            .stdin(Stdio::inherit())
            .stderr(Stdio::null())
            .output();
        let answer = asked
            .ok()
            .and_then(|out| String::from_utf8(out.stdout).ok());
        let mut numbers = answer
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter_map(|number| number.parse().ok())
            .filter(|&number| number > 0);
        let (lines, columns) = (numbers.next(), numbers.next());
        Self {
            columns: of_environment("COLUMNS")
                .or(columns)
                .unwrap_or(COLUMNS)
                .max(COLUMNS_MIN),
            lines: of_environment("LINES").or(lines).unwrap_or(LINES),
        }
    }

    /// Of what is no terminal: every channel is shown.
    pub(super) fn of_pipe() -> Self {
        Self {
            columns: of_environment("COLUMNS")
                .unwrap_or(COLUMNS)
                .max(COLUMNS_MIN),
            lines: usize::MAX,
        }
    }

    /// What of a text has room on a line.
    pub(super) fn cut(self, text: &str) -> String {
        head(text, self.columns)
    }
}

fn of_environment(name: &str) -> Option<usize> {
    let number = std::env::var(name).ok()?.parse().ok()?;
    (number > 0).then_some(number)
}

/// The table, its head first; the last line says how many channels had no room.
pub(super) fn table(channels: &[Channel], rates: &HashMap<String, Rates>, size: Size) -> String {
    let longest = channels.iter().map(|channel| channel.name.chars().count());
    let longest = longest.max().unwrap_or_default().max(NAME_MIN);
    let room = size.columns.saturating_sub(FIGURES);
    // The last error gets what the names leave.
    let name = longest.min(room.max(NAME_MIN));
    let error = room.saturating_sub(name + 2);
    let mut text = String::new();
    let mut line = |channel: &str, figures: [&str; 7], last: &str| {
        let [state, accepted, delivered, queued, bytes, eta, tokens] = figures;
        let mut row = format!(
            "{channel:name$}  {state:<8}{accepted:>9}{delivered:>9}{queued:>9}{bytes:>8}{eta:>8}{tokens:>8}"
        );
        if error >= ERROR_MIN && !last.is_empty() {
            let _ = write!(row, "  {}", head(last, error));
        }
        let _ = writeln!(text, "{}", row.trim_end());
    };
    line(
        "CHANNEL",
        ["STATE", "IN/S", "OUT/S", "QUEUED", "BYTES", "ETA", "TOKENS"],
        "LAST ERROR",
    );
    let lines = size.lines.saturating_sub(2);
    for channel in channels.iter().take(lines) {
        let rates = rates.get(&channel.arn);
        line(
            &tail(&channel.name, name),
            [
                &channel.state,
                &rates.map_or("-".into(), |rates| rate(rates.accepted)),
                &rates.map_or("-".into(), |rates| rate(rates.delivered)),
                &channel.queued.to_string(),
                &bytes(channel.bytes),
                &channel.eta_ms.map_or("held".into(), duration),
                &format!("{}/{}", channel.tokens.available, channel.tokens.limit),
            ],
            &channel.last_error.as_ref().map(said).unwrap_or_default(),
        );
    }
    let left = channels.len().saturating_sub(lines);
    let queued: u64 = channels.iter().map(|channel| channel.queued).sum();
    let shown = if left > 0 {
        format!(", {left} not shown")
    } else {
        String::new()
    };
    let _ = writeln!(
        text,
        "{} channels{shown}, {queued} events queued",
        channels.len()
    );
    text
}

/// The error's name and message on one line, without control characters.
fn said(error: &LastError) -> String {
    let status = error.status.map(|status| status.to_string());
    let name = error.code.clone().or(status).unwrap_or_default();
    let text = if name.is_empty() {
        error.message.clone()
    } else {
        format!("{name}: {}", error.message)
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn rate(events: f64) -> String {
    if events < 99.95 {
        format!("{events:.1}")
    } else {
        format!("{events:.0}")
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => bytes.to_string(),
        10_000..10_000_000 => format!("{}K", bytes / 1024),
        _ => format!("{}M", bytes >> 20),
    }
}

fn duration(ms: u64) -> String {
    match ms {
        0 => "-".to_owned(),
        1..60_000 => format!("{:.1}s", float(ms) / 1000.0),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// The first characters, with a sign that there were more.
fn head(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// The last characters: what tells ARNs apart is at their end.
fn tail(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count - most.saturating_sub(1)).collect();
    format!("…{kept}")
}

/// A count as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "events and milliseconds: far below 2^53"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
