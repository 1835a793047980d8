//! The message of a WebSocket that is not complete: how much there is of it, and for how long it may
//! take. It is held until it is, so that it counts as an unfinished body does.
//!
//! The WebSocket itself says nothing of it. So its bytes are looked at on their way, no further than
//! to the lengths of frames (RFC 6455, section 5.2).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::BodyBudget;
use crate::ingest::limits::BODY_TIME;
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
    /// What is read of `io` counts in `share`.
    pub const fn new(io: I, share: Share<BodyBudget>) -> Self {
        Self {
            io,
            frames: Frames::new(),
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

    /// The bytes themselves, for whoever drops what still comes.
    pub const fn raw(&mut self) -> &mut I {
        &mut self.io
    }

    fn took(&mut self, bytes: &[u8]) {
        self.frames.took(bytes);
        let unfinished = self.frames.unfinished();
        let number = self.frames.complete;
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

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refused.is_some() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.io).poll_read(cx, buffer) {
            self.took(&buffer.filled()[before..]);
            return Poll::Ready(result);
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

/// Longest head of a frame: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;

/// Frames by their lengths.
struct Frames {
    head: [u8; HEAD_MAX],
    /// How much of the head has come.
    had: usize,
    /// What is to come of the payload.
    left: u64,
    /// The present frame is a ping, a pong or a close: it is no part of the message around it.
    is_control: bool,
    /// The message ends with the present frame.
    is_last: bool,
    /// Bytes of the message that is not complete.
    message: usize,
    /// Messages that are.
    complete: u64,
}

impl Frames {
    const fn new() -> Self {
        Self {
            head: [0; HEAD_MAX],
            had: 0,
            left: 0,
            is_control: false,
            is_last: false,
            message: 0,
            complete: 0,
        }
    }

    /// Bytes of the message that is not complete, with its heads.
    const fn unfinished(&self) -> usize {
        self.message + self.had
    }

    fn took(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                bytes = rest;
                self.head_took(*first);
            } else {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len());
                bytes = &bytes[taken..];
                self.left -= taken as u64;
                self.count(taken);
                self.end_if_whole();
            }
        }
    }

    fn head_took(&mut self, byte: u8) {
        self.head[self.had] = byte;
        self.had += 1;
        let Some(length) = self.length() else {
            return;
        };
        self.is_control = self.head[0] & 0x08 != 0;
        self.is_last = self.head[0] & 0x80 != 0;
        self.left = length;
        self.count(self.had);
        self.had = 0;
        self.end_if_whole();
    }

    /// The length of the payload, once the whole head is there.
    fn length(&self) -> Option<u64> {
        let head = &self.head[..self.had];
        let second = *head.get(1)?;
        let size = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if head.len() < 2 + size + mask {
            return None;
        }
        let length = head[2..2 + size].iter();
        let long = length.fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(if size == 0 {
            u64::from(second & 0x7f)
        } else {
            long
        })
    }

    const fn count(&mut self, bytes: usize) {
        if !self.is_control {
            self.message += bytes;
        }
    }

    const fn end_if_whole(&mut self) {
        if self.left == 0 && !self.is_control && self.is_last {
            self.message = 0;
            self.complete += 1;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;
    use crate::ingest::limits::BODIES_MAX_BYTES;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const MORE: u8 = 0;
    const TEXT: u8 = 1;
    const PING: u8 = 9;

    /// A frame as clients send them.
    fn frame(opcode: u8, is_last: bool, payload: usize) -> Vec<u8> {
        let mut bytes = vec![opcode | if is_last { 0x80 } else { 0 }];
        match payload {
            0..126 => bytes.push(0x80 | u8::try_from(payload).unwrap()),
            126..0x1_0000 => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + payload, b'1');
        bytes
    }

    #[test]
    fn what_is_unfinished_is_known_whatever_comes_in_whatever_pieces() {
        // What comes, and how much is unfinished then.
        let stream = [
            (frame(TEXT, true, 3), 0),
            (frame(TEXT, true, 0), 0),
            (frame(PING, true, 100), 0),
            (frame(TEXT, true, 200), 0),
            (frame(TEXT, true, 70_000), 0),
            (frame(TEXT, false, 100), 106),
            (frame(PING, true, 5), 106),
            (frame(MORE, false, 300), 106 + 308),
            (frame(MORE, true, 1), 0),
            (frame(TEXT, true, 70_000)[..1000].to_vec(), 1000),
        ];
        for piece in [1, 2, 7, 1000, usize::MAX] {
            let mut frames = Frames::new();
            for (bytes, unfinished) in &stream {
                for piece in bytes.chunks(piece) {
                    frames.took(piece);
                }
                assert_eq!(frames.unfinished(), *unfinished, "pieces of {piece}");
            }
            assert_eq!(frames.complete, 5);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_has_its_time_and_its_part_of_the_budget() {
        let all = BodyBudget::default();
        let (mut client, server) = duplex(1 << 16);
        let mut server = Metered::new(server, Share::of(all.clone(), None));
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
        let mut server = Metered::new(server, Share::of(all.clone(), None));
        client.write_all(half).await.unwrap();
        read(&mut server).await.unwrap().unwrap();
        let code = server.refused().map(|refusal| refusal.code);
        assert_eq!(code, Some(Code::Overloaded));
    }
}
