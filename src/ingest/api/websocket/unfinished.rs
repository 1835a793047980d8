//! The message of a WebSocket that is not complete: how much there is of it, and for how long it may
//! take. It is held until it is, so that it counts as an unfinished body does.
//!
//! The WebSocket itself says nothing of it. So its bytes are looked at on their way, no further than
//! to the heads of frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::Frames;
use crate::access::BodyBudget;
use crate::ingest::limits::{BODY_TIME, WS_READ_BUFFER};
use crate::ingest::parse::share::Share;
use crate::refusal::{Code, Refusal};

/// Bytes of a WebSocket on their way, and the unfinished message among them.
pub struct Metered<I> {
    io: I,
    frames: Frames,
    share: Share<BodyBudget>,
    /// When the unfinished message began, and its number.
    since: Option<(u64, Instant)>,
    sleep: Option<Pin<Box<Sleep>>>,
    refused: Option<Refusal>,
}

impl<I> Metered<I> {
    /// What is read of `io` counts in `share`; `message_max`: the longest message, in bytes.
    pub const fn new(io: I, share: Share<BodyBudget>, message_max: usize) -> Self {
        Self {
            io,
            frames: Frames::new(WS_READ_BUFFER, message_max),
            share,
            since: None,
            sleep: None,
            refused: None,
        }
    }

    /// Why no more of the message is read, if so. Nothing that comes is read then.
    pub const fn refused(&self) -> Option<&Refusal> {
        self.refused.as_ref()
    }

    /// Whether nothing is read because a long message is complete: the buffer that held it is given
    /// back by beginning a new WebSocket on these bytes.
    pub const fn is_behind_long(&self) -> bool {
        self.frames.is_behind_long()
    }

    /// Reads what comes behind a long message.
    pub const fn read_on(&mut self) {
        self.frames.read_on();
    }

    /// The bytes themselves, for whoever drops what still comes.
    pub const fn raw(&mut self) -> &mut I {
        &mut self.io
    }

    fn note(&mut self) {
        let unfinished = self.frames.unfinished();
        let number = self.frames.complete();
        if unfinished == 0 {
            self.since = None;
        } else if self.since.is_none_or(|(earlier, _)| earlier != number) {
            self.since = Some((number, Instant::now()));
        }
        self.refused = self.share.set(unfinished).err();
    }

    /// Ready when the message takes too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, since)) = self.since else {
            return Poll::Pending;
        };
        let deadline = since + BODY_TIME;
        // Set again only when it fires too early: each message has another deadline, and to move a
        // timer costs a lock.
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl<I: AsyncRead + Unpin> Metered<I> {
    /// Reads and passes on. `true`: something was passed on, or there is nothing more to come.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = self.frames.before();
        let had = before.len();
        let most = self.frames.most().min(buffer.remaining());
        let room = buffer.initialize_unfilled_to(most);
        room[..had].copy_from_slice(before);
        let mut part = ReadBuf::new(room);
        part.set_filled(had);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        if part.filled().len() == had {
            return Poll::Ready(Ok(true));
        }
        let passed = self.frames.took(part.filled_mut());
        buffer.advance(passed);
        self.note();
        Poll::Ready(Ok(passed > 0))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refused.is_some() || self.is_behind_long() {
            return Poll::Pending;
        }
        if self.frames.is_ours() {
            buffer.put_slice(self.frames.before());
            self.frames.passed();
            return Poll::Ready(Ok(()));
        }
        while let Poll::Ready(result) = self.poll_more(cx, buffer) {
            if result? {
                return Poll::Ready(Ok(()));
            }
            if self.refused.is_some() {
                return Poll::Pending;
            }
        }
        ready!(self.poll_late(cx));
        let detail = "a message came too slowly";
        self.refused = Some(Refusal::new(Code::SlowRequest, detail));
        Poll::Pending
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
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
    use super::super::frames::tests::{TEXT, frame};
    use super::*;
    use crate::ingest::limits::BODIES_MAX_BYTES;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const MESSAGE_MAX: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn a_message_has_its_time_and_its_part_of_the_budget() {
        let all = BodyBudget::default();
        let (mut client, server) = duplex(1 << 16);
        let mut server = Metered::new(server, Share::of(all.clone(), None), MESSAGE_MAX);
        let half = &frame(TEXT, true, 100)[..50];
        let read = async |server: &mut Metered<_>| {
            let mut buffer = [0; 1024];
            let read = server.read(&mut buffer);
            tokio::time::timeout(BODY_TIME * 2, read).await.ok()
        };
        // Silence between messages is for the pings to judge.
        assert!(read(&mut server).await.is_none());
        assert!(server.refused().is_none());

        client.write_all(half).await.unwrap();
        read(&mut server).await.unwrap().unwrap();
        assert_eq!(all.take(0), 50);
        let began = Instant::now();
        tokio::select! {
            _ = server.read_u8() => unreachable!("nothing came"),
            () = tokio::time::sleep(BODY_TIME + Duration::from_millis(1)) => {}
        }
        let code = server.refused().map(|refusal| refusal.code);
        assert_eq!(code, Some(Code::SlowRequest));
        assert!(began.elapsed() > BODY_TIME);
        drop(server);
        assert_eq!(all.take(0), 0, "given back");

        all.take(BODIES_MAX_BYTES - 49);
        let (mut client, server) = duplex(1 << 16);
        let mut server = Metered::new(server, Share::of(all.clone(), None), MESSAGE_MAX);
        client.write_all(half).await.unwrap();
        read(&mut server).await.unwrap().unwrap();
        let code = server.refused().map(|refusal| refusal.code);
        assert_eq!(code, Some(Code::Overloaded));
    }
}
