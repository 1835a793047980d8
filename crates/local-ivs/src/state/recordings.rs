//! Recording configurations: twenty an account and region, kept while a channel uses them.

use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::resources::{Recording, RecordingInput};
use crate::limits::QUOTA_RECORDING_CONFIGURATIONS;
use std::sync::Arc;

impl Regional<'_> {
    pub(crate) fn create_recording(
        &mut self,
        input: &RecordingInput,
    ) -> Result<Arc<Recording>, Rejection> {
        if self.region().recordings.len() >= QUOTA_RECORDING_CONFIGURATIONS {
            return Err(Rejection::QuotaExceeded(format!(
                "Quota exceeded: an account has at most {QUOTA_RECORDING_CONFIGURATIONS} recording configurations in a region"
            )));
        }
        let arn = self.new_arn("recording-configuration", |region, arn| {
            region.recordings.contains_key(arn)
        })?;
        let recording = Arc::new(Recording {
            arn: Arc::clone(&arn),
            created_us: self.now_us,
            input: input.clone(),
        });
        self.region().recordings.insert(arn, Arc::clone(&recording));
        self.world.touch();
        Ok(recording)
    }

    pub(crate) fn recording(&mut self, arn: &str) -> Result<Arc<Recording>, Rejection> {
        self.region()
            .recordings
            .get(arn)
            .map(Arc::clone)
            .ok_or_else(|| Rejection::NotFound(arn.to_owned()))
    }

    pub(crate) fn recordings(&mut self, paging: &Paging) -> Listed<Arc<Recording>> {
        list(&self.region().recordings, paging, |_| true, Arc::clone)
    }

    pub(crate) fn delete_recording(&mut self, arn: &str) -> Result<(), Rejection> {
        self.recording(arn)?;
        let region = self.region();
        let user = region
            .channels
            .values()
            .find(|channel| channel.settings.recording_configuration_arn == arn);
        if let Some(channel) = user {
            return Err(Rejection::Conflict(format!(
                "Recording configuration: {arn} is used by channel {}",
                channel.settings.arn
            )));
        }
        region.recordings.remove(arn);
        self.world.touch();
        Ok(())
    }
}
