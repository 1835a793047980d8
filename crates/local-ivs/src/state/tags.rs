//! Tags of every resource that can have some, at most 50 each.

use super::regional::{Regional, Rejection};
use super::settings::Tags;
use crate::arn::ResourceArn;
use crate::limits::MAX_TAGS;
use std::sync::Arc;

impl Regional<'_> {
    pub(crate) fn tags(&mut self, arn: &ResourceArn) -> Result<Tags, Rejection> {
        // A copy of the resource would be made to change it; reading needs none.
        let text = arn.as_str();
        Ok(match arn.kind() {
            "channel" => self.channel(text)?.tags.clone(),
            "stream-key" => self.stream_key(text)?.tags.clone(),
            _ => self.any_document(text)?.tags.clone(),
        })
    }

    /// Adds tags, and replaces those of the same keys.
    pub(crate) fn tag(&mut self, arn: &ResourceArn, added: &Tags) -> Result<(), Rejection> {
        let mut tags = self.tags(arn)?;
        tags.extend(added.clone());
        if tags.len() > MAX_TAGS {
            return Err(Rejection::Invalid(format!(
                "A resource has at most {MAX_TAGS} tags"
            )));
        }
        self.set_tags(arn, tags)
    }

    /// Removes the tags of these keys; keys that are not there do no harm.
    pub(crate) fn untag(&mut self, arn: &ResourceArn, keys: &[String]) -> Result<(), Rejection> {
        let mut tags = self.tags(arn)?;
        tags.retain(|key, _| !keys.contains(key));
        self.set_tags(arn, tags)
    }

    fn set_tags(&mut self, arn: &ResourceArn, tags: Tags) -> Result<(), Rejection> {
        let region = self.region();
        let text = arn.as_str();
        // `make_mut` copies what a session or a save still holds, so that neither changes.
        match arn.kind() {
            "channel" => {
                if let Some(channel) = region.channels.get_mut(text) {
                    Arc::make_mut(&mut channel.settings).tags = tags;
                }
            }
            "stream-key" => {
                if let Some(key) = region.stream_keys.get_mut(text) {
                    Arc::make_mut(key).tags = tags;
                }
            }
            _ => return self.change(text, |document| document.tags = tags),
        }
        self.state.touch();
        Ok(())
    }
}
