//! The server: its socket, its connections, and what they share.
//!
//! | room | what it holds |
//! |---|---|
//! | `request` | the way of one request; carries out what `faults` drew |
//! | `headers` | what all answers of the API have, for browsers |
//! | `body` | reading a body within its bounds |
//!
mod body;
mod headers;
mod request;

use crate::connection::{Connection, ResetOrder};
use crate::context::{Closing, Shared};
use crate::events::{self, Bus, EventReceiver, EventsError};
use crate::faults::Faults;
use crate::guard::Guard;
use crate::ingest;
use crate::limits::{IDLE_TIMEOUT, MAX_BODY_BYTES, MAX_CONNECTIONS, SHUTDOWN_GRACE};
use crate::options::{Options, PlaybackUrl};
use crate::saver::Saver;
use crate::state::{ChannelError, Snapshot, State};
use crate::store::{DataError, Store};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address could not be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The address for encoders could not be listened on.
    #[error("ingest: {0}: cannot listen: {1}")]
    Ingest(String, #[source] io::Error),
    /// A live channel of the options could not be made.
    #[error("live channel: {0}")]
    Channel(#[from] ChannelError),
    /// The data directory cannot be used.
    #[error("{0}")]
    Data(#[from] DataError),
    /// A limit of the options is out of its bounds; the text says which and what it may be.
    #[error("{0}")]
    Rates(String),
    /// The place for events is not one; the text says what it may be.
    #[error("events: {0}")]
    Events(#[from] EventsError),
}

/// A part of the server panicked, which is a bug; it cannot go on without it.
#[derive(Debug, thiserror::Error)]
#[error("a part of the emulator ended early: {0}")]
pub struct ServeError(#[from] JoinError);

/// A bound emulator that is not serving yet.
pub struct Server {
    listener: TcpListener,
    /// Where encoders connect.
    ingest: Option<TcpListener>,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    events: EventReceiver,
    saver: Option<Saver>,
}

impl Server {
    /// Binds an address; connections wait until [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// [`BindError`]: the address is taken, or an option is wrong.
    pub async fn bind(addr: impl ToSocketAddrs, options: Options) -> Result<Self, BindError> {
        let rates = options.rates.check().map_err(BindError::Rates)?;
        let bus = Bus::new(options.events.as_ref())?;
        let (events, events_seen) = bus.queue();
        let state = Arc::new(State::new(options.clock, rates, options.seed, events));
        let store = options.data_dir.as_deref().map(Store::open).transpose()?;
        let store = store
            .map(|(store, kept)| restore(&state, store, kept))
            .transpose()?;
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let ingest = match options.ingest {
            Some(addr) => {
                let bound = TcpListener::bind(&addr).await;
                Some(bound.map_err(|error| BindError::Ingest(addr, error))?)
            }
            None => None,
        };
        state.set_playback_origin(origin(options.playback_url, local_addr));
        for arn in &options.live_channels {
            state.set_live(arn)?;
        }
        let (saver, progress) = store
            .map(|store| Saver::new(store, Arc::clone(&state)))
            .unzip();
        let (closing, closing_seen) = watch::channel(false);
        Ok(Self {
            listener,
            ingest,
            local_addr,
            shared: Arc::new(Shared::new(
                state,
                options.keys,
                Faults::new(options.seed),
                Arc::new(bus),
                Closing::new(closing_seen),
                Guard::new(local_addr.ip(), options.allow_hosts),
                progress,
            )),
            closing,
            events: events_seen,
            saver,
        })
    }

    /// The address it listens on, with the port that was given for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address that encoders connect to, if there is one.
    #[must_use]
    pub fn ingest_addr(&self) -> Option<SocketAddr> {
        self.ingest.as_ref()?.local_addr().ok()
    }

    /// The state, to make channels live and to read the report; it outlives the server.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.shared.state)
    }

    /// Serves until `shutdown` is ready, then gives answers in progress a second.
    ///
    /// # Errors
    ///
    /// [`ServeError`]: it stopped at once, because a part of it panicked.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        // What goes on beside the connections. A panic of it ends the server: nothing would be
        // posted, or saved, any more.
        let mut parts = JoinSet::new();
        let bus = Arc::clone(&self.shared.events);
        let events = parts.spawn(events::deliver(self.events, bus));
        let life = parts.spawn(Arc::clone(&self.shared.state).live());
        let ingest = self.ingest.map(|listener| {
            let state = Arc::clone(&self.shared.state);
            parts.spawn(ingest::serve(listener, state))
        });
        let (stop_saving, stopped) = oneshot::channel::<()>();
        if let Some(saver) = self.saver {
            parts.spawn(saver.run(async {
                let _ = stopped.await;
            }));
        }
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                accepted = accepted => accepted,
                Some(_) = connections.join_next() => continue,
                Some(Err(panicked)) = parts.join_next() => return Err(panicked.into()),
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&self.shared);
                    connections.spawn(async move {
                        serve_connection(stream, shared).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or a client that was gone at once: neither
                    // is a reason to stop, and the former must not spin.
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
        drop(self.listener);
        self.closing.send_replace(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(SHUTDOWN_GRACE, all_ended).await;
        connections.shutdown().await;
        // Encoders first: the end of their streams is to be saved.
        if let Some(ingest) = ingest {
            ingest.abort();
        }
        drop(stop_saving);
        events.abort();
        life.abort();
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// Where the server can be reached from the same machine, if playback URLs shall lead there.
fn origin(playback_url: PlaybackUrl, mut addr: SocketAddr) -> Option<String> {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    (playback_url == PlaybackUrl::Emulator).then(|| format!("http://{addr}"))
}

/// Puts what was kept into a state that is still empty.
fn restore(state: &State, store: Store, kept: Option<Snapshot>) -> Result<Store, DataError> {
    if let Some(snapshot) = kept {
        state.restore(snapshot).map_err(|what| DataError::Damaged {
            file: store.file(),
            what,
        })?;
    }
    Ok(store)
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are one small write each; Nagle's algorithm would only hold them back.
    let _ = stream.set_nodelay(true);
    let reset = ResetOrder::default();
    let mut closing = shared.closing.clone();
    let service = service_fn(|request| {
        let answer = request::answer(Arc::clone(&shared), request);
        let reset = reset.clone();
        async move {
            let answer = answer.await;
            if answer.is_err() {
                reset.give();
            }
            answer
        }
    });
    let io = TokioIo::new(Connection::new(stream, reset.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_buf_size(MAX_BODY_BYTES)
            .serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closing.begins() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
