//! Which channels a run uses, and whether anybody watches them.
//!
//! In this order: the channels that were named; channels that exist for this only, where the local
//! IVS can make them and the gateway takes channels that are not listed; the listed ones. Nothing
//! is sent to viewers unless their channels were named.

use std::collections::HashSet;

use cuegate_client::{Channel, Client, Upstream};

use super::Load;
use super::emulator::{DEFAULT_URL, Emulator, Observer};
use crate::cli::Error;
use crate::config::glob::Glob;

/// Channels made for a run: under the account of the emulator's well-known key.
const MADE: &str = "arn:aws:ivs:us-west-2:000000000000:channel/load-";

const VIEWERS: &str = "the gateway sends to AWS, so these events could reach viewers: name the channels that are meant with --channel, or the local IVS that it sends to with --emulator";

/// What a run is sent to.
pub(super) struct Targets {
    /// The channels as they stood before.
    pub(super) channels: Vec<Channel>,
    /// Who sees what comes out.
    pub(super) observer: Option<Observer>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// Finds them.
pub(super) async fn find(gateway: &Client, load: &Load) -> Result<Targets, Error> {
    let all = gateway.channels().await?;
    let (upstream, listed) = (all.upstream, all.channels);
    // An emulator that happens to be at the default address does not say that viewers are safe.
    let meant = upstream.mode == "local" || !load.channel.is_empty();
    if !meant && load.emulator.is_none() {
        return Err(Error::Usage(VIEWERS.to_owned()));
    }
    let mut notes = Vec::new();
    let emulator = emulator(load, &upstream, &mut notes).await?;
    let names = names(gateway, load, emulator.as_ref(), &listed, &mut notes).await?;
    let mut channels: Vec<Channel> = Vec::with_capacity(names.len());
    let mut known = HashSet::new();
    for name in &names {
        let found = gateway.status(name).await?;
        // An alias and an ARN may name the same channel.
        if known.insert(found.arn.clone()) {
            channels.push(found);
        }
    }
    let arns: Vec<String> = channels.iter().map(|found| found.arn.clone()).collect();
    let observer = match emulator {
        Some(emulator) => {
            let url = emulator.url().to_owned();
            let observer = Observer::begin(emulator, &arns).await?;
            match &observer {
                None => notes.push(format!(
                    "the local IVS at {url} does not have all of these channels: what is delivered is not observed"
                )),
                Some(observer) if observer.offline > 0 => notes.push(format!(
                    "{} of these channels are not live",
                    observer.offline
                )),
                Some(_) => {}
            }
            observer
        }
        None => None,
    };
    if !meant && observer.is_none() {
        return Err(Error::Usage(VIEWERS.to_owned()));
    }
    Ok(Targets {
        channels,
        observer,
        notes,
    })
}

/// The local IVS that was named, else the gateway's own, else one at the default address.
async fn emulator(
    load: &Load,
    upstream: &Upstream,
    notes: &mut Vec<String>,
) -> Result<Option<Emulator>, Error> {
    if let Some(url) = &load.emulator {
        return Emulator::find(url).await.map(Some);
    }
    let url = upstream.local_ivs.as_deref().unwrap_or(DEFAULT_URL);
    let found = Emulator::find(url).await.ok();
    if found.is_none() {
        notes.push(format!(
            "no local IVS at {url}: what is delivered is not observed; --emulator says where it is"
        ));
    }
    Ok(found)
}

/// The channels as requests name them.
async fn names(
    gateway: &Client,
    load: &Load,
    emulator: Option<&Emulator>,
    listed: &[Channel],
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    if !load.channel.is_empty() {
        return named(load, listed);
    }
    let wanted = load.channels.unwrap_or(1);
    if let Some(emulator) = emulator
        && takes_unlisted(gateway).await?
    {
        let names: Vec<String> = (1..=wanted).map(|nth| format!("{MADE}{nth}")).collect();
        for name in &names {
            emulator.make_live(name).await?;
        }
        return Ok(names);
    }
    let names: Vec<String> = (listed.iter().map(|found| found.name.clone()))
        .take(wanted)
        .collect();
    if names.is_empty() {
        return Err(Error::Refused(
            "the gateway lists no channel: add [[channel]] tables to its configuration".to_owned(),
        ));
    }
    if names.len() < wanted {
        notes.push(format!(
            "using {} of the {wanted} channels asked for: the gateway lists no more, and takes no others. For more, list them, or start it with CUEGATE__CHANNELS__ALLOW_UNLISTED=true beside the local IVS",
            names.len()
        ));
    }
    Ok(names)
}

/// Those that were named: ARNs as they are, patterns as the listed channels fit them.
fn named(load: &Load, listed: &[Channel]) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for pattern in &load.channel {
        let before = names.len();
        if pattern.contains('*') {
            let glob: Glob = pattern
                .parse()
                .map_err(|error| Error::Usage(format!("--channel {pattern}: {error}")))?;
            let fitting = listed.iter().filter(|found| glob.matches(&found.name));
            names.extend(fitting.map(|found| found.name.clone()));
            if names.len() == before {
                return Err(Error::Refused(format!(
                    "--channel {pattern}: no listed channel fits"
                )));
            }
        } else {
            names.push(pattern.clone());
        }
    }
    names.sort();
    names.dedup();
    let wanted = load.channels.unwrap_or(names.len());
    if names.len() < wanted {
        return Err(Error::Usage(format!(
            "--channels {wanted}: only {} are named by --channel; leave one of the two out",
            names.len()
        )));
    }
    names.truncate(wanted);
    Ok(names)
}

/// Whether channels that are not listed may be addressed.
async fn takes_unlisted(gateway: &Client) -> Result<bool, Error> {
    match gateway.status(&format!("{MADE}1")).await {
        Ok(_) => Ok(true),
        Err(cuegate_client::Error::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
