//! One segment: a second of the sample with new timestamps and counters, and the metadata of that second.

use super::sample::{Counts, SAMPLE, Second, place};
use super::{id3, ts};
use std::sync::Arc;

/// The PTS of the first picture of segment 0. It leaves room for what comes a little earlier: audio, the PCR.
const FIRST_PTS: u64 = ts::CLOCK;

/// Metadata in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Its moment, in microseconds since segment 0 began.
    pub(crate) at_us: u64,
    pub(crate) text: Arc<str>,
}

/// Packets that metadata takes in a segment.
pub(crate) fn packets_of(text: &str) -> u64 {
    ts::packets_of(id3::private_bytes(text))
}

/// Segment `n`, counted from 0, with its tags in the order of their moments. `packets_before` counts the packets of all
/// metadata before it, because continuity counters go on from segment to segment.
pub(crate) fn segment(n: u64, tags: &[Tag], packets_before: u64) -> Vec<u8> {
    let sample = &*SAMPLE;
    let length = sample.seconds.len().max(1) as u64;
    let (loops, second) = (n / length, n % length);
    let Some(second) = usize::try_from(second)
        .ok()
        .and_then(|second| sample.seconds.get(second))
    else {
        return Vec::new();
    };
    let mut writer = Writer {
        out: Vec::with_capacity(bytes_of(second, tags)),
        // Each segment has one packet of its own beside its metadata.
        id3_packets: packets_before.wrapping_add(n),
        counts: second.before,
        tags,
    };
    for (count, of_loop) in writer.counts.iter_mut().zip(sample.packets) {
        *count += of_loop.wrapping_mul(loops);
    }
    // Not yet cut to 33 bits, so that moments can be compared.
    let passed = loops.wrapping_mul(length * ts::CLOCK);
    let shift = passed
        .wrapping_add(FIRST_PTS)
        .wrapping_sub(sample.first_pts);
    let began = n.wrapping_mul(ts::CLOCK).wrapping_add(FIRST_PTS);
    for packet in &second.packets {
        if ts::pid(packet) == ts::VIDEO
            && let Some(pts) = ts::pts(packet)
        {
            writer.write_tags_until(pts.wrapping_add(shift));
        }
        writer.write_packet(*packet, shift);
        if ts::pid(packet) == ts::PMT {
            writer.write_id3(&id3::segment_metadata(n), began);
        }
    }
    // What came after the last picture.
    writer.write_tags_until(u64::MAX);
    writer.out
}

fn bytes_of(second: &Second, tags: &[Tag]) -> usize {
    let of_tags: u64 = tags.iter().map(|tag| packets_of(&tag.text)).sum();
    let packets = usize::try_from(of_tags).unwrap_or(0) + second.packets.len() + 1;
    packets * ts::PACKET
}

struct Writer<'a> {
    out: Vec<u8>,
    id3_packets: u64,
    counts: Counts,
    /// Those that are not written yet.
    tags: &'a [Tag],
}

impl Writer<'_> {
    fn write_packet(&mut self, mut packet: ts::Packet, shift: u64) {
        if let Some(place) = place(&packet) {
            let count = &mut self.counts[place];
            ts::set_counter(&mut packet, *count);
            *count += u64::from(ts::has_payload(&packet));
        }
        ts::shift(&mut packet, shift);
        self.out.extend(packet);
    }

    /// Writes the tags that a picture of this PTS does not come before.
    fn write_tags_until(&mut self, pts: u64) {
        while let Some((tag, rest)) = self.tags.split_first()
            && moment(tag) <= pts
        {
            self.write_id3(&id3::private(&tag.text), moment(tag));
            self.tags = rest;
        }
    }

    fn write_id3(&mut self, tag: &[u8], pts: u64) {
        let pes = ts::private_pes(tag, pts);
        self.id3_packets += ts::write_pes(&mut self.out, ts::ID3, self.id3_packets, &pes);
    }
}

/// A tag's PTS before it is cut to 33 bits. A tick is 100/9 µs.
fn moment(tag: &Tag) -> u64 {
    (tag.at_us.saturating_mul(9) / 100).saturating_add(FIRST_PTS)
}
