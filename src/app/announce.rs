//! What the start says: where everything is, and in words that no one can miss whether payloads
//! reach viewers.
//!
//! For people it is a block of lines; with JSON logs each of them is a line of the log.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use crate::config::{JournalMode, Settings, check};
use crate::telemetry::logs::LogFormat;

/// What there is to say.
pub(super) struct Start<'a> {
    pub settings: &'a Settings,
    /// Where producers are listened to.
    pub producers: SocketAddr,
    /// The emulator's address, in local mode.
    pub emulator: Option<SocketAddr>,
    /// Events that the journal brought back.
    pub kept: usize,
    /// How the process before this one ended, if not cleanly.
    pub unclean: Option<Unclean>,
}

/// What the last process left undone.
pub(super) struct Unclean {
    /// The journal tells of all its calls.
    pub counted: bool,
    /// Those that may still be handled.
    pub open: u64,
}

/// Says it.
pub(super) fn start(format: LogFormat, start: &Start<'_>) {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        LogFormat::Human => {
            let mut block = format!("cuegate {version}\n");
            for (about, text) in start.lines() {
                // Writing to a String cannot fail.
                let _ = writeln!(block, "  {about:<10} {text}");
            }
            // A start does not fail because nobody can be told of it.
            let _ = std::io::stderr().write_all(block.as_bytes());
        }
        LogFormat::Json => {
            tracing::info!(version, "cuegate starts");
            for (about, text) in start.lines() {
                tracing::info!(about, "{text}");
            }
        }
    }
    if let Some(unclean) = &start.unclean {
        tell(unclean, start);
    }
}

fn tell(unclean: &Unclean, start: &Start<'_>) {
    let (kept, open) = (start.kept, unclean.open);
    if unclean.counted {
        let policy = &start.settings.account_defaults;
        let hold_ms = (engine::Span::SECOND + policy.grace).millis_ceil();
        let abandon_ms = policy.abandon.millis_ceil();
        tracing::warn!(
            kept,
            hold_ms,
            open,
            abandon_ms,
            "the last process on this journal did not end cleanly; no call is made for hold_ms, and the tokens of its open calls are withheld for abandon_ms more, because they may still be handled"
        );
    } else {
        let hold_ms = start.settings.tuning.restart_hold.as_millis();
        tracing::warn!(
            kept,
            hold_ms,
            "the last process on this journal did not end cleanly, and the journal does not tell of all its calls; they may still count, so none is made for hold_ms"
        );
    }
}

impl Start<'_> {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings;
        let (producers, scheme) = (self.producers, self.scheme());
        let mut lines = vec![
            ("producers", format!("{scheme}://{producers}")),
            (
                "metrics",
                format!("http://{}/metrics", settings.metrics.listen),
            ),
            ("admin", format!("http://{}", settings.admin.listen)),
            ("upstream", self.upstream()),
            ("journal", self.journal()),
            ("keys", check::callers(settings)),
        ];
        if let Some(address) = settings.state.listen {
            let who = "without keys: whoever has the URL has the state";
            lines.push(("state", format!("http://{address}, {who}")));
        }
        if let Some(endpoint) = &settings.tracing.otlp_endpoint {
            lines.push(("traces", format!("to {endpoint}")));
        }
        if let (Some(_), Some(channel)) = (self.emulator, settings.channels.first())
            && !settings.needs_proof()
        {
            let name = &channel.name;
            let event = r#"'{"data":{"hello":"viewers"}}'"#;
            lines.push((
                "try",
                format!("curl {scheme}://{producers}/v1/channels/{name}/events --json {event}"),
            ));
        }
        lines
    }

    fn scheme(&self) -> &'static str {
        match &self.settings.server.tls() {
            Some(_) => "https",
            None => "http",
        }
    }

    fn upstream(&self) -> String {
        if let Some(emulator) = self.emulator {
            return format!(
                "LOCAL MODE: the emulator at http://{emulator}; nothing reaches AWS or a viewer"
            );
        }
        let endpoint = self.settings.upstream.endpoint_url.as_deref();
        let endpoint = endpoint.unwrap_or("the real Amazon IVS API");
        format!("AWS: {endpoint}; every payload reaches real viewers")
    }

    fn journal(&self) -> String {
        let cluster = &self.settings.cluster;
        if cluster.is_on() {
            return format!(
                "the database of cluster {:?}: what is accepted survives this machine",
                cluster.name
            );
        }
        let (dir, kept) = (self.settings.journal.dir.display(), self.kept);
        let survives = match self.settings.journal.mode {
            JournalMode::Off => {
                return "OFF: events are in memory only; what is queued is lost with the process"
                    .to_owned();
            }
            JournalMode::Os => "process",
            JournalMode::Fsync => "machine",
        };
        format!("{dir}: what is accepted survives the {survives}; {kept} events from before")
    }
}
