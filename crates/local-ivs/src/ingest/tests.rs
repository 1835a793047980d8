//! Encoders without sockets: the crate's own, messages that are out of bounds, and bytes that are no messages at all.

use super::{Ending, Session};
use crate::DEMO_CHANNEL;
use crate::arn::ChannelArn;
use crate::clock::ManualClock;
use crate::events::Bus;
use crate::faults::SplitMix64;
use crate::limits::MAX_ENCODER_GREETING_BYTES;
use crate::options::Rates;
use crate::playback::Window;
use crate::state::{OnAir, State};
use shiguredo_rtmp::{
    AudioFormat, AudioFrame, AvcPacketType, RtmpConnectionEvent, RtmpPublishClientConnection,
    RtmpTimestamp, RtmpTimestampDelta, RtmpUrl, VideoCodec, VideoFrame, VideoFrameType,
};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Of libx264, 320x180 at 25 frames a second.
const AVC: &str =
    "0164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000668ebe3cb22c0";
/// AAC-LC, 48 kHz, stereo.
const AAC: [u8; 2] = [0x11, 0x90];

fn unhex(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes().chunks(2);
    bytes
        .map(|two| {
            let two = std::str::from_utf8(two).unwrap_or_default();
            u8::from_str_radix(two, 16).unwrap_or_else(|error| panic!("{two}: {error}"))
        })
        .collect()
}

/// The state with the demo channel, which is offline, and its stream key.
fn demo() -> (Arc<State>, Arc<ManualClock>, String) {
    let clock = Arc::new(ManualClock::new(1_000_000_000));
    let silent = Bus::new(None).unwrap_or_else(|error| panic!("{error}"));
    let state = State::new(
        Arc::clone(&clock) as _,
        Rates::default(),
        0,
        silent.queue().0,
    );
    assert_eq!(state.set_live(DEMO_CHANNEL), Ok(()));
    assert_eq!(state.set_offline(DEMO_CHANNEL), Ok(()));
    let key = state.stream_key(DEMO_CHANNEL);
    (Arc::new(state), clock, key.unwrap_or_default())
}

fn on_air(state: &State) -> Option<OnAir> {
    state.on_air(&ChannelArn::parse(DEMO_CHANNEL)?)
}

fn window(state: &State) -> Option<Window> {
    match on_air(state)? {
        OnAir::Encoder(picture) => picture.window(),
        OnAir::Sample(..) => None,
    }
}

/// The two ends of a connection, and what the encoder sent over it.
struct Wire {
    encoder: RtmpPublishClientConnection,
    session: Session,
    sent: Vec<u8>,
}

impl Wire {
    fn new(state: &Arc<State>, path: &str) -> Self {
        let url = RtmpUrl::parse(&format!("rtmp://127.0.0.1/{path}"));
        Self {
            encoder: RtmpPublishClientConnection::new(
                url.unwrap_or_else(|error| panic!("{error}")),
            ),
            session: Session::new(Arc::clone(state)),
            sent: Vec::new(),
        }
    }

    /// Until neither has anything to say.
    fn run(&mut self) -> Result<bool, Ending> {
        loop {
            let sent = self.encoder.send_buf().to_vec();
            self.encoder.advance_send_buf(sent.len());
            let goes_on = self.session.take(&sent);
            self.sent.extend(&sent);
            let answer = self.session.rtmp.send_buf().to_vec();
            self.session.rtmp.advance_send_buf(answer.len());
            assert_eq!(
                self.encoder
                    .feed_recv_buf(&answer)
                    .err()
                    .map(|e| e.to_string()),
                None
            );
            if !goes_on? {
                return Ok(false);
            }
            if sent.is_empty() && answer.is_empty() {
                return Ok(true);
            }
        }
    }

    fn video(&mut self, at_ms: u32, packet: AvcPacketType, is_key: bool, data: Vec<u8>) {
        let frame = VideoFrame {
            timestamp: RtmpTimestamp::from_millis(at_ms),
            composition_timestamp_offset: RtmpTimestampDelta::ZERO,
            frame_type: if is_key {
                VideoFrameType::KeyFrame
            } else {
                VideoFrameType::InterFrame
            },
            codec: VideoCodec::Avc,
            avc_packet_type: Some(packet),
            data,
        };
        let sent = self.encoder.send_video(frame);
        assert_eq!(sent.err().map(|error| error.to_string()), None);
    }

    fn audio(&mut self, at_ms: u32, is_header: bool, data: Vec<u8>) {
        let frame = AudioFrame {
            timestamp: RtmpTimestamp::from_millis(at_ms),
            format: AudioFormat::Aac,
            sample_rate: AudioFrame::AAC_SAMPLE_RATE,
            is_8bit_sample: false,
            is_stereo: AudioFrame::AAC_STEREO,
            is_aac_sequence_header: is_header,
            data,
        };
        let sent = self.encoder.send_audio(frame);
        assert_eq!(sent.err().map(|error| error.to_string()), None);
    }

    fn formats(&mut self) {
        self.video(0, AvcPacketType::SequenceHeader, true, unhex(AVC));
        self.audio(0, true, AAC.to_vec());
    }

    /// A frame of one unit.
    fn picture(&mut self, at_ms: u32, bytes: usize) {
        let is_key = at_ms.is_multiple_of(1_000);
        let length = u32::try_from(bytes).unwrap_or(0).to_be_bytes();
        let mut units = length.to_vec();
        units.resize(4 + bytes, 0xaa);
        units[4] = if is_key { 0x65 } else { 0x41 };
        self.video(at_ms, AvcPacketType::NalUnit, is_key, units);
    }
}

/// What the encoder was told, as events of its connection.
fn told(encoder: &mut RtmpPublishClientConnection) -> String {
    let events = std::iter::from_fn(|| encoder.next_event());
    let told = events.filter(|event| !matches!(event, RtmpConnectionEvent::StateChanged(_)));
    format!("{:?}", told.collect::<Vec<_>>())
}

#[test]
fn an_encoder_streams_until_it_leaves() {
    let (state, clock, key) = demo();
    let mut wire = Wire::new(&state, &format!("app/{key}"));
    assert!(matches!(wire.run(), Ok(true)));
    assert!(on_air(&state).is_some(), "it is live at once");
    assert!(window(&state).is_none(), "no segment is over");
    wire.formats();
    for frame in 0..=75 {
        wire.picture(40 * frame, 3_000);
        wire.audio(40 * frame, false, vec![0x21; 200]);
        assert!(matches!(wire.run(), Ok(true)), "frame {frame}");
        clock.advance_us(40_000);
    }
    let shown = window(&state).unwrap_or_else(|| panic!("three segments are over"));
    let ticks: Vec<u64> = shown.listed.iter().map(|segment| segment.ticks).collect();
    assert_eq!(ticks, [90_000; 3]);
    let facts = &shown.facts;
    assert_eq!(facts.video.codec(), "avc1.64000C");
    assert_eq!((facts.video.width, facts.video.height), (320, 180));
    assert_eq!(facts.video.frames_per_second, 25);
    let audio = facts
        .audio
        .as_ref()
        .map(|audio| (audio.codec(), audio.sample_rate, audio.channels));
    assert_eq!(audio, Some(("mp4a.40.2".to_owned(), 48_000, 2)));
    drop(wire);
    assert!(on_air(&state).is_none(), "its end is the stream's");
}

#[test]
fn who_has_no_key_of_a_free_channel_is_refused() {
    let (state, _, key) = demo();
    let mut first = Wire::new(&state, &format!("app/{key}?a=b"));
    assert!(matches!(first.run(), Ok(true)));
    for (path, reason) in [
        (format!("app/{key}"), "a second encoder is refused"),
        (
            "app/sk_us-west-2_none".to_owned(),
            "no channel has this stream key",
        ),
        (format!("live/{key}"), "the path is /app"),
    ] {
        let mut wire = Wire::new(&state, &path);
        let ended = wire.run();
        assert!(
            matches!(&ended, Err(Ending::Refused(why)) if why.contains(reason)),
            "{path}: {ended:?}"
        );
        assert!(
            told(&mut wire.encoder).contains("NetStream.Publish.BadName"),
            "{path}"
        );
    }
    assert!(matches!(first.run(), Ok(true)), "the first goes on");
    assert!(on_air(&state).is_some());
    // Whoever ends the stream ends the connection too.
    assert_eq!(state.set_offline(DEMO_CHANNEL), Ok(()));
    first.formats();
    first.picture(0, 100);
    assert!(matches!(first.run(), Err(Ending::Stream(_))));
}

#[test]
fn what_players_cannot_read_ends_the_stream() {
    type Send = fn(&mut Wire, Vec<u8>);
    let unit = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        [&length.to_be_bytes(), bytes].concat()
    };
    let cases: [(&str, Send, Vec<u8>); 6] = [
        (
            "H.264",
            |wire, data| wire.video(0, AvcPacketType::SequenceHeader, true, data),
            vec![1; 20],
        ),
        (
            "H.264",
            |wire, data| wire.video(0, AvcPacketType::NalUnit, true, data),
            unit(&[0x65, 1]),
        ),
        ("AAC", |wire, data| wire.audio(0, true, data), vec![0xf8, 0]),
        ("AAC", |wire, data| wire.audio(0, false, data), vec![1]),
        (
            "damaged",
            |wire, data| {
                wire.formats();
                wire.video(0, AvcPacketType::NalUnit, true, data);
            },
            vec![0, 0, 0, 9, 0x65],
        ),
        (
            "key frame",
            |wire, data| {
                wire.formats();
                for second in 0..12 {
                    wire.video(
                        second * 1_000,
                        AvcPacketType::NalUnit,
                        second == 0,
                        if second == 0 {
                            vec![0, 0, 0, 1, 0x65]
                        } else {
                            data.clone()
                        },
                    );
                }
            },
            unit(&[0x41]),
        ),
    ];
    for (reason, send, data) in cases {
        let (state, _, key) = demo();
        let mut wire = Wire::new(&state, &format!("app/{key}"));
        assert!(matches!(wire.run(), Ok(true)));
        send(&mut wire, data);
        let ended = wire.run().map_err(|ending| ending.to_string());
        assert!(
            ended.as_ref().is_err_and(|why| why.contains(reason)),
            "{reason}: {ended:?}"
        );
        assert!(on_air(&state).is_none(), "{reason}");
    }
}

const GREETING: usize = 3_073;

#[test]
fn a_greeting_has_an_end() {
    let (state, _, _) = demo();
    let mut session = Session::new(state);
    assert!(
        matches!(session.take(&[3; GREETING]), Err(Ending::Protocol(_))),
        "no echo"
    );
    let (state, _, key) = demo();
    let mut wire = Wire::new(&state, &format!("app/{key}"));
    let hello = wire.encoder.send_buf().to_vec();
    assert!(matches!(wire.session.take(&hello), Ok(true)));
    let echo = wire.session.rtmp.send_buf()[1..1_537].to_vec();
    assert!(matches!(wire.session.take(&echo), Ok(true)));
    // The command `a` of 14 bytes, on chunk stream 3.
    let chatter = b"\x03\0\0\0\0\0\x0e\x14\0\0\0\0\x02\0\x01a\x00\0\0\0\0\0\0\0\0\x05";
    let ended = (0..MAX_ENCODER_GREETING_BYTES).find_map(|_| wire.session.take(chatter).err());
    assert!(matches!(ended, Some(Ending::TooMuch)), "{ended:?}");
}

/// Random bytes, and the bytes of an encoder with some of them changed, do no harm: whatever comes of them, the next
/// encoder streams.
#[test]
fn garbage_does_no_harm() {
    let seed = std::env::var("CUEGATE_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("CUEGATE_TEST_SEED={seed}");
    let mut rng = SplitMix64::new(seed);
    let (state, _, key) = demo();
    let mut wire = Wire::new(&state, &format!("app/{key}"));
    assert!(matches!(wire.run(), Ok(true)));
    wire.formats();
    for frame in 0..60 {
        wire.picture(40 * frame, 300);
        wire.audio(40 * frame, false, vec![0x21; 90]);
    }
    assert!(matches!(wire.run(), Ok(true)));
    let good = std::mem::take(&mut wire.sent);
    drop(wire);
    let below = |rng: &mut SplitMix64, most: usize| {
        usize::try_from(rng.next_u64() % most as u64).unwrap_or(0)
    };
    for _ in 0..300 {
        let mut bytes = good.clone();
        // Few changes in the greeting, of which most would end it.
        let from = if below(&mut rng, 10) == 0 {
            0
        } else {
            GREETING
        };
        for _ in 0..=below(&mut rng, 12) {
            let place = from + below(&mut rng, bytes.len() - from);
            match below(&mut rng, 4) {
                0 => bytes[place] = rng.next_u64().to_le_bytes()[0],
                1 => bytes[place] ^= 1 << below(&mut rng, 8),
                2 => drop(bytes.drain(place..(place + below(&mut rng, 9)).min(bytes.len()))),
                _ => {
                    let noise: Vec<u8> = (0..below(&mut rng, 300))
                        .map(|_| rng.next_u64().to_le_bytes()[0])
                        .collect();
                    drop(bytes.splice(place..place, noise));
                }
            }
        }
        let mut session = Session::new(Arc::clone(&state));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, later) = rest.split_at((1 + below(&mut rng, 4_000)).min(rest.len()));
            rest = later;
            if !matches!(session.take(part), Ok(true)) {
                break;
            }
            let answer = session.rtmp.send_buf().len();
            session.rtmp.advance_send_buf(answer);
        }
    }
    let mut wire = Wire::new(&state, &format!("app/{key}"));
    assert!(matches!(wire.run(), Ok(true)), "the next one streams");
}
