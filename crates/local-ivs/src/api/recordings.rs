//! The operations on recording configurations: their inputs, and their answers.

use super::Operation;
use super::error::ApiError;
use super::fields::Fields;
use super::page::PageInput;
use super::validate::{BUCKET, NAME, Rule};
use crate::limits::QUOTA_RECORDING_CONFIGURATIONS;
use crate::state::{
    Bucket, Destination, Recording, RecordingInput, Regional, Rejection, Renditions, Thumbnails,
};
use serde_json::{Value, json};

const RECORDING_ARN: Rule = Rule::Arn("recording-configuration");
const RESOLUTION: Rule = Rule::OneOf(&["SD", "HD", "FULL_HD", "LOWEST_RESOLUTION"]);

/// `maxResults` of the service model; the default is the quota, which is less.
const PAGE_MOST: u32 = 100;

#[derive(Debug)]
pub(super) enum Input {
    Create(RecordingInput),
    Get(String),
    List(PageInput),
    Delete(String),
}

impl Input {
    pub(super) fn read(operation: Operation, mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let input = match operation {
            Operation::CreateRecordingConfiguration => {
                return read_create(fields).map(Self::Create);
            }
            Operation::ListRecordingConfigurations => {
                let default = u32::try_from(QUOTA_RECORDING_CONFIGURATIONS).unwrap_or(PAGE_MOST);
                let page = PageInput::read(&mut fields, PAGE_MOST, default);
                fields.finish()?;
                let page = page.bind("ListRecordingConfigurations".to_owned())?;
                return Ok(Self::List(page));
            }
            Operation::DeleteRecordingConfiguration => {
                Self::Delete(fields.required_text("arn", RECORDING_ARN))
            }
            _ => Self::Get(fields.required_text("arn", RECORDING_ARN)),
        };
        fields.finish()?;
        Ok(input)
    }

    pub(super) fn arns(&self) -> Vec<&str> {
        match self {
            Self::Get(arn) | Self::Delete(arn) => vec![arn],
            Self::Create(_) | Self::List(_) => Vec::new(),
        }
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        let now_us = ivs.now_us();
        Ok(match self {
            Self::Create(input) => {
                let recording = ivs.create_recording(input)?;
                json!({ "recordingConfiguration": shown(&recording, now_us) })
            }
            Self::Get(arn) => {
                let recording = ivs.recording(arn)?;
                json!({ "recordingConfiguration": shown(&recording, now_us) })
            }
            Self::List(page) => {
                let listed = ivs.recordings(&page.page);
                let things = listed.things.iter().map(|found| summary(found, now_us));
                let last = listed.last.as_deref();
                page.answer("recordingConfigurations", things.collect(), last)
            }
            Self::Delete(arn) => {
                ivs.delete_recording(arn)?;
                Value::Null
            }
        })
    }
}

fn read_create(mut fields: Fields<'_>) -> Result<RecordingInput, ApiError> {
    fields.require("destinationConfiguration");
    let s3 = fields.nested("destinationConfiguration", |fields| {
        fields.nested("s3", |fields| Bucket {
            bucket_name: fields.required_text("bucketName", BUCKET),
        })
    });
    let name = fields.text("name", NAME).unwrap_or_default();
    let tags = fields.tags("tags").unwrap_or_default();
    let window = fields.number("recordingReconnectWindowSeconds", 0, 300);
    let thumbnails = fields.nested("thumbnailConfiguration", read_thumbnails);
    let renditions = fields.nested("renditionConfiguration", |fields| Renditions {
        rendition_selection: fields
            .text(
                "renditionSelection",
                Rule::OneOf(&["ALL", "NONE", "CUSTOM"]),
            )
            .unwrap_or_else(|| "ALL".to_owned()),
        renditions: fields
            .texts("renditions", RESOLUTION, 0, usize::MAX)
            .unwrap_or_default(),
    });
    fields.finish()?;
    let s3 = s3.flatten();
    if s3.is_none() {
        return Err(ApiError::validation(
            "destinationConfiguration must have s3, the only destination there is",
        ));
    }
    let thumbnails = thumbnails.unwrap_or_default();
    let renditions = renditions.unwrap_or_else(|| Renditions {
        rendition_selection: "ALL".to_owned(),
        renditions: Vec::new(),
    });
    if renditions.rendition_selection == "CUSTOM" && renditions.renditions.is_empty() {
        return Err(ApiError::validation(
            "renditionConfiguration must have renditions if renditionSelection is CUSTOM",
        ));
    }
    Ok(RecordingInput {
        name,
        destination_configuration: Destination { s3 },
        tags,
        thumbnail_configuration: thumbnails.resolved()?,
        recording_reconnect_window_seconds: window.unwrap_or(0),
        rendition_configuration: renditions,
    })
}

/// Thumbnails as they were asked for, before the defaults.
#[derive(Debug, Default)]
struct ThumbnailInput {
    mode: Option<String>,
    interval: Option<u32>,
    resolution: Option<String>,
    storage: Option<Vec<String>>,
}

fn read_thumbnails(fields: &mut Fields<'_>) -> ThumbnailInput {
    ThumbnailInput {
        mode: fields.text("recordingMode", Rule::OneOf(&["DISABLED", "INTERVAL"])),
        interval: fields.number("targetIntervalSeconds", 1, 60),
        resolution: fields.text("resolution", RESOLUTION),
        storage: fields.texts(
            "storage",
            Rule::OneOf(&["SEQUENTIAL", "LATEST"]),
            0,
            usize::MAX,
        ),
    }
}

impl ThumbnailInput {
    fn resolved(self) -> Result<Thumbnails, ApiError> {
        let mode = self.mode.unwrap_or_else(|| "INTERVAL".to_owned());
        let is_interval = mode == "INTERVAL";
        if !is_interval && self.interval.is_some() {
            return Err(ApiError::validation(
                "thumbnailConfiguration can have targetIntervalSeconds only if recordingMode is INTERVAL",
            ));
        }
        let storage = match self.storage {
            Some(storage) if !storage.is_empty() => storage,
            _ if is_interval => vec!["SEQUENTIAL".to_owned()],
            _ => Vec::new(),
        };
        Ok(Thumbnails {
            recording_mode: mode,
            target_interval_seconds: is_interval.then(|| self.interval.unwrap_or(60)),
            resolution: self.resolution,
            storage,
        })
    }
}

pub(super) fn shown(recording: &Recording, now_us: u64) -> Value {
    let input = &recording.input;
    let mut shown = summary(recording, now_us);
    shown["thumbnailConfiguration"] = json!(input.thumbnail_configuration);
    shown["recordingReconnectWindowSeconds"] = input.recording_reconnect_window_seconds.into();
    shown["renditionConfiguration"] = json!(input.rendition_configuration);
    shown
}

fn summary(recording: &Recording, now_us: u64) -> Value {
    json!({
        "arn": recording.arn,
        "name": recording.input.name,
        "destinationConfiguration": recording.input.destination_configuration,
        "state": recording.state(now_us),
        "tags": recording.input.tags,
    })
}
