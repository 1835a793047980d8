//! The forms of a payload: as it is, `~0` and its compressed bytes as text, or `~2` and a slice of these.
//!
//! `~0` stands before basE91 of the raw DEFLATE (RFC 1951) of the plain payload, with the preset
//! dictionary of `player/dictionary.txt`. Recordings of streams live long, so neither the
//! dictionary nor the alphabet ever changes.

mod base91;
mod plain;
mod slices;
#[cfg(test)]
mod tests;

use zlib_rs::{
    Deflate, DeflateConfig, DeflateFlush, Inflate, InflateError, InflateFlush, Method, Status,
    Strategy,
};

pub(crate) use plain::is_ours;
pub use slices::Reader;
pub(crate) use slices::{SLICES_MAX, slice, slices_hold, slices_of};

/// Most bytes of a plain payload in the form `~0`: whoever decodes one stops there.
pub(crate) const DECODED_MAX: usize = 65_536;

const MARK: &str = "~0";
static DICTIONARY: &[u8] = include_bytes!("../../../../player/dictionary.txt");

/// Level 9 compresses best, and is fast enough for payloads.
const LEVEL: i32 = 9;
/// log2 of the window: the longest payload is reached back through.
const WINDOW_BITS: u8 = 15;
/// Blocks of up to 4,096 matches and bytes: no payload of some KB has more, and the buffers are
/// smaller than by default.
const MEM_LEVEL: i32 = 6;
/// Most bytes of output to begin with: enough for most payloads.
const OUTPUT: usize = 4096;

/// Writes payloads in the form `~0`. It takes 300 KB of memory, so it is made where a payload is
/// packed and not kept for each channel.
pub(crate) struct Compressor {
    deflate: Deflate,
    is_new: bool,
    output: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        let config = DeflateConfig {
            level: LEVEL,
            method: Method::Deflated,
            // Negative: without the header of zlib.
            window_bits: -i32::from(WINDOW_BITS),
            mem_level: MEM_LEVEL,
            strategy: Strategy::Default,
        };
        Self {
            deflate: Deflate::new_with_config(config),
            is_new: true,
            output: Vec::new(),
        }
    }

    /// The payload in the form `~0`; none: that is not shorter than it is plain.
    pub(crate) fn compress(&mut self, plain: &str) -> Option<String> {
        #[cfg(test)]
        COMPRESSED.with(|count| count.set(count.get() + 1));
        let deflated = self.deflate(plain.as_bytes(), plain.len())?;
        let text = sealed(deflated);
        (text.len() < plain.len()).then_some(text)
    }

    /// The payload in the form `~0`, also where that is longer: slices are of no other. None: it is far longer.
    pub(crate) fn compress_anyway(&mut self, plain: &str) -> Option<String> {
        #[cfg(test)]
        COMPRESSED.with(|count| count.set(count.get() + 1));
        let most = plain.len() + plain.len() / 8 + 64;
        self.deflate(plain.as_bytes(), most).map(sealed)
    }

    /// None: it takes more than so many bytes.
    fn deflate(&mut self, plain: &[u8], most: usize) -> Option<&[u8]> {
        if !std::mem::take(&mut self.is_new) {
            self.deflate.reset();
        }
        self.deflate.set_dictionary(DICTIONARY).ok()?;
        self.output.resize(most, 0);
        let status = self
            .deflate
            .compress(plain, &mut self.output, DeflateFlush::Finish);
        let length = usize::try_from(self.deflate.total_out()).ok()?;
        (status == Ok(Status::StreamEnd)).then(|| &self.output[..length])
    }
}

fn sealed(deflated: &[u8]) -> String {
    let mut text = String::with_capacity(MARK.len() + deflated.len() * 16 / 13 + 2);
    text.push_str(MARK);
    base91::encode(deflated, &mut text);
    text
}

#[cfg(test)]
thread_local! {
    static COMPRESSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many payloads this thread has compressed.
#[cfg(test)]
pub(crate) fn compressed() -> usize {
    COMPRESSED.with(std::cell::Cell::get)
}

/// Why a text is no payload in the form `~0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// It does not begin with `~0`.
    #[error("a payload of this form begins with ~0")]
    Mark,
    /// What follows is no basE91.
    #[error("it has a character that is not of the alphabet of basE91")]
    Alphabet,
    /// That is no DEFLATE, or it ends before or behind the end of the text.
    #[error("it is not the DEFLATE of anything")]
    Deflate,
    /// It is longer than any payload.
    #[error("it is longer than {DECODED_MAX} bytes")]
    TooLong,
    /// It is no UTF-8.
    #[error("it is no UTF-8")]
    Utf8,
}

/// The plain payload that a text in the form `~0` stands for. It takes at most 65,536 bytes,
/// whatever the text says; whether it is well formed is not looked at.
///
/// # Errors
/// [`Undecodable`]: it stands for nothing.
pub fn decode(text: &str) -> Result<String, Undecodable> {
    let encoded = text.strip_prefix(MARK).ok_or(Undecodable::Mark)?;
    let deflated = base91::decode(encoded).ok_or(Undecodable::Alphabet)?;
    String::from_utf8(inflate(&deflated)?).map_err(|_| Undecodable::Utf8)
}

fn inflate(deflated: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let invalid = |_: InflateError| Undecodable::Deflate;
    let mut inflate = Inflate::new(false, WINDOW_BITS);
    inflate.set_dictionary(DICTIONARY).map_err(invalid)?;
    let mut plain = vec![0; OUTPUT];
    let (mut read, mut written) = (0, 0);
    loop {
        let (from, to) = (&deflated[read..], &mut plain[written..]);
        let status = inflate.decompress(from, to, InflateFlush::NoFlush);
        // Neither is greater than what was given.
        read = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        written = usize::try_from(inflate.total_out()).unwrap_or(usize::MAX);
        match status.map_err(invalid)? {
            Status::StreamEnd if read == deflated.len() => break,
            Status::StreamEnd => return Err(Undecodable::Deflate),
            _ if written < plain.len() => return Err(Undecodable::Deflate),
            // One byte more shows whether there is more.
            _ if written > DECODED_MAX => return Err(Undecodable::TooLong),
            _ => plain.resize((2 * written).min(DECODED_MAX + 1), 0),
        }
    }
    if written > DECODED_MAX {
        return Err(Undecodable::TooLong);
    }
    plain.truncate(written);
    Ok(plain)
}
