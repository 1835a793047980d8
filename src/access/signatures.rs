//! AWS's own signatures at `POST /PutMetadata`: which access key belongs to whom.
//!
//! How a signature is verified is the crate `sigv4`'s, as for the emulator.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::caller::Caller;

/// The signing name of Amazon IVS.
const SERVICE: &str = "ivs";

/// Callers by the ids of their access keys.
#[derive(Default)]
pub(super) struct Signatures(HashMap<String, (sigv4::Secret, Arc<Caller>)>);

impl Signatures {
    pub(super) fn add(&mut self, access_key_id: &str, secret: &str, caller: Arc<Caller>) {
        let secret = sigv4::Secret::new(secret);
        self.0.insert(access_key_id.to_owned(), (secret, caller));
    }

    pub(super) fn verify(
        &self,
        request: &sigv4::Request<'_>,
        now: SystemTime,
    ) -> Result<Arc<Caller>, sigv4::Error> {
        let secret = |id: &str| self.0.get(id).map(|(secret, _)| secret.clone());
        let verified = sigv4::verify(request, SERVICE, now, secret)?;
        let known = self.0.get(&verified.access_key_id);
        known
            .map(|(_, caller)| Arc::clone(caller))
            .ok_or(sigv4::Error::UnknownKey)
    }
}
