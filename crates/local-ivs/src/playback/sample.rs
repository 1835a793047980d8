//! The sample: eight seconds of a test picture in a transport stream, cut where each second begins.

use super::ts::{self, PACKET, Packet};
use std::sync::LazyLock;

static BYTES: &[u8] = include_bytes!("../../playback/sample.ts");

/// The sample as it is played.
pub(super) static SAMPLE: LazyLock<Sample> = LazyLock::new(|| Sample::cut(BYTES));

/// Packets of each stream of the sample: PAT, PMT, video, audio.
pub(super) type Counts = [u64; 4];

pub(super) struct Sample {
    /// Seconds of a loop.
    pub(super) seconds: Vec<Second>,
    /// Packets of a whole loop.
    pub(super) packets: Counts,
    /// The first PTS of the video.
    pub(super) first_pts: u64,
}

pub(super) struct Second {
    /// With our program map in place of ffmpeg's.
    pub(super) packets: Vec<Packet>,
    /// Packets of the loop before this second.
    pub(super) before: Counts,
}

/// The place of a stream in [`Counts`].
pub(super) fn place(packet: &Packet) -> Option<usize> {
    let streams = [ts::PAT, ts::PMT, ts::VIDEO, ts::AUDIO];
    streams.iter().position(|pid| *pid == ts::pid(packet))
}

impl Sample {
    /// Every second begins with a program association table, and no other has one.
    fn cut(bytes: &[u8]) -> Self {
        let mut sample = Self {
            seconds: Vec::new(),
            packets: Counts::default(),
            first_pts: 0,
        };
        let (packets, _) = bytes.as_chunks::<PACKET>();
        for packet in packets {
            if ts::pid(packet) == ts::PAT {
                sample.seconds.push(Second {
                    packets: Vec::new(),
                    before: sample.packets,
                });
            }
            sample.add(packet);
        }
        let mut video = packets.iter().filter(|packet| ts::pid(packet) == ts::VIDEO);
        sample.first_pts = video.find_map(ts::pts).unwrap_or(0);
        sample
    }

    fn add(&mut self, packet: &Packet) {
        if ts::has_payload(packet)
            && let Some(place) = place(packet)
        {
            self.packets[place] += 1;
        }
        let is_map = ts::pid(packet) == ts::PMT;
        if let Some(second) = self.seconds.last_mut() {
            let packet = if is_map {
                ts::program_map(true)
            } else {
                *packet
            };
            second.packets.push(packet);
        }
    }
}
