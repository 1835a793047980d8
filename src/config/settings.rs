//! What a resolved configuration says, one type per part of the gateway.
//!
//! Plain values: every default is in, every bound was checked. Nothing here reads a file,
//! and no consumer needs to apply a default of its own.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::{AccountPolicy, ChannelPolicy};

use super::glob::Glob;
use crate::arn::ChannelArn;

/// The whole configuration. Two of them compare, so that a reload can tell what changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The producers' door.
    pub server: ServerSettings,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub metrics_listen: SocketAddr,
    /// Where the console and `/admin/*` are served.
    pub admin_listen: SocketAddr,
    /// Where payloads go.
    pub upstream: UpstreamSettings,
    /// Where the emulator listens in local mode.
    pub local_ivs_listen: SocketAddr,
    /// Most bytes of a payload, in UTF-8.
    pub payload_max_bytes: usize,
    /// The rules of every account without a table of its own: `quota` and `tuning`.
    pub account_defaults: AccountPolicy,
    /// Accounts with a table of their own; no two of the same id and region.
    pub accounts: Vec<AccountSettings>,
    /// What survives the process.
    pub journal: JournalSettings,
    /// Bounds over all channels.
    pub limits: LimitSettings,
    /// How events from `POST /PutMetadata` become payloads.
    pub put_metadata: PutMetadataEnvelope,
    /// The rules of unlisted channels.
    pub channel_defaults: Arc<ChannelPolicy>,
    /// The listed channels; no two with the same name or ARN.
    pub channels: Vec<ChannelSettings>,
    /// Whether channels that are not listed may be addressed by their ARN.
    pub allow_unlisted: bool,
    /// Producers' keys; none: no authentication.
    pub api_keys: Vec<ApiKeySettings>,
    /// Tokens as authentication.
    pub jwt: Option<JwtSettings>,
    /// The shared secret of `POST /v1/eventbridge`; none: the door is shut.
    pub eventbridge_secret: Option<Secret>,
    /// Where traces go; none: nowhere.
    pub otlp_endpoint: Option<String>,
    /// How long all tokens count as out after an unclean end.
    pub restart_hold: Duration,
}

impl Settings {
    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn needs_proof(&self) -> bool {
        let tls = self.server.tls.as_ref();
        !self.api_keys.is_empty()
            || self.jwt.is_some()
            || tls.is_some_and(|tls| tls.client_ca.is_some())
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

/// The producers' door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Address of the HTTP and WebSocket door; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// Most bytes of a request's body or a WebSocket message.
    pub max_body_bytes: usize,
    /// Most connections at once.
    pub max_connections: usize,
    /// Whether the file says in writing that no keys are needed beyond loopback.
    pub open_without_keys: bool,
    /// Origins whose pages a browser may let speak to the door.
    pub allowed_origins: Vec<String>,
    /// Certificates of the door; none: plain HTTP.
    pub tls: Option<TlsSettings>,
}

/// Files of the TLS door, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority of required client certificates, PEM.
    pub client_ca: Option<PathBuf>,
}

/// Which API payloads go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamMode {
    /// The emulator in this process.
    Local,
    /// The real API.
    Aws,
}

/// Where payloads go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Which API.
    pub mode: UpstreamMode,
    /// In aws mode, another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
    /// In aws mode, the region where the AWS configuration chain names none.
    pub region: Option<String>,
    /// How long one call may take.
    pub call_timeout: Duration,
}

/// What survives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// Nothing.
    Off,
    /// What the operating system was handed: survives the process.
    Os,
    /// What the disk confirmed: survives the machine.
    Fsync,
}

/// Where accepted events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// What an acknowledgement promises.
    pub mode: JournalMode,
    /// The journal's directory.
    pub dir: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
}

/// Bounds over all channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Most bytes of queued events in all.
    pub queue_total_bytes: usize,
    /// Most channels, listed and unlisted.
    pub channels_max: usize,
    /// How far ahead an event's `at` may lie.
    pub at_max_ahead: Duration,
}

/// How events from `POST /PutMetadata` become payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMetadataEnvelope {
    /// Byte for byte, alone in the payload.
    Raw,
    /// As the channel's other events.
    Channel,
}

/// A listed channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// The alias in paths, and the label of its metrics.
    pub name: Arc<str>,
    /// The channel.
    pub arn: ChannelArn,
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

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Send events.
    Publish,
    /// Read channels and payloads.
    Read,
    /// Cancel and purge events, pause and resume channels.
    Control,
    /// Everything under `/admin`.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Read, Self::Control, Self::Admin];

    /// The word for it in the configuration and in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Control => "control",
            Self::Admin => "admin",
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
    /// Signatures at `POST /PutMetadata`.
    pub aws: Option<AwsKeySettings>,
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

/// A key pair that signs as AWS's own clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeySettings {
    /// The access key's id.
    pub access_key_id: String,
    /// Where its secret is.
    pub secret: SecretSource,
}

/// Where a secret is that is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In this environment variable.
    Env(String),
    /// In this file, read again when it changes.
    File(PathBuf),
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Tokens as authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// The one algorithm that is taken.
    pub algorithm: JwtAlgorithm,
    /// Secret, PEM or JWKS, read again when it changes.
    pub key_file: PathBuf,
    /// The issuer a token must name.
    pub issuer: Option<String>,
    /// The audience a token must name.
    pub audience: Option<String>,
}

/// A text that no log, error or report ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself. Compare what a client presents in constant time, not with `==`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
