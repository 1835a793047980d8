//! Which streams are live, as far as anybody says: the notices of `EventBridge`, and the API's list.
//!
//! Neither is believed: a channel that is said to be live is probed without further waiting.
//! Notices come late, twice, out of order or never, so their time decides, and the list is
//! read as long as any channel waits for its stream. It says nothing new about the others.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
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
        if news && notice.is_live {
            self.hint_live(&channel);
        }
        news
    }

    fn hint_live(&self, channel: &Arc<Channel>) {
        channel.account.hint_live(self.now(), channel);
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
