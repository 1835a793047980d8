//! Parameters of paths, queries and headers, with their bounds.

use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use super::schemas::schema;
use crate::ingest::limits::{
    CLOUDEVENT_ID_MAX, PAGE_DEFAULT, PAGE_MAX, WAIT_DEFAULT_MS, WAIT_MAX_MS,
};

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident: $params:expr;)*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                $params.into()
            }
        }
    )* };
}

params! {
    /// `{channel}`.
    Channel: [path("channel", json!({"type": "string", "minLength": 1}), "An alias of the configuration or a percent-encoded ARN.", "demo")];
    /// `{channel}` where the API makes it.
    Alias: [path("channel", json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"}), "The alias: letters, digits and `.`, `_`, `-`.", "quiz")];
    /// How a channel is removed.
    Removing: [query("force", json!({"type": "boolean", "default": false}), "Remove it although events wait in it.")];
    /// `{id}` of an event.
    EventId: [path("id", json!({"type": "string", "minLength": 1, "maxLength": CLOUDEVENT_ID_MAX}), "The event's `id`; of a CloudEvent its `source`, a space, and its `id`.", "a-17")];
    /// What `POST …/events` can be asked for.
    Publishing: [
        query("atomic", json!({"type": "boolean", "default": false}), "Accept all events or none; if none, the answer is the first refusal."),
        query("wait", json!({"enum": ["delivered"]}), "Answer when every event has ended, or at the time-out."),
        query(
            "timeout_ms",
            json!({"type": "integer", "minimum": 0, "maximum": WAIT_MAX_MS, "default": WAIT_DEFAULT_MS}),
            "With `wait`: events that have not ended by then stay queued.",
        ),
        header(
            "Idempotency-Key",
            Required::False,
            json!({"type": "string", "pattern": "^[!-~]([ -~]{0,98}[!-~])?$"}),
            "Events without an id get the ids `K/0`, `K/1` and so on, by their index: sent again, they are duplicates.",
        ),
    ];
    /// What a purge is of.
    Purging: [
        query("type", json!({"type": "string", "minLength": 1}), "Only events of this type."),
        query("key", json!({"type": "string", "minLength": 1}), "Only events of this key."),
        query("all", json!({"enum": ["true"]}), "Every queued event. Without it, `type` or `key` is needed."),
    ];
    /// What is to be deleted of a channel's state.
    DeletingState: [
        query("key", json!({"type": "string", "minLength": 1}), "This key."),
        query("all", json!({"enum": ["true"]}), "Every key. Without it, `key` is needed."),
    ];
    /// A page.
    Paging: [
        query("limit", json!({"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT}), "The most channels on the page."),
        query("after", json!({"type": "string"}), "The value of `next` on the page before."),
    ];
    /// A page of what is queued.
    Listing: [
        query("type", json!({"type": "string", "minLength": 1}), "Only events of this type."),
        query("key", json!({"type": "string", "minLength": 1}), "Only events of this key."),
        query("limit", json!({"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT}), "The most events on the page."),
        query("after", json!({"type": "string", "pattern": "^[0-2]-[0-2](-[0-9]{1,19}){2}-[0-9]{1,9}$"}), "The value of `next` on the page before."),
    ];
    /// The opening handshake of RFC 6455.
    Handshake: [
        header("Connection", Required::True, json!({"enum": ["Upgrade"]}), "This token, among others if need be; upper or lower case."),
        header("Upgrade", Required::True, json!({"enum": ["websocket"]}), "This token, among others if need be; upper or lower case."),
        header("Sec-WebSocket-Version", Required::True, json!({"enum": ["13"]}), "Any other is answered with 426."),
        header(
            "Sec-WebSocket-Key",
            Required::True,
            json!({"type": "string", "pattern": "^[A-Za-z0-9+/]{22}==$", "examples": ["dGhlIHNhbXBsZSBub25jZQ=="]}),
            "16 bytes in Base64.",
        ),
        header("Sec-WebSocket-Protocol", Required::False, json!({"type": "string", "examples": ["cuegate.v1"]}), "`cuegate.v1` is chosen if it is offered."),
    ];
    /// What a reader of server-sent events says when it comes back.
    Resuming: [header("Last-Event-ID", Required::False, json!({"type": "string"}), "The last `id` it had: what was delivered since comes first, as far as it is kept.")];
    /// The same, of ends.
    ResumingEnds: [header("Last-Event-ID", Required::False, json!({"type": "string"}), "The last `id` it had: the ends since come first, as far as they are kept.")];
    /// What AWS's clients send.
    Invocation: [header("amz-sdk-invocation-id", Required::False, json!({"type": "string"}), "The id of the call, which its retries keep: a duplicate is queued once.")];
}

fn path(name: &str, json: Value, description: &str, example: &str) -> Parameter {
    parameter(ParameterIn::Path, name, Required::True, json, description)
        .example(Some(example.into()))
        .build()
}

fn query(name: &str, json: Value, description: &str) -> Parameter {
    parameter(ParameterIn::Query, name, Required::False, json, description).build()
}

fn header(name: &str, required: Required, json: Value, description: &str) -> Parameter {
    parameter(ParameterIn::Header, name, required, json, description).build()
}

fn parameter(
    at: ParameterIn,
    name: &str,
    required: Required,
    json: Value,
    description: &str,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(at)
        .required(required)
        .schema(Some(schema(json)))
        .description(Some(description))
}
