//! What operators may ask of the running gateway: how it stands, and to read its configuration
//! again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Source;
use super::security::{self, Tried};
use crate::access::Access;
use crate::admin::{
    AccountReadiness, Admin, DeadLetterPage, Doing, Losses, Overview, Readiness, ReloadReport,
    Reloading, ReplayRefusal, ReplayReport,
};
use crate::config::{self, Settings, UpstreamMode};
use crate::dispatch::{Gateway, LetterFilter, NotReplayed, Refused};
use crate::ingest::Security;
use crate::ingest::refusal::Refusal;
use crate::journal::Room;
use crate::telemetry::{Snapshot, Telemetry};

/// What operators may ask of the running gateway.
pub(super) struct Control {
    gateway: Arc<Gateway>,
    telemetry: Arc<Telemetry>,
    source: Source,
    security: Security,
    /// The addresses that were bound at the start, whatever a file says since.
    bound: [(&'static str, SocketAddr); 2],
    /// One reload at a time.
    reloading: Mutex<()>,
}

impl Control {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        telemetry: Arc<Telemetry>,
        source: Source,
        security: Security,
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
            reloading: Mutex::new(()),
        }
    }

    /// Reads the configuration and puts it in force, or says what is wrong with it.
    pub(super) fn reload_now(&self) -> Result<ReloadReport, Vec<String>> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let read = self.source.load().and_then(|new| {
            let reload = config::reload(&self.gateway.settings(), new);
            self.check_open(&reload.in_force)?;
            let access = self.access(&reload.in_force)?;
            Ok((reload, access))
        });
        match read {
            Ok((reload, access)) => {
                tell(&access);
                // A key that is gone opens nothing from here on, whatever else is changing.
                self.security.keyring.put(access);
                let report = self.put_in_force(reload);
                // Channels may have other names now: who may stay is asked once more.
                self.security.keyring.ask_again();
                self.telemetry.meters().reloaded(true);
                tracing::info!(changes = report.changes.len(), needs_restart = ?report.needs_restart, "configuration reloaded");
                Ok(report)
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
        Access::build(settings, &security::environment, Some(&before))
    }

    /// Reads keys and certificates again whose files have changed. What is not good changes
    /// nothing, and is told once.
    pub(super) fn look_at_files(&self, tried: &mut Tried) {
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

    /// The filter with its channel by ARN: letters outlive aliases.
    fn by_arn(&self, mut filter: LetterFilter) -> LetterFilter {
        if let Some(name) = &mut filter.channel
            && let Ok(channel) = self.gateway.channel(name)
        {
            channel.arn().as_str().clone_into(name);
        }
        filter
    }

    fn put_in_force(&self, reload: config::Reload) -> ReloadReport {
        self.gateway.apply(Arc::new(reload.in_force));
        ReloadReport {
            changes: reload.changes,
            needs_restart: reload.needs_restart,
        }
    }
}

/// Warns of what was left out of an access.
pub(super) fn tell(access: &Access) {
    for warning in access.warnings() {
        tracing::warn!("{warning}");
    }
}

impl Admin for Control {
    fn snapshot(&self) -> Snapshot {
        self.gateway.snapshot()
    }

    fn readiness(&self) -> Readiness {
        let draining = self.gateway.is_draining();
        let accounts = self
            .gateway
            .accounts()
            .into_iter()
            .map(|account| AccountReadiness {
                account: account.account,
                region: account.region,
                up: account.up,
                reason: account.reason,
            });
        let journal = match self.gateway.room() {
            Room::Enough => None,
            Room::Full => Some("journal.max_bytes, or the room on its disk, is reached"),
            Room::Failing => Some("the journal cannot be written"),
        };
        let queues = (!self.gateway.has_queue_room()).then_some(
            "limits.queue_total_bytes is reached: what is queued fills the memory that it may take",
        );
        Readiness {
            ready: !draining && journal.is_none() && queues.is_none(),
            draining,
            eta_ms: if draining {
                self.gateway.eta_ms()
            } else {
                None
            },
            journal,
            queues,
            accounts: accounts.collect(),
        }
    }

    fn reload(&self) -> Reloading<'_> {
        Box::pin(async move { self.reload_now() })
    }

    fn overview(&self) -> Overview {
        let Readiness {
            draining, journal, ..
        } = self.readiness();
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            mode: match self.gateway.settings().upstream.mode {
                UpstreamMode::Local => "local",
                UpstreamMode::Aws => "aws",
            },
            draining,
            journal,
            channels: self.gateway.channel_count(),
            queued: self.gateway.queued(),
            delivered: self.gateway.delivered(),
            dead_letters: self.gateway.dead_letter_count(),
            accounts: self.gateway.accounts(),
        }
    }

    fn losses(&self) -> Losses {
        let meters = self.telemetry.meters();
        Losses::of(
            &self.gateway.snapshot(),
            meters.rejections(),
            meters.refusals(),
        )
    }

    fn config(&self) -> serde_json::Value {
        config::shown(&self.gateway.settings())
    }

    fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> DeadLetterPage {
        let filter = self.by_arn(filter.clone());
        // One more than is shown says whether there is a next page.
        let mut letters = self.gateway.dead_letters(&filter, after, limit + 1);
        let more = letters.len() > limit;
        letters.truncate(limit);
        DeadLetterPage {
            next: letters.last().filter(|_| more).map(|last| last.id),
            dead_letters: letters,
            total: self.gateway.dead_letter_count(),
        }
    }

    fn replay(&self, filter: LetterFilter) -> Doing<'_, ReplayReport> {
        Box::pin(async move {
            let replayed = self.gateway.replay(&self.by_arn(filter)).await;
            let replayed = replayed.map_err(detail)?;
            let refused = replayed.refused.into_iter().map(|(id, why)| {
                let refusal = match why {
                    NotReplayed::Channel(refused) => Refusal::from(refused),
                    NotReplayed::Queue(refusal) => Refusal::from(refusal),
                };
                ReplayRefusal {
                    id,
                    code: refusal.code.name(),
                    detail: refusal.detail.into_owned(),
                }
            });
            Ok(ReplayReport {
                refused: refused.collect(),
                replayed: replayed.accepted,
            })
        })
    }

    fn purge(&self, filter: LetterFilter) -> Doing<'_, usize> {
        Box::pin(async move {
            let filter = self.by_arn(filter);
            let purged = self.gateway.purge_dead_letters(&filter).await;
            purged.map_err(detail)
        })
    }
}

fn detail(refused: Refused) -> String {
    Refusal::from(refused).detail.into_owned()
}
