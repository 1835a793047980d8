//! Holds what an encoder sends to bounds, before the protocol's crate reads it.
//!
//! The crate takes messages of 16 MiB on 65,000 chunk streams at once, and reads values that are nested, or refer to one
//! another, without a limit. So a few bytes could end the process or fill its memory. Here the bytes are cut into chunks
//! (RTMP 1.0, 5.3) just so far as to count them, and what a value may be is what encoders send. Nothing is changed:
//! bytes are let in as they came, or the connection ends.

use crate::limits::{
    ENCODER_CHUNK_BYTES, MAX_ENCODER_BACKLOG, MAX_ENCODER_CHUNK_STREAMS, MAX_ENCODER_DEPTH,
    MAX_ENCODER_FRAME_BYTES, MAX_ENCODER_MESSAGE_BYTES, MAX_ENCODER_WINDOW,
};
use std::collections::BTreeMap;

/// Bytes of the greeting: a version, and two packets that are random.
const GREETING: usize = 1 + 2 * 1_536;

/// Kinds of messages (5.4, 7.1).
const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;
const SET_PEER_BANDWIDTH: u8 = 6;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA_AMF3: u8 = 15;
const COMMAND_AMF3: u8 = 17;
const DATA: u8 = 18;
const COMMAND: u8 = 20;

/// What is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OutOfBounds {
    #[error("a message of {0} bytes is too long")]
    Message(usize),
    #[error("messages of more than {MAX_ENCODER_BACKLOG} bytes are begun and not over")]
    Backlog,
    #[error("there are more than {MAX_ENCODER_CHUNK_STREAMS} chunk streams")]
    ChunkStreams,
    #[error("chunks have 128 to 65,536 bytes, not {0}")]
    ChunkSize(u32),
    #[error("a window of {0} bytes is too large")]
    Window(u32),
    #[error("a message begins before the one before it is over")]
    Interrupted,
    #[error("a chunk goes on with nothing")]
    NoBeginning,
    #[error("a control message is too short")]
    Short,
    #[error("a command or its data has values that no encoder sends")]
    Values,
}

/// What came of one connection, as far as it has to be counted.
#[derive(Debug)]
pub(super) struct Bounds {
    greeting_left: usize,
    /// What is not let in yet: at most a chunk that is not whole.
    waiting: Vec<u8>,
    chunk_bytes: usize,
    streams: BTreeMap<u32, ChunkStream>,
    /// Bytes of all messages that are begun and not over.
    backlog: usize,
}

#[derive(Debug, Clone, Default)]
struct ChunkStream {
    kind: u8,
    length: usize,
    is_extended: bool,
    /// Bytes of its message so far.
    came: usize,
    /// Those bytes, if it is neither audio nor video.
    text: Vec<u8>,
}

/// The beginning of a chunk.
struct Header {
    stream: u32,
    format: u8,
    /// Bytes before the payload.
    bytes: usize,
    is_extended: bool,
    /// The length and kind of the message, where they are told anew.
    message: Option<(usize, u8)>,
}

impl Bounds {
    pub(super) fn new() -> Self {
        Self {
            greeting_left: GREETING,
            waiting: Vec::new(),
            // (5.4.1): until another size is set.
            chunk_bytes: 128,
            streams: BTreeMap::new(),
            backlog: 0,
        }
    }

    /// Takes what was read; gives what is let in.
    pub(super) fn let_in(&mut self, bytes: &[u8]) -> Result<Vec<u8>, OutOfBounds> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(bytes);
        let mut whole = self.greeting_left.min(waiting.len());
        self.greeting_left -= whole;
        while let Some(chunk) = self.chunk(waiting.get(whole..).unwrap_or_default())? {
            whole += chunk;
        }
        self.waiting = waiting.split_off(whole);
        Ok(waiting)
    }

    /// The length of the chunk that the bytes begin with; `None` if it is not whole.
    fn chunk(&mut self, bytes: &[u8]) -> Result<Option<usize>, OutOfBounds> {
        let Some(header) = self.header(bytes)? else {
            return Ok(None);
        };
        let known = self.streams.get(&header.stream);
        let (came, told) = known.map_or((0, None), |known| {
            (known.came, Some((known.length, known.kind)))
        });
        let (length, kind) = header.message.or(told).ok_or(OutOfBounds::NoBeginning)?;
        if came > 0 && header.format != 3 {
            return Err(OutOfBounds::Interrupted);
        }
        let most = match kind {
            AUDIO | VIDEO => MAX_ENCODER_FRAME_BYTES,
            _ => MAX_ENCODER_MESSAGE_BYTES,
        };
        if length > most {
            return Err(OutOfBounds::Message(length));
        }
        let size = (length - came).min(self.chunk_bytes);
        let end = header.bytes + size;
        let Some(payload) = bytes.get(header.bytes..end) else {
            return Ok(None);
        };
        if known.is_none() && self.streams.len() >= MAX_ENCODER_CHUNK_STREAMS {
            return Err(OutOfBounds::ChunkStreams);
        }
        self.backlog += size;
        let stream = self.streams.entry(header.stream).or_default();
        (stream.kind, stream.length) = (kind, length);
        stream.is_extended = header.is_extended;
        stream.came += size;
        if !matches!(kind, AUDIO | VIDEO) {
            stream.text.extend_from_slice(payload);
        }
        if stream.came == length {
            stream.came = 0;
            self.backlog -= length;
            let text = std::mem::take(&mut stream.text);
            self.message(kind, &text)?;
        }
        if self.backlog > MAX_ENCODER_BACKLOG {
            return Err(OutOfBounds::Backlog);
        }
        Ok(Some(end))
    }

    /// (5.3.1).
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, OutOfBounds> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let (stream, more) = match (first & 0x3f, rest) {
            (0, [low, ..]) => (64 + u32::from(*low), 1),
            (1, [low, high, ..]) => (64 + u32::from(u16::from_le_bytes([*low, *high])), 2),
            (0 | 1, _) => return Ok(None),
            (stream, _) => (u32::from(stream), 0),
        };
        let format = first >> 6;
        let length = [11, 7, 3, 0][usize::from(format)];
        let Some(header) = bytes.get(1 + more..1 + more + length) else {
            return Ok(None);
        };
        let is_extended = if let Some(time) = header.first_chunk() {
            *time == [0xff; 3]
        } else {
            let known = self.streams.get(&stream);
            known.ok_or(OutOfBounds::NoBeginning)?.is_extended
        };
        let message = match header {
            [_, _, _, a, b, c, kind, ..] => {
                let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                Some((length, *kind))
            }
            _ => None,
        };
        Ok(Some(Header {
            stream,
            format,
            bytes: 1 + more + length + if is_extended { 4 } else { 0 },
            is_extended,
            message,
        }))
    }

    /// A message is whole.
    fn message(&mut self, kind: u8, text: &[u8]) -> Result<(), OutOfBounds> {
        let number = || {
            let bytes = text.first_chunk().ok_or(OutOfBounds::Short)?;
            Ok(u32::from_be_bytes(*bytes))
        };
        match kind {
            SET_CHUNK_SIZE => {
                let told = number()?;
                let size = usize::try_from(told).ok();
                self.chunk_bytes = size
                    .filter(|size| ENCODER_CHUNK_BYTES.contains(size))
                    .ok_or(OutOfBounds::ChunkSize(told))?;
            }
            ABORT => {
                let aborted = self.streams.remove(&number()?);
                self.backlog -= aborted.map_or(0, |stream| stream.came);
            }
            SET_PEER_BANDWIDTH => {
                let window = number()?;
                if window > MAX_ENCODER_WINDOW {
                    return Err(OutOfBounds::Window(window));
                }
            }
            DATA | COMMAND => values(text)?,
            // Values of AMF 0 in an envelope of AMF 3 are known of encoders, others are not.
            COMMAND_AMF3 => values(text.strip_prefix(&[0]).ok_or(OutOfBounds::Values)?)?,
            DATA_AMF3 => return Err(OutOfBounds::Values),
            _ => {}
        }
        Ok(())
    }
}

fn values(mut text: &[u8]) -> Result<(), OutOfBounds> {
    while !text.is_empty() {
        text = value(text, MAX_ENCODER_DEPTH).ok_or(OutOfBounds::Values)?;
    }
    Ok(())
}

/// What follows a value (AMF 0, section 2). `None`: it is not whole, too deep, or of a type that no encoder sends, such
/// as a reference.
fn value(text: &[u8], depth: usize) -> Option<&[u8]> {
    let depth = depth.checked_sub(1)?;
    let (marker, text) = text.split_first()?;
    match marker {
        // A number, a flag, a string, an object, null, undefined.
        0 => text.get(8..),
        1 => text.get(1..),
        2 => string(text),
        3 => members(text, depth),
        5 | 6 => Some(text),
        // An associative array, with a count that means nothing.
        8 => members(text.get(4..)?, depth),
        // An array.
        10 => {
            let (count, mut text) = text.split_first_chunk()?;
            for _ in 0..u32::from_be_bytes(*count) {
                text = value(text, depth)?;
            }
            Some(text)
        }
        // A date, a long string.
        11 => text.get(10..),
        12 => {
            let (length, text) = text.split_first_chunk()?;
            text.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)
        }
        _ => None,
    }
}

fn string(text: &[u8]) -> Option<&[u8]> {
    let (length, text) = text.split_first_chunk()?;
    text.get(usize::from(u16::from_be_bytes(*length))..)
}

fn members(mut text: &[u8], depth: usize) -> Option<&[u8]> {
    loop {
        text = string(text)?;
        if let Some(text) = text.strip_prefix(&[9]) {
            return Some(text);
        }
        text = value(text, depth)?;
    }
}

#[cfg(test)]
mod tests;
