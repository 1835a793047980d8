//! One HTTP request with one event, on a connection of its own. Decides nothing: whether an
//! answer is worth another try is said here, and done elsewhere.

use super::settings::Destination;
use crate::limits::{EVENT_POST_TIMEOUT, MAX_EVENT_ANSWER_BYTES};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("not a request: {0}")]
    Request(#[from] http::Error),
    #[error("no answer within {} s", EVENT_POST_TIMEOUT.as_secs())]
    Timeout,
    #[error("answered {0}")]
    Refused(StatusCode),
}

impl PostError {
    /// Whether `EventBridge` would try again: it does after 401, 407, 409, 429 and 5xx, and
    /// where there was no answer. Source: the `EventBridge` user guide, "API destinations".
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Timeout => true,
            Self::Request(_) => false,
            Self::Refused(status) => {
                matches!(status.as_u16(), 401 | 407 | 409 | 429) || status.is_server_error()
            }
        }
    }
}

/// Posts a body; `Ok` is a 2xx. Ends within `EVENT_POST_TIMEOUT`.
pub(super) async fn post(destination: &Destination, body: Bytes) -> Result<(), PostError> {
    timeout(EVENT_POST_TIMEOUT, exchange(destination, body))
        .await
        .unwrap_or(Err(PostError::Timeout))
}

async fn exchange(destination: &Destination, body: Bytes) -> Result<(), PostError> {
    let request = request(destination, body)?;
    let stream = TcpStream::connect((destination.host.as_str(), destination.port))
        .await
        .map_err(PostError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ended when this function is, however it ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    // Read, or closing would reset the connection under a server that is still writing.
    let _ = Limited::new(response.into_body(), MAX_EVENT_ANSWER_BYTES)
        .collect()
        .await;
    if status.is_success() {
        Ok(())
    } else {
        Err(PostError::Refused(status))
    }
}

fn request(destination: &Destination, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
    let path = destination.url.path_and_query();
    let authority = destination.url.authority();
    let mut request = Request::post(path.map_or("/", |path| path.as_str()))
        .header(
            header::HOST,
            authority.map_or("", |authority| authority.as_str()),
        )
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, "Amazon/EventBridge/ApiDestinations")
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .body(Full::new(body))?;
    if let Some((name, value)) = &destination.secret {
        request.headers_mut().insert(name, value.clone());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::PostError;
    use http::StatusCode;

    #[test]
    fn what_is_worth_another_try() {
        for (status, expected) in [
            (302, false),
            (400, false),
            (401, true),
            (403, false),
            (404, false),
            (407, true),
            (409, true),
            (413, false),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let error = PostError::Refused(StatusCode::from_u16(status).expect("a status"));
            assert_eq!(error.may_pass(), expected, "{status}");
        }
        assert!(PostError::Timeout.may_pass());
    }
}
