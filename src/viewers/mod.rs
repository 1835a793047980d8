//! The state of channels for viewers who join late: a listener of its own, without keys, for a CDN in
//! front.
//!
//! It changes nothing, makes no channel, and tells nothing of a channel without `state_http`. What is
//! told when, the engine decides.
//!
//! - `page`: the answer of a channel, as bytes;
//! - `pages`: those that were made within the last second;
//! - `elsewhere`: those that other nodes of the cluster make.

mod elsewhere;
mod page;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

use crate::dispatch::{Gateway, Unavailable};
use crate::refusal::{Code, Refusal, problem};
use crate::telemetry::request_id;
use elsewhere::{Asking, PREFIX};
use engine::PublicState;
use page::Page;
use pages::Pages;

/// What a player that is too early should wait, in ms: the next answer may serve it.
const RETRY_MS: u64 = 1000;

/// A page is made once a second, so a copy of it may be as old.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=1");

struct Viewers {
    gateway: Arc<Gateway>,
    pages: Pages,
    asking: Asking,
}

/// `GET /v1/channels/{channel}/state`, and nothing else.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let viewers = Viewers {
        gateway,
        pages: Pages::default(),
        asking: Asking::default(),
    };
    Router::new()
        .route("/v1/channels/{channel}/state", get(state))
        .method_not_allowed_fallback(async || problem::method_not_allowed("GET, HEAD"))
        .fallback(async || nothing())
        .layer(middleware::from_fn(for_everybody))
        .layer(middleware::from_fn(request_id::answer))
        .with_state(Arc::new(viewers))
}

/// The same below [`PREFIX`] for the other nodes of the cluster, each of which keeps a page for a second: none is kept here.
pub fn nodes_router(gateway: Arc<Gateway>) -> Router {
    let path = format!("{PREFIX}/v1/channels/{{channel}}/state");
    Router::new().route(&path, get(fresh)).with_state(gateway)
}

async fn fresh(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Path(name) = path.map_err(|_| nothing())?;
    let channel = gateway.known(&name).ok_or_else(nothing)?;
    if gateway.is_elsewhere(&channel) {
        return Err(Unavailable::Elsewhere.into());
    }
    match gateway.public_state(&channel) {
        PublicState::Off => Err(nothing()),
        PublicState::NotYet => Err(not_yet()),
        PublicState::Told(told) => Ok(Page::new(&told).answer(&headers)),
    }
}

async fn state(
    State(viewers): State<Arc<Viewers>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if query.is_some() {
        // Each one would be another page to a CDN.
        let what = "the state takes no query: leave out what is behind the question mark";
        return Err(Refusal::new(Code::Malformed, what));
    }
    let Path(name) = path.map_err(|_| nothing())?;
    let channel = viewers.gateway.known(&name).ok_or_else(nothing)?;
    if viewers.gateway.others().is_some() && viewers.gateway.is_elsewhere(&channel) {
        let Viewers {
            gateway,
            pages,
            asking,
        } = &*viewers;
        let page = elsewhere::page(gateway, pages, asking, &channel).await?;
        return Ok(page.answer(&headers));
    }
    let now = viewers.gateway.now();
    let ask = || viewers.gateway.public_state(&channel);
    let page = viewers.pages.of(channel.id(), now, ask);
    page.map(|page| page.answer(&headers))
}

/// Whoever asks for a channel that is there and takes no part is told the same.
fn nothing() -> Refusal {
    let what = "there is nothing here; a channel's state is where it has state_http = true";
    Refusal::new(Code::NotFound, what)
}

fn not_yet() -> Refusal {
    let what = "what viewers were sent of late is not known yet: ask again";
    Refusal::new(Code::Overloaded, what).retry_after(RETRY_MS)
}

/// Pages of any origin may read the answers, and caches may keep all of them for a second: what is not
/// there is asked for by every viewer too.
async fn for_everybody(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, CACHED);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
