//! An endpoint of the configuration, with its secret.

use std::net::IpAddr;
use std::path::Path;

use http::Uri;

use super::address::{is_public, not_public};
use super::signature::Secret;
use crate::access::{Env, Stamped};
use crate::config::{Error, Errors, SecretSource, Settings, WebhookSettings};

/// Where a webhook is told, and by which secret it knows us.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What the configuration says.
    pub settings: WebhookSettings,
    /// The URL.
    pub(super) uri: Uri,
    /// What signs.
    pub(super) secret: Secret,
}

impl Endpoint {
    /// The host, as a name or a bare address.
    pub(super) fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        bare.unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.is_tls() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// Why it may not be used, if its URL has an address in place of a name.
    fn refused_at_sight(&self) -> Option<String> {
        let address: IpAddr = self.host().parse().ok()?;
        let is_refused = !self.settings.allow_private && !is_public(address);
        is_refused.then(|| not_public(address))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// The endpoints of a configuration, and the files that their secrets came from.
#[derive(Debug)]
pub struct Endpoints {
    pub(super) all: Vec<Endpoint>,
    pub(super) files: Stamped,
}

impl Endpoints {
    /// Reads the files and variables that the settings name.
    ///
    /// # Errors
    /// Every secret that is not there or is none, and every address that may not be used.
    pub fn read(settings: &Settings, env: Env<'_>) -> Result<Self, Errors> {
        let mut errors = Vec::new();
        let mut files = Stamped::default();
        let mut all = Vec::new();
        for settings in &settings.webhooks {
            let of = &settings.name;
            let mut fault = |key: &str, what: &str| {
                let (key, what) = (format!("webhook.{key}"), format!("of {of}: {what}"));
                errors.push(Error::of_key(&key, &what));
            };
            let secret = settings.secret().and_then(|source| {
                let (key, text) = text_of(&source, env, &mut files);
                let secret = text.and_then(|text| Secret::parse(text.trim()));
                secret.map_err(|what| fault(key, &what)).ok()
            });
            let Ok(uri) = settings.url.parse::<Uri>() else {
                fault("url", "not a URL");
                continue;
            };
            let Some(secret) = secret else { continue };
            let endpoint = Endpoint {
                settings: settings.clone(),
                uri,
                secret,
            };
            if let Some(refused) = endpoint.refused_at_sight() {
                fault("url", &refused);
            }
            all.push(endpoint);
        }
        if errors.is_empty() {
            Ok(Self { all, files })
        } else {
            Err(Errors(errors))
        }
    }
}

/// The text of a secret, and the key that says where it is.
fn text_of(
    source: &SecretSource,
    env: Env<'_>,
    files: &mut Stamped,
) -> (&'static str, Result<String, String>) {
    match source {
        SecretSource::Env(name) => {
            let missing = || format!("the environment variable {name} is not set");
            ("secret_env", env(name).ok_or_else(missing))
        }
        SecretSource::File(path) => ("secret_file", text_of_file(path, files)),
    }
}

fn text_of_file(path: &Path, files: &mut Stamped) -> Result<String, String> {
    let bytes = files.read(path);
    let bytes = bytes.map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is no text", path.display()))
}
