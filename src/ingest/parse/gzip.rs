//! Bodies that are compressed with gzip (RFC 1952), unpacked as they come.
//!
//! What they unpack to counts while it comes out, so that neither a bomb nor many bodies at once take
//! more than they may.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;

use super::share::Share;
use crate::access::BodyBudget;
use crate::ingest::limits::{GZIP_MEMBERS_MAX, GZIP_STATE_BYTES};
use crate::refusal::Refusal;

/// A compressed body on its way.
pub struct Unpacker<'a> {
    /// None only after an error.
    decoder: Option<GzDecoder<Unpacked<'a>>>,
    members: usize,
}

impl<'a> Unpacker<'a> {
    /// For a body of at most `max` bytes, unpacked.
    ///
    /// # Errors
    /// `overloaded` or `rate_limited`: there is no room for the state of the decoder.
    pub fn new(max: usize, mut share: Share<&'a BodyBudget>) -> Result<Self, Refusal> {
        share.grow(GZIP_STATE_BYTES)?;
        Ok(Self {
            decoder: Some(GzDecoder::new(Unpacked {
                bytes: BytesMut::new(),
                max,
                share,
                refused: None,
            })),
            members: 1,
        })
    }

    /// Unpacks what came.
    ///
    /// # Errors
    /// `malformed`, `body_too_large`, `overloaded`, `rate_limited`.
    pub fn push(&mut self, mut packed: &[u8]) -> Result<(), Refusal> {
        let decoder = self.decoder.as_mut().ok_or_else(broken)?;
        // A head may be long, and is kept.
        decoder.get_mut().share.grow(packed.len())?;
        while !packed.is_empty() {
            let decoder = self.decoder.as_mut().ok_or_else(broken)?;
            match decoder.write(packed) {
                Ok(0) => self.next_member()?,
                Ok(taken) => packed = &packed[taken..],
                Err(_) => return Err(why(decoder)),
            }
        }
        Ok(())
    }

    /// What it was, at its end.
    ///
    /// # Errors
    /// As of [`push`](Self::push): the end is missing.
    pub fn finish(mut self) -> Result<Bytes, Refusal> {
        Ok(self.end_member()?.bytes.freeze())
    }

    /// Files that are put one after the other are one (RFC 1952, section 2.2).
    fn next_member(&mut self) -> Result<(), Refusal> {
        let unpacked = self.end_member()?;
        self.members += 1;
        if self.members > GZIP_MEMBERS_MAX {
            let detail = format!("the gzip body has more than {GZIP_MEMBERS_MAX} members");
            return Err(Refusal::malformed(detail));
        }
        self.decoder = Some(GzDecoder::new(unpacked));
        Ok(())
    }

    fn end_member(&mut self) -> Result<Unpacked<'a>, Refusal> {
        let mut decoder = self.decoder.take().ok_or_else(broken)?;
        if decoder.try_finish().is_err() {
            return Err(why(&mut decoder));
        }
        decoder.finish().map_err(|_| broken())
    }
}

/// Why the decoder stopped.
fn why(decoder: &mut GzDecoder<Unpacked<'_>>) -> Refusal {
    decoder.get_mut().refused.clone().unwrap_or_else(broken)
}

fn broken() -> Refusal {
    Refusal::malformed(
        "the body cannot be unpacked: it is not gzip, is damaged, or ends before its end",
    )
}

/// What was unpacked so far.
struct Unpacked<'a> {
    bytes: BytesMut,
    max: usize,
    share: Share<&'a BodyBudget>,
    /// Why no more is taken. The decoder tries again when it is dropped.
    refused: Option<Refusal>,
}

impl Unpacked<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(Refusal::body_too_large(self.max));
        }
        self.share.grow(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Unpacked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.refused.is_none() {
            self.refused = self.take(bytes).err();
        }
        match &self.refused {
            None => Ok(bytes.len()),
            Some(_) => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;
    use crate::ingest::limits::{BODIES_MAX_BYTES, BODIES_OF_ONE_MAX_BYTES};
    use crate::refusal::Code;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn pack(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks a body that comes in pieces of this size.
    fn unpack(packed: &[u8], piece: usize, max: usize) -> Result<Bytes, Code> {
        let all = BodyBudget::default();
        let unpacked = Unpacker::new(max, Share::of(&all, None)).and_then(|mut unpacker| {
            for piece in packed.chunks(piece) {
                unpacker.push(piece)?;
            }
            unpacker.finish()
        });
        assert_eq!(all.take(0), 0, "the budget is given back");
        unpacked.map_err(|refusal| refusal.code)
    }

    #[test]
    fn whole_bodies_in_any_pieces_and_no_others() {
        let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = pack(&text);
        let two = [pack(b"one, "), pack(b"two")].concat();
        let many = pack(b"").repeat(GZIP_MEMBERS_MAX + 1);
        for piece in [1, 7, 4096, usize::MAX] {
            assert_eq!(unpack(&whole, piece, text.len()).unwrap(), text);
            assert_eq!(
                unpack(&whole, piece, text.len() - 1),
                Err(Code::BodyTooLarge)
            );
            assert_eq!(unpack(&two, piece, 100).unwrap(), "one, two");
            assert_eq!(unpack(&two, piece, 7), Err(Code::BodyTooLarge));
            assert_eq!(unpack(&many, piece, 100), Err(Code::Malformed));
            for end in [0, 1, 9, 10, 11, whole.len() / 2, whole.len() - 1] {
                assert_eq!(
                    unpack(&whole[..end], piece, text.len()),
                    Err(Code::Malformed),
                    "{end}"
                );
            }
        }
        for at in 0..two.len() {
            let mut damaged = two.clone();
            damaged[at] ^= 0x10;
            // Some bytes of a head say nothing: the time, the system.
            if let Ok(unpacked) = unpack(&damaged, 100, 100) {
                assert_eq!(unpacked, "one, two");
            }
        }
        let rest = [&whole[..], b"rubbish"].concat();
        assert_eq!(unpack(&rest, 100, text.len()), Err(Code::Malformed));
    }

    #[test]
    fn a_bomb_takes_no_more_than_a_body_may() {
        let bomb = pack(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 1 << 17);
        let used = allocation_counter::measure(|| {
            assert_eq!(unpack(&bomb, 8192, 1 << 20), Err(Code::BodyTooLarge));
        });
        assert!(used.bytes_max < 4 << 20, "{used:?}");
    }

    #[test]
    fn what_comes_out_counts() {
        let (all, own) = (BodyBudget::default(), BodyBudget::default());
        let packed = pack(&[b' '; 1000]);
        let read = |own: Option<&BodyBudget>| {
            let mut unpacker = Unpacker::new(1000, Share::of(&all, own))?;
            unpacker.push(&packed)?;
            unpacker.finish()
        };
        let room = GZIP_STATE_BYTES + packed.len() + 1000;
        for (left, of_one, of_all) in [
            (room, None, None),
            (room - 1, Some(Code::RateLimited), Some(Code::Overloaded)),
            (1, Some(Code::RateLimited), Some(Code::Overloaded)),
        ] {
            let code = |read: Result<Bytes, Refusal>| read.err().map(|refusal| refusal.code);
            own.take(BODIES_OF_ONE_MAX_BYTES - left);
            assert_eq!(code(read(Some(&own))), of_one);
            own.give_back(BODIES_OF_ONE_MAX_BYTES - left);
            all.take(BODIES_MAX_BYTES - left);
            assert_eq!(code(read(None)), of_all);
            all.give_back(BODIES_MAX_BYTES - left);
        }
    }
}
