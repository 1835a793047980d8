//! Where what is accepted is kept: the journal of a process by itself, or the accounts that a node of a
//! cluster owns.

use std::sync::Arc;
use std::time::Duration;

use engine::{OwnershipRules, Span};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::announce;
use super::{Error, drain};
use crate::access::Keyring;
use crate::config::{ClusterSettings, Settings, UpstreamMode};
use crate::dispatch::{DeadLetters, Gateway, Holdings, Parts};
use crate::ingest::Security;
use crate::journal::{self, Journal};
use crate::lifecycle::Supervisor;
use crate::node::{self, Node};
use crate::peers::{Others, Trust};
use crate::postgres::Address;

use super::bind;
use super::signals::Signals;

/// A node that ends has this long to release what it owns, beside the time that its calls have.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

/// Where what is accepted is kept.
pub(super) enum Store {
    /// On this machine.
    Journal(Arc<Journal>),
    /// In a database that nodes share.
    Node(Part),
}

/// This process's part in a cluster.
#[derive(Clone)]
pub(super) struct Part {
    /// What it owns.
    pub node: Arc<Node>,
    /// Where the rest is.
    pub others: Arc<Others>,
}

/// Where other nodes reach this one.
pub(super) struct Nodes {
    pub listener: TcpListener,
    pub trust: Trust,
}

impl Nodes {
    /// Listens for them; none: this process is by itself.
    pub(super) async fn bind(settings: &Settings) -> Result<Option<Self>, Error> {
        let cluster = &settings.cluster;
        if !cluster.is_on() {
            return Ok(None);
        }
        let trust = Trust::of(cluster)?;
        let listener = bind("cluster.listen", cluster.listen).await?;
        Ok(Some(Self { listener, trust }))
    }

    /// How they reach it.
    fn address(&self, cluster: &ClusterSettings) -> String {
        let listens = self.listener.local_addr().unwrap_or(cluster.listen);
        let advertised = cluster.advertise.clone();
        advertised.unwrap_or_else(|| listens.to_string())
    }
}

/// What was found there.
pub(super) struct Found {
    /// Events of before.
    pub kept: usize,
    /// How the process before this one ended, if not cleanly.
    pub unclean: Option<announce::Unclean>,
}

impl Store {
    /// Opens it, and starts the gateway on it.
    pub(super) async fn open(
        settings: &Arc<Settings>,
        parts: Parts,
        nodes: Option<&Nodes>,
        security: &Security,
    ) -> Result<(Arc<Gateway>, Self, Found), Error> {
        match nodes {
            Some(nodes) => Self::join(settings, parts, nodes, &security.keyring).await,
            None => Self::alone(settings, parts),
        }
    }

    fn alone(settings: &Arc<Settings>, parts: Parts) -> Result<(Arc<Gateway>, Self, Found), Error> {
        let letters = Arc::new(DeadLetters::default());
        let (shelf, options) = (Arc::clone(&letters), options(settings));
        let (journal, recovery) =
            Journal::open(&options, &parts.clock, shelf as _, &parts.supervisor)?;
        let journal = Arc::new(journal);
        let found = Found {
            kept: recovery.events(),
            unclean: recovery.unclean.then(|| announce::Unclean {
                counted: recovery.counted,
                open: recovery.open(),
            }),
        };
        let holdings = Holdings {
            journal: Arc::clone(&journal),
            letters,
            recovery,
        };
        let gateway = Gateway::start(Arc::clone(settings), parts, holdings);
        Ok((gateway, Self::Journal(journal), found))
    }

    async fn join(
        settings: &Arc<Settings>,
        parts: Parts,
        nodes: &Nodes,
        keyring: &Arc<Keyring>,
    ) -> Result<(Arc<Gateway>, Self, Found), Error> {
        let options = node_options(settings, nodes)?;
        let (clock, supervisor) = (Arc::clone(&parts.clock), parts.supervisor.clone());
        let gateway = Gateway::join(Arc::clone(settings), parts);
        let node = Node::start(options, &gateway, &clock, &supervisor).await?;
        let others = Others::of(&node, &gateway, nodes.trust.clone(), Arc::clone(keyring));
        let others = Arc::new(others);
        gateway.meet(Arc::clone(&others) as _);
        let node = Arc::new(node);
        let found = Found {
            kept: 0,
            unclean: None,
        };
        Ok((gateway, Self::Node(Part { node, others }), found))
    }

    /// This process's part in a cluster, if it has one.
    pub(super) fn part(&self) -> Option<Part> {
        match self {
            Self::Journal(_) => None,
            Self::Node(part) => Some(part.clone()),
        }
    }

    /// Keeps in touch with the other nodes, where there are any.
    pub(super) fn watch(
        &self,
        supervisor: &Supervisor,
        settings: &Settings,
    ) -> Option<JoinHandle<()>> {
        let others = Arc::clone(&self.part()?.others);
        let watch = others.watch(settings.cluster.beat);
        Some(supervisor.spawn("the watch over other nodes", watch))
    }

    /// The end has come: a process by itself lets its queues leave, a node hands over what it owns. True:
    /// the API counts none of its calls any more.
    pub(super) async fn drain(&self, gateway: &Gateway, signals: &mut Signals) -> bool {
        match self {
            Self::Journal(journal) => drain(gateway, journal, signals).await,
            Self::Node(Part { node, .. }) => {
                let patience = hand_over(&gateway.settings()) + RELEASE_PATIENCE;
                gateway.refuse(patience);
                let left = node.leave(patience).await;
                if !left {
                    tracing::warn!(
                        "not every account could be handed over: another node takes them when its lease is over"
                    );
                }
                left
            }
        }
    }

    /// Writes what is left.
    pub(super) fn close(&self, clean: bool) {
        if let Self::Journal(journal) = self {
            journal.close(clean);
        }
    }
}

fn options(settings: &Settings) -> journal::Options {
    journal::Options {
        mode: settings.journal.mode,
        dir: settings.journal.dir.clone(),
        max_bytes: settings.journal.max_bytes,
        hold: settings.tuning.restart_hold,
        api_is_new: settings.upstream.mode == UpstreamMode::Local,
    }
}

/// How long calls may take to be answered, and the API to forget them.
fn hand_over(settings: &Settings) -> Duration {
    let rules = &settings.account_defaults;
    settings.upstream.call_timeout + (Span::SECOND + rules.grace + Span::SECOND).as_duration()
}

fn node_options(settings: &Settings, nodes: &Nodes) -> Result<node::Options, Error> {
    let cluster = &settings.cluster;
    let rules = OwnershipRules {
        take_after: cluster.take_after.into(),
        lease: cluster.lease.into(),
        ..OwnershipRules::default()
    };
    Ok(node::Options {
        address: address(cluster)?,
        cluster: cluster.name.clone(),
        name: cluster.node.clone().unwrap_or_else(host),
        advertised: nodes.address(cluster),
        rules,
        beat: cluster.beat,
        commit_timeout: cluster.commit_timeout,
        hand_over: hand_over(settings),
        journal: options(settings),
    })
}

/// Where the database of a cluster is.
///
/// # Errors
/// What is wrong with the settings.
pub fn address(cluster: &ClusterSettings) -> Result<Address, Error> {
    let wrong = |what: String| Error::Cluster(what);
    let url = match (&cluster.url, &cluster.url_env) {
        (Some(url), _) => url.clone(),
        (None, Some(name)) => std::env::var(name)
            .map_err(|_| wrong(format!("cluster.url_env: the variable {name} is not set")))?,
        (None, None) => {
            return Err(wrong(
                "cluster.url is empty: there is no cluster".to_owned(),
            ));
        }
    };
    let parsed = Address::parse(&url);
    let mut address = parsed.map_err(|error| wrong(format!("cluster.url: {error}")))?;
    if let Some(file) = &cluster.password_file {
        let read = address.read_password(file);
        read.map_err(|error| wrong(format!("cluster.password_file: {error}")))?;
    }
    Ok(address)
}

/// The host's name.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}
