//! The rate of every operation, to the microsecond, under all three measures; and pages of
//! lists that change under way.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, Signer};
use local_ivs::{DEMO_CHANNEL, Measure, Options, Rates};
use std::collections::BTreeSet;

/// Every operation but `PutMetadata`, a call of it that gets past its input, and its rate.
fn operations() -> Vec<(&'static str, String, String, u32)> {
    let tags = format!(
        "/tags/{}",
        DEMO_CHANNEL.replace(':', "%3A").replace('/', "%2F")
    );
    let home = "arn:aws:ivs:us-west-2:000000000000";
    let channel = format!(r#"{{"channelArn":"{DEMO_CHANNEL}"}}"#);
    let arn = format!(r#"{{"arn":"{DEMO_CHANNEL}"}}"#);
    let of = |kind: &str| format!(r#"{{"arn":"{home}:{kind}/none"}}"#);
    let arns = |arn: &str| format!(r#"{{"arns":["{arn}"]}}"#);
    let pem = "-----BEGIN PUBLIC KEY-----\\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmSS6vRV9Wx37mjwi02hObKuCJqpj7x0lpz0bHm5v1JBvdZYAd/r2LR5aChK+/GM2Wjl8MG9NJIVFaw1u3bvjEjzTASSfS1BDX1\\n-----END PUBLIC KEY-----";
    let pem = format!(r#"{{"publicKeyMaterial":"{pem}"}}"#);
    let bucket = r#"{"destinationConfiguration":{"s3":{"bucketName":"abc"}}}"#.to_owned();
    let empty = String::new;
    #[rustfmt::skip]
    let calls = vec![
        ("POST", "/BatchGetChannel".to_owned(), arns(DEMO_CHANNEL), 5),
        ("POST", "/CreateChannel".to_owned(), empty(), 5),
        ("POST", "/DeleteChannel".to_owned(), of("channel"), 5),
        ("POST", "/GetChannel".to_owned(), arn.clone(), 5),
        ("POST", "/ListChannels".to_owned(), empty(), 5),
        ("POST", "/UpdateChannel".to_owned(), arn, 5),
        ("POST", "/BatchGetStreamKey".to_owned(), arns(&format!("{home}:stream-key/a")), 5),
        ("POST", "/CreateStreamKey".to_owned(), channel.clone(), 5),
        ("POST", "/DeleteStreamKey".to_owned(), of("stream-key"), 5),
        ("POST", "/GetStreamKey".to_owned(), of("stream-key"), 5),
        ("POST", "/ListStreamKeys".to_owned(), channel.clone(), 5),
        ("POST", "/GetStream".to_owned(), channel.clone(), 5),
        ("POST", "/GetStreamSession".to_owned(), channel.clone(), 5),
        ("POST", "/ListStreamSessions".to_owned(), channel.clone(), 5),
        ("POST", "/ListStreams".to_owned(), empty(), 5),
        ("POST", "/StopStream".to_owned(), channel, 5),
        ("POST", "/DeletePlaybackKeyPair".to_owned(), of("playback-key"), 3),
        ("POST", "/GetPlaybackKeyPair".to_owned(), of("playback-key"), 3),
        ("POST", "/ImportPlaybackKeyPair".to_owned(), pem, 3),
        ("POST", "/ListPlaybackKeyPairs".to_owned(), empty(), 3),
        ("POST", "/CreateRecordingConfiguration".to_owned(), bucket, 3),
        ("POST", "/DeleteRecordingConfiguration".to_owned(), of("recording-configuration"), 3),
        ("POST", "/GetRecordingConfiguration".to_owned(), of("recording-configuration"), 3),
        ("POST", "/ListRecordingConfigurations".to_owned(), empty(), 3),
        ("GET", tags.clone(), empty(), 10),
        ("POST", tags.clone(), r#"{"tags":{"a":"b"}}"#.to_owned(), 10),
        ("DELETE", format!("{tags}?tagKeys=a"), empty(), 10),
    ];
    calls
}

/// Calls until it is throttled, and gives how many calls were let in.
async fn let_in(fixture: &Fixture, call: &(&str, String, String, u32), most: u32) -> u32 {
    let (method, path, body, tps) = call;
    let action = "exceeded call rate: ";
    for count in 0..most {
        let signer = Signer::default();
        let answer = fixture.call(method, path, body, &signer).await.unwrap();
        if answer.status == 429 {
            let (_, code, message) = answer.error();
            assert_eq!(code, "ThrottlingException");
            let expected =
                format!("{action}{tps} for resource: arn:aws:ivs:us-west-2:000000000000");
            assert!(message.ends_with(&expected), "{path}: {message}");
            return count;
        }
    }
    most
}

#[tokio::test]
async fn every_operation_has_its_rate() {
    let options = || Options::default();
    let fixture = Fixture::start(options()).await;
    // All at the same microsecond: each operation has a rate of its own.
    for call in &operations() {
        let tps = call.3;
        assert_eq!(let_in(&fixture, call, 99).await, tps, "{}", call.1);
    }
    for (step_us, room) in [(999_999, false), (1, true), (999_999, false), (1, true)] {
        fixture.clock.advance_us(step_us);
        for call in &operations() {
            let expected = if room { call.3 } else { 0 };
            assert_eq!(let_in(&fixture, call, 99).await, expected, "{}", call.1);
        }
    }
    // Another region has rates of its own.
    let signer = Signer {
        region: "eu-west-1",
        ..Signer::default()
    };
    let answer = fixture.call("POST", "/ListStreams", "", &signer).await;
    assert_eq!(answer.unwrap().status, 200);
    let report = fixture.report().await;
    let streams = &report["operations"]["ivs:ListStreams"];
    assert_eq!(streams["max_admitted_per_second"], 5 + 1);
    // Three times five and one elsewhere were let in; five times there was one too many.
    assert_eq!(streams["calls"], 3 * 5 + 1 + 5);
    assert_eq!(streams["throttled"], 5);
}

#[tokio::test]
async fn the_other_measures_count_operations_too() {
    for (measure, at_half_a_second, at_the_edge) in
        [(Measure::Bucket, 2, 3), (Measure::Fixed, 0, 5)]
    {
        let rates = Rates {
            measure,
            ..Rates::default()
        };
        let fixture = Fixture::start(Options {
            rates,
            ..Options::default()
        })
        .await;
        for call in operations().iter().filter(|call| call.3 == 5) {
            assert_eq!(let_in(&fixture, call, 99).await, 5, "{measure:?}");
        }
        fixture.clock.advance_us(500_000);
        for call in operations().iter().filter(|call| call.3 == 5) {
            let count = let_in(&fixture, call, 99).await;
            assert_eq!(count, at_half_a_second, "{measure:?} {}", call.1);
        }
        fixture.clock.advance_us(500_000);
        for call in operations().iter().filter(|call| call.3 == 5) {
            let count = let_in(&fixture, call, 99).await;
            assert_eq!(count, at_the_edge, "{measure:?} {}", call.1);
        }
    }
}

#[tokio::test]
async fn what_is_refused_before_costs_nothing_and_what_is_not_found_does() {
    let fixture = Fixture::start(Options::default()).await;
    for _ in 0..9 {
        assert_eq!(fixture.api("GetChannel", "{}").await.status, 400);
        let other = r#"{"arn":"arn:aws:ivs:us-west-2:111111111111:channel/a"}"#;
        assert_eq!(fixture.api("GetChannel", other).await.status, 403);
    }
    let none = r#"{"arn":"arn:aws:ivs:us-west-2:000000000000:channel/none"}"#;
    for _ in 0..5 {
        assert_eq!(fixture.api("GetChannel", none).await.status, 404);
    }
    assert_eq!(fixture.api("GetChannel", none).await.status, 429);
    // A rate of the test's own, from now on.
    let limits = fixture
        .local("POST", "/_local/limits", r#"{"operation_tps":7}"#)
        .await;
    assert_eq!(limits.unwrap().status, 204);
    for _ in 0..7 {
        assert_eq!(fixture.api("GetChannel", none).await.status, 404);
    }
    assert_eq!(fixture.api("GetChannel", none).await.status, 429);
    for (wrong, part) in [
        (r#"{"operation_tps":0}"#, "1 to 10000"),
        (r#"{"operation_tps":10001}"#, "1 to 10000"),
        (r#"{"tps":1}"#, "no member 'tps'"),
    ] {
        let answer = fixture.local("POST", "/_local/limits", wrong).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.body.contains(part), "{wrong}: {}", answer.body);
    }
}

fn arn(n: usize) -> String {
    format!("arn:aws:ivs:us-west-2:000000000000:channel/c{n:04}")
}

/// All pages of a list, a second each, with something done between them.
async fn pages(
    fixture: &Fixture,
    operation: &str,
    member: &str,
    between: impl Fn(usize),
) -> Vec<BTreeSet<String>> {
    let mut pages = Vec::new();
    let mut body = r#"{"maxResults":100}"#.to_owned();
    loop {
        fixture.clock.advance_us(1_000_000);
        let answer = fixture.api(operation, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        let page = answer[member].as_array().unwrap().iter();
        let arns = page.map(|thing| {
            let arn = thing.get("arn").or_else(|| thing.get("channelArn"));
            arn.and_then(|arn| arn.as_str()).unwrap().to_owned()
        });
        pages.push(arns.collect());
        let Some(token) = answer["nextToken"].as_str() else {
            return pages;
        };
        assert!(token.len() <= 1024);
        body = format!(r#"{{"maxResults":100,"nextToken":"{token}"}}"#);
        between(pages.len());
    }
}

#[tokio::test]
async fn pages_are_whole_while_channels_come_and_go() {
    let fixture = Fixture::start(Options::default()).await;
    fixture.state.set_offline(DEMO_CHANNEL).unwrap();
    for n in 0..1_000 {
        fixture.state.set_live(&arn(2 * n)).unwrap();
    }
    for (operation, member) in [("ListStreams", "streams"), ("ListChannels", "channels")] {
        let pages = pages(&fixture, operation, member, |_| ()).await;
        let all: BTreeSet<&String> = pages.iter().flatten().collect();
        let counts: Vec<usize> = pages.iter().map(BTreeSet::len).collect();
        // The demo channel is offline, but it is a channel.
        let more = usize::from(operation == "ListChannels");
        assert_eq!(all.len(), 1_000 + more, "{operation}");
        assert_eq!(counts.iter().sum::<usize>(), 1_000 + more, "{operation}");
        assert_eq!(counts[..10], [100; 10], "{operation}");
    }
    // Before each page one stream begins and one ends behind it and before it, and also the
    // very one that the token came after.
    let state = &fixture.state;
    let found = pages(&fixture, "ListStreams", "streams", |page| {
        state.set_offline(&arn(200 * page - 2)).unwrap();
        state.set_live(&arn(200 * page - 3)).unwrap();
        state.set_offline(&arn(1_900)).unwrap();
        state.set_live(&arn(1_999)).unwrap();
    })
    .await;
    let all: Vec<&String> = found.iter().flatten().collect();
    let distinct: BTreeSet<&&String> = all.iter().collect();
    assert_eq!(all.len(), distinct.len(), "a stream came twice");
    for n in 0..1_000 {
        let is_there = distinct.contains(&&arn(2 * n));
        assert_eq!(is_there, n != 950, "c{:04}", 2 * n);
    }
    assert!(distinct.contains(&&arn(1_999)));
}
