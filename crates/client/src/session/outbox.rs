//! The messages that are not acknowledged yet: what is sent next, what an answer settles, what a
//! lost connection means. No sockets, no clock: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::refusal::{Code, Rejected};

/// What the gateway did with a message: every event that is not in `rejected` was taken in, or
/// was a duplicate, and is as durable as after a 202.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// The events of the message that were refused.
    pub rejected: Vec<Rejected>,
    /// Events in the queue afterwards; of a session for many channels, those of the last one.
    pub queued: u64,
}

/// A message that is through: what its sender hears.
#[derive(Debug)]
pub struct Settled<T> {
    pub tag: T,
    pub outcome: Result<Acknowledged, Error>,
}

struct Waiting<T> {
    text: Utf8Bytes,
    rejected: Vec<Rejected>,
    tag: T,
}

/// What the gateway writes: an acknowledgement, or the refusal of an event.
#[derive(Deserialize)]
struct Answer {
    ack: Option<u64>,
    #[serde(default)]
    queued: u64,
    msg: Option<u64>,
    index: Option<usize>,
    code: Option<Code>,
    #[serde(default)]
    detail: String,
    retry_after_ms: Option<u64>,
}

/// Messages in their order, each with a tag of its sender's.
pub struct Outbox<T> {
    resend: bool,
    /// Oldest first. The first `sent` of them went over this connection.
    waiting: VecDeque<Waiting<T>>,
    sent: usize,
    /// Messages that were acknowledged on this connection: messages count from 1 on each.
    acked: u64,
    /// The last acknowledgement, or the moment when a first message was sent after a pause.
    progress: Option<Instant>,
}

impl<T> Outbox<T> {
    /// An empty one. With `resend`, what a lost connection leaves unacknowledged is sent again.
    pub const fn new(resend: bool) -> Self {
        Self {
            resend,
            waiting: VecDeque::new(),
            sent: 0,
            acked: 0,
            progress: None,
        }
    }

    /// Takes a message in, behind the others.
    pub fn push(&mut self, text: Utf8Bytes, tag: T) {
        self.waiting.push_back(Waiting {
            text,
            rejected: Vec::new(),
            tag,
        });
    }

    /// Whether every message is through.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is a message that this connection has not seen.
    pub fn has_unsent(&self) -> bool {
        self.sent < self.waiting.len()
    }

    /// The next message that this connection has not seen; it counts as sent.
    pub fn next(&mut self, now: Instant) -> Option<Utf8Bytes> {
        let text = self.waiting.get(self.sent)?.text.clone();
        if self.sent == 0 {
            self.progress = Some(now);
        }
        self.sent += 1;
        Some(text)
    }

    /// When the gateway must have acknowledged something; `None` while nothing is on its way.
    pub fn overdue_at(&self, ack_time: Duration) -> Option<Instant> {
        self.progress
            .filter(|_| self.sent > 0)
            .map(|progress| progress + ack_time)
    }

    /// Takes an answer of the gateway, and returns the messages that it settles.
    ///
    /// # Errors
    /// What is wrong with the answer: the connection makes no sense any more.
    pub fn hear(&mut self, text: &str, now: Instant) -> Result<Vec<Settled<T>>, String> {
        let garbled = || format!("not an acknowledgement and not a refusal: {text}");
        let answer: Answer = serde_json::from_str(text).map_err(|_| garbled())?;
        match answer {
            Answer {
                ack: Some(number),
                queued,
                ..
            } => self.acknowledge(number, queued, now),
            Answer {
                msg: Some(number),
                index: Some(index),
                code: Some(code),
                detail,
                retry_after_ms,
                ..
            } => {
                let message = self.message(number).ok_or_else(garbled)?;
                message.rejected.push(Rejected {
                    index,
                    code,
                    detail,
                    retry_after_ms,
                });
                Ok(Vec::new())
            }
            _ => Err(garbled()),
        }
    }

    /// The message of that number, if it was sent over this connection and is not acknowledged.
    fn message(&mut self, number: u64) -> Option<&mut Waiting<T>> {
        let nth = usize::try_from(number.checked_sub(self.acked + 1)?).ok()?;
        (nth < self.sent)
            .then(|| self.waiting.get_mut(nth))
            .flatten()
    }

    fn acknowledge(
        &mut self,
        number: u64,
        queued: u64,
        now: Instant,
    ) -> Result<Vec<Settled<T>>, String> {
        let count = number.checked_sub(self.acked);
        let count = count
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| *count <= self.sent)
            .ok_or_else(|| {
                format!(
                    "message {number} is acknowledged, but {} were before and {} wait",
                    self.acked, self.sent
                )
            })?;
        self.acked = number;
        self.sent -= count;
        self.progress = Some(now);
        let done = self.waiting.drain(..count).map(|message| Settled {
            tag: message.tag,
            outcome: Ok(Acknowledged {
                rejected: message.rejected,
                queued,
            }),
        });
        Ok(done.collect())
    }

    /// The connection is lost. What was sent and not acknowledged is to be sent again; without
    /// `resend` its senders hear the error instead, because nobody knows what became of it.
    pub fn disconnected(&mut self, error: &Error) -> Vec<Settled<T>> {
        let sent = std::mem::take(&mut self.sent);
        self.acked = 0;
        self.progress = None;
        let unknown = if self.resend { 0 } else { sent };
        let unknown = self.waiting.drain(..unknown).map(|message| Settled {
            tag: message.tag,
            outcome: Err(error.clone()),
        });
        let unknown = unknown.collect();
        // A message that is sent again is answered again, whole.
        for message in &mut self.waiting {
            message.rejected.clear();
        }
        unknown
    }

    /// The gateway closed the connection over a message that it will never take: the first one that
    /// it did not acknowledge, because it handles them in order.
    pub fn refuse_first(&mut self, error: Error) -> Option<Settled<T>> {
        self.sent = self.sent.checked_sub(1)?;
        self.acked += 1;
        let message = self.waiting.pop_front()?;
        Some(Settled {
            tag: message.tag,
            outcome: Err(error),
        })
    }

    /// Nothing will be sent any more.
    pub fn abandon(&mut self, error: &Error) -> Vec<Settled<T>> {
        self.sent = 0;
        let all = self.waiting.drain(..).map(|message| Settled {
            tag: message.tag,
            outcome: Err(error.clone()),
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests;
