//! One request at a time to one endpoint, over a connection that is kept.
//!
//! No redirect is followed and no proxy is asked: the connection leads to the address that was looked at.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::address::{is_public, not_public};
use super::endpoint::Endpoint;

/// More of an answer is not read: nobody looks at it, and the connection is not used again.
const ANSWER_MAX_BYTES: usize = 64 << 10;

type Sending = SendRequest<Full<Bytes>>;

/// The way to an endpoint.
#[derive(Default)]
pub(super) struct Client {
    kept: Option<(Arc<Endpoint>, Sending)>,
    tls: Option<TlsConnector>,
}

impl Client {
    /// Sends a request and has its answer's head.
    ///
    /// # Errors
    /// There is none, in words.
    pub(super) async fn post(
        &mut self,
        endpoint: &Arc<Endpoint>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap), String> {
        let timeout = endpoint.settings.timeout;
        let exchange = self.exchange(endpoint, request);
        let late = |_| format!("no answer within {} ms", timeout.as_millis());
        tokio::time::timeout(timeout, exchange)
            .await
            .map_err(late)?
    }

    async fn exchange(
        &mut self,
        endpoint: &Arc<Endpoint>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap), String> {
        // Whatever goes wrong, or is given up, below: that connection is not used again.
        if let Some(mut kept) = self.kept(endpoint).await
            && let Ok(answer) = kept.send_request(request.clone()).await
        {
            return self.read(endpoint, kept, answer).await;
        }
        // None was kept, or the endpoint has closed it meanwhile; a message that arrives twice has the same id.
        let mut new = self.connect(endpoint).await?;
        let answer = new.send_request(request).await;
        let answer = answer.map_err(|error| causes(&error))?;
        self.read(endpoint, new, answer).await
    }

    async fn kept(&mut self, endpoint: &Arc<Endpoint>) -> Option<Sending> {
        let (of, mut kept) = self.kept.take()?;
        let is_same = Arc::ptr_eq(&of, endpoint);
        (is_same && kept.ready().await.is_ok()).then_some(kept)
    }

    /// Reads an answer to its end, so that the connection can be used again.
    async fn read(
        &mut self,
        endpoint: &Arc<Endpoint>,
        sending: Sending,
        answer: http::Response<hyper::body::Incoming>,
    ) -> Result<(StatusCode, HeaderMap), String> {
        let (head, body) = answer.into_parts();
        if Limited::new(body, ANSWER_MAX_BYTES).collect().await.is_ok() {
            self.kept = Some((Arc::clone(endpoint), sending));
        }
        Ok((head.status, head.headers))
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<Sending, String> {
        let stream = connect(endpoint).await?;
        // It is one small message; waiting to fill a packet only delays it.
        let _ = stream.set_nodelay(true);
        if !endpoint.is_tls() {
            return speak(stream).await;
        }
        let name = ServerName::try_from(endpoint.host().to_owned());
        let name = name.map_err(|error| error.to_string())?;
        let tls = self.tls()?.connect(name, stream).await;
        speak(tls.map_err(|error| causes(&error))?).await
    }

    /// TLS by the system's authorities, which are read when they are first needed.
    fn tls(&mut self) -> Result<TlsConnector, String> {
        if let Some(tls) = &self.tls {
            return Ok(tls.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this system has no authorities for TLS".to_owned());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(self.tls.insert(tls).clone())
    }
}

/// Connects to the first address of the endpoint that answers, of those that may be connected to.
async fn connect(endpoint: &Endpoint) -> Result<TcpStream, String> {
    let addresses = lookup_host((endpoint.host(), endpoint.port())).await;
    let addresses: Vec<SocketAddr> = addresses.map_err(|error| error.to_string())?.collect();
    let mut failed = "its name has no address".to_owned();
    for address in addresses {
        if !endpoint.settings.allow_private && !is_public(address.ip()) {
            failed = not_public(address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = unreachable(address, &error),
        }
    }
    Err(failed)
}

fn unreachable(address: SocketAddr, error: &io::Error) -> String {
    format!("{address}: {error}")
}

async fn speak<S>(stream: S) -> Result<Sending, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let spoken = handshake(TokioIo::new(stream)).await;
    let (sending, connection) = spoken.map_err(|error| causes(&error))?;
    tokio::spawn(async move {
        // Its requests fail, and say why.
        let _ = connection.await;
    });
    Ok(sending)
}

/// An error with everything it came from.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        // Writing to a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!(": {error}"));
        next = error.source();
    }
    text
}
