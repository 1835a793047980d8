//! `GET /openapi.json`: what the doors take and answer, as `OpenAPI` 3.1.
//!
//! Paths, summaries and descriptions are the handlers' own: [`crate::ingest::routes`] mounts nothing
//! that has none. What they name is here: [`params`], [`schemas`] of bodies and [`events`], [`answers`]. It
//! is written by hand, because bodies are read and written without types that could tell.

pub mod answers;
mod definition;
pub mod events;
pub mod params;
pub mod schemas;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use self::answers::{Answers, answers};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

/// The tag of what takes events.
pub const EVENTS: &str = "events";
/// The tag of what acts on channels.
pub const CHANNELS: &str = "channels";
/// The tag of `…/ws`.
pub const SOCKETS: &str = "websocket";
/// The tag of what AWS's own clients and services call.
pub const AWS: &str = "aws";
/// The tag of this document.
pub const DOCUMENT: &str = "document";

/// The name of the security scheme of keys and tokens.
pub const KEY: &str = "key";

/// The name of the security scheme of AWS's signatures.
pub const SIGNATURE: &str = "aws_signature";

/// The name of the secret's security scheme.
pub const SECRET: &str = "eventbridge_secret";

const ABOUT: &str = "\
Cuegate merges events into timed metadata of live video on Amazon IVS, within the API's limits.

A refusal is a problem document (RFC 9457) whose `code` is stable and whose `detail` says what to \
do. On any path, a method that it does not have is answered with 405 `method_not_allowed` and an \
`Allow` header, and a path that is not here with 404 `not_found`. Parameters of the query that an \
operation does not name are refused. A page in a browser whose origin is not allowed gets 403 \
`forbidden`. Every `GET` can be asked as `HEAD`. Every answer has an \
`x-request-id`: the request's own, if it has 1 to 128 visible ASCII characters, else a new one.";

/// The document, built once.
static DOCUMENT_TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let document = super::routes().into_openapi();
    // By way of a tree, whose members have one order in every process.
    let tree = serde_json::to_value(&document).unwrap_or_default();
    Bytes::from(tree.to_string())
});

/// Returns this document.
#[utoipa::path(
    get, path = "/openapi.json", tag = DOCUMENT, operation_id = "getDocument",
    responses(DocumentAnswers), security(())
)]
pub(super) async fn document() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT_TEXT.clone()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// All of the document but its paths. `secret` is the header with `EventBridge`'s secret; `add` adds the
/// schemas of what handlers answer.
#[must_use]
pub fn base(secret: &'static str, add: impl FnOnce(&mut Components)) -> OpenApi {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")))
        .build();
    let info = InfoBuilder::new()
        .title("Cuegate")
        .description(Some(ABOUT))
        .license(Some(license))
        .version(env!("CARGO_PKG_VERSION"));
    let tags = [
        (EVENTS, "Publish and cancel events."),
        (CHANNELS, "Watch and control channels."),
        (SOCKETS, "Events as messages, acknowledged in order."),
        (AWS, "For AWS's own clients and services."),
        (DOCUMENT, "This document."),
    ];
    let tags =
        tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    let mut components = schemas::components();
    add(&mut components);
    components.responses.extend(answers::everywhere());
    let secret = ApiKeyValue::with_description(secret, "The value of `eventbridge.secret`.");
    components.add_security_scheme(SECRET, SecurityScheme::ApiKey(ApiKey::Header(secret)));
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key, or a JSON web token, once any are configured.",
        ));
    components.add_security_scheme(KEY, SecurityScheme::Http(key.build()));
    let signature = ApiKeyValue::with_description(
        "authorization",
        "AWS Signature Version 4 of the service `ivs`, once keys are configured.",
    );
    components.add_security_scheme(SIGNATURE, SecurityScheme::ApiKey(ApiKey::Header(signature)));
    OpenApiBuilder::new()
        .info(info.build())
        .tags(Some(tags))
        .components(Some(components))
        // Nothing, where no keys are configured.
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new::<_, [&str; 0], &str>(KEY, []),
        ]))
        .build()
}

/// Adds the schema of a type, and those that it refers to.
pub fn add<T: ToSchema>(components: &mut Components) {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    components.schemas.extend(all);
}

/// Adds members to a schema.
fn extend(schema: &mut Value, more: Value) {
    if let (Some(members), Value::Object(more)) = (schema.as_object_mut(), more) {
        members.extend(more);
    }
}

/// The methods that documented paths take, as `Allow` names them.
#[must_use]
pub fn allow(paths: &Paths) -> String {
    let methods = paths.paths.values().flat_map(methods);
    methods.collect::<Vec<_>>().join(", ")
}

/// The paths, each with the statuses that it is documented to answer, in order. Those without a
/// valid key are left out: where there are no keys nobody ever gets them.
#[must_use]
pub fn statuses(paths: &Paths) -> Vec<(String, Vec<u16>)> {
    let of = |item: &PathItem| {
        let operations = [&item.get, &item.post, &item.put, &item.delete];
        let responses = operations.into_iter().flatten();
        let responses = responses.flat_map(|operation| operation.responses.responses.keys());
        let statuses = responses.filter_map(|status| status.parse().ok());
        let without_key = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].map(|it| it.as_u16());
        let statuses: BTreeSet<u16> = statuses.filter(|it| !without_key.contains(it)).collect();
        statuses.into_iter().collect()
    };
    let paths = paths.paths.iter();
    paths.map(|(path, item)| (path.clone(), of(item))).collect()
}

fn methods(item: &PathItem) -> impl Iterator<Item = &'static str> + use<> {
    let is_there = [
        ("GET", item.get.is_some()),
        ("HEAD", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    is_there
        .into_iter()
        .filter_map(|(method, there)| there.then_some(method))
}

answers! {
    /// To a question about the document.
    DocumentAnswers: Answers::new().json(200, "An OpenAPI 3.1 document.", json!({"type": "object", "required": ["openapi", "info", "paths"]}));
}
