//! Frames by their heads (RFC 6455, section 5.2), and long fragments in pieces.
//!
//! The WebSocket keeps a buffer as long as the longest frame that it has read. A message of one frame
//! is a part of that buffer, but one in fragments is put together beside it. Where a long fragment
//! comes as several short ones, which says the same, the buffer stays short and the message is held once.
//! Behind a long frame that is a whole message nothing is passed on until a new WebSocket has taken the
//! place of the one with the long buffer.

/// Longest head of a frame: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;
const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
/// In place of the length: it follows in so many bytes.
const LENGTH_OF_TWO: u8 = 0x7e;
const LENGTH_OF_EIGHT: u8 = 0x7f;

/// Where the bytes of a WebSocket are in its frames and messages.
pub(super) struct Frames {
    /// Longest fragment that is passed on, and most bytes that may be read at once: a multiple of four,
    /// so that each begins with the first byte of the mask.
    piece: usize,
    /// Longest message. What is longer is passed on as it is, to be refused by its head.
    message_max: usize,
    /// The beginning of a head whose rest has not come, or a head of ours.
    head: [u8; HEAD_MAX],
    had: usize,
    /// What is to come of the payload, or of its present fragment.
    left: u64,
    /// What is to come of the frame behind that.
    later: u64,
    mask: Option<[u8; 4]>,
    /// The present frame is a ping, a pong or a close: it is no part of the message around it.
    is_control: bool,
    /// The message ends with the present frame.
    is_last: bool,
    /// The present frame is a message longer than a piece, or the last one was.
    is_long: bool,
    /// Bytes of the message that is not complete.
    message: usize,
    /// Bytes of the control frame that is not complete.
    control: usize,
    /// Messages that are.
    complete: u64,
}

impl Frames {
    pub(super) const fn new(piece: usize, message_max: usize) -> Self {
        Self {
            piece,
            message_max,
            head: [0; HEAD_MAX],
            had: 0,
            left: 0,
            later: 0,
            mask: None,
            is_control: false,
            is_last: false,
            is_long: false,
            message: 0,
            control: 0,
            complete: 0,
        }
    }

    /// Bytes of the message and the control frame that are not complete, with their heads.
    pub(super) const fn unfinished(&self) -> usize {
        self.message + self.control + self.had
    }

    /// How many messages are complete.
    pub(super) const fn complete(&self) -> u64 {
        self.complete
    }

    /// Whether the last frame was a message so long that the buffer it was read into is not kept.
    pub(super) const fn is_behind_long(&self) -> bool {
        self.is_long && self.left == 0
    }

    /// What follows a long message is read: a new WebSocket reads it, or this one closes.
    pub(super) const fn read_on(&mut self) {
        self.is_long = false;
    }

    /// What goes before the bytes that come next.
    pub(super) fn before(&self) -> &[u8] {
        &self.head[..self.had]
    }

    /// Whether that is whole, and waits for nothing to come.
    pub(super) const fn is_ours(&self) -> bool {
        self.left > 0 && self.had > 0
    }

    /// The head of ours was passed on.
    pub(super) const fn passed(&mut self) {
        self.had = 0;
    }

    /// How many bytes may be read next, with those that go before: not beyond the end of a long message.
    pub(super) fn most(&self) -> usize {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        if (self.later > 0 || self.is_long) && left > 0 {
            left.min(self.piece)
        } else {
            self.piece
        }
    }

    /// Bytes that came, at most [`most`](Self::most), with [`before`](Self::before) in front. The
    /// heads of long frames are changed. Returns how many bytes may be passed on; the others are
    /// the beginning of a head, and kept.
    pub(super) fn took(&mut self, bytes: &mut [u8]) -> usize {
        self.had = 0;
        let mut at = 0;
        while at < bytes.len() {
            if self.left == 0 {
                let Some((length, payload)) = parse(&bytes[at..]) else {
                    self.had = bytes.len() - at;
                    self.head[..self.had].copy_from_slice(&bytes[at..]);
                    break;
                };
                self.begin(&mut bytes[at..at + length], payload);
                at += length;
            } else {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len() - at);
                self.left -= taken as u64;
                self.count(taken);
                at += taken;
            }
            self.end_if_whole();
        }
        at
    }

    fn begin(&mut self, head: &mut [u8], payload: u64) {
        self.is_control = head[0] & CONTROL != 0;
        self.is_last = head[0] & FIN != 0;
        self.left = payload;
        self.count(head.len());
        let piece = self.piece as u64;
        self.is_long = false;
        if self.is_control || !(piece + 1..=self.message_max as u64).contains(&payload) {
            return;
        }
        let is_fragment = !self.is_last || head[0] & OPCODE == 0;
        self.is_long = !is_fragment;
        if is_fragment {
            self.later = payload - piece;
            self.left = piece;
            self.mask = mask(head);
            head[0] &= !FIN;
            set_length(head, piece);
        }
    }

    const fn count(&mut self, bytes: usize) {
        if self.is_control {
            self.control += bytes;
        } else {
            self.message += bytes;
        }
    }

    fn end_if_whole(&mut self) {
        if self.left > 0 {
            return;
        }
        if self.later > 0 {
            self.left = self.later.min(self.piece as u64);
            self.later -= self.left;
            self.continue_frame();
        } else if self.is_control {
            self.control = 0;
        } else if self.is_last {
            self.message = 0;
            self.complete += 1;
        }
    }

    /// The head of the next fragment: opcode 0, a length of two bytes, the mask of the frame.
    fn continue_frame(&mut self) {
        let is_last = self.is_last && self.later == 0;
        self.head[0] = if is_last { FIN } else { 0 };
        self.head[1] = LENGTH_OF_TWO | if self.mask.is_some() { MASKED } else { 0 };
        self.had = 4;
        set_length(&mut self.head[..self.had], self.left);
        if let Some(mask) = self.mask {
            self.head[self.had..self.had + mask.len()].copy_from_slice(&mask);
            self.had += mask.len();
        }
    }
}

/// The length of the whole head that is there, and of the payload behind it.
fn parse(bytes: &[u8]) -> Option<(usize, u64)> {
    let second = *bytes.get(1)?;
    let size = size_of_length(second);
    let mask = if second & MASKED == 0 { 0 } else { 4 };
    let length = 2 + size + mask;
    if bytes.len() < length {
        return None;
    }
    let long = bytes[2..2 + size]
        .iter()
        .fold(0, |length, byte| length << 8 | u64::from(*byte));
    let payload = if size == 0 {
        u64::from(second & 0x7f)
    } else {
        long
    };
    Some((length, payload))
}

/// How many bytes the length has behind the second.
const fn size_of_length(second: u8) -> usize {
    match second & 0x7f {
        LENGTH_OF_TWO => 2,
        LENGTH_OF_EIGHT => 8,
        _ => 0,
    }
}

/// Writes another length into a head, in as many bytes: a longer form than needed says the same.
fn set_length(head: &mut [u8], payload: u64) {
    let size = size_of_length(head[1]);
    head[2..2 + size].copy_from_slice(&payload.to_be_bytes()[8 - size..]);
}

fn mask(head: &[u8]) -> Option<[u8; 4]> {
    let is_masked = head[1] & MASKED != 0;
    head.last_chunk().filter(|_| is_masked).copied()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
pub(super) mod tests;
