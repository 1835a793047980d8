//! What the console shows beside channels: how it all stands, why events were refused or lost,
//! the settings in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use engine::DeadLetterReason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Admin;
use crate::dispatch::AccountReport;
use crate::refusal::{Code, Refusal};
use crate::telemetry::{RecentRefusal, Snapshot};

/// Where the figures are.
pub const OVERVIEW: &str = "/admin/overview";

/// How it all stands, in a few figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overview {
    /// The version that runs.
    pub version: &'static str,
    /// Where payloads go: `local` or `aws`.
    pub mode: &'static str,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// Why the journal takes no events, if it does not.
    pub journal: Option<&'static str>,
    /// Channels that are known.
    pub channels: usize,
    /// Events queued in all of them.
    pub queued: usize,
    /// Events delivered since the start.
    pub delivered: u64,
    /// Dead letters kept.
    pub dead_letters: usize,
    /// Every account in use.
    pub accounts: Vec<AccountReport>,
    /// The nodes of a cluster and what they own: then the figures are those of all owners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterView>,
}

/// The figures of another node.
#[derive(Clone, Debug, Deserialize)]
pub struct Figures {
    channels: usize,
    queued: usize,
    delivered: u64,
    dead_letters: usize,
    accounts: Vec<AccountReport>,
}

/// A cluster, as one of its nodes sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// The nodes that live.
    pub nodes: Vec<NodeView>,
    /// Who owns each account.
    pub accounts: Vec<OwnedAccount>,
    /// Every owner has told its figures.
    pub whole: bool,
}

/// A node that lives.
#[derive(Clone, Debug, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Where other nodes reach it.
    pub address: String,
    /// The version that it runs.
    pub version: String,
    /// It is the one that tells this.
    pub is_this: bool,
}

/// An account, and who owns it.
#[derive(Clone, Debug, Serialize)]
pub struct OwnedAccount {
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// The name of the node; null: it was released, and nobody has taken it yet.
    pub owner: Option<String>,
    /// How often it was taken.
    pub epoch: Option<u64>,
}

impl Overview {
    /// With those of another node.
    pub fn add(&mut self, other: Figures) {
        self.channels += other.channels;
        self.queued += other.queued;
        self.delivered += other.delivered;
        self.dead_letters += other.dead_letters;
        self.accounts.extend(other.accounts);
        let key = |it: &AccountReport| (it.account.clone(), it.region.clone());
        self.accounts.sort_by_key(key);
    }
}

/// Why events were refused or lost, since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Losses {
    /// Events that were never accepted, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Events that were accepted and did not reach a viewer, by how they ended.
    pub lost: Lost,
    /// The refusals of late, the latest first. No value of an event is in them.
    pub recent: Vec<RecentRefusal>,
}

/// Accepted events that did not reach a viewer. (One that was merged did, within another.)
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lost {
    /// Their TTL ended before they could be sent.
    pub expired: u64,
    /// A full queue pushed them out.
    pub evicted: u64,
    /// Somebody took them back.
    pub cancelled: u64,
    /// They can never be delivered, by reason.
    pub dead_lettered: BTreeMap<&'static str, u64>,
}

impl Losses {
    /// What the books of all channels say, and what the edges counted.
    #[must_use]
    pub fn of(
        snapshot: &Snapshot,
        refused: BTreeMap<&'static str, u64>,
        recent: Vec<RecentRefusal>,
    ) -> Self {
        let mut lost = Lost::default();
        for channel in &snapshot.channels {
            lost.expired += channel.ledger.expired;
            lost.evicted += channel.ledger.evicted;
            lost.cancelled += channel.ledger.cancelled;
        }
        let dead = DeadLetterReason::ALL.iter().zip(snapshot.dead_lettered());
        lost.dead_lettered = dead.map(|(reason, count)| (reason.name(), count)).collect();
        Self {
            refused,
            lost,
            recent,
        }
    }
}

pub(super) async fn overview(State(admin): State<Arc<dyn Admin>>) -> Json<Overview> {
    Json(admin.overview().await)
}

pub(super) async fn refusals(State(admin): State<Arc<dyn Admin>>) -> Result<Json<Losses>, Refusal> {
    // It looks at every channel, for which producers would wait.
    let losses = tokio::task::spawn_blocking(move || admin.losses()).await;
    losses.map(Json).map_err(|error| {
        tracing::error!(%error, "the losses could not be counted");
        let detail = "the losses could not be counted; see the log";
        Refusal::new(Code::Internal, detail)
    })
}

pub(super) async fn config(State(admin): State<Arc<dyn Admin>>) -> Json<Value> {
    Json(admin.config())
}
