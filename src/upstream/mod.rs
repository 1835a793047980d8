//! The way out: one `PutMetadata` call through `aws-sdk-ivs`, and what its answer means.
//!
//! It must never retry, wait, limit or count: every attempt costs tokens that only the
//! scheduler hands out. It turns whatever the SDK says into one of the engine's outcomes.
//!
//! - [`options`]: what a caller is built from.
//! - [`client`]: SDK clients: credentials, roles, timeouts.
//! - [`connection`]: the HTTP client under them: its pool and its sockets.
//! - [`reply`]: what came back, taken apart: kind, status, code, message.
//! - [`classify`]: the one map from a reply to an outcome.
//! - [`streams`]: the list of live streams.
//! - [`examine`]: what reads alone tell of an account.

mod classify;
mod client;
mod connection;
mod examine;
mod options;
mod reply;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use aws_config::SdkConfig;
use aws_sdk_ivs::Client;
use aws_sdk_ivs::config::ProvideCredentials;
use engine::Outcome;
use tokio::sync::OnceCell;

pub use classify::{Kind, Verdict, classify};
pub use examine::{ClockReading, Examined, ReadFailure};
pub use options::{AccountOptions, Credentials, UpstreamOptions};
pub use reply::CallError;
pub use streams::LivePage;

use reply::SendMark;

/// Most SDK clients of one process: each has a connection pool of its own. Accounts without
/// settings share one per region, so that only more listed accounts and regions than this
/// reach it; what lies beyond is refused as an account in trouble.
pub const CLIENTS_MAX: usize = 1024;

/// What became of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the engine is told.
    pub outcome: Outcome,
    /// The account as a whole cannot send: its credentials, role or endpoint are in trouble.
    pub account_trouble: bool,
    /// What went wrong; none if it was delivered.
    pub error: Option<CallError>,
}

impl Answer {
    const DELIVERED: Self = Self {
        outcome: Outcome::Delivered,
        account_trouble: false,
        error: None,
    };

    /// Nothing was sent, because another node may have the account by now.
    #[must_use]
    pub fn dropped() -> Self {
        let message = "not sent: another node may have taken the account";
        Self {
            outcome: Outcome::Refused,
            account_trouble: false,
            error: Some(CallError::new(None, None, message)),
        }
    }

    /// Nothing was sent, because the account could not sign or find its endpoint.
    fn account_trouble(message: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            account_trouble: true,
            error: Some(CallError::new(None, None, message)),
        }
    }
}

/// The API, for any number of accounts and regions side by side.
#[derive(Debug)]
pub struct Upstream {
    options: UpstreamOptions,
    /// Accounts with settings of their own: those of the options, and those that came since.
    accounts: RwLock<Vec<AccountOptions>>,
    /// The machine's AWS configuration, read at the first call that needs it.
    base: OnceCell<SdkConfig>,
    clients: Mutex<HashMap<ClientKey, Arc<OnceCell<Connected>>>>,
}

/// Region, and the account if it has settings of its own.
type ClientKey = (String, Option<String>);

/// A client, and the configuration its credentials come from.
#[derive(Debug)]
struct Connected {
    client: Client,
    config: SdkConfig,
}

impl Upstream {
    /// Makes no call and reads nothing: clients are made when they are first needed.
    #[must_use]
    pub fn new(mut options: UpstreamOptions) -> Self {
        Self {
            accounts: RwLock::new(std::mem::take(&mut options.accounts)),
            options,
            base: OnceCell::new(),
            clients: Mutex::default(),
        }
    }

    /// Adds accounts with settings of their own, from their next call on. Those that are there
    /// stay as they are: a client was made by them.
    pub fn add_accounts(&self, accounts: Vec<AccountOptions>) {
        let mut known = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            if !known
                .iter()
                .any(|own| own.is(&account.account, &account.region))
            {
                known.push(account);
            }
        }
    }

    fn accounts(&self) -> RwLockReadGuard<'_, Vec<AccountOptions>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `metadata` to a channel of `account` in `region`, once.
    ///
    /// Ends after `call_timeout + abandon` at the latest. To give a call up earlier leave this
    /// future running: dropped, it may still have been applied, and its answer is lost.
    pub async fn put_metadata(
        &self,
        account: &str,
        region: &str,
        channel_arn: &str,
        metadata: &str,
    ) -> Answer {
        let Some(cell) = self.cell(account, region) else {
            return Answer::account_trouble(TOO_MANY_CLIENTS);
        };
        let connected = self.connected(&cell, account, region).await;
        let mark = SendMark::new(self.options.call_timeout);
        let result = connected
            .client
            .put_metadata()
            .channel_arn(channel_arn)
            .metadata(metadata)
            .customize()
            .interceptor(mark.clone())
            .send()
            .await;
        match result {
            Ok(_) => Answer::DELIVERED,
            Err(error) => reply::answer(&error, mark.sent()),
        }
    }

    /// Whether the account has credentials to sign with. Asks their source, not the API: a
    /// role is assumed, a file or the instance's metadata is read.
    ///
    /// # Errors
    /// What the source said. Calls would end as [`Outcome::Failed`] for the same reason.
    pub async fn check_credentials(&self, account: &str, region: &str) -> Result<(), CallError> {
        let failed = |message: &str| CallError::new(None, None, message);
        let cell = self
            .cell(account, region)
            .ok_or_else(|| failed(TOO_MANY_CLIENTS))?;
        let connected = self.connected(&cell, account, region).await;
        let provider = connected.config.credentials_provider();
        let provider =
            provider.ok_or_else(|| failed("no source of AWS credentials is configured"))?;
        match provider.provide_credentials().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&reply::no_credentials(&error))),
        }
    }

    /// The place of a client; none if there are too many.
    fn cell(&self, account: &str, region: &str) -> Option<Arc<OnceCell<Connected>>> {
        let own = self.accounts().iter().any(|own| own.is(account, region));
        let key = (region.to_owned(), own.then(|| account.to_owned()));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&key) {
            return None;
        }
        Some(clients.entry(key).or_default().clone())
    }

    async fn connected<'c>(
        &self,
        cell: &'c OnceCell<Connected>,
        account: &str,
        region: &str,
    ) -> &'c Connected {
        if let Some(connected) = cell.get() {
            return connected;
        }
        // Boxed: reading the AWS configuration is a future of 40 KB, which every call in
        // flight would carry along.
        cell.get_or_init(|| Box::pin(self.connect(account, region)))
            .await
    }

    async fn connect(&self, account: &str, region: &str) -> Connected {
        let base = self
            .base
            .get_or_init(|| client::base(&self.options, region))
            .await;
        let own = self
            .accounts()
            .iter()
            .find(|own| own.is(account, region))
            .cloned();
        let config = client::config(base, &self.options, own.as_ref(), region).await;
        Connected {
            client: client::build(&config, &self.options),
            config,
        }
    }
}

const TOO_MANY_CLIENTS: &str = "too many accounts and regions in one process: list fewer accounts";
