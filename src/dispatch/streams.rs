//! Which streams are live, as far as anybody says: the notices of `EventBridge`, and the API's list.
//!
//! Neither is believed: a channel that is said to be live is probed without further waiting.
//! Notices come late, twice, out of order or never, so their time decides, and the list is
//! read as long as any channel waits for its stream. It says nothing new about the others.
//! What is let through meanwhile under the policies `drop` and `reject` is the engine's decision;
//! here it is told what the list says, and that the list is read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Health;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

use super::channel::{Account, Channel};
use super::gateway::Gateway;
use super::notices::Notice;
use crate::arn::ChannelArn;

/// How often the list is read while a channel waits. Pages come in the same rhythm: an
/// account's list may be read 5 times a second, and others may read it too.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How long a list that may not be read is left alone: a role that can only put metadata is
/// a good one.
const DENIED_FOR: Duration = Duration::from_mins(5);

impl Gateway {
    /// Takes a notice about a stream. False: the channel is not known or not here, or the notice says nothing
    /// new.
    pub fn notice(&self, arn: &ChannelArn, notice: &Notice) -> bool {
        let Some(channel) = self.registry.by_arn(arn) else {
            return false;
        };
        if self.is_elsewhere(&channel) {
            return false;
        }
        let now_s = i64::try_from(self.shared.clock.epoch_ms() / 1000).unwrap_or(i64::MAX);
        let news = channel.with(&self.shared, |state| {
            let noticed = state.noticed.get_or_insert_default();
            noticed.is_news(notice, now_s)
        });
        if news {
            channel.hint(self.now(), notice.is_live);
        }
        news
    }

    /// Reads the lists of live streams for as long as it runs, those of several accounts beside
    /// each other: a long list, or an API that hangs, holds up no other account.
    pub async fn watch_streams(&self) {
        let mut denied: HashMap<AccountKey, Instant> = HashMap::new();
        let mut reading: HashSet<AccountKey> = HashSet::new();
        let mut passes = FuturesUnordered::new();
        let mut tick = tokio::time::interval(LIST_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    denied.retain(|_, since| since.elapsed() < DENIED_FOR);
                    for (account, waiting) in self.waiting() {
                        let key = key(&account);
                        if !denied.contains_key(&key) && reading.insert(key) {
                            passes.push(self.read_list(account, waiting));
                        }
                    }
                }
                Some((account, read)) = passes.next() => {
                    let key = key(&account);
                    reading.remove(&key);
                    if let Err(reason) = read {
                        tracing::info!(account = %key.0, region = %key.1, %reason, "the list of live streams cannot be read; offline channels come back by notices, and by probes alone");
                        denied.insert(key, Instant::now());
                    }
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
            if account.channel_status(now, channel.id).health == Health::Offline {
                let entry = waiting.entry(Arc::as_ptr(&account));
                let (_, channels) = entry.or_insert_with(|| (account, Vec::new()));
                channels.push(channel);
            }
        }
        waiting.into_values().collect()
    }

    /// Reads an account's list until every channel that waits was found, or it ends. An error
    /// says that it may not be read; one that passes is none, because the next look is near.
    async fn read_list(
        &self,
        account: Arc<Account>,
        mut waiting: Vec<Arc<Channel>>,
    ) -> (Arc<Account>, Result<(), String>) {
        let began = self.now();
        let mut token = None;
        loop {
            match self.read_page(&account, &mut waiting, token.take()).await {
                Ok(Page::Unread) => return (account, Ok(())),
                Ok(Page::Last) => break,
                Ok(Page::Next(_)) if waiting.is_empty() => break,
                Ok(Page::Next(next)) => token = Some(next),
                Err(reason) => return (account, Err(reason)),
            }
            tokio::time::sleep(LIST_EVERY).await;
        }
        for channel in &waiting {
            channel.not_listed(self.now(), began);
        }
        (account, Ok(()))
    }

    /// Reads one page, and takes those that are on it off `waiting`.
    async fn read_page(
        &self,
        account: &Account,
        waiting: &mut Vec<Arc<Channel>>,
        token: Option<String>,
    ) -> Result<Page, String> {
        let asked = self.now();
        let upstream = &self.shared.upstream;
        let page = upstream.live_streams(&account.id, &account.region, token);
        let Some(page) = page.await? else {
            return Ok(Page::Unread);
        };
        account.list_read(self.now());
        let live: HashSet<&str> = page.channels.iter().map(String::as_str).collect();
        waiting.retain(|channel| {
            let found = live.contains(channel.arn().as_str());
            if found {
                channel.listed(self.now(), asked);
            }
            !found
        });
        Ok(page.next.map_or(Page::Last, Page::Next))
    }
}

/// An account's id and region.
type AccountKey = (String, String);

fn key(account: &Account) -> AccountKey {
    (account.id.clone(), account.region.clone())
}

/// What came of asking for a page.
enum Page {
    /// It could not be read this time.
    Unread,
    /// It was the last.
    Last,
    /// There is another.
    Next(String),
}
