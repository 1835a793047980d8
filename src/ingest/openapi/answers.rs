//! What each operation answers: its successes, and its refusals by the one map from codes to
//! statuses.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::Header;
use utoipa::openapi::{Content, RefOr, Response, ResponseBuilder};

use super::schemas::{self, reference, schema};
use crate::dispatch::ChannelReport;
use crate::ingest::control::Page;
use crate::ingest::events::Report;
use crate::ingest::refusal::{Code, aws_error};

type Responses = BTreeMap<String, RefOr<Response>>;

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $answers:expr;)*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> Responses {
                $answers.build()
            }
        }
    )* };
}

/// What a body can be refused for before it is looked into.
const BODY: [Code; 2] = [Code::SlowRequest, Code::BodyTooLarge];
/// Whom anything can be refused to.
const CALLER: [Code; 2] = [Code::Unauthenticated, Code::Forbidden];
/// What naming a channel can be refused for.
const CHANNEL: [Code; 4] = [
    Code::Unauthenticated,
    Code::Forbidden,
    Code::UnknownChannel,
    Code::Overloaded,
];

answers! {
    /// To events.
    Published: Answers::new()
        .json(200, "With `wait=delivered`: every event has ended.", reference::<schemas::Ended>())
        .json(
            202,
            "At least one event was accepted or was a duplicate; they are as durable as `journal.mode` says. With `wait=delivered`: some had not ended in time.",
            json!({"anyOf": [reference::<schemas::Accepted>(), reference::<schemas::Ended>()]}),
        )
        .refused(&BODY)
        .refused(&CHANNEL)
        .refused(&[
            Code::Malformed, Code::ChannelOffline, Code::EventTooLarge, Code::UnsupportedMediaType, Code::InvalidEvent,
            Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Draining,
        ]);
    /// To a cancellation.
    Cancelling: Answers::new()
        .empty(204, "The event is cancelled.")
        .refused(&CHANNEL)
        .refused(&[Code::UnknownEvent, Code::AlreadySent]);
    /// To a question about an event.
    Event: Answers::new()
        .json(200, "What became of it.", reference::<Report>())
        .refused(&CHANNEL)
        .refused(&[Code::UnknownEvent]);
    /// To a replacement.
    Replacing: Answers::new()
        .json(200, "The queued event was cancelled and this one accepted for it.", reference::<schemas::Accepted>())
        .json(202, "No event of this id was queued or delivered: this one was accepted.", reference::<schemas::Accepted>())
        .refused(&BODY)
        .refused(&CHANNEL)
        .refused(&[
            Code::Malformed, Code::ChannelOffline, Code::EventTooLarge, Code::UnsupportedMediaType, Code::InvalidEvent,
            Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Draining, Code::AlreadySent, Code::UnknownEvent,
        ]);
    /// To a purge.
    Purged: Answers::new()
        .json(200, "The events are cancelled.", reference::<schemas::Cancelled>())
        .refused(&CHANNEL)
        .refused(&[Code::Malformed]);
    /// To a pause or its end.
    Done: Answers::new().empty(204, "Done.").refused(&CHANNEL);
    /// To a question about a channel.
    Channel: Answers::new().json(200, "The channel's status.", reference::<ChannelReport>()).refused(&CHANNEL);
    /// To a question about all.
    Channels: Answers::new()
        .json(200, "One page, ordered by name, of the channels that the key may use.", reference::<Page>())
        .refused(&CALLER)
        .refused(&[Code::Malformed]);
    /// To one who follows payloads.
    Payloads: Answers::new()
        .content(
            200,
            "Server-sent events without end: `id` is the payload's `n`, `data` the payload. An event `lagged` says how many a slow reader missed. After `Last-Event-ID` what was missed comes first, as far as it is kept.",
            "text/event-stream",
            sent_event(),
        )
        .refused(&CHANNEL)
        .refused(&[Code::RateLimited]);
    /// To a WebSocket that names its channel.
    ChannelSocket: Answers::new().switching().refused(&[Code::UnknownChannel]);
    /// To any WebSocket.
    Socket: Answers::new().switching();
    /// To notices of streams.
    Noticed: Answers::new()
        .json(200, "The notices were processed.", reference::<schemas::Noticed>())
        .refused(&BODY)
        .refused(&CALLER)
        .refused(&[Code::Malformed, Code::NotFound, Code::Overloaded]);
    /// Of the IVS API.
    PutMetadata: Answers::new()
        .put(204, request_id(ResponseBuilder::new().description("The string is queued, now or by an earlier try of the same call.")))
        .ivs(&[
            Code::Malformed, Code::InvalidEvent, Code::EventTooLarge, Code::BodyTooLarge, Code::UnknownChannel,
            Code::ChannelOffline, Code::QueueFull, Code::WouldExpire, Code::RateLimited, Code::Overloaded, Code::Draining,
            Code::SlowRequest,
        ])
        .unsigned();
    /// To a question about the document.
    Document: Answers::new().json(200, "An OpenAPI 3.1 document.", json!({"type": "object", "required": ["openapi", "info", "paths"]}));
}

/// One server-sent event.
fn sent_event() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {"id": text, "event": {"enum": ["message", "lagged"]}, "data": text},
        "required": ["data"],
        "examples": [{"id": "1790000000001", "data": "{\"v\":1,\"n\":1790000000001,\"e\":[{\"d\":1}]}"}],
    })
}

/// What belongs to no operation: wrong methods and paths.
#[must_use]
pub fn everywhere() -> Responses {
    let method = problem(&[Code::MethodNotAllowed]);
    let method = method.header(
        "Allow",
        always("The methods that the path has.", json!({"type": "string"})),
    );
    [
        ("MethodNotAllowed", method),
        ("NotFound", problem(&[Code::NotFound])),
    ]
    .map(|(name, response)| (name.to_owned(), response.build().into()))
    .into()
}

/// Responses by their status, and the codes of refusals.
struct Answers {
    responses: Responses,
    refused: Vec<Code>,
}

impl Answers {
    const fn new() -> Self {
        Self {
            responses: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    fn put(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.responses
            .insert(status.to_string(), response.build().into());
        self
    }

    fn empty(self, status: u16, description: &str) -> Self {
        self.put(status, ResponseBuilder::new().description(description))
    }

    fn json(self, status: u16, description: &str, json: Value) -> Self {
        self.content(status, description, "application/json", json)
    }

    fn content(self, status: u16, description: &str, media: &str, json: Value) -> Self {
        self.put(status, content(description, media, json))
    }

    /// Becomes a WebSocket, or says what is wrong with the handshake.
    fn switching(self) -> Self {
        let protocol = Header::new(schema(json!({"const": "cuegate.v1"})));
        let switching = ResponseBuilder::new()
            .description("The connection is a WebSocket.")
            .header("Sec-WebSocket-Protocol", protocol);
        self.put(101, switching).refused(&CALLER).refused(&[
            Code::Malformed,
            Code::UpgradeRequired,
            Code::RateLimited,
            Code::Draining,
        ])
    }

    /// Problem documents, one response for all the codes of a status.
    fn refused(mut self, codes: &[Code]) -> Self {
        self.refused.extend_from_slice(codes);
        self
    }

    /// The same refusals in the form of the IVS API.
    fn ivs(self, codes: &[Code]) -> Self {
        let by_status = group(codes, |code| aws_error(code).1);
        by_status
            .into_iter()
            .fold(self, |answers, (status, codes)| {
                answers.put(status, ivs_error(&codes))
            })
    }

    /// The refusals of signatures, which are `sigv4`'s, and of what their owner may not do.
    fn unsigned(self) -> Self {
        let names = [
            "AccessDeniedException",
            "IncompleteSignatureException",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
        ];
        let response = content(
            "The signature is missing or wrong, or its key does not allow this.",
            "application/json",
            reference::<schemas::IvsError>(),
        );
        let error = always("The kind of the error.", json!({"enum": names}));
        self.put(403, request_id(response.header("x-amzn-ErrorType", error)))
    }

    fn build(mut self) -> Responses {
        let by_status = group(&std::mem::take(&mut self.refused), Code::status);
        let all = by_status
            .into_iter()
            .fold(self, |answers, (status, codes)| {
                answers.put(status, problem(&codes))
            });
        all.responses
    }
}

fn group(codes: &[Code], status: impl Fn(Code) -> StatusCode) -> BTreeMap<u16, Vec<Code>> {
    let mut groups: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        groups
            .entry(status(*code).as_u16())
            .or_default()
            .push(*code);
    }
    groups
}

fn problem(codes: &[Code]) -> ResponseBuilder {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let json = json!({
        "allOf": [reference::<schemas::Problem>()],
        "properties": {"code": {"enum": names}},
    });
    let response = content(&titles(codes), "application/problem+json", json);
    if codes == [Code::Unauthenticated] {
        let challenge = json!({"type": "string"});
        return response.header(
            "WWW-Authenticate",
            sometimes("How to authenticate.", challenge),
        );
    }
    if codes == [Code::UpgradeRequired] {
        let version = always("The version that is supported.", json!({"const": "13"}));
        return response.header("Sec-WebSocket-Version", version);
    }
    retry_after(codes, response)
}

fn ivs_error(codes: &[Code]) -> ResponseBuilder {
    let mut names: Vec<_> = codes.iter().map(|code| aws_error(*code).0).collect();
    names.dedup();
    let error = always("The kind of the error.", json!({"enum": names}));
    let json = reference::<schemas::IvsError>();
    let response =
        content(&titles(codes), "application/json", json).header("x-amzn-ErrorType", error);
    request_id(retry_after(codes, response))
}

fn request_id(response: ResponseBuilder) -> ResponseBuilder {
    response.header(
        "x-amzn-RequestId",
        always("The id of this request.", json!({"type": "string"})),
    )
}

/// Refusals that waiting mends say for how long.
fn retry_after(codes: &[Code], response: ResponseBuilder) -> ResponseBuilder {
    let is_passing = |code: &Code| {
        let status = code.status();
        status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
    };
    if !codes.iter().all(is_passing) {
        return response;
    }
    let seconds = json!({"type": "integer", "minimum": 1});
    let text = "Seconds to wait before the next try.";
    let response = response.header("Retry-After", always(text, seconds));
    if !codes.contains(&Code::RateLimited) {
        return response;
    }
    let policy = "The producer's limit that was reached: `q` at once, a whole quota in `w` s.";
    let state = "What is left of the limit, and the seconds until there is more.";
    let text = || json!({"type": "string"});
    response
        .header("RateLimit-Policy", sometimes(policy, text()))
        .header("RateLimit", sometimes(state, text()))
}

/// A header that such a response may have.
fn sometimes(description: &str, json: Value) -> Header {
    let mut header = Header::new(schema(json));
    header.description = Some(description.to_owned());
    header
}

/// A header that is there in every such response.
fn always(description: &str, json: Value) -> Header {
    let mut header = sometimes(description, json);
    header.extensions = Some(Extensions::from_iter([("required", true)]));
    header
}

fn content(description: &str, media: &str, json: Value) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content(media, Content::new(Some(schema(json))))
}

fn titles(codes: &[Code]) -> String {
    let titles: Vec<_> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.name(), code.title()))
        .collect();
    titles.join(" ")
}
