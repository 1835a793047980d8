//! Finds the owner of an account, waits for one, and says what is certain of what was asked: of events here.
//!
//! - `call`: requests go to the owner as they are, and its answers back, be they without end;
//! - `names`: which channels were made by API at other nodes.

mod call;
mod names;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use engine::Event;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout, timeout_at};

use super::links::{CALLS_MAX, Failure, Links};
use super::protocol::{Events, answer};
use super::trust::Trust;
use crate::access::Keyring;
use crate::dispatch::{
    self, AccountKey, Answered, Asked, Gateway, NotTaken, Offered, Peers, Taken,
};
use crate::node::{Node, Owner, Owners, Reached};
use crate::refusal::{Code, Refusal};
use names::Heard;

/// How often it is looked whether an account has another owner, beside the looks at the database.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A node that does not say so much as who it is for so long is not reached.
const SILENT: Duration = Duration::from_secs(1);

/// An owner that answers late may be waiting for its database; it says so itself this much before.
const SLOWER_THAN_ITS_COMMITS: Duration = Duration::from_secs(1);

/// When a client should try again, in ms.
const RETRY_AFTER_MS: u64 = 1000;

/// Kilobytes of events that may be on their way to other nodes: an owner that is slow holds producers up
/// instead of filling the memory.
const ON_THEIR_WAY_KB: u32 = 128 << 10;

/// What an event takes beside its texts, in bytes.
const EVENT_BYTES: usize = 128;

/// The other nodes of this node's cluster.
pub struct Others {
    me: String,
    gateway: Weak<Gateway>,
    owners: watch::Receiver<Arc<Owners>>,
    reached: Reached,
    links: Links,
    /// Requests that are handed on go over connections of their own: their answers may be without end, and
    /// their readers slow.
    calls: Links,
    calls_open: Arc<Semaphore>,
    /// How long an owner may take to answer.
    patience: Duration,
    on_their_way: Semaphore,
    keyring: Arc<Keyring>,
    heard: tokio::sync::Mutex<Heard>,
    /// The owner that lives and cannot be reached, and why.
    cut: Mutex<Option<(String, String)>>,
}

/// Beats that an owner must make after it could not be reached: then it lives. One may have been on its way.
const BEATS_OF_A_LIVING: u64 = 2;

impl Others {
    /// Those of that node.
    #[must_use]
    pub fn of(node: &Node, gateway: &Arc<Gateway>, trust: Trust, keyring: Arc<Keyring>) -> Self {
        let settings = gateway.settings();
        let cluster = &settings.cluster;
        Self {
            me: node.name().to_owned(),
            gateway: Arc::downgrade(gateway),
            owners: node.owners(),
            reached: node.reached(),
            links: Links::of_events(trust.clone(), cluster.name.clone()),
            calls: Links::of_calls(trust, cluster.name.clone()),
            calls_open: Arc::new(Semaphore::new(CALLS_MAX as usize)),
            patience: cluster.commit_timeout + SLOWER_THAN_ITS_COMMITS,
            on_their_way: Semaphore::new(ON_THEIR_WAY_KB as usize),
            keyring,
            heard: tokio::sync::Mutex::default(),
            cut: Mutex::default(),
        }
    }

    /// Whether this node can reach the owners that live, or nobody can: nothing that comes here would be
    /// better off at another node.
    #[must_use]
    pub fn can_serve(&self) -> bool {
        let seen = self.owners.borrow();
        seen.looked && self.cut().is_none()
    }

    /// Keeps a connection to every owner for as long as it runs, and hears from it which channels were made
    /// by API.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        tokio::join!(self.keep_links(every), self.keep_names(every));
    }

    /// Keeps a connection to every owner, and notes where there is none.
    async fn keep_links(&self, every: Duration) {
        // The beats of owners that cannot be reached, as they were when that began.
        let mut silent: HashMap<String, u64> = HashMap::new();
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let seen = Arc::clone(&self.owners.borrow());
            let owners = seen.by_account.values().flatten();
            let others = owners.filter(|owner| owner.node != self.me);
            let mut others: Vec<&Owner> = others.collect();
            others.sort_by(|a, b| a.node.cmp(&b.node));
            others.dedup_by(|a, b| a.node == b.node);
            let is_known = |address: &str| others.iter().any(|owner| owner.address == address);
            self.links.retain(is_known);
            self.calls.retain(is_known);
            let greetings = others.iter().map(async |owner| {
                let greeted = self.greet(owner).await;
                self.reached.tell(&owner.node, greeted.is_ok());
                Some((*owner, greeted.err()?))
            });
            let unreached = join_all(greetings).await;
            let unreached: Vec<_> = unreached.into_iter().flatten().collect();
            silent.retain(|node, _| unreached.iter().any(|(owner, _)| owner.node == *node));
            let cut = unreached.into_iter().find_map(|(owner, why)| {
                let beat = *silent.entry(owner.node.clone()).or_insert(owner.beat);
                let lives = owner.beat >= beat + BEATS_OF_A_LIVING;
                lives.then(|| (format!("{} at {}", owner.name, owner.address), why))
            });
            self.note(cut);
        }
    }

    async fn greet(&self, owner: &Owner) -> Result<(), String> {
        let greeted = timeout(SILENT, self.links.greet(&owner.address, &owner.node));
        if let Ok(greeted) = greeted.await {
            return greeted;
        }
        self.links.give_up(&owner.address).await;
        Err("it is silent".to_owned())
    }

    fn note(&self, cut: Option<(String, String)>) {
        let mut noted = self.cut();
        match (&*noted, &cut) {
            (None, Some((owner, why))) => {
                tracing::warn!(%owner, %why, "the owner of an account lives and cannot be reached");
            }
            (Some((owner, _)), None) => tracing::info!(%owner, "the owner can be reached again"),
            _ => {}
        }
        *noted = cut;
    }

    fn cut(&self) -> std::sync::MutexGuard<'_, Option<(String, String)>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn offer_until(&self, offered: &Offered, until: Instant) -> Result<Taken, NotTaken> {
        let _room = self.room(offered, until).await?;
        let mut owners = self.owners.clone();
        let mut why = "no node owns this channel's account at present".to_owned();
        loop {
            let gateway = self.gateway.upgrade();
            if gateway.is_some_and(|gateway| gateway.has(&offered.account)) {
                return Err(NotTaken::Here);
            }
            let seen = Arc::clone(&owners.borrow_and_update());
            if let Some(owner) = self.other(&seen, &offered.account) {
                match self.ask(owner, offered).await {
                    Ok(Some(taken)) => return taken.map_err(NotTaken::InDoubt),
                    Ok(None) => "the account is about to change its owner".clone_into(&mut why),
                    Err(Failure::NotAsked(what)) => why = cannot_be_reached(owner, &what),
                    Err(Failure::Lost(what)) => {
                        self.links.give_up(&owner.address).await;
                        return Err(NotTaken::InDoubt(in_doubt(owner, &what)));
                    }
                }
            }
            if Instant::now() >= until {
                return Err(NotTaken::Refused(not_taken(&why)));
            }
            // Gone with the node: then the time is waited out.
            let _ = timeout(LOOK_EVERY, owners.changed()).await;
        }
    }

    /// Another node that owns an account.
    fn other<'a>(&self, seen: &'a Owners, account: &AccountKey) -> Option<&'a Owner> {
        let owner = seen.by_account.get(account)?.as_ref()?;
        (owner.node != self.me).then_some(owner)
    }

    async fn room(
        &self,
        offered: &Offered,
        until: Instant,
    ) -> Result<SemaphorePermit<'_>, NotTaken> {
        let events = offered.events.iter().map(|(_, event)| event);
        let bytes: usize =
            events.map(Event::bytes).sum::<usize>() + offered.events.len() * EVENT_BYTES;
        let kilobytes = u32::try_from(bytes >> 10).unwrap_or(u32::MAX) + 1;
        let room = self
            .on_their_way
            .acquire_many(kilobytes.min(ON_THEIR_WAY_KB));
        if let Ok(Ok(room)) = timeout_at(until, room).await {
            return Ok(room);
        }
        let why = "too many events are on their way to the account's owner";
        Err(NotTaken::Refused(not_taken(why)))
    }

    /// What the owner took; none: it is not the owner. A refusal of all: it may have taken them.
    async fn ask(
        &self,
        owner: &Owner,
        offered: &Offered,
    ) -> Result<Option<Result<Taken, Refusal>>, Failure> {
        let mut client = self
            .links
            .to(&owner.address)
            .await
            .map_err(Failure::NotAsked)?;
        let request = self.links.trust().request(Events::from(offered));
        let first = async {
            let mut answers = client.offer(request).await?.into_inner();
            let first = answers.message().await?;
            Ok((first, answers))
        };
        let (first, mut answers) = match timeout(self.patience, first).await {
            Ok(answered) => answered.map_err(|status: tonic::Status| Failure::from(status))?,
            Err(_) => return Err(Failure::Lost("it did not answer in time".to_owned())),
        };
        match first.and_then(|first| first.answer) {
            Some(answer::Answer::Moved(_)) => Ok(None),
            Some(answer::Answer::InDoubt(refused)) => Ok(Some(Err(refused.into()))),
            Some(answer::Answer::Taken(taken)) => {
                let mut taken = Taken::from(taken);
                if offered.wait.is_some() {
                    taken.ends = Some(Box::pin(async move {
                        match answers.message().await.ok()??.answer? {
                            answer::Answer::Ends(ends) => Some(dispatch::Ends::from(ends)),
                            _ => None,
                        }
                    }));
                }
                Ok(Some(Ok(taken)))
            }
            Some(answer::Answer::Ends(_)) | None => {
                Err(Failure::Lost("its answer makes no sense".to_owned()))
            }
        }
    }
}

impl Peers for Others {
    fn offer<'a>(
        &'a self,
        offered: &'a Offered,
        until: Instant,
    ) -> BoxFuture<'a, Result<Taken, NotTaken>> {
        Box::pin(async move {
            let asked = Instant::now();
            let answer = self.offer_until(offered, until).await;
            if answer.is_ok()
                && let Some(gateway) = self.gateway.upgrade()
            {
                gateway.meters().forward_took(asked.elapsed());
            }
            answer
        })
    }

    fn call<'a>(
        &'a self,
        asked: &'a Asked,
        until: Instant,
    ) -> BoxFuture<'a, Result<Answered, NotTaken>> {
        Box::pin(self.call_until(asked, until))
    }

    fn each<'a>(
        &'a self,
        asked: &'a Asked,
        until: Instant,
    ) -> BoxFuture<'a, Result<Vec<Answered>, Refusal>> {
        Box::pin(self.each_until(asked, until))
    }

    fn learn(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.hear_names())
    }

    fn owner(&self, account: &AccountKey) -> Option<String> {
        let seen = self.owners.borrow();
        let owner = self.other(&seen, account)?;
        Some(owner.node.clone())
    }
}

fn cannot_be_reached(owner: &Owner, what: &str) -> String {
    format!(
        "the node {} at {} cannot be asked: {what}",
        owner.name, owner.address
    )
}

fn not_taken(why: &str) -> Refusal {
    Refusal::new(Code::Overloaded, format!("nothing was taken: {why}")).retry_after(RETRY_AFTER_MS)
}

fn in_doubt(owner: &Owner, what: &str) -> Refusal {
    let detail = format!(
        "it may have been taken, so send it again with the same id: the connection to the node {} was lost: {what}",
        owner.name
    );
    Refusal::new(Code::Overloaded, detail).retry_after(RETRY_AFTER_MS)
}
