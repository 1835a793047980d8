//! `cuegate cluster`: what several nodes share, in their database.

mod check;
mod moving;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Error, output};
use crate::cluster::{self, SchemaError};
use crate::config::{self, Settings};
use crate::postgres::{Address, Session};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Several nodes that share a database.
#[derive(clap::Subcommand, Debug)]
pub enum Cluster {
    /// Make the tables that nodes share, or bring those of an older program up to date.
    Init {
        /// Where [cluster] is read from.
        #[command(flatten)]
        configuration: Configuration,
        /// Print what another role needs to run nodes, as statements: then this role makes the tables and
        /// that one uses them.
        #[arg(long, value_name = "ROLE")]
        grants: Option<String>,
    },
    /// Look whether the database keeps what nodes rely on, and what a commit and a change of owner cost.
    Check {
        /// Where [cluster] is read from.
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Have the owner of an account hand it over to another node. Nothing is lost, and calls go on within 2 s.
    Move {
        /// The account's id.
        account: String,
        /// The region.
        region: String,
        /// The node that is to have it; without it any other.
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
        /// Where [cluster] is read from.
        #[command(flatten)]
        configuration: Configuration,
    },
    /// Show the nodes and who owns each account.
    Status {
        /// Where [cluster] is read from.
        #[command(flatten)]
        configuration: Configuration,
    },
}

/// Where [cluster] is read from.
#[derive(clap::Args, Debug)]
pub struct Configuration {
    /// The configuration; without it what `serve` would use.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Configuration {
    fn read(&self) -> Result<(Settings, Address), Error> {
        let file = config::locate(self.config.as_deref());
        let settings = config::load(file.as_deref(), std::env::vars_os());
        let settings = settings.map_err(|errors| Error::Usage(errors.to_string()))?;
        let address = crate::app::address(&settings.cluster);
        let address = address.map_err(|error| Error::Usage(error.to_string()))?;
        Ok((settings, address))
    }
}

/// Carries it out.
///
/// # Errors
/// No cluster is configured, or the database refuses.
pub async fn run(command: Cluster) -> Result<(), Error> {
    match command {
        Cluster::Init {
            configuration,
            grants,
        } => init(&configuration, grants.as_deref()).await,
        Cluster::Check { configuration } => check::check(&configuration).await,
        Cluster::Move {
            account,
            region,
            to,
            configuration,
        } => moving::move_account(&configuration, account, region, to.as_deref()).await,
        Cluster::Status { configuration } => status(&configuration).await,
    }
}

async fn init(configuration: &Configuration, grants: Option<&str>) -> Result<(), Error> {
    let (_, address) = configuration.read()?;
    let mut session = connect(&address).await?;
    let before = cluster::init(&mut session).await.map_err(refused)?;
    let version = cluster::VERSION;
    let mut text = match before {
        0 => format!("made the tables, version {version}\n"),
        before if before == version => format!("the tables are there, version {version}\n"),
        before => format!("brought the tables from version {before} to {version}\n"),
    };
    if let Some(role) = grants {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", cluster::grants(role));
    }
    Ok(output::line(text.trim_end())?)
}

async fn status(configuration: &Configuration) -> Result<(), Error> {
    let (settings, address) = configuration.read()?;
    let mut session = connect(&address).await?;
    cluster::check_version(&mut session)
        .await
        .map_err(refused)?;
    let name = &settings.cluster.name;
    let leases = cluster::read_all(&mut session, name)
        .await
        .map_err(refused)?;
    let nodes = Seen::of(&mut session, name).await?;
    let alive = |node: &str| nodes.living.iter().any(|it| it.node == node);
    let mut text = String::new();
    for node in &nodes.living {
        let (name, address, version) = (&node.name, &node.address, &node.version);
        let _ = writeln!(text, "node     {name}  {address}  {version}");
    }
    for (account, region, lease) in leases {
        let owner = lease.holder.as_ref().map_or_else(
            || "nobody".to_owned(),
            |holder| {
                let named = nodes.all.iter().find(|it| it.node == holder.node);
                let named = named.map_or(&holder.node, |it| &it.name);
                let silent = if alive(&holder.node) {
                    ""
                } else {
                    ", which is silent"
                };
                format!("{named}{silent}")
            },
        );
        let _ = writeln!(
            text,
            "account  {account} {region}  epoch {}  {owner}",
            lease.epoch
        );
    }
    if text.is_empty() {
        text = format!("cluster {name:?} has no node that lives, and nobody has owned an account");
    }
    Ok(output::line(text.trim_end())?)
}

/// The longest time between two beats of a node that lives.
const BEAT: Duration = Duration::from_millis(1100);

/// The nodes of a cluster.
struct Seen {
    all: Vec<cluster::Node>,
    /// Whose beat moves.
    living: Vec<cluster::Node>,
}

impl Seen {
    /// Looks twice: a node that beats does so at least once a second.
    async fn of(session: &mut Session, cluster: &str) -> Result<Self, Error> {
        let before = cluster::nodes(session, cluster).await.map_err(refused)?;
        tokio::time::sleep(BEAT).await;
        let after = cluster::nodes(session, cluster).await.map_err(refused)?;
        let living = after.iter().filter(|now| !before.contains(now));
        Ok(Self {
            living: living.map(|(node, _)| node.clone()).collect(),
            all: after.into_iter().map(|(node, _)| node).collect(),
        })
    }
}

async fn connect(address: &Address) -> Result<Session, Error> {
    let session = Session::connect(address, PATIENCE).await;
    session.map_err(|error| Error::Refused(error.to_string()))
}

fn refused(error: impl Into<SchemaError>) -> Error {
    Error::Refused(error.into().to_string())
}
