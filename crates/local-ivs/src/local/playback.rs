//! Playback of live channels as HLS, for players in pages of any origin.
//!
//! It is read-only and shows what every viewer of a channel sees, so it is the one part of `/_local/`
//! that answers every page and every name.

use super::{LocalError, PREFIX};
use crate::arn::ChannelArn;
use crate::context::{Body, Shared};
use crate::playback::{self, Resource};
use crate::state::{Played, Unplayed};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use percent_encoding::percent_decode_str;

/// A segment never changes. Its number is used once, but for an emulator whose clock was set back.
const OF_SEGMENTS: &str = "public, max-age=30";
const OF_PLAYLISTS: &str = "no-cache";

/// The channel, still encoded, and what of it is asked for; `None` if the path is none of playback.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?.strip_prefix("channels/")?;
    let split = rest.rsplit_once('/')?;
    split.1.starts_with("playback").then_some(split)
}

pub(super) fn is_asked(parts: &Parts) -> bool {
    split(parts.uri.path()).is_some()
}

pub(super) fn answer(shared: &Shared, parts: &Parts) -> Response<Body> {
    let answered = match parts.method {
        Method::GET | Method::HEAD => get(shared, parts.uri.path()),
        Method::OPTIONS => Ok(preflight()),
        _ => Err(LocalError::method("GET, HEAD, OPTIONS")),
    };
    let mut response = answered.unwrap_or_else(LocalError::into_response);
    allow(response.headers_mut());
    response
}

fn get(shared: &Shared, path: &str) -> Result<Response<Body>, LocalError> {
    let (arn, name) = split(path).unwrap_or_default();
    let arn = percent_decode_str(arn).decode_utf8_lossy();
    let arn = ChannelArn::parse(&arn)
        .ok_or_else(|| crate::state::ChannelError::NotAnArn(arn.chars().take(200).collect()))?;
    let resource = Resource::parse(name).ok_or_else(|| {
        LocalError::not_found(format!(
            "playback begins with {} and has what that lists",
            playback::MASTER
        ))
    })?;
    let played = shared.state.played(&arn, resource);
    played.map(found).map_err(|why| match why {
        Unplayed::Offline => {
            LocalError::not_found(format!("the channel {} is not live", arn.as_str()))
        }
        Unplayed::Gone => LocalError::not_found("no playlist has this segment any more, or yet"),
        Unplayed::NotYet => {
            LocalError::not_found("the encoder's first segment is not over: try again in a second")
        }
    })
}

fn found(played: Played) -> Response<Body> {
    let cache = if played.is_lasting {
        OF_SEGMENTS
    } else {
        OF_PLAYLISTS
    };
    let mut response = Response::new(Full::new(played.bytes).boxed_unsync());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static(played.media_type);
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// What a browser asks before a request that has headers of a player's own.
fn preflight() -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        // A page from the Internet may ask loopback only with this.
        (
            HeaderName::from_static("access-control-allow-private-network"),
            "true",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn allow(headers: &mut HeaderMap) {
    let every = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, every);
}
