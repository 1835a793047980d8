//! What one table of a list says: `[[channel]]`, `[[account]]`, `[[api_key]]`, `[[webhook]]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::{AccountPolicy, ChannelPolicy};

use super::glob::Glob;
use super::types::{ENDS, Scope, SecretSource};
use crate::arn::ChannelArn;

/// A listed channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The alias in paths, and the label of its metrics.
    pub name: Arc<str>,
    /// The channel.
    pub arn: ChannelArn,
    /// Where the console plays it, where that is not the emulator's.
    pub playback_url: Option<Arc<str>>,
    /// Its rules: `channel_defaults` with its own keys over them.
    pub policy: Arc<ChannelPolicy>,
}

/// An account in a region with settings of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSettings {
    /// The account's id: 12 digits.
    pub id: String,
    /// The region.
    pub region: String,
    /// The role to assume; none: the default credentials as they are.
    pub role_arn: Option<String>,
    /// The external id handed over with the role.
    pub external_id: Option<String>,
    /// Another endpoint than `upstream`'s.
    pub endpoint_url: Option<String>,
    /// Its rules: `quota` and `tuning` with its own rates over them.
    pub policy: AccountPolicy,
}

impl AccountSettings {
    /// An account that says nothing yet, with the rules of all.
    pub(super) fn new(policy: AccountPolicy) -> Self {
        Self {
            id: String::new(),
            region: String::new(),
            role_arn: None,
            external_id: None,
            endpoint_url: None,
            policy,
        }
    }
}

/// A producer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySettings {
    /// Its name in logs and metrics.
    pub name: String,
    /// SHA-256 of the key; none: it signs (`aws`) or shows a certificate of that name.
    pub sha256: Option<[u8; 32]>,
    /// The channels it may use.
    pub channels: Vec<Glob>,
    /// What it may do with them.
    pub scopes: Vec<Scope>,
    /// Most events and bytes a second, in all.
    pub rates: RateSettings,
    /// Most events and bytes a second to any one channel.
    pub channel_rates: RateSettings,
    /// Most connections that stay, `WebSocket`s and streams of payloads at once; 0: no limit of its own.
    pub max_connections: usize,
    /// Most of a channel's queue that its events may take, in percent: 1 to 100.
    pub queue_percent: u8,
    /// The id of the key pair that signs at `POST /PutMetadata`.
    pub aws_access_key_id: Option<String>,
    /// The variable with the pair's secret.
    pub aws_secret_env: Option<String>,
    /// The file with the pair's secret.
    pub aws_secret_file: Option<PathBuf>,
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            sha256: None,
            channels: Vec::new(),
            scopes: vec![Scope::Publish],
            rates: RateSettings::default(),
            channel_rates: RateSettings::default(),
            max_connections: 0,
            queue_percent: 50,
            aws_access_key_id: None,
            aws_secret_env: None,
            aws_secret_file: None,
        }
    }
}

impl ApiKeySettings {
    /// The key pair that signs as AWS's own clients do: its id, and where its secret is.
    #[must_use]
    pub fn aws(&self) -> Option<(&str, SecretSource)> {
        let variable = self.aws_secret_env.clone().map(SecretSource::Env);
        let secret = variable.or_else(|| self.aws_secret_file.clone().map(SecretSource::File))?;
        Some((self.aws_access_key_id.as_deref()?, secret))
    }
}

/// What a producer may send. Of each, 0: no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Events a second.
    pub events_per_second: u32,
    /// Events at once after a quiet time; 0: as many as in a second.
    pub events_burst: u32,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once after a quiet time; 0: as many as in a second.
    pub bytes_burst: u64,
}

/// An endpoint that is told how events end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where ends are posted.
    pub url: String,
    /// The channels whose ends it is told.
    pub channels: Vec<Glob>,
    /// The ends that it is told.
    pub ends: Vec<&'static str>,
    /// The variable with the secret that signs.
    pub secret_env: Option<String>,
    /// The file with the secret that signs.
    pub secret_file: Option<PathBuf>,
    /// Most ends in one request.
    pub batch_max: usize,
    /// How long the first end of a batch waits for others.
    pub batch: Duration,
    /// Ends that may wait.
    pub queue_max: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// The pause after a first failure.
    pub retry: Duration,
    /// How long a batch is tried.
    pub give_up: Duration,
    /// Whether it may be at an address that is not public.
    pub allow_private: bool,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            channels: "*".parse().into_iter().collect(),
            ends: ENDS.to_vec(),
            secret_env: None,
            secret_file: None,
            batch_max: 100,
            batch: Duration::from_secs(1),
            queue_max: 10_000,
            timeout: Duration::from_secs(15),
            retry: Duration::from_secs(1),
            give_up: Duration::from_hours(1),
            allow_private: false,
        }
    }
}

impl WebhookSettings {
    /// Where the secret is that signs; none: nowhere.
    #[must_use]
    pub fn secret(&self) -> Option<SecretSource> {
        let variable = self.secret_env.clone().map(SecretSource::Env);
        variable.or_else(|| self.secret_file.clone().map(SecretSource::File))
    }
}
