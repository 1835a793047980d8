//! Packets of an MPEG transport stream: ISO/IEC 13818-1, with its section numbers in parentheses.

/// Bytes of a packet.
pub(super) const PACKET: usize = 188;

/// Bytes of a packet without its header.
const ROOM: usize = PACKET - 4;

pub(super) type Packet = [u8; PACKET];

pub(super) const PAT: u16 = 0;
/// Where ffmpeg puts its first program, and what the sample's program association table says.
pub(super) const PMT: u16 = 0x1000;
pub(super) const VIDEO: u16 = 0x100;
pub(super) const AUDIO: u16 = 0x101;
/// Where the metadata goes; no stream of the sample.
pub(super) const ID3: u16 = 0x102;

/// Ticks of timestamps in a second.
pub(super) const CLOCK: u64 = 90_000;

/// Timestamps have 33 bits.
const WRAP: u64 = (1 << 33) - 1;

pub(super) fn pid(packet: &Packet) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// Whether a table or a PES packet begins in it (2.4.3.3, `payload_unit_start_indicator`).
pub(super) fn begins_unit(packet: &Packet) -> bool {
    packet[1] & 0x40 != 0
}

/// Whether it has a payload. Only then the next one of its PID has another counter.
pub(super) fn has_payload(packet: &Packet) -> bool {
    packet[3] & 0x10 != 0
}

pub(super) fn set_counter(packet: &mut Packet, packets_before: u64) {
    packet[3] = packet[3] & 0xf0 | low(packets_before) & 0x0f;
}

/// Adds to all of a packet's timestamps: PCR, PTS, DTS.
pub(super) fn shift(packet: &mut Packet, ticks: u64) {
    let has_adaptation = packet[3] & 0x20 != 0;
    // (2.4.3.4): the length, flags, then the PCR.
    if has_adaptation && packet[4] >= 7 && packet[5] & 0x10 != 0 {
        let base = packet[6..10]
            .iter()
            .fold(0, |base, byte| base << 8 | u64::from(*byte));
        let base = (base << 1 | u64::from(packet[10] >> 7)).wrapping_add(ticks) & WRAP;
        for (place, byte) in packet[6..10].iter_mut().enumerate() {
            *byte = low(base >> (25 - 8 * place));
        }
        packet[10] = low(base << 7) & 0x80 | packet[10] & 0x7f;
    }
    let Some(pes) = pes(packet) else {
        return;
    };
    let stamps = match packet[pes + 7] >> 6 {
        2 => 1,
        3 => 2,
        _ => 0,
    };
    for place in (0..stamps).map(|stamp| pes + 9 + 5 * stamp) {
        let Some(stamp) = packet.get_mut(place..place + 5) else {
            return;
        };
        let moved = stamp_of(read(stamp).wrapping_add(ticks), stamp[0]);
        stamp.copy_from_slice(&moved);
    }
}

/// The PTS of the PES packet that begins here.
pub(super) fn pts(packet: &Packet) -> Option<u64> {
    let pes = pes(packet)?;
    let stamp = packet.get(pes + 9..pes + 14)?;
    (packet[pes + 7] & 0x80 != 0).then(|| read(stamp))
}

/// Where the header of a PES packet of video or audio begins (2.4.3.6).
fn pes(packet: &Packet) -> Option<usize> {
    let is_media = matches!(pid(packet), VIDEO | AUDIO);
    let adaptation = if packet[3] & 0x20 == 0 {
        0
    } else {
        1 + usize::from(packet[4])
    };
    // The header with both stamps has 19 bytes.
    (is_media && begins_unit(packet) && adaptation + 19 <= ROOM).then_some(4 + adaptation)
}

/// A timestamp of 33 bits in five bytes, with marker bits between.
fn read(stamp: &[u8]) -> u64 {
    let bits = |place: usize| u64::from(stamp[place]);
    (bits(0) >> 1 & 7) << 30 | bits(1) << 22 | (bits(2) >> 1) << 15 | bits(3) << 7 | bits(4) >> 1
}

/// The high four bits of `first` tell PTS from DTS.
fn stamp_of(ticks: u64, first: u8) -> [u8; 5] {
    let ticks = ticks & WRAP;
    [
        first & 0xf0 | low(ticks >> 29) & 0x0e | 1,
        low(ticks >> 22),
        low(ticks >> 14) | 1,
        low(ticks >> 7),
        low(ticks << 1) | 1,
    ]
}

/// A PES packet with a PTS around an ID3 tag: `private_stream_1`, its length, flags (aligned, a PTS and no DTS), 5 bytes
/// of PTS.
pub(super) fn private_pes(tag: &[u8], pts: u64) -> Vec<u8> {
    // 3 bytes of flags and 5 of the PTS. A tag has 1,100 bytes at most.
    let length = u16::try_from(tag.len() + 8).unwrap_or(0);
    let mut pes = Vec::with_capacity(PES_HEADER + tag.len());
    pes.extend([0, 0, 1, 0xbd]);
    pes.extend(length.to_be_bytes());
    pes.extend([0x84, 0x80, 5]);
    pes.extend(stamp_of(pts, 0x20));
    pes.extend(tag);
    pes
}

const PES_HEADER: usize = 14;

/// Packets that [`private_pes`] of such a tag takes.
pub(super) fn packets_of(tag_bytes: usize) -> u64 {
    (PES_HEADER + tag_bytes).div_ceil(ROOM) as u64
}

/// Writes a PES packet as packets of a PID; the last one is stuffed by an adaptation field. Gives how many there were.
pub(super) fn write_pes(out: &mut Vec<u8>, pid: u16, packets_before: u64, pes: &[u8]) -> u64 {
    write_packets(out, pid, packets_before, &[], pes)
}

/// As [`write_pes`], with the clock of the program before it (2.4.3.5), and whether a player can begin here.
pub(super) fn write_clocked_pes(
    out: &mut Vec<u8>,
    pid: u16,
    packets_before: u64,
    (clock, is_random_access): (u64, bool),
    pes: &[u8],
) -> u64 {
    let clock = clock & WRAP;
    let fields = [
        if is_random_access { 0x50 } else { 0x10 },
        low(clock >> 25),
        low(clock >> 17),
        low(clock >> 9),
        low(clock >> 1),
        low(clock << 7) & 0x80 | 0x7e,
        0,
    ];
    write_packets(out, pid, packets_before, &fields, pes)
}

/// `fields` are what the adaptation field of the first packet has.
fn write_packets(
    out: &mut Vec<u8>,
    pid: u16,
    packets_before: u64,
    fields: &[u8],
    pes: &[u8],
) -> u64 {
    let [high, low_byte] = pid.to_be_bytes();
    let (mut counter, mut rest, mut fields) = (packets_before, pes, fields);
    let mut first = 0x40;
    while first != 0 || !rest.is_empty() {
        let taken = if fields.is_empty() {
            0
        } else {
            1 + fields.len()
        };
        let (part, later) = rest.split_at(rest.len().min(ROOM - taken));
        let adaptation = ROOM - part.len();
        let control = if adaptation == 0 { 0x10 } else { 0x30 };
        out.extend([0x47, first | high, low_byte, control | low(counter) & 0x0f]);
        // The length counts what comes after it: flags and what they announce, and the stuffing.
        if let Some(length) = adaptation.checked_sub(1) {
            out.push(u8::try_from(length).unwrap_or(0));
            let end = out.len() + length;
            if fields.is_empty() && length > 0 {
                out.push(0);
            }
            out.extend(fields);
            out.resize(end, 0xff);
        }
        out.extend(part);
        counter += 1;
        (rest, fields, first) = (later, &[], 0);
    }
    counter - packets_before
}

/// A PES packet of video or audio (2.4.3.6). Where it is too long for its length, which only video may be, the length
/// is 0.
pub(super) fn media_pes(stream: u8, (pts, dts): (u64, u64), payload: &[u8]) -> Vec<u8> {
    let has_both = pts != dts;
    let stamps = if has_both { 10 } else { 5 };
    let length = u16::try_from(payload.len() + 3 + usize::from(stamps)).unwrap_or(0);
    let mut pes = Vec::with_capacity(19 + payload.len());
    pes.extend([0, 0, 1, stream]);
    pes.extend(length.to_be_bytes());
    pes.extend([0x84, if has_both { 0xc0 } else { 0x80 }, stamps]);
    pes.extend(stamp_of(pts, if has_both { 0x30 } else { 0x20 }));
    if has_both {
        pes.extend(stamp_of(dts, 0x10));
    }
    pes.extend(payload);
    pes
}

/// The program association table: one program (2.4.4.3).
pub(super) fn program_association() -> Packet {
    let mut section = vec![0, 0xb0, 0, 0, 1, 0xc1, 0, 0, 0, 1];
    section.extend((0xe000 | PMT).to_be_bytes());
    packet_of(PAT, section)
}

/// The program map: the streams of a picture and the metadata's (2.4.4.8).
pub(super) fn program_map(has_audio: bool) -> Packet {
    // A metadata pointer to `ID3 ` in program 1, in this very stream.
    const PROGRAM: &[u8] = b"\x25\x0f\xff\xffID3 \xffID3 \x00\x1f\x00\x01";
    // What the stream is: metadata of the format `ID3 `, of no service. Without both no player sees it.
    const METADATA: &[u8] = b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f";
    let mut section = vec![2, 0xb0, 0, 0, 1, 0xc1, 0, 0];
    section.extend((0xe000 | VIDEO).to_be_bytes());
    extend_described(&mut section, PROGRAM);
    for (kind, pid, descriptors) in [
        (0x1b, VIDEO, &b""[..]),
        (0x0f, AUDIO, b""),
        (0x15, ID3, METADATA),
    ] {
        if pid == AUDIO && !has_audio {
            continue;
        }
        section.push(kind);
        section.extend((0xe000 | pid).to_be_bytes());
        extend_described(&mut section, descriptors);
    }
    packet_of(PMT, section)
}

/// The packet of a table that fits into one.
fn packet_of(pid: u16, mut section: Vec<u8>) -> Packet {
    // What follows the length: the rest, and the checksum.
    section[2] = u8::try_from(section.len() + 4 - 3).unwrap_or(0);
    let checksum = crc(&section);
    section.extend(checksum.to_be_bytes());

    let [high, low_byte] = pid.to_be_bytes();
    let mut packet = [0xff; PACKET];
    packet[..5].copy_from_slice(&[0x47, 0x40 | high, low_byte, 0x10, 0]);
    packet[5..5 + section.len()].copy_from_slice(&section);
    packet
}

fn extend_described(section: &mut Vec<u8>, descriptors: &[u8]) {
    let length = u16::try_from(descriptors.len()).unwrap_or(0);
    section.extend((0xf000 | length).to_be_bytes());
    section.extend(descriptors);
}

/// CRC-32/MPEG-2 (annex A).
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let carry = crc & 0x8000_0000 != 0;
            crc << 1 ^ if carry { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// The lowest eight bits.
fn low(bits: u64) -> u8 {
    bits.to_le_bytes()[0]
}
