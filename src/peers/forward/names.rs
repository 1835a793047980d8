//! Which channels were made by API at other nodes. Every node is asked after each beat, and when somebody names a
//! channel that is not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Others;
use crate::dispatch::{Asked, Names};
use crate::node::Owner;

/// What nodes answer to it.
const PATH: &str = "/cluster/names";

/// How long a node may take: whoever names an unknown channel waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A hundred thousand channels.
const NAMES_MAX: usize = 256 << 20;

/// What was heard.
#[derive(Default)]
pub(super) struct Heard {
    /// When it was asked for last.
    asked: Option<Instant>,
    /// Of each node, by its name.
    revisions: HashMap<String, u64>,
}

impl Others {
    pub(super) async fn keep_names(&self, every: Duration) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.hear_names().await;
        }
    }

    pub(super) async fn hear_names(&self) {
        let wanted = Instant::now();
        let mut heard = self.heard.lock().await;
        // Whoever had its turn before has asked for us as well.
        if heard.asked.is_some_and(|asked| asked >= wanted) {
            return;
        }
        heard.asked = Some(Instant::now());
        let seen = Arc::clone(&self.owners.borrow());
        let owners = self.candidates(&seen, None);
        let is_there = |node: &String| owners.iter().any(|owner| owner.node == *node);
        heard.revisions.retain(|node, _| is_there(node));
        let answers = owners.into_iter().map(async |owner| {
            let known = heard.revisions.get(&owner.node);
            (owner, self.names_of(owner, known.copied()).await)
        });
        for (owner, names) in join_all(answers).await {
            if let Some(names) = names
                && let Some(revision) = self.hear(owner, names).await
            {
                heard.revisions.insert(owner.node.clone(), revision);
            }
        }
    }

    /// What a node has, if that is new.
    async fn names_of(&self, owner: &Owner, known: Option<u64>) -> Option<Names> {
        let query = known.map(|revision| format!("?known={revision}"));
        let path = format!("{PATH}{}", query.unwrap_or_default());
        let asked = Asked::get(&self.me, path);
        let names = async {
            let answer = self.ask_for(owner, &asked).await.ok()??;
            if answer.status != 200 {
                return None;
            }
            let text = answer.whole(NAMES_MAX).await.ok()?;
            serde_json::from_slice(&text)
                .inspect_err(
                    |error| tracing::error!(%error, "another node's channels cannot be read"),
                )
                .ok()
        };
        timeout(PATIENCE, names).await.ok()?
    }

    /// The revision that is known now; none: not all of it counts, because accounts are about to move.
    async fn hear(&self, owner: &Owner, mut names: Names) -> Option<u64> {
        let gateway = self.gateway.upgrade()?;
        let (all, revision) = (names.accounts.len(), names.revision);
        let seen = Arc::clone(&self.owners.borrow());
        let is_its = |node: &Owner| node.node == owner.node;
        names.accounts.retain(|account| {
            self.other(&seen, account).is_some_and(is_its) && !gateway.has(account)
        });
        let whole = names.accounts.len() == all;
        if gateway.hear(names).await {
            self.keyring.ask_again();
        }
        whole.then_some(revision)
    }
}
