//! Builds the parts from the settings, runs them, drains them.
//!
//! The order matters: every address is bound before anything is served, so that a process
//! that starts at all starts whole.
//!
//! - `announce`: what the start says: addresses, upstream, journal, keys;
//! - `checkup`: what [`crate::doctor`] finds at the start, as warnings;
//! - `local`: the emulator of local mode;
//! - `security`: the keys and certificates that are read with the settings;
//! - `control`: what operators may ask of the running process: readiness, scrapes, dead letters;
//! - `reload`: the configuration, keys and certificates, read again;
//! - `store`: where what is accepted is kept: a journal, or what a node owns;
//! - `signals`: SIGTERM, SIGINT, SIGHUP.
//!
//! A part that panics ends the process (see [`crate::lifecycle`]).

mod announce;
mod checkup;
mod control;
mod local;
mod reload;
mod security;
mod signals;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin;
use crate::clock::Clock;
use crate::cluster;
use crate::config::{self, Settings, UpstreamMode};
use crate::dispatch::{AccountReport, Gateway, Parts};
use crate::ingest::listener::permits::Permits;
use crate::ingest::{self, Security, limits};
use crate::journal::{self, Journal};
use crate::lifecycle::{Death, Supervisor};
use crate::peers;
use crate::telemetry::Telemetry;
use crate::telemetry::logs::LogFormat;
use crate::upstream::{AccountOptions, Credentials, Upstream, UpstreamOptions};
use crate::viewers;
use crate::webhooks::{Endpoints, Webhooks};

use control::Control;
use local::LocalIvs;
use reload::Reload;
pub use security::security;
use signals::Signals;
pub use store::address;
use store::{Nodes, Store};

/// How long answers in progress may take once the drain is over.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How long a process that has sent everything waits for its tokens, if its drain has no more
/// time: they are back a second after the last answer. Those of a call that was given up may be
/// out for `tuning.abandon_ms`, which is up to ten minutes, and then it is better that the next
/// start holds back for a moment.
const TOKENS_PATIENCE: Duration = Duration::from_secs(3);

/// How often a process that is about to end looks whether its tokens are back.
const TOKENS_LOOK: Duration = Duration::from_millis(10);

/// Why the gateway could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("{key} = {address}: {error}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The emulator did not start.
    #[error("local_ivs.listen = {address}: {error}")]
    LocalIvs {
        /// The address.
        address: SocketAddr,
        /// What it said.
        error: local_ivs::BindError,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// What is said of the cluster cannot be used.
    #[error("{0}")]
    Cluster(String),
    /// What nodes know each other by cannot be used.
    #[error(transparent)]
    Trust(#[from] peers::Untrusted),
    /// The cluster's database cannot be used.
    #[error("the cluster's database: {0}")]
    Database(#[from] cluster::SchemaError),
    /// The secret of a webhook cannot be read any more.
    #[error("{0}")]
    Webhooks(config::Errors),
    /// A part of the process is gone.
    #[error(
        "{0}. Without it the gateway would fail in silence, so this process ends. This is a bug: please report it with the log. All that was acknowledged is in the journal, and the next start has it; with journal.mode = \"off\" what was queued is lost"
    )]
    Died(Death),
    /// Signals cannot be heard.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
}

/// Where settings come from, for a reload.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file; none: there is none.
    pub file: Option<PathBuf>,
}

impl Source {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn load(&self) -> Result<Settings, config::Errors> {
        config::load(self.file.as_deref(), std::env::vars_os())
    }
}

/// Serves until a signal says to stop, then drains. `security` is as [`security()`] has it for
/// these settings.
///
/// # Errors
/// An address that cannot be bound: nothing is served then. [`Error::Died`]: a part of it panicked.
pub async fn serve(
    source: Source,
    settings: Settings,
    security: Security,
    log_format: LogFormat,
) -> Result<(), Error> {
    let supervisor = Supervisor::default();
    serve_supervised(source, settings, security, log_format, supervisor).await
}

/// The same, for tests that let a part of it fail.
///
/// # Errors
/// As [`serve`].
pub async fn serve_supervised(
    source: Source,
    settings: Settings,
    security: Security,
    log_format: LogFormat,
    supervisor: Supervisor,
) -> Result<(), Error> {
    tokio::select! {
        // First: what else ends may be a consequence.
        biased;
        death = supervisor.death() => Err(Error::Died(death)),
        served = run(source, settings, security, log_format, &supervisor) => served,
    }
}

async fn run(
    source: Source,
    settings: Settings,
    security: Security,
    log_format: LogFormat,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    prepare(&settings);
    let settings = Arc::new(settings);
    let (close, closing) = watch::channel(false);
    let told = closing.clone();
    let (end_streams, life) = watch::channel(ingest::Life::Serving);
    let producers = bind("server.listen", settings.server.listen).await?;
    let operators = bind("metrics.listen", settings.metrics.listen).await?;
    let administrators = bind("admin.listen", settings.admin.listen).await?;
    let viewers = match settings.state.listen {
        Some(address) => Some(bind("state.listen", address).await?),
        None => None,
    };
    let nodes = Nodes::bind(&settings).await?;
    let local = LocalIvs::start(&settings, &closing, supervisor).await?;
    let mut signals = Signals::new()?;
    let clock = Arc::new(Clock::new());

    let mode = if local.is_some() { "local" } else { "aws" };
    let telemetry = Arc::new(Telemetry::new(mode));
    let upstream = Upstream::new(upstream_options(
        &settings,
        local.as_ref().map(|local| local.address),
    ));
    let parts = Parts {
        clock: Arc::clone(&clock),
        upstream,
        emulator: local.as_ref().map(LocalIvs::for_gateway),
        meters: Arc::clone(telemetry.meters()),
        supervisor: supervisor.clone(),
    };
    let (gateway, store, found) = Store::open(&settings, parts, nodes.as_ref(), &security).await?;
    let webhooks = Arc::new(Webhooks::new(Arc::clone(&gateway), supervisor.clone()));
    let endpoints = Endpoints::read(&settings, &security::environment);
    webhooks.apply(endpoints.map_err(Error::Webhooks)?);
    let reload = Arc::new(Reload::new(
        Arc::clone(&gateway),
        Arc::clone(&telemetry),
        source,
        security.clone(),
        Arc::clone(&webhooks),
        supervisor.clone(),
    ));
    let control = Arc::new(Control::new(
        Arc::clone(&gateway),
        Arc::clone(&telemetry),
        Arc::clone(&reload),
        local.as_ref().map(|local| local.emulator.clone()),
        store.part(),
    ));
    announce::start(
        log_format,
        &announce::Start {
            settings: &settings,
            producers: producers.local_addr().unwrap_or(settings.server.listen),
            emulator: local.as_ref().map(|local| local.address),
            kept: found.kept,
            unclean: found.unclean,
        },
    );

    if let Some(tls) = &security.tls {
        telemetry.meters().certificate_expires(tls.expires_s());
    }
    reload::tell(&security.keyring.access());
    let background = background(supervisor, &telemetry, &gateway, &reload);
    let checkup = checkup::begin(&gateway);
    let doors = Doors {
        supervisor,
        settings: &settings,
        security: &security,
        clock: &clock,
        telemetry: &telemetry,
        gateway: &gateway,
        control: &control,
        life,
    };
    // Metrics have a series of each of the producers' routes from the first scrape on.
    let mut open = vec![
        doors.producers(producers, closing),
        doors.metrics(operators),
        doors.admin(administrators),
    ];
    open.extend(viewers.map(|listener| doors.viewers(listener)));
    if let (Some(nodes), Some(part)) = (nodes, store.part()) {
        open.push(doors.nodes(nodes, part.node.name(), told)?);
    }
    open.extend(store.watch(supervisor, &settings));

    signals.until_stop(&reload).await;
    let clean = store.drain(&gateway, &mut signals).await;
    end_streams.send_replace(ingest::Life::Stopping);
    close.send_replace(true);
    open.extend(webhooks.finish());
    let _ = tokio::time::timeout(CLOSE_GRACE, join_all(open)).await;
    gateway.stop();
    store.close(clean);
    background.iter().for_each(JoinHandle::abort);
    checkup.iter().for_each(JoinHandle::abort);
    if let Some(local) = local {
        local.task.abort();
    }
    Ok(())
}

/// What the doors are opened with.
struct Doors<'a> {
    supervisor: &'a Supervisor,
    settings: &'a Arc<Settings>,
    security: &'a Security,
    clock: &'a Arc<Clock>,
    telemetry: &'a Arc<Telemetry>,
    gateway: &'a Arc<Gateway>,
    control: &'a Arc<Control>,
    life: watch::Receiver<ingest::Life>,
}

impl Doors<'_> {
    fn metrics(&self, listener: TcpListener) -> JoinHandle<()> {
        let router = admin::metrics_router(Arc::clone(self.telemetry), self.control.clone());
        self.of_operators("the door of metrics and probes", listener, router)
    }

    fn admin(&self, listener: TcpListener) -> JoinHandle<()> {
        let meters = self.telemetry.meters();
        let channels = ingest::operators_router(
            Arc::clone(self.gateway),
            Arc::clone(meters),
            self.life.clone(),
            &self.security.keyring,
        );
        let router = admin::admin_router(
            self.control.clone(),
            channels,
            self.settings.admin.listen,
            Arc::clone(&self.security.keyring),
            Arc::clone(self.clock),
            Arc::clone(meters),
        );
        self.of_operators("the operators' door", listener, router)
    }

    fn of_operators(
        &self,
        name: &'static str,
        listener: TcpListener,
        router: Router,
    ) -> JoinHandle<()> {
        let options = ingest::listener::Options {
            places: Permits::shared(limits::OPERATORS_CONNECTIONS_MAX),
            when_full: "as many operators' connections are open as there may be",
            h2_streams: limits::OPERATORS_H2_STREAMS_MAX,
            tls: None,
            meters: None,
        };
        self.open(name, listener, router, options)
    }

    fn viewers(&self, listener: TcpListener) -> JoinHandle<()> {
        let options = ingest::listener::Options {
            places: Permits::kept(limits::VIEWERS_CONNECTIONS_MAX),
            when_full: "as many connections are open to the state as there may be",
            h2_streams: limits::H2_STREAMS_MAX,
            tls: None,
            meters: None,
        };
        let router = viewers::router(Arc::clone(self.gateway));
        self.open("the viewers' door", listener, router, options)
    }

    fn open(
        &self,
        name: &'static str,
        listener: TcpListener,
        router: Router,
        options: ingest::listener::Options,
    ) -> JoinHandle<()> {
        let life = self.life.clone();
        self.supervisor.spawn(
            name,
            ingest::listener::serve(listener, router, options, life),
        )
    }

    /// The door of the other nodes.
    fn nodes(
        &self,
        nodes: Nodes,
        name: &str,
        closing: watch::Receiver<bool>,
    ) -> Result<JoinHandle<()>, Error> {
        let (stop, name) = (closed(closing), name.to_owned());
        let router = ingest::nodes_router(
            Arc::clone(self.gateway),
            Arc::clone(self.telemetry.meters()),
            self.life.clone(),
            &self.security.keyring,
        );
        let own = Arc::new(self.control.of_this_node());
        let router = router.merge(admin::nodes_router(own));
        let router = router.merge(viewers::nodes_router(Arc::clone(self.gateway)));
        let served = peers::serve(
            nodes.listener,
            self.gateway,
            router,
            nodes.trust,
            name,
            stop,
        )?;
        Ok(self.supervisor.spawn("the door of other nodes", served))
    }

    fn producers(&self, listener: TcpListener, closing: watch::Receiver<bool>) -> JoinHandle<()> {
        self.supervisor.spawn(
            "the producers' door",
            ingest::serve(
                listener,
                Arc::clone(self.gateway),
                Arc::clone(self.telemetry.meters()),
                self.security.clone(),
                closed(closing),
            ),
        )
    }
}

/// What comes before all else.
fn prepare(settings: &Settings) {
    ingest::listener::descriptors::raise();
    for stray in config::strays(std::env::vars_os(), settings) {
        tracing::warn!("{stray}");
    }
}

/// What goes on beside producers and calls, for as long as the process serves.
fn background(
    supervisor: &Supervisor,
    telemetry: &Arc<Telemetry>,
    gateway: &Arc<Gateway>,
    reload: &Arc<Reload>,
) -> [JoinHandle<()>; 6] {
    let of_telemetry = || Arc::clone(telemetry);
    let of_gateway = || Arc::clone(gateway);
    let (upkeep, warnings) = (of_telemetry(), of_telemetry());
    let (streams, credentials, clock) = (of_gateway(), of_gateway(), of_gateway());
    [
        supervisor.spawn("the upkeep of metrics", async move {
            upkeep.upkeep().await;
        }),
        supervisor.spawn("the telling of warnings", async move {
            warnings.warn().await;
        }),
        supervisor.spawn("the watch over streams", async move {
            streams.watch_streams().await;
        }),
        supervisor.spawn("the watch over credentials", async move {
            credentials.watch_credentials().await;
        }),
        supervisor.spawn("the watch over the wall clock", async move {
            clock.watch_clock().await;
        }),
        supervisor.spawn(
            "the watch over keys and certificates",
            Arc::clone(reload).watch(),
        ),
    ]
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::Listen {
            key,
            address,
            error,
        })
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // An error says that the sender is gone: that is an end too.
    let _ = closing.wait_for(|closed| *closed).await;
}

/// Refuses new events, lets the queues leave within the quota, and says what stayed. True: the
/// API counts none of our calls any more.
async fn drain(gateway: &Gateway, journal: &Journal, signals: &mut Signals) -> bool {
    let queued = gateway.queued();
    let before = gateway.delivered();
    let timeout = gateway.settings().server.drain_timeout;
    tracing::info!(
        queued,
        timeout_ms = timeout.as_millis(),
        "draining: new events are refused"
    );
    gateway.drain(timeout);
    let started = Instant::now();
    tokio::select! {
        () = gateway.drained(timeout) => {}
        () = signals.stop() => tracing::warn!("a second signal: stopping at once"),
    }
    let (delivered, kept) = (gateway.delivered() - before, gateway.queued());
    let mut clean = false;
    if kept == 0 {
        // The next process may start at once, with all its tokens.
        let patience = timeout
            .saturating_sub(started.elapsed())
            .max(TOKENS_PATIENCE);
        tokio::select! {
            back = tokio::time::timeout(patience, tokens_back(gateway)) => clean = back.is_ok(),
            () = signals.stop() => tracing::warn!("a second signal: stopping at once"),
        }
    }
    if kept == 0 && !clean {
        tracing::warn!("the API may still count calls of this process: the next start holds back");
    }
    let took_ms = started.elapsed().as_millis();
    if kept == 0 {
        tracing::info!(delivered, kept, took_ms, "drained");
    } else if journal.is_on() {
        tracing::warn!(
            delivered,
            kept,
            took_ms,
            "stopped with {kept} events that could not be sent; the journal keeps them for the next start"
        );
    } else {
        tracing::warn!(
            delivered,
            kept,
            took_ms,
            "stopped with {kept} events that could not be sent; journal.mode is off, so they were in memory only and are lost"
        );
    }
    clean
}

/// Returns when the API no longer counts any of our calls: about a second after the last.
async fn tokens_back(gateway: &Gateway) {
    let is_out = |account: &AccountReport| account.tokens.available < account.tokens.limit;
    while gateway.accounts().iter().any(is_out) {
        tokio::time::sleep(TOKENS_LOOK).await;
    }
}

/// The API as a gateway with these settings calls it; none in local mode, where the emulator is a
/// part of that process.
#[must_use]
pub fn upstream(settings: &Settings) -> Option<Upstream> {
    (settings.upstream.mode == UpstreamMode::Aws)
        .then(|| Upstream::new(upstream_options(settings, None)))
}

fn upstream_options(settings: &Settings, local: Option<SocketAddr>) -> UpstreamOptions {
    let call_timeout = settings.upstream.call_timeout;
    let abandon = settings.account_defaults.abandon.as_duration();
    if let Some(address) = local {
        return UpstreamOptions {
            accounts: local::accounts(&settings.channels),
            ..UpstreamOptions::local(format!("http://{address}"), call_timeout, abandon)
        };
    }
    let accounts = settings.accounts.iter().map(|account| AccountOptions {
        account: account.id.clone(),
        region: account.region.clone(),
        role_arn: account.role_arn.clone(),
        external_id: account.external_id.clone(),
        endpoint_url: account.endpoint_url.clone(),
        credentials: None,
    });
    UpstreamOptions {
        endpoint_url: settings.upstream.endpoint_url.clone(),
        region: settings.upstream.region.clone(),
        credentials: Credentials::Chain,
        call_timeout,
        abandon,
        accounts: accounts.collect(),
    }
}
