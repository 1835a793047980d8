//! A WebSocket session: messages that do not wait for one another, acknowledged in order.
//!
//! - `outbox`: what is not acknowledged yet, and what an answer or a lost connection means for it.
//! - `link`: when to connect again.
//! - `driver`: the task that does so; `socket`: the handshake.

mod driver;
mod link;
mod outbox;
mod socket;

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::client::Client;
use crate::error::Error;
use crate::event::Event;
use crate::ids::Ids;
use crate::limits::{ACK_TIME, GIVE_UP_AFTER, MESSAGE_MAX_BYTES, WINDOW_BYTES, WINDOW_MESSAGES};
use crate::transport::channel_path;
use driver::{Command, Driver, Ticket};
use link::Link;
use outbox::Outbox;

pub use outbox::Acknowledged;

/// How a session is opened, from [`Client::session`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionBuilder {
    client: Client,
    path: String,
    resend: bool,
    window: usize,
    window_bytes: usize,
    ack_time: Duration,
    give_up_after: Duration,
}

impl Client {
    /// A WebSocket session for a channel; open it with [`SessionBuilder::open`].
    pub fn session(&self, channel: &str) -> SessionBuilder {
        SessionBuilder::new(self.clone(), channel_path(channel, "/ws"))
    }

    /// A WebSocket session for events that name their channels.
    pub fn session_to_many(&self) -> SessionBuilder {
        SessionBuilder::new(self.clone(), "/v1/ws".to_owned())
    }
}

impl SessionBuilder {
    const fn new(client: Client, path: String) -> Self {
        Self {
            client,
            path,
            resend: true,
            window: WINDOW_MESSAGES,
            window_bytes: WINDOW_BYTES,
            ack_time: ACK_TIME,
            give_up_after: GIVE_UP_AFTER,
        }
    }

    /// Whether what a lost connection leaves unacknowledged is sent again; true if nothing is said.
    ///
    /// With it, events without an id are given one, and the gateway takes no event in twice while
    /// it remembers ids (`dedup_window_ms`, `dedup_max_ids`). Without it, such messages fail with
    /// [`Error::Unreachable`], and whether they were taken in is not known.
    pub const fn resend(mut self, resend: bool) -> Self {
        self.resend = resend;
        self
    }

    /// How many messages may wait for their acknowledgement, at least 1; 1024 if nothing is said.
    pub const fn window(mut self, messages: usize) -> Self {
        self.window = messages;
        self
    }

    /// How many bytes these messages may have; 8 MiB if nothing is said. One message is always let
    /// through.
    pub const fn window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// How long an acknowledgement may take before the connection counts as lost; 30 s if nothing
    /// is said.
    pub const fn ack_timeout(mut self, time: Duration) -> Self {
        self.ack_time = time;
        self
    }

    /// How long the session tries to find the gateway again before it ends; 240 s if nothing is
    /// said. Keep it below the channel's `dedup_window_ms`, or events can be taken in twice.
    pub const fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// Connects, and starts the session's task on the Tokio runtime of the caller.
    ///
    /// # Errors
    /// The first connection was not made, or was refused: it is tried once.
    pub async fn open(self) -> Result<Session, Error> {
        let transport = self.client.transport().clone();
        let socket = socket::open(&transport, &self.path).await?;
        let (commands, received) = mpsc::unbounded_channel();
        let ended = Arc::new(OnceLock::new());
        let driver = Driver {
            transport,
            path: self.path,
            ack_time: self.ack_time,
            outbox: Outbox::new(self.resend),
            link: Link::new(self.give_up_after),
            commands: received,
            ended: Arc::clone(&ended),
        };
        let window = self.window.clamp(1, Semaphore::MAX_PERMITS);
        // A message takes as many permits as it has bytes, which are counted in 32 bits.
        let window_bytes = u32::try_from(self.window_bytes).unwrap_or(u32::MAX).max(1);
        Ok(Session {
            commands,
            ended,
            ids: self.resend.then(|| Ids::new(fastrand::u64(..))),
            messages: Arc::new(Semaphore::new(window)),
            bytes: Arc::new(Semaphore::new(window_bytes as usize)),
            window_bytes,
            task: tokio::spawn(driver.run(socket)),
        })
    }
}

/// A message: one event, or a batch of them.
#[derive(Clone, Debug)]
pub struct Message(Content);

#[derive(Clone, Debug)]
enum Content {
    One(Box<Event>),
    Many(Vec<Event>),
    Json(Utf8Bytes),
}

impl Message {
    /// An event, or an array of them, as JSON text that the caller wrote. Its events are given no
    /// ids: without ids of their own they can be taken in twice when a connection is lost.
    #[must_use]
    pub fn json(text: impl Into<String>) -> Self {
        Self(Content::Json(Utf8Bytes::from(text.into())))
    }

    fn text(self, ids: Option<&Ids>) -> Result<Utf8Bytes, Error> {
        let identified = |mut event: Event| {
            if let Some(ids) = ids
                && event.id.is_none()
            {
                event.id = Some(ids.next());
            }
            event.text()
        };
        let text = match self.0 {
            Content::Json(text) => text,
            Content::One(event) => identified(*event)?.into(),
            Content::Many(events) if events.is_empty() => {
                return Err(Error::Usage("a batch without events".to_owned()));
            }
            Content::Many(events) => {
                let texts: Result<Vec<_>, _> = events.into_iter().map(identified).collect();
                format!("[{}]", texts?.join(",")).into()
            }
        };
        if text.len() > MESSAGE_MAX_BYTES {
            return Err(Error::Usage(format!(
                "a message of {} bytes; the gateway takes {MESSAGE_MAX_BYTES} at most: make smaller batches",
                text.len()
            )));
        }
        Ok(text)
    }
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self(Content::One(Box::new(event)))
    }
}

impl From<Vec<Event>> for Message {
    fn from(events: Vec<Event>) -> Self {
        Self(Content::Many(events))
    }
}

/// An open session. It can be shared among tasks; messages go out in the order in which they were
/// sent.
///
/// A connection that is lost is made again, after waits that grow from 0.2 s to 10 s (half of each
/// is random), and what was not acknowledged is sent again, first and in its order. A session that
/// is dropped goes on in its task until every message is through; [`close`](Self::close) waits for
/// that.
#[derive(Debug)]
pub struct Session {
    commands: mpsc::UnboundedSender<Command>,
    ended: Arc<OnceLock<Error>>,
    ids: Option<Ids>,
    /// Room for messages, and for their bytes.
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    window_bytes: u32,
    task: JoinHandle<()>,
}

impl Session {
    /// Sends an event or a batch, and returns what its acknowledgement can be awaited with.
    ///
    /// It waits while the window is full, also while the gateway is away: so a producer is never
    /// further ahead than that.
    ///
    /// # Errors
    /// [`Error::Usage`]: the message is empty or too large. Else why the session has ended.
    pub async fn send(&self, message: impl Into<Message>) -> Result<Receipt, Error> {
        self.prepare(message).await?.send()
    }

    /// The same in two steps: what is returned has its room, and is sent at once when asked.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn prepare(&self, message: impl Into<Message>) -> Result<Prepared<'_>, Error> {
        let text = message.into().text(self.ids.as_ref())?;
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let bytes = bytes.clamp(1, self.window_bytes);
        let room = [
            self.room(&self.messages, 1).await?,
            self.room(&self.bytes, bytes).await?,
        ];
        Ok(Prepared {
            session: self,
            text,
            room,
        })
    }

    async fn room(&self, of: &Arc<Semaphore>, many: u32) -> Result<OwnedSemaphorePermit, Error> {
        if let Some(error) = self.ended.get() {
            return Err(error.clone());
        }
        let room = Arc::clone(of).acquire_many_owned(many).await;
        room.map_err(|_| self.gone())
    }

    /// Waits until every message is through, and closes the connection.
    ///
    /// # Errors
    /// Why the session ended before. Each receipt says the same of its message.
    pub async fn close(self) -> Result<(), Error> {
        drop(self.commands);
        let finished = self.task.await;
        match self.ended.get() {
            Some(error) => Err(error.clone()),
            None => finished.map_err(|error| Error::Usage(format!("the session's task: {error}"))),
        }
    }

    fn gone(&self) -> Error {
        let gone = || Error::Usage("the session's task is gone: its runtime has ended".to_owned());
        self.ended.get().cloned().unwrap_or_else(gone)
    }
}

/// A message with room in the window.
#[derive(Debug)]
#[must_use = "it is sent with `send`"]
pub struct Prepared<'a> {
    session: &'a Session,
    text: Utf8Bytes,
    room: [OwnedSemaphorePermit; 2],
}

impl Prepared<'_> {
    /// Sends it.
    ///
    /// # Errors
    /// Why the session has ended.
    pub fn send(self) -> Result<Receipt, Error> {
        let (tell, told) = oneshot::channel();
        let command = Command {
            text: self.text,
            ticket: Ticket {
                tell,
                room: self.room,
            },
        };
        let sent = self.session.commands.send(command);
        sent.map_err(|_| self.session.gone())?;
        Ok(Receipt {
            told,
            ended: Arc::clone(&self.session.ended),
        })
    }
}

/// What a message's acknowledgement is awaited with. It may be dropped; the message is sent all
/// the same.
#[derive(Debug)]
pub struct Receipt {
    told: oneshot::Receiver<Result<Acknowledged, Error>>,
    ended: Arc<OnceLock<Error>>,
}

impl Future for Receipt {
    type Output = Result<Acknowledged, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = std::task::ready!(Pin::new(&mut self.told).poll(cx));
        Poll::Ready(told.unwrap_or_else(|_| {
            let gone =
                || Error::Usage("the session's task is gone: its runtime has ended".to_owned());
            Err(self.ended.get().cloned().unwrap_or_else(gone))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: impl Into<Message>, ids: Option<&Ids>) -> String {
        let text = message.into().text(ids);
        text.expect("a message").to_string()
    }

    #[test]
    fn events_without_an_id_are_given_one_where_they_can_be_sent_again() {
        let ids = Ids::new(0);
        let event = |data: u32| Event::new(data).expect("JSON");
        let own = event(1).id("own");
        for (message, ids, expected) in [
            (Message::from(event(1)), None, r#"{"data":1}"#),
            (
                Message::from(event(1)),
                Some(&ids),
                r#"{"data":1,"id":"0000000000000000-0"}"#,
            ),
            (
                Message::from(vec![own, event(2)]),
                Some(&ids),
                r#"[{"data":1,"id":"own"},{"data":2,"id":"0000000000000000-1"}]"#,
            ),
            (Message::json(r#"{"data":3}"#), Some(&ids), r#"{"data":3}"#),
        ] {
            assert_eq!(text(message, ids), expected);
        }
        assert!(Message::from(vec![]).text(None).is_err());
        let long = Event::new("x".repeat(MESSAGE_MAX_BYTES)).expect("JSON");
        assert!(Message::from(long).text(None).is_err());
    }
}
