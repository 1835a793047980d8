//! The emulator's own endpoints, below `/_local/`: report, streams, metadata, playback, limits,
//! faults, events.
//!
//! Not part of the IVS API: unsigned, with errors of their own form, `{"error": "..."}`.
//! Whoever can reach the address can use them, so it had better be loopback. Pages that a browser
//! shows reach loopback too: see [`crate::guard`].

mod events;
mod ingest;
mod metadata;
mod playback;

use crate::arn::{ChannelArn, ResourceArn};
use crate::context::{Body, BodyError, Shared};
use crate::events::EventsTally;
use crate::guard::Foreign;
use crate::input::{self, Member, Rule, Shape, optional, required};
use crate::options::{check_payload_max_bytes, check_tps};
use crate::state::ChannelError;
use crate::state::Report;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const PREFIX: &str = "/_local/";

pub(crate) fn is_local(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Whether an answer waits until what it says is saved. Making channels live does not: a test
/// wants thousands of them in a moment.
pub(crate) fn waits_for_saving(path: &str) -> bool {
    path == "/_local/ingest"
}

pub(crate) fn not_saved(reason: &str) -> Response<Body> {
    let message = format!("the change could not be saved: {reason}");
    LocalError::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

/// An answer other than success.
#[derive(Debug)]
struct LocalError {
    status: StatusCode,
    /// For 405: what would be allowed.
    allow: Option<&'static str>,
    message: String,
}

impl LocalError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            allow: None,
            message: message.into(),
        }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    fn method(allow: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            allow: Some(allow),
            message: format!("this endpoint takes {allow}"),
        }
    }

    fn into_response(self) -> Response<Body> {
        let mut response = json(self.status, &serde_json::json!({ "error": self.message }));
        if let Some(allow) = self.allow {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<BodyError> for LocalError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body may have {} bytes", crate::limits::MAX_BODY_BYTES),
            ),
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            BodyError::Broken => Self::bad_request("the body could not be read"),
        }
    }
}

impl From<Foreign> for LocalError {
    fn from(foreign: Foreign) -> Self {
        let status = match foreign {
            Foreign::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Foreign::Origin => StatusCode::FORBIDDEN,
        };
        Self::new(status, foreign.to_string())
    }
}

impl From<ChannelError> for LocalError {
    fn from(error: ChannelError) -> Self {
        let status = match error {
            ChannelError::NotAnArn(_) => StatusCode::BAD_REQUEST,
            ChannelError::TooMany => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

pub(crate) fn answer(
    shared: &Arc<Shared>,
    parts: &Parts,
    body: Result<Bytes, BodyError>,
) -> Response<Body> {
    if playback::is_asked(parts) {
        return playback::answer(shared, parts);
    }
    let answered = match (shared.guard.check(parts), body) {
        (Ok(()), Ok(body)) => route(shared, parts, &body),
        (Ok(()), Err(error)) => Err(error.into()),
        (Err(foreign), _) => Err(foreign.into()),
    };
    answered.unwrap_or_else(LocalError::into_response)
}

fn route(shared: &Arc<Shared>, parts: &Parts, body: &[u8]) -> Result<Response<Body>, LocalError> {
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    // An ARN holds a slash, so a channel's path cannot be told apart by counting segments:
    // what is between `channels/` and the last segment is the ARN, encoded or not.
    if let Some((arn, resource)) = path
        .strip_prefix("channels/")
        .and_then(|rest| rest.rsplit_once('/'))
    {
        return channel(shared, parts, body, arn, resource);
    }
    if let Some(arn) = path.strip_prefix("resources/") {
        return match parts.method {
            Method::POST => resource(shared, arn, body),
            _ => Err(LocalError::method("POST")),
        };
    }
    match path {
        "report" => match parts.method {
            Method::GET => Ok(report(shared)),
            _ => Err(LocalError::method("GET")),
        },
        "reset" => match parts.method {
            Method::POST | Method::DELETE => {
                shared.state.reset();
                shared.faults.reset_books();
                shared.events.reset_books();
                Ok(no_content())
            }
            _ => Err(LocalError::method("POST, DELETE")),
        },
        "limits" => match parts.method {
            Method::POST => set_limits(shared, body),
            _ => Err(LocalError::method("POST")),
        },
        "faults" => faults(shared, parts, body),
        "events" => events::answer(shared, parts, body),
        "life" => events::life(shared, parts, body),
        "ingest" => match parts.method {
            Method::POST => ingest::answer(shared, body),
            _ => Err(LocalError::method("POST")),
        },
        _ => Err(LocalError::not_found(format!(
            "no such endpoint; there are {PREFIX}report, {PREFIX}reset, {PREFIX}limits, {PREFIX}faults, {PREFIX}events, {PREFIX}life, {PREFIX}ingest, {PREFIX}resources/{{arn}}, and {PREFIX}channels/{{arn}}/ with metadata, stream, events, revocations and playback.m3u8"
        ))),
    }
}

fn report(shared: &Shared) -> Response<Body> {
    #[derive(Serialize)]
    struct WithFaults {
        #[serde(flatten)]
        report: Report,
        /// Calls that each kind of fault has hit.
        injected: BTreeMap<&'static str, u64>,
        /// What became of stream state changes.
        events: EventsTally,
    }
    json(
        StatusCode::OK,
        &WithFaults {
            report: shared.state.report(),
            injected: shared.faults.injected(),
            events: shared.events.tally(),
        },
    )
}

fn set_limits(shared: &Shared, body: &[u8]) -> Result<Response<Body>, LocalError> {
    // Their bounds are checked below, and told with the value.
    const LIMITS: &[Member] = &[
        optional("payload_max_bytes", Shape::Whole(0, 0xffff_ffff)),
        optional("operation_tps", Shape::Whole(0, 0xffff_ffff)),
    ];
    #[derive(Deserialize)]
    struct Limits {
        payload_max_bytes: Option<usize>,
        operation_tps: Option<u32>,
    }
    let limits: Limits = read(body, LIMITS)?;
    if let Some(bytes) = limits.payload_max_bytes {
        check_payload_max_bytes(bytes).map_err(LocalError::bad_request)?;
    }
    if let Some(tps) = limits.operation_tps {
        check_tps("operation_tps", tps).map_err(LocalError::bad_request)?;
    }
    if limits.payload_max_bytes.is_none() && limits.operation_tps.is_none() {
        return Err(LocalError::bad_request(
            "payload_max_bytes or operation_tps must be there",
        ));
    }
    shared
        .state
        .set_limits(limits.payload_max_bytes, limits.operation_tps);
    Ok(no_content())
}

fn faults(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Response<Body>, LocalError> {
    let now_us = shared.state.clock().now_us();
    let faults = &shared.faults;
    let listed = match parts.method {
        Method::GET => faults.list(now_us),
        Method::POST => faults.add(body, now_us).map_err(LocalError::bad_request)?,
        Method::DELETE => {
            faults.clear();
            return Ok(no_content());
        }
        _ => return Err(LocalError::method("GET, POST, DELETE")),
    };
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "faults": listed }),
    ))
}

fn channel(
    shared: &Arc<Shared>,
    parts: &Parts,
    body: &[u8],
    arn: &str,
    resource: &str,
) -> Result<Response<Body>, LocalError> {
    let arn = percent_decode_str(arn).decode_utf8_lossy();
    let parsed = ChannelArn::parse(&arn)
        .ok_or_else(|| ChannelError::NotAnArn(arn.chars().take(200).collect()))?;
    match (resource, &parts.method) {
        ("metadata", &Method::GET) => metadata::answer(shared, parts, &parsed),
        ("stream", &Method::POST) => set_stream(shared, &parsed, body),
        ("events", &Method::POST) => events::post(shared, &parsed, body),
        ("stream" | "events", _) => Err(LocalError::method("POST")),
        ("revocations", &Method::GET) => revocations(shared, &parsed),
        ("metadata" | "revocations", _) => Err(LocalError::method("GET")),
        _ => Err(LocalError::not_found(
            "a channel has /metadata, /stream, /events, /revocations and /playback.m3u8",
        )),
    }
}

/// The viewers whose sessions were revoked, and up to which version.
fn revocations(shared: &Shared, arn: &ChannelArn) -> Result<Response<Body>, LocalError> {
    let revoked = shared.state.revocations(arn);
    let revoked = revoked
        .ok_or_else(|| LocalError::not_found(format!("no channel {}", arn.as_str())))?
        .into_iter()
        .map(|(viewer, version)| serde_json::json!({ "viewer_id": viewer, "versions_up_to": version }));
    let revoked: Vec<_> = revoked.collect();
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "revocations": revoked }),
    ))
}

/// Makes a resource that has states one that could not be made.
fn resource(shared: &Shared, arn: &str, body: &[u8]) -> Result<Response<Body>, LocalError> {
    const RESOURCE: &[Member] = &[required(
        "state",
        Shape::Text(Rule::OneOf(&["CREATE_FAILED"])),
    )];
    const WITH_STATES: [&str; 2] = ["recording-configuration", "failover-slate-configuration"];
    #[derive(Deserialize)]
    struct Resource {
        state: String,
    }
    let Resource { state } = read(body, RESOURCE)?;
    let text = percent_decode_str(arn).decode_utf8_lossy();
    let arn = ResourceArn::parse(&text).filter(|arn| WITH_STATES.contains(&arn.kind()));
    let arn = arn.ok_or_else(|| {
        LocalError::bad_request(format!(
            "only resources of these kinds have states: {}",
            WITH_STATES.join(", ")
        ))
    })?;
    if !shared.state.fail_resource(&arn) {
        return Err(LocalError::not_found(format!("no {}", arn.as_str())));
    }
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "arn": arn.as_str(), "state": state }),
    ))
}

fn set_stream(
    shared: &Shared,
    arn: &ChannelArn,
    body: &[u8],
) -> Result<Response<Body>, LocalError> {
    #[derive(Clone, Copy, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Live,
        Offline,
    }
    const STREAM: &[Member] = &[required(
        "state",
        Shape::Text(Rule::OneOf(&["live", "offline"])),
    )];
    #[derive(Deserialize)]
    struct Stream {
        state: State,
    }
    let Stream { state } = read(body, STREAM)?;
    match state {
        State::Live => shared.state.set_live(arn.as_str())?,
        State::Offline => shared.state.set_offline(arn.as_str())?,
    }
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({ "arn": arn.as_str(), "state": state }),
    ))
}

fn read<T: DeserializeOwned>(body: &[u8], members: &[Member]) -> Result<T, LocalError> {
    input::own(body, members).map_err(LocalError::bad_request)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Serialising our own plain structures to memory cannot fail; an empty body if it does.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::from(body).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
