//! `cuegate doctor`: what keeps a gateway from sending, and what to do about it.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{Error, output};
use crate::config::{Errors, Settings, UpstreamMode};
use crate::doctor::{self, Finding, Level, gateway, machine};
use crate::ingest::listener::descriptors;
use crate::upstream::Upstream;

/// Look for what keeps a gateway from sending, and say what to do.
///
/// Whose AWS credentials sign, what they may read, whether the channels exist, the clock, the network,
/// the disk, descriptors, certificates, addresses. It changes nothing and never calls `PutMetadata`:
/// where a gateway runs by this configuration, what its own calls came to is shown. Run it as the user
/// and in the environment of the gateway.
#[derive(clap::Args, Debug)]
pub struct Doctor {
    /// The configuration; without it what `serve` would use.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print it as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Looks, and prints what was found. `secrets` is what is wrong with the keys and certificates that the
/// settings name; `upstream` is that of a gateway with these settings, none in local mode.
///
/// # Errors
/// Something needs to be done.
pub async fn run(
    arguments: Doctor,
    settings: Settings,
    secrets: Option<Errors>,
    upstream: Option<Upstream>,
) -> Result<(), Error> {
    descriptors::raise();
    let listen = settings.metrics.listen;
    let running = gateway::ask(listen).await;
    let mut found = match &upstream {
        Some(upstream) => doctor::accounts(upstream, &settings).await,
        None => vec![doctor::local()],
    };
    if upstream.is_some() {
        found.extend(gateway::judge(running.as_ref(), listen));
    }
    found.extend(machine::secrets(secrets.as_ref()));
    found.extend(machine::of_gateway(&settings, now_s()));
    let limit = running.as_ref().and_then(|running| running.max_fds);
    found.push(machine::descriptors(&settings, limit));
    if running.is_none() {
        found.extend(machine::addresses(&settings));
    }
    let actions = found
        .iter()
        .filter(|finding| finding.level == Level::Action)
        .count();
    if arguments.json {
        let mode = match settings.upstream.mode {
            UpstreamMode::Local => "local",
            UpstreamMode::Aws => "aws",
        };
        let object = json!({ "mode": mode, "needs_action": actions, "findings": found });
        output::line(&object.to_string())?;
    } else {
        found.iter().try_for_each(print)?;
    }
    match actions {
        0 if arguments.json => Ok(()),
        0 => Ok(output::line("\nnothing needs to be done")?),
        1 => Err(Error::NeedsAction("1 finding needs action".to_owned())),
        n => Err(Error::NeedsAction(format!("{n} findings need action"))),
    }
}

fn print(finding: &Finding) -> std::io::Result<()> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Note => "note",
        Level::Action => "ACTION",
    };
    let (check, about, found) = (finding.check, &finding.about, &finding.found);
    output::line(&format!("{level:<7} {check:<12} {about}: {found}"))?;
    match &finding.advice {
        Some(advice) => output::line(&format!("{:<20} -> {advice}", "")),
        None => Ok(()),
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
