//! `cuegate channels`: the channels of a gateway, one a line.

use std::fmt::Write as _;

use cuegate_client::Channel;

use super::{Error, Target, output};

/// List the channels.
///
/// One line each: its name, state, events in the queue, how long they take, and its ARN.
#[derive(clap::Args, Debug)]
pub struct Channels {
    #[command(flatten)]
    target: Target,
    /// Print each channel as a JSON object on a line of its own, with all that `status` shows.
    #[arg(long)]
    json: bool,
}

/// Prints them, by name.
///
/// # Errors
/// A refusal, or no gateway.
pub async fn run(arguments: Channels) -> Result<(), Error> {
    let all = arguments.target.client()?.channels().await?;
    if arguments.json {
        for channel in &all.channels {
            output::line(&json(channel)?)?;
        }
        return Ok(());
    }
    Ok(output::lines(&table(&all.channels))?)
}

/// A channel as one JSON object.
pub(super) fn json(channel: &Channel) -> Result<String, Error> {
    Ok(serde_json::to_string(channel).map_err(std::io::Error::other)?)
}

/// How long the queue takes, as people read it.
pub(super) fn eta(channel: &Channel) -> String {
    match channel.eta_ms {
        Some(0) => "0 s".to_owned(),
        Some(ms) => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        None => "-".to_owned(),
    }
}

fn table(channels: &[Channel]) -> String {
    const HEAD: [&str; 5] = ["CHANNEL", "STATE", "QUEUED", "ETA", "ARN"];
    let rows = channels.iter().map(|channel| {
        [
            channel.name.clone(),
            channel.state.clone(),
            channel.queued.to_string(),
            eta(channel),
            channel.arn.clone(),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for [name, state, queued, eta, arn] in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:0$}  {state:1$}  {queued:>2$}  {eta:>3$}  {arn}",
            widths[0], widths[1], widths[2], widths[3]
        );
    }
    text
}
