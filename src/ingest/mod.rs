//! Ingest: where producers come in. Their requests become engine events, what becomes of
//! these becomes their answers. What is queued, merged or sent is decided elsewhere.
//!
//! - [`server`]: connections, their [`places`], [`descriptors`] for them, and [`patience`] with slow
//!   ones;
//! - [`http`]: `POST …/events`; [`websocket`]: `…/ws`; [`aws`]: `POST /PutMetadata`;
//!   [`payloads`]: what was delivered, live; [`control`]: status, cancel, purge, pause;
//! - [`operators`]: the same of a channel for the console, at an address of its own;
//! - [`head`], [`media`], [`body`], [`gzip`], [`query`]: the parts of a request; [`share`]: the memory
//!   that unfinished ones may take;
//! - [`batch`], [`event`], [`cloudevents`], [`draft`], [`json`]: events out of bytes;
//! - [`offer`]: events meet the gateway, and the edge's books are kept;
//! - [`visitor`]: who stays longer than a request; [`pages`]: a browser's pages; [`tls`]: the
//!   certificates of the door;
//! - [`refusal`]: THE map from reasons to statuses; [`limits`]: THE list of bounds;
//! - [`openapi`]: what all of this takes and answers, as a document;
//! - [`door`]: what every handler has at hand; [`timing`]: ids, spans and times of requests.

pub mod aws;
pub mod batch;
pub mod body;
pub mod cloudevents;
pub mod control;
pub mod descriptors;
pub mod door;
pub mod draft;
pub mod event;
pub mod eventbridge;
mod events;
pub mod gzip;
pub mod head;
pub mod http;
pub mod json;
pub mod limits;
pub mod media;
pub mod offer;
pub mod openapi;
pub mod operators;
pub mod pages;
pub mod patience;
pub mod payloads;
pub mod places;
pub mod query;
pub mod refusal;
pub mod server;
pub mod share;
#[cfg(test)]
mod tests;
pub mod timing;
pub mod tls;
pub mod visitor;
pub mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::access::{BodyBudget, Keyring};
use crate::dispatch::Gateway;
use crate::telemetry::Meters;
use descriptors::Connections;
pub use door::Life;
use door::{Door, Side};
pub use operators::operators_router;
use refusal::{Refusal, method_not_allowed};
use tls::Tls;

/// How often it is looked whether the gateway drains: a WebSocket hears of it that much later.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// Serves producers until `stop`, then lets their connections end within
/// [`limits::CLOSE_TIME`]. A WebSocket ends as soon as the gateway drains.
pub fn serve<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    meters: Arc<Meters>,
    security: Security,
    stop: S,
) -> impl Future<Output = ()> + Send + use<S> {
    let settings = gateway.settings();
    let connections = Connections::of(&settings);
    connections.tell(&settings);
    let (tell, life) = watch::channel(Life::Serving);
    let router = router(
        Arc::clone(&gateway),
        Arc::clone(&meters),
        life.clone(),
        &security.keyring,
    );
    let server = server::Options {
        places: places::Places::kept(connections.most),
        when_full: connections.when_full(),
        h2_streams: limits::H2_STREAMS_MAX,
        tls: security.tls,
        meters: Some(meters),
    };
    async move {
        let told = async {
            let drain = async {
                while !gateway.is_draining() {
                    sleep(DRAIN_LOOK).await;
                }
                tell.send_replace(Life::Draining);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = stop => {}
                () = drain => {}
            }
            tell.send_replace(Life::Stopping);
        };
        tokio::join!(told, server::serve(listener, router, server, life));
    }
}

/// Who is let in to producers' door, and over what.
#[derive(Clone, Debug)]
pub struct Security {
    /// Who may do what.
    pub keyring: Arc<Keyring>,
    /// Its certificates; none: plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

/// Everything producers can ask for. `life` is told by whoever ends the process.
pub fn router(
    gateway: Arc<Gateway>,
    meters: Arc<Meters>,
    life: watch::Receiver<Life>,
    keyring: &Keyring,
) -> Router {
    let observed = !meters.are_off();
    let door = Arc::new(Door {
        gateway,
        meters,
        life,
        bodies: BodyBudget::default(),
        access: keyring.subscribe(),
        side: Side::Producers,
    });
    let (router, _) = routes().split_for_parts();
    let router = pages::around(router.fallback(nothing_here), &door);
    let router = if observed {
        router.layer(timing::Timing(Arc::clone(&door.meters)))
    } else {
        router
    };
    router.with_state(door)
}

/// Every path with its handlers, as their documentation says.
fn routes() -> OpenApiRouter<Arc<Door>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(documented(routes!(control::list)))
        .routes(documented(routes!(control::status)))
        .routes(documented(routes!(
            http::publish_to_channel,
            control::purge
        )))
        .routes(documented(routes!(
            control::cancel,
            events::replace,
            events::state
        )))
        .routes(documented(routes!(control::pause)))
        .routes(documented(routes!(control::resume)))
        .routes(documented(routes!(payloads::payloads)))
        .routes(documented(routes!(websocket::channel)))
        .routes(documented(routes!(http::publish_anywhere)))
        .routes(documented(routes!(websocket::anywhere)))
        .routes(documented(routes!(eventbridge::post)))
        .routes(documented(routes!(aws::put_metadata)))
        .routes(documented(routes!(openapi::document)))
}

/// A path as it is documented, with its methods only.
fn documented(routes: UtoipaMethodRouter<Arc<Door>>) -> UtoipaMethodRouter<Arc<Door>> {
    let allow = openapi::allow(&routes.1);
    routes.map(|methods| only(methods, allow))
}

/// The methods of a path; any other is a 405 that names them.
fn only(methods: MethodRouter<Arc<Door>>, allow: impl Into<String>) -> MethodRouter<Arc<Door>> {
    let allow = allow.into();
    methods.fallback(move || async move { method_not_allowed(&allow) })
}

async fn nothing_here(State(door): State<Arc<Door>>, method: Method, uri: Uri) -> Response {
    if aws::is_operation(&method, &uri) {
        return aws::unknown_operation(&door);
    }
    Refusal::not_found().into_response()
}
