//! Revocation of viewer sessions. Nobody watches the emulator's channels: what was revoked is
//! remembered, and `/_local/` shows it.

use super::channels::CHANNEL_ARN;
use super::error::{ApiError, NOT_FOUND};
use super::operation::{Does, Operation, Run, operation, typed};
use crate::input::{Member, Members, Rule, Shape, optional, required};
use serde::Deserialize;
use serde_json::{Value, json};

const SESSION: &[Member] = &[
    required("channelArn", CHANNEL_ARN),
    required("viewerId", Shape::Text(Rule::Length(1, 40))),
    // The largest integer of the service model: it has 32 bits.
    optional(
        "viewerSessionVersionsLessThanOrEqualTo",
        Shape::Whole(0, 0x7fff_ffff),
    ),
];
const BATCH: &[Member] = &[required(
    "viewerSessions",
    Shape::List(&Shape::Structure(SESSION), 1, 20),
)];

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:BatchStartViewerSessionRevocation", 2, Does::Read, BATCH, batch),
    operation("ivs:StartViewerSessionRevocation", 10, Does::Read, SESSION, revoke),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    channel_arn: String,
    viewer_id: String,
    #[serde(default)]
    viewer_session_versions_less_than_or_equal_to: u32,
}

fn revoke(input: &Members) -> Result<Run, ApiError> {
    let session: Session = typed(input)?;
    Ok(Box::new(move |ivs| {
        let version = session.viewer_session_versions_less_than_or_equal_to;
        ivs.revoke(&session.channel_arn, &session.viewer_id, version)?;
        Ok(Value::Null)
    }))
}

/// Each pair is revoked by itself; those of channels that are not there are told.
fn batch(input: &Members) -> Result<Run, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Batch {
        viewer_sessions: Vec<Session>,
    }
    let Batch { viewer_sessions } = typed(input)?;
    Ok(Box::new(move |ivs| {
        let mut errors = Vec::new();
        for session in &viewer_sessions {
            let (arn, viewer) = (&session.channel_arn, &session.viewer_id);
            let version = session.viewer_session_versions_less_than_or_equal_to;
            if ivs.revoke(arn, viewer, version).is_err() {
                errors.push(json!({
                    "channelArn": arn,
                    "viewerId": viewer,
                    "code": NOT_FOUND,
                    "message": format!("Resource: {arn} not found"),
                }));
            }
        }
        Ok(json!({ "errors": errors }))
    }))
}
