//! An encoder, as far as the emulator has one: it connects with a stream key, and is let in
//! or refused.

use super::{LocalError, json, read};
use crate::context::{Body, Shared};
use crate::input::{Member, Rule, Shape, optional, required};
use crate::state::{Health, Ingest, IngestError};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Live,
    Offline,
    /// The stream ends by a failure.
    Failed,
}

const ENCODER: &[Member] = &[
    required("streamKey", Shape::Text(Rule::Any)),
    optional(
        "state",
        Shape::Text(Rule::OneOf(&["live", "offline", "failed"])),
    ),
    optional(
        "health",
        Shape::Text(Rule::OneOf(&["HEALTHY", "STARVING", "UNKNOWN"])),
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    stream_key: String,
    #[serde(default)]
    state: State,
    /// Of the stream that begins.
    health: Option<Health>,
}

pub(super) fn answer(shared: &Shared, body: &[u8]) -> Result<Response<Body>, LocalError> {
    let raw: Raw = read(body, ENCODER)?;
    let ingest = match (raw.state, raw.health) {
        (State::Live, health) => Ingest::Begin(health.unwrap_or_default()),
        (_, Some(_)) => {
            return Err(LocalError::bad_request("'health' is of state live only"));
        }
        (State::Offline, None) => Ingest::End,
        (State::Failed, None) => Ingest::Fail,
    };
    let arn = shared.state.ingest(&raw.stream_key, ingest)?;
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "arn": arn, "state": raw.state }),
    ))
}

impl From<IngestError> for LocalError {
    fn from(error: IngestError) -> Self {
        let status = match error {
            IngestError::UnknownKey => StatusCode::FORBIDDEN,
            IngestError::Live(_) | IngestError::Offline(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}
