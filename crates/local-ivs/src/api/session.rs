//! A stream session as the API shows it: what the emulator knows of it, and what its encoder sends, or would send if
//! there were one.

use super::documents;
use super::failover_slates::Slates;
use super::recordings::Recordings;
use crate::playback::{AudioFacts, VideoFacts};
use crate::state::Session;
use crate::timestamp::iso8601;
use serde_json::{Value, json};

pub(super) fn summary(session: &Session) -> Value {
    let mut shown = json!({
        "streamId": session.stream_id,
        "startTime": iso8601(session.start_us),
        "hasErrorEvent": session.failed,
    });
    if let Some(end_us) = session.end_us {
        shown["endTime"] = iso8601(end_us).into();
    }
    shown
}

pub(super) fn whole(session: &Session, now_us: u64) -> Value {
    let (video, audio) = match &session.facts {
        Some(facts) => (video_of(&facts.video), facts.audio.as_ref().map(audio_of)),
        None => (video(), Some(audio())),
    };
    let mut shown = json!({
        "streamId": session.stream_id,
        "startTime": iso8601(session.start_us),
        "channel": *session.channel,
        "ingestConfiguration": { "video": video },
        "ingestConfigurations": {
            "videoConfigurations": [tracks_only(video.clone())],
            "audioConfigurations": audio.iter().collect::<Vec<_>>(),
        },
        "truncatedEvents": events(session),
    });
    if let Some(audio) = audio {
        shown["ingestConfiguration"]["audio"] = audio;
    }
    if let Some(end_us) = session.end_us {
        shown["endTime"] = iso8601(end_us).into();
    }
    if let Some(recording) = &session.recording {
        shown["recordingConfiguration"] = documents::shown::<Recordings>(recording, now_us);
    }
    if let Some(slate) = &session.slate {
        shown["failoverSlateConfiguration"] = documents::shown::<Slates>(slate, now_us);
    }
    shown
}

/// The latest first.
fn events(session: &Session) -> Vec<Value> {
    let shown = session.events.iter().rev().map(|event| {
        let mut shown = json!({
            "name": event.name,
            "type": event.kind,
            "eventTime": iso8601(event.time_us),
        });
        if let Some(code) = &event.code {
            shown["code"] = code.as_str().into();
        }
        shown
    });
    shown.collect()
}

/// What a usual encoder sends: 1080p30 H.264.
fn video() -> Value {
    json!({
        "avcProfile": "Main",
        "avcLevel": "4.1",
        "codec": "avc1.4D0029",
        "encoder": "local-ivs",
        "level": "4.1",
        "profile": "Main",
        "targetBitrate": 6_000_000,
        "targetFramerate": 30,
        "track": "Track0",
        "videoHeight": 1080,
        "videoWidth": 1920,
    })
}

/// What a real encoder sends. Its bitrate is measured, because what it aims at does not reach us.
fn video_of(facts: &VideoFacts) -> Value {
    let profile = match facts.profile {
        66 => "Baseline".to_owned(),
        77 => "Main".to_owned(),
        88 => "Extended".to_owned(),
        100 => "High".to_owned(),
        other => other.to_string(),
    };
    let level = format!("{}.{}", facts.level / 10, facts.level % 10);
    json!({
        "avcProfile": profile,
        "avcLevel": level,
        "codec": facts.codec(),
        "encoder": "",
        "level": level,
        "profile": profile,
        "targetBitrate": facts.bits_per_second,
        "targetFramerate": facts.frames_per_second,
        "track": "Track0",
        "videoHeight": facts.height,
        "videoWidth": facts.width,
    })
}

fn audio_of(facts: &AudioFacts) -> Value {
    json!({
        "channels": facts.channels,
        "codec": facts.codec(),
        "sampleRate": facts.sample_rate,
        "targetBitrate": facts.bits_per_second,
        "track": "Track0",
    })
}

/// The deprecated members are empty in the lists of tracks.
fn tracks_only(mut video: Value) -> Value {
    video["avcProfile"] = "".into();
    video["avcLevel"] = "".into();
    video
}

fn audio() -> Value {
    json!({
        "channels": 2,
        "codec": "mp4a.40.2",
        "sampleRate": 48_000,
        "targetBitrate": 160_000,
        "track": "Track0",
    })
}
