//! API keys, of which only the SHA-256 is known.
//!
//! A key is random and long, so that a plain hash keeps it: there is nothing to guess.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::caller::Caller;

/// Bytes of a hash that find a key's line in the table. Who knows them knows nothing of a key.
const LINE: usize = 8;

/// The hash of a key, and whose it is.
type Known = ([u8; 32], Arc<Caller>);

/// Callers by their keys.
#[derive(Default)]
pub(super) struct Keys {
    /// By the first bytes of the hash; the whole is compared in constant time.
    by_line: HashMap<[u8; LINE], Vec<Known>>,
    by_name: HashMap<Arc<str>, Arc<Caller>>,
}

impl Keys {
    /// A caller whose key has this SHA-256; none: it has no key, but a certificate or a key pair.
    pub(super) fn add(&mut self, caller: Caller, sha256: Option<[u8; 32]>) {
        let caller = Arc::new(caller);
        self.by_name
            .insert(caller.name().into(), Arc::clone(&caller));
        if let Some(hash) = sha256 {
            self.by_line
                .entry(line(&hash))
                .or_default()
                .push((hash, caller));
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<Arc<Caller>> {
        self.by_hash(&hash(key))
    }

    pub(super) fn by_hash(&self, hash: &[u8; 32]) -> Option<Arc<Caller>> {
        let line = self.by_line.get(&line(hash))?;
        let found = line.iter().find(|(known, _)| known.ct_eq(hash).into());
        found.map(|(_, caller)| Arc::clone(caller))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Caller>> {
        self.by_name.get(name).cloned()
    }
}

/// The SHA-256 of a text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Bytes as hexadecimal digits, as hashes are written in the configuration.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn line(hash: &[u8; 32]) -> [u8; LINE] {
    std::array::from_fn(|i| hash[i])
}
