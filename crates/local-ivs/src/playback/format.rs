//! What an encoder says of its video and audio before it sends any: H.264 (ITU-T H.264) and AAC (ISO/IEC 14496-3).

use serde::{Deserialize, Serialize};

/// The byte sequence that begins a unit of H.264 (annex B).
const START: [u8; 4] = [0, 0, 0, 1];

/// Kinds of units (7.4.1).
const KEY_PICTURE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;
const DELIMITER: u8 = 9;

/// The greatest width and height, in blocks of 16 samples: those of the highest level fit four times.
const MAX_BLOCKS: u32 = 2_048;

/// What the API shows of the video of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VideoFacts {
    pub(crate) profile: u8,
    pub(crate) constraints: u8,
    /// Ten times the level.
    pub(crate) level: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Measured.
    #[serde(default)]
    pub(crate) frames_per_second: u64,
    /// Measured.
    #[serde(default)]
    pub(crate) bits_per_second: u64,
}

impl VideoFacts {
    pub(crate) fn codec(&self) -> String {
        let (profile, constraints, level) = (self.profile, self.constraints, self.level);
        format!("avc1.{profile:02X}{constraints:02X}{level:02X}")
    }
}

/// What the API shows of the audio of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AudioFacts {
    /// The audio object type: 2 is AAC-LC.
    pub(crate) object: u8,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u8,
    /// Measured.
    #[serde(default)]
    pub(crate) bits_per_second: u64,
}

impl AudioFacts {
    pub(crate) fn codec(&self) -> String {
        format!("mp4a.40.{}", self.object)
    }
}

/// How the video of a stream is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VideoFormat {
    pub(super) facts: VideoFacts,
    /// Bytes of the length before each unit.
    length_bytes: usize,
    /// As they stand before a key picture.
    parameters: Vec<u8>,
}

impl VideoFormat {
    /// `None`: no player could read it.
    pub(crate) fn new(
        length_bytes: usize,
        sequence: &[Vec<u8>],
        picture: &[Vec<u8>],
    ) -> Option<Self> {
        let facts = facts_of(sequence.first()?)?;
        let mut parameters = Vec::new();
        for unit in sequence.iter().chain(picture) {
            parameters.extend(START);
            parameters.extend(unit);
        }
        Some(Self {
            facts,
            length_bytes,
            parameters,
        })
    }

    /// A picture as a transport stream has it, and whether a player can begin with it; `None` if the units do not fill it.
    pub(super) fn picture(&self, mut units: &[u8]) -> Option<(Vec<u8>, bool)> {
        let mut found = Vec::new();
        while !units.is_empty() {
            let (length, rest) = units.split_at_checked(self.length_bytes)?;
            let length = length
                .iter()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            let (unit, rest) = rest.split_at_checked(length)?;
            found.extend(unit.first().map(|first| (first & 0x1f, unit)));
            units = rest;
        }
        let is_key = found.iter().any(|(kind, _)| *kind == KEY_PICTURE);
        let mut picture = Vec::new();
        picture.extend(START);
        picture.extend([DELIMITER, 0xf0]);
        if is_key {
            picture.extend(&self.parameters);
        }
        for (kind, unit) in found {
            if !matches!(kind, SEQUENCE_PARAMETERS | PICTURE_PARAMETERS | DELIMITER) {
                picture.extend(START);
                picture.extend(unit);
            }
        }
        Some((picture, is_key))
    }
}

/// How the audio of a stream is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioFormat {
    pub(super) facts: AudioFacts,
    /// The place of the rate in [`RATES`].
    rate: u8,
}

/// (14496-3, table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Samples of a frame.
pub(super) const FRAME_SAMPLES: u64 = 1_024;

impl AudioFormat {
    /// From an `AudioSpecificConfig` (14496-3, 1.6.2.1). `None`: it cannot be written as ADTS.
    pub(crate) fn new(config: &[u8]) -> Option<Self> {
        let [first, second] = *config.first_chunk::<2>()?;
        let object = first >> 3;
        let rate = first << 1 & 0x0e | second >> 7;
        let channels = second >> 3 & 0x0f;
        // ADTS has two bits for the object type, and three for the channels.
        if !(1..=4).contains(&object) || !(1..=7).contains(&channels) {
            return None;
        }
        let sample_rate = *RATES.get(usize::from(rate))?;
        let facts = AudioFacts {
            object,
            sample_rate,
            // (Table 1.19).
            channels: if channels == 7 { 8 } else { channels },
            bits_per_second: 0,
        };
        Some(Self { facts, rate })
    }

    /// A frame with its ADTS header (1.A.2.2); `None` if it is too long for one.
    pub(super) fn frame(&self, data: &[u8]) -> Option<Vec<u8>> {
        let length = u16::try_from(data.len() + 7)
            .ok()
            .filter(|length| *length < 1 << 13)?;
        let [high, low] = length.to_be_bytes();
        let channels = if self.facts.channels == 8 {
            7
        } else {
            self.facts.channels
        };
        let mut frame = Vec::with_capacity(data.len() + 7);
        frame.extend([
            0xff,
            0xf1,
            (self.facts.object - 1) << 6 | self.rate << 2 | channels >> 2,
            (channels & 3) << 6 | high >> 3,
            high << 5 | low >> 3,
            low << 5 | 0x1f,
            0xfc,
        ]);
        frame.extend(data);
        Some(frame)
    }
}

/// Reads a sequence parameter set as far as its size (7.3.2.1.1).
fn facts_of(unit: &[u8]) -> Option<VideoFacts> {
    let mut bits = Bits::new(unit);
    bits.take(8)?;
    let mut byte = || u8::try_from(bits.take(8)?).ok();
    let (profile, constraints, level) = (byte()?, byte()?, byte()?);
    bits.number()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128) {
        chroma = bits.number()?;
        if chroma == 3 {
            bits.take(1)?;
        }
        bits.number()?;
        bits.number()?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            skip_scaling(&mut bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    bits.number()?;
    match bits.number()? {
        0 => drop(bits.number()?),
        1 => {
            bits.take(1)?;
            bits.number()?;
            bits.number()?;
            // At most 255 offsets.
            for _ in 0..bits.number()?.min(255) {
                bits.number()?;
            }
        }
        _ => {}
    }
    bits.number()?;
    bits.take(1)?;
    let blocks_across = bits.number()?.checked_add(1)?;
    let blocks_down = bits.number()?.checked_add(1)?;
    let is_whole = bits.take(1)?;
    if is_whole == 0 {
        bits.take(1)?;
    }
    bits.take(1)?;
    if blocks_across > MAX_BLOCKS || blocks_down > MAX_BLOCKS {
        return None;
    }
    let (mut width, mut height) = (blocks_across * 16, blocks_down * 16 * (2 - is_whole));
    if bits.take(1)? == 1 {
        // (Table 6-1): samples of a step.
        let across = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let down = if chroma == 1 { 2 } else { 1 } * (2 - is_whole);
        let mut cropped = |step: u32| {
            let sides = bits.number()?.checked_add(bits.number()?)?;
            sides.checked_mul(step)
        };
        width = width.checked_sub(cropped(across)?)?;
        height = height.checked_sub(cropped(down)?)?;
    }
    Some(VideoFacts {
        profile,
        constraints,
        level,
        width,
        height,
        frames_per_second: 0,
        bits_per_second: 0,
    })
}

/// (7.3.2.1.1.1).
fn skip_scaling(bits: &mut Bits, lists: usize) -> Option<()> {
    for list in 0..lists {
        if bits.take(1)? == 0 {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                let number = i64::from(bits.number()?);
                let change = if number % 2 == 0 {
                    -(number / 2)
                } else {
                    number / 2 + 1
                };
                next = (last + change).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// The bits of a unit, without the bytes that keep start codes out of it (7.4.1).
struct Bits {
    bytes: Vec<u8>,
    place: usize,
}

impl Bits {
    fn new(unit: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(unit.len());
        let mut zeros = 0;
        for byte in unit {
            if zeros >= 2 && *byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            bytes.push(*byte);
        }
        Self { bytes, place: 0 }
    }

    /// At most 32.
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut bits = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.place / 8)?;
            bits = bits << 1 | u32::from(byte >> (7 - self.place % 8) & 1);
            self.place += 1;
        }
        Some(bits)
    }

    /// An Exp-Golomb code (9.1).
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        let rest = self.take(zeros)?;
        (1_u32 << zeros).checked_add(rest)?.checked_sub(1)
    }
}
