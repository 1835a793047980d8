//! The task of a session: it moves messages between the outbox and the connection, and connects
//! again. It decides nothing: `outbox` and `link` do.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::link::{Link, Next};
use super::outbox::{Acknowledged, Outbox, Settled};
use super::socket::{self, Socket};
use crate::error::Error;
use crate::limits::{CLOSE_TIME, SILENCE};
use crate::refusal::{Code, Refusal};
use crate::transport::Transport;

/// A message on its way to the task.
pub struct Command {
    pub text: Utf8Bytes,
    pub ticket: Ticket,
}

/// Who hears of a message, and the room that it takes until then.
pub struct Ticket {
    pub tell: oneshot::Sender<Result<Acknowledged, Error>>,
    pub room: [OwnedSemaphorePermit; 2],
}

/// The task of a session.
pub struct Driver {
    pub transport: Transport,
    pub path: String,
    pub ack_time: Duration,
    pub outbox: Outbox<Ticket>,
    pub link: Link,
    pub commands: mpsc::UnboundedReceiver<Command>,
    /// Why the session ended, for those who send after that.
    pub ended: Arc<OnceLock<Error>>,
}

/// What a connection waits for.
enum Step {
    Heard(Option<Result<Message, tungstenite::Error>>),
    Broken(tungstenite::Error),
    /// The first message after a pause was sent: from now on an acknowledgement is waited for.
    Begun,
    /// The session was closed, and every message is through.
    Done,
}

impl Driver {
    /// Runs until the session was closed and every message is through, or until it ends for good.
    pub async fn run(mut self, mut socket: Socket) {
        loop {
            self.link.connected(now());
            let error = match self.serve(&mut socket).await {
                Ok(()) => {
                    let _ = timeout(CLOSE_TIME, close(&mut socket)).await;
                    return;
                }
                Err(error) => error,
            };
            drop(socket);
            settle(self.outbox.disconnected(&error));
            match self.reconnect(error).await {
                Ok(Some(opened)) => socket = opened,
                Ok(None) => return,
                Err(error) => {
                    self.end(&error);
                    return;
                }
            }
        }
    }

    /// Serves one connection until the session is done, or until the connection is lost.
    async fn serve(&mut self, socket: &mut Socket) -> Result<(), Error> {
        let mut heard_at = Instant::now();
        loop {
            let silent_at = heard_at + SILENCE;
            let overdue_at = self.outbox.overdue_at(self.ack_time).map(Instant::from_std);
            let until = overdue_at.map_or(silent_at, |overdue_at| overdue_at.min(silent_at));
            let step = timeout_at(until, std::future::poll_fn(|cx| self.poll(socket, cx))).await;
            match step {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Begun) => {}
                Ok(Step::Broken(error)) => {
                    return Err(self.transport.unreachable(error.to_string()));
                }
                Ok(Step::Heard(message)) => {
                    heard_at = Instant::now();
                    self.hear(message)?;
                }
                Err(_) if Instant::now() >= silent_at => {
                    return Err(self.transport.unreachable("the connection is silent"));
                }
                // The time was that of messages which are acknowledged by now, or it has come.
                Err(_) => {
                    let overdue_at = self.outbox.overdue_at(self.ack_time);
                    if overdue_at.is_some_and(|overdue_at| now() >= overdue_at) {
                        return Err(self.transport.unreachable("no acknowledgement in time"));
                    }
                }
            }
        }
    }

    /// Reads before it writes, so that acknowledgements make room; never waits for the one while
    /// the other can go on.
    fn poll(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(message) = socket.poll_next_unpin(cx) {
            return Poll::Ready(Step::Heard(message));
        }
        let closed = loop {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.outbox.push(command.text, command.ticket),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if closed && self.outbox.is_empty() {
            return Poll::Ready(Step::Done);
        }
        let waited = self.outbox.overdue_at(self.ack_time).is_some();
        match self.poll_write(socket, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Step::Broken(error)),
            _ if !waited && self.outbox.overdue_at(self.ack_time).is_some() => {
                Poll::Ready(Step::Begun)
            }
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_write(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), tungstenite::Error>> {
        while self.outbox.has_unsent() {
            std::task::ready!(socket.poll_ready_unpin(cx))?;
            if let Some(text) = self.outbox.next(now()) {
                socket.start_send_unpin(Message::Text(text))?;
            }
        }
        socket.poll_flush_unpin(cx)
    }

    fn hear(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Error> {
        match message {
            Some(Ok(Message::Text(text))) => {
                let settled = self.outbox.hear(&text, now());
                let settled = settled.map_err(|what| self.transport.unexpected(what))?;
                if !settled.is_empty() {
                    self.link.progressed();
                }
                settle(settled);
                Ok(())
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                if frame.code == CloseCode::Size {
                    settle(self.outbox.refuse_first(too_big(&frame.reason).into()));
                }
                Err(self
                    .transport
                    .unreachable(format!("the gateway closed the connection: {frame}")))
            }
            Some(Ok(Message::Close(None))) | None => Err(self
                .transport
                .unreachable("the gateway closed the connection")),
            Some(Ok(Message::Binary(_))) => Err(self.transport.unexpected("a binary message")),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Err(error)) => Err(self.transport.unreachable(error.to_string())),
        }
    }

    /// Connects again, for as long as that makes sense; `None` when nobody needs it any more.
    async fn reconnect(&mut self, mut error: Error) -> Result<Option<Socket>, Error> {
        loop {
            let Next::TryAfter(wait) = self.link.lost(now(), &error, fastrand::f64()) else {
                return Err(error);
            };
            if self.is_done_within(wait).await {
                return Ok(None);
            }
            match socket::open(&self.transport, &self.path).await {
                Ok(socket) => return Ok(Some(socket)),
                Err(again) => error = again,
            }
        }
    }

    /// Waits, and returns whether the session was closed meanwhile with nothing left to send.
    async fn is_done_within(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.outbox.push(command.text, command.ticket),
                    None if self.outbox.is_empty() => return true,
                    None => {
                        sleep_until(until).await;
                        return false;
                    }
                },
                () = sleep_until(until) => return false,
            }
        }
    }

    /// Ends for good: everyone who waits hears why, and everyone who sends after that.
    fn end(&mut self, error: &Error) {
        // It is empty: nobody else sets it.
        let _ = self.ended.set(error.clone());
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.outbox.push(command.text, command.ticket);
        }
        settle(self.outbox.abandon(error));
    }
}

fn settle(settled: impl IntoIterator<Item = Settled<Ticket>>) {
    for Settled { tag, outcome } in settled {
        // Whoever does not want to know has dropped the receipt.
        let _ = tag.tell.send(outcome);
        drop(tag.room);
    }
}

fn too_big(reason: &str) -> Refusal {
    Refusal {
        code: Code::BodyTooLarge,
        status: StatusCode::PAYLOAD_TOO_LARGE,
        detail: format!("the gateway takes no message of this size: {reason}"),
        retry_after: None,
        index: None,
        rejected: Vec::new(),
        document: String::new(),
    }
}

/// Says goodbye, and hears it.
async fn close(socket: &mut Socket) {
    if socket.close(None).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
