//! The playlists of HLS (RFC 8216), and the names of what they list. All names are relative and begin with
//! `playback`, so that a proxy can have them below any path.

use super::broadcast::Broadcast;
use super::picture::{Facts, Window};
use super::ts::CLOCK;
use crate::timestamp::iso8601_millis;
use std::fmt::Write;

/// The master playlist's name.
pub(crate) const MASTER: &str = "playback.m3u8";

/// The qualities that a player can switch between. They differ in what they claim, and share the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    High,
    Low,
}

impl Variant {
    pub(crate) const ALL: [Self; 2] = [Self::High, Self::Low];

    const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }

    /// Bits per second of the busiest segment, at most: the sample's 110,000 and five payloads of 1 KB.
    pub(crate) const fn bandwidth(self) -> u32 {
        match self {
            Self::High => 400_000,
            Self::Low => 200_000,
        }
    }
}

/// What a player asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Master,
    Media(Variant),
    /// The number is the playlist's.
    Segment(u64),
}

impl Resource {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == MASTER {
            return Some(Self::Master);
        }
        let rest = name.strip_prefix("playback-")?;
        Variant::ALL.into_iter().find_map(|variant| {
            let rest = rest.strip_prefix(variant.name())?;
            if rest == ".m3u8" {
                return Some(Self::Media(variant));
            }
            let number = rest.strip_prefix('-')?.strip_suffix(".ts")?;
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| is_number)?;
            Some(Self::Segment(number))
        })
    }
}

pub(crate) fn master() -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    for variant in Variant::ALL {
        let (name, bandwidth) = (variant.name(), variant.bandwidth());
        // The codecs of the sample: constrained baseline at level 1.2, AAC-LC.
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"avc1.42C00C,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=25.000\nplayback-{name}.m3u8\n"
        );
    }
    text
}

pub(crate) fn media(broadcast: &Broadcast, now_us: u64, variant: Variant) -> String {
    let listed = broadcast.listed(now_us);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n",
        broadcast.sequence(listed.start)
    );
    let discontinuities = broadcast.discontinuities();
    if discontinuities > 0 {
        let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}");
    }
    for segment in listed {
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:1.000,\nplayback-{}-{}.ts\n",
            iso8601_millis(broadcast.starts_us(segment)),
            variant.name(),
            broadcast.sequence(segment)
        );
    }
    text
}

/// Of a stream that an encoder sends: one quality, as it comes.
pub(crate) fn master_of(facts: &Facts) -> String {
    let video = &facts.video;
    let mut codecs = video.codec();
    if let Some(audio) = &facts.audio {
        codecs = format!("{codecs},{}", audio.codec());
    }
    format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"{codecs}\",RESOLUTION={}x{},FRAME-RATE={}.000\nplayback-{}.m3u8\n",
        // The rates are of the first segment alone, and without the transport stream.
        facts.bits_per_second().saturating_mul(2).max(1),
        video.width,
        video.height,
        video.frames_per_second.max(1),
        Variant::High.name(),
    )
}

pub(crate) fn media_of(window: &Window, variant: Variant) -> String {
    let first = window.listed.first().map_or(0, |first| first.sequence);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{first}\n",
        // No segment, rounded, is longer.
        window.longest_ticks.div_ceil(CLOCK)
    );
    if window.discontinuities > 0 {
        let _ = writeln!(
            text,
            "#EXT-X-DISCONTINUITY-SEQUENCE:{}",
            window.discontinuities
        );
    }
    for segment in &window.listed {
        let milliseconds = segment.ticks * 1_000 / CLOCK;
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{}.{:03},\nplayback-{}-{}.ts\n",
            iso8601_millis(segment.starts_us),
            milliseconds / 1_000,
            milliseconds % 1_000,
            variant.name(),
            segment.sequence
        );
    }
    text
}
