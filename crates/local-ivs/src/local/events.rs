//! `/_local/events`: where events are posted, and how badly. `/_local/channels/{arn}/events`: an
//! event of any kind, on demand. `/_local/life`: how long a stream takes.

use super::{LocalError, json as answer_json, no_content, read};
use crate::arn::ChannelArn;
use crate::context::{Body, Shared};
use crate::events::{KINDS, name_member};
use crate::input::{Member, Rule, Shape, optional, required};
use crate::limits::MAX_LIFE_MS;
use crate::state::Life;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) fn answer(
    shared: &Shared,
    parts: &Parts,
    body: &[u8],
) -> Result<Response<Body>, LocalError> {
    let events = &shared.events;
    let listed = match parts.method {
        Method::GET => events.list(),
        Method::POST => {
            let listed = events.set(body);
            Some(listed.map_err(|error| LocalError::bad_request(error.to_string()))?)
        }
        Method::DELETE => {
            events.clear();
            return Ok(no_content());
        }
        _ => return Err(LocalError::method("GET, POST, DELETE")),
    };
    Ok(answer_json(StatusCode::OK, &json!({ "events": listed })))
}

const EVENT: &[Member] = &[
    required(
        "type",
        Shape::Text(Rule::OneOf(&[
            KINDS[0].0, KINDS[1].0, KINDS[2].0, KINDS[3].0,
        ])),
    ),
    required("name", Shape::Text(Rule::Any)),
    optional("code", Shape::Text(Rule::NotEmpty)),
    optional("detail", Shape::Object),
];

/// Posts an event of a channel: its type and name, and what else its detail shall have.
pub(super) fn post(
    shared: &Shared,
    arn: &ChannelArn,
    body: &[u8],
) -> Result<Response<Body>, LocalError> {
    #[derive(Deserialize)]
    struct Posted {
        #[serde(rename = "type")]
        kind: String,
        name: String,
        code: Option<String>,
        #[serde(default)]
        detail: Map<String, Value>,
    }
    let posted: Posted = read(body, EVENT)?;
    let kind = KINDS.iter().find(|(kind, _)| *kind == posted.kind);
    let &(kind, names) = kind.unwrap_or(&KINDS[0]);
    if !names.contains(&posted.name.as_str()) {
        let names = names.join(", ");
        return Err(LocalError::bad_request(format!(
            "name must be one of {names}"
        )));
    }
    // The name is what the event is found by.
    if posted.detail.contains_key(name_member(kind)) {
        return Err(LocalError::bad_request(format!(
            "detail cannot have {}: that is the name",
            name_member(kind)
        )));
    }
    let told = shared
        .state
        .post_event(arn, kind, &posted.name, posted.code, posted.detail)
        .ok_or_else(|| LocalError::not_found(format!("no channel {}", arn.as_str())))?;
    let answer = json!({ "type": told.kind, "detail": told.detail });
    Ok(answer_json(StatusCode::OK, &answer))
}

const LIFE: &[Member] = &[
    optional("stream_start_ms", Shape::Whole(0, MAX_LIFE_MS)),
    optional("end_ms", Shape::Whole(0, MAX_LIFE_MS)),
    optional("session_ended_first", Shape::Flag),
];

pub(super) fn life(
    shared: &Shared,
    parts: &Parts,
    body: &[u8],
) -> Result<Response<Body>, LocalError> {
    match parts.method {
        Method::GET => {}
        Method::POST => shared.state.set_life(read(body, LIFE)?),
        Method::DELETE => {
            shared.state.set_life(Life::default());
            return Ok(no_content());
        }
        _ => return Err(LocalError::method("GET, POST, DELETE")),
    }
    Ok(answer_json(StatusCode::OK, &shared.state.life()))
}
