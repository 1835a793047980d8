//! Where the owner of each account is, as the last look at the database showed.

use std::collections::{BTreeMap, HashMap};

use engine::{Span, Time};

use super::parts::Key;
use crate::cluster::{Lease, Node};

/// So long may a beat stand still before its node is not said to live: a beat and a look are late at times.
const LIVES_FOR: Span = Span::from_millis(3000);

/// A node that owns something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name in the database.
    pub node: String,
    /// Its name for people.
    pub name: String,
    /// How other nodes reach it.
    pub address: String,
    /// The program's version.
    pub version: String,
    /// How often the account was taken.
    pub epoch: u64,
    /// Its last beat: a number that moves as long as it lives.
    pub beat: u64,
}

/// What a look showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// By account and region; none: it was released.
    pub by_account: BTreeMap<Key, Option<Owner>>,
    /// The nodes that live, by their names for people.
    pub living: Vec<Node>,
    /// There was a look.
    pub looked: bool,
}

/// The beats that were seen, and since when each stands still.
#[derive(Debug, Default)]
pub(super) struct Beats(HashMap<String, (u64, Time)>);

impl Beats {
    /// The owners of a look at that moment.
    pub(super) fn owners(
        &mut self,
        now: Time,
        leases: &HashMap<Key, Lease>,
        nodes: &HashMap<String, (Node, u64)>,
    ) -> Owners {
        let first_look = self.0.is_empty();
        self.0.retain(|node, _| nodes.contains_key(node));
        for (name, (_, beat)) in nodes {
            // A node that is seen for the first time may be long gone, but not at the first look.
            let since = if first_look { Time::ZERO } else { now };
            let seen = self.0.entry(name.clone()).or_insert((*beat, since));
            if seen.0 != *beat {
                *seen = (*beat, now);
            }
        }
        let lives = |node: &str| {
            let seen = self.0.get(node);
            seen.is_some_and(|(_, since)| *since != Time::ZERO && now.since(*since) < LIVES_FOR)
        };
        let owner = |lease: &Lease| {
            let (node, beat) = nodes.get(&lease.holder.as_ref()?.node)?;
            Some(Owner {
                node: node.node.clone(),
                name: node.name.clone(),
                address: node.address.clone(),
                version: node.version.clone(),
                epoch: lease.epoch,
                beat: *beat,
            })
        };
        let living = nodes.iter().filter(|(node, _)| lives(node));
        let mut living: Vec<Node> = living.map(|(_, (node, _))| node.clone()).collect();
        living.sort_by(|a, b| (&a.name, &a.node).cmp(&(&b.name, &b.node)));
        let by_account = leases
            .iter()
            .map(|(key, lease)| (key.clone(), owner(lease)));
        Owners {
            by_account: by_account.collect(),
            living,
            looked: true,
        }
    }
}
