//! The task that looks at the database, tells the state machines what it saw, and carries out what
//! they ask for. What takes long runs beside it, and is heard of when it is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Action, Answer, Epoch, Ownership, Reading, Span, Time};
use tokio::sync::{mpsc, watch as watched};
use tokio::time::{Instant, MissedTickBehavior};

use super::owners::{Beats, Owners};
use super::parts::{Key, Parts};
use super::{Options, connected, id_of};
use crate::clock::Clock;
use crate::cluster::{self, Holder, Lease, Taken};
use crate::dispatch::{DeadLetters, Gateway, Holdings};
use crate::journal::{self, Journal, OpenError, Shared};
use crate::lifecycle::Supervisor;
use crate::postgres::{Error, Session};
use crate::telemetry::Take;

/// Between two tries to open a journal.
const RETRY: Duration = Duration::from_secs(1);

/// What the task hears.
pub(super) enum News {
    /// The journal of an account was opened.
    Recovered {
        key: Key,
        epoch: Epoch,
        heard: Time,
        holdings: Box<Holdings>,
    },
    /// A commit under that epoch wrote nothing.
    Fenced { key: Key, epoch: Epoch },
    /// An account that is handed over has no calls any more, and its journal is closed.
    Drained { key: Key },
    /// All of an account that another node took was dropped.
    Stopped { key: Key },
    /// Every account is to be handed over.
    Leave,
}

pub(super) struct Watch {
    pub options: Arc<Options>,
    pub me: cluster::Node,
    pub parts: Arc<Parts>,
    pub gateway: Arc<Gateway>,
    pub clock: Arc<Clock>,
    pub supervisor: Supervisor,
    pub session: Option<Session>,
    pub news: mpsc::UnboundedSender<News>,
    /// The last look failed.
    pub is_blind: bool,
    pub beats: Beats,
    /// Under which epoch an account was last asked to move, as far as this node has heard.
    pub moves: HashMap<Key, u64>,
    /// Who hears where the owners are.
    pub owners: watched::Sender<Arc<Owners>>,
}

impl Watch {
    /// Watches for as long as it runs.
    pub(super) async fn run(mut self, mut heard: mpsc::UnboundedReceiver<News>) {
        let mut tick = tokio::time::interval(self.options.beat);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.until(self.parts.wake(self.now()));
            tokio::select! {
                _ = tick.tick() => self.look().await,
                Some(news) = heard.recv() => self.hear(news).await,
                () = tokio::time::sleep_until(wake) => {}
            }
            while let Some((key, action)) = self.parts.next(self.now()) {
                self.carry_out(key, action).await;
            }
        }
    }

    /// Now, on the clock that everything here goes by: it counts while the machine sleeps.
    fn now(&self) -> Time {
        self.clock.now_with_sleep()
    }

    /// The moment on the runtime's clock; at most until the next look.
    fn until(&self, moment: Time) -> Instant {
        let wait = moment.since(self.now()).as_duration();
        Instant::now() + wait.min(self.options.beat)
    }

    /// Looks who owns what, and whether they live.
    async fn look(&mut self) {
        let asked = self.now();
        match self.read().await {
            Ok((leases, nodes)) => {
                if std::mem::take(&mut self.is_blind) {
                    tracing::info!("the database can be read again");
                }
                self.tell(asked, &leases, &nodes);
            }
            Err(error) => {
                self.session = None;
                if !std::mem::replace(&mut self.is_blind, true) {
                    tracing::warn!(%error, "the database cannot be read: nobody knows here who owns what");
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Seen, Error> {
        let Options {
            address, cluster, ..
        } = &*self.options;
        let session = connected(&mut self.session, address).await?;
        let leases = cluster::read_all(session, cluster).await?;
        let leases = leases
            .into_iter()
            .map(|(account, region, lease)| ((account, region), lease));
        let leases = leases.collect();
        let nodes = cluster::nodes(session, cluster).await?;
        let nodes = nodes
            .into_iter()
            .map(|(node, beat)| (node.node.clone(), (node, beat)));
        Ok((leases, nodes.collect()))
    }

    fn tell(
        &mut self,
        asked: Time,
        leases: &HashMap<Key, Lease>,
        nodes: &HashMap<String, (cluster::Node, u64)>,
    ) {
        self.parts.know(leases.keys().cloned());
        self.parts.know(self.gateway.known_accounts());
        let now = self.now();
        let owners = self.beats.owners(now, leases, nodes);
        self.parts.each(|key, part| {
            let lease = leases.get(key);
            let holder = lease.and_then(|lease| lease.holder.as_ref());
            let reading = Reading {
                epoch: Epoch(lease.map_or(0, |lease| lease.epoch)),
                owner: holder.map(|holder| id_of(&holder.node)),
                beat: holder
                    .and_then(|holder| nodes.get(&holder.node))
                    .map_or(0, |(_, beat)| *beat),
            };
            part.read(now, asked, reading);
            if let Some(lease) = lease
                && is_asked(&self.me.node, lease)
                && self.moves.insert(key.clone(), lease.epoch) != Some(lease.epoch)
            {
                part.release(now);
            }
        });
        self.gateway.meters().nodes(owners.living.len());
        // Told with every look: who waits for an owner may have heard that it moved.
        self.owners.send_replace(Arc::new(owners));
    }

    async fn hear(&mut self, news: News) {
        let now = self.now();
        match news {
            News::Recovered {
                key,
                epoch,
                heard,
                holdings,
            } => self.adopt(key, epoch, heard, *holdings).await,
            News::Fenced { key, epoch } => {
                self.parts.with(&key, |part| part.fenced(epoch));
            }
            News::Drained { key } => {
                self.parts.with(&key, Ownership::drained);
            }
            News::Stopped { key } => {
                self.parts.with(&key, |part| part.stopped(now));
            }
            News::Leave => self.parts.each(|_, part| part.release(now)),
        }
    }

    /// The account is this node's: it accepts events, and soon makes calls.
    async fn adopt(&mut self, key: Key, epoch: Epoch, heard: Time, holdings: Holdings) {
        let journal = Arc::clone(&holdings.journal);
        if self.parts.epoch(&key) != Some(epoch) {
            // It was fenced meanwhile.
            close(journal);
            return;
        }
        let (account, region) = (key.0.as_str(), key.1.as_str());
        let is_held = holdings.recovery.unclean;
        let (parts, its) = (Arc::clone(&self.parts), key.clone());
        let may_call = Box::new(move |now| parts.may_call(&its, now));
        // On the engine's clock, as long ago as it is.
        let heard_there = self.gateway.now() - self.now().since(heard);
        let adopted = self
            .gateway
            .adopt(account, region, holdings, heard_there, may_call)
            .await;
        match adopted {
            Ok(events) => {
                tracing::info!(
                    account,
                    region,
                    epoch = epoch.0,
                    events,
                    "this node owns the account"
                );
                let rules = self.gateway.settings().account_policy(account, region);
                let hold = if is_held {
                    Span::SECOND + rules.grace
                } else {
                    Span::ZERO
                };
                self.parts.with(&key, |part| part.recovered(heard + hold));
                self.watch_fence(key, epoch, journal);
            }
            Err(error) => {
                tracing::error!(
                    account,
                    region,
                    ?error,
                    "the account cannot be opened; it is given back"
                );
                let now = self.now();
                self.parts.with(&key, |part| {
                    part.recovered(heard);
                    part.release(now);
                });
                close(journal);
            }
        }
    }

    fn watch_fence(&self, key: Key, epoch: Epoch, journal: Arc<Journal>) {
        let news = self.news.clone();
        self.supervisor
            .spawn("the watch over an account's fence", async move {
                journal.fenced().await;
                // Nobody hears it where the node has left.
                let _ = news.send(News::Fenced { key, epoch });
            });
    }

    async fn carry_out(&mut self, key: Key, action: Action) {
        match action {
            Action::Read => self.look().await,
            Action::Take { seen } => {
                let answer = self.take(&key, seen).await;
                if matches!(answer, Answer::Done) {
                    self.count(&key);
                }
                let now = self.now();
                self.parts.with(&key, |part| part.took(now, answer));
            }
            Action::Recover { epoch, heard } => self.recover(key, epoch, heard),
            Action::Drain => {
                tracing::info!(account = %key.0, region = %key.1, "the account is handed over");
                let patience = self.options.hand_over;
                self.leave(key, patience, |key| News::Drained { key });
            }
            Action::Release { epoch } => {
                let answer = self.release(&key, epoch).await;
                let now = self.now();
                self.parts.with(&key, |part| part.released(now, answer));
            }
            Action::Stop => {
                tracing::warn!(account = %key.0, region = %key.1, "another node has taken the account; what is queued here is dropped, and that node has it");
                self.leave(key, Duration::ZERO, |key| News::Stopped { key });
            }
        }
    }

    fn key(&self, (account, region): &Key) -> cluster::Key {
        cluster::Key {
            cluster: self.options.cluster.clone(),
            account: account.clone(),
            region: region.clone(),
        }
    }

    /// Counts a take, by what the last look showed.
    fn count(&self, key: &Key) {
        let owners = self.owners.borrow();
        let is_lost = matches!(owners.by_account.get(key), Some(Some(_)));
        let how = if is_lost { Take::Lost } else { Take::Released };
        self.gateway.meters().take(how);
    }

    async fn take(&mut self, key: &Key, seen: Epoch) -> Answer {
        let its = self.key(key);
        let holder = Holder {
            node: self.me.node.clone(),
            nonce: format!("{}-{:016x}", self.me.node, fastrand::u64(..)),
            address: self.me.address.clone(),
        };
        let taken = match connected(&mut self.session, &self.options.address).await {
            Ok(session) => cluster::take(session, &its, seen.0, &holder).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(Taken::Ours(_)) => Answer::Done,
            Ok(Taken::Changed) => Answer::TooLate,
            Err(error) => self.failed("taken", key, &error),
        }
    }

    async fn release(&mut self, key: &Key, epoch: Epoch) -> Answer {
        let its = self.key(key);
        let released = match connected(&mut self.session, &self.options.address).await {
            Ok(session) => cluster::release(session, &its, epoch.0).await,
            Err(error) => Err(error),
        };
        match released {
            Ok(true) => Answer::Done,
            Ok(false) => Answer::TooLate,
            // Whatever became of it, the next look tells.
            Err(error) => {
                self.failed("released", key, &error);
                Answer::Doubtful
            }
        }
    }

    fn failed(&mut self, what: &str, (account, region): &Key, error: &Error) -> Answer {
        self.session = None;
        tracing::warn!(%account, %region, %error, "the account could not be {what}");
        if error.is_in_doubt() {
            Answer::Doubtful
        } else {
            Answer::TooLate
        }
    }

    /// Opens the account's journal beside the task, until it succeeds or the account is lost again.
    fn recover(&self, key: Key, epoch: Epoch, heard: Time) {
        let shared = Shared {
            address: self.options.address.clone(),
            key: self.key(&key),
            epoch: journal::Epoch(epoch.0),
            patience: self.options.commit_timeout,
            meters: Arc::clone(self.gateway.meters()),
        };
        let (parts, news) = (Arc::clone(&self.parts), self.news.clone());
        let opening = Opening {
            shared,
            options: self.options.journal.clone(),
            clock: Arc::clone(&self.clock),
            supervisor: self.supervisor.clone(),
        };
        self.supervisor.spawn("the recovery of an account", async move {
            while parts.epoch(&key) == Some(epoch) {
                match opening.open().await {
                    Some(Ok(holdings)) => {
                        let holdings = Box::new(holdings);
                        // Nobody hears it where the node has left.
                        let _ = news.send(News::Recovered { key, epoch, heard, holdings });
                        return;
                    }
                    Some(Err(error)) => {
                        tracing::error!(account = %key.0, region = %key.1, %error, "what the account's last owner left cannot be read");
                    }
                    // A panic was told where it was caught.
                    None => return,
                }
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    /// Drops an account beside the task.
    fn leave(&self, key: Key, patience: Duration, over: impl FnOnce(Key) -> News + Send + 'static) {
        let (gateway, news) = (Arc::clone(&self.gateway), self.news.clone());
        self.supervisor
            .spawn("the leaving of an account", async move {
                gateway.leave(&key.0, &key.1, patience).await;
                // Nobody hears it where the node has left.
                let _ = news.send(over(key));
            });
    }
}

/// Whether a node is to hand an account over, or to leave it to the one that it goes to.
fn is_asked(me: &str, lease: &Lease) -> bool {
    let Some(to) = &lease.asked else {
        return false;
    };
    let owns = lease
        .holder
        .as_ref()
        .is_some_and(|holder| holder.node == me);
    owns || !to.is_empty() && to != me
}

/// Ends a journal whose account is not this node's after all.
fn close(journal: Arc<Journal>) {
    tokio::task::spawn_blocking(move || journal.close(false));
}

/// Leases by account and region, and the beats of nodes.
type Seen = (HashMap<Key, Lease>, HashMap<String, (cluster::Node, u64)>);

/// How a journal is opened.
struct Opening {
    shared: Shared,
    options: journal::Options,
    clock: Arc<Clock>,
    supervisor: Supervisor,
}

impl Opening {
    /// None: it panicked.
    async fn open(&self) -> Option<Result<Holdings, OpenError>> {
        let (shared, options) = (self.shared.clone(), self.options.clone());
        let (clock, supervisor) = (Arc::clone(&self.clock), self.supervisor.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let letters = Arc::new(DeadLetters::default());
            let kept = Arc::clone(&letters) as _;
            let (journal, recovery) =
                Journal::open_shared(&shared, &options, &clock, kept, &supervisor)?;
            Ok(Holdings {
                journal: Arc::new(journal),
                letters,
                recovery,
            })
        });
        opened.await.ok()
    }
}
