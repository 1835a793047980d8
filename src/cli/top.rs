//! `cuegate top`: a table of the channels that refreshes.

mod table;

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use cuegate_client::Channel;
use tokio::time::{Instant, sleep};

use super::{Error, Target, output};
use table::{Rates, Size, table};

/// A table of the channels, the deepest queue first, that refreshes.
///
/// in/s and out/s are events accepted and delivered a second since the last look. Ctrl-C ends it.
#[derive(clap::Args, Debug)]
pub struct Top {
    #[command(flatten)]
    target: Target,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1.0, value_parser = interval)]
    interval: f64,
    /// Print one table, after two looks, and exit; so it is where standard output is no terminal.
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("0.1 to 3600 seconds".to_owned())
    }
}

/// Shows the table until it is stopped.
///
/// # Errors
/// With `--once`, no gateway; else standard output failed.
pub async fn run(top: Top) -> Result<(), Error> {
    let gateway = top.target.client()?;
    let pause = Duration::from_secs_f64(top.interval);
    if top.once || !std::io::stdout().is_terminal() {
        let mut looks = Looks::default();
        looks.take(gateway.channels().await?.channels);
        sleep(pause).await;
        looks.take(gateway.channels().await?.channels);
        output::lines(&looks.show(Size::of_pipe()))?;
        return Ok(());
    }
    let mut looks = Looks::default();
    loop {
        let trouble = match gateway.channels().await {
            Ok(all) => {
                looks.take(all.channels);
                None
            }
            // One that is started anew is back at the next look.
            Err(error) => Some(Error::from(error).to_string()),
        };
        screen(&looks, trouble.as_deref())?;
        sleep(pause).await;
    }
}

/// Draws over what was there; what is left of it is cleared, line by line, so that nothing
/// flickers.
fn screen(looks: &Looks, trouble: Option<&str>) -> std::io::Result<()> {
    let mut size = Size::of_terminal();
    let mut text = String::new();
    if let Some(trouble) = trouble {
        text = size.cut(&format!("{trouble} Trying again.")) + "\n";
    }
    // The cursor needs a line too.
    size.lines = size.lines.saturating_sub(1 + text.lines().count());
    text += &looks.show(size);
    let text: Vec<_> = text.lines().map(output::visible).collect();
    let text = text.join("\n") + "\n";
    let text = text.replace('\n', "\x1b[K\n");
    let mut out = std::io::stdout().lock();
    write!(out, "\x1b[H{text}\x1b[J")?;
    out.flush()
}

/// The last look at the channels, and the rates since the one before.
#[derive(Default)]
struct Looks {
    channels: Vec<Channel>,
    at: Option<Instant>,
    rates: HashMap<String, Rates>,
}

impl Looks {
    fn take(&mut self, mut channels: Vec<Channel>) {
        let now = Instant::now();
        channels.sort_by(|a, b| (b.queued, &a.name).cmp(&(a.queued, &b.name)));
        self.rates = match self.at {
            Some(at) => rates(&self.channels, &channels, now - at),
            None => HashMap::new(),
        };
        self.channels = channels;
        self.at = Some(now);
    }

    fn show(&self, size: Size) -> String {
        table(&self.channels, &self.rates, size)
    }
}

/// The rates of the channels that were there before; none where a total fell, because the
/// gateway was started anew.
fn rates(before: &[Channel], now: &[Channel], time: Duration) -> HashMap<String, Rates> {
    let before: HashMap<&str, &Channel> = before
        .iter()
        .map(|channel| (channel.arn.as_str(), channel))
        .collect();
    let rate = |events: u64| table::float(events) / time.as_secs_f64().max(0.001);
    now.iter()
        .filter_map(|channel| {
            let (now, before) = (&channel.totals, &before.get(channel.arn.as_str())?.totals);
            let rates = Rates {
                accepted: rate(now.accepted.checked_sub(before.accepted)?),
                delivered: rate(now.delivered.checked_sub(before.delivered)?),
            };
            Some((channel.arn.clone(), rates))
        })
        .collect()
}

#[cfg(test)]
mod tests;
