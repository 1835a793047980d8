//! The picture of an encoder that streams: what it sends becomes segments, which begin with key frames, and the
//! metadata is written where the picture stands when it comes.
//!
//! Time is an argument. A window of segments is kept. Whatever the encoder sends, what is held has a bound, or the
//! stream ends.

use super::broadcast::Broadcast;
use super::format::{AudioFacts, AudioFormat, FRAME_SAMPLES, VideoFacts, VideoFormat};
use super::{id3, ts};
use crate::limits::{
    MAX_ENCODER_WINDOW_BYTES, MAX_SEGMENT_BYTES, MAX_SEGMENT_TICKS, MAX_WAITING_TAGS,
    MIN_SEGMENT_TICKS, PLAYBACK_SPARE_SEGMENTS, PLAYBACK_WINDOW, SECOND_US,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The PTS of the first picture. It leaves room for what comes a little earlier: the PCR.
const FIRST_PTS: u64 = ts::CLOCK;

/// How long before its picture the PCR says it is to be there: a tenth of a second.
const CLOCK_LEAD: u64 = ts::CLOCK / 10;

/// Ticks of a millisecond, which an encoder counts in.
const MILLISECOND: u64 = ts::CLOCK / 1_000;

/// Audio that is off by less is on time: encoders round to milliseconds.
const AUDIO_SLACK: u64 = 3 * MILLISECOND;

/// Streams of a picture, in the order of [`Writer::packets`].
const STREAMS: [u16; 5] = [ts::PAT, ts::PMT, ts::VIDEO, ts::AUDIO, ts::ID3];

/// Why a stream cannot go on. The text says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("no key frame came for 10 s: have the encoder send one every 2 s, as IDR")]
    NoKeyFrame,
    #[error("the video must be H.264")]
    VideoFormat,
    #[error("the audio must be AAC")]
    AudioFormat,
    #[error("a frame is damaged")]
    Damaged,
    #[error("10 s of the stream have more than 12 MiB: lower the bitrate")]
    TooLarge,
    #[error("the stream was stopped")]
    Stopped,
}

/// What the API shows of a stream that an encoder sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) video: VideoFacts,
    pub(crate) audio: Option<AudioFacts>,
}

impl Facts {
    pub(crate) fn bits_per_second(&self) -> u64 {
        let audio = self.audio.as_ref().map_or(0, |audio| audio.bits_per_second);
        self.video.bits_per_second.saturating_add(audio)
    }
}

/// A frame of video as the encoder sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VideoFrame<'a> {
    /// When it is to be decoded, in milliseconds of the encoder.
    pub(crate) at_ms: u32,
    /// How much later it is to be shown.
    pub(crate) shown_later_ms: i32,
    /// Each with its length before it.
    pub(crate) units: &'a [u8],
}

/// What a playlist lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) sequence: u64,
    /// When its first frame came, in microseconds since the Unix epoch.
    pub(crate) starts_us: u64,
    pub(crate) ticks: u64,
}

/// The segments of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) listed: Vec<Listed>,
    /// The longest segment so far. It never shrinks, as a player may count on it.
    pub(crate) longest_ticks: u64,
    pub(crate) discontinuities: u64,
    pub(crate) facts: Facts,
}

/// The picture of a live stream, shared by its encoder and its viewers.
#[derive(Debug)]
pub(crate) struct Picture(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    broadcast: Broadcast,
    is_over: bool,
    video: Option<VideoFormat>,
    audio: Option<AudioFormat>,
    /// The encoder's time of what it sent first, with a picture to begin with or not.
    first_ms: Option<u32>,
    /// The encoder's time of the first picture.
    began_ms: Option<u32>,
    /// How much later than it is decoded a key picture is shown.
    shown_later: u64,
    /// Of the latest picture: when it came, and its place.
    latest: (u64, u64),
    /// Ticks from the picture before the latest one.
    step: u64,
    /// When the next audio is due.
    audio_due: Option<u64>,
    waiting: Vec<String>,
    writer: Writer,
    open: Option<Segment>,
    /// Oldest first.
    over: VecDeque<Segment>,
    over_bytes: usize,
    longest_ticks: u64,
    facts: Option<Facts>,
}

#[derive(Debug, Clone, Default)]
struct Segment {
    number: u64,
    starts_us: u64,
    /// The DTS of its first picture.
    begins: u64,
    ticks: u64,
    pictures: u64,
    /// Of video and audio, without the transport stream around them.
    media_bytes: [u64; 2],
    bytes: Bytes,
}

/// Writes packets, and counts them by stream, because continuity counters go on from segment to segment.
#[derive(Debug, Default)]
struct Writer {
    out: Vec<u8>,
    packets: [u64; 5],
}

impl Picture {
    pub(crate) fn new(broadcast: Broadcast) -> Self {
        Self(Mutex::new(Inner {
            broadcast,
            is_over: false,
            video: None,
            audio: None,
            first_ms: None,
            began_ms: None,
            shown_later: 0,
            latest: (0, 0),
            step: 0,
            audio_due: None,
            waiting: Vec::new(),
            writer: Writer::default(),
            open: None,
            over: VecDeque::new(),
            over_bytes: 0,
            longest_ticks: 0,
            facts: None,
        }))
    }

    /// Nothing is taken any more.
    pub(crate) fn close(&self) {
        self.lock().is_over = true;
    }

    pub(crate) fn set_video(&self, format: VideoFormat) {
        self.lock().video = Some(format);
    }

    pub(crate) fn set_audio(&self, format: AudioFormat) {
        self.lock().audio = Some(format);
    }

    /// Takes a frame; gives what is known of the stream when that is news.
    pub(crate) fn push_video(
        &self,
        now_us: u64,
        frame: VideoFrame<'_>,
    ) -> Result<Option<Facts>, StreamError> {
        self.lock().push_video(now_us, frame)
    }

    pub(crate) fn push_audio(&self, at_ms: u32, data: &[u8]) -> Result<(), StreamError> {
        self.lock().push_audio(at_ms, data)
    }

    /// Metadata that is taken now. It is written where the picture stands.
    pub(crate) fn push_metadata(&self, now_us: u64, text: &str) {
        self.lock().push_metadata(now_us, text);
    }

    /// `None` until the first segment is over.
    pub(crate) fn window(&self) -> Option<Window> {
        self.lock().window()
    }

    /// The segment of a number in a playlist, if it is still there.
    pub(crate) fn segment(&self, sequence: u64) -> Option<Bytes> {
        let inner = self.lock();
        let number = sequence.checked_sub(inner.broadcast.sequence(0))?;
        let mut over = inner.over.iter();
        Some(over.find(|segment| segment.number == number)?.bytes.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic leaves at most a frame that is half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push_video(
        &mut self,
        now_us: u64,
        frame: VideoFrame<'_>,
    ) -> Result<Option<Facts>, StreamError> {
        self.check_open()?;
        let format = self.video.as_ref().ok_or(StreamError::VideoFormat)?;
        let (picture, is_key) = format.picture(frame.units).ok_or(StreamError::Damaged)?;
        if self.began_ms.is_none() && !is_key {
            let first = *self.first_ms.get_or_insert(frame.at_ms);
            let waited = place(first, frame.at_ms).map_or(0, |at| at - FIRST_PTS);
            return if waited > MAX_SEGMENT_TICKS {
                Err(StreamError::NoKeyFrame)
            } else {
                Ok(None)
            };
        }
        let first = *self.began_ms.get_or_insert(frame.at_ms);
        // An encoder whose time goes back gets no key frame into place any more, and so comes to its end.
        let dts = place(first, frame.at_ms).unwrap_or(0).max(self.latest.1);
        let later = u64::try_from(frame.shown_later_ms).unwrap_or(0);
        let pts = dts + (later * MILLISECOND).min(MAX_SEGMENT_TICKS);
        self.check_length(dts)?;
        let is_over = |open: &Segment| is_key && dts - open.begins >= MIN_SEGMENT_TICKS;
        let mut news = None;
        if self.open.as_ref().is_none_or(is_over) {
            news = self.finish(dts);
            self.begin(now_us, dts, pts);
        }
        if is_key {
            self.shown_later = pts - dts;
        }
        self.step = if self.latest.1 == 0 {
            0
        } else {
            dts - self.latest.1
        };
        self.latest = (now_us, dts);
        let pes = ts::media_pes(0xe0, (pts, dts), &picture);
        let clock = (dts.saturating_sub(CLOCK_LEAD), is_key);
        let counter = self.writer.packets[2];
        let out = &mut self.writer.out;
        self.writer.packets[2] += ts::write_clocked_pes(out, ts::VIDEO, counter, clock, &pes);
        for text in std::mem::take(&mut self.waiting) {
            self.writer.write_id3(&id3::private(&text), pts);
        }
        if let Some(open) = &mut self.open {
            open.pictures += 1;
            open.media_bytes[0] += picture.len() as u64;
        }
        self.check_size()?;
        Ok(news)
    }

    fn push_audio(&mut self, at_ms: u32, data: &[u8]) -> Result<(), StreamError> {
        self.check_open()?;
        let format = self.audio.as_ref().ok_or(StreamError::AudioFormat)?;
        // What comes before the first picture belongs to none.
        let Some(at) = self.began_ms.and_then(|first| place(first, at_ms)) else {
            return Ok(());
        };
        let frame = format.frame(data).ok_or(StreamError::Damaged)?;
        let pts = self
            .audio_due
            .filter(|due| due.abs_diff(at) <= AUDIO_SLACK)
            .unwrap_or(at.max(self.audio_due.unwrap_or(0)));
        let lasts = FRAME_SAMPLES * ts::CLOCK / u64::from(format.facts.sample_rate);
        self.check_length(pts)?;
        self.audio_due = Some(pts + lasts);
        let pes = ts::media_pes(0xc0, (pts, pts), &frame);
        self.writer.write(3, &pes);
        if let Some(open) = &mut self.open {
            open.media_bytes[1] += data.len() as u64;
        }
        self.check_size()
    }

    fn push_metadata(&mut self, now_us: u64, text: &str) {
        if self.is_over {
            return;
        }
        if self.open.is_none() {
            if self.waiting.len() < MAX_WAITING_TAGS {
                self.waiting.push(text.to_owned());
            }
            return;
        }
        // Between the latest picture and the next one, and behind the former.
        let (came_us, dts) = self.latest;
        let passed = now_us.saturating_sub(came_us).min(SECOND_US) * 9 / 100;
        let pts = dts + self.shown_later + passed.min(self.step.saturating_sub(1)).max(1);
        self.writer.write_id3(&id3::private(text), pts);
    }

    fn begin(&mut self, now_us: u64, dts: u64, pts: u64) {
        let number = self.over.back().map_or(0, |last| last.number + 1);
        self.open = Some(Segment {
            number,
            starts_us: now_us,
            begins: dts,
            ..Segment::default()
        });
        self.writer.write_packet(0, ts::program_association());
        let map = ts::program_map(self.audio.is_some());
        self.writer.write_packet(1, map);
        self.writer.write_id3(&id3::segment_metadata(number), pts);
    }

    /// The segment that is open is over.
    fn finish(&mut self, dts: u64) -> Option<Facts> {
        let mut segment = self.open.take()?;
        segment.ticks = dts - segment.begins;
        segment.bytes = std::mem::take(&mut self.writer.out).into();
        self.longest_ticks = self.longest_ticks.max(segment.ticks);
        let news = self.learn(&segment);
        self.over_bytes += segment.bytes.len();
        self.over.push_back(segment);
        let most = usize::try_from(PLAYBACK_WINDOW + PLAYBACK_SPARE_SEGMENTS).unwrap_or(0);
        while self.over.len() > most || self.over_bytes > MAX_ENCODER_WINDOW_BYTES {
            let Some(oldest) = self.over.pop_front() else {
                break;
            };
            self.over_bytes -= oldest.bytes.len();
        }
        news
    }

    /// What a segment tells of the stream, if it is another one than before. Rates are those of the first segment of
    /// a format.
    fn learn(&mut self, segment: &Segment) -> Option<Facts> {
        let ticks = segment.ticks.max(1);
        let rate = |count: u64| (count * ts::CLOCK + ticks / 2) / ticks;
        let mut video = self.video.as_ref()?.facts.clone();
        video.frames_per_second = rate(segment.pictures);
        video.bits_per_second = rate(segment.media_bytes[0] * 8);
        let audio = self.audio.as_ref().map(|format| AudioFacts {
            bits_per_second: rate(segment.media_bytes[1] * 8),
            ..format.facts.clone()
        });
        let facts = Facts { video, audio };
        let is_known = self.facts.as_ref().is_some_and(|known| {
            let size = |facts: &Facts| (facts.video.width, facts.video.height);
            let has_audio = known.audio.is_some() == facts.audio.is_some();
            known.video.codec() == facts.video.codec() && size(known) == size(&facts) && has_audio
        });
        if is_known {
            return None;
        }
        self.facts = Some(facts.clone());
        Some(facts)
    }

    fn window(&self) -> Option<Window> {
        let facts = self.facts.clone()?;
        let shown = usize::try_from(PLAYBACK_WINDOW).unwrap_or(0);
        let listed = self.over.iter().skip(self.over.len().saturating_sub(shown));
        let listed = listed.map(|segment| Listed {
            sequence: self.broadcast.sequence(segment.number),
            starts_us: segment.starts_us,
            ticks: segment.ticks,
        });
        Some(Window {
            listed: listed.collect(),
            longest_ticks: self.longest_ticks,
            discontinuities: self.broadcast.discontinuities(),
            facts,
        })
    }

    fn check_open(&self) -> Result<(), StreamError> {
        if self.is_over {
            return Err(StreamError::Stopped);
        }
        Ok(())
    }

    /// A segment ends with a key frame alone, so one has to come in time.
    fn check_length(&self, at: u64) -> Result<(), StreamError> {
        let open = self.open.as_ref();
        if open.is_some_and(|open| at.saturating_sub(open.begins) > MAX_SEGMENT_TICKS) {
            return Err(StreamError::NoKeyFrame);
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), StreamError> {
        if self.writer.out.len() > MAX_SEGMENT_BYTES {
            return Err(StreamError::TooLarge);
        }
        Ok(())
    }
}

impl Writer {
    fn write(&mut self, stream: usize, pes: &[u8]) {
        let counter = self.packets[stream];
        self.packets[stream] += ts::write_pes(&mut self.out, STREAMS[stream], counter, pes);
    }

    fn write_id3(&mut self, tag: &[u8], pts: u64) {
        self.write(4, &ts::private_pes(tag, pts));
    }

    fn write_packet(&mut self, stream: usize, mut packet: ts::Packet) {
        ts::set_counter(&mut packet, self.packets[stream]);
        self.packets[stream] += 1;
        self.out.extend(packet);
    }
}

/// Where a time of the encoder is in the picture; `None` before its beginning. The encoder's milliseconds wrap.
fn place(first_ms: u32, at_ms: u32) -> Option<u64> {
    let passed = u32::try_from(at_ms.wrapping_sub(first_ms).cast_signed()).ok()?;
    Some(FIRST_PTS + u64::from(passed) * MILLISECOND)
}
