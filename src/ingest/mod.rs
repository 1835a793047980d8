//! Ingest: producers' requests become engine events, and the events' ends become answers. Other rooms
//! decide what is queued, merged and sent.
//!
//! - [`listener`]: connections and everything below HTTP's requests;
//! - [`parse`]: the parts of a request, and events out of its body;
//! - [`api`]: one file for each group of endpoints, and the table of routes;
//! - [`context`]: what every handler has; [`session`]: a caller that stays longer than one request;
//! - [`admission`]: offers events to the gateway and counts them;
//! - [`limits`]: THE list of bounds.

pub mod admission;
pub mod api;
pub mod context;
pub mod limits;
pub mod listener;
pub mod parse;
pub mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::access::Keyring;
use crate::dispatch::Gateway;
use crate::telemetry::Meters;
pub use api::console::operators_router;
pub use api::nodes_router;
use api::router;
pub use context::Life;
use listener::descriptors::Connections;
use listener::permits::Permits;
use listener::tls::Tls;

/// How often it is looked whether the gateway drains: a WebSocket hears of it that much later.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// Serves producers until `stop`, then lets their connections end within
/// [`limits::CLOSE_TIME`]. A WebSocket ends as soon as the gateway drains.
pub fn serve<S: Future<Output = ()> + Send + 'static>(
    socket: TcpListener,
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
    let options = listener::Options {
        places: Permits::kept(connections.most),
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
        tokio::join!(told, listener::serve(socket, router, options, life));
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
