//! The connection of a session: a request that becomes a WebSocket (RFC 6455, section 4.1).

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Method, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::error::Error;
use crate::transport::{Payload, Transport};

/// The subprotocol of this client.
const SUBPROTOCOL: &str = "cuegate.v1";

pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Opens a WebSocket.
///
/// # Errors
/// What any request can fail with; the refusal of the handshake is an [`Error::Refused`].
pub async fn open(transport: &Transport, path: &str) -> Result<Socket, Error> {
    let key = generate_key();
    let accept = derive_accept_key(key.as_bytes());
    let key = HeaderValue::try_from(key).map_err(|error| Error::Usage(error.to_string()))?;
    let payload = Payload {
        headers: vec![
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            (
                SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(SUBPROTOCOL),
            ),
            (SEC_WEBSOCKET_KEY, key),
        ],
        ..Payload::default()
    };
    let response = transport.head(Method::GET, path, payload).await?;
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS
        || accepted.is_none_or(|value| value != accept.as_str())
    {
        return Err(transport.unexpected("the connection did not become a WebSocket"));
    }
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| transport.unreachable(error.to_string()))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}
