//! Events over WebSocket: messages that do not wait for one another, acknowledged together.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{RETRY, Run};
use crate::cli::http::bearer;
use crate::cli::load::pace::Pace;
use crate::cli::load::plan::Request;
use crate::cli::{Error, Target, tls};

/// Messages of a connection that may wait for their acknowledgement: four times as many as the
/// gateway handles before it acknowledges at the latest.
pub(super) const WINDOW: usize = 1024;
/// How long the last acknowledgement is waited for.
const LAST_ACK: Duration = Duration::from_secs(30);

/// What the gateway writes: an acknowledgement, or the refusal of an event.
#[derive(Deserialize)]
struct Answer {
    ack: Option<u64>,
    msg: Option<u64>,
    index: Option<usize>,
    code: Option<String>,
}

/// A WebSocket for events that name their channel.
pub(in crate::cli::load) struct Connection(WebSocketStream<Stream>);

/// Plain, or over TLS.
type Stream = Pin<Box<dyn Io>>;

trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, Error> {
        let url = &target.url;
        let unreachable = |reason: String| Error::Unreachable {
            url: url.to_owned(),
            reason,
        };
        let usage = |why: &dyn std::fmt::Display| Error::Usage(format!("{url}: {why}"));
        let uri: Uri = url.parse().map_err(|error| usage(&error))?;
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        stream.set_nodelay(true)?;
        let stream: Stream = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| usage(&error))?;
            let connector = TlsConnector::from(tls::config(target.proof.ca.as_deref())?);
            let secured = connector.connect(name, stream).await;
            Box::pin(secured.map_err(|error| unreachable(error.to_string()))?)
        } else {
            Box::pin(stream)
        };
        let base = uri.path().trim_end_matches('/');
        let mut request = format!("ws://{authority}{base}/v1/ws")
            .into_client_request()
            .map_err(|error| usage(&error))?;
        if let Some(key) = &target.proof.api_key {
            let value = HeaderValue::try_from(bearer(key)).map_err(|error| usage(&error))?;
            request.headers_mut().insert("authorization", value);
        }
        let opened = tokio_tungstenite::client_async(request, stream).await;
        let (socket, _) = opened.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self(socket))
    }
}

/// Sends the messages of one connection of so many. One that breaks is opened again; what it had
/// not acknowledged stays unanswered, because an event without an id cannot be sent twice.
pub(super) async fn produce(
    run: &Run,
    pace: &Pace,
    connection: Connection,
    (nth, connections): (usize, usize),
) {
    let mut requests = run.plan.of(nth, connections).peekable();
    let mut open = Some(connection);
    while let Some(due) = requests.peek().map(|next| next.due) {
        if !pace.reaches(nth, due).await {
            return;
        }
        let Connection(socket) = match open.take() {
            Some(connection) => connection,
            None => match Connection::open(&run.target).await {
                Ok(connection) => connection,
                Err(error) => {
                    run.troubled(error.to_string());
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
        };
        let (sink, stream) = socket.split();
        let waiting = Waiting::default();
        let sending = send(run, pace, sink, &waiting, &mut requests, nth);
        let reading = read(run, pace, stream, &waiting);
        let ended = tokio::select! {
            // Everything was sent and acknowledged, or there is no use in waiting longer.
            sent = sending => sent,
            broken = reading => Err(broken),
        };
        match ended {
            Ok(()) => return,
            Err(reason) => run.troubled(reason),
        }
    }
}

/// Messages that were sent and not yet acknowledged, oldest first.
struct Waiting {
    queue: Mutex<(u64, VecDeque<Request>)>,
    /// A permit for each message that may be sent.
    room: Arc<Semaphore>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(WINDOW)),
        }
    }
}

impl Waiting {
    /// The number of the last message that was acknowledged, and those after it.
    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Request>)> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn room(&self) {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
    }

    /// The message of that number, if it waits.
    fn message(&self, number: u64) -> Option<Request> {
        let (acked, queue) = &*self.lock();
        let nth = number.checked_sub(*acked + 1)?;
        queue.get(usize::try_from(nth).ok()?).copied()
    }

    /// Those up to that number wait no more.
    fn acknowledge(&self, number: u64) -> Vec<Request> {
        let (acked, queue) = &mut *self.lock();
        let count = usize::try_from(number.saturating_sub(*acked)).unwrap_or(usize::MAX);
        let done: Vec<Request> = queue.drain(..count.min(queue.len())).collect();
        *acked += done.len() as u64;
        self.room.add_permits(done.len());
        done
    }
}

async fn send(
    run: &Run,
    pace: &Pace,
    mut sink: SplitSink<WebSocketStream<Stream>, Message>,
    waiting: &Waiting,
    requests: &mut std::iter::Peekable<impl Iterator<Item = Request>>,
    connection: usize,
) -> Result<(), String> {
    while let Some(request) = requests.peek().copied() {
        waiting.room().await;
        let name = &run.names[request.channel];
        let text = run.form.body(&request, Some(name), run.plan.batch);
        if !pace.reaches(connection, request.due).await {
            break;
        }
        requests.next();
        run.book().leaves(&request, pace.since(request.due));
        waiting.lock().1.push_back(request);
        let sent = sink.send(Message::text(text)).await;
        sent.map_err(|error| error.to_string())?;
    }
    let all_acked = async {
        while !waiting.lock().1.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let acked = timeout(LAST_ACK, all_acked).await;
    let _ = sink.close().await;
    acked.map_err(|_| "no acknowledgement in time".to_owned())
}

/// Reads answers until the connection ends, and says why it did.
async fn read(
    run: &Run,
    pace: &Pace,
    mut stream: SplitStream<WebSocketStream<Stream>>,
    waiting: &Waiting,
) -> String {
    loop {
        let text = match stream.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(Some(frame)))) => return frame.to_string(),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return error.to_string(),
            None => return "the gateway closed the connection".to_owned(),
        };
        let Ok(answer) = serde_json::from_str::<Answer>(&text) else {
            return format!("not an answer of Cuegate: {text}");
        };
        if let Some(number) = answer.ack {
            for request in waiting.acknowledge(number) {
                run.book().answered(&request, pace.since(request.due));
            }
        } else if let (Some(number), Some(index), Some(code)) =
            (answer.msg, answer.index, &answer.code)
            && let Some(request) = waiting.message(number)
        {
            run.book().refused(&request, index, code);
        }
    }
}
