//! What the console does with channels, below `/admin` of its own address: a browser's page may
//! only speak to where it came from.
//!
//! The handlers are the producers' own, so that an event from the console is checked, counted
//! and answered as any other. What they may be asked by whom is for the admin listener to say.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::watch;

use super::only;
use super::{anywhere, channels, definitions, events, payloads, publish, state};
use crate::access::{BodyBudget, Keyring};
use crate::dispatch::Gateway;
use crate::ingest::context::{ApiContext, Life, Listener};
use crate::telemetry::Meters;

/// `/admin/channels` and what is below; whoever is let through to it is an operator. Streams of payloads end when `life` comes to its end.
pub fn operators_router(
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
        side: Listener::Operators,
    });
    anywhere::around(routes(), &context).with_state(context)
}

/// `/admin/channels` and what is below.
pub(super) fn routes() -> Router<Arc<ApiContext>> {
    Router::new()
        .route("/admin/channels", only(get(channels::search), "GET, HEAD"))
        .route(
            "/admin/channels/{channel}",
            only(
                get(channels::status)
                    .put(definitions::put)
                    .delete(definitions::delete),
                "GET, HEAD, PUT, DELETE",
            ),
        )
        .route(
            "/admin/channels/{channel}/events",
            only(
                get(events::list)
                    .post(publish::publish_to_channel)
                    .delete(channels::purge),
                "GET, HEAD, POST, DELETE",
            ),
        )
        .route(
            "/admin/channels/{channel}/events/{id}",
            only(
                get(events::state)
                    .put(events::replace)
                    .delete(channels::cancel),
                "GET, HEAD, PUT, DELETE",
            ),
        )
        .route(
            "/admin/channels/{channel}/state",
            only(get(state::kept).delete(state::delete), "GET, HEAD, DELETE"),
        )
        .route(
            "/admin/channels/{channel}/pause",
            only(post(channels::pause), "POST"),
        )
        .route(
            "/admin/channels/{channel}/resume",
            only(post(channels::resume), "POST"),
        )
        .route(
            "/admin/channels/{channel}/payloads",
            only(get(payloads::payloads), "GET, HEAD"),
        )
        .route(
            "/admin/channels/{channel}/payloads/recent",
            only(get(payloads::recent), "GET, HEAD"),
        )
}
