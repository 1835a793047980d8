//! A reload: the configuration is read again and put in force, whole or not at all. Keys and
//! certificates are read again by themselves when their files change.
//!
//! A show can list 100,000 channels, so all of it is done on a thread that nobody waits for.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Source;
use super::security::environment;
use crate::access::{Access, Stamped};
use crate::admin::ReloadReport;
use crate::config::{self, Settings};
use crate::dispatch::{Gateway, NotOpened};
use crate::ingest::Security;
use crate::lifecycle::Supervisor;
use crate::telemetry::Telemetry;
use crate::webhooks::{Endpoints, Webhooks};

/// How often files are looked at: a revoked token's key is of no use so long after.
const LOOK: Duration = Duration::from_secs(1);

/// What could not be done, as lines of the log: more would push everything else out of sight.
const FAILURES_TOLD: usize = 20;

/// The files that were read last, whether what is in them was good or not.
#[derive(Debug, Default)]
struct Tried {
    keys: Stamped,
    certificates: Stamped,
}

/// What a reload is done with.
pub(super) struct Reload {
    gateway: Arc<Gateway>,
    telemetry: Arc<Telemetry>,
    source: Source,
    security: Security,
    webhooks: Arc<Webhooks>,
    supervisor: Supervisor,
    /// The addresses that were bound at the start, whatever a file says since.
    bound: [(&'static str, SocketAddr); 2],
    /// One reload at a time.
    reloading: Mutex<()>,
}

impl Reload {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        telemetry: Arc<Telemetry>,
        source: Source,
        security: Security,
        webhooks: Arc<Webhooks>,
        supervisor: Supervisor,
    ) -> Self {
        let settings = gateway.settings();
        let bound = [
            ("server.listen", settings.server.listen),
            ("admin.listen", settings.admin.listen),
        ];
        Self {
            bound,
            gateway,
            telemetry,
            source,
            security,
            webhooks,
            supervisor,
            reloading: Mutex::new(()),
        }
    }

    /// Reads the configuration and puts it in force, or says what is wrong with it.
    pub(super) async fn run(self: &Arc<Self>) -> Result<ReloadReport, Vec<String>> {
        let this = Arc::clone(self);
        let work = move || this.run_now();
        self.supervisor.blocking("a reload", work).await
    }

    /// The same, and nobody waits for it. What comes of it is logged, whoever asked for it.
    pub(super) fn begin(self: &Arc<Self>) {
        let this = Arc::clone(self);
        self.supervisor.spawn("a reload", async move {
            let _ = this.run().await;
        });
    }

    /// Looks at the files of keys and certificates for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut tried = Tried::default();
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            // Files may be on a network's disk.
            let look = move || {
                this.look_at_files(&mut tried);
                tried
            };
            let name = "the reading of keys and certificates";
            tried = self.supervisor.blocking(name, look).await;
        }
    }

    fn run_now(&self) -> Result<ReloadReport, Vec<String>> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let read = self.source.load().and_then(|new| {
            let reload = config::reload(&self.gateway.settings(), new);
            self.check_open(&reload.in_force)?;
            let access = self.access(&reload.in_force)?;
            let endpoints = Endpoints::read(&reload.in_force, &environment)?;
            Ok((reload, access, endpoints))
        });
        match read {
            Ok((reload, access, endpoints)) => {
                tell(&access);
                // A key that is gone opens nothing from here on, whatever else is changing.
                self.security.keyring.put(access);
                let report = Report(self.put_in_force(reload));
                self.webhooks.apply(endpoints);
                // Channels may have other names now: who may stay is asked once more.
                self.security.keyring.ask_again();
                self.telemetry.meters().reloaded(true);
                report.log();
                Ok(report.0)
            }
            Err(errors) => {
                self.telemetry.meters().reloaded(false);
                let errors: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
                for error in &errors {
                    tracing::error!(%error, "configuration not reloaded; the old one stays in force");
                }
                Err(errors)
            }
        }
    }

    /// Refuses to let everybody in where others than this machine reach a listener: it stays where
    /// it is until a restart.
    fn check_open(&self, new: &Settings) -> Result<(), config::Errors> {
        if new.needs_proof() || new.server.open_without_keys {
            return Ok(());
        }
        let beyond = self
            .bound
            .iter()
            .filter(|(_, at)| !at.ip().to_canonical().is_loopback());
        let errors: Vec<_> = beyond
            .map(|(key, at)| {
                let what = format!("this process listens on {at} until it is restarted: it must not go without keys before");
                config::Error::of_key(key, &what)
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(config::Errors(errors))
        }
    }

    /// Who may do what by these settings. Limits that stay keep what was used of them.
    fn access(&self, settings: &Settings) -> Result<Access, config::Errors> {
        let before = self.security.keyring.access();
        Access::build(settings, &environment, Some(&before))
    }

    /// Reads keys and certificates again whose files have changed. What is not good changes
    /// nothing, and is told once.
    fn look_at_files(&self, tried: &mut Tried) {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let access = self.security.keyring.access();
        access.tidy();
        let files = access.files().now();
        if files != *access.files() && files != tried.keys {
            tried.keys = files;
            match self.access(&self.gateway.settings()) {
                Ok(access) => {
                    tell(&access);
                    self.security.keyring.put(access);
                    tracing::info!("keys were read again: their files have changed");
                }
                Err(errors) => {
                    tracing::error!(%errors, "keys could not be read again; the old ones stay in force");
                }
            }
        }
        self.webhooks.look_at_files(&environment);
        if let Some(tls) = &self.security.tls {
            match tls.read_changes(&mut tried.certificates) {
                Ok(false) => {}
                Ok(true) => {
                    self.telemetry.meters().certificate_expires(tls.expires_s());
                    tracing::info!("certificates were read again: their files have changed");
                }
                Err(error) => {
                    tracing::error!(%error, "certificates could not be read again; the old ones stay in force");
                }
            }
        }
    }

    fn put_in_force(&self, reload: config::Reload) -> ReloadReport {
        let mut failed = self.gateway.make_known(&reload.in_force.channels);
        let not_opened = self.gateway.apply(Arc::new(reload.in_force));
        failed.extend(not_opened.iter().map(ToString::to_string));
        let added = |channel: &NotOpened| format!("channel {} added", channel.name);
        let left_out: HashSet<String> = not_opened.iter().map(added).collect();
        let mut changes = reload.changes;
        changes.retain(|change| !left_out.contains(change));
        ReloadReport {
            changes,
            needs_restart: reload.needs_restart,
            failed,
        }
    }
}

/// What a reload did, for the log.
struct Report(ReloadReport);

impl Report {
    fn log(&self) {
        let Self(report) = self;
        for failed in report.failed.iter().take(FAILURES_TOLD) {
            tracing::error!("{failed}");
        }
        let (changes, failed) = (report.changes.len(), report.failed.len());
        tracing::info!(changes, failed, needs_restart = ?report.needs_restart, "configuration reloaded");
    }
}

/// Warns of what was left out of an access.
pub(super) fn tell(access: &Access) {
    for warning in access.warnings() {
        tracing::warn!("{warning}");
    }
}
