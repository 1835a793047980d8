//! The connections to other nodes. A node is asked for nothing before it has said that it speaks this
//! protocol and is of this cluster.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Status};

use super::protocol::peers_client::PeersClient;
use super::protocol::{Greeting, MESSAGE_MAX, VERSION};
use super::trust::Trust;

/// How long a connection, and then a greeting, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// After a connection failed, nobody tries again for so long.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A connection on which nothing comes is asked after so long, and has as long to answer.
const ALIVE: Duration = Duration::from_secs(2);

/// Requests of this node that others answer at a time, streams among them.
pub(super) const CALLS_MAX: u32 = 1024;

/// Bytes that a peer may send ahead.
#[derive(Clone, Copy, Debug)]
struct Windows {
    /// Of one answer.
    answer: u32,
    /// Of all.
    all: u32,
}

/// Answers to events are short, and are read at once.
const OF_EVENTS: Windows = Windows {
    answer: 1 << 20,
    all: 4 << 20,
};

/// As many slow readers as there may be do not hold up the others.
const OF_CALLS: Windows = Windows {
    answer: 64 << 10,
    all: (64 << 10) * CALLS_MAX,
};

/// Asks another node.
pub(super) type Client = PeersClient<Channel>;

/// Why a node did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Certainly nothing was asked, or it was refused unread.
    NotAsked(String),
    /// It may have been heard.
    Lost(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let why = words(&status);
        let unread = matches!(
            status.code(),
            Code::Unauthenticated
                | Code::Unimplemented
                | Code::InvalidArgument
                | Code::ResourceExhausted
        );
        if unread || is_unconnected(&status) {
            Self::NotAsked(why)
        } else {
            Self::Lost(why)
        }
    }
}

/// Whether there was no connection to ask on.
fn is_unconnected(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// What went wrong, with what lies below it. Of a status its message alone is for people.
fn words(error: &(dyn Error + 'static)) -> String {
    let message = error.downcast_ref().map(Status::message);
    let message = message.filter(|message| !message.is_empty());
    let mut words = message.map_or_else(|| error.to_string(), str::to_owned);
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        source = error.source();
    }
    words
}

/// A connection, or why there is none.
#[derive(Default)]
enum Link {
    #[default]
    None,
    Open(Client),
    Failed(Instant, String),
}

/// The connections to other nodes, by address.
pub(super) struct Links {
    trust: Trust,
    cluster: String,
    windows: Windows,
    by_address: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Link>>>>,
}

impl Links {
    /// For events.
    pub fn of_events(trust: Trust, cluster: String) -> Self {
        Self::new(trust, cluster, OF_EVENTS)
    }

    /// For requests that are handed on.
    pub fn of_calls(trust: Trust, cluster: String) -> Self {
        Self::new(trust, cluster, OF_CALLS)
    }

    fn new(trust: Trust, cluster: String, windows: Windows) -> Self {
        Self {
            trust,
            cluster,
            windows,
            by_address: Mutex::default(),
        }
    }

    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A connection to a node that speaks this protocol.
    pub async fn to(&self, address: &str) -> Result<Client, String> {
        let link = self.link(address);
        let mut link = link.lock().await;
        match &*link {
            Link::Open(client) => return Ok(client.clone()),
            Link::Failed(at, why) if at.elapsed() < RETRY_AFTER => return Err(why.clone()),
            Link::Failed(..) | Link::None => {}
        }
        match self.connect(address).await {
            Ok(client) => {
                *link = Link::Open(client.clone());
                Ok(client)
            }
            Err(why) => {
                *link = Link::Failed(Instant::now(), why.clone());
                Err(why)
            }
        }
    }

    /// A connection that failed is not used again.
    pub async fn give_up(&self, address: &str) {
        *self.link(address).lock().await = Link::None;
    }

    /// Keeps the connections to these nodes only.
    pub fn retain(&self, is_known: impl Fn(&str) -> bool) {
        self.lock().retain(|address, _| is_known(address));
    }

    /// Asks a node whether it is there; a connection on which nobody answers is given up.
    pub async fn greet(&self, address: &str, node: &str) -> Result<(), String> {
        let mut client = self.to(address).await?;
        match self.hello(&mut client).await {
            Ok(answers) if answers.is_empty() || answers == node => Ok(()),
            Ok(_) => Err("another process answers at its address".to_owned()),
            Err(why) => {
                self.give_up(address).await;
                Err(why)
            }
        }
    }

    fn link(&self, address: &str) -> Arc<tokio::sync::Mutex<Link>> {
        let mut links = self.lock();
        Arc::clone(links.entry(address.to_owned()).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Link>>>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, address: &str) -> Result<Client, String> {
        let channel = self.endpoint(address).map_err(|error| words(&error))?;
        let channel = match timeout(PATIENCE, channel.connect()).await {
            Ok(connected) => connected.map_err(|error| words(&error))?,
            Err(_) => return Err("it does not answer".to_owned()),
        };
        let mut client = PeersClient::new(channel)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        self.hello(&mut client).await?;
        Ok(client)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, tonic::transport::Error> {
        let tls = self.trust.client();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(self.windows.answer)
            .initial_connection_window_size(self.windows.all);
        match tls {
            Some(tls) => endpoint.tls_config(tls),
            None => Ok(endpoint),
        }
    }

    /// Who answers.
    async fn hello(&self, client: &mut Client) -> Result<String, String> {
        let greeting = self.trust.request(greeting(&self.cluster, ""));
        let greeted = match timeout(PATIENCE, client.hello(greeting)).await {
            Ok(greeted) => greeted.map_err(|status| words(&status))?.into_inner(),
            Err(_) => return Err("it does not answer".to_owned()),
        };
        if greeted.protocol != VERSION {
            return Err(format!(
                "it is version {} and speaks protocol {} of the cluster, this node speaks {VERSION}: update the older one",
                greeted.version, greeted.protocol
            ));
        }
        if greeted.cluster != self.cluster {
            return Err(format!("it is of the cluster {:?}", greeted.cluster));
        }
        Ok(greeted.node)
    }
}

/// What this node says of itself.
pub(super) fn greeting(cluster: &str, node: &str) -> Greeting {
    Greeting {
        protocol: VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: cluster.to_owned(),
        node: node.to_owned(),
    }
}
