//! `/_local/events`: where stream state changes are posted, and how badly.

use super::{LocalError, json, no_content};
use crate::context::{Body, Shared};
use http::request::Parts;
use http::{Method, Response, StatusCode};

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
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "events": listed }),
    ))
}
