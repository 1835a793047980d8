//! The keys and certificates that go with the settings: read at the start, and again when their
//! files change.

use std::sync::Arc;
use std::time::Duration;

use super::control::Control;
use crate::access::{Access, Keyring, Stamped};
use crate::config::{Errors, Settings};
use crate::ingest::Security;
use crate::ingest::tls::Tls;
use crate::lifecycle::Supervisor;

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
    let tls = settings.server.tls().and_then(|tls| {
        let tls = Tls::new(&tls).map_err(|found| errors.extend(found.0));
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
pub(super) async fn watch(control: Arc<Control>, supervisor: Supervisor) {
    let mut tried = Tried::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let control = Arc::clone(&control);
        // Files may be on a network's disk.
        let look = move || {
            control.look_at_files(&mut tried);
            tried
        };
        tried = supervisor
            .blocking("the reading of keys and certificates", look)
            .await;
    }
}
