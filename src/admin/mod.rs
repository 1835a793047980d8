//! The operators' listeners: metrics and health on one, administration and the console on the
//! other.
//!
//! It must never know how a scrape, a drain or a reload is done: it asks an [`Admin`]. What
//! the console does with channels is the producers' own routes, handed in by who builds both.
//!
//! - `console`: the page and its files; `views`: what it shows beside channels;
//! - `watch`: what plays a channel in the console;
//! - `guard`: who may speak to the admin listener through a browser, and what its answers may do;
//! - `by`: who sent a request, for the log;
//! - `letters`: dead letters.

mod by;
mod console;
mod guard;
mod letters;
#[cfg(test)]
mod tests;
mod views;
mod watch;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::access::Keyring;
use crate::clock::Clock;
use crate::dispatch::{LetterFilter, ShownLetter};
use crate::refusal::{Code, Refusal};
use crate::telemetry::{Meters, Snapshot, Telemetry, request_id};
use by::By;
pub use letters::{PATH as DEAD_LETTERS, Purged};
pub use views::{ClusterView, Figures, Losses, NodeView, OVERVIEW, Overview, OwnedAccount};
pub use watch::Played;

/// What the listeners ask of the gateway.
pub trait Admin: Send + Sync + 'static {
    /// Queues and accounts at one moment, for a scrape. Blocks while it looks: called on a
    /// thread that may.
    fn snapshot(&self) -> Snapshot;

    /// Whether events can be accepted.
    fn readiness(&self) -> Readiness;

    /// Reads the configuration again and applies it, whole or not at all.
    fn reload(&self) -> Reloading<'_>;

    /// How it all stands, in a few figures.
    fn overview(&self) -> Pin<Box<dyn Future<Output = Overview> + Send + '_>>;

    /// Why events were refused or lost. Blocks while it looks, as [`Admin::snapshot`].
    fn losses(&self) -> Losses;

    /// Where the console finds the picture of a channel, which is known by any of its names; `None`: nowhere.
    fn playback_url(&self, channel: &str) -> Option<String>;

    /// The origins beside this listener's own that such pictures come from.
    fn playback_origins(&self) -> Vec<String>;

    /// A playlist or a segment of a channel, which is known by any of its names; `None`: there is none, as in `aws` mode.
    fn playback(&self, channel: &str, file: &str) -> Option<Played>;

    /// The settings in force, without anything secret.
    fn config(&self) -> serde_json::Value;

    /// A page of the dead letters that fit.
    fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Doing<'_, DeadLetterPage>;

    /// Accepts the events of dead letters once more.
    fn replay(&self, filter: LetterFilter) -> Doing<'_, ReplayReport>;

    /// Forgets dead letters; the answer is how many.
    fn purge(&self, filter: LetterFilter) -> Doing<'_, usize>;
}

/// Work under way, or why it could not be done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Some dead letters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// Oldest first.
    pub dead_letters: Vec<ShownLetter>,
    /// How many there are, whether they fit or not.
    pub total: usize,
    /// What `after` must be for the next page; none: there is no more.
    pub next: Option<u64>,
}

/// What became of dead letters that were replayed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Accepted again: they are no dead letters any more.
    pub replayed: usize,
    /// Those that were not, and stay.
    pub refused: Vec<ReplayRefusal>,
}

impl ReplayReport {
    /// With those of other accounts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.replayed += other.replayed;
        self.refused.extend(other.refused);
        self
    }
}

/// A dead letter that was not accepted again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayRefusal {
    /// Its id.
    pub id: u64,
    /// As in an answer to a producer.
    pub code: String,
    /// Why, for people.
    pub detail: String,
}

/// A reload under way: what it did, or every error of the configuration.
pub type Reloading<'a> =
    Pin<Box<dyn Future<Output = Result<ReloadReport, Vec<String>>> + Send + 'a>>;

/// The body of `/readyz`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Readiness {
    /// Whether events can be accepted: the status is 200, else 503.
    pub ready: bool,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// While draining: how long what is queued takes at the present pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// Why the journal takes no events, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<&'static str>,
    /// Why the queues take no events, if they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<&'static str>,
    /// Why this node of a cluster takes no events, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<&'static str>,
    /// Every account in use. One that cannot send does not make the process unready.
    pub accounts: Vec<AccountReadiness>,
}

/// An account, as `/readyz` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct AccountReadiness {
    /// The account's id.
    pub account: String,
    /// The region.
    pub region: String,
    /// Whether calls can be made with its credentials, as far as is known.
    pub up: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a reload did, for whoever asked for it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReloadReport {
    /// What changed, a line each; empty: the file says what is in force already.
    pub changes: Vec<String>,
    /// What changed in the file but needs a restart, a line each.
    pub needs_restart: Vec<String>,
    /// What could not be done, because a bound is reached, a line each. Another reload tries again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// `/metrics`, `/healthz` and `/readyz`.
pub fn metrics_router(telemetry: Arc<Telemetry>, admin: Arc<dyn Admin>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(axum::middleware::from_fn(request_id::answer))
        .with_state((telemetry, admin))
}

/// What the other nodes of a cluster ask of this one. `admin` asks no other.
pub fn nodes_router(admin: Arc<dyn Admin>) -> Router {
    Router::new()
        .route(OVERVIEW, get(views::overview))
        .merge(dead_letters())
        .with_state(admin)
}

fn dead_letters() -> Router<Arc<dyn Admin>> {
    let methods = get(letters::list)
        .post(letters::replay)
        .delete(letters::purge);
    Router::new().route(letters::PATH, methods)
}

/// The console and `/admin/*`, for a listener on this address; once there are keys, for those with
/// the scope `admin`. `channels` is what producers may ask of channels, below `/admin/channels`.
pub fn admin_router(
    admin: Arc<dyn Admin>,
    channels: Router,
    listen: SocketAddr,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
) -> Router {
    let pictures = Arc::clone(&admin);
    let router = Router::new()
        .route(OVERVIEW, get(views::overview))
        .route("/admin/refusals", get(views::refusals))
        .route("/admin/config", get(views::config))
        .route("/admin/playback/{channel}", get(watch::place))
        .route("/admin/playback/{channel}/{file}", get(watch::playback))
        .route("/admin/reload", post(reload))
        .merge(dead_letters())
        .with_state(admin)
        .merge(channels)
        .merge(console::router())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(axum::middleware::from_fn(request_id::answer));
    guard::around(router, listen, pictures, keyring, clock, meters)
}

/// The text format's own media type.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn metrics(State((telemetry, admin)): State<(Arc<Telemetry>, Arc<dyn Admin>)>) -> Response {
    // Thousands of channels take milliseconds, which producers would wait for.
    let scrape = tokio::task::spawn_blocking(move || telemetry.scrape(|| admin.snapshot()));
    match scrape.await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the scrape failed");
            Refusal::new(Code::Internal, "the scrape failed; see the log").into_response()
        }
    }
}

async fn readyz(State((_, admin)): State<(Arc<Telemetry>, Arc<dyn Admin>)>) -> Response {
    let readiness = admin.readiness();
    let ready = readiness.ready && !readiness.draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, ..readiness })).into_response()
}

async fn reload(State(admin): State<Arc<dyn Admin>>, by: By) -> Response {
    by.actor().reloads();
    match admin.reload().await {
        Ok(report) => Json(report).into_response(),
        Err(errors) => {
            let detail = "the configuration has errors; nothing was changed";
            let errors = serde_json::Value::from(errors);
            Refusal::new(Code::InvalidConfiguration, detail)
                .problem(&format!(r#","errors":{errors}"#))
        }
    }
}

async fn not_found(uri: Uri) -> Refusal {
    let detail = format!("there is nothing at {}", uri.path());
    Refusal::new(Code::NotFound, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not take {method}", uri.path());
    Refusal::new(Code::MethodNotAllowed, detail)
}
