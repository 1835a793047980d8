//! The keys and certificates that go with the settings.

use std::sync::Arc;

use crate::access::{Access, Keyring};
use crate::config::{Errors, Settings};
use crate::ingest::Security;
use crate::ingest::listener::tls::Tls;
use crate::webhooks::Endpoints;

/// What the settings name in files and variables: who may do what, and the door's certificates.
///
/// # Errors
/// Everything at once that is not there or is not what it should be.
pub fn security(settings: &Settings) -> Result<Security, Errors> {
    let mut errors = Vec::new();
    let access = Access::build(settings, &environment, None);
    let access = access.map_err(|found| errors.extend(found.0)).ok();
    let tls = settings.server.tls().and_then(|tls| {
        let tls = Tls::new(&tls).map_err(|found| errors.extend(found.0));
        tls.ok().map(Arc::new)
    });
    // They are read anew when they are started: nothing is kept of them before.
    if let Err(found) = Endpoints::read(settings, &environment) {
        errors.extend(found.0);
    }
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
