//! `…/ws`: events as messages, acknowledged in order.
//!
//! Messages are taken as they are buffered (never waited for while one is there), offered
//! together, and acknowledged at once: so an ack comes when the input is idle and after
//! `WS_ACK_EVERY` messages at the latest. While answers cannot be written nothing is read,
//! so that a client that does not read cannot make anything grow.

mod frames;
mod handshake;
mod input;
mod unfinished;

use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tracing::Instrument as _;

use super::openapi::answers::{Answers, answers};
use super::openapi::{self, params};
use crate::access::{Caller, Limits};
use crate::config::Scope;
use crate::dispatch::Channel;
use crate::ingest::admission::{self, Tally};
use crate::ingest::context::named;
use crate::ingest::context::{ApiContext, Life, with_reader};
use crate::ingest::limits::{
    DISCARD_MAX_BYTES, WS_CLOSE_TIME, WS_MESSAGE_MAX, WS_PING_EVERY, WS_READ_BUFFER, WS_SILENCE,
    WS_WRITE_BUFFER, WS_WRITE_BUFFER_MAX,
};
use crate::ingest::parse::batch::Batch;
use crate::ingest::parse::event::Addressing;
use crate::ingest::parse::share::Share;
use crate::ingest::parse::validate::ParseContext;
use crate::ingest::session::Session;
use crate::refusal::{Code, Refusal};
use crate::telemetry::spans::{self, Opened};
use crate::telemetry::{RequestId, Transport};

use input::{End, Input, fill};
use unfinished::Metered;

type Socket = WebSocketStream<Metered<TokioIo<Upgraded>>>;

/// Opens a WebSocket for events of a channel.
///
/// A text message is one event or an array, as in JSON bodies. Messages count from 1, and the
/// server acknowledges them cumulatively, `{"ack":N,"queued":…}`, after each refusal that it
/// covers, `{"msg":N,"index":I,"code":"…","detail":"…"}`.
#[utoipa::path(
    get, path = "/v1/channels/{channel}/ws", tag = openapi::SOCKETS, operation_id = "openChannelSocket",
    params(params::Channel, params::Handshake), responses(ChannelSocketAnswers)
)]
pub(super) async fn channel(
    State(context): State<Arc<ApiContext>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let begun = begin(&context, &request, |caller| {
        let channel = context.addressee(caller, &named(path)?)?;
        Ok(Some(channel))
    });
    match begun {
        Ok(session) => accept(context, session, request),
        Err(refusal) => refusal.into_response(),
    }
}

/// Opens a WebSocket for events that name their channels.
///
/// As for one channel, with `channel` in each event.
#[utoipa::path(
    get, path = "/v1/ws", tag = openapi::SOCKETS, operation_id = "openSocket",
    params(params::Handshake), responses(SocketAnswers)
)]
pub(super) async fn anywhere(State(context): State<Arc<ApiContext>>, request: Request) -> Response {
    match begin(&context, &request, |_| Ok(None)) {
        Ok(session) => accept(context, session, request),
        Err(refusal) => refusal.into_response(),
    }
}

/// Who comes, for the channel that `channel` finds, if the WebSocket is for one.
fn begin(
    context: &Arc<ApiContext>,
    request: &Request,
    channel: impl FnOnce(&Caller) -> Result<Option<Arc<Channel>>, Refusal>,
) -> Result<Session, Refusal> {
    let caller = context.caller(request.headers(), request.extensions())?;
    context.may(&caller, Scope::Publish)?;
    context.check_open()?;
    let channel = channel(&caller)?;
    Session::new(context, caller, Scope::Publish, channel)
}

fn accept(context: Arc<ApiContext>, session: Session, mut request: Request) -> Response {
    let response = match handshake::answer(&request) {
        Ok(response) => response,
        Err(response) => return response,
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Refusal::malformed("this connection cannot become a WebSocket").into_response();
    };
    let opened = Opened::by(request.extensions().get::<RequestId>());
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let own = session.caller().limits().map(|it| it.bodies.clone());
            let share = Share::of(context.bodies.clone(), own);
            let message_max = context.settings().server.max_body_bytes.min(WS_MESSAGE_MAX);
            let socket = Metered::new(TokioIo::new(upgraded), share, message_max);
            let socket = begin_socket(socket, config(message_max)).await;
            Conversation::new(context, session, socket, opened)
                .run()
                .await;
        }
    });
    response
}

async fn begin_socket(bytes: Metered<TokioIo<Upgraded>>, config: WebSocketConfig) -> Socket {
    WebSocketStream::from_raw_socket(bytes, Role::Server, Some(config)).await
}

fn config(message_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(WS_READ_BUFFER)
        .write_buffer_size(WS_WRITE_BUFFER)
        .max_write_buffer_size(WS_WRITE_BUFFER_MAX)
        .max_message_size(Some(message_max))
        .max_frame_size(Some(message_max))
}

/// One connection.
struct Conversation {
    context: Arc<ApiContext>,
    _counted: Counted,
    session: Session,
    socket: Socket,
    /// Messages handled, which is also the number of the last one.
    messages: u64,
    /// Something came since the last ping.
    heard: bool,
    opened: Opened,
}

impl Conversation {
    fn new(context: Arc<ApiContext>, session: Session, socket: Socket, opened: Opened) -> Self {
        Self {
            _counted: Counted::new(&context),
            context,
            session,
            socket,
            messages: 0,
            heard: true,
            opened,
        }
    }

    async fn run(mut self) {
        loop {
            // Whoever does not take part in the closing is left.
            match self.serve().await {
                End::Gone => return,
                End::Close(code, reason) => {
                    let _ = timeout(WS_CLOSE_TIME, close(&mut self.socket, code, reason)).await;
                    return;
                }
                End::Refused(_) => return self.refuse().await,
                End::Renewed => self = self.renewed().await,
            }
        }
    }

    /// The same with a new WebSocket on the same connection. Everything that was read is handled, and
    /// every answer is written, so that none of its state is lost.
    async fn renewed(self) -> Self {
        let config = *self.socket.get_config();
        let mut bytes = self.socket.into_inner();
        bytes.read_on();
        let socket = begin_socket(bytes, config).await;
        Self { socket, ..self }
    }

    /// Closes within a message of which no more is read. It counts as one event, as a body does.
    async fn refuse(&mut self) {
        let Some(refusal) = self.socket.get_ref().refused().cloned() else {
            return;
        };
        let channel = self.session.channel().map(|channel| channel.name());
        admission::count_refusal(
            &self.context,
            Transport::WebSocket,
            channel.as_deref(),
            &refusal,
        );
        let code = match refusal.code {
            Code::SlowRequest => CloseCode::Policy,
            _ => CloseCode::Again,
        };
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(&*refusal.detail),
        };
        let _ = timeout(WS_CLOSE_TIME, async {
            self.socket.send(Message::Close(Some(frame))).await.ok()?;
            drop_rest(self.socket.get_mut().raw()).await;
            Some(())
        })
        .await;
    }

    async fn serve(&mut self) -> End {
        let context = Arc::clone(&self.context);
        let draining = context.reaches(Life::Draining);
        tokio::pin!(draining);
        let mut pings = interval_at(Instant::now() + WS_PING_EVERY, WS_PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = Duration::ZERO;
        loop {
            // Answers are never cut short: only waiting for input can be.
            let step = tokio::select! {
                biased;
                () = &mut draining => return End::Close(CloseCode::Restart, "draining"),
                _ = self.session.until_denied() => {
                    return End::Close(CloseCode::Policy, "the key or token is not good any more");
                }
                _ = pings.tick() => None,
                input = fill(&mut self.socket, &mut self.heard) => Some(input),
            };
            let written = if let Some(input) = step {
                self.handle(input).await
            } else {
                silent = if self.heard {
                    WS_PING_EVERY
                } else {
                    silent + WS_PING_EVERY
                };
                self.heard = false;
                if silent > WS_SILENCE {
                    return End::Gone;
                }
                self.write([Message::Ping(Bytes::new())]).await
            };
            if let ControlFlow::Break(end) = written {
                return end;
            }
        }
    }

    /// Offers the messages, then writes refusals and the ack.
    async fn handle(&mut self, input: Input) -> ControlFlow<End> {
        if !input.texts.is_empty() {
            let span = spans::messages(&self.opened, input.texts.len());
            let (mut tally, ends) = span.in_scope(|| self.offer(&input.texts));
            let finished = admission::finish(&self.context, Transport::WebSocket, None, &mut tally);
            if let Err(why) = finished.instrument(span).await {
                // Not acked: the client sends them again, with their ids.
                let end = if why.at_another_node {
                    End::Close(CloseCode::Restart, "the owner of the account is gone")
                } else {
                    End::Close(CloseCode::Again, "overloaded")
                };
                return ControlFlow::Break(end);
            }
            let overloaded = is_overloaded(&tally, &ends);
            let answers = self.answers(input.texts.len(), tally, ends);
            self.write(answers).await?;
            if overloaded {
                return ControlFlow::Break(End::Close(CloseCode::Again, "overloaded"));
            }
        }
        input
            .end
            .map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }

    /// Offers these messages. Also: where the events of each message end.
    fn offer(&self, texts: &[Utf8Bytes]) -> (Tally, Vec<usize>) {
        let channel = self.session.channel();
        let addressing = if channel.is_some() {
            Addressing::Path
        } else {
            Addressing::Event
        };
        let context = &self.context;
        let limits = self.session.caller().limits().map(Arc::as_ref);
        let (batch, ends) = with_reader(context.gateway.clock(), &context.settings(), |reader| {
            read(texts, limits, addressing, reader)
        });
        let caller = self.session.caller();
        let tally = admission::offer(context, caller, Transport::WebSocket, channel, batch);
        (tally, ends)
    }

    /// The answers to so many messages, in order.
    /// They are made as they are written: a batch of refusals would be many times its size.
    fn answers(
        &mut self,
        messages: usize,
        tally: Tally,
        ends: Vec<usize>,
    ) -> impl Iterator<Item = Message> + Send + use<> {
        let before = self.messages;
        self.messages += messages as u64;
        let ack = format!(
            r#"{{"ack":{},"queued":{}}}"#,
            self.messages, tally.standing.queued
        );
        refusals(before, tally, ends).chain([Message::text(ack)])
    }

    /// Writes answers out. A peer that takes nothing for [`WS_SILENCE`] is as good as dead.
    async fn write(&mut self, answers: impl IntoIterator<Item = Message>) -> ControlFlow<End> {
        let socket = &mut self.socket;
        let all = async {
            for answer in answers {
                socket.feed(answer).await?;
            }
            socket.flush().await
        };
        match timeout(WS_SILENCE, all).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(End::Gone),
        }
    }
}

/// The events of these messages, within what their sender may send, and where those of each
/// message end.
pub(crate) fn read<'a>(
    texts: &'a [Utf8Bytes],
    limits: Option<&Limits>,
    addressing: Addressing,
    reader: &mut ParseContext<'_>,
) -> (Batch<'a>, Vec<usize>) {
    let mut ends = Vec::with_capacity(texts.len());
    let mut batch = Batch::default();
    batch.events.reserve(texts.len());
    for text in texts {
        match limits.map_or(Ok(()), |limits| limits.take_bytes(text.len())) {
            Ok(()) => batch.add_json(text, addressing, reader),
            Err(exceeded) => batch.push(Err(exceeded.into())),
        }
        ends.push(batch.total());
    }
    (batch, ends)
}

/// Whether the gateway has no room for any of the events.
fn is_overloaded(tally: &Tally, ends: &[usize]) -> bool {
    let refused = tally.refused.iter();
    let overloaded = refused.filter(|(_, refusal)| refusal.code == Code::Overloaded);
    Some(&overloaded.count()) == ends.last()
}

/// A message for each event that was refused, of messages that come after number `before`.
pub(crate) fn refusals(
    before: u64,
    tally: Tally,
    ends: Vec<usize>,
) -> impl Iterator<Item = Message> + Send + use<> {
    let mut message = 0;
    tally.refused.into_iter().map(move |(position, refusal)| {
        while ends[message] <= position {
            message += 1;
        }
        let start = if message == 0 { 0 } else { ends[message - 1] };
        let mut text = String::new();
        let _ = write!(
            text,
            r#"{{"msg":{},"index":{},"#,
            before + message as u64 + 1,
            position - start
        );
        refusal.write_members(&mut text);
        text.push('}');
        Message::text(text)
    })
}

/// An open connection, counted for as long as it lives.
struct Counted(metrics::Gauge);

impl Counted {
    fn new(context: &ApiContext) -> Self {
        let connections = context.meters.connections(Transport::WebSocket);
        connections.increment(1);
        Self(connections.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Says why, lets the peer answer, and reads what it had sent already: a connection that is
/// closed over unread bytes is reset, and the close frame is lost.
async fn close(socket: &mut Socket, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    if socket.send(Message::Close(Some(frame))).await.is_err() {
        return;
    }
    socket.get_mut().read_on();
    while let Some(Ok(_)) = socket.next().await {}
    drop_rest(socket.get_mut().raw()).await;
}

/// Ends our side, and drops what still comes.
async fn drop_rest(raw: &mut TokioIo<Upgraded>) {
    if raw.shutdown().await.is_ok() {
        let mut left = raw.take(DISCARD_MAX_BYTES as u64);
        let _ = tokio::io::copy(&mut left, &mut tokio::io::sink()).await;
    }
}

answers! {
    /// To a WebSocket that names its channel.
    ChannelSocketAnswers: Answers::new().switching().refused(&[Code::UnknownChannel]);
    /// To any WebSocket.
    SocketAnswers: Answers::new().switching();
}
