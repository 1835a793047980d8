//! The HTTP client under the SDK: the SDK's own but for its sockets.
//!
//! What a process wrote and the network did not take yet is sent by the kernel, even after the process was
//! killed: calls that nobody counts any more. So each socket forgets that as soon as it is closed, and gives
//! up what the other end has not acknowledged in the time of a call.
//!
//! Through a proxy the SDK's own client calls: what the proxy took is the proxy's.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_ivs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_ivs::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_ivs::error::{BoxError, ConnectorError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{self, CaptureConnection, capture_connection};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};
use tower_service::Service;

/// How long a connection may idle before we close it. A server that closes it first can do so
/// while a call is on its way, which then ends as unknown. AWS's load balancers idle out after
/// 60 s by default, nginx after 75 s, so 15 s is ours with room for a slow network; a busy
/// channel calls five times a second and never gets there.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Most idle connections of one client: one for each call an account may have in flight, so
/// that a full second's burst finds them all warm.
const POOL_IDLE_MAX: usize = 155;

/// How a connection is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long that may take.
    pub connect: Duration,
    /// How long what was sent may stay unacknowledged.
    pub call: Duration,
}

/// A client with a pool of its own.
///
/// A call that finds its pooled connection closed before a byte of it was written goes on
/// another one (hyper does that by itself); one that was written in part does not.
pub(super) fn http_client(limits: Limits) -> SharedHttpClient {
    let tls = match &*TLS {
        Ok(tls) => Arc::clone(tls),
        // Of a cryptography that has nothing to offer; the SDK's client says so with each call.
        Err(_) => return proxied(),
    };
    SharedHttpClient::new(Direct {
        client: client(limits, tls),
        proxies: Arc::new(Matcher::from_env()),
        proxied: proxied(),
    })
}

/// Calls without a proxy itself, and hands on those with one.
#[derive(Clone, Debug)]
struct Direct {
    client: Client<Connector, SdkBody>,
    proxies: Arc<Matcher>,
    proxied: SharedHttpClient,
}

impl HttpClient for Direct {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Calls {
            direct: self.clone(),
            proxied: self.proxied.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct Calls {
    direct: Direct,
    proxied: SharedHttpConnector,
}

impl HttpConnector for Calls {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().parse();
        if uri.is_ok_and(|uri: Uri| self.direct.proxies.intercept(&uri).is_some()) {
            return self.proxied.call(request);
        }
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let answered = self.direct.client.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answered.await.map_err(failed)?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// What the SDK may do with a connection: have it used no more.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    let metadata = ConnectionMetadata::builder()
        .proxied(false)
        .poison_fn(poison);
    Some(metadata.build())
}

/// In the SDK's words.
fn failed(error: hyper_util::client::legacy::Error) -> ConnectorError {
    let first: &(dyn std::error::Error + 'static) = &error;
    let mut causes = std::iter::successors(Some(first), |&error| error.source());
    if causes.any(<dyn std::error::Error>::is::<NotInTime>) {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

fn client(limits: Limits, tls: Arc<ClientConfig>) -> Client<Connector, SdkBody> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .build(Connector {
            https: HttpsConnector::from((Sockets::new(limits.call), tls)),
            patience: limits.connect,
        })
}

/// The SDK's default client but for the bounds of its pool.
fn proxied() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = aws_smithy_http_client::Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// The system's authorities, read once.
static TLS: LazyLock<Result<Arc<ClientConfig>, Error>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
});

/// Makes connections, TCP and TLS, within a time.
#[derive(Clone, Debug)]
struct Connector {
    https: HttpsConnector<Sockets>,
    patience: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("HTTP connect timeout occurred after {0:?}")]
struct NotInTime(Duration);

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connected, patience) = (self.https.call(to), self.patience);
        Box::pin(async move {
            let connected = tokio::time::timeout(patience, connected).await;
            connected.unwrap_or_else(|_| Err(NotInTime(patience).into()))
        })
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes sockets that send nothing once they are closed.
#[derive(Clone, Debug)]
pub(super) struct Sockets(connect::HttpConnector);

impl Sockets {
    /// What was sent may stay unacknowledged for so long.
    pub(super) fn new(unacknowledged: Duration) -> Self {
        let mut sockets = connect::HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_nodelay(true);
        #[cfg(target_os = "linux")]
        sockets.set_tcp_user_timeout(Some(unacknowledged));
        #[cfg(not(target_os = "linux"))]
        let _ = unacknowledged;
        Self(sockets)
    }
}

impl Service<Uri> for Sockets {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connected = self.0.call(to);
        Box::pin(async move {
            let socket = connected.await?;
            socket.inner().set_zero_linger()?;
            Ok(socket)
        })
    }
}
