//! The access in force. Whoever holds a connection open hears when it changes.

use std::sync::Arc;

use tokio::sync::watch;

use super::Access;

/// The access in force, and its changes.
#[derive(Debug)]
pub struct Keyring(watch::Sender<Arc<Access>>);

impl Keyring {
    /// With this access.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self(watch::Sender::new(Arc::new(access)))
    }

    /// The access in force.
    #[must_use]
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.0.borrow())
    }

    /// The same for whoever has to hear of changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Access>> {
        self.0.subscribe()
    }

    /// Whoever holds a connection open shows again what it showed, though the access is the same.
    pub fn ask_again(&self) {
        self.0.send_modify(|_| ());
    }

    /// From now on this is in force.
    pub fn put(&self, access: Access) {
        self.0.send_replace(Arc::new(access));
    }
}
