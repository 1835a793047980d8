//! A demultiplexer that shares no code with what it checks. It panics on whatever is wrong.

pub(super) const VIDEO: u16 = 0x100;
pub(super) const AUDIO: u16 = 0x101;
pub(super) const ID3: u16 = 0x102;

#[derive(Debug)]
pub(super) struct Packet {
    pub(super) pid: u16,
    pub(super) begins: bool,
    pub(super) has_payload: bool,
    pub(super) counter: u8,
    pub(super) random_access: bool,
    /// The base, in ticks of 90 kHz.
    pub(super) pcr: Option<u64>,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Pes {
    pub(super) pts: u64,
    pub(super) payload: Vec<u8>,
}

pub(super) fn packets(bytes: &[u8]) -> Vec<Packet> {
    assert_eq!(bytes.len() % 188, 0, "whole packets");
    bytes.chunks(188).map(packet).collect()
}

fn packet(bytes: &[u8]) -> Packet {
    assert_eq!(bytes[0], 0x47, "the sync byte");
    let mut rest = &bytes[4..];
    let mut flags = 0;
    let mut pcr = None;
    if bytes[3] & 0x20 != 0 {
        let (field, after) = rest[1..].split_at(usize::from(rest[0]));
        rest = after;
        flags = field.first().copied().unwrap_or(0);
        let mut used = 1;
        if flags & 0x10 != 0 {
            let base = field[1..6]
                .iter()
                .fold(0, |base, byte| base << 8 | u64::from(*byte));
            pcr = Some(base >> 7);
            used += 6;
        }
        assert_eq!(flags & 0x0f, 0, "nothing else is in it");
        assert!(
            field.iter().skip(used).all(|byte| *byte == 0xff),
            "stuffing"
        );
    }
    Packet {
        pid: u16::from(bytes[1] & 0x1f) << 8 | u16::from(bytes[2]),
        begins: bytes[1] & 0x40 != 0,
        has_payload: bytes[3] & 0x10 != 0,
        counter: bytes[3] & 0x0f,
        random_access: flags & 0x40 != 0,
        pcr,
        payload: rest.to_vec(),
    }
}

/// The PES packets of a stream.
pub(super) fn pes_of(bytes: &[u8], pid: u16) -> Vec<Pes> {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    for packet in packets(bytes)
        .into_iter()
        .filter(|packet| packet.pid == pid)
    {
        match whole.last_mut() {
            Some(last) if !packet.begins => last.extend(packet.payload),
            _ => {
                assert!(packet.begins, "a segment begins with a whole unit");
                whole.push(packet.payload);
            }
        }
    }
    let pes = whole.iter().map(|bytes| (bytes, Pes::read(bytes)));
    pes.map(|(bytes, pes)| {
        let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        assert!(
            length == 0 && pid == VIDEO || length + 6 == bytes.len(),
            "{pid:#x}: {length}"
        );
        pes
    })
    .collect()
}

impl Pes {
    pub(super) fn read(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..3], [0, 0, 1], "a start code");
        if bytes[3] == 0xbd {
            assert_eq!(bytes[6..9], [0x84, 0x80, 5], "flags of private data");
        }
        assert_eq!(
            bytes[7] & 0xc0,
            0x80,
            "a PTS, and no DTS where no picture waits"
        );
        let stamp = &bytes[9..14];
        for (place, marker) in [(0, 0x21), (2, 1), (4, 1)] {
            assert_eq!(stamp[place] & marker, marker, "marker bits of {stamp:?}");
        }
        assert_eq!(stamp[0] >> 4, 2, "{stamp:?}");
        let all = stamp
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        Self {
            pts: all >> 3 & 7 << 30 | all >> 2 & 0x7fff << 15 | all >> 1 & 0x7fff,
            payload: bytes[9 + usize::from(bytes[8])..].to_vec(),
        }
    }
}

/// From one timestamp of 33 bits to a later one.
pub(super) fn ticks_after(from: u64, to: u64) -> u64 {
    (to + (1 << 33) - from) % (1 << 33)
}

/// The types of the units in a picture.
pub(super) fn nal_units(bytes: &[u8]) -> Vec<u8> {
    let starts = bytes.windows(4).filter(|four| four[..3] == [0, 0, 1]);
    starts.map(|four| four[3] & 0x1f).collect()
}

/// The register after a section with its checksum, bit by bit.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
    {
        let carry = (register >> 31) as u8 ^ bit;
        register = register << 1 ^ if carry == 1 { 0x04c1_1db7 } else { 0 };
    }
    register
}
