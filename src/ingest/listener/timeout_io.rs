//! Patience with slow clients: the head of a request must be complete within
//! [`HEAD_TIME`], or the connection ends with a 408; a connection without a request ends
//! after [`IDLE_TIME`], and one whose client takes nothing of its answers after [`WRITE_SILENCE`].
//!
//! hyper has one timer for slow heads and idle connections alike, answers neither, and does
//! not yet run it while it guesses the version. So the socket is wrapped: it knows when
//! bytes came and whether a request is being answered, and that is all it looks at. Bodies
//! have their own bounds; HTTP/2 finds dead peers by its pings, a WebSocket by its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::permits::Permit;
use super::progress::{Progress, UnderWay};
use crate::ingest::limits::{HEAD_TIME, IDLE_TIME, WRITE_SILENCE};
use crate::refusal::{Code, Refusal};
use crate::telemetry::RequestId;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A body during which its request is under way.
pub struct Guarded {
    body: Body,
    _under_way: UnderWay,
}

impl Guarded {
    /// `body`, with what shall last as long.
    #[must_use]
    pub const fn new(body: Body, under_way: UnderWay) -> Self {
        Self {
            body,
            _under_way: under_way,
        }
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that ends when a head takes too long. It holds its place among the connections
/// until it is closed, whoever has it by then.
pub struct TimeoutIo<I> {
    io: I,
    _place: Option<Permit>,
    progress: Arc<Progress>,
    /// By when the head must be complete that is number `.0` of this connection.
    deadline: Option<(u64, Instant)>,
    /// When something last came.
    heard: Instant,
    /// Set when it is first needed, and again only when it fires too early: deadlines move
    /// with every request, and each move of a timer costs a lock.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Something of this head came.
    has_begun: bool,
    /// How much of [`H2_PREFACE`] has come; none: it is not HTTP/2.
    preface: Option<usize>,
    /// Runs while the client takes nothing of what is written.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<I> TimeoutIo<I> {
    /// A new connection: its first head has until [`HEAD_TIME`] from now.
    #[must_use]
    pub fn new(io: I, progress: Arc<Progress>, place: Option<Permit>) -> Self {
        let now = Instant::now();
        Self {
            io,
            _place: place,
            progress,
            deadline: Some((0, now + HEAD_TIME)),
            heard: now,
            sleep: None,
            has_begun: false,
            preface: Some(0),
            stuck: None,
        }
    }

    /// What became of a write: one that waits for [`WRITE_SILENCE`] has failed.
    fn patient<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.progress.moved();
            self.stuck = None;
            return written;
        }
        let late = self
            .stuck
            .get_or_insert_with(|| Box::pin(sleep(WRITE_SILENCE)));
        ready!(late.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn took(&mut self, bytes: &[u8]) {
        if let Some(matched) = self.preface {
            let rest = &H2_PREFACE[matched..];
            let common = rest.len().min(bytes.len());
            self.preface = (rest[..common] == bytes[..common]).then_some(matched + common);
            if self.preface == Some(H2_PREFACE.len()) {
                self.preface = None;
                self.progress.exempt();
            }
        }
        self.progress.moved();
        if !bytes.is_empty() && !self.progress.is_under_way() {
            let head = self.progress.begun();
            self.heard = Instant::now();
            if self.deadline.is_none_or(|(earlier, _)| earlier != head) {
                self.deadline = Some((head, self.heard + HEAD_TIME));
            }
            self.has_begun = true;
        }
    }

    /// Ready when the head that is awaited is late, or the connection idle for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let progress = &self.progress;
        if progress.is_exempt() || progress.is_under_way() {
            return Poll::Pending;
        }
        let begun = progress.begun();
        let deadline = if let Some((_, late)) = self.deadline.filter(|(head, _)| *head == begun) {
            late
        } else {
            self.deadline = None;
            self.has_begun = false;
            self.heard + IDLE_TIME
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for TimeoutIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.io).poll_read(cx, buffer) {
            self.took(&buffer.filled()[before..]);
            return Poll::Ready(result);
        }
        ready!(self.poll_late(cx));
        if self.has_begun {
            // Nothing else is being written, and a short answer fits the socket's buffer.
            let refusal =
                Refusal::new(Code::SlowRequest, "the head of the request came too slowly");
            let _ = Pin::new(&mut self.io).poll_write(
                cx,
                refusal.raw_response(RequestId::fresh().as_str()).as_bytes(),
            );
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TimeoutIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.patient(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.patient(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn pair() -> (TimeoutIo<DuplexStream>, DuplexStream, Arc<Progress>) {
        let (client, server) = duplex(1 << 16);
        let progress = Arc::new(Progress::default());
        (
            TimeoutIo::new(server, Arc::clone(&progress), None),
            client,
            progress,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_head_is_answered() {
        let (mut server, mut client, _) = pair();
        client.write_all(b"POST /v1").await.unwrap();
        let start = Instant::now();
        let mut read = Vec::new();
        let error = server.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(
            (error.kind(), start.elapsed()),
            (io::ErrorKind::TimedOut, HEAD_TIME)
        );
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_without_a_word() {
        let (mut server, mut client, _) = pair();
        assert!(server.read_u8().await.is_err());
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_idle_connections_and_other_protocols_take_their_time() {
        let later = HEAD_TIME * 3;
        let quiet = |mut server: TimeoutIo<DuplexStream>| async move {
            tokio::time::timeout(later, server.read_u8()).await.is_err()
        };

        let (mut server, mut client, progress) = pair();
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
        let under_way = progress.begin();
        client.write_all(b"y").await.unwrap();
        server.read_u8().await.unwrap();
        assert!(quiet(server).await, "a body may take longer");
        drop(under_way);

        let (mut server, mut client, progress) = pair();
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
        drop(progress.begin());
        assert!(quiet(server).await, "idle between requests");

        let (mut server, mut client, progress) = pair();
        drop(progress.begin());
        progress.exempt();
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
        assert!(quiet(server).await, "a WebSocket");

        let (mut server, mut client, _) = pair();
        client.write_all(H2_PREFACE).await.unwrap();
        server.read_exact(&mut [0; 24]).await.unwrap();
        assert!(quiet(server).await, "HTTP/2");

        let (mut server, mut client, _) = pair();
        client.write_all(&H2_PREFACE[..10]).await.unwrap();
        server.read_exact(&mut [0; 10]).await.unwrap();
        assert!(!quiet(server).await, "half a preface");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_left() {
        let (client, server) = duplex(4);
        let mut server = TimeoutIo::new(server, Arc::default(), None);
        let start = Instant::now();
        let error = server.write_all(b"more than that").await.unwrap_err();
        assert_eq!(
            (error.kind(), start.elapsed()),
            (io::ErrorKind::TimedOut, WRITE_SILENCE)
        );
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_head_must_come_in_time_too() {
        let (mut server, mut client, progress) = pair();
        drop(progress.begin());
        tokio::time::sleep(HEAD_TIME * 3).await;
        client.write_all(b"P").await.unwrap();
        server.read_u8().await.unwrap();
        let start = Instant::now();
        assert!(server.read_u8().await.is_err());
        assert_eq!(start.elapsed(), HEAD_TIME);
    }
}
