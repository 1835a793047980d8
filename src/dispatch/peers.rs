//! The other nodes of a cluster as the gateway sees them: what is offered to an account's owner, and what the
//! owner answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use engine::{Admission, Event};
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::home::AccountKey;
use super::standing::Standing;
use super::waiters::Ends;
use crate::refusal::Refusal;

/// How the events of a request are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each for itself.
    Each,
    /// All or none.
    All,
    /// One, in the place of the queued one of its id.
    Replacing,
}

/// Whose share of a queue events take, as every node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// How it proved who it is.
    pub kind: &'static str,
    /// Its name.
    pub name: Arc<str>,
    /// Most of a queue that is its, in percent.
    pub percent: u8,
}

/// Events for channels of one account, checked.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The account's id and region.
    pub account: AccountKey,
    /// ARNs.
    pub channels: Vec<String>,
    /// Places in `channels`, and events.
    pub events: Vec<(usize, Event)>,
    /// How they are to be taken.
    pub manner: Manner,
    /// How long somebody waits for their ends.
    pub wait: Option<Duration>,
    /// Who sent them.
    pub sender: Option<Sender>,
}

/// What became of them.
pub struct Taken {
    /// How many were taken in.
    pub accepted: usize,
    /// Places of those that were known already.
    pub duplicates: Vec<usize>,
    /// Places and refusals.
    pub refused: Vec<(usize, Refusal)>,
    /// How the channels stand.
    pub standing: Standing,
    /// A queued event was cancelled for this one.
    pub replaced: bool,
    /// How they end, if somebody waits; none: the owner is gone.
    pub ends: Option<BoxFuture<'static, Option<Ends>>>,
}

/// Why nothing is known to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// This node is the owner now: nothing was taken.
    Here,
    /// Nothing was taken: each event is refused so.
    Refused(Refusal),
    /// It may be taken: the request is refused so.
    InDoubt(Refusal),
}

/// A request about a channel, of somebody who may ask it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The account of the channel; none: the channel is not known here, and any node may have it.
    pub account: Option<AccountKey>,
    /// Who asks, for the log.
    pub caller: String,
    /// Patterns of the channels that it may use; none: all.
    pub channels: Vec<String>,
    /// Its method.
    pub method: Method,
    /// Its path, with its query.
    pub path: String,
    /// Its headers, as far as they say what is asked.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The answer of another node.
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// That node knows no such channel.
    pub unknown_channel: bool,
    /// Its body, which ends with an error where the node is gone.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Asked {
    /// A question of that caller about no channel.
    #[must_use]
    pub fn get(caller: &str, path: String) -> Self {
        Self {
            account: None,
            caller: caller.to_owned(),
            channels: Vec::new(),
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Answered {
    /// Its whole body, which has at most `max` bytes.
    ///
    /// # Errors
    /// It is longer, or the node is gone.
    pub async fn whole(mut self, max: usize) -> std::io::Result<Bytes> {
        let mut whole = Vec::new();
        while let Some(part) = self.body.try_next().await? {
            if whole.len() + part.len() > max {
                return Err(std::io::Error::other("the answer is too long"));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.into())
    }
}

/// The other nodes of a cluster.
pub trait Peers: Send + Sync {
    /// Offers events to the owner of their account. What is certainly not taken is offered again, to whoever
    /// owns the account then, until that moment.
    fn offer<'a>(
        &'a self,
        offered: &'a Offered,
        until: Instant,
    ) -> BoxFuture<'a, Result<Taken, NotTaken>>;

    /// Asks the node that has the channel. What is certainly not heard is asked again until that moment.
    fn call<'a>(
        &'a self,
        asked: &'a Asked,
        until: Instant,
    ) -> BoxFuture<'a, Result<Answered, NotTaken>>;

    /// Asks every other node that owns an account, each once; what is certainly not heard is asked again until that
    /// moment.
    fn each<'a>(
        &'a self,
        asked: &'a Asked,
        until: Instant,
    ) -> BoxFuture<'a, Result<Vec<Answered>, Refusal>>;

    /// Hears from those that can be asked which channels were made by API.
    fn learn(&self) -> BoxFuture<'_, ()>;

    /// A word for the node that owns an account, which only that node has; none: nobody is known to.
    fn owner(&self, account: &AccountKey) -> Option<String>;
}

/// The other nodes, once they are known.
pub(super) type Others = OnceLock<Arc<dyn Peers>>;

impl Offered {
    /// For channels of that account.
    #[must_use]
    pub const fn to(account: AccountKey, manner: Manner, wait: Option<Duration>) -> Self {
        Self {
            account,
            channels: Vec::new(),
            events: Vec::new(),
            manner,
            wait,
            sender: None,
        }
    }

    /// The place of a channel among those of the events.
    pub fn channel(&mut self, arn: &str) -> usize {
        let known = self.channels.iter().rposition(|known| known == arn);
        known.unwrap_or_else(|| {
            self.channels.push(arn.to_owned());
            self.channels.len() - 1
        })
    }
}

impl Taken {
    /// Of no event.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            accepted: 0,
            duplicates: Vec::new(),
            refused: Vec::new(),
            standing: Standing::default(),
            replaced: false,
            ends: None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.accepted == 0 && self.duplicates.is_empty()
    }

    pub(super) fn note(&mut self, place: usize, result: Result<Admission, Refusal>) {
        match result {
            Ok(Admission::Accepted) => self.accepted += 1,
            Ok(Admission::Duplicate) => self.duplicates.push(place),
            Err(refusal) => self.refused.push((place, refusal)),
        }
    }

    pub(super) fn refuse(&mut self, places: &[usize], refusal: &Refusal) {
        let refused = places.iter().map(|place| (*place, refusal.clone()));
        self.refused.extend(refused);
    }
}
