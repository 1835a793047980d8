use super::{Bounds, GREETING, OutOfBounds};
use crate::limits::{
    MAX_ENCODER_BACKLOG, MAX_ENCODER_CHUNK_STREAMS, MAX_ENCODER_DEPTH, MAX_ENCODER_FRAME_BYTES,
    MAX_ENCODER_MESSAGE_BYTES, MAX_ENCODER_WINDOW,
};

const CONTROL: u8 = 2;
const COMMANDS: u8 = 3;
const VIDEO: u8 = 9;

/// A chunk with a whole header, on any chunk stream from 2 to 63, or on a later one.
fn chunk(stream: usize, kind: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let low = |number: usize| number.to_le_bytes()[0];
    let mut bytes = if stream < 64 {
        vec![low(stream)]
    } else {
        vec![0, low(stream - 64)]
    };
    bytes.extend([0, 0, 0, low(length >> 16), low(length >> 8), low(length)]);
    bytes.extend([kind, 1, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// In chunks of 128 bytes.
fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut parts = payload.chunks(128);
    let first = parts.next().unwrap_or_default();
    let mut bytes = chunk(COMMANDS.into(), kind, payload.len(), first);
    for part in parts {
        bytes.push(0xc0 | COMMANDS);
        bytes.extend(part);
    }
    bytes
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(0).to_be_bytes()
}

/// What becomes of bytes after the greeting, given whole and byte by byte.
fn check(name: &str, bytes: &[u8], expected: Result<(), OutOfBounds>) {
    let all = [&[3; GREETING], bytes].concat();
    for size in [all.len(), 1] {
        let mut bounds = Bounds::new();
        let mut let_in = Vec::new();
        let found = all.chunks(size).try_for_each(|part| {
            let_in.extend(bounds.let_in(part)?);
            Ok(())
        });
        assert_eq!(found, expected, "{name}, {size} at once");
        assert!(all.starts_with(&let_in), "{name}: nothing is changed");
        if expected.is_ok() {
            assert_eq!(let_in.len(), all.len(), "{name}");
        }
    }
}

#[test]
fn chunks_have_bounds() {
    let frame = |stream, length| chunk(stream, VIDEO, length, &vec![0; length]);
    let streams = |count| (2..2 + count).flat_map(|stream| frame(stream, 1));
    let begun = chunk(4, VIDEO, 200, &[0; 128]);
    let rest = [&[0xc4][..], &[0; 72]].concat();
    let extended = [
        &[4, 255, 255, 255, 0, 0, 200, VIDEO, 1, 0, 0, 0, 1, 0, 0, 0][..],
        &[0; 128],
        &[0xc4, 1, 0, 0, 0],
        &[0; 72],
    ];
    let control = |kind, number: [u8; 4]| chunk(CONTROL.into(), kind, 4, &number);
    let (long, longer) = (MAX_ENCODER_MESSAGE_BYTES + 1, MAX_ENCODER_FRAME_BYTES + 1);
    let window = MAX_ENCODER_WINDOW + 1;
    for (name, bytes, expected) in [
        ("nothing", vec![], Ok(())),
        ("a frame", frame(4, 100), Ok(())),
        ("an empty one", frame(4, 0), Ok(())),
        ("one in two chunks", [&begun[..], &rest].concat(), Ok(())),
        ("a time of 32 bits", extended.concat(), Ok(())),
        (
            "a command between",
            [&begun[..], &message(20, &[5]), &rest].concat(),
            Ok(()),
        ),
        (
            "a long frame",
            chunk(4, VIDEO, longer, &[]),
            Err(OutOfBounds::Message(longer)),
        ),
        (
            "a long command",
            chunk(3, 20, long, &[]),
            Err(OutOfBounds::Message(long)),
        ),
        (
            "as many streams as may be",
            streams(MAX_ENCODER_CHUNK_STREAMS).collect(),
            Ok(()),
        ),
        (
            "one more",
            streams(MAX_ENCODER_CHUNK_STREAMS + 1).collect(),
            Err(OutOfBounds::ChunkStreams),
        ),
        ("no beginning", vec![0xc4], Err(OutOfBounds::NoBeginning)),
        (
            "no beginning but a time",
            vec![0x84, 0, 0, 0],
            Err(OutOfBounds::NoBeginning),
        ),
        (
            "two at once",
            [&begun[..], &frame(4, 10)].concat(),
            Err(OutOfBounds::Interrupted),
        ),
        ("large chunks", control(1, number(65_536)), Ok(())),
        (
            "larger chunks",
            control(1, number(65_537)),
            Err(OutOfBounds::ChunkSize(65_537)),
        ),
        (
            "chunks of a byte",
            control(1, number(1)),
            Err(OutOfBounds::ChunkSize(1)),
        ),
        (
            "no size of chunks",
            chunk(2, 1, 1, &[0]),
            Err(OutOfBounds::Short),
        ),
        (
            "a large window",
            control(6, window.to_be_bytes()),
            Err(OutOfBounds::Window(window)),
        ),
        (
            "a frame that is given up",
            [begun, control(2, number(4)), frame(4, 1)].concat(),
            Ok(()),
        ),
    ] {
        check(name, &bytes, expected);
    }
}

#[test]
fn values_are_those_of_encoders() {
    let nested = |depth| [[10, 0, 0, 0, 1].repeat(depth), vec![5]].concat();
    let objects = |depth| {
        let (begins, ends) = (b"\x03\0\x01a".repeat(depth), b"\0\0\x09".repeat(depth));
        [begins, vec![5], ends].concat()
    };
    let text = |told, length| [&[12][..], &number(told), &vec![b'a'; length]].concat();
    let plain = b"\x02\0\x01a\x00\0\0\0\0\0\0\0\0\x01\x01\x05\x06\x0b\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\x09\0\x01a\x05\0\0\x09";
    let (ok, refused) = (Ok(()), Err(OutOfBounds::Values));
    for (name, kind, values, expected) in [
        ("of each type", 20, plain.to_vec(), ok),
        ("in an envelope", 17, b"\0\x02\0\x01a".to_vec(), ok),
        ("a command of AMF 3", 17, b"\x06\x03a".to_vec(), refused),
        ("data of AMF 3", 15, b"\x06\x03a".to_vec(), refused),
        ("deep arrays", 20, nested(MAX_ENCODER_DEPTH - 1), ok),
        ("deeper arrays", 20, nested(MAX_ENCODER_DEPTH), refused),
        ("very deep arrays", 18, nested(13_000), refused),
        ("deep objects", 18, objects(MAX_ENCODER_DEPTH - 1), ok),
        ("deeper objects", 18, objects(MAX_ENCODER_DEPTH), refused),
        ("a reference", 18, b"\x07\0\0".to_vec(), refused),
        ("a switch to AMF 3", 18, b"\x11\x01".to_vec(), refused),
        (
            "a long array",
            18,
            b"\x0a\xff\xff\xff\xff\x05".to_vec(),
            refused,
        ),
        ("half a number", 18, b"\0\0\0".to_vec(), refused),
        ("a long text", 18, text(60_000, 60_000), ok),
        ("a longer text than there is", 18, text(60_000, 9), refused),
    ] {
        check(name, &message(kind, &values), expected);
    }
}

#[test]
fn what_is_begun_has_a_bound() {
    const CHUNK: usize = 65_536;
    let mut bounds = Bounds::new();
    assert_eq!(bounds.let_in(&[3; GREETING]).map(|_| ()), Ok(()));
    let sized = bounds.let_in(&message(1, &number(CHUNK)));
    assert_eq!(sized.map(|_| ()), Ok(()));
    let payload = vec![0; CHUNK];
    let mut came = 0;
    let error = (4..60).find_map(|stream: u8| {
        let frame = chunk(stream.into(), VIDEO, MAX_ENCODER_FRAME_BYTES, &payload);
        let more = [&[0xc0 | stream][..], &payload].concat();
        let mut parts = [&frame, &more, &more].into_iter();
        parts.find_map(|part| {
            came += CHUNK;
            bounds.let_in(part).err()
        })
    });
    assert_eq!(error, Some(OutOfBounds::Backlog));
    assert!(came <= MAX_ENCODER_BACKLOG + CHUNK, "{came}");
}
