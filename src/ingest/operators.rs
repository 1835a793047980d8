//! What the console does with channels, below `/admin` of its own address: a browser's page may
//! only speak to where it came from.
//!
//! The handlers are the producers' own, so that an event from the console is checked, counted
//! and answered as any other. What they may be asked by whom is for the admin listener to say.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::watch;

use super::door::{Door, Life, Side};
use super::{control, http, only, payloads};
use crate::access::{BodyBudget, Keyring};
use crate::dispatch::Gateway;
use crate::telemetry::Meters;

/// `/admin/channels` and what is below; whoever is let through to it is an operator. Streams of payloads end when `life` comes to its end.
pub fn operators_router(
    gateway: Arc<Gateway>,
    meters: Arc<Meters>,
    life: watch::Receiver<Life>,
    keyring: &Keyring,
) -> Router {
    let door = Arc::new(Door {
        gateway,
        meters,
        life,
        bodies: BodyBudget::default(),
        access: keyring.subscribe(),
        side: Side::Operators,
    });
    Router::new()
        .route("/admin/channels", only(get(control::search), "GET, HEAD"))
        .route(
            "/admin/channels/{channel}",
            only(get(control::status), "GET, HEAD"),
        )
        .route(
            "/admin/channels/{channel}/events",
            only(
                post(http::publish_to_channel).delete(control::purge),
                "POST, DELETE",
            ),
        )
        .route(
            "/admin/channels/{channel}/pause",
            only(post(control::pause), "POST"),
        )
        .route(
            "/admin/channels/{channel}/resume",
            only(post(control::resume), "POST"),
        )
        .route(
            "/admin/channels/{channel}/payloads",
            only(get(payloads::payloads), "GET, HEAD"),
        )
        .route(
            "/admin/channels/{channel}/payloads/recent",
            only(get(payloads::recent), "GET, HEAD"),
        )
        .with_state(door)
}
