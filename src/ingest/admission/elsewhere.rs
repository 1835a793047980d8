//! Events whose accounts are at other nodes: they are offered there, and what becomes of them joins the
//! tally. And the other way round: what other nodes offer here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::Event;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::{IngressMetrics, Tally};
use crate::access::{Caller, producer};
use crate::dispatch::{
    AccountKey, Channel, Ends, Gateway, Manner, NotTaken, Offered, Sender, Taken, Unavailable,
    at_one_node,
};
use crate::ingest::context::ApiContext;
use crate::refusal::Refusal;
use crate::telemetry::{Meters, Transport};

/// How often it is looked whether an account that is on its way between nodes has come to one.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Events of a request for one account.
pub struct Group {
    offered: Offered,
    /// Their places in the request.
    positions: Vec<usize>,
    /// The channel of the first.
    name: Arc<str>,
}

impl Group {
    /// Of events that are taken all or none, whose channels are at one other node.
    pub(super) fn of(
        manner: Manner,
        caller: &Caller,
        events: Vec<(Arc<Channel>, Event)>,
    ) -> Option<Self> {
        let (first, _) = events.first()?;
        let mut group = Self::to(first, manner, caller);
        for (position, (channel, event)) in events.into_iter().enumerate() {
            group.add(&channel, position, event);
        }
        Some(group)
    }

    fn to(channel: &Channel, manner: Manner, caller: &Caller) -> Self {
        let mut offered = Offered::to(channel.account_key(), manner, None);
        offered.sender = caller.share().map(|(kind, name, percent)| Sender {
            kind,
            name: Arc::clone(name),
            percent,
        });
        Self {
            offered,
            positions: Vec::new(),
            name: channel.name(),
        }
    }

    /// Whether what is offered twice is taken once.
    fn all_have_ids(&self) -> bool {
        let mut events = self.offered.events.iter();
        events.all(|(_, event)| event.content.id.is_some())
    }

    fn add(&mut self, channel: &Channel, position: usize, event: Event) {
        let place = self.offered.channel(channel.arn().as_str());
        self.offered.events.push((place, event));
        self.positions.push(position);
    }
}

/// Events that another node took in, and somebody waits for.
pub struct Following {
    /// How many.
    accepted: usize,
    ends: BoxFuture<'static, Option<Ends>>,
}

impl Tally {
    /// Events that are to be offered to the node that has their account.
    pub(super) fn later(
        &mut self,
        caller: &Caller,
        channel: &Channel,
        events: impl Iterator<Item = (usize, Event)>,
    ) {
        let account = channel.account_key();
        let known = self.elsewhere.iter_mut();
        let mut known = known.filter(|group| group.offered.manner == Manner::Each);
        let mut new = None;
        let group = match known.find(|group| group.offered.account == account) {
            Some(group) => group,
            None => new.insert(Group::to(channel, Manner::Each, caller)),
        };
        for (position, event) in events {
            group.add(channel, position, event);
        }
        self.elsewhere.extend(new);
    }

    /// The ends of the accepted events: `here` says how those ended that this node took in.
    pub async fn ended(
        following: Vec<Following>,
        here: impl Future<Output = Ends>,
        patience: Duration,
    ) -> Ends {
        let others = join_all(following.into_iter().map(async |following| {
            let ends = tokio::time::timeout(patience, following.ends).await;
            // Of an owner that is gone nobody knows how they end.
            ends.ok().flatten().unwrap_or(Ends {
                pending: following.accepted,
                ..Ends::default()
            })
        }));
        let (here, others) = tokio::join!(here, others);
        others.into_iter().fold(here, Ends::and)
    }

    /// How many of the accepted events this node took in.
    #[must_use]
    pub fn accepted_here(&self) -> usize {
        let others = self.following.iter().map(|following| following.accepted);
        self.accepted - others.sum::<usize>()
    }

    fn join(&mut self, positions: &[usize], taken: Taken) {
        let position = |place: usize| positions.get(place).copied();
        self.accepted += taken.accepted;
        let duplicates = taken.duplicates.into_iter().filter_map(position);
        self.duplicates.extend(duplicates);
        let refused = taken.refused.into_iter();
        self.refused
            .extend(refused.filter_map(|(place, refusal)| Some((position(place)?, refusal))));
        self.standing = self.standing.and(taken.standing);
        self.replaced |= taken.replaced;
        self.following.extend(taken.ends.map(|ends| Following {
            accepted: taken.accepted,
            ends,
        }));
    }
}

/// Checks that events for these channels can be taken all or none.
pub(super) fn one_node<'a>(
    gateway: &Gateway,
    channels: impl Iterator<Item = &'a Arc<Channel>>,
) -> Result<(), Refusal> {
    let accounts: BTreeSet<AccountKey> = channels.map(|channel| channel.account_key()).collect();
    if accounts.len() > 1 {
        at_one_node(gateway, &accounts)?;
    }
    Ok(())
}

/// Why nothing is promised of any event: they may be taken in all the same.
#[derive(Debug)]
pub struct Unpromised {
    refusal: Refusal,
    /// The connection to the node that may have them was lost.
    pub at_another_node: bool,
}

impl From<Unpromised> for Refusal {
    fn from(why: Unpromised) -> Self {
        why.refusal
    }
}

impl From<Unavailable> for Unpromised {
    fn from(why: Unavailable) -> Self {
        Self {
            refusal: why.into(),
            at_another_node: false,
        }
    }
}

/// Returns when what was taken in will outlive this process, and other nodes have answered for what is
/// theirs.
///
/// # Errors
/// Nothing is promised of any event: they may be taken in all the same.
pub async fn finish(
    context: &ApiContext,
    transport: Transport,
    wait: Option<Duration>,
    tally: &mut Tally,
) -> Result<(), Unpromised> {
    let gateway = &context.gateway;
    let durable = gateway.durable(std::mem::take(&mut tally.commits));
    if tally.elsewhere.is_empty() {
        return Ok(durable.await?);
    }
    let metrics = IngressMetrics::of(context, transport);
    let until = Instant::now() + gateway.settings().cluster.hold;
    let mut groups = std::mem::take(&mut tally.elsewhere);
    for group in &mut groups {
        group.offered.wait = wait;
    }
    let answers = groups.iter().map(|group| metrics.forward(group, until));
    let (durable, answers) = tokio::join!(durable, join_all(answers));
    for (group, answer) in groups.iter().zip(answers) {
        tally.join(&group.positions, answer?);
    }
    tally
        .refused
        .sort_unstable_by_key(|(position, _)| *position);
    tally.duplicates.sort_unstable();
    Ok(durable?)
}

impl IngressMetrics<'_> {
    async fn forward(&self, group: &Group, until: Instant) -> Result<Taken, Unpromised> {
        let (offered, events) = (&group.offered, group.offered.events.len());
        let may_repeat = self.transport == Transport::WebSocket && group.all_have_ids();
        let mut doubt = None;
        loop {
            let Some(others) = self.gateway.others() else {
                return Ok(self.refuse_all(group, &Unavailable::Elsewhere.into()));
            };
            match others.offer(offered, until).await {
                Ok(taken) => {
                    self.meters.forwarded(events as u64);
                    return Ok(taken);
                }
                Err(NotTaken::InDoubt(refusal)) => {
                    doubt = Some(refusal);
                    if may_repeat && Instant::now() < until {
                        tokio::time::sleep(LOOK_EVERY).await;
                        continue;
                    }
                }
                Err(NotTaken::Refused(refusal)) if doubt.is_none() => {
                    return Ok(self.refuse_all(group, &refusal));
                }
                // What was in doubt before still is.
                Err(NotTaken::Refused(_)) => {}
                Err(NotTaken::Here) => {
                    let in_doubt = doubt.is_some();
                    if let Some(taken) = self.admit_here(group, until, in_doubt).await? {
                        return Ok(taken);
                    }
                }
            }
            if let Some(refusal) = doubt.take_if(|_| !may_repeat || Instant::now() >= until) {
                self.meters.forwarded(events as u64);
                return Err(Unpromised {
                    refusal,
                    at_another_node: true,
                });
            }
        }
    }

    /// Takes in what was meant for another node; none: the account is on its way.
    async fn admit_here(
        &self,
        group: &Group,
        until: Instant,
        in_doubt: bool,
    ) -> Result<Option<Taken>, Unpromised> {
        let offered = &group.offered;
        match self.gateway.admit(offered, number(offered)).await {
            Ok(taken) => {
                let refusals = taken.refused.iter().map(|(_, refusal)| refusal);
                self.reject(Some(&group.name), refusals);
                Ok(Some(taken))
            }
            // It comes to this node, or leaves it.
            Err(Unavailable::Elsewhere) if in_doubt || Instant::now() < until => {
                tokio::time::sleep(LOOK_EVERY).await;
                Ok(None)
            }
            Err(Unavailable::Elsewhere) => {
                let refusal = Unavailable::Elsewhere.into();
                Ok(Some(self.refuse_all(group, &refusal)))
            }
            Err(unavailable) => Err(unavailable.into()),
        }
    }

    fn refuse_all(&self, group: &Group, refusal: &Refusal) -> Taken {
        let events = group.positions.len();
        self.reject(Some(&group.name), std::iter::repeat_n(refusal, events));
        let refused = (0..events).map(|place| (place, refusal.clone()));
        Taken {
            refused: refused.collect(),
            ..Taken::nothing()
        }
    }
}

/// The number that the sender of events has in this process.
fn number(offered: &Offered) -> Option<engine::Producer> {
    let sender = offered.sender.as_ref()?;
    producer(sender.kind, &sender.name, sender.percent)
}

/// Takes events in that came to another node.
///
/// # Errors
/// As [`Gateway::admit`].
pub async fn from_peer(
    gateway: &Gateway,
    meters: &Meters,
    offered: &Offered,
) -> Result<Taken, Unavailable> {
    let metrics = IngressMetrics {
        gateway,
        meters,
        transport: Transport::Cluster,
    };
    let taken = gateway.admit(offered, number(offered)).await;
    if !matches!(taken, Err(Unavailable::Elsewhere)) {
        metrics.received(offered.events.len());
    }
    if let Ok(taken) = &taken {
        let channel = match offered.channels.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        };
        // All of them were refused, for what the first was.
        match (offered.manner, taken.refused.first()) {
            (Manner::All, Some((_, refusal))) => {
                metrics.reject(channel, std::iter::repeat_n(refusal, offered.events.len()));
            }
            _ => metrics.reject(channel, taken.refused.iter().map(|(_, refusal)| refusal)),
        }
    }
    taken
}
