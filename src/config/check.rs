//! What `check-config` says: every fault, or a short summary of what would be served.
//!
//! It opens no socket, asks no name server and shows no secret.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::Errors;
use super::settings::Settings;
use super::types::{JournalMode, UpstreamMode};

/// Names and accounts listed in full; what is beyond is counted.
const LISTED: usize = 10;

/// A configuration without faults, in a few lines.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file; none: there is none.
    pub file: Option<PathBuf>,
    /// What it resolves to.
    pub settings: Settings,
    /// What has no effect and was probably meant to have one, a line each.
    pub warnings: Vec<String>,
}

/// Reads the file (as [`super::locate`] found it) and the environment as `serve` would.
///
/// # Errors
/// Every fault at once.
pub fn check_config<K: Into<OsString>, V: Into<OsString>>(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (K, V)>,
) -> Result<Report, Errors> {
    let env: Vec<(OsString, OsString)> = env
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let settings = super::load(file, env.iter().cloned())?;
    Ok(Report {
        file: file.map(Path::to_path_buf),
        warnings: super::strays(env, &settings),
        settings,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.settings;
        match &self.file {
            Some(file) => writeln!(f, "{}: ok", file.display())?,
            None => writeln!(f, "no configuration file: ok")?,
        }
        let mode = match s.upstream.mode {
            UpstreamMode::Local => "local: the emulator in this process; nothing reaches AWS",
            UpstreamMode::Aws => "aws: the real API",
        };
        writeln!(f, "mode      {mode}")?;
        let state = s.state.listen;
        let state = state.map_or(String::new(), |address| format!(", state {address}"));
        writeln!(
            f,
            "listen    producers {}, metrics {}, admin {}{state}",
            s.server.listen, s.metrics.listen, s.admin.listen
        )?;
        writeln!(f, "keys      {}", callers(s))?;
        let names = some_of(s.channels.iter().map(|channel| channel.name.to_string()));
        let unlisted = if s.unlisted.allowed {
            "allowed by ARN"
        } else {
            "refused"
        };
        writeln!(
            f,
            "channels  {} listed{names}; others {unlisted}",
            s.channels.len()
        )?;
        // Sorted, and each once, whether a channel or a table of its own names it.
        let listed = s.channels.iter().map(|c| (c.arn.account(), c.arn.region()));
        let own = s
            .accounts
            .iter()
            .map(|a| (a.id.as_str(), a.region.as_str()));
        let accounts: BTreeSet<_> = listed.chain(own).collect();
        let rates = accounts.iter().map(|(account, region)| {
            let policy = s.account_policy(account, region);
            format!("{account} {region} at {}/s", policy.account_tps)
        });
        writeln!(f, "accounts  {}{}", accounts.len(), some_of(rates))?;
        writeln!(
            f,
            "limits    {}/s a channel, payloads of {} bytes, {} bytes queued, {} channels",
            s.account_defaults.channel_tps,
            s.quota.payload_max_bytes,
            s.limits.queue_total_bytes,
            s.limits.channels_max
        )?;
        let dir = s.journal.dir.display();
        match s.journal.mode {
            _ if s.cluster.is_on() => {
                writeln!(f, "journal   the database of cluster {:?}", s.cluster.name)?;
            }
            JournalMode::Off => writeln!(f, "journal   off")?,
            JournalMode::Os => writeln!(f, "journal   os, in {dir}")?,
            JournalMode::Fsync => writeln!(f, "journal   fsync, in {dir}")?,
        }
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "warning   {warning}"))
    }
}

/// ` (a, b, and 3 more)`, or nothing.
fn some_of(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let mut shown: Vec<_> = items.take(LISTED).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    if shown.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown.join(", "))
    }
}

/// Who is let in, in a line.
#[must_use]
pub fn callers(settings: &Settings) -> String {
    let server = &settings.server;
    let beyond = |ip: std::net::IpAddr| !ip.to_canonical().is_loopback();
    if !settings.needs_proof() {
        return if server.open_without_keys {
            "NONE: whoever reaches the address may send (server.auth = \"none\")".to_owned()
        } else {
            "none: whoever is on this machine may send".to_owned()
        };
    }
    let keys = settings.api_keys.len();
    let mut ways = vec![format!(
        "{keys} API {}",
        if keys == 1 { "key" } else { "keys" }
    )];
    if settings.jwt.tokens().is_some() {
        ways.push("tokens".to_owned());
    }
    if server.tls_client_ca.is_some() {
        ways.push("client certificates".to_owned());
    }
    if (server.tls().is_none() && beyond(server.listen.ip())) || beyond(settings.admin.listen.ip())
    {
        ways.push(
            "IN PLAIN TEXT beyond this machine: let only a trusted network or a TLS proxy reach it"
                .to_owned(),
        );
    }
    ways.join(", ")
}
