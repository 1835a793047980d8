//! The bytes of segments, read by a demultiplexer of the tests' own.

mod demux;
mod encoder;

use super::playlist::Variant;
use super::{Broadcast, Resource, Tag, master, media, packets_of, segment};
use crate::faults::SplitMix64;
use crate::limits::{PLAYBACK_LEAD_S, PLAYBACK_WINDOW, SECOND_US};
use demux::{AUDIO, ID3, Packet, Pes, VIDEO, packets, pes_of, ticks_after};

/// 2^33 ticks are 95,443.7 s, and the first picture has 1 s.
const WRAP_SEGMENT: u64 = 95_442;

fn tag(at_us: u64, text: &str) -> Tag {
    Tag {
        at_us,
        text: text.into(),
    }
}

/// Segments in a row, as the state would ask for them.
fn run(from: u64, tags_of: &[Vec<Tag>]) -> Vec<Vec<u8>> {
    let mut packets_before = 0;
    let mut segments = Vec::new();
    for (n, tags) in (from..).zip(tags_of) {
        segments.push(segment(n, tags, packets_before));
        packets_before += tags.iter().map(|tag| packets_of(&tag.text)).sum::<u64>();
    }
    segments
}

/// Tags of any number, size and moment.
fn random_tags(rng: &mut SplitMix64, n: u64) -> Vec<Tag> {
    let mut below = |most: u64| rng.next_u64() % most;
    let count = below(7);
    let mut moments: Vec<u64> = (0..count).map(|_| below(SECOND_US)).collect();
    moments.sort_unstable();
    let length = |text: usize| "é{~".chars().cycle().take(text).collect::<String>();
    let mut tags = Vec::new();
    for moment in moments {
        let mut text = length(1 + usize::from(below(767).to_le_bytes()[0]) * 3);
        text.truncate(text.floor_char_boundary(1_024));
        tags.push(tag(n * SECOND_US + moment, &text));
    }
    tags
}

fn random_run(seed: u64, from: u64, count: u64) -> (Vec<Vec<Tag>>, Vec<Vec<u8>>) {
    let mut rng = SplitMix64::new(seed);
    let tags: Vec<_> = (from..from + count)
        .map(|n| random_tags(&mut rng, n))
        .collect();
    let segments = run(from, &tags);
    (tags, segments)
}

const STARTS: [u64; 4] = [0, 5, WRAP_SEGMENT - 12, 1_000_003];

#[test]
fn counters_go_on_from_segment_to_segment() {
    for (seed, from) in (1..).zip(STARTS) {
        let (_, segments) = random_run(seed, from, 24);
        let all = segments.concat();
        let mut last = std::collections::HashMap::new();
        for (place, packet) in packets(&all).into_iter().enumerate() {
            assert!(packet.has_payload, "seed {seed}, packet {place}");
            if let Some(before) = last.insert(packet.pid, packet.counter) {
                assert_eq!(
                    packet.counter,
                    (before + 1) % 16,
                    "seed {seed}, packet {place} of {:#x}",
                    packet.pid
                );
            }
        }
        let mut pids: Vec<u16> = last.into_keys().collect();
        pids.sort_unstable();
        assert_eq!(pids, [0, VIDEO, AUDIO, ID3, 0x1000], "no SDT, nothing else");
    }
}

#[test]
fn times_go_on_over_the_loop_and_the_wrap() {
    for (seed, from) in (1..).zip(STARTS) {
        let (_, segments) = random_run(seed, from, 24);
        let all = segments.concat();
        for (pid, step) in [(VIDEO, 3_600), (AUDIO, 2_880)] {
            let stamps: Vec<u64> = pes_of(&all, pid).iter().map(|pes| pes.pts).collect();
            assert_eq!(stamps.len() as u64, 24 * 90_000 / step, "{pid:#x}");
            for pair in stamps.windows(2) {
                assert_eq!(ticks_after(pair[0], pair[1]), step, "{pid:#x} {pair:?}");
            }
        }
        let pcrs: Vec<u64> = packets(&all)
            .iter()
            .filter_map(|packet| packet.pcr)
            .collect();
        for pair in pcrs.windows(2) {
            let passed = ticks_after(pair[0], pair[1]);
            assert!((1..=9_000).contains(&passed), "PCR {pair:?}");
        }
        // A picture is decoded after the clock that comes with it, and soon.
        let video = packets(&all)
            .into_iter()
            .filter(|packet| packet.pid == VIDEO);
        for packet in video.filter(|packet| packet.begins) {
            let pts = Pes::read(&packet.payload).pts;
            let early = packet.pcr.map(|pcr| ticks_after(pcr, pts));
            assert!(early.is_none_or(|early| early <= 90_000), "{early:?}");
        }
        let first = pes_of(&segments[0], VIDEO)[0].pts;
        assert_eq!(first, (from + 1) * 90_000 % (1 << 33), "segment {from}");
        let wrapped = pes_of(&all, VIDEO).iter().any(|pes| pes.pts < 3_600);
        assert_eq!(wrapped, from == WRAP_SEGMENT - 12, "from {from}");
    }
}

#[test]
fn each_segment_stands_alone() {
    for n in 0..17 {
        let bytes = segment(n, &[], 0);
        let packets = packets(&bytes);
        let begins: Vec<u16> = packets.iter().take(4).map(|packet| packet.pid).collect();
        assert_eq!(begins, [0, 0x1000, ID3, VIDEO], "segment {n}");
        // The program map is where the association table says.
        assert_eq!(packets[0].payload[9..13], [0, 1, 0xf0, 0x00], "segment {n}");
        assert!(packets[3].random_access, "segment {n}");
        let pictures = pes_of(&bytes, VIDEO);
        assert_eq!(pictures.len(), 25, "segment {n}");
        // A sequence's parameters, a picture's, and a picture that needs no other.
        let units = demux::nal_units(&pictures[0].payload);
        for unit in [7, 8, 5] {
            assert!(units.contains(&unit), "segment {n}: {units:?}");
        }
        assert_eq!(
            segment(n, &[], 0),
            bytes,
            "segment {n} is the same each time"
        );
    }
}

#[test]
fn the_program_map_tells_of_the_metadata() {
    let bytes = segment(3, &[], 0);
    let map = &packets(&bytes)[1].payload;
    assert_eq!(map[0], 0, "the section follows at once");
    let length = usize::from(u16::from_be_bytes([map[2] & 0x0f, map[3]]));
    let section = &map[1..4 + length];
    assert!(map[4 + length..].iter().all(|byte| *byte == 0xff));
    let hex: Vec<String> = section.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let expected = concat!(
        // table 2, the length, program 1, current, the PCR with the video
        "02b03c0001c10000e100",
        "f011250fffff49443320ff49443320001f0001",
        "1be100f0000fe101f000",
        "15e102f00f260dffff49443320ff49443320000f",
    );
    assert_eq!(hex[..hex.len() - 8], *expected);
    assert_eq!(demux::crc(section), 0, "a right checksum leaves nothing");
}

#[test]
fn metadata_is_there_byte_for_byte_at_its_moment_and_in_its_order() {
    for (seed, from) in (1..).zip(STARTS) {
        let (tags, segments) = random_run(seed, from, 24);
        for (n, (tags, bytes)) in (from..).zip(tags.iter().zip(&segments)) {
            let found = pes_of(bytes, ID3);
            assert_eq!(found[0].payload, txxx(n), "segment {n}");
            assert_eq!(found[0].pts, pes_of(bytes, VIDEO)[0].pts, "segment {n}");
            let texts: Vec<Vec<u8>> = found[1..].iter().map(|pes| pes.payload.clone()).collect();
            let expected: Vec<Vec<u8>> = tags.iter().map(|tag| private(&tag.text)).collect();
            assert_eq!(texts, expected, "seed {seed}, segment {n}");
            for (tag, pes) in tags.iter().zip(&found[1..]) {
                let moment = 90_000 + u128::from(tag.at_us) * 9 / 100;
                assert_eq!(u128::from(pes.pts), moment % (1 << 33), "{tag:?}");
            }
        }
    }
}

fn txxx(n: u64) -> Vec<u8> {
    let value = format!("\u{3}segmentmetadata\0{{\"X-SEGMENT\":{n}}}");
    let size = u8::try_from(value.len()).unwrap_or(0);
    let mut tag = b"ID3\x04\0\0\0\0\0".to_vec();
    tag.push(size + 10);
    tag.extend(b"TXXX\0\0\0");
    tag.extend([size, 0, 0]);
    tag.extend(value.as_bytes());
    tag
}

fn private(text: &str) -> Vec<u8> {
    let data = [b"metadata.live-video.net\0", text.as_bytes()].concat();
    let byte = |size: usize| size.to_le_bytes()[0];
    let syncsafe = |size: usize| [0, 0, byte(size / 128), byte(size % 128)];
    let mut tag = b"ID3\x04\0\0".to_vec();
    tag.extend(syncsafe(data.len() + 10));
    tag.extend(b"PRIV");
    tag.extend(syncsafe(data.len()));
    tag.extend([0, 0]);
    tag.extend(data);
    tag
}

/// Where tags of these moments are among the pictures: how many of the segment's come before each.
fn check_places(moments: &[u64], expected: &[usize]) {
    let tags: Vec<Tag> = moments.iter().map(|us| tag(*us, "x")).collect();
    let bytes = segment(2, &tags, 0);
    let mut pictures = 0;
    let mut places = Vec::new();
    for Packet { pid, begins, .. } in packets(&bytes) {
        pictures += usize::from(begins && pid == VIDEO);
        if begins && pid == ID3 {
            places.push(pictures);
        }
    }
    // The first one is the segment's own.
    assert_eq!(places[1..], *expected, "{moments:?}");
}

#[test]
fn metadata_comes_before_the_first_picture_that_is_not_earlier() {
    // Pictures of 40 ms; a tick is 11.1 µs.
    check_places(&[2_000_000], &[0]);
    check_places(&[2_000_020], &[1]);
    check_places(&[2_040_000, 2_040_000, 2_040_012], &[1, 1, 2]);
    check_places(
        &[2_959_999, 2_960_000, 2_960_012, 2_999_999],
        &[24, 24, 25, 25],
    );
}

#[test]
fn a_stuffed_packet_holds_every_length() {
    // From one packet to seven, with every number of bytes left over.
    for length in 1..=1_024 {
        let text = "x".repeat(length);
        let bytes = segment(0, &[tag(500_000, &text)], 7);
        let found = pes_of(&bytes, ID3);
        assert_eq!(found.len(), 2, "{length}");
        assert_eq!(found[1].payload, private(&text), "{length}");
        let metadata = packets(&bytes)
            .into_iter()
            .filter(|packet| packet.pid == ID3);
        assert_eq!(metadata.count() as u64, 1 + packets_of(&text), "{length}");
    }
}

#[test]
fn the_busiest_segment_stays_below_the_bandwidth() {
    let text = "x".repeat(1_024);
    for n in 0..8 {
        let tags: Vec<Tag> = (0..5)
            .map(|i| tag(n * SECOND_US + i * 200_000, &text))
            .collect();
        let bits = segment(n, &tags, 0).len() * 8;
        assert!(bits <= Variant::Low.bandwidth() as usize, "{n}: {bits}");
    }
}

/// 2026-01-02T03:04:05.678901Z.
const LIVE_US: u64 = 1_767_323_045_678_901;

#[test]
fn a_playlist_has_the_last_seconds_that_are_over() {
    let broadcast = Broadcast::new(LIVE_US, 1);
    for (after_us, listed) in [
        (0, 0..3),
        (999_999, 0..3),
        (SECOND_US, 0..4),
        (5 * SECOND_US, 0..8),
        (6 * SECOND_US, 1..9),
        (100 * SECOND_US, 95..103),
    ] {
        let now_us = LIVE_US + after_us;
        assert_eq!(broadcast.listed(now_us), listed, "{after_us}");
        let first = broadcast.sequence(0);
        for (segment, is_there) in [
            (listed.end, false),
            (listed.end - 1, true),
            (listed.start, true),
            (listed.start.saturating_sub(8), true),
        ] {
            let found = broadcast.segment(first + segment, now_us);
            assert_eq!(found, is_there.then_some(segment), "{after_us}");
        }
        if let Some(gone) = listed.start.checked_sub(9) {
            assert_eq!(broadcast.segment(first + gone, now_us), None);
        }
        assert_eq!(broadcast.segment(first - 1, now_us), None);
    }
    assert_eq!(PLAYBACK_WINDOW, 8);
    // A moment is in one segment only, and what came before the stream in none.
    assert_eq!(broadcast.moments(2), LIVE_US..LIVE_US);
    assert_eq!(broadcast.moments(3), LIVE_US..LIVE_US + SECOND_US);
    assert_eq!(broadcast.moments(4).start, broadcast.moments(3).end);
}

#[test]
fn numbers_go_on_when_an_encoder_reconnects() {
    for seed in 0..200 {
        let mut rng = SplitMix64::new(seed);
        let (mut live_us, mut last) = (LIVE_US, 0);
        for number in 1..20 {
            let broadcast = Broadcast::new(live_us, number);
            assert!(broadcast.sequence(0) > last, "seed {seed}, stream {number}");
            let end_us = live_us + rng.next_u64() % (4 * SECOND_US);
            last = broadcast.sequence(broadcast.listed(end_us).end - 1);
            live_us = end_us + rng.next_u64() % (2 * SECOND_US);
        }
    }
}

#[test]
fn playlists_are_as_the_format_has_them() {
    let second = Broadcast::new(LIVE_US, 2);
    let first_number = 1_767_323_042 + 2 * (PLAYBACK_LEAD_S + 1);
    let expected = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first_number}\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:02.678Z\n#EXTINF:1.000,\nplayback-high-{}.ts\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:03.678Z\n#EXTINF:1.000,\nplayback-high-{}.ts\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:04.678Z\n#EXTINF:1.000,\nplayback-high-{}.ts\n",
        first_number,
        first_number + 1,
        first_number + 2,
    );
    assert_eq!(media(&second, LIVE_US, Variant::High), expected);
    let low = media(&second, LIVE_US + 30 * SECOND_US, Variant::Low);
    assert_eq!(low.matches("playback-low-").count(), 8);
    assert_eq!(
        master(),
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS=\"avc1.42C00C,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=25.000\n\
         playback-high.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.42C00C,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=25.000\n\
         playback-low.m3u8\n"
    );
}

#[test]
fn only_names_of_playlists_are_known() {
    for (name, expected) in [
        ("playback.m3u8", Some(Resource::Master)),
        ("playback-high.m3u8", Some(Resource::Media(Variant::High))),
        ("playback-low.m3u8", Some(Resource::Media(Variant::Low))),
        ("playback-low-17.ts", Some(Resource::Segment(17))),
        (
            "playback-high-18446744073709551615.ts",
            Some(Resource::Segment(u64::MAX)),
        ),
        ("playback-high-18446744073709551616.ts", None),
        ("playback-high-+1.ts", None),
        ("playback-high-.ts", None),
        ("playback-high-1.m4s", None),
        ("playback-mid.m3u8", None),
        ("playback", None),
        ("", None),
    ] {
        assert_eq!(Resource::parse(name), expected, "{name}");
    }
}
