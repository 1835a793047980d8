//! This node's part in a cluster: it says that it lives, looks who owns each account, and does what
//! [`engine::ownership`] asks for: it takes an account, recovers what its owner left, hands it over.
//!
//! - `watch`: the task that looks at the database and carries out;
//! - `beats`: the task that says that this node lives;
//! - `owners`: where the owner of each account is;
//! - `parts`: this node's part in each account, as everybody here sees it.
//!
//! Looks and beats have a session each: a take that waits for an owner's commit keeps no beat back.

mod beats;
mod owners;
mod parts;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{NodeId, OwnershipRules};
use tokio::sync::{mpsc, watch as watched};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::cluster;
use crate::dispatch::Gateway;
use crate::journal;
use crate::lifecycle::Supervisor;
use crate::postgres::{Address, Error, Session};
use owners::Beats;
pub use owners::{Owner, Owners};
pub use parts::Key;
use parts::Parts;
use watch::{News, Watch};

/// How long a connection to the database may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a node that leaves looks whether all its accounts are released.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a node goes by.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database is.
    pub address: Address,
    /// The cluster's name: two of them may share a database.
    pub cluster: String,
    /// The node's name for people.
    pub name: String,
    /// Where other nodes reach it.
    pub advertised: String,
    /// When it takes, and how long it believes that it owns.
    pub rules: OwnershipRules,
    /// Between two beats, and two looks.
    pub beat: Duration,
    /// How long a commit may be in doubt.
    pub commit_timeout: Duration,
    /// How long calls of an account that it hands over may take to be answered and to count no more.
    pub hand_over: Duration,
    /// How its journals are opened.
    pub journal: journal::Options,
}

/// A node that runs.
pub struct Node {
    clock: Arc<Clock>,
    name: String,
    owners: watched::Receiver<Arc<Owners>>,
    parts: Arc<Parts>,
    news: mpsc::UnboundedSender<News>,
    tasks: Vec<JoinHandle<()>>,
}

/// Hears whether this node reaches the others: an owner that is not reached, and makes no beat, is replaced
/// sooner than one that makes no beat.
pub struct Reached(Arc<Parts>);

impl Reached {
    /// A node answers, or its connection is refused, reset or silent.
    pub fn tell(&self, node: &str, is_up: bool) {
        self.0.each(|_, part| part.link(id_of(node), is_up));
    }
}

/// What the node knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// Whether this node takes events for it, be it that it makes no calls yet.
    pub is_here: bool,
}

impl Node {
    /// Looks at the database once, and begins to take part.
    ///
    /// # Errors
    /// The database cannot be reached, lacks the tables, or does not keep what it confirms.
    pub async fn start(
        options: Options,
        gateway: &Arc<Gateway>,
        clock: &Arc<Clock>,
        supervisor: &Supervisor,
    ) -> Result<Self, cluster::SchemaError> {
        let options = Arc::new(options);
        let mut session = Session::connect(&options.address, PATIENCE).await?;
        cluster::check_version(&mut session).await?;
        let durability = cluster::durability(&mut session).await?;
        if durability.standbys.trim().is_empty() {
            tracing::warn!(
                "the database names no synchronous standby: what was acknowledged is lost with its machine"
            );
        }
        let id = NodeId(fastrand::u64(1..));
        let me = cluster::Node {
            node: name_of(id),
            name: options.name.clone(),
            address: options.advertised.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let parts = Arc::new(Parts::new(id, options.rules));
        let (news, heard) = mpsc::unbounded_channel();
        let beats = beats::beat(
            Arc::clone(&options),
            me.clone(),
            Arc::clone(&parts),
            Arc::clone(clock),
        );
        let (tell, owners) = watched::channel(Arc::new(Owners::default()));
        let name = me.node.clone();
        let watch = Watch {
            options: Arc::clone(&options),
            me,
            parts: Arc::clone(&parts),
            gateway: Arc::clone(gateway),
            clock: Arc::clone(clock),
            supervisor: supervisor.clone(),
            session: Some(session),
            news: news.clone(),
            is_blind: false,
            beats: Beats::default(),
            moves: HashMap::new(),
            owners: tell,
        };
        let tasks = vec![
            supervisor.spawn("this node's beats", beats),
            supervisor.spawn("the watch over who owns", watch.run(heard)),
        ];
        Ok(Self {
            clock: Arc::clone(clock),
            name,
            owners,
            parts,
            news,
            tasks,
        })
    }

    /// Its name in the database, which no other life of it has.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom to tell which nodes are reached.
    #[must_use]
    pub fn reached(&self) -> Reached {
        Reached(Arc::clone(&self.parts))
    }

    /// Where the owners of accounts are; changes with what a look shows.
    #[must_use]
    pub fn owners(&self) -> watched::Receiver<Arc<Owners>> {
        self.owners.clone()
    }

    /// What it knows of each account, in order.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountView> {
        self.parts.view(self.clock.now_with_sleep())
    }

    /// Hands every account over, within `patience`. True: all of them are released.
    pub async fn leave(&self, patience: Duration) -> bool {
        // The watch is gone where nobody listens: then nothing is released.
        let _ = self.news.send(News::Leave);
        let left = async {
            while self.parts.owns_any() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let left = tokio::time::timeout(patience, left).await.is_ok();
        self.tasks.iter().for_each(JoinHandle::abort);
        left
    }
}

/// A node's name in the database, which no other life of it has.
fn name_of(id: NodeId) -> String {
    format!("{:016x}", id.0)
}

/// The node of that name. Names of other shapes are of no program that is known: nobody's.
fn id_of(name: &str) -> NodeId {
    NodeId(u64::from_str_radix(name, 16).unwrap_or_default())
}

/// The session, connected if there is none.
async fn connected<'a>(
    session: &'a mut Option<Session>,
    address: &Address,
) -> Result<&'a mut Session, Error> {
    match session {
        Some(session) => Ok(session),
        None => Ok(session.insert(Session::connect(address, PATIENCE).await?)),
    }
}
