//! The whole configuration, resolved: every default is in, every bound was checked.
//!
//! Plain values. Nothing here reads a file, and no consumer applies a default of its own.

use std::path::PathBuf;
use std::sync::Arc;

use engine::{AccountPolicy, ChannelPolicy};

use super::keys::{
    AdminSettings, ClusterSettings, EventBridgeSettings, JournalSettings, JwtSettings,
    LimitSettings, LocalIvsSettings, MetricsSettings, PutMetadataSettings, QuotaSettings,
    ServerSettings, StateSettings, TracingSettings, TuningSettings, UnlistedSettings,
    UpstreamSettings,
};
use super::tables::{AccountSettings, ApiKeySettings, ChannelSettings, WebhookSettings};
use super::types::JwtAlgorithm;

/// The whole configuration. Two of them compare, so that a reload can tell what changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The producers' door.
    pub server: ServerSettings,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub metrics: MetricsSettings,
    /// Where the console and `/admin/*` are served.
    pub admin: AdminSettings,
    /// Where payloads go.
    pub upstream: UpstreamSettings,
    /// Where the emulator listens in local mode.
    pub local_ivs: LocalIvsSettings,
    /// What the API allows beside its rates.
    pub quota: QuotaSettings,
    /// The rules of every account without a table of its own: `quota` and `tuning`.
    pub account_defaults: AccountPolicy,
    /// Accounts with a table of their own; no two of the same id and region.
    pub accounts: Vec<AccountSettings>,
    /// What survives the process.
    pub journal: JournalSettings,
    /// What several nodes share, if they do.
    pub cluster: ClusterSettings,
    /// Bounds over all channels.
    pub limits: LimitSettings,
    /// How events from `POST /PutMetadata` become payloads.
    pub put_metadata: PutMetadataSettings,
    /// The rules of unlisted channels.
    pub channel_defaults: Arc<ChannelPolicy>,
    /// The listed channels; no two with the same name or ARN.
    pub channels: Vec<ChannelSettings>,
    /// Whether channels that are not listed may be addressed by their ARN.
    pub unlisted: UnlistedSettings,
    /// Producers' keys; none: no authentication.
    pub api_keys: Vec<ApiKeySettings>,
    /// Endpoints that are told how events end; no two with the same name.
    pub webhooks: Vec<WebhookSettings>,
    /// Tokens as authentication.
    pub jwt: JwtSettings,
    /// The door for notices of streams.
    pub eventbridge: EventBridgeSettings,
    /// Where traces go.
    pub tracing: TracingSettings,
    /// What a start waits for.
    pub tuning: TuningSettings,
    /// Where viewers who join late get the state.
    pub state: StateSettings,
}

impl Settings {
    /// Every default, and no channel.
    pub(super) fn empty() -> Self {
        Self {
            server: ServerSettings::default(),
            metrics: MetricsSettings::default(),
            admin: AdminSettings::default(),
            upstream: UpstreamSettings::default(),
            local_ivs: LocalIvsSettings::default(),
            quota: QuotaSettings::default(),
            account_defaults: AccountPolicy::default(),
            accounts: Vec::new(),
            journal: JournalSettings::default(),
            cluster: ClusterSettings::default(),
            limits: LimitSettings::default(),
            put_metadata: PutMetadataSettings::default(),
            channel_defaults: Arc::default(),
            channels: Vec::new(),
            unlisted: UnlistedSettings::default(),
            api_keys: Vec::new(),
            webhooks: Vec::new(),
            jwt: JwtSettings::default(),
            eventbridge: EventBridgeSettings::default(),
            tracing: TracingSettings::default(),
            tuning: TuningSettings::default(),
            state: StateSettings::default(),
        }
    }

    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn needs_proof(&self) -> bool {
        !self.api_keys.is_empty()
            || self.jwt.tokens().is_some()
            || self.server.tls_client_ca.is_some()
    }

    /// The rules of an account in a region: its own table, else the defaults.
    #[must_use]
    pub fn account_policy(&self, account: &str, region: &str) -> AccountPolicy {
        let own = self
            .accounts
            .iter()
            .find(|a| a.id == account && a.region == region);
        own.map_or(&self.account_defaults, |a| &a.policy).clone()
    }
}

/// Files of the TLS door, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority of required client certificates, PEM.
    pub client_ca: Option<PathBuf>,
}

impl ServerSettings {
    /// The files of the TLS door; none: plain HTTP.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }
}

/// How tokens are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// The one algorithm that is taken.
    pub algorithm: JwtAlgorithm,
    /// Secret, PEM or JWKS, read again when it changes.
    pub key_file: PathBuf,
    /// The issuer a token must name.
    pub issuer: Option<String>,
    /// The audience a token must name.
    pub audience: Option<String>,
}

impl ClusterSettings {
    /// Whether there are several nodes.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.url.is_some() || self.url_env.is_some()
    }
}

impl JwtSettings {
    /// How tokens are checked; none: they are not taken.
    #[must_use]
    pub fn tokens(&self) -> Option<TokenSettings> {
        Some(TokenSettings {
            algorithm: self.algorithm?,
            key_file: self.key_file.clone()?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
        })
    }
}
