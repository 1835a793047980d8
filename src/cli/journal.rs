//! `cuegate journal check|list|export DIR`: what a journal holds, while nobody holds it. Nothing of
//! it is changed, whatever is found.

mod export;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::journal::{self, Inspection, OpenError, RecoveredChannel};

/// What to do with a journal.
#[derive(clap::Subcommand, Debug)]
pub enum Journal {
    /// Read all of it, as a start would, from a copy: nothing is changed. Exits with 1 where a
    /// start would refuse it.
    Check {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// A line for each channel with events in it, and for each that was made by API.
    List {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// Its events as NDJSON, in the form that `POST /v1/events` takes. Of a damaged journal,
    /// those that can be read.
    Export {
        /// The channels made by API instead, each as `{"alias":…,"settings":…}`, where the settings are what
        /// `PUT /v1/channels/{alias}` takes.
        #[arg(long)]
        channels: bool,
        /// The journal's directory.
        dir: PathBuf,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// Some of it could not be read.
    #[error("{} of the journal could not be read: {}", if .0.len() == 1 { "a part" } else { "parts" }, .0.join("; "))]
    Partial(Vec<String>),
}

impl Error {
    /// Whether nobody reads what is written any more.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Carries a command out.
///
/// # Errors
/// [`Error`].
pub fn run(command: &Journal, out: &mut impl Write) -> Result<(), Error> {
    let clock = Arc::new(Clock::new());
    match command {
        Journal::Check { dir } => check(&open(dir, &clock)?, out),
        Journal::List { dir } => list(&open(dir, &clock)?, &clock, out),
        Journal::Export { dir, channels } => match open(dir, &clock) {
            Err(why @ (OpenError::Damaged { .. } | OpenError::Storage { .. })) => {
                let mut some = journal::salvage(dir, &clock)?;
                export(&some, *channels, &clock, out)?;
                let why = why.what();
                if !some.damage.contains(&why) {
                    some.damage.insert(0, why);
                }
                Err(Error::Partial(some.damage))
            }
            all => export(&all?, *channels, &clock, out),
        },
    }
}

fn open(dir: &Path, clock: &Arc<Clock>) -> Result<Inspection, OpenError> {
    journal::inspect(dir, clock)
}

fn check(journal: &Inspection, out: &mut impl Write) -> Result<(), Error> {
    let channels = &journal.recovery.channels;
    writeln!(
        out,
        "ok: {} events of {} channels, {} bytes on disk",
        journal.recovery.events(),
        channels
            .iter()
            .filter(|kept| !kept.queue.is_empty())
            .count(),
        journal.bytes
    )?;
    let made = channels.iter().filter(|kept| kept.definition.is_some());
    match made.count() {
        0 => {}
        made => writeln!(out, "{made} channels made by API")?,
    }
    if journal.dropped > 0 {
        writeln!(
            out,
            "a write of {} bytes is torn at the end, and a start drops it; nobody was promised it",
            journal.dropped
        )?;
    }
    if journal.lost > 0 {
        writeln!(
            out,
            "{} blocks are missing at the end: the machine went down before they were on its disk, which journal.mode = \"os\" does not promise",
            journal.lost
        )?;
    }
    Ok(())
}

fn list(journal: &Inspection, clock: &Clock, out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "{:>8} {:>12}  CHANNEL", "EVENTS", "OLDEST_MS")?;
    let now = clock.now();
    for channel in &journal.recovery.channels {
        let events = channel.queue.events();
        if events.is_empty() && channel.definition.is_none() {
            continue;
        }
        let oldest = events.iter().map(|kept| kept.due).min().unwrap_or(now);
        let age = now.since(oldest).micros() / 1000;
        write!(out, "{:>8} {age:>12}  {}", events.len(), channel.arn)?;
        match &channel.definition {
            Some(definition) => writeln!(out, "  made by API as {}", definition.alias)?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn with_events(journal: &Inspection) -> impl Iterator<Item = &RecoveredChannel> {
    let channels = journal.recovery.channels.iter();
    channels.filter(|channel| !channel.queue.is_empty())
}

fn export(
    journal: &Inspection,
    channels: bool,
    clock: &Clock,
    out: &mut impl Write,
) -> Result<(), Error> {
    if channels {
        for definition in journal.recovery.definitions() {
            let alias = serde_json::Value::from(&*definition.alias);
            let settings = &definition.settings;
            writeln!(out, r#"{{"alias":{alias},"settings":{settings}}}"#)?;
        }
        return Ok(out.flush()?);
    }
    for channel in with_events(journal) {
        for kept in channel.queue.events() {
            // What is over by now would be refused.
            if let Some(line) = export::line(channel.arn.as_str(), kept, clock) {
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
