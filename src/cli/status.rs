//! `cuegate status`: one channel, as people read it or as JSON.

use std::fmt::Write as _;

use cuegate_client::Channel;

use super::channels::{eta, json};
use super::{Error, Target, output};

/// Show the status of a channel.
///
/// Its state, its queue, the limits in force, the last call that failed, and how events ended since
/// the gateway's start.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// The channel: its alias or its ARN.
    channel: String,
    #[command(flatten)]
    target: Target,
    /// Print it as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints it.
///
/// # Errors
/// A refusal, or no gateway.
pub async fn run(arguments: Status) -> Result<(), Error> {
    let channel = arguments
        .target
        .client()?
        .status(&arguments.channel)
        .await?;
    if arguments.json {
        Ok(output::line(&json(&channel)?)?)
    } else {
        Ok(output::lines(&text(&channel))?)
    }
}

fn text(channel: &Channel) -> String {
    let Channel {
        limits,
        totals,
        tokens,
        ..
    } = channel;
    let mut state = channel.state.clone();
    if let Some(ms) = channel.paused_ms {
        // An operator's pause holds also while the channel is offline.
        let _ = write!(state, ", paused {} s ago", ms / 1000);
    }
    let mut queued = format!("{} events, {} bytes", channel.queued, channel.bytes);
    if let Some(ms) = channel.oldest_age_ms {
        let _ = write!(queued, ", the oldest for {} s", ms / 1000);
    }
    let dead: u64 = totals.dead_lettered.values().sum();
    let lines = [
        ("channel", channel.name.clone()),
        ("arn", channel.arn.clone()),
        ("state", state),
        ("queued", queued),
        ("eta", eta(channel)),
        (
            "tokens",
            format!("{} of {}", tokens.available, tokens.limit),
        ),
        (
            "calls",
            format!(
                "{} a second at most, {} for the account",
                limits.channel_tps, limits.account_tps
            ),
        ),
        (
            "payloads",
            format!(
                "{}, {} bytes at most",
                limits.envelope, limits.payload_max_bytes
            ),
        ),
        (
            "queue",
            format!(
                "{} events and {} bytes at most, for {} ms",
                limits.queue_max_events, limits.queue_max_bytes, limits.ttl_ms
            ),
        ),
        (
            "taken in",
            format!(
                "{}, {} from the journal, {} duplicates",
                totals.accepted, totals.recovered, totals.duplicates
            ),
        ),
        (
            "ended",
            format!(
                "{} delivered, {} merged, {} expired, {} cancelled, {} evicted, {dead} dead letters",
                totals.delivered, totals.merged, totals.expired, totals.cancelled, totals.evicted
            ),
        ),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<11} {value}");
    }
    if let Some(error) = &channel.last_error {
        let code = error.code.as_deref().unwrap_or("no answer");
        let message = error.message.replace(['\r', '\n'], " ");
        let _ = writeln!(text, "{:<11} {code}: {message}", "last error");
    }
    text
}
