//! The channels of the journal, of the settings and of the API: opened at the start, and as a reload says.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use engine::Time;

use super::channel::{Channel, State};
use super::definitions::{Definitions, Everything, Listed, Listing, NotOpened};
use super::gateway::Gateway;
use super::home::Home;
use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Settings};
use crate::journal::Recovery;

/// Channels that are told by name of each kind, as those that are paused at a start: more would push
/// everything else out of sight.
const TOLD: usize = 20;

impl Gateway {
    /// Opens the channels of the journal and the listed ones, and tells which could not be opened and
    /// which are paused.
    pub(super) fn open_all(
        &self,
        definitions: &mut Definitions,
        settings: Arc<Settings>,
        recovery: Recovery,
    ) {
        let paused = self.take_back(definitions, &settings, recovery, None);
        for failed in self.put_in_force(definitions, settings).iter().take(TOLD) {
            tracing::error!("{failed}");
        }
        if definitions.len() > 0 {
            tracing::info!(channels = definitions.len(), "channels made by API");
        }
        self.tell_paused(&paused);
    }

    /// Opens the channels of the journal, whether they are listed (still) or not: what was
    /// accepted is delivered. `home`: where their account is about to be; none: where it is. The answer is
    /// which are paused, and since when.
    pub(super) fn take_back(
        &self,
        definitions: &mut Definitions,
        settings: &Settings,
        recovery: Recovery,
        home: Option<&Arc<Home>>,
    ) -> Vec<(Arc<Channel>, Time)> {
        let made_by_api = recovery.channels.iter().filter_map(|kept| {
            let definition = Arc::clone(kept.definition.as_ref()?);
            Some((kept.arn.clone(), definition))
        });
        let moved = definitions.recover(made_by_api);
        definitions.set_file(&settings.channels);
        let all = definitions.everything(settings);
        self.make_all_known(&all);
        let listed = by_arn(&all.listed);
        let mut made = Vec::new();
        for kept in recovery.channels {
            let listed = listed.get(&kept.arn);
            let policy = listed.map_or(&settings.channel_defaults, |it| &it.channel.policy);
            let label = listed.and_then(|listed| listed.listing.label());
            let opened = self.registry.make(
                &self.shared,
                settings,
                &kept.arn,
                policy,
                label,
                (home, kept.queue),
            );
            match opened {
                Ok(channel) => {
                    channel.inherit(kept.open);
                    channel.with(&self.shared, |state| {
                        state.definition.recall(kept.definition);
                        if moved.contains(&kept.arn) {
                            state.definition.set(None);
                        }
                    });
                    made.push((channel, kept.paused));
                }
                Err(full) => {
                    let (account, region) = (kept.arn.account(), kept.arn.region());
                    let policy = settings.account_policy(account, region);
                    if let Some(home) = self.shared.homes.of(account, region) {
                        home.past.leave_to_nobody(&policy, kept.open);
                    }
                    tracing::error!(channel = %kept.arn, bound = full.0, "the channel could not be opened; its events stay in the journal");
                }
            }
        }
        self.wake_all(made)
    }

    /// In local mode the emulator must know the channels made by API before their first event is sent.
    /// Those of the file it knows.
    fn make_all_known(&self, all: &Everything) {
        let made = all.listed.iter().filter(|it| it.definition.is_some());
        let made: Vec<ChannelSettings> = made.map(|it| it.channel.clone()).collect();
        for failed in self.make_known(&made).iter().take(TOLD) {
            tracing::error!("{failed}");
        }
    }

    /// Lets the channels of the journal call, now that their accounts know of all calls of before.
    fn wake_all(&self, channels: Vec<(Arc<Channel>, Option<Time>)>) -> Vec<(Arc<Channel>, Time)> {
        let mut paused = Vec::new();
        for (channel, since) in channels {
            // Before its account hears of it.
            if let Some(since) = since {
                let _ = self.set_paused(&channel, Some(since));
                paused.push((Arc::clone(&channel), since));
            }
            // Its first group tells the journal that it is there again.
            channel.lock(&self.shared).tell();
            // A queue that only has payloads to send again does not call by itself.
            channel.wake();
        }
        paused
    }

    /// Puts changed settings in force. Queues and tokens stay as they are. The answer is which of
    /// the listed channels could not be opened: those without are as before.
    ///
    /// # Panics
    /// On a thread of the runtime, because it waits for channels that are made by API at the same moment.
    pub fn apply(&self, settings: Arc<Settings>) -> Vec<NotOpened> {
        self.put_in_force(&mut self.definitions.blocking_lock(), settings)
    }

    pub(super) fn put_in_force(
        &self,
        definitions: &mut Definitions,
        settings: Arc<Settings>,
    ) -> Vec<NotOpened> {
        self.shared.set_timeouts(
            settings.upstream.call_timeout,
            settings.account_defaults.abandon,
        );
        let now = self.now();
        for account in self.registry.accounts() {
            let policy = settings.account_policy(&account.id, &account.region);
            account.set_policy(now, policy, settings.quota.payload_max_bytes);
        }
        definitions.set_file(&settings.channels);
        let all = definitions.everything(&settings);
        self.make_all_known(&all);
        let Everything {
            listed,
            mut failed,
            shadowed,
        } = all;
        tell_shadowed(&shadowed);
        failed.extend(self.open_listed(&settings, &listed));
        self.registry
            .set_listed_accounts(&settings, &self.shared.meters);
        let listed = by_arn(&listed);
        for channel in self.registry.channels() {
            let listed = listed.get(&channel.arn);
            let policy = listed.map_or(&settings.channel_defaults, |it| &it.channel.policy);
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
    fn open_listed(&self, settings: &Settings, listed: &[Listed]) -> Vec<NotOpened> {
        let known = |it: &Listed| {
            let channel = self.registry.by_arn(&it.channel.arn)?;
            Some((it.listing.clone(), channel))
        };
        let mut open: Vec<(Listing, Arc<Channel>)> = listed.iter().filter_map(known).collect();
        if open.len() < listed.len() {
            // Those that are listed no longer go first: they may have to make room.
            self.registry.set_listed(&self.shared, &open);
        }
        let are_open = open.iter().map(|(_, channel)| channel.arn.clone());
        let are_open: HashSet<ChannelArn> = are_open.collect();
        let mut failed = Vec::new();
        for it in listed {
            let (arn, policy) = (&it.channel.arn, &it.channel.policy);
            if are_open.contains(arn) {
                continue;
            }
            let label = it.listing.label();
            let opened = self
                .registry
                .open(&self.shared, settings, arn, policy, label);
            match opened {
                Ok(channel) => {
                    if let Some(definition) = &it.definition {
                        let define = |state: &mut State| {
                            state.definition.set(Some(Arc::clone(definition)));
                        };
                        // Where its account is elsewhere, that node's journal has it.
                        let _ = channel.change(&self.shared, define);
                    }
                    open.push((it.listing.clone(), channel));
                }
                Err(full) => failed.push(NotOpened::full(&it.listing.alias, full.0)),
            }
        }
        self.registry.set_listed(&self.shared, &open);
        failed
    }

    /// Tells which channels are paused since before the start.
    pub(super) fn tell_paused(&self, paused: &[(Arc<Channel>, Time)]) {
        let now = self.now();
        for (channel, since) in paused.iter().take(TOLD) {
            let for_s = now.since(*since).as_duration().as_secs();
            tracing::warn!(channel = %channel.name(), for_s, "the channel is paused since before the start; resume it when it may send");
        }
        if paused.len() > TOLD {
            let channels = paused.len();
            tracing::warn!(
                channels,
                "so many channels are paused since before the start"
            );
        }
    }
}

/// The listed channels, by their ARNs: a show can list 100,000.
fn by_arn(listed: &[Listed]) -> HashMap<&ChannelArn, &Listed> {
    listed.iter().map(|it| (&it.channel.arn, it)).collect()
}

/// Tells which channels made by API give way to the configuration file.
fn tell_shadowed(shadowed: &[Arc<str>]) {
    for channel in shadowed.iter().take(TOLD) {
        tracing::warn!(%channel, "the channel was made by API, and the configuration file lists its alias or its ARN: the file wins for as long as it does");
    }
    if shadowed.len() > TOLD {
        let channels = shadowed.len();
        tracing::warn!(
            channels,
            "so many channels made by API give way to the configuration file"
        );
    }
}
