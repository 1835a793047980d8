//! What each operation answers: its successes, and its refusals by the one map from codes to
//! statuses.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::Header;
use utoipa::openapi::{Content, RefOr, Response, ResponseBuilder};

use super::schemas::{self, reference, schema};
use crate::refusal::Code;
use crate::refusal::ivs::aws_error;

/// Responses by their status.
pub type Responses = BTreeMap<String, RefOr<Response>>;

/// Declares what an operation answers, beside its handler.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $answers:expr;)*) => { $(
        $(#[$doc])*
        pub(in crate::ingest) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> $crate::ingest::api::openapi::answers::Responses {
                $answers.build()
            }
        }
    )* };
}

pub(in crate::ingest) use answers;

/// What a body can be refused for before it is looked into.
pub const BODY: [Code; 2] = [Code::SlowRequest, Code::BodyTooLarge];
/// Whom anything can be refused to.
pub const CALLER: [Code; 2] = [Code::Unauthenticated, Code::Forbidden];
/// What naming a channel can be refused for.
pub const CHANNEL: [Code; 4] = [
    Code::Unauthenticated,
    Code::Forbidden,
    Code::UnknownChannel,
    Code::Overloaded,
];

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
#[derive(Default)]
pub struct Answers {
    responses: Responses,
    refused: Vec<Code>,
}

impl Answers {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            responses: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Adds a response.
    #[must_use]
    pub fn put(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.responses
            .insert(status.to_string(), response.build().into());
        self
    }

    /// Adds one without a body.
    #[must_use]
    pub fn empty(self, status: u16, description: &str) -> Self {
        self.put(status, ResponseBuilder::new().description(description))
    }

    /// Adds one of JSON.
    #[must_use]
    pub fn json(self, status: u16, description: &str, json: Value) -> Self {
        self.content(status, description, "application/json", json)
    }

    /// Adds one of this media type.
    #[must_use]
    pub fn content(self, status: u16, description: &str, media: &str, json: Value) -> Self {
        self.put(status, content(description, media, json))
    }

    /// Becomes a WebSocket, or says what is wrong with the handshake.
    #[must_use]
    pub fn switching(self) -> Self {
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
    #[must_use]
    pub fn refused(mut self, codes: &[Code]) -> Self {
        self.refused.extend_from_slice(codes);
        self
    }

    /// The IVS API's success.
    #[must_use]
    pub fn called(self, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description);
        self.put(204, request_id(response))
    }

    /// The same refusals in the form of the IVS API.
    #[must_use]
    pub fn ivs(self, codes: &[Code]) -> Self {
        let by_status = group(codes, |code| aws_error(code).1);
        by_status
            .into_iter()
            .fold(self, |answers, (status, codes)| {
                answers.put(status, ivs_error(&codes))
            })
    }

    /// The refusals of signatures, which are `sigv4`'s, and of what their owner may not do.
    #[must_use]
    pub fn unsigned(self) -> Self {
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

    /// All of them.
    #[must_use]
    pub fn build(mut self) -> Responses {
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
