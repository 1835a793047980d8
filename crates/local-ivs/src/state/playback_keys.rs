//! Playback key pairs: three an account and region, no key twice.

use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::resources::{KeyPair, Tags};
use crate::limits::QUOTA_PLAYBACK_KEY_PAIRS;
use std::sync::Arc;

impl Regional<'_> {
    pub(crate) fn import_key_pair(
        &mut self,
        name: &str,
        fingerprint: &str,
        tags: &Tags,
    ) -> Result<Arc<KeyPair>, Rejection> {
        let pairs = &self.region().key_pairs;
        if let Some(same) = pairs.values().find(|pair| pair.fingerprint == fingerprint) {
            return Err(Rejection::Conflict(format!(
                "The public key was imported before: {}",
                same.arn
            )));
        }
        if pairs.len() >= QUOTA_PLAYBACK_KEY_PAIRS {
            return Err(Rejection::QuotaExceeded(format!(
                "Quota exceeded: an account has at most {QUOTA_PLAYBACK_KEY_PAIRS} playback key pairs in a region"
            )));
        }
        let arn = self.new_arn("playback-key", |region, arn| {
            region.key_pairs.contains_key(arn)
        })?;
        let pair = Arc::new(KeyPair {
            arn: Arc::clone(&arn),
            name: name.to_owned(),
            fingerprint: fingerprint.to_owned(),
            tags: tags.clone(),
        });
        self.region().key_pairs.insert(arn, Arc::clone(&pair));
        self.world.touch();
        Ok(pair)
    }

    pub(crate) fn key_pair(&mut self, arn: &str) -> Result<Arc<KeyPair>, Rejection> {
        self.region()
            .key_pairs
            .get(arn)
            .map(Arc::clone)
            .ok_or_else(|| Rejection::NotFound(arn.to_owned()))
    }

    pub(crate) fn key_pairs(&mut self, paging: &Paging) -> Listed<Arc<KeyPair>> {
        list(&self.region().key_pairs, paging, |_| true, Arc::clone)
    }

    pub(crate) fn delete_key_pair(&mut self, arn: &str) -> Result<(), Rejection> {
        self.key_pair(arn)?;
        self.region().key_pairs.remove(arn);
        self.world.touch();
        Ok(())
    }
}
