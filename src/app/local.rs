//! The emulator in this process: the upstream of local mode.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Error, closed};
use crate::config::{ChannelSettings, Settings, UpstreamMode};
use crate::lifecycle::Supervisor;
use crate::upstream::{AccountOptions, Credentials};

/// The emulator in this process.
pub(super) struct LocalIvs {
    pub address: SocketAddr,
    pub task: JoinHandle<()>,
}

impl LocalIvs {
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
        let options = local_ivs::Options {
            keys: keys(&settings.channels),
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
        // It outlives the drain: queues leave through it.
        let (closing, told) = (closed(closing.clone()), supervisor.clone());
        let task = supervisor.spawn(NAME, async move {
            if let Err(error) = server.serve(closing).await {
                told.died(NAME, error);
            }
        });
        Ok(Some(Self { address, task }))
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
    let listed = channels.iter().map(|listed| listed.arn.account());
    let accounts: BTreeSet<&str> = listed.chain([LOCAL_ACCOUNT]).collect();
    local_ivs::Keys::new(
        accounts
            .into_iter()
            .map(|account| (key(account), "test", account)),
    )
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
