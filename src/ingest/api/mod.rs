//! The endpoints, one file for each group, and the table of routes. The router, the `OpenAPI` document, the
//! `Allow` headers and the labels of metrics come from this table.

mod anywhere;
pub mod channels;
mod cluster;
pub mod console;
mod definitions;
mod ends;
pub mod eventbridge;
mod events;
mod follow;
pub mod json;
pub mod openapi;
pub mod payloads;
pub mod publish;
pub mod put_metadata;
mod state;
pub mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::sync::watch;
use utoipa::openapi::schema::Components;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::access::{BodyBudget, Keyring};
use crate::dispatch::{ChannelReport, Gateway};
use crate::ingest::context::{ApiContext, Life, Listener};
use crate::ingest::listener::{origins, timing};
use crate::refusal::Refusal;
use crate::refusal::problem::method_not_allowed;
use crate::telemetry::Meters;

/// Everything producers can ask for. `life` is told by whoever ends the process.
pub fn router(
    gateway: Arc<Gateway>,
    meters: Arc<Meters>,
    life: watch::Receiver<Life>,
    keyring: &Arc<Keyring>,
) -> Router {
    let observed = !meters.are_off();
    let context = Arc::new(ApiContext {
        gateway,
        meters,
        life,
        bodies: BodyBudget::default(),
        access: keyring.subscribe(),
        keyring: Arc::clone(keyring),
        side: Listener::Producers,
    });
    let (router, document) = routes().split_for_parts();
    context
        .meters
        .list_routes(openapi::statuses(&document.paths));
    let router = anywhere::around(router, &context);
    let router = origins::around(router.fallback(nothing_here), &context);
    let router = if observed {
        router.layer(timing::Timing(Arc::clone(&context.meters)))
    } else {
        router
    };
    router.with_state(context)
}

/// What other nodes of the cluster ask of this one, of those whom they let in: what producers can ask for, and
/// operators of channels.
pub fn nodes_router(
    gateway: Arc<Gateway>,
    meters: Arc<Meters>,
    life: watch::Receiver<Life>,
    keyring: &Arc<Keyring>,
) -> Router {
    let context = Arc::new(ApiContext {
        gateway,
        meters,
        life,
        bodies: BodyBudget::default(),
        access: keyring.subscribe(),
        keyring: Arc::clone(keyring),
        side: Listener::Nodes,
    });
    let (router, _) = routes().split_for_parts();
    let router = router.merge(console::routes()).merge(cluster::routes());
    router.with_state(context)
}

/// Every path with its handlers, as their documentation says.
fn routes() -> OpenApiRouter<Arc<ApiContext>> {
    OpenApiRouter::with_openapi(openapi::base(eventbridge::SECRET, answered))
        .routes(documented(routes!(channels::list)))
        .routes(documented(routes!(
            channels::status,
            definitions::put,
            definitions::delete
        )))
        .routes(documented(routes!(
            publish::publish_to_channel,
            channels::purge,
            events::list
        )))
        .routes(documented(routes!(
            channels::cancel,
            events::replace,
            events::state
        )))
        .routes(documented(routes!(channels::pause)))
        .routes(documented(routes!(channels::resume)))
        .routes(documented(routes!(state::get, state::delete)))
        .routes(documented(routes!(payloads::payloads)))
        .routes(documented(routes!(ends::ends)))
        .routes(documented(routes!(websocket::channel)))
        .routes(documented(routes!(publish::publish_anywhere)))
        .routes(documented(routes!(websocket::anywhere)))
        .routes(documented(routes!(eventbridge::post)))
        .routes(documented(routes!(put_metadata::put_metadata)))
        .routes(documented(routes!(openapi::document)))
}

/// The schemas of what handlers answer.
fn answered(components: &mut Components) {
    openapi::add::<channels::Page>(components);
    openapi::add::<events::Report>(components);
    openapi::add::<events::QueuePage>(components);
    openapi::add::<ends::Shown<'_>>(components);
    openapi::add::<ChannelReport>(components);
    openapi::add::<state::StateReport>(components);
    openapi::add::<state::KeyState>(components);
}

/// A path as it is documented, with its methods only.
fn documented(routes: UtoipaMethodRouter<Arc<ApiContext>>) -> UtoipaMethodRouter<Arc<ApiContext>> {
    let allow = openapi::allow(&routes.1);
    routes.map(|methods| only(methods, allow))
}

/// The methods of a path; any other is a 405 that names them.
fn only(
    methods: MethodRouter<Arc<ApiContext>>,
    allow: impl Into<String>,
) -> MethodRouter<Arc<ApiContext>> {
    let allow = allow.into();
    methods.fallback(move || async move { method_not_allowed(&allow) })
}

async fn nothing_here(
    State(context): State<Arc<ApiContext>>,
    method: Method,
    uri: Uri,
) -> Response {
    if put_metadata::is_operation(&method, &uri) {
        return put_metadata::unknown_operation(&context);
    }
    Refusal::not_found().into_response()
}
