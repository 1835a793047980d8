//! The keys and certificates that go with the settings: read at the start, and again when their
//! files change.

use std::sync::Arc;
use std::time::Duration;

use super::control::Control;
use crate::access::{Access, Keyring, Stamped};
use crate::config::{Errors, Settings};
use crate::ingest::Security;
use crate::ingest::tls::Tls;

/// How often files are looked at: a revoked token's key is of no use so long after.
const LOOK: Duration = Duration::from_secs(1);

/// The files that were read last, whether what is in them was good or not.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) keys: Stamped,
    pub(super) certificates: Stamped,
}

/// What the settings name in files and variables: who may do what, and the door's certificates.
///
/// # Errors
/// Everything at once that is not there or is not what it should be.
pub fn security(settings: &Settings) -> Result<Security, Errors> {
    let mut errors = Vec::new();
    let access = Access::build(settings, &environment, None);
    let access = access.map_err(|found| errors.extend(found.0)).ok();
    let tls = settings.server.tls.as_ref().and_then(|tls| {
        let tls = Tls::new(tls).map_err(|found| errors.extend(found.0));
        tls.ok().map(Arc::new)
    });
    match access {
        Some(access) if errors.is_empty() => Ok(Security {
            keyring: Arc::new(Keyring::new(access)),
            tls,
        }),
        _ => Err(Errors(errors)),
    }
}

/// A variable of the process's environment.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Looks at the files of keys and certificates for ever.
pub(super) async fn watch(control: Arc<Control>) {
    let mut tried = Tried::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let control = Arc::clone(&control);
        // Files may be on a network's disk.
        let looked = tokio::task::spawn_blocking(move || {
            control.look_at_files(&mut tried);
            tried
        });
        tried = looked.await.unwrap_or_default();
    }
}

/// Who is let in, in a line.
pub(super) fn summary(settings: &Settings) -> String {
    let server = &settings.server;
    let beyond = |ip: std::net::IpAddr| !ip.to_canonical().is_loopback();
    if !settings.needs_proof() {
        return if server.open_without_keys {
            "NONE: whoever reaches an address may send (server.auth = \"none\")".to_owned()
        } else {
            "none: whoever is on this machine may send".to_owned()
        };
    }
    let mut ways = vec![format!("{} API keys", settings.api_keys.len())];
    if settings.jwt.is_some() {
        ways.push("tokens".to_owned());
    }
    let tls = server.tls.as_ref();
    if tls.is_some_and(|tls| tls.client_ca.is_some()) {
        ways.push("client certificates".to_owned());
    }
    if (tls.is_none() && beyond(server.listen.ip())) || beyond(settings.admin_listen.ip()) {
        ways.push(
            "IN PLAIN TEXT beyond this machine: let only a trusted network or a TLS proxy reach it"
                .to_owned(),
        );
    }
    ways.join(", ")
}
