//! The opening handshake of RFC 6455, section 4.2, over HTTP/1.1.
//!
//! It looks at the request's head and nothing else.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::refusal::{Code, Refusal};

/// The subprotocol, taken where the client offers it.
const SUBPROTOCOL: &str = "cuegate.v1";

/// The response that switches protocols.
///
/// # Errors
/// The response that says what is wrong with the handshake.
#[expect(
    clippy::result_large_err,
    reason = "both ways it is the answer to a request"
)]
pub fn answer(request: &Request) -> Result<Response, Response> {
    let headers = request.headers();
    if !has_token(headers, &CONNECTION, "upgrade") || !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refusal::malformed("not a WebSocket handshake").into_response());
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let refusal = Refusal::new(Code::UpgradeRequired, "Sec-WebSocket-Version is not 13");
        let mut response = refusal.into_response();
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(response);
    }
    let accept = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok())
        .ok_or_else(|| {
            Refusal::malformed("Sec-WebSocket-Key is not 16 bytes in Base64").into_response()
        })?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        answer.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    Ok(response)
}

/// Whether it is Base64 of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==")
        .is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

/// Whether a comma-separated header holds a token, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.any(|value| {
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    })
}
