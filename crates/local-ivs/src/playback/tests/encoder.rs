//! What an encoder sends, as segments, read by the same demultiplexer.

use super::demux::{self, AUDIO, ID3, VIDEO, packets, pes_of};
use super::{private, txxx};
use crate::faults::SplitMix64;
use crate::limits::{MAX_ENCODER_WINDOW_BYTES, MAX_WAITING_TAGS, PLAYBACK_WINDOW};
use crate::playback::{AudioFormat, Broadcast, Picture, StreamError, VideoFormat, VideoFrame};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Of libx264, High at level 1.2, 320x180: its height is cropped, and it has bytes that keep start codes out.
const SEQUENCE: [u8; 26] = [
    0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60,
];
const PARAMETERS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
const STEREO_48: [u8; 2] = [0x11, 0x90];

fn video() -> VideoFormat {
    let format = VideoFormat::new(4, &[SEQUENCE.to_vec()], &[PARAMETERS.to_vec()]);
    format.unwrap_or_else(|| panic!("it can be read"))
}

fn audio() -> AudioFormat {
    AudioFormat::new(&STEREO_48).unwrap_or_else(|| panic!("it can be read"))
}

fn units(kind: u8, bytes: usize) -> Vec<u8> {
    let mut units = u32::try_from(bytes).unwrap_or(0).to_be_bytes().to_vec();
    units.resize(4 + bytes, 0xaa);
    units[4] = kind;
    units
}

/// A picture of a stream, with its formats, that began when the clock said 1,000 s.
fn picture() -> Picture {
    let picture = Picture::new(Broadcast::new(1_000_000_000, 1));
    picture.set_video(video());
    picture.set_audio(audio());
    picture
}

fn push(picture: &Picture, at_ms: u32, kind: u8, bytes: usize) -> Result<(), StreamError> {
    let frame = VideoFrame {
        at_ms,
        shown_later_ms: 0,
        units: &units(kind, bytes),
    };
    let now_us = 1_000_000_000 + u64::from(at_ms) * 1_000;
    picture.push_video(now_us, frame).map(drop)
}

/// 25 pictures a second, the first of each second a key picture, with audio between.
fn run(picture: &Picture, frames: std::ops::Range<u32>, first_ms: u32) {
    for frame in frames {
        let kind = if frame.is_multiple_of(25) { 0x65 } else { 0x41 };
        let at_ms = first_ms.wrapping_add(40 * frame);
        assert_eq!(push(picture, at_ms, kind, 700), Ok(()), "frame {frame}");
        for part in [0, 21] {
            assert_eq!(
                picture.push_audio(at_ms.wrapping_add(part), &[0x21; 90]),
                Ok(())
            );
        }
    }
}

fn segments(picture: &Picture) -> Vec<Vec<u8>> {
    let listed = picture.window().map(|window| window.listed);
    let listed = listed.unwrap_or_default().into_iter();
    let bytes = listed.map(|segment| picture.segment(segment.sequence));
    bytes
        .map(|bytes| bytes.unwrap_or_default().to_vec())
        .collect()
}

#[test]
fn formats_are_read() {
    let facts = video().facts;
    assert_eq!(facts.codec(), "avc1.64000C");
    assert_eq!((facts.width, facts.height), (320, 180));
    let (picture, is_key) = video().picture(&units(0x65, 9)).unwrap_or_default();
    assert!(is_key);
    assert_eq!(demux::nal_units(&picture), [9, 7, 8, 5]);
    let (picture, is_key) = video().picture(&units(0x41, 9)).unwrap_or_default();
    assert!(!is_key);
    assert_eq!(demux::nal_units(&picture), [9, 1]);
    // Its size ends with the tenth byte.
    for cut in 0..9 {
        let cut_off = VideoFormat::new(4, &[SEQUENCE[..cut].to_vec()], &[]);
        assert_eq!(cut_off, None, "{cut} bytes");
    }
    // Stereo at 48 kHz, AAC-LC, 7 bytes of header and 90.
    let frame = audio().frame(&[0x21; 90]).unwrap_or_default();
    assert_eq!(frame[..7], [0xff, 0xf1, 0x4c, 0x80, 0x0c, 0x3f, 0xfc]);
    assert_eq!(frame.len(), 97);
    assert_eq!(audio().frame(&[0; 8_185]), None, "its length has 13 bits");
    for config in [
        &[][..],
        &[0x11],
        &[0xf9, 0x90],
        &[0x11, 0x80],
        &[0x17, 0x90],
    ] {
        assert_eq!(AudioFormat::new(config), None, "{config:?}");
    }
}

#[test]
fn segments_begin_with_key_pictures_and_go_on() {
    for first_ms in [0, 5_000_000, u32::MAX - 3_000] {
        let picture = picture();
        // What comes before the first key picture is for nobody.
        assert_eq!(push(&picture, first_ms.wrapping_sub(40), 0x41, 9), Ok(()));
        run(&picture, 0..151, first_ms);
        let window = picture.window().unwrap_or_else(|| panic!("six are over"));
        let ticks: Vec<u64> = window.listed.iter().map(|segment| segment.ticks).collect();
        assert_eq!(ticks, [90_000; 6]);
        let segments = segments(&picture);
        for (n, bytes) in (0..).zip(&segments) {
            let begins: Vec<u16> = packets(bytes)
                .iter()
                .take(4)
                .map(|packet| packet.pid)
                .collect();
            assert_eq!(begins, [0, 0x1000, ID3, VIDEO]);
            assert!(packets(bytes)[3].random_access);
            assert_eq!(pes_of(bytes, ID3)[0].payload, txxx(n));
            let pictures = pes_of(bytes, VIDEO);
            assert_eq!(demux::nal_units(&pictures[0].payload), [9, 7, 8, 5]);
            let stamps: Vec<u64> = pictures.iter().map(|pes| pes.pts).collect();
            let expected: Vec<u64> = (0..25)
                .map(|frame| 90_000 * (n + 1) + 3_600 * frame)
                .collect();
            assert_eq!(stamps, expected, "segment {n}");
        }
        let all = segments.concat();
        let sound: Vec<u64> = pes_of(&all, AUDIO).iter().map(|pes| pes.pts).collect();
        assert!(sound.windows(2).all(|pair| pair[0] < pair[1]), "{sound:?}");
        let mut last = HashMap::new();
        for packet in packets(&all) {
            if let Some(before) = last.insert(packet.pid, packet.counter) {
                assert_eq!(packet.counter, (before + 1) % 16, "{:#x}", packet.pid);
            }
        }
    }
}

#[test]
fn metadata_is_where_the_picture_stands() {
    let picture = picture();
    picture.push_metadata(1_000_000_000, "before it all");
    let mut expected = vec![(0, "before it all".to_owned(), 90_000)];
    for frame in 0..126 {
        run(&picture, frame..frame + 1, 0);
        if frame % 10 == 3 {
            let text = format!("after picture {frame}");
            let now_us = 1_000_000_000 + 40_000 * u64::from(frame) + 12_000;
            picture.push_metadata(now_us, &text);
            expected.push((frame / 25, text, 90_000 + 3_600 * u64::from(frame) + 1_080));
        }
    }
    let mut found = Vec::new();
    for (n, bytes) in (0..).zip(segments(&picture)) {
        found.extend(
            pes_of(&bytes, ID3)
                .drain(1..)
                .map(|pes| (n, pes.payload, pes.pts)),
        );
    }
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|(segment, ..)| *segment < 5)
        .map(|(segment, text, pts)| (segment, private(&text), pts))
        .collect();
    assert_eq!(found, expected);
    // However much waits for an encoder that sends nothing.
    let silent = self::picture();
    for n in 0..2 * MAX_WAITING_TAGS {
        silent.push_metadata(1_000_000_000, &n.to_string());
    }
    run(&silent, 0..26, 0);
    let tags = pes_of(&segments(&silent).concat(), ID3).len();
    assert_eq!(tags, MAX_WAITING_TAGS + 1);
}

#[test]
fn what_is_held_has_a_bound() {
    // Eleven seconds of so many bytes are too much.
    let many = picture();
    for second in 0..14 {
        assert_eq!(push(&many, 1_000 * second, 0x65, 3_000_000), Ok(()));
        let held: usize = segments(&many).iter().map(Vec::len).sum();
        assert!(held <= MAX_ENCODER_WINDOW_BYTES);
    }
    assert!(
        many.window()
            .is_some_and(|window| window.listed.len() as u64 <= PLAYBACK_WINDOW)
    );
    let large = picture();
    let error = (0..9).find_map(|frame| push(&large, 100 * frame, 0x65, 3_000_000).err());
    assert_eq!(error, Some(StreamError::TooLarge));
    for first in [0x65, 0x41] {
        let endless = picture();
        assert_eq!(push(&endless, 0, first, 9), Ok(()));
        assert_eq!(push(&endless, 9_900, 0x41, 9), Ok(()), "{first:#x}");
        assert_eq!(
            push(&endless, 10_100, 0x41, 9),
            Err(StreamError::NoKeyFrame),
            "{first:#x}"
        );
    }
    let over = picture();
    over.close();
    assert_eq!(push(&over, 0, 0x65, 9), Err(StreamError::Stopped));
    assert_eq!(over.push_audio(0, &[0]), Err(StreamError::Stopped));
}

/// Formats, frames and times that are random: what is taken can be read.
#[test]
fn anything_is_taken_or_refused() {
    let seed = std::env::var("CUEGATE_TEST_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("CUEGATE_TEST_SEED={seed}");
    let mut rng = SplitMix64::new(seed);
    for _ in 0..60 {
        let mut sequence = SEQUENCE.to_vec();
        for _ in 0..rng.next_u64() % 4 {
            let place = usize::from(rng.next_u64().to_le_bytes()[0]) % sequence.len();
            sequence[place] = rng.next_u64().to_le_bytes()[0];
        }
        let picture = picture();
        if let Some(format) = VideoFormat::new(4, &[sequence], &[PARAMETERS.to_vec()]) {
            picture.set_video(format);
        }
        let config = rng.next_u64().to_le_bytes();
        if let Some(format) = AudioFormat::new(&config[..2]) {
            picture.set_audio(format);
        }
        let mut at_ms = 0_u32;
        for frame in 0..150_u32 {
            let [a, b, c, d, ..] = rng.next_u64().to_le_bytes();
            let jump = if a == 0 {
                u32::from_le_bytes([a, b, c, d])
            } else {
                u32::from(b)
            };
            at_ms = at_ms.wrapping_add(jump);
            let kind = if frame % 9 == 0 { 0x65 } else { c };
            let mut units = units(kind, 1 + usize::from(d));
            if a == 1 {
                units[usize::from(b) % 4] = c;
            }
            let frame = VideoFrame {
                at_ms,
                shown_later_ms: i32::from(a) - 9,
                units: &units,
            };
            let pushed = picture.push_video(rng.next_u64() >> 12, frame);
            let sound = picture.push_audio(at_ms, &units);
            picture.push_metadata(rng.next_u64() >> 12, "a");
            if pushed.is_err() || sound.is_err() {
                break;
            }
        }
        for bytes in segments(&picture) {
            assert!(!packets(&bytes).is_empty());
        }
    }
}
