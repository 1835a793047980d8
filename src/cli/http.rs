//! HTTP requests to the gateway, or to the local IVS.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Error, Target, tls};
use crate::config::Secret;

/// Everything but what may stand in a path segment as it is (RFC 3986, unreserved).
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The largest answer that is read whole: the emulator's longest page has about 10 MiB.
const ANSWER_MAX_BYTES: usize = 64 << 20;
/// How long an answer that is read whole may take; the gateway's own longest wait is shorter.
const ANSWER_TIME: Duration = Duration::from_secs(35);

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, SEGMENT).to_string()
}

/// A path below a channel, by alias or ARN.
pub(super) fn channel_path(channel: &str, rest: &str) -> String {
    format!("/v1/channels/{}/{rest}", segment(channel))
}

/// The `Authorization` of a key or a token.
pub(super) fn bearer(key: &Secret) -> String {
    format!("Bearer {}", key.expose())
}

/// Sends a request and gives the response's head; the body follows as it comes.
pub(super) async fn request(
    target: &Target,
    method: Method,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Response<hyper::body::Incoming>, Error> {
    Session::new(target)?
        .request(method, path, content_type, body.into())
        .await
}

/// Requests to one server over connections that are kept.
#[derive(Clone)]
pub(super) struct Session {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    target: Target,
}

impl Session {
    pub(super) fn new(target: &Target) -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        // Reading the system's certificates takes a while.
        let config = if target.url.starts_with("https:") {
            tls::config(target.proof.ca.as_deref())?
        } else {
            tls::nobody()?
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Arc::unwrap_or_clone(config))
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            target: Target {
                url: target.url.trim_end_matches('/').to_owned(),
                ..target.clone()
            },
        })
    }

    /// Where it sends to.
    pub(super) fn url(&self) -> &str {
        &self.target.url
    }

    /// Where it sends to, and what it shows there.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and gives the response's head.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Response<hyper::body::Incoming>, Error> {
        let url = format!("{}{path}", self.url());
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header("content-type", content_type);
        if let Some(key) = &self.target.proof.api_key {
            request = request.header("authorization", bearer(key));
        }
        let request = request
            .body(Body::from(body))
            .map_err(|error| Error::Usage(format!("{url}: {error}")))?;
        self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            self.unreachable(cause)
        })
    }

    /// The same with the answer read whole.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Error> {
        let asked = async {
            let response = self.request(method, path, content_type, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
            let body = body
                .collect()
                .await
                .map_err(|error| self.unreachable(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(ANSWER_TIME, asked)
            .await
            .unwrap_or_else(|_| Err(self.unreachable("no answer in time".to_owned())))
    }

    /// A JSON document.
    pub(super) async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let (status, body) = self.ask(Method::GET, path, "", Bytes::new()).await?;
        if status != StatusCode::OK {
            return Err(Error::Refused(String::from_utf8_lossy(&body).into_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Error::Refused(format!(
                "{}{path}: not the answer that was expected: {error}",
                self.url()
            ))
        })
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            url: self.url().to_owned(),
            reason,
        }
    }
}
