//! The schemas of bodies by their names, in JSON Schema's own words; those of events are in
//! [`super::events`].

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{Components, Object, Schema, SchemaType};
use utoipa::{PartialSchema, ToSchema};

use super::definition::definition;
use super::events::{cloud_event, event};
use super::extend;
use crate::arn::ARN_MAX_CHARS;
use crate::ingest::limits::EVENTS_MAX;
use crate::refusal::Code;

/// A schema from its JSON.
#[must_use]
pub fn schema(json: Value) -> RefOr<Schema> {
    let members: Map<String, Value> = match json {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut object = Object::with_type(SchemaType::AnyValue);
    object.extensions = Some(Extensions::from_iter(members));
    RefOr::T(Schema::Object(object))
}

/// A reference to a schema by its name.
#[must_use]
pub fn reference<T: ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}

macro_rules! schemas {
    ($($name:ident: $schema:expr;)*) => {
        $(
            #[doc = concat!("The schema of that name: ", stringify!($name), ".")]
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    schema($schema)
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )*

        /// These schemas, by their names.
        #[must_use]
        pub fn components() -> Components {
            let all = [$(($name::name().into_owned(), $name::schema()),)*];
            let mut components = Components::new();
            components.schemas.extend(all);
            components
        }
    };
}

schemas! {
    Event: event(None);
    Events: one_or_many::<Event>();
    EventLines: lines::<Event>();
    AddressedEvent: event(Some("channel"));
    AddressedEvents: one_or_many::<AddressedEvent>();
    AddressedEventLines: lines::<AddressedEvent>();
    CloudEvent: cloud_event(None);
    CloudEvents: many::<CloudEvent>();
    AddressedCloudEvent: cloud_event(Some("cuechannel"));
    AddressedCloudEvents: many::<AddressedCloudEvent>();
    ChannelDefinition: definition();
    Rejection: rejection();
    Accepted: accepted();
    Ended: ended();
    Cancelled: json!({
        "type": "object", "required": ["cancelled"], "properties": {"cancelled": count("Events that were cancelled.")},
    });
    Problem: problem();
    PutMetadataInput: put_metadata();
    IvsError: json!({
        "description": "An error in the form of the IVS API; its kind is the header `x-amzn-ErrorType`.",
        "type": "object", "required": ["exceptionMessage", "message"],
        "properties": {"exceptionMessage": {"type": "string"}, "message": {"type": "string"}},
    });
    StreamNotices: stream_notices();
    Noticed: json!({
        "type": "object", "required": ["applied", "ignored"],
        "properties": {
            "applied": count("Notices that changed what is known of a stream."),
            "ignored": count("Notices of another kind, of an unknown channel, or older than what is known."),
        },
    });
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

fn many<T: ToSchema>() -> Value {
    json!({"type": "array", "items": reference::<T>(), "minItems": 1, "maxItems": EVENTS_MAX})
}

fn one_or_many<T: ToSchema>() -> Value {
    json!({"anyOf": [reference::<T>(), many::<T>()]})
}

/// As `OpenAPI` has media types of many values one after another: the schema is of the array of
/// them.
fn lines<T: ToSchema>() -> Value {
    let mut lines = many::<T>();
    extend(
        &mut lines,
        json!({"description": "One event a line; blank lines do not count."}),
    );
    lines
}

fn codes(codes: impl IntoIterator<Item = Code>) -> Vec<&'static str> {
    codes.into_iter().map(Code::name).collect()
}

fn of_producers() -> impl Iterator<Item = Code> {
    let all = Code::ALL.iter().copied();
    all.filter(|code| !code.is_operators())
}

fn refusal_members() -> Value {
    json!({
        "code": {"enum": codes(of_producers()), "description": "The reason; stable."},
        "detail": {"type": "string", "description": "The reason and what to do, for people."},
        "retry_after_ms": count("When to try again, in ms."),
    })
}

fn rejection() -> Value {
    let mut properties = json!({"index": count("The event's place in the request, from 0.")});
    extend(&mut properties, refusal_members());
    json!({"description": "One event that was refused.", "type": "object", "required": ["index", "code", "detail"], "properties": properties})
}

fn problem() -> Value {
    let mut properties = json!({
        "type": {"type": "string", "format": "uri", "description": "`urn:cuegate:problem:` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer", "description": "The HTTP status."},
        "index": count("With `atomic=true`: the place of the event that was refused."),
        "rejected": {"type": "array", "items": reference::<Rejection>(), "description": "All refusals, where several events were sent and all were refused."},
        "errors": {"type": "array", "items": {"type": "string"}, "description": "Of `invalid_channel`: all that is wrong with the channel's settings."},
    });
    extend(&mut properties, refusal_members());
    json!({
        "description": "A refusal (RFC 9457).",
        "type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": properties,
    })
}

fn tally() -> Value {
    json!({
        "accepted": count("Events that were queued, without duplicates."),
        "duplicates": count("Events whose ids were seen before."),
        "duplicate": {"type": "array", "items": {"type": "integer", "minimum": 0}, "description": "The indexes of the duplicates, if there are any."},
        "rejected": {"type": "array", "items": reference::<Rejection>()},
    })
}

fn accepted() -> Value {
    let mut properties = json!({
        "queued": count("Events that are queued in these channels now."),
        "eta_ms": {"type": ["integer", "null"], "minimum": 0, "description": "How long what is queued takes at the present pace, in ms; null while a channel is paused or offline."},
    });
    extend(&mut properties, tally());
    json!({"type": "object", "required": ["accepted", "duplicates", "rejected", "queued", "eta_ms"], "properties": properties})
}

fn ended() -> Value {
    let ends = ["merged", "expired", "cancelled", "evicted", "dead_lettered"];
    let others: Map<String, Value> = ends
        .map(|end| (end.to_owned(), count("Events with this end.")))
        .into_iter()
        .collect();
    let mut properties = json!({
        "delivered": count("Events that were delivered."),
        "ended": {"type": "object", "required": ends, "properties": others, "description": "Events that ended in another way."},
        "pending": count("Events that are still queued."),
    });
    extend(&mut properties, tally());
    json!({
        "type": "object", "required": ["delivered", "ended", "pending", "accepted", "duplicates", "rejected"], "properties": properties,
    })
}

fn put_metadata() -> Value {
    json!({
        "description": "The input of the API's PutMetadata. Other members are ignored.",
        "type": "object", "required": ["channelArn", "metadata"],
        "properties": {
            "channelArn": {"type": "string", "maxLength": ARN_MAX_CHARS, "pattern": "^arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+$"},
            "metadata": {"type": "string", "minLength": 1, "description": "At most `quota.payload_max_bytes` bytes of UTF-8."},
        },
        "examples": [{"channelArn": "arn:aws:ivs:us-west-2:000000000000:channel/demo", "metadata": "as it is"}],
    })
}

fn stream_notices() -> Value {
    let notice = json!({
        "type": "object",
        "properties": {
            "source": {"type": "string", "description": "`aws.ivs`; any other is ignored."},
            "detail-type": {"type": "string", "description": "`IVS Stream State Change`; any other is ignored."},
            "time": {"type": "string", "description": "RFC 3339: notices may be late, doubled or out of order."},
            "resources": {"type": "array", "items": {"type": "string"}, "description": "The first is the channel's ARN."},
            "detail": {"type": "object", "properties": {"event_name": {"type": "string", "description": "`Stream Start`, `Stream End` or `Stream Failure`; any other is ignored."}}},
        },
        "examples": [{
            "source": "aws.ivs", "detail-type": "IVS Stream State Change", "time": "2026-11-22T15:54:09Z",
            "resources": ["arn:aws:ivs:us-west-2:000000000000:channel/demo"], "detail": {"event_name": "Stream Start"},
        }],
    });
    json!({"description": "What EventBridge sends: one event or an array. Other members are ignored.", "anyOf": [notice, {"type": "array", "items": notice}]})
}
