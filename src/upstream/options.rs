//! What a caller of the API is built from: plain values, already checked.
//!
//! Never a secret in `Debug`: a secret is handed on to the SDK and shown to nobody.

use std::fmt;
use std::time::Duration;

/// Where calls go and with whose credentials.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Another endpoint than the one of the AWS configuration; of `http` or `https`.
    pub endpoint_url: Option<String>,
    /// The region roles are assumed in; none: what the environment or the profile names, else
    /// the account's own. Calls always go to the region of their channel.
    pub region: Option<String>,
    /// Whose credentials sign.
    pub credentials: Credentials,
    /// When the runtime gives a call up: a connection must be made in three quarters of it,
    /// and nothing is sent after it.
    pub call_timeout: Duration,
    /// How long a call that was given up is still listened to: the SDK ends it after
    /// `call_timeout + abandon` at the latest.
    pub abandon: Duration,
    /// Accounts with settings of their own, one per account and region.
    pub accounts: Vec<AccountOptions>,
}

impl UpstreamOptions {
    /// The emulator at `endpoint_url`, with the credentials it knows without a file. The AWS
    /// configuration of the machine is not looked at.
    #[must_use]
    pub fn local(endpoint_url: String, call_timeout: Duration, abandon: Duration) -> Self {
        Self {
            endpoint_url: Some(endpoint_url),
            region: None,
            credentials: Credentials::fixed("test", "test"),
            call_timeout,
            abandon,
            accounts: Vec::new(),
        }
    }
}

/// An account in a region that is called in a way of its own.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// The role to assume; none: the credentials as they are.
    pub role_arn: Option<String>,
    /// The external id handed over with the role.
    pub external_id: Option<String>,
    /// Another endpoint than that of [`UpstreamOptions`].
    pub endpoint_url: Option<String>,
    /// Other credentials than those of [`UpstreamOptions`]; none: those.
    pub credentials: Option<Credentials>,
}

impl AccountOptions {
    pub(super) fn is(&self, account: &str, region: &str) -> bool {
        self.account == account && self.region == region
    }
}

/// Whose credentials sign the calls.
#[derive(Clone)]
pub enum Credentials {
    /// The standard AWS chain: environment, profile, web identity, container, instance. The
    /// SDK refreshes them before they expire.
    Chain,
    /// A pair that does not expire.
    Fixed {
        /// The access key's id.
        access_key_id: String,
        /// Its secret.
        secret_access_key: String,
    },
}

impl Credentials {
    /// A pair that does not expire.
    #[must_use]
    pub fn fixed(access_key_id: &str, secret_access_key: &str) -> Self {
        Self::Fixed {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::Fixed { access_key_id, .. } => f
                .debug_struct("Fixed")
                .field("access_key_id", access_key_id)
                .finish_non_exhaustive(),
        }
    }
}
