//! Connections of every listener: accepted within their number, over TLS where there are
//! certificates, served as HTTP/1 or HTTP/2, and ended when the process stops.
//!
//! It knows nothing of events or operators. A connection counts until its socket is closed, as a
//! WebSocket too; who gives way when there are too many is for [`places`](self::permits) to say.

mod date;
pub mod descriptors;
pub mod origins;
pub mod permits;
pub mod progress;
pub mod request_head;
pub mod timeout_io;
pub mod timing;
pub mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::http::header::DATE;
use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};
use tower_service::Service;

use crate::access::Certificate;
use crate::ingest::context::Life;
use crate::ingest::limits::{
    CLOSE_TIME, DISCARD_MAX_BYTES, DISCARD_MAX_TIME, H2_ERRORS_MAX, H2_PING_EVERY, H2_PING_TIMEOUT,
    H2_RESETS_MAX, HEAD_MAX_BYTES, HEAD_TIME, HEADERS_MAX, OVERLOADED_RETRY_MS, TURNED_AWAY_MAX,
};
use crate::refusal::{Code, Refusal};
use crate::telemetry::{Meters, RequestId, Transport};
use date::Date;
use permits::{Permit, Permits};
use timeout_io::{Guarded, TimeoutIo};
use tls::Tls;

/// After a failed `accept` (most likely no file descriptor is left) the next one waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `life` is [`Life::Stopping`], then lets them end within
/// [`CLOSE_TIME`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: Options,
    mut life: watch::Receiver<Life>,
) {
    let server = Arc::new(Server {
        router,
        builder: builder(options.h2_streams),
        options,
        date: Arc::default(),
        life: life.clone(),
    });
    let waiting_room = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = life.wait_for(|life| *life >= Life::Stopping) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = server.options.places.enter(peer.ip()) {
                    connections.spawn(Arc::clone(&server).until_it_gives_way(stream, place));
                } else if server.options.tls.is_none()
                    && let Ok(place) = Arc::clone(&waiting_room).try_acquire_owned()
                {
                    connections.spawn(turn_away(stream, server.options.when_full, place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(CLOSE_TIME, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many at once, and what becomes of any more.
    pub places: Permits,
    /// What those are told who find no place.
    pub when_full: &'static str,
    /// Streams of one HTTP/2 connection at once.
    pub h2_streams: u32,
    /// Over TLS, by these certificates.
    pub tls: Option<Arc<Tls>>,
    /// Where they are counted, if anywhere.
    pub meters: Option<Arc<Meters>>,
}

fn builder(h2_streams: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        // `patience` has the time-outs, and one timer a connection instead of two a request.
        .header_read_timeout(None)
        .max_buf_size(HEAD_MAX_BYTES)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(h2_streams)
        .max_pending_accept_reset_streams(H2_RESETS_MAX)
        .max_local_error_reset_streams(H2_ERRORS_MAX)
        .max_header_list_size(u32::try_from(HEAD_MAX_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    builder
}

struct Server {
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    options: Options,
    date: Arc<Date>,
    life: watch::Receiver<Life>,
}

impl Server {
    /// Serves a connection until it ends, or has to make room for another.
    async fn until_it_gives_way(self: Arc<Self>, stream: TcpStream, place: Permit) {
        let Some(leave) = place.leave() else {
            return self.connection(stream, place).await;
        };
        tokio::select! {
            () = self.connection(stream, place) => {}
            () = leave.notified() => tracing::debug!("an idle connection gave way to another"),
        }
    }

    async fn connection(&self, stream: TcpStream, place: Permit) {
        let meters = self.options.meters.as_deref();
        let open = meters.map(|meters| meters.connections(Transport::Http));
        if let Some(open) = open {
            open.increment(1);
        }
        // Answers are written whole: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        match &self.options.tls {
            None => self.serve(stream, None, place).await,
            Some(tls) => match timeout(HEAD_TIME, tls.accept(stream)).await {
                Ok(Ok((stream, certificate))) => self.serve(stream, certificate, place).await,
                // A client that cannot speak to us has been told why, in TLS's own words.
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
        if let Some(open) = open {
            open.decrement(1);
        }
    }

    /// Serves one connection, of whatever it is made, until it ends or becomes a WebSocket.
    async fn serve(
        &self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        certificate: Option<Certificate>,
        place: Permit,
    ) {
        let progress = place.progress();
        let io = TokioIo::new(TimeoutIo::new(io, Arc::clone(&progress), Some(place)));
        let service = service_fn(|mut request: Request<Incoming>| {
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            let under_way = progress.begin();
            let (progress, date) = (Arc::clone(&progress), Arc::clone(&self.date));
            let answer = match request_head::check(&request) {
                Ok(()) => Ok(self.router.clone().call(request)),
                Err(refusal) => Err(request_head::refuse(&refusal, request.headers())),
            };
            async move {
                let mut response = match answer {
                    Ok(answer) => answer.await?,
                    Err(refusal) => refusal,
                };
                if let Some(date) = date.at(SystemTime::now()) {
                    response.headers_mut().insert(DATE, date);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    progress.exempt();
                }
                Ok::<_, Infallible>(response.map(|body| Guarded::new(body, under_way)))
            }
        });
        let connection = self.builder.serve_connection_with_upgrades(io, service);
        tokio::pin!(connection);
        let mut life = self.life.clone();
        tokio::select! {
            // How a client's connection ends is the client's affair.
            _ = connection.as_mut() => return,
            _ = life.wait_for(|life| *life >= Life::Stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Answers without reading, then reads what comes: over unread bytes the answer would be
/// lost in a reset.
async fn turn_away(mut stream: TcpStream, detail: &'static str, place: OwnedSemaphorePermit) {
    let _place = place;
    let _ = timeout(DISCARD_MAX_TIME, async {
        let refusal = Refusal::new(Code::Overloaded, detail).retry_after(OVERLOADED_RETRY_MS);
        let answer = refusal.raw_response(RequestId::fresh().as_str());
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut left = stream.take(DISCARD_MAX_BYTES as u64);
        tokio::io::copy(&mut left, &mut tokio::io::sink()).await
    })
    .await;
}
