//! Stream keys: one a channel at most, found by ARN and by the value an encoder has.

use super::emulator_state::EmulatorState;
use super::regional::{Listed, Paging, Regional, Rejection};
use super::resources::StreamKey;
use super::settings::Tags;
use std::sync::Arc;

impl Regional<'_> {
    pub(crate) fn create_stream_key(
        &mut self,
        channel_arn: &str,
        tags: &Tags,
    ) -> Result<Arc<StreamKey>, Rejection> {
        let channel = self.channel_entry(channel_arn)?;
        if channel.stream_key.is_some() {
            return Err(Rejection::QuotaExceeded(format!(
                "Quota exceeded: channel {channel_arn} has its stream key already, and a channel has at most 1"
            )));
        }
        let arn = Arc::clone(&channel.settings.arn);
        let Self { state, home, .. } = self;
        let key = state.add_stream_key(home, &arn, tags.clone());
        self.channel_entry(channel_arn)?.stream_key = Some(Arc::clone(&key.arn));
        self.state.touch();
        Ok(key)
    }

    pub(crate) fn stream_key(&mut self, arn: &str) -> Result<Arc<StreamKey>, Rejection> {
        self.region()
            .stream_keys
            .get(arn)
            .map(Arc::clone)
            .ok_or_else(|| Rejection::NotFound(arn.to_owned()))
    }

    pub(crate) fn stream_keys(
        &mut self,
        channel_arn: &str,
        paging: &Paging,
    ) -> Result<Listed<Arc<StreamKey>>, Rejection> {
        let key = self.channel_entry(channel_arn)?.stream_key.clone();
        let is_after = |arn: &str| paging.after.as_deref().is_none_or(|after| arn > after);
        let things = match key.filter(|arn| is_after(arn)) {
            Some(arn) => vec![self.stream_key(&arn)?],
            None => Vec::new(),
        };
        Ok(Listed { things, last: None })
    }

    /// Whoever streams with it goes on: only the next connection is refused.
    pub(crate) fn delete_stream_key(&mut self, arn: &str) -> Result<(), Rejection> {
        let key = self.stream_key(arn)?;
        self.channel_entry(&key.channel_arn)?.stream_key = None;
        let Self { state, home, .. } = self;
        state.remove_stream_key(home, arn);
        state.touch();
        Ok(())
    }
}

impl EmulatorState {
    /// A key that its channel does not know of yet.
    pub(super) fn add_stream_key(
        &mut self,
        home: &str,
        channel_arn: &Arc<str>,
        tags: Tags,
    ) -> Arc<StreamKey> {
        let region_name = home.split(':').nth(3).unwrap_or_default().to_owned();
        let (arn, id) = loop {
            let id = self.ids.resource();
            let arn: Arc<str> = format!("{home}:stream-key/{id}").into();
            if !self.region_or_made(home).stream_keys.contains_key(&arn) {
                break (arn, id);
            }
        };
        let secret = self.ids.alphanumeric(30);
        let key = Arc::new(StreamKey {
            arn: Arc::clone(&arn),
            value: format!("sk_{region_name}_{id}_{secret}").into(),
            channel_arn: Arc::clone(channel_arn),
            tags,
        });
        self.insert_stream_key(home, &key);
        key
    }

    pub(super) fn insert_stream_key(&mut self, home: &str, key: &Arc<StreamKey>) {
        self.key_values
            .insert(Arc::clone(&key.value), Arc::clone(&key.channel_arn));
        self.region_or_made(home)
            .stream_keys
            .insert(Arc::clone(&key.arn), Arc::clone(key));
    }

    pub(super) fn remove_stream_key(&mut self, home: &str, arn: &str) {
        if let Some(key) = self.region_or_made(home).stream_keys.remove(arn) {
            self.key_values.remove(&key.value);
        }
    }
}
