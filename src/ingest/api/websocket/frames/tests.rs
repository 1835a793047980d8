use super::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

pub const MORE: u8 = 0;
pub const TEXT: u8 = 1;
const PING: u8 = 9;
const PIECE: usize = 1024;
const MESSAGE_MAX: usize = 100_000;

/// A frame as clients send them: with a mask.
pub fn frame(opcode: u8, is_last: bool, payload: usize) -> Vec<u8> {
    let mut bytes = vec![opcode | if is_last { FIN } else { 0 }];
    match payload {
        0..126 => bytes.push(MASKED | u8::try_from(payload).unwrap()),
        126..0x1_0000 => {
            bytes.push(MASKED | LENGTH_OF_TWO);
            bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | LENGTH_OF_EIGHT);
            bytes.extend((payload as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    let text = text(payload).into_bytes().into_iter();
    bytes.extend(text.enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

fn text(length: usize) -> String {
    (b'a'..b'x').cycle().take(length).map(char::from).collect()
}

/// What is passed on of `bytes` when so many come at once.
fn pass(frames: &mut Frames, bytes: &[u8], at_once: usize) -> Vec<u8> {
    let (mut passed, mut at) = (Vec::new(), 0);
    loop {
        let mut came = frames.before().to_vec();
        if frames.is_ours() {
            frames.passed();
            passed.append(&mut came);
            continue;
        }
        if at == bytes.len() {
            return passed;
        }
        let room = frames.most() - came.len();
        let end = bytes.len().min(at + room.min(at_once));
        came.extend(&bytes[at..end]);
        at = end;
        let length = frames.took(&mut came);
        passed.extend(&came[..length]);
    }
}

#[test]
fn what_is_unfinished_is_known_whatever_comes_in_whatever_pieces() {
    // What comes, and how much is unfinished then.
    let stream = [
        (frame(TEXT, true, 3), 0),
        (frame(TEXT, true, 0), 0),
        (frame(PING, true, 100), 0),
        (frame(TEXT, true, 200), 0),
        (frame(TEXT, true, 70_000), 0),
        (frame(TEXT, false, 100), 106),
        (frame(PING, true, 5), 106),
        (frame(MORE, false, 300), 106 + 308),
        (frame(MORE, true, 1), 0),
        (frame(PING, true, 125)[..100].to_vec(), 100),
        (frame(PING, true, 125)[100..].to_vec(), 0),
        (frame(TEXT, true, 70_000)[..1000].to_vec(), 1000),
    ];
    for at_once in [1, 2, 7, 1000, usize::MAX] {
        let mut frames = Frames::new(PIECE, MESSAGE_MAX);
        for (bytes, unfinished) in &stream {
            pass(&mut frames, bytes, at_once);
            assert_eq!(frames.unfinished(), *unfinished, "{at_once} at once");
        }
        assert_eq!(frames.complete(), 5);
    }
}

#[test]
fn a_long_fragment_is_the_same_message_in_short_ones() {
    let lengths = [0, 125, 126, 1023, 1024, 1025, 2048, 65_535, 65_536, 100_000];
    let mut stream: Vec<u8> = lengths
        .iter()
        .flat_map(|&length| {
            [
                frame(TEXT, false, length),
                frame(PING, true, 5),
                frame(MORE, true, 0),
            ]
            .concat()
        })
        .collect();
    // A message in fragments of its own, of which one is long.
    let own = [
        frame(TEXT, false, 10),
        frame(MORE, false, 5000),
        frame(MORE, true, 2049),
    ];
    stream.extend(own.concat());
    for at_once in [1, 3, 1000, usize::MAX] {
        let mut frames = Frames::new(PIECE, MESSAGE_MAX);
        let passed = pass(&mut frames, &stream, at_once);
        // No frame is longer than a piece: else the reader refuses it.
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(PIECE));
        let io = std::io::Cursor::new(passed);
        let mut socket = WebSocket::from_raw_socket(ReadOnly(io), Role::Server, Some(config));
        let mut messages = Vec::new();
        while let Ok(message) = socket.read() {
            if message.is_text() {
                messages.push(message.into_text().unwrap().to_string());
            }
        }
        let expected = lengths.map(text);
        let (last, single) = messages.split_last().unwrap();
        assert!(single == expected, "{at_once} at once");
        assert!(*last == [text(10), text(5000), text(2049)].concat());
    }
}

#[test]
fn a_whole_message_is_passed_on_as_it_is_and_so_is_what_none_can_be() {
    for bytes in [
        frame(TEXT, true, MESSAGE_MAX),
        frame(TEXT, false, MESSAGE_MAX + 1),
        frame(PING, true, PIECE + 1),
    ] {
        let mut frames = Frames::new(PIECE, MESSAGE_MAX);
        assert_eq!(pass(&mut frames, &bytes, 100), bytes);
    }
}

/// The buffer that it was read into holds nothing else, and can be given back.
#[test]
fn nothing_behind_a_long_message_is_read_with_it() {
    let long = frame(TEXT, true, 5000);
    let before = [frame(PING, true, 5), frame(TEXT, true, 1024)].concat();
    let behind = [frame(TEXT, true, 3), frame(TEXT, true, 1025)].concat();
    let stream = [&before[..], &long, &behind].concat();
    for at_once in [1, 100, usize::MAX] {
        let mut frames = Frames::new(PIECE, MESSAGE_MAX);
        let mut at = 0;
        let mut ends = Vec::new();
        while at < stream.len() {
            let mut came = frames.before().to_vec();
            let end = stream
                .len()
                .min(at + (frames.most() - came.len()).min(at_once));
            came.extend(&stream[at..end]);
            at = end;
            frames.took(&mut came);
            if frames.is_behind_long() {
                ends.push(at);
                frames.read_on();
            }
        }
        assert_eq!(
            ends,
            [before.len() + long.len(), stream.len()],
            "{at_once} at once"
        );
    }
}

/// A peer that takes every answer.
struct ReadOnly<R>(R);

impl<R: std::io::Read> std::io::Read for ReadOnly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R> std::io::Write for ReadOnly<R> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
