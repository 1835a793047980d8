//! `cuegate load`: events at a steady rate, and a book of what became of each.
//!
//! `targets` finds the channels, `plan` says what is due when, `pace` is the clock, `producers`
//! send, `book` remembers every event, `emulator` reads what the local IVS took, `drain` waits for
//! the queues, `judge` compares, `figures` and `report` tell.

mod book;
mod drain;
mod emulator;
mod event;
mod figures;
mod histogram;
mod judge;
mod pace;
mod plan;
mod producers;
mod progress;
mod report;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use cuegate_client::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval};

use super::{Error, Target, output};
use drain::Drain;
use event::{Form, SIZE_MAX, SIZE_MIN};
use figures::{Outcome, figures};
use pace::Pace;
use plan::Plan;
use producers::{Producers, Run};
use progress::{Progress, SHOW};
use targets::Targets;

/// Events of a run at most: a byte of memory each.
const EVENTS_MAX: u64 = 100_000_000;
/// Connections by default at most.
const CONNECTIONS: usize = 64;
/// What an event may take beyond its time to live: its call, and the answer.
const AFTER_TTL: Duration = Duration::from_secs(5);

/// Send events at a steady rate, and judge what became of each.
///
/// Events fall due at an even pace, going round the channels, whether earlier ones were answered
/// or not; times run from the moment an event was due. Each carries its own identity. A channel's
/// events go over one connection in the order of their sequence, so that their order is defined:
/// use --batch where one request at a time is too slow.
///
/// The channels: those of --channel; else, where the local IVS is reachable and the gateway takes
/// channels that are not listed, live channels made for this; else the listed ones. Nothing else
/// should use them meanwhile. The local IVS's books of calls are cleared at the start.
///
/// Exits with 0 if all is well; 1 if an event was lost, duplicated or out of order, a limit was
/// broken, or the gateway is not there; 2 on wrong usage. A refusal is an answer, not a loss.
#[derive(clap::Args, Debug)]
pub struct Load {
    #[command(flatten)]
    target: Target,
    /// How many channels [default: 1, or all of --channel].
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    channels: Option<usize>,
    /// A channel by its alias, ARN or a pattern of aliases (show-*); again or with commas for more.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    channel: Vec<String>,
    /// Events a second, on all channels together.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Over WebSocket.
    #[arg(long)]
    ws: bool,
    /// Events a request or message, all of one channel.
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    batch: usize,
    /// Bytes of data of each event. More than fit a payload leave in slices, where the channel's `event_max_bytes` allows it.
    #[arg(long, default_value_t = 90, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(SIZE_MIN as u64..=SIZE_MAX as u64))]
    size: usize,
    /// Time to live of each event in milliseconds [default: the channel's].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=86_400_000))]
    ttl_ms: Option<u32>,
    /// Connections at most, each with channels of its own.
    #[arg(long, default_value_t = CONNECTIONS, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    connections: usize,
    /// How long at most the queues are waited for afterwards, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    drain_seconds: u64,
    /// The local IVS [default: the one that the gateway names, else one on port 4580 here].
    #[arg(long, env = "CUEGATE_EMULATOR_URL", value_name = "URL")]
    emulator: Option<String>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs, reports, and judges.
///
/// # Errors
/// Wrong arguments, no gateway, or a run that was not well.
pub async fn run(load: Load) -> Result<(), Error> {
    let gateway = load.target.client()?;
    let events = load.rate.saturating_mul(load.seconds);
    if events > EVENTS_MAX {
        return Err(Error::Usage(format!(
            "--rate {} for --seconds {} are {events} events; at most {EVENTS_MAX} are kept in the book",
            load.rate, load.seconds
        )));
    }
    let targets = targets::find(&gateway, &load).await?;
    for note in &targets.notes {
        output::error(&format!("note: {note}"));
    }
    let plan = Plan {
        channels: targets.channels.len(),
        rate: load.rate,
        batch: load.batch,
        events: usize::try_from(events).unwrap_or(usize::MAX),
    };
    let form = Form {
        run: format!("{:08x}", fastrand::u32(..)),
        size: load.size,
        ttl_ms: load.ttl_ms,
    };
    let names = targets.channels.iter().map(|found| found.name.clone());
    let run = Arc::new(Run::new(plan, form, names.collect()));
    let outcome = carry_out(&load, &gateway, targets, &run).await?;
    let figures = figures(&load, &run, outcome);
    let text = if load.json {
        serde_json::to_string(&figures).map_err(std::io::Error::other)?
    } else {
        figures.to_string()
    };
    output::lines(&text)?;
    if figures.ok {
        Ok(())
    } else {
        Err(Error::NotWell(figures.faults.join(", ")))
    }
}

/// Sends, waits for the queues, and gathers what is known.
async fn carry_out(
    load: &Load,
    gateway: &Client,
    targets: Targets,
    run: &Arc<Run>,
) -> Result<Outcome, Error> {
    let Targets {
        channels,
        mut observer,
        mut notes,
    } = targets;
    let connections = load.connections.min(channels.len());
    let producers = Producers::open(gateway, load.ws, connections).await?;
    let length = Duration::from_secs(load.seconds);
    let mut stops = signal(SignalKind::interrupt())?;
    let pace = Pace::begin(run.plan, connections, length);
    let mut progress = Progress::default();
    {
        let sending = producers.send(run, &pace);
        tokio::pin!(sending);
        let mut shown = interval(SHOW);
        shown.tick().await;
        loop {
            tokio::select! {
                () = &mut sending => break,
                _ = shown.tick() => {
                    progress.sweep(&mut observer, run, &pace).await;
                    progress.show(run, &pace, "");
                }
                _ = stops.recv() => {
                    if pace.is_stopped() {
                        break;
                    }
                    pace.stop();
                }
            }
        }
    }
    let took = pace.elapsed();
    let ttl_ms = load.ttl_ms.map(u64::from);
    let ttl_ms = ttl_ms.or_else(|| channels.iter().map(|found| found.limits.ttl_ms).max());
    let patience = Duration::from_millis(ttl_ms.unwrap_or_default()) + AFTER_TTL;
    let drain = Drain {
        gateway,
        run,
        pace: &pace,
        until: Instant::now() + patience.min(Duration::from_secs(load.drain_seconds)),
    };
    let after = drain.wait(&mut observer, &mut progress, &mut stops).await?;
    // What was delivered last.
    let report = match &mut observer {
        Some(observer) => Some(observer.sweep(run, pace.start_us).await?),
        None => None,
    };
    notes.extend(
        run.trouble()
            .map(|trouble| format!("an answer did not come: {trouble}")),
    );
    Ok(Outcome {
        before: channels,
        after,
        length: if pace.is_stopped() {
            took.min(length)
        } else {
            length
        },
        interrupted: pace.is_stopped(),
        start_us: pace.start_us,
        connections,
        observed: observer.zip(report),
        notes,
    })
}
