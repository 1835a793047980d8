//! The channels of the journal and of the settings: opened at the start, and as a reload says.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use engine::Time;

use super::channel::Channel;
use super::gateway::Gateway;
use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Settings};
use crate::journal::Recovery;

/// Listed channels that could not be opened and are told by name, for the same reason.
const CHANNELS_TOLD: usize = 20;

/// Paused channels that are told by name at a start: more would push everything else out of
/// sight.
const PAUSES_TOLD: usize = 20;

/// A listed channel that could not be opened: it is unknown until another reload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel {name} could not be opened: the bound is reached of {bound}")]
pub struct NotOpened {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What there are too many of.
    bound: &'static str,
}

impl Gateway {
    /// Opens the channels of the journal and the listed ones, and tells which could not be opened and
    /// which are paused.
    pub(super) fn open_all(&self, settings: Arc<Settings>, recovery: Recovery) {
        let paused = self.take_back(&settings, recovery);
        for failed in self.apply(settings).iter().take(CHANNELS_TOLD) {
            tracing::error!("{failed}");
        }
        self.tell_paused(&paused);
    }

    /// Opens the channels of the journal, whether they are listed (still) or not: what was
    /// accepted is delivered. The answer is which are paused, and since when.
    fn take_back(&self, settings: &Settings, recovery: Recovery) -> Vec<(Arc<Channel>, Time)> {
        let mut made = Vec::new();
        let listed = listed(settings);
        for kept in recovery.channels {
            let listed = listed.get(&kept.arn);
            let policy = listed.map_or(&settings.channel_defaults, |listed| &listed.policy);
            let label = listed.map(|listed| &listed.name);
            let opened =
                self.registry
                    .make(&self.shared, settings, &kept.arn, policy, label, kept.queue);
            match opened {
                Ok(channel) => {
                    channel.inherit(self.shared.past.heard(), kept.open);
                    made.push((channel, kept.paused));
                }
                Err(full) => {
                    let (account, region) = (kept.arn.account(), kept.arn.region());
                    let policy = settings.account_policy(account, region);
                    self.shared.past.leave_to_nobody(&policy, kept.open);
                    tracing::error!(channel = %kept.arn, bound = full.0, "the channel could not be opened; its events stay in the journal");
                }
            }
        }
        self.wake_all(made)
    }

    /// Lets the channels of the journal call, now that their accounts know of all calls of before.
    fn wake_all(&self, channels: Vec<(Arc<Channel>, Option<Time>)>) -> Vec<(Arc<Channel>, Time)> {
        let mut paused = Vec::new();
        for (channel, since) in channels {
            // Before its account hears of it.
            if let Some(since) = since {
                self.set_paused(&channel, Some(since));
                paused.push((Arc::clone(&channel), since));
            }
            // Its first group tells the journal that it is there again.
            channel.lock(&self.shared).ticket();
            // A queue that only has payloads to send again does not call by itself.
            channel.wake();
        }
        paused
    }

    /// Puts changed settings in force. Queues and tokens stay as they are. The answer is which of
    /// the listed channels could not be opened: those without are as before.
    pub fn apply(&self, settings: Arc<Settings>) -> Vec<NotOpened> {
        self.shared.set_timeouts(
            settings.upstream.call_timeout,
            settings.account_defaults.abandon,
        );
        let now = self.now();
        for account in self.registry.accounts() {
            let policy = settings.account_policy(&account.id, &account.region);
            account.set_policy(now, policy, settings.quota.payload_max_bytes);
        }
        let failed = self.open_listed(&settings);
        self.registry
            .set_listed_accounts(&settings, &self.shared.meters);
        let listed = listed(&settings);
        for channel in self.registry.channels() {
            let listed = listed.get(&channel.arn);
            let policy = listed.map_or(&settings.channel_defaults, |listed| &listed.policy);
            let policy = Arc::clone(policy);
            let payload_max = channel.account.payload_max();
            channel.with(&self.shared, |state| {
                state.queue.set_policy(policy, payload_max);
            });
        }
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        failed
    }

    /// Opens the listed channels and gives them their names.
    fn open_listed(&self, settings: &Settings) -> Vec<NotOpened> {
        let known = settings.channels.iter().filter_map(|listed| {
            let channel = self.registry.by_arn(&listed.arn)?;
            Some((Arc::clone(&listed.name), channel))
        });
        let mut aliases: HashMap<_, _> = known.collect();
        if aliases.len() < settings.channels.len() {
            // Those that are listed no longer go first: they may have to make room.
            self.registry.set_aliases(&self.shared, aliases.clone());
        }
        let mut failed = Vec::new();
        for listed in &settings.channels {
            if aliases.contains_key(&listed.name) {
                continue;
            }
            let opened = self.registry.open(
                &self.shared,
                settings,
                &listed.arn,
                &listed.policy,
                Some(&listed.name),
            );
            match opened {
                Ok(channel) => drop(aliases.insert(Arc::clone(&listed.name), channel)),
                Err(full) => failed.push(NotOpened {
                    name: Arc::clone(&listed.name),
                    bound: full.0,
                }),
            }
        }
        self.registry.set_aliases(&self.shared, aliases);
        failed
    }

    /// Tells which channels are paused since before the start.
    fn tell_paused(&self, paused: &[(Arc<Channel>, Time)]) {
        let now = self.now();
        for (channel, since) in paused.iter().take(PAUSES_TOLD) {
            let for_s = now.since(*since).as_duration().as_secs();
            tracing::warn!(channel = %channel.name(), for_s, "the channel is paused since before the start; resume it when it may send");
        }
        if paused.len() > PAUSES_TOLD {
            let channels = paused.len();
            tracing::warn!(
                channels,
                "so many channels are paused since before the start"
            );
        }
    }
}

/// The listed channels, by their ARNs: a show can list 100,000.
fn listed(settings: &Settings) -> HashMap<&ChannelArn, &ChannelSettings> {
    let listed = settings.channels.iter();
    listed.map(|listed| (&listed.arn, listed)).collect()
}
