//! What nodes of a cluster ask of each other, beside what comes to them from others.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::eventbridge;
use super::json::json_of;
use crate::ingest::context::ApiContext;

/// `GET /cluster/names?known=REVISION`: the channels made by API of this node's accounts; 204: as at that revision.
pub(super) fn routes() -> Router<Arc<ApiContext>> {
    Router::new()
        .route("/cluster/names", get(names))
        .route(eventbridge::NOTICES, post(eventbridge::from_peer))
}

async fn names(State(context): State<Arc<ApiContext>>, RawQuery(query): RawQuery) -> Response {
    let known = query
        .as_deref()
        .and_then(|query| query.strip_prefix("known="));
    let known = known.and_then(|revision| revision.parse().ok());
    match context.gateway.names(known).await {
        Some(names) => json_of(&names),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}
