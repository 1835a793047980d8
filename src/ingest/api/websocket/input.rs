//! What comes in: every message that is buffered, taken without waiting.
//!
//! It does not look into messages.

use std::task::Poll;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::Socket;
use super::unfinished::Metered;
use crate::ingest::limits::{WS_ACK_EVERY, WS_BATCH_BYTES};
use crate::refusal::Code;

/// Messages that were buffered, and what came behind them.
#[derive(Default)]
pub struct Input {
    /// The texts, in order.
    pub texts: Vec<Utf8Bytes>,
    bytes: usize,
    /// The session ends after them, or goes on with a new WebSocket.
    pub end: Option<End>,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed, or the connection is broken: there is nobody to tell.
    Gone,
    /// We close, and say why.
    Close(CloseCode, &'static str),
    /// The same within a message that is not waited for any longer.
    Refused(Code),
    /// The WebSocket does, and not the session: its buffer is as long as the last message.
    Renewed,
}

/// Waits for a message, then takes all that are buffered behind it, within the bounds of a
/// batch. Cancellation loses nothing: whatever was taken is returned in the same poll.
pub async fn fill(socket: &mut Socket, heard: &mut bool) -> Input {
    std::future::poll_fn(|cx| {
        let mut input = Input::default();
        loop {
            match socket.poll_next_unpin(cx) {
                Poll::Ready(message) => {
                    *heard = true;
                    input.take(message);
                }
                Poll::Pending => {
                    input.end = end_of_input(socket.get_ref());
                    if input.end.is_none() && input.texts.is_empty() {
                        return Poll::Pending;
                    }
                    return Poll::Ready(input);
                }
            }
            if input.is_complete() {
                return Poll::Ready(input);
            }
        }
    })
    .await
}

/// Why nothing more is read, if so.
fn end_of_input<I>(bytes: &Metered<I>) -> Option<End> {
    let refused = bytes.refused().map(|refusal| End::Refused(refusal.code));
    refused.or_else(|| bytes.is_behind_long().then_some(End::Renewed))
}

impl Input {
    fn take(&mut self, message: Option<Result<Message, Error>>) {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.bytes += text.len();
                self.texts.push(text);
            }
            Some(Ok(Message::Binary(_))) => {
                self.end = Some(End::Close(CloseCode::Unsupported, "messages are text"));
            }
            // tungstenite answers pings and close frames by itself.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
            )) => {}
            Some(Err(error)) => self.end = Some(end_of(&error)),
            None => self.end = Some(End::Gone),
        }
    }

    const fn is_complete(&self) -> bool {
        self.end.is_some() || self.texts.len() >= WS_ACK_EVERY || self.bytes >= WS_BATCH_BYTES
    }
}

fn end_of(error: &Error) -> End {
    match error {
        Error::Utf8(_) => End::Close(CloseCode::Invalid, "a message is not UTF-8"),
        Error::Capacity(_) => End::Close(CloseCode::Size, "a message is too big"),
        Error::Protocol(_) => End::Close(CloseCode::Protocol, "not the WebSocket protocol"),
        _ => End::Gone,
    }
}
