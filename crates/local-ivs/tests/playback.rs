//! Playback through HTTP: what a viewer gets of a channel, from the playback URL on.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, exchange, request};
use local_ivs::{DEMO_CHANNEL, Options, PlaybackUrl};

const BASE: &str = "/_local/channels/arn%3Aaws%3Aivs%3Aus-west-2%3A000000000000%3Achannel%2Fdemo/";

/// What comes right before a text in a segment: the PES header's PTS, then the tag. `None` if the text is
/// not there.
fn pts_of(segment: &[u8], text: &str) -> Option<u64> {
    let place = segment
        .windows(text.len())
        .position(|window| window == text.as_bytes())?;
    // The packet that has the beginning of a short text has its PES header too.
    let packet = &segment[place / 188 * 188..place];
    let header = packet
        .windows(9)
        .position(|window| window[..4] == [0, 0, 1, 0xbd])?;
    let stamp = &packet[header + 9..header + 14];
    let all = stamp
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    Some(all >> 3 & 7 << 30 | all >> 2 & 0x7fff << 15 | all >> 1 & 0x7fff)
}

/// A file below the channel's playback, as bytes.
async fn get(server: &Fixture, name: &str) -> (u16, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let asked = request(server.addr, "GET", &format!("{BASE}{name}"), &[], "");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = String::from_utf8_lossy(&bytes[..end.unwrap()]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, bytes.split_off(end.unwrap() + 4))
}

async fn segments(server: &Fixture) -> Vec<(String, Vec<u8>)> {
    let (status, playlist) = get(server, "playback-high.m3u8").await;
    assert_eq!(status, 200);
    let playlist = String::from_utf8(playlist).unwrap();
    let mut found = Vec::new();
    for name in playlist.lines().filter(|line| !line.starts_with('#')) {
        let (status, bytes) = get(server, name).await;
        assert_eq!(status, 200, "{name}");
        found.push((name.to_owned(), bytes));
    }
    found
}

#[tokio::test]
async fn what_was_taken_is_in_the_segment_of_its_moment() {
    let server = Fixture::start(Options::default()).await;
    // A channel that is live can be played at once.
    assert_eq!(segments(&server).await.len(), 3);
    let moments_us = [250_000, 1_000_000, 1_999_999, 2_600_000, 5_400_000];
    let mut passed_us = 0;
    for moment_us in moments_us {
        server.clock.advance_us(moment_us - passed_us);
        passed_us = moment_us;
        let taken = server.put(DEMO_CHANNEL, &format!("at {moment_us}")).await;
        assert_eq!(taken.unwrap().status, 204);
    }
    let before = segments(&server).await;
    let is_there = |text: &str, segments: &[(String, Vec<u8>)]| {
        let found: Vec<(usize, u64)> = segments
            .iter()
            .enumerate()
            .filter_map(|(place, (_, bytes))| Some((place, pts_of(bytes, text)?)))
            .collect();
        found
    };
    // The second of the last one is not over, so no playlist has it.
    assert_eq!(is_there("at 5400000", &before), []);
    server.clock.advance_us(600_000);
    let after = segments(&server).await;
    for (place, moment_us) in moments_us.into_iter().enumerate() {
        // The picture begins 3 s before the stream, and the first PTS is 1 s.
        let pts = 90_000 + (3_000_000 + moment_us) * 9 / 100;
        let segment = usize::try_from(3 + moment_us / 1_000_000).unwrap();
        let listed = segment - 1;
        let found = is_there(&format!("at {moment_us}"), &after);
        assert_eq!(found, [(listed, pts)], "payload {place}");
    }
    // What was listed is what it was.
    for (name, bytes) in &before {
        if let Some((_, later)) = after.iter().find(|(later, _)| later == name) {
            assert!(later == bytes, "{name} changed");
        }
    }
    assert_eq!(before.len(), 8);
    // It leaves the playlist, and a little later it is gone.
    let (first, _) = before[1].clone();
    server.clock.advance_us(8_000_000);
    assert_eq!(get(&server, &first).await.0, 200);
    server.clock.advance_us(2_000_000);
    assert_eq!(get(&server, &first).await.0, 404);
}

#[tokio::test]
async fn only_live_channels_can_be_played() {
    let server = Fixture::start(Options::default()).await;
    server.clock.advance_us(10_000_000);
    let (_, playlist) = get(&server, "playback-low.m3u8").await;
    let playlist = String::from_utf8(playlist).unwrap();
    let segment = playlist.lines().last().unwrap().to_owned();
    let names = [
        "playback.m3u8",
        "playback-high.m3u8",
        "playback-low.m3u8",
        &segment,
    ];
    for name in names {
        assert_eq!(get(&server, name).await.0, 200, "{name}");
    }
    server.state.set_offline(DEMO_CHANNEL).unwrap();
    for name in names {
        let (status, body) = get(&server, name).await;
        assert_eq!(status, 404, "{name}");
        assert!(
            String::from_utf8_lossy(&body).contains("is not live"),
            "{name}"
        );
    }
    // Another stream is another picture: what the first one had is gone, and numbers go on.
    server.put(DEMO_CHANNEL, "late").await.unwrap();
    server.state.set_live(DEMO_CHANNEL).unwrap();
    assert_eq!(get(&server, &segment).await.0, 404);
    let (_, again) = get(&server, "playback-low.m3u8").await;
    let again = String::from_utf8(again).unwrap();
    assert!(
        again.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"),
        "{again}"
    );
    let number = |text: &str| -> u64 {
        let (_, rest) = text.split_once("MEDIA-SEQUENCE:").unwrap();
        rest.lines().next().unwrap().parse().unwrap()
    };
    assert!(number(&again) > number(&playlist) + 7, "{again}");
    for (name, status) in [("playback-no.m3u8", 404), ("playback-high-1.ts", 404)] {
        assert_eq!(get(&server, name).await.0, status, "{name}");
    }
    let path = "/_local/channels/nonsense/playback.m3u8";
    assert_eq!(server.local("GET", path, "").await.unwrap().status, 400);
}

#[tokio::test]
async fn pages_of_every_origin_and_name_may_watch_and_do_nothing_else() {
    let server = Fixture::start(Options::default()).await;
    let page = [
        ("host", "emulator.example"),
        ("origin", "http://page.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let ask = async |method: &str, path: &str| {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in page {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        exchange(server.addr, text.as_bytes()).await.unwrap()
    };
    for name in ["playback.m3u8", "playback-high.m3u8", "playback-none.ts"] {
        let answer = ask("GET", &format!("{BASE}{name}")).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{name}");
    }
    let master = ask("GET", &format!("{BASE}playback.m3u8")).await;
    assert_eq!(master.status, 200);
    assert_eq!(
        master.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert_eq!(ask("HEAD", &format!("{BASE}playback.m3u8")).await.body, "");
    let allowed = ask("OPTIONS", &format!("{BASE}playback.m3u8")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-methods"), "GET, HEAD");
    assert_eq!(
        ask("POST", &format!("{BASE}playback.m3u8")).await.status,
        405
    );
    for path in [
        &format!("{BASE}metadata"),
        "/_local/report",
        "/_local/playback",
    ] {
        let refused = ask("GET", path).await;
        assert_eq!(refused.status, 421, "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn playback_urls_lead_there_or_look_real() {
    for playback_url in [PlaybackUrl::Emulator, PlaybackUrl::Real] {
        let server = Fixture::start(Options {
            playback_url,
            ..Options::default()
        })
        .await;
        let ask = async |operation: &str, body: String| server.api(operation, &body).await.json();
        let made = ask("CreateChannel", String::new()).await;
        let arn = made["channel"]["arn"].as_str().unwrap();
        let stream = ask("GetStream", format!(r#"{{"channelArn":"{DEMO_CHANNEL}"}}"#)).await;
        let batch = ask("BatchGetChannel", format!(r#"{{"arns":["{arn}"]}}"#)).await;
        let got = ask("GetChannel", format!(r#"{{"arn":"{arn}"}}"#)).await;
        let url = made["channel"]["playbackUrl"].as_str().unwrap();
        assert_eq!(got["channel"]["playbackUrl"], url);
        assert_eq!(batch["channels"][0]["playbackUrl"], url);
        let demo = stream["stream"]["playbackUrl"].as_str().unwrap();
        match playback_url {
            PlaybackUrl::Emulator => {
                assert_eq!(demo, format!("http://{}{BASE}playback.m3u8", server.addr));
                let path = demo
                    .strip_prefix(&format!("http://{}", server.addr))
                    .unwrap();
                assert_eq!(server.local("GET", path, "").await.unwrap().status, 200);
                assert!(url.ends_with("/playback.m3u8"), "{url}");
            }
            PlaybackUrl::Real => {
                let id = arn.rsplit('/').next().unwrap();
                let end = format!(
                    ".us-west-2.playback.live-video.net/api/video/v1/us-west-2.000000000000.channel.{id}.m3u8"
                );
                assert!(url.ends_with(&end), "{url}");
            }
        }
    }
}
