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
    // What is more than an encoder may have is for the stream to refuse.
    optional("priority", Shape::Whole(1, 0xffff_ffff)),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    stream_key: String,
    state: Option<State>,
    /// Of the stream that begins; without a state, also of one that goes on.
    health: Option<Health>,
    /// With it, an encoder can take a live stream over.
    priority: Option<u32>,
}

pub(super) fn answer(shared: &Shared, body: &[u8]) -> Result<Response<Body>, LocalError> {
    let raw: Raw = read(body, ENCODER)?;
    let state = raw.state.unwrap_or_default();
    let ingest = match (state, raw.health, raw.priority) {
        (State::Live, Some(health), None) if raw.state.is_none() => Ingest::Health(health),
        (State::Live, health, priority) => Ingest::Begin {
            health: health.unwrap_or_default(),
            priority: priority.unwrap_or(0),
        },
        (_, Some(_), _) | (_, _, Some(_)) => {
            return Err(LocalError::bad_request(
                "'health' and 'priority' are of state live only",
            ));
        }
        (State::Offline, None, None) => Ingest::End,
        (State::Failed, None, None) => Ingest::Fail,
    };
    let arn = shared.state.ingest(&raw.stream_key, ingest)?;
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "arn": arn, "state": state }),
    ))
}

impl From<IngestError> for LocalError {
    fn from(error: IngestError) -> Self {
        let status = match error {
            IngestError::UnknownKey => StatusCode::FORBIDDEN,
            IngestError::Live(_) | IngestError::Offline(_) | IngestError::TakeoverRefused(..) => {
                StatusCode::CONFLICT
            }
            IngestError::Priority => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}
