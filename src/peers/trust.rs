//! By what nodes know each other: certificates of one authority, or a secret.

use std::path::Path;

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use tonic::{Request, Status};

use crate::config::ClusterSettings;

/// Where a request has the secret.
const SECRET: &str = "x-cuegate-cluster-secret";

/// What is wrong with a certificate or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cluster.{key}: {what}")]
pub struct Untrusted {
    key: &'static str,
    what: String,
}

impl Untrusted {
    pub(super) fn of_files(error: &dyn std::error::Error) -> Self {
        Self {
            key: "tls_cert",
            what: format!("the certificates cannot be used: {error}"),
        }
    }
}

/// By what nodes know each other.
#[derive(Clone)]
pub struct Trust {
    secret: Option<MetadataValue<Ascii>>,
    tls: Option<(Identity, Certificate)>,
}

impl Trust {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// [`Untrusted`]: a file cannot be read, or a variable is not set.
    pub fn of(settings: &ClusterSettings) -> Result<Self, Untrusted> {
        let secret = settings.secret_env.as_deref().map(secret).transpose()?;
        let ClusterSettings {
            tls_cert,
            tls_key,
            tls_ca,
            ..
        } = settings;
        let tls = match (tls_cert, tls_key, tls_ca) {
            (Some(cert), Some(key), Some(ca)) => {
                let identity = Identity::from_pem(read("tls_cert", cert)?, read("tls_key", key)?);
                Some((identity, Certificate::from_pem(read("tls_ca", ca)?)))
            }
            _ => None,
        };
        Ok(Self { secret, tls })
    }

    /// How this node is spoken to; none: without TLS.
    pub(super) fn server(&self) -> Option<ServerTlsConfig> {
        let (identity, ca) = self.tls.clone()?;
        Some(ServerTlsConfig::new().identity(identity).client_ca_root(ca))
    }

    /// How it speaks to others; none: without TLS.
    pub(super) fn client(&self) -> Option<ClientTlsConfig> {
        let (identity, ca) = self.tls.clone()?;
        Some(ClientTlsConfig::new().identity(identity).ca_certificate(ca))
    }

    /// A request that shows it.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(secret) = &self.secret {
            request.metadata_mut().insert(SECRET, secret.clone());
        }
        request
    }

    /// Checks what a request shows. (Certificates were checked before there were requests.)
    pub(super) fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let Some(secret) = &self.secret else {
            return Ok(());
        };
        let shown = request.metadata().get(SECRET);
        let shown = shown.map_or(&b""[..], |shown| shown.as_encoded_bytes());
        if shown.ct_eq(secret.as_encoded_bytes()).into() {
            Ok(())
        } else {
            Err(Status::unauthenticated(
                "the secret of the nodes (cluster.secret_env) is not the same here",
            ))
        }
    }
}

fn secret(variable: &str) -> Result<MetadataValue<Ascii>, Untrusted> {
    let wrong = |what: String| Untrusted {
        key: "secret_env",
        what,
    };
    let secret = std::env::var(variable).unwrap_or_default();
    if secret.is_empty() {
        return Err(wrong(format!("the variable {variable} is not set")));
    }
    let secret = MetadataValue::try_from(secret);
    secret.map_err(|_| {
        wrong(format!(
            "{variable} has other than visible ASCII characters"
        ))
    })
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, Untrusted> {
    std::fs::read(file).map_err(|error| Untrusted {
        key,
        what: format!("{}: {error}", file.display()),
    })
}
