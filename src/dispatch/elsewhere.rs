//! Events for channels of an account that another node may have: whether it has, and how what such nodes offer is
//! taken in. So is what was meant for another node where this one turns out to be the owner.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::{Event, Producer, Replaced};

use super::channel::Channel;
use super::commits::Commits;
use super::gateway::Gateway;
use super::home::AccountKey;
use super::peers::{Manner, Offered, Peers, Taken};
use super::unavailable::Unavailable;
use crate::refusal::{Code, Refusal};

impl Gateway {
    /// There are other nodes, which have what is not here.
    pub fn meet(&self, peers: Arc<dyn Peers>) {
        // They are met once, at the start.
        let _ = self.others.set(peers);
    }

    /// The other nodes, if this one is of a cluster.
    #[must_use]
    pub fn others(&self) -> Option<&Arc<dyn Peers>> {
        self.others.get()
    }

    /// The channel of an alias or an ARN, be its account here or at another node that can be asked.
    ///
    /// # Errors
    /// As [`Gateway::channel`].
    pub fn addressee(&self, name: &str) -> Result<Arc<Channel>, Unavailable> {
        let channel = self.found(name)?;
        if self.others().is_none() {
            channel.account.home()?;
        }
        Ok(channel)
    }

    /// Whether a channel's account is at another node.
    #[must_use]
    pub fn is_elsewhere(&self, channel: &Channel) -> bool {
        channel.account.home().is_err()
    }

    /// Whether an account is here.
    #[must_use]
    pub fn has(&self, (id, region): &AccountKey) -> bool {
        self.shared.homes.of(id, region).is_some()
    }

    /// Takes events in whose account is here, and returns once that will outlive the process.
    /// `producer` is the number that their sender has in this process.
    ///
    /// # Errors
    /// [`Unavailable::Elsewhere`]: another node has the account, and nothing was taken.
    /// [`Unavailable::JournalFails`]: it may be taken.
    pub async fn admit(
        &self,
        offered: &Offered,
        producer: Option<Producer>,
    ) -> Result<Taken, Unavailable> {
        let waiter = offered.wait.map(|wait| (self.waiter(), wait));
        let number = waiter.as_ref().map_or(0, |(waiter, _)| waiter.id());
        let events = offered.events.iter().map(|(channel, event)| {
            let event = Event {
                waiter: number,
                producer,
                ..event.clone()
            };
            (*channel, event)
        });
        let channels = self.channels_here(offered)?;
        let (mut taken, commits) = match offered.manner {
            Manner::Each => self.admit_each(&channels, events.collect()),
            Manner::All => self.admit_all(&channels, events.collect()),
            Manner::Replacing => self.admit_in_place(&channels, events.collect()),
        }?;
        self.durable(commits).await?;
        if let Some((waiter, wait)) = waiter {
            let accepted = taken.accepted;
            taken.ends = Some(Box::pin(
                async move { Some(waiter.ended(accepted, wait).await) },
            ));
        }
        Ok(taken)
    }

    fn channels_here(&self, offered: &Offered) -> Result<Vec<Found>, Unavailable> {
        let channels = offered
            .channels
            .iter()
            .map(|name| match self.channel(name) {
                Err(Unavailable::Elsewhere) => Err(Unavailable::Elsewhere),
                found => Ok(found.map_err(Refusal::from)),
            });
        channels.collect()
    }

    fn admit_each(
        &self,
        channels: &[Found],
        events: Vec<(usize, Event)>,
    ) -> Result<(Taken, Commits), Unavailable> {
        let (mut taken, mut commits) = (Taken::nothing(), Commits::default());
        let mut by_channel = vec![(Vec::new(), Vec::new()); channels.len()];
        for (place, (channel, event)) in events.into_iter().enumerate() {
            by_channel[channel].0.push(place);
            by_channel[channel].1.push(event);
        }
        for (channel, (places, mut events)) in channels.iter().zip(by_channel) {
            let mut results = Vec::with_capacity(events.len());
            let offered = channel
                .as_ref()
                .map_err(Refusal::clone)
                .map(|channel| self.offer(channel, &mut events, &mut results));
            match offered {
                Ok(Ok((standing, its))) => {
                    taken.standing = taken.standing.and(standing);
                    commits = commits.and(its);
                }
                Ok(Err(Unavailable::Elsewhere)) if taken.is_nothing() => {
                    return Err(Unavailable::Elsewhere);
                }
                Ok(Err(unavailable)) => taken.refuse(&places, &unavailable.into()),
                Err(refusal) => taken.refuse(&places, &refusal),
            }
            for (place, result) in places.into_iter().zip(results) {
                taken.note(place, result.map_err(Refusal::from));
            }
        }
        Ok((taken, commits))
    }

    fn admit_all(
        &self,
        channels: &[Found],
        events: Vec<(usize, Event)>,
    ) -> Result<(Taken, Commits), Unavailable> {
        let mut taken = Taken::nothing();
        let unknown = events.iter().enumerate().find_map(|(place, (channel, _))| {
            let refusal = channels[*channel].as_ref().err()?;
            Some((place, refusal.clone()))
        });
        if let Some(refused) = unknown {
            taken.refused.push(refused);
            return Ok((taken, Commits::default()));
        }
        let events = events.into_iter().filter_map(|(channel, event)| {
            let channel = channels[channel].as_ref().ok()?;
            Some((Arc::clone(channel), event))
        });
        match self.offer_all(events.collect()) {
            Ok(Ok((admissions, standing, commits))) => {
                taken.standing = standing;
                for (place, admission) in admissions.into_iter().enumerate() {
                    taken.note(place, Ok(admission));
                }
                Ok((taken, commits))
            }
            Ok(Err((place, refusal))) => {
                taken.refused.push((place, refusal.into()));
                Ok((taken, Commits::default()))
            }
            Err(Unavailable::Elsewhere) => Err(Unavailable::Elsewhere),
            Err(unavailable) => {
                taken.refused.push((0, unavailable.into()));
                Ok((taken, Commits::default()))
            }
        }
    }

    fn admit_in_place(
        &self,
        channels: &[Found],
        events: Vec<(usize, Event)>,
    ) -> Result<(Taken, Commits), Unavailable> {
        let (mut taken, mut commits) = (Taken::nothing(), Commits::default());
        let Some((channel, event)) = events.into_iter().next() else {
            return Ok((taken, commits));
        };
        let replaced = match &channels[channel] {
            Ok(channel) => match self.replace(channel, event) {
                Err(Unavailable::Elsewhere) => return Err(Unavailable::Elsewhere),
                Err(unavailable) => Err(unavailable.into()),
                Ok(replaced) => replaced.map_err(Refusal::from),
            },
            Err(refusal) => Err(refusal.clone()),
        };
        match replaced {
            Ok((Replaced::Gone, ..)) => taken.refused.push((0, already_sent())),
            Ok((replaced, standing, its)) => {
                taken.accepted = 1;
                taken.standing = standing;
                taken.replaced = replaced == Replaced::Replaced;
                commits = its;
            }
            Err(refusal) => taken.refused.push((0, refusal)),
        }
        Ok((taken, commits))
    }
}

/// A channel that events name, or why they cannot.
type Found = Result<Arc<Channel>, Refusal>;

/// The event that is to be replaced has left.
#[must_use]
pub fn already_sent() -> Refusal {
    let detail = "the event was sent, or merged into another";
    Refusal::new(Code::AlreadySent, detail)
}

/// Whether all accounts are at one node.
///
/// # Errors
/// `overloaded`: nobody knows where one is. `invalid_event`: they are at several.
pub fn at_one_node(gateway: &Gateway, accounts: &BTreeSet<AccountKey>) -> Result<(), Refusal> {
    const HERE: &str = "";
    let owners = accounts.iter().map(|account| {
        if gateway.has(account) {
            return Some(HERE.to_owned());
        }
        gateway.others()?.owner(account)
    });
    let owners: Option<BTreeSet<String>> = owners.collect();
    match owners {
        None => Err(Unavailable::Elsewhere.into()),
        Some(owners) if owners.len() > 1 => Err(Refusal::invalid(
            "the accounts of these channels are at different nodes, which cannot take all or none of them",
        )),
        Some(_) => Ok(()),
    }
}
