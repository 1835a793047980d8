//! Requests to one gateway over connections that are kept. It retries nothing.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::builder::Builder;
use crate::error::Error;
use crate::limits::ANSWER_MAX_BYTES;
use crate::refusal::Refusal;
use crate::tls;

/// Everything but what may stand in a path segment as it is (RFC 3986, unreserved).
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns a name as one segment of a path, or one value of a query: percent-encoded, for the paths
/// of [`Client::call`](crate::Client::call).
#[must_use]
pub fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, SEGMENT).to_string()
}

/// A path below a channel, by alias or ARN.
pub fn channel_path(channel: &str, rest: &str) -> String {
    format!("/v1/channels/{}{rest}", segment(channel))
}

/// What a request carries.
#[derive(Default)]
pub struct Payload {
    pub content_type: Option<&'static str>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

/// Requests to one gateway.
#[derive(Clone)]
pub struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    authorization: Option<HeaderValue>,
    answer_time: Duration,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Transport")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub fn new(builder: &Builder) -> Result<Self, Error> {
        let url = checked(&builder.url)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(builder.connect_time));
        // Reading the system's certificates takes a while.
        let config = if url.starts_with("https:") {
            tls::config(builder.ca.as_deref())?
        } else {
            tls::nobody()?
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url,
            authorization: builder.key.as_deref().map(bearer).transpose()?,
            answer_time: builder.answer_time,
        })
    }

    /// Where it sends to, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and returns the response's head; the body follows as it comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<Response<Incoming>, Error> {
        let url = format!("{}{path}", self.url);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(headers) = request.headers_mut() {
            if let Some(content_type) = payload.content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            if let Some(authorization) = &self.authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            headers.extend(payload.headers);
        }
        let request = request
            .body(Full::new(payload.body))
            .map_err(|error| Error::Usage(format!("{url}: {error}")))?;
        self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            self.unreachable(cause)
        })
    }

    /// The same within the time for an answer, with what is no success as an error.
    pub async fn head(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<Response<Incoming>, Error> {
        self.in_time(async {
            let response = self.send(method, path, payload).await?;
            let status = response.status();
            if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(response);
            }
            let (head, body) = response.into_parts();
            let body = self.whole(body).await?;
            Err(Refusal::read(head.status, &head.headers, &body).into())
        })
        .await
    }

    /// The same with the answer read whole.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Error> {
        self.in_time(async {
            let (head, body) = self.head(method, path, payload).await?.into_parts();
            Ok((head.status, head.headers, self.whole(body).await?))
        })
        .await
    }

    /// A JSON document.
    pub async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let (_, _, body) = self.ask(Method::GET, path, Payload::default()).await?;
        self.parse(&body)
    }

    /// An answer as its type.
    pub fn parse<T: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| self.unexpected(error.to_string()))
    }

    pub fn unreachable(&self, reason: impl Into<String>) -> Error {
        Error::Unreachable {
            url: self.url.clone(),
            reason: reason.into(),
        }
    }

    pub fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::Unexpected {
            url: self.url.clone(),
            what: what.into(),
        }
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, Error> {
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|error| self.unreachable(error.to_string()))?;
        Ok(body.to_bytes())
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.answer_time, asked)
            .await
            .unwrap_or_else(|_| Err(self.unreachable("no answer in time")))
    }
}

/// The address without a slash at its end.
fn checked(url: &str) -> Result<String, Error> {
    let wrong = |what: &str| Error::Usage(format!("{url}: {what}"));
    let uri: http::Uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.query().is_none() => Ok(url.trim_end_matches('/').to_owned()),
        Some("http" | "https") => Err(wrong("an address without a query is needed")),
        _ => Err(wrong(
            "an address that begins with http:// or https:// is needed",
        )),
    }
}

fn bearer(key: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {key}"))
        .ok()
        .filter(|_| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| Error::Usage("a key has visible ASCII characters only".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_keys_are_checked_before_anything_is_sent() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://cues.example/", Some("https://cues.example")),
            ("http://[::1]:8080/base/", Some("http://[::1]:8080/base")),
            ("127.0.0.1:8080", None),
            ("ftp://example", None),
            ("http://example/?a=b", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(checked(url).ok().as_deref(), expected, "{url}");
        }
        assert!(bearer("cuegate_0123").is_ok());
        for key in ["", "a b", "é", "a\nb"] {
            assert!(bearer(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn names_are_one_segment() {
        assert_eq!(channel_path("quiz", "/events"), "/v1/channels/quiz/events");
        assert_eq!(
            channel_path("arn:aws:ivs:us-west-2:1:channel/a", ""),
            "/v1/channels/arn%3Aaws%3Aivs%3Aus-west-2%3A1%3Achannel%2Fa"
        );
    }
}
