//! Which streams are live, as far as anybody says: the notices of `EventBridge`, and the API's list.
//!
//! Neither is believed: a channel that is said to be live is probed without further waiting.
//! Notices come late, twice, out of order or never, so their time decides, and the list is
//! read as long as any channel waits for its stream. It says nothing new about the others.
//! What is let through meanwhile under the policies `drop` and `reject` is the engine's decision;
//! here it is told what the list says, and that the list is read.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Health;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

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

/// Notices of one second that are told apart: there are few kinds, and each comes a few times.
const NOTICES_OF_A_SECOND: usize = 16;

/// What `EventBridge` says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its time, which is exact to the second, in s since 1970.
    pub at_s: i64,
    /// Its id, time and name: the same again is the same notice, sent twice.
    pub identity: String,
    /// The stream began; else it ended, or failed.
    pub is_live: bool,
}

/// The newest notices about a channel's stream.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// The time of the newest.
    at_s: i64,
    /// Those of that second, by the hashes of their identities.
    seen: Vec<u64>,
}

impl Noticed {
    /// Whether a notice says anything new: nothing newer is known, and it was not here before. A
    /// time ahead of the clock counts as now, so that a wrong one does not silence all that follow.
    fn is_news(&mut self, notice: &Notice, now_s: i64) -> bool {
        let at_s = notice.at_s.min(now_s);
        let identity = BuildHasherDefault::<DefaultHasher>::default().hash_one(&notice.identity);
        if at_s > self.at_s {
            self.at_s = at_s;
            self.seen.clear();
        }
        let is_news = at_s == self.at_s && !self.seen.contains(&identity);
        if is_news {
            self.seen.truncate(NOTICES_OF_A_SECOND - 1);
            self.seen.insert(0, identity);
        }
        is_news
    }
}

impl Gateway {
    /// Takes a notice about a stream. False: the channel is not known, or the notice says nothing
    /// new.
    pub fn notice(&self, arn: &ChannelArn, notice: &Notice) -> bool {
        let Some(channel) = self.registry.by_arn(arn) else {
            return false;
        };
        let now_s = i64::try_from(self.shared.clock.epoch_ms() / 1000).unwrap_or(i64::MAX);
        let news = channel.with(&self.shared, |state| {
            let noticed = state.noticed.get_or_insert_default();
            noticed.is_news(notice, now_s)
        });
        if news {
            channel.account.hint(self.now(), &channel, notice.is_live);
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
            account.not_listed(self.now(), channel, began);
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
                account.listed(self.now(), channel, asked);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_told_apart() {
        let mut noticed = Noticed::default();
        let mut check = |id: &str, at_s: i64, name: &str, now_s, expected| {
            let notice = Notice {
                at_s,
                identity: format!("{id} {at_s} {name}"),
                is_live: true,
            };
            let found = noticed.is_news(&notice, now_s);
            assert_eq!(found, expected, "{id} {at_s} {name} at {now_s}");
        };
        check("a", 100, "end", 1000, true);
        // Another of the same second, by its id or by its name; and each of them again.
        check("b", 100, "start", 1000, true);
        check("b", 100, "end", 1000, true);
        check("a", 100, "end", 1000, false);
        check("b", 100, "start", 1000, false);
        check("c", 99, "start", 1000, false);
        // From the future: it counts as now, and later ones are heard.
        check("d", 99_999, "start", 1000, true);
        check("d", 99_999, "start", 1000, false);
        check("e", 1000, "end", 1000, true);
        check("f", 1001, "start", 1001, true);
        check("d", 99_999, "start", 1005, true);
    }

    #[test]
    fn a_second_is_bounded() {
        let mut noticed = Noticed::default();
        for number in 0..100 {
            let notice = Notice {
                at_s: 1,
                identity: number.to_string(),
                is_live: true,
            };
            assert!(noticed.is_news(&notice, 5));
            assert!(!noticed.is_news(&notice, 5));
        }
        assert_eq!(noticed.seen.len(), NOTICES_OF_A_SECOND);
    }
}
