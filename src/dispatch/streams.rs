//! Which streams are live, as far as anybody says: the notices of `EventBridge`, and the API's list.
//!
//! Neither is believed: a channel that is said to be live is probed without further waiting.
//! Notices come late, twice, out of order or never, so their time decides, and the list is
//! read as long as any channel waits for its stream. It says nothing new about the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Health;

use super::account::Account;
use super::channel::Channel;
use super::gateway::Gateway;
use crate::arn::ChannelArn;

/// How often the list is read while a channel waits. Pages come in the same rhythm: an
/// account's list may be read 5 times a second, and others may read it too.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How long a list that may not be read is left alone: a role that can only put metadata is
/// a good one.
const DENIED_FOR: Duration = Duration::from_mins(5);

/// What `EventBridge` says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It began.
    Live,
    /// It ended, or failed.
    Over,
}

impl Gateway {
    /// Takes a notice about a stream, of the moment `at_ms` (ms since 1970). False: the channel
    /// is not known, or something newer is.
    pub fn notice(&self, arn: &ChannelArn, at_ms: i64, notice: Notice) -> bool {
        let Some(channel) = self.registry.by_arn(arn) else {
            return false;
        };
        let news = channel.with(&self.shared, |state| {
            let news = state.noticed_ms.is_none_or(|last| last < at_ms);
            if news {
                state.noticed_ms = Some(at_ms);
            }
            news
        });
        if news && notice == Notice::Live {
            self.hint_live(&channel);
        }
        news
    }

    fn hint_live(&self, channel: &Arc<Channel>) {
        let now = self.now();
        channel.account.scheduler().hint_live(now, channel.id);
        channel.account.wake(Arc::clone(channel));
    }

    /// Reads the lists of live streams for as long as it runs.
    pub async fn watch_streams(&self) {
        let mut denied: HashMap<(String, String), Instant> = HashMap::new();
        loop {
            tokio::time::sleep(LIST_EVERY).await;
            denied.retain(|_, since| since.elapsed() < DENIED_FOR);
            for (account, waiting) in self.waiting() {
                let key = (account.id.clone(), account.region.clone());
                if denied.contains_key(&key) {
                    continue;
                }
                if let Err(reason) = self.look_for(&account, waiting).await {
                    tracing::info!(account = %key.0, region = %key.1, %reason, "the list of live streams cannot be read; offline channels come back by probes alone");
                    denied.insert(key, Instant::now());
                }
            }
        }
    }

    /// The channels that wait for their streams, by account.
    fn waiting(&self) -> Vec<(Arc<Account>, Vec<Arc<Channel>>)> {
        let now = self.now();
        let mut waiting: HashMap<*const Account, (Arc<Account>, Vec<Arc<Channel>>)> =
            HashMap::new();
        for channel in self.registry.channels() {
            let account = Arc::clone(&channel.account);
            if account.scheduler().link(now, channel.id).health == Health::Offline {
                let entry = waiting.entry(Arc::as_ptr(&account));
                let (_, channels) = entry.or_insert_with(|| (account, Vec::new()));
                channels.push(channel);
            }
        }
        waiting.into_values().collect()
    }

    /// Reads an account's list until every channel that waits was found, or it ends. An error
    /// says that it may not be read; one that passes is none, because the next look is near.
    async fn look_for(
        &self,
        account: &Account,
        mut waiting: Vec<Arc<Channel>>,
    ) -> Result<(), String> {
        let mut token = None;
        while !waiting.is_empty() {
            let page =
                self.shared
                    .upstream
                    .live_streams(&account.id, &account.region, token.take());
            let Some(page) = page.await? else {
                return Ok(());
            };
            let live: HashSet<&str> = page.channels.iter().map(String::as_str).collect();
            waiting.retain(|channel| {
                let found = live.contains(channel.arn().as_str());
                if found {
                    self.hint_live(channel);
                }
                !found
            });
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
            tokio::time::sleep(LIST_EVERY).await;
        }
        Ok(())
    }
}
