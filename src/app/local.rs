//! The emulator in this process: the upstream of local mode.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Error, closed};
use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Settings, UpstreamMode};
use crate::dispatch::LocalUpstream;
use crate::lifecycle::Supervisor;
use crate::upstream::{AccountOptions, Credentials, Upstream};

/// The emulator in this process.
pub(super) struct LocalIvs {
    pub address: SocketAddr,
    pub task: JoinHandle<()>,
    pub emulator: Emulator,
}

/// The emulator, as a reload gets at it.
#[derive(Clone)]
pub(super) struct Emulator {
    keys: local_ivs::Keys,
    state: Arc<local_ivs::State>,
    /// The channels that it was told of.
    told: Arc<Mutex<HashSet<ChannelArn>>>,
}

impl Emulator {
    /// What players have of a channel.
    pub(super) fn playback(&self, channel: &ChannelArn, file: &str) -> Option<local_ivs::Played> {
        self.state.playback(channel.as_str(), file)
    }

    /// Makes those of the channels live that it was never told of, with their accounts' keys; the
    /// answer is what it did not take, a line each. What is offline by somebody's wish stays so.
    fn take(&self, channels: &[ChannelSettings]) -> Vec<String> {
        for account in accounts_of(channels) {
            self.keys.add(key(account), "test", account);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = Vec::new();
        for channel in channels {
            if told.contains(&channel.arn) {
                continue;
            }
            match self.state.set_live(channel.arn.as_str()) {
                Ok(()) => drop(told.insert(channel.arn.clone())),
                Err(error) => failed.push(format!(
                    "channel {} is unknown to the local IVS: {error}",
                    channel.name
                )),
            }
        }
        failed
    }
}

impl LocalUpstream for Emulator {
    fn make_known(&self, upstream: &Upstream, channels: &[ChannelSettings]) -> Vec<String> {
        upstream.add_accounts(accounts(channels));
        self.take(channels)
    }
}

impl LocalIvs {
    /// The emulator as the gateway needs it.
    pub(super) fn for_gateway(&self) -> Arc<dyn LocalUpstream> {
        Arc::new(self.emulator.clone())
    }

    /// Starts it in local mode, with every listed channel live.
    pub(super) async fn start(
        settings: &Settings,
        closing: &watch::Receiver<bool>,
        supervisor: &Supervisor,
    ) -> Result<Option<Self>, Error> {
        if settings.upstream.mode != UpstreamMode::Local {
            return Ok(None);
        }
        let address = settings.local_ivs.listen;
        let listed = settings.channels.iter().map(|listed| listed.arn.clone());
        let keys = keys(&settings.channels);
        let options = local_ivs::Options {
            keys: keys.clone(),
            live_channels: settings
                .channels
                .iter()
                .map(|listed| listed.arn.to_string())
                .collect(),
            ..local_ivs::Options::default()
        };
        let server = local_ivs::Server::bind(address, options)
            .await
            .map_err(|error| Error::LocalIvs { address, error })?;
        let address = server.local_addr();
        let emulator = Emulator {
            keys,
            state: server.state(),
            told: Arc::new(Mutex::new(listed.collect())),
        };
        // It outlives the drain: queues leave through it.
        let (closing, told) = (closed(closing.clone()), supervisor.clone());
        let task = supervisor.spawn(NAME, async move {
            if let Err(error) = server.serve(closing).await {
                told.died(NAME, error);
            }
        });
        Ok(Some(Self {
            address,
            task,
            emulator,
        }))
    }
}

/// The emulator's task, for people.
const NAME: &str = "the emulator of local mode";

/// The account of the emulator's well-known key.
const LOCAL_ACCOUNT: &str = "000000000000";

/// The emulator's access key of an account. Listed channels of any account work in local
/// mode, so that a show's own configuration can be tried there.
fn key(account: &str) -> String {
    if account == LOCAL_ACCOUNT {
        "test".to_owned()
    } else {
        format!("test-{account}")
    }
}

fn keys(channels: &[ChannelSettings]) -> local_ivs::Keys {
    let accounts = accounts_of(channels).into_iter();
    local_ivs::Keys::new(accounts.map(|account| (key(account), "test", account)))
}

fn accounts_of(channels: &[ChannelSettings]) -> BTreeSet<&str> {
    let listed = channels.iter().map(|listed| listed.arn.account());
    listed.chain([LOCAL_ACCOUNT]).collect()
}

/// The accounts that sign with another key than the well-known one.
pub(super) fn accounts(channels: &[ChannelSettings]) -> Vec<AccountOptions> {
    let listed = channels
        .iter()
        .map(|listed| (listed.arn.account(), listed.arn.region()));
    let accounts: BTreeSet<_> = listed
        .filter(|(account, _)| *account != LOCAL_ACCOUNT)
        .collect();
    let options = accounts
        .into_iter()
        .map(|(account, region)| AccountOptions {
            account: account.to_owned(),
            region: region.to_owned(),
            role_arn: None,
            external_id: None,
            endpoint_url: None,
            credentials: Some(Credentials::fixed(&key(account), "test")),
        });
    options.collect()
}
