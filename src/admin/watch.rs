//! Channels as the console plays them: in local mode the emulator's playback, at the console's own address, else
//! what the configuration says.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Admin;
use crate::refusal::{Code, Refusal};

/// A playlist or a segment.
#[derive(Clone, Debug)]
pub struct Played {
    /// The bytes of it.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: &'static str,
}

/// Where a picture is.
#[derive(Serialize)]
pub(super) struct Place {
    /// A path of this listener, or a URL; none: the channel has no picture here.
    url: Option<String>,
}

/// `GET /admin/playback/{channel}`.
pub(super) async fn place(
    State(admin): State<Arc<dyn Admin>>,
    path: Result<Path<String>, PathRejection>,
) -> Json<Place> {
    let url = path
        .ok()
        .and_then(|Path(channel)| admin.playback_url(&channel));
    Json(Place { url })
}

/// `GET /admin/playback/{channel}/{file}`: `playback.m3u8`, and what that lists.
pub(super) async fn playback(
    State(admin): State<Arc<dyn Admin>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let found = path
        .ok()
        .and_then(|Path((channel, file))| admin.playback(&channel, &file));
    let Some(Played { bytes, media_type }) = found else {
        let detail = "this is not played: only live channels are, and only in local mode";
        return Err(Refusal::new(Code::NotFound, detail));
    };
    Ok(([(CONTENT_TYPE, media_type)], bytes).into_response())
}
