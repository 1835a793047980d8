//! Recording configurations: twenty an account and region, `CREATING` and a moment later `ACTIVE`.

use super::documents::{Family, LIST, arn_of, create, default, delete, get, list};
use super::operation::{Does, Operation, operation};
use crate::input::{BUCKET, Member, Members, NAME, Rule, Shape, optional, required};
use crate::limits::{CONFIGURATION_CREATION_US, QUOTA_CONFIGURATIONS};
use crate::state::{Kind, States};
use serde_json::{Value, json};

pub(super) struct Recordings;

impl Family for Recordings {
    const KIND: Kind = Kind {
        arn: "recording-configuration",
        words: "recording configurations",
        quota: QUOTA_CONFIGURATIONS,
        unique: None,
        used: Some(|channel| &channel.recording_configuration_arn),
        states: Some(States {
            creating: "CREATING",
            ready: "ACTIVE",
            updating: None,
            failed: "CREATE_FAILED",
            takes_us: CONFIGURATION_CREATION_US,
        }),
    };
    const ONE: &'static str = "recordingConfiguration";
    const MANY: &'static str = "recordingConfigurations";
    const NOT_LISTED: &'static [&'static str] = &[
        "thumbnailConfiguration",
        "recordingReconnectWindowSeconds",
        "renditionConfiguration",
    ];
    /// The quota, which is less than 100.
    const PAGE: u32 = 20;

    fn complete(members: &mut Members) -> Result<(), String> {
        if members["destinationConfiguration"].get("s3").is_none() {
            return Err(
                "destinationConfiguration must have s3, the only destination there is".to_owned(),
            );
        }
        default(members, "name", "");
        default(members, "recordingReconnectWindowSeconds", 0);
        let mut thumbnails = take(members, "thumbnailConfiguration");
        complete_thumbnails(&mut thumbnails)?;
        default(members, "thumbnailConfiguration", thumbnails);
        let mut renditions = take(members, "renditionConfiguration");
        complete_renditions(&mut renditions)?;
        default(members, "renditionConfiguration", renditions);
        Ok(())
    }
}

const RESOLUTION: Shape = Shape::Text(Rule::OneOf(&["SD", "HD", "FULL_HD", "LOWEST_RESOLUTION"]));
const STORAGE: Shape = Shape::Text(Rule::OneOf(&["SEQUENTIAL", "LATEST"]));
const MODE: Shape = Shape::Text(Rule::OneOf(&["DISABLED", "INTERVAL"]));
const SELECTION: Shape = Shape::Text(Rule::OneOf(&["ALL", "NONE", "CUSTOM"]));
const S3: &[Member] = &[required("bucketName", Shape::Text(BUCKET))];
const DESTINATION: &[Member] = &[optional("s3", Shape::Structure(S3))];
const THUMBNAILS: &[Member] = &[
    optional("recordingMode", MODE),
    optional("targetIntervalSeconds", Shape::Whole(1, 60)),
    optional("resolution", RESOLUTION),
    optional("storage", Shape::List(&STORAGE, 0, usize::MAX)),
];
const RENDITIONS: &[Member] = &[
    optional("renditionSelection", SELECTION),
    optional("renditions", Shape::List(&RESOLUTION, 0, usize::MAX)),
];
const CREATE: &[Member] = &[
    required("destinationConfiguration", Shape::Structure(DESTINATION)),
    optional("name", Shape::Text(NAME)),
    optional("tags", Shape::Tags),
    optional("recordingReconnectWindowSeconds", Shape::Whole(0, 300)),
    optional("thumbnailConfiguration", Shape::Structure(THUMBNAILS)),
    optional("renditionConfiguration", Shape::Structure(RENDITIONS)),
];
const ONE: &[Member] = &[arn_of(Recordings::KIND.arn)];

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:CreateRecordingConfiguration", 3, Does::Write, CREATE, create::<Recordings>),
    operation("ivs:DeleteRecordingConfiguration", 3, Does::WriteInSilence, ONE, delete::<Recordings>),
    operation("ivs:GetRecordingConfiguration", 3, Does::Read, ONE, get::<Recordings>),
    operation("ivs:ListRecordingConfigurations", 3, Does::Read, LIST, list::<Recordings>),
];

fn complete_thumbnails(thumbnails: &mut Members) -> Result<(), String> {
    default(thumbnails, "recordingMode", "INTERVAL");
    if thumbnails["recordingMode"] == "INTERVAL" {
        default(thumbnails, "targetIntervalSeconds", 60);
        default(thumbnails, "storage", json!(["SEQUENTIAL"]));
        if thumbnails["storage"] == json!([]) {
            thumbnails.insert("storage".to_owned(), json!(["SEQUENTIAL"]));
        }
    } else if thumbnails.contains_key("targetIntervalSeconds") {
        return Err("thumbnailConfiguration can have targetIntervalSeconds only if recordingMode is INTERVAL".to_owned());
    } else if thumbnails.get("storage") == Some(&json!([])) {
        thumbnails.remove("storage");
    }
    Ok(())
}

fn complete_renditions(renditions: &mut Members) -> Result<(), String> {
    default(renditions, "renditionSelection", "ALL");
    let list = renditions.get("renditions");
    if list.is_none_or(|list| *list == json!([])) {
        if renditions["renditionSelection"] == "CUSTOM" {
            return Err(
                "renditionConfiguration must have renditions if renditionSelection is CUSTOM"
                    .to_owned(),
            );
        }
        renditions.remove("renditions");
    }
    Ok(())
}

/// The structure of a member, taken out; an empty one if it is not there.
fn take(members: &mut Members, name: &str) -> Members {
    match members.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Members::new(),
    }
}
