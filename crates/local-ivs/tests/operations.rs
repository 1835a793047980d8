//! Every operation but `PutMetadata` from the outside: what it answers, what it refuses, and
//! what the others see of it afterwards.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, Signer};
use local_ivs::{DEMO_CHANNEL, Keys, Options};
use std::collections::BTreeMap;

/// What earlier answers gave, to be written as `<name>` in later calls and expectations.
type Names = BTreeMap<&'static str, String>;

/// Call (`GetStream`, or `GET /path`), body, status, what the error code or the body must
/// hold, and what to remember of the body: name and JSON pointer.
type Step<'a> = (
    &'a str,
    &'a str,
    u16,
    &'a [&'a str],
    &'a [(&'static str, &'a str)],
);

fn filled(template: &str, names: &Names) -> String {
    names
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("<{name}>"), value)
        })
}

/// Takes steps, a second each, so that no rate is met.
async fn check(fixture: &Fixture, names: &mut Names, steps: &[Step<'_>]) {
    for (index, (call, body, status, parts, captures)) in steps.iter().enumerate() {
        fixture.clock.advance_us(1_000_000);
        let call = filled(call, names);
        let (method, path) = match call.split_once(' ') {
            Some((method, path)) => (method, path.to_owned()),
            None => ("POST", format!("/{call}")),
        };
        let body = filled(body, names);
        let answer = if path.starts_with("/_local/") {
            fixture.local(method, &path, &body).await.unwrap()
        } else {
            let signer = Signer::default();
            fixture.call(method, &path, &body, &signer).await.unwrap()
        };
        let shown = format!("step {index}: {call} {body}: {answer:?}");
        assert_eq!(answer.status, *status, "{shown}");
        for part in *parts {
            let part = filled(part, names);
            let is_code = answer.header("x-amzn-errortype") == part;
            assert!(is_code || answer.body.contains(&part), "{part}: {shown}");
        }
        if *status == 204 {
            assert_eq!(answer.body, "", "{shown}");
        }
        for (name, pointer) in *captures {
            let value = answer.json().pointer(pointer).cloned();
            let value = value.unwrap_or_else(|| panic!("{pointer}: {shown}"));
            names.insert(
                name,
                value.as_str().map_or(value.to_string(), str::to_owned),
            );
        }
    }
}

async fn run(options: Options, steps: &[Step<'_>]) -> (Fixture, Names) {
    let fixture = Fixture::start(options).await;
    let mut names = Names::from([("demo", DEMO_CHANNEL.to_owned())]);
    check(&fixture, &mut names, steps).await;
    (fixture, names)
}

const VALIDATION: &str = "ValidationException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const CONFLICT: &str = "ConflictException";
const QUOTA: &str = "ServiceQuotaExceededException";
const SERIALIZATION: &str = "SerializationException";

#[tokio::test]
async fn channels() {
    let defaults = &[
        r#""name":"""#,
        r#""latencyMode":"LOW""#,
        r#""type":"STANDARD""#,
        r#""authorized":false"#,
        r#""insecureIngest":false"#,
        r#""preset":"""#,
        r#""containerFormat":"TS""#,
        r#""recordingConfigurationArn":"""#,
        r#""tags":{}"#,
        ".global-contribute.live-video.net",
        r#""playbackUrl":"http://127.0.0.1:"#,
        "/_local/channels/arn%3Aaws%3Aivs%3Aus-west-2%3A000000000000%3Achannel%2F",
        "/playback.m3u8",
        r#""value":"sk_us-west-2_"#,
    ];
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreateChannel", "", 200, defaults, &[("a", "/channel/arn"), ("key", "/streamKey/arn")]),
        ("GetChannel", r#"{"arn":"<a>"}"#, 200, &[r#"{"channel":{"#, "<a>", r#""passphrase":"#], &[]),
        ("GetStreamKey", r#"{"arn":"<key>"}"#, 200, &[r#""channelArn":"<a>""#, "sk_"], &[]),
        ("CreateChannel", r#"{"name":"n-1_","type":"ADVANCED_HD","latencyMode":"NORMAL","authorized":true,"insecureIngest":true,"containerFormat":"FRAGMENTED_MP4","tags":{"k":"v"}}"#, 200,
            &["HIGHER_BANDWIDTH_DELIVERY", r#""latencyMode":"NORMAL""#, r#""authorized":true"#, r#""insecureIngest":true"#, r#""tags":{"k":"v"}"#], &[("b", "/channel/arn")]),
        ("CreateChannel", r#"{"preset":"HIGHER_BANDWIDTH_DELIVERY"}"#, 400, &[VALIDATION, "preset can be selected only"], &[]),
        ("CreateChannel", r#"{"name":"a b","type":"X"}"#, 400, &[VALIDATION, "2 validation errors detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9-_]*$; Value 'X' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [BASIC, STANDARD, ADVANCED_SD, ADVANCED_HD]"], &[]),
        ("CreateChannel", r#"{"name":1}"#, 400, &[SERIALIZATION, "NUMBER_VALUE"], &[]),
        ("CreateChannel", r#"{"authorized":"true"}"#, 400, &[SERIALIZATION], &[]),
        ("CreateChannel", "[", 400, &[SERIALIZATION], &[]),
        ("CreateChannel", r#"{"recordingConfigurationArn":"arn:aws:ivs:us-west-2:000000000000:recording-configuration/none"}"#, 404, &[NOT_FOUND, "recording-configuration/none"], &[]),
        ("CreateChannel", r#"{"playbackRestrictionPolicyArn":"arn:aws:ivs:us-west-2:000000000000:playback-restriction-policy/none"}"#, 404, &[NOT_FOUND], &[]),
        ("CreateChannel", r#"{"failoverSlateConfigurationArn":"arn:aws:ivs:us-west-2:000000000000:failover-slate-configuration/none"}"#, 404, &[NOT_FOUND], &[]),
        ("CreateChannel", r#"{"failoverSlateConfigurationArn":"x"}"#, 400, &[VALIDATION, "failover-slate-configuration/"], &[]),
        ("ListChannels", r#"{"filterByFailoverSlateConfigurationArn":"arn:aws:ivs:us-west-2:000000000000:failover-slate-configuration/none"}"#, 200, &[r#"{"channels":[]}"#], &[]),
        ("CreateChannel", r#"{"playbackRestrictionPolicyArn":"","adConfigurationArn":"","recordingConfigurationArn":"","type":"BASIC"}"#, 200, &[], &[("c", "/channel/arn")]),
        ("CreateChannel", r#"{"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW"}}"#, 400, &[VALIDATION, "maximumResolution"], &[]),
        ("CreateChannel", r#"{"containerFormat":"FRAGMENTED_MP4","multitrackInputConfiguration":{"enabled":true,"policy":"REQUIRE","maximumResolution":"HD"}}"#, 200, &[r#""multitrackInputConfiguration":{"enabled":true,"maximumResolution":"HD","policy":"REQUIRE"}"#], &[("d", "/channel/arn")]),
        ("GetChannel", "{}", 400, &[VALIDATION, "\"GetChannel.arn is a required attribute\""], &[]),
        ("GetChannel", r#"{"arn":"x"}"#, 400, &[VALIDATION, "regular expression"], &[]),
        ("GetChannel", r#"{"arn":"<key>"}"#, 400, &[VALIDATION], &[]),
        ("GetChannel", r#"{"arn":"<demo>x"}"#, 404, &[NOT_FOUND, "Resource: <demo>x not found"], &[]),
        ("GetChannel", r#"{"arn":"arn:aws:ivs:us-west-2:111111111111:channel/a"}"#, 403, &["AccessDeniedException", "ivs:GetChannel on resource: arn:aws:ivs:us-west-2:111111111111:channel/a"], &[]),
        ("GetChannel", r#"{"arn":"arn:aws:ivs:eu-west-1:000000000000:channel/demo"}"#, 404, &[NOT_FOUND], &[]),
        ("BatchGetChannel", r#"{"arns":["<a>","<demo>x","<b>"]}"#, 200, &[r#""errors":[{"arn":"<demo>x","code":"ResourceNotFoundException""#, r#""name":"n-1_""#], &[]),
        ("BatchGetChannel", r#"{"arns":[]}"#, 400, &[VALIDATION, "greater than or equal to 1"], &[]),
        ("BatchGetChannel", r#"{"arns":["x"]}"#, 400, &[VALIDATION, "Value '[x]' at 'arns' failed to satisfy constraint: Member must satisfy constraint: ["], &[]),
        ("BatchGetChannel", r#"{"arns":"<a>"}"#, 400, &[SERIALIZATION], &[]),
        // The demo channel is as good as any.
        ("GetChannel", r#"{"arn":"<demo>"}"#, 200, &[r#""name":"demo""#, "%3Achannel%2Fdemo/playback.m3u8"], &[]),
        ("ListChannels", "{}", 200, &["<a>", "<b>", "<c>", "<d>", "<demo>"], &[]),
        ("ListChannels", r#"{"filterByName":"n-1_"}"#, 200, &["<b>"], &[("only", "/channels/0/arn")]),
        ("ListChannels", r#"{"filterByName":"nobody"}"#, 200, &[r#"{"channels":[]}"#], &[]),
        ("ListChannels", r#"{"filterByName":"a","filterByRecordingConfigurationArn":""}"#, 409, &[CONFLICT], &[]),
        ("ListChannels", r#"{"maxResults":101}"#, 400, &[VALIDATION, "Value '101' at 'maxResults'"], &[]),
        ("ListChannels", r#"{"maxResults":0}"#, 400, &[VALIDATION], &[]),
        ("ListChannels", r#"{"maxResults":"9"}"#, 400, &[SERIALIZATION], &[]),
        ("ListChannels", r#"{"nextToken":"abc"}"#, 400, &[VALIDATION, "nextToken"], &[]),
        ("ListChannels", r#"{"nextToken":"a b"}"#, 400, &[VALIDATION, "regular"], &[]),
        ("UpdateChannel", r#"{"arn":"<b>","name":"new","type":"STANDARD"}"#, 200, &[r#""preset":"""#, r#""name":"new""#, r#""authorized":true"#], &[]),
        ("UpdateChannel", r#"{"arn":"<b>","preset":"CONSTRAINED_BANDWIDTH_DELIVERY"}"#, 400, &[VALIDATION], &[]),
        ("UpdateChannel", r#"{"arn":"<demo>x"}"#, 404, &[NOT_FOUND], &[]),
        ("UpdateChannel", r#"{"arn":"<b>"}"#, 200, &[r#""name":"new""#], &[]),
        ("DeleteChannel", r#"{"arn":"<demo>"}"#, 409, &[CONFLICT, "is live"], &[]),
        ("DeleteChannel", r#"{"arn":"<a>"}"#, 204, &[], &[]),
        ("DeleteChannel", r#"{"arn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
        ("GetStreamKey", r#"{"arn":"<key>"}"#, 404, &[NOT_FOUND], &[]),
        ("GetChannel", r#"{"arn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
    ];
    let (_, names) = run(Options::default(), steps).await;
    assert_eq!(names["only"], names["b"]);
    for name in ["a", "b", "c", "d", "key"] {
        let id = names[name].rsplit('/').next().unwrap();
        assert_eq!(id.len(), 12, "{id}");
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    }
}

#[tokio::test]
async fn stream_keys() {
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreateChannel", "{}", 200, &[], &[("a", "/channel/arn"), ("key", "/streamKey/arn"), ("value", "/streamKey/value")]),
        ("ListStreamKeys", r#"{"channelArn":"<a>"}"#, 200, &["<key>", r#""tags":{}"#], &[]),
        ("BatchGetStreamKey", r#"{"arns":["<key>","<key>x"]}"#, 200, &["<value>", r#""code":"ResourceNotFoundException""#, "<key>x not found"], &[]),
        ("CreateStreamKey", r#"{"channelArn":"<a>"}"#, 402, &[QUOTA], &[]),
        ("CreateStreamKey", r#"{"channelArn":"<demo>x"}"#, 404, &[NOT_FOUND], &[]),
        ("CreateStreamKey", r#"{"channelArn":"<a>","tags":{"aws:x":"y"}}"#, 400, &[VALIDATION, "aws:"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>"}"#, 200, &[r#"{"arn":"<a>","state":"live"}"#], &[]),
        ("DeleteStreamKey", r#"{"arn":"<key>"}"#, 204, &[], &[]),
        ("DeleteStreamKey", r#"{"arn":"<key>"}"#, 404, &[NOT_FOUND], &[]),
        // Whoever streams goes on, and cannot come back.
        ("GetStream", r#"{"channelArn":"<a>"}"#, 200, &["LIVE"], &[]),
        ("StopStream", r#"{"channelArn":"<a>"}"#, 200, &["{}"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>"}"#, 403, &["no channel has this stream key"], &[]),
        ("ListStreamKeys", r#"{"channelArn":"<a>"}"#, 200, &[r#"{"streamKeys":[]}"#], &[]),
        ("CreateStreamKey", r#"{"channelArn":"<a>","tags":{"k":"v"}}"#, 200, &[r#""tags":{"k":"v"}"#], &[("key2", "/streamKey/arn"), ("value2", "/streamKey/value")]),
        ("GetStreamKey", r#"{"arn":"<key2>"}"#, 200, &["<value2>"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value2>"}"#, 200, &["live"], &[]),
        ("ListStreamKeys", r#"{"channelArn":"<a>","maxResults":51}"#, 400, &[VALIDATION, "50"], &[]),
        ("ListStreamKeys", "{}", 400, &[VALIDATION, "channelArn"], &[]),
        ("GetStreamKey", r#"{"arn":"<a>"}"#, 400, &[VALIDATION, "stream-key/"], &[]),
    ];
    let (_, names) = run(Options::default(), steps).await;
    // sk_REGION_<12>_<30>
    let parts: Vec<usize> = names["value"].split('_').map(str::len).collect();
    assert_eq!(parts, [2, 9, 12, 30], "{}", names["value"]);
}

#[tokio::test]
async fn streams_and_their_sessions() {
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("GetStream", r#"{"channelArn":"<demo>"}"#, 200, &[r#""state":"LIVE""#, r#""health":"HEALTHY""#, r#""viewerCount":0"#, r#""playbackUrl":"http://127.0.0.1:"#, r#""startTime":"2026-01-02T03:04:05Z""#], &[("first", "/stream/streamId")]),
        ("ListStreams", "{}", 200, &["<first>"], &[]),
        ("ListStreams", r#"{"filterBy":{"health":"HEALTHY"}}"#, 200, &["<first>"], &[]),
        ("ListStreams", r#"{"filterBy":{"health":"STARVING"}}"#, 200, &[r#"{"streams":[]}"#], &[]),
        ("ListStreams", r#"{"filterBy":{"health":"DEAD"}}"#, 400, &[VALIDATION, "at 'filterBy.health'"], &[]),
        ("ListStreams", r#"{"filterBy":"HEALTHY"}"#, 400, &[SERIALIZATION], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>"}"#, 200, &["<first>", r#""ingestConfiguration":{"#, r#""name":"Stream Start""#, r#""name":"demo""#], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{"bucketName":"abc"}}}"#, 200, &[], &[("rec", "/recordingConfiguration/arn")]),
        ("UpdateChannel", r#"{"arn":"<demo>","name":"renamed"}"#, 409, &[CONFLICT, "is live"], &[]),
        ("GetChannel", r#"{"arn":"<demo>"}"#, 200, &[r#""name":"demo""#], &[]),
        ("StopStream", r#"{"channelArn":"<demo>"}"#, 200, &["{}"], &[]),
        ("UpdateChannel", r#"{"arn":"<demo>","name":"renamed","recordingConfigurationArn":"<rec>"}"#, 200, &["renamed"], &[]),
        // A session keeps what it began with.
        ("GetStreamSession", r#"{"channelArn":"<demo>","streamId":"<first>"}"#, 200, &[r#""name":"demo""#], &[("name", "/streamSession/channel/name")]),
        ("GetChannel", r#"{"arn":"<demo>"}"#, 200, &["renamed"], &[]),
        ("StopStream", r#"{"channelArn":"<demo>"}"#, 404, &["ChannelNotBroadcasting"], &[]),
        ("GetStream", r#"{"channelArn":"<demo>"}"#, 404, &["ChannelNotBroadcasting", "Channel: <demo> is not currently online"], &[]),
        ("PutMetadata", r#"{"channelArn":"<demo>","metadata":"x"}"#, 404, &["ChannelNotBroadcasting"], &[]),
        ("ListStreams", "{}", 200, &[r#"{"streams":[]}"#], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>"}"#, 200, &["<first>", r#""endTime":"2026-01-02T03:04:16Z""#, "Stream End", "Session Ended"], &[]),
        ("POST /_local/channels/<demo>/stream", r#"{"state":"live"}"#, 200, &["live"], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>"}"#, 200, &[r#""name":"renamed""#, r#""state":"ACTIVE""#, "<rec>", "Recording Start"], &[("second", "/streamSession/streamId"), ("event", "/streamSession/truncatedEvents/2/name")]),
        ("POST /_local/channels/<demo>/events", r#"{"type":"IVS Stream State Change","name":"Session Ended","code":"MultitrackInputNotAllowed"}"#, 200, &[r#""stream_id":"<second>""#], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>"}"#, 200, &[r#""truncatedEvents":[{"code":"MultitrackInputNotAllowed","eventTime":""#], &[]),
        ("POST /_local/channels/<demo>/events", r#"{"type":"IVS Limit Breach","name":"Ingest Bitrate","detail":{"limit_value":8500000,"exceeded_by":3,"limit_unit":"bits per second"}}"#, 200, &[r#""limit_name":"Ingest Bitrate""#, r#""limit_value":8500000"#, r#""channel_name":"renamed""#], &[]),
        ("POST /_local/channels/<demo>/events", r#"{"type":"IVS Limit Breach","name":"Stream Start"}"#, 400, &["name must be one of Ingest Bitrate"], &[]),
        ("POST /_local/channels/<demo>/events", r#"{"type":"IVS"}"#, 400, &["type must be one of IVS Stream State Change", "name is missing"], &[]),
        ("POST /_local/channels/<demo>x/events", r#"{"type":"IVS Stream State Change","name":"Stream End"}"#, 404, &["no channel"], &[]),
        ("ListStreamSessions", r#"{"channelArn":"<demo>"}"#, 200, &[r#""hasErrorEvent":false"#], &[("newest", "/streamSessions/0/streamId"), ("oldest", "/streamSessions/1/streamId")]),
        ("ListStreamSessions", r#"{"channelArn":"<demo>","maxResults":1}"#, 200, &["<second>"], &[("token", "/nextToken")]),
        ("ListStreamSessions", r#"{"channelArn":"<demo>","nextToken":"<token>"}"#, 200, &[r#"{"streamSessions":[{"endTime""#, "<first>"], &[]),
        ("ListStreamSessions", r#"{"channelArn":"<demo>x","nextToken":"<token>"}"#, 400, &[VALIDATION], &[]),
        ("ListStreamSessions", r#"{"channelArn":"<demo>x"}"#, 404, &[NOT_FOUND], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>","streamId":"st-aaaaaaaaaaaaaaaaaaaaaaa"}"#, 404, &[NOT_FOUND], &[]),
        ("GetStreamSession", r#"{"channelArn":"<demo>","streamId":"st-a"}"#, 400, &[VALIDATION, "26"], &[]),
        ("CreateChannel", "{}", 200, &[], &[("a", "/channel/arn"), ("value", "/streamKey/value")]),
        ("GetStreamSession", r#"{"channelArn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
        ("ListStreamSessions", r#"{"channelArn":"<a>"}"#, 200, &[r#"{"streamSessions":[]}"#], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","state":"offline"}"#, 409, &["has no live stream"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","health":"STARVING"}"#, 200, &["live"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>"}"#, 409, &["a second encoder is refused"], &[]),
        ("ListStreams", r#"{"filterBy":{"health":"STARVING"}}"#, 200, &["<a>"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","health":"HEALTHY"}"#, 200, &["live"], &[]),
        ("GetStream", r#"{"channelArn":"<a>"}"#, 200, &["HEALTHY"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","priority":7}"#, 200, &["live"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","priority":7}"#, 409, &["StreamTakeoverInvalidPriority"], &[]),
        ("GetStreamSession", r#"{"channelArn":"<a>"}"#, 200, &[r#""code":"StreamTakeoverInvalidPriority""#, "Stream Takeover Failure", "Starvation End", "IVS Stream Health Change"], &[]),
        ("ListStreams", r#"{"maxResults":1}"#, 200, &[], &[("one", "/streams/0/channelArn"), ("token", "/nextToken")]),
        ("ListStreams", r#"{"maxResults":1,"nextToken":"<token>"}"#, 200, &[], &[("two", "/streams/0/channelArn")]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","state":"failed"}"#, 200, &["failed"], &[]),
        ("GetStreamSession", r#"{"channelArn":"<a>"}"#, 200, &["Stream Failure"], &[]),
        ("ListStreamSessions", r#"{"channelArn":"<a>"}"#, 200, &[r#""hasErrorEvent":true"#], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"sk_us-west-2_x"}"#, 403, &["no channel"], &[]),
        ("POST /_local/ingest", "{}", 400, &["streamKey is missing"], &[]),
        ("POST /_local/ingest", r#"{"streamKey":"<value>","state":"offline","health":"UNKNOWN"}"#, 400, &["'health' and 'priority'"], &[]),
        ("GET /_local/ingest", "", 405, &["POST"], &[]),
        ("GET /_local/report", "", 200, &[r#""ivs:GetStream":{"calls":3,"throttled":0,"max_admitted_per_second":1}"#], &[]),
    ];
    let (_, names) = run(Options::default(), steps).await;
    assert_eq!(names["name"], "demo");
    assert_eq!(names["first"].len(), 26);
    assert_eq!(
        [&names["newest"], &names["oldest"]],
        [&names["second"], &names["first"]]
    );
    assert_eq!(names["event"], "Session Created");
    assert_ne!(names["one"], names["two"]);
}

const P384: [&str; 4] = [
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmS",
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmT",
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmU",
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmV",
];

#[tokio::test]
async fn playback_key_pairs() {
    let import = |index: usize, more: &str| {
        let body = format!(
            "{}\\nS6vRV9Wx37mjwi02hObKuCJqpj7x0lpz0bHm5v1JBvdZYAd/r2LR5aChK+/GM2Wj\\nl8MG9NJIVFaw1u3bvjEjzTASSfS1BDX1",
            P384[index]
        );
        format!(
            r#"{{"publicKeyMaterial":"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"{more}}}"#
        )
    };
    let first = import(0, r#","name":"n","tags":{"k":"v"}"#);
    let (second, third, fourth) = (import(1, ""), import(2, ""), import(3, ""));
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("ListPlaybackKeyPairs", "{}", 200, &[r#"{"keyPairs":[]}"#], &[]),
        ("ImportPlaybackKeyPair", &first, 200, &[r#""name":"n""#, r#""tags":{"k":"v"}"#, r#""fingerprint":"cb:d1:7b:f3:"#], &[("pair", "/keyPair/arn")]),
        ("ImportPlaybackKeyPair", &first, 409, &[CONFLICT, "<pair>"], &[]),
        ("GetPlaybackKeyPair", r#"{"arn":"<pair>"}"#, 200, &["cb:d1:7b:f3:"], &[]),
        ("ImportPlaybackKeyPair", &second, 200, &[r#""name":"""#], &[]),
        ("ImportPlaybackKeyPair", &third, 200, &[], &[]),
        ("ImportPlaybackKeyPair", &fourth, 402, &[QUOTA, "at most 3"], &[]),
        ("ListPlaybackKeyPairs", "{}", 200, &["<pair>"], &[("last", "/keyPairs/2/arn")]),
        ("ListPlaybackKeyPairs", r#"{"maxResults":2}"#, 200, &[], &[("token", "/nextToken")]),
        ("ListPlaybackKeyPairs", r#"{"maxResults":2,"nextToken":"<token>"}"#, 200, &["<last>"], &[]),
        ("ListRecordingConfigurations", r#"{"nextToken":"<token>"}"#, 400, &[VALIDATION], &[]),
        ("DeletePlaybackKeyPair", r#"{"arn":"<pair>"}"#, 200, &["{}"], &[]),
        ("DeletePlaybackKeyPair", r#"{"arn":"<pair>"}"#, 404, &[NOT_FOUND], &[]),
        ("GetPlaybackKeyPair", r#"{"arn":"<pair>"}"#, 404, &[NOT_FOUND], &[]),
        ("ImportPlaybackKeyPair", &fourth, 200, &[], &[]),
        ("ImportPlaybackKeyPair", "{}", 400, &[VALIDATION, "publicKeyMaterial"], &[]),
        ("ImportPlaybackKeyPair", r#"{"publicKeyMaterial":"x"}"#, 400, &[VALIDATION, "PEM"], &[]),
        ("GetPlaybackKeyPair", r#"{"arn":"<demo>"}"#, 400, &[VALIDATION, "playback-key/"], &[]),
    ];
    run(Options::default(), steps).await;
}

#[tokio::test]
async fn recording_configurations() {
    let create = r#"{"destinationConfiguration":{"s3":{"bucketName":"my-bucket"}}}"#;
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreateRecordingConfiguration", create, 200, &[r#""state":"CREATING""#, r#""recordingMode":"INTERVAL""#, r#""targetIntervalSeconds":60"#, r#""recordingReconnectWindowSeconds":0"#, r#""renditionSelection":"ALL""#], &[("a", "/recordingConfiguration/arn")]),
        ("GetRecordingConfiguration", r#"{"arn":"<a>"}"#, 200, &[r#""state":"ACTIVE""#, r#"{"s3":{"bucketName":"my-bucket"}}"#], &[]),
        ("CreateRecordingConfiguration", r#"{"name":"n","tags":{"k":"v"},"destinationConfiguration":{"s3":{"bucketName":"b.2"}},"recordingReconnectWindowSeconds":300,"thumbnailConfiguration":{"recordingMode":"DISABLED"},"renditionConfiguration":{"renditionSelection":"CUSTOM","renditions":["HD","SD"]}}"#, 200,
            &[r#""recordingReconnectWindowSeconds":300"#, r#""thumbnailConfiguration":{"recordingMode":"DISABLED"}"#, r#""renditions":["HD","SD"]"#], &[("b", "/recordingConfiguration/arn")]),
        ("ListRecordingConfigurations", "{}", 200, &["<a>", "<b>", r#""state":"ACTIVE""#], &[]),
        ("CreateRecordingConfiguration", "{}", 400, &[VALIDATION, "CreateRecordingConfiguration.destinationConfiguration is a required attribute"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{}}"#, 400, &[VALIDATION, "s3"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{}}}"#, 400, &[VALIDATION, "CreateRecordingConfiguration.destinationConfiguration.s3.bucketName is a required attribute"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{"bucketName":"A"}},"recordingReconnectWindowSeconds":301,"thumbnailConfiguration":{"targetIntervalSeconds":61,"storage":["X"]}}"#, 400, &[VALIDATION, "5 validation errors", "'61' at 'thumbnailConfiguration.targetIntervalSeconds'"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{"bucketName":"abc"}},"renditionConfiguration":{"renditionSelection":"CUSTOM"}}"#, 400, &[VALIDATION, "renditions"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{"bucketName":"abc"}},"thumbnailConfiguration":{"recordingMode":"DISABLED","targetIntervalSeconds":9}}"#, 400, &[VALIDATION, "INTERVAL"], &[]),
        ("CreateChannel", r#"{"recordingConfigurationArn":"<a>"}"#, 200, &["<a>"], &[("channel", "/channel/arn")]),
        ("ListChannels", r#"{"filterByRecordingConfigurationArn":"<a>"}"#, 200, &["<channel>"], &[]),
        ("DeleteRecordingConfiguration", r#"{"arn":"<a>"}"#, 409, &[CONFLICT, "<channel>"], &[]),
        ("UpdateChannel", r#"{"arn":"<channel>","recordingConfigurationArn":""}"#, 200, &[r#""recordingConfigurationArn":"""#], &[]),
        ("DeleteRecordingConfiguration", r#"{"arn":"<a>"}"#, 204, &[], &[]),
        ("DeleteRecordingConfiguration", r#"{"arn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
        ("GetRecordingConfiguration", r#"{"arn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
        ("UpdateChannel", r#"{"arn":"<channel>","recordingConfigurationArn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
    ];
    let (fixture, mut names) = run(Options::default(), steps).await;
    let one: &[Step] = &[("CreateRecordingConfiguration", create, 200, &[], &[])];
    for _ in 1..20 {
        check(&fixture, &mut names, one).await;
    }
    let full: &[Step] = &[(
        "CreateRecordingConfiguration",
        create,
        402,
        &[QUOTA, "at most 20"],
        &[],
    )];
    check(&fixture, &mut names, full).await;
}

#[tokio::test]
async fn playback_restriction_policies() {
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreatePlaybackRestrictionPolicy", "", 200, &[r#"{"playbackRestrictionPolicy":{"allowedCountries":[],"allowedOrigins":[],"arn":"arn:aws:ivs:us-west-2:000000000000:playback-restriction-policy/"#, r#""enableStrictOriginEnforcement":false,"name":"","tags":{}"#], &[("a", "/playbackRestrictionPolicy/arn")]),
        ("CreatePlaybackRestrictionPolicy", r#"{"name":"n","allowedCountries":["DE","US"],"allowedOrigins":["https://example.com","null"],"enableStrictOriginEnforcement":true,"tags":{"k":"v"}}"#, 200, &[r#""allowedCountries":["DE","US"]"#, r#""tags":{"k":"v"}"#], &[("b", "/playbackRestrictionPolicy/arn")]),
        ("CreatePlaybackRestrictionPolicy", r#"{"allowedCountries":["XX"]}"#, 400, &[VALIDATION, "not 'XX'"], &[]),
        ("CreatePlaybackRestrictionPolicy", r#"{"allowedCountries":["DEU"]}"#, 400, &[VALIDATION, "at 'allowedCountries'"], &[]),
        ("CreatePlaybackRestrictionPolicy", r#"{"allowedOrigins":["example.com"]}"#, 400, &[VALIDATION, "such as https://example.com"], &[]),
        ("GetPlaybackRestrictionPolicy", r#"{"arn":"<b>"}"#, 200, &[r#""enableStrictOriginEnforcement":true"#], &[]),
        ("UpdatePlaybackRestrictionPolicy", r#"{"arn":"<b>","allowedCountries":[]}"#, 200, &[r#""allowedCountries":[]"#, r#""name":"n""#, "https://example.com"], &[]),
        ("UpdatePlaybackRestrictionPolicy", r#"{"arn":"<b>","allowedCountries":["ZZ"]}"#, 400, &[VALIDATION, "not 'ZZ'"], &[]),
        // One a page, if nobody says how many.
        ("ListPlaybackRestrictionPolicies", "{}", 200, &[], &[("token", "/nextToken")]),
        ("ListPlaybackRestrictionPolicies", r#"{"nextToken":"<token>"}"#, 200, &["playback-restriction-policy/"], &[]),
        ("ListPlaybackRestrictionPolicies", r#"{"maxResults":100}"#, 200, &["<a>", "<b>"], &[]),
        ("CreateChannel", r#"{"playbackRestrictionPolicyArn":"<b>"}"#, 200, &["<b>"], &[("channel", "/channel/arn")]),
        ("ListChannels", r#"{"filterByPlaybackRestrictionPolicyArn":"<b>"}"#, 200, &["<channel>"], &[]),
        ("DeletePlaybackRestrictionPolicy", r#"{"arn":"<b>"}"#, 409, &[CONFLICT, "<channel>"], &[]),
        ("UpdateChannel", r#"{"arn":"<channel>","playbackRestrictionPolicyArn":""}"#, 200, &[r#""playbackRestrictionPolicyArn":"""#], &[]),
        ("DeletePlaybackRestrictionPolicy", r#"{"arn":"<b>"}"#, 204, &[], &[]),
        ("DeletePlaybackRestrictionPolicy", r#"{"arn":"<b>"}"#, 404, &[NOT_FOUND, "<b> not found"], &[]),
        ("UpdateChannel", r#"{"arn":"<channel>","playbackRestrictionPolicyArn":"<b>"}"#, 404, &[NOT_FOUND], &[]),
        ("GetPlaybackRestrictionPolicy", r#"{"arn":"<channel>"}"#, 400, &[VALIDATION], &[]),
        ("POST /tags/<a>", r#"{"tags":{"x":"y"}}"#, 200, &[], &[]),
        ("GetPlaybackRestrictionPolicy", r#"{"arn":"<a>"}"#, 200, &[r#""tags":{"x":"y"}"#], &[]),
    ];
    let (fixture, mut names) = run(Options::default(), steps).await;
    let one: &[Step] = &[("CreatePlaybackRestrictionPolicy", "", 200, &[], &[])];
    for _ in 1..20 {
        check(&fixture, &mut names, one).await;
    }
    let parts: &[&str] = &[QUOTA, "at most 20 playback restriction policies"];
    let full: &[Step] = &[("CreatePlaybackRestrictionPolicy", "", 402, parts, &[])];
    check(&fixture, &mut names, full).await;
}

#[tokio::test]
async fn ad_configurations_and_ad_breaks() {
    const PLAYBACK: &str = r#"[{"playbackConfigurationArn":"arn:aws:mediatailor:us-west-2:000000000000:playbackConfiguration/a"}]"#;
    let create = format!(r#"{{"mediaTailorPlaybackConfigurations":{PLAYBACK}}}"#);
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreateAdConfiguration", &create, 200, &[":ad-configuration/", PLAYBACK, r#""postRollConfiguration":{"durationSeconds":15,"enabled":false}"#, r#""name":"""#], &[("a", "/adConfiguration/arn")]),
        ("CreateAdConfiguration", "{}", 400, &[VALIDATION, "CreateAdConfiguration.mediaTailorPlaybackConfigurations is a required attribute"], &[]),
        ("CreateAdConfiguration", r#"{"mediaTailorPlaybackConfigurations":[{},{},{},{"playbackConfigurationArn":"x"}]}"#, 400, &[VALIDATION, "2 validation errors", "less than or equal to 3", "'x' at 'mediaTailorPlaybackConfigurations.4.member.playbackConfigurationArn'"], &[]),
        ("CreateAdConfiguration", r#"{"mediaTailorPlaybackConfigurations":[{}],"postRollConfiguration":{"enabled":true}}"#, 400, &[VALIDATION, "postRollConfiguration.durationSeconds is a required attribute"], &[]),
        ("UpdateAdConfiguration", r#"{"arn":"<a>","name":"n","postRollConfiguration":{"enabled":true,"durationSeconds":300}}"#, 200, &[PLAYBACK, r#""name":"n""#, r#"{"durationSeconds":300,"enabled":true}"#], &[]),
        ("GetAdConfiguration", r#"{"arn":"<a>"}"#, 200, &[r#""name":"n""#], &[]),
        ("ListAdConfigurations", "{}", 200, &["<a>", r#""postRollConfiguration""#], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<demo>","durationSeconds":30}"#, 409, &[CONFLICT, "no ad configuration"], &[]),
        ("CreateChannel", r#"{"adConfigurationArn":"<a>"}"#, 200, &[r#""adConfigurationArn":"<a>""#], &[("channel", "/channel/arn")]),
        ("ListChannels", r#"{"filterByAdConfigurationArn":"<a>"}"#, 200, &["<channel>"], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":30}"#, 404, &["ChannelNotBroadcasting", "is not currently online"], &[]),
        ("POST /_local/channels/<channel>/stream", r#"{"state":"live"}"#, 200, &[], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":30}"#, 200, &[r#""targetStartAt":"2026-01-02T03:04:18Z""#], &[("break", "/adBreakId")]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":30,"adBreakId":"<break>"}"#, 409, &[CONFLICT, "<break>"], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":30,"adBreakId":"abcdefghij12","targetStartAt":"2026-01-02T04:05:00.5+01:00"}"#, 200, &[r#"{"adBreakId":"abcdefghij12","targetStartAt":"2026-01-02T03:05:00Z"}"#], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":301,"adBreakId":"a"}"#, 400, &[VALIDATION, "2 validation errors"], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<channel>","durationSeconds":1,"targetStartAt":"soon"}"#, 400, &[SERIALIZATION, "a Timestamp"], &[]),
        ("InsertAdBreak", r#"{"channelArn":"<demo>x","durationSeconds":1}"#, 404, &[NOT_FOUND], &[]),
        ("DeleteAdConfiguration", r#"{"arn":"<a>"}"#, 409, &[CONFLICT, "<channel>"], &[]),
        ("StopStream", r#"{"channelArn":"<channel>"}"#, 200, &["{}"], &[]),
        ("UpdateChannel", r#"{"arn":"<channel>","adConfigurationArn":""}"#, 200, &[], &[]),
        ("DeleteAdConfiguration", r#"{"arn":"<a>"}"#, 204, &[], &[]),
        ("GetAdConfiguration", r#"{"arn":"<a>"}"#, 404, &[NOT_FOUND], &[]),
    ];
    let (_, names) = run(Options::default(), steps).await;
    assert_eq!(names["break"].len(), 12);
}

#[tokio::test]
async fn failover_slate_configurations() {
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("CreateFailoverSlateConfiguration", "", 200, &[r#""activationThresholdSeconds":3"#, r#""minSlateDisplaySeconds":3"#, r#""maxSlateDisplaySeconds":60"#, r#""state":"CREATING""#], &[("a", "/failoverSlateConfiguration/arn")]),
        ("CreateFailoverSlateConfiguration", r#"{"activationThresholdSeconds":6,"minSlateDisplaySeconds":2,"maxSlateDisplaySeconds":181}"#, 400, &[VALIDATION, "3 validation errors"], &[]),
        ("GetFailoverSlateConfiguration", r#"{"arn":"<a>"}"#, 200, &[r#""state":"CREATED""#], &[]),
        ("UpdateFailoverSlateConfiguration", r#"{"arn":"<a>","name":"n","maxSlateDisplaySeconds":180}"#, 200, &[r#""state":"UPDATING""#, r#""maxSlateDisplaySeconds":180"#, r#""minSlateDisplaySeconds":3"#], &[]),
        ("ListFailoverSlateConfigurations", "{}", 200, &["<a>", r#""state":"CREATED""#, r#""name":"n""#], &[]),
        ("CreateChannel", r#"{"failoverSlateConfigurationArn":"<a>"}"#, 200, &["<a>"], &[("channel", "/channel/arn")]),
        ("POST /_local/channels/<channel>/stream", r#"{"state":"live"}"#, 200, &[], &[]),
        ("GetStreamSession", r#"{"channelArn":"<channel>"}"#, 200, &[r#""failoverSlateConfiguration":{"#, r#""maxSlateDisplaySeconds":180"#], &[]),
        ("DeleteFailoverSlateConfiguration", r#"{"arn":"<a>"}"#, 409, &[CONFLICT, "<channel>"], &[]),
        ("UpdateFailoverSlateConfiguration", r#"{"arn":"<a>","maxSlateDisplaySeconds":90}"#, 200, &[], &[]),
        // A session keeps what it began with.
        ("GetStreamSession", r#"{"channelArn":"<channel>"}"#, 200, &[r#""maxSlateDisplaySeconds":180"#], &[]),
        ("POST /_local/resources/<a>", r#"{"state":"CREATE_FAILED"}"#, 200, &["<a>"], &[]),
        ("GetFailoverSlateConfiguration", r#"{"arn":"<a>"}"#, 200, &[r#""state":"CREATE_FAILED""#], &[]),
        ("POST /_local/resources/<a>x", r#"{"state":"CREATE_FAILED"}"#, 404, &["no <a>x"], &[]),
        ("POST /_local/resources/<channel>", r#"{"state":"CREATE_FAILED"}"#, 400, &["have states"], &[]),
        ("POST /_local/resources/<a>", r#"{"state":"GONE"}"#, 400, &["state must be one of CREATE_FAILED"], &[]),
        ("CreateFailoverSlateConfiguration", "", 200, &[], &[("b", "/failoverSlateConfiguration/arn")]),
    ];
    let (fixture, names) = run(Options::default(), steps).await;
    // While it is made, nothing can be done to it.
    let b = format!(r#"{{"arn":"{}"}}"#, names["b"]);
    for operation in ["Update", "Delete"] {
        let operation = format!("{operation}FailoverSlateConfiguration");
        let (status, code, text) = fixture.api(&operation, &b).await.error();
        assert_eq!((status, code.as_str()), (409, CONFLICT), "{text}");
        assert!(
            text.contains("is CREATING: wait until it is CREATED"),
            "{text}"
        );
    }
    fixture.clock.advance_us(500_000);
    let deleted = fixture.api("DeleteFailoverSlateConfiguration", &b).await;
    assert_eq!(deleted.status, 204);
}

#[tokio::test]
async fn viewer_sessions() {
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("StartViewerSessionRevocation", r#"{"channelArn":"<demo>","viewerId":"v"}"#, 200, &["{}"], &[]),
        ("StartViewerSessionRevocation", r#"{"channelArn":"<demo>","viewerId":"v","viewerSessionVersionsLessThanOrEqualTo":2147483647}"#, 200, &["{}"], &[]),
        ("StartViewerSessionRevocation", r#"{"channelArn":"<demo>","viewerId":"v","viewerSessionVersionsLessThanOrEqualTo":-1}"#, 400, &[VALIDATION, "Value '-1'"], &[]),
        ("StartViewerSessionRevocation", r#"{"channelArn":"<demo>x","viewerId":"v"}"#, 404, &[NOT_FOUND], &[]),
        ("StartViewerSessionRevocation", r#"{"channelArn":"<demo>"}"#, 400, &[VALIDATION, "StartViewerSessionRevocation.viewerId is a required attribute"], &[]),
        ("BatchStartViewerSessionRevocation", r#"{"viewerSessions":[{"channelArn":"<demo>","viewerId":"w"},{"channelArn":"<demo>x","viewerId":"x"}]}"#, 200, &[r#"{"errors":[{"channelArn":"<demo>x","code":"ResourceNotFoundException","message":"Resource: <demo>x not found","viewerId":"x"}]}"#], &[]),
        ("BatchStartViewerSessionRevocation", r#"{"viewerSessions":[]}"#, 400, &[VALIDATION, "viewerSessions"], &[]),
        ("BatchStartViewerSessionRevocation", r#"{"viewerSessions":[{"channelArn":"<demo>","viewerId":""},{"viewerId":"x"}]}"#, 400, &[VALIDATION, "2 validation errors", "'viewerSessions.1.member.viewerId'", "viewerSessions.2.member.channelArn is a required attribute"], &[]),
        ("GET /_local/channels/<demo>/revocations", "", 200, &[r#"{"revocations":[{"versions_up_to":2147483647,"viewer_id":"v"},{"versions_up_to":0,"viewer_id":"w"}]}"#], &[]),
        ("GET /_local/channels/<demo>x/revocations", "", 404, &["no channel"], &[]),
    ];
    run(Options::default(), steps).await;
}

#[tokio::test]
async fn tags() {
    let many = |range: std::ops::Range<usize>| {
        let tags: Vec<String> = range.map(|n| format!(r#""k{n}":"""#)).collect();
        format!(r#"{{"tags":{{{}}}}}"#, tags.join(","))
    };
    let (fifty, one_more, too_many) = (many(0..50), many(50..51), many(0..51));
    let key_128 = format!(
        r#"{{"tags":{{"{}":"{}"}}}}"#,
        "é".repeat(128),
        "v".repeat(256)
    );
    let key_129 = format!(r#"{{"tags":{{"{}":""}}}}"#, "é".repeat(129));
    let value_257 = format!(r#"{{"tags":{{"k":"{}"}}}}"#, "v".repeat(257));
    let keys_51 = format!(
        "DELETE /tags/<path>?{}",
        (0..51)
            .map(|n| format!("tagKeys=k{n}"))
            .collect::<Vec<_>>()
            .join("&")
    );
    let keys_50 = format!(
        "DELETE /tags/<path>?{}",
        (0..50)
            .map(|n| format!("tagKeys=k{n}"))
            .collect::<Vec<_>>()
            .join("&")
    );
    #[rustfmt::skip]
    let steps: &[Step] = &[
        ("GET /tags/<path>", "", 200, &[r#"{"tags":{}}"#], &[]),
        ("POST /tags/<path>", r#"{"tags":{"a b":"1","c/d":"2","ü":""}}"#, 200, &["{}"], &[]),
        ("POST /tags/<path>", r#"{"tags":{"a b":"3"}}"#, 200, &["{}"], &[]),
        ("GET /tags/<path>", "", 200, &[r#"{"tags":{"a b":"3","c/d":"2","ü":""}}"#], &[]),
        ("GET /tags/<demo>", "", 200, &["a b"], &[]),
        ("GetChannel", r#"{"arn":"<demo>"}"#, 200, &[r#""a b":"3""#], &[]),
        ("DELETE /tags/<path>?tagKeys=a%20b&tagKeys=%C3%BC&tagKeys=none", "", 200, &["{}"], &[]),
        ("GET /tags/<path>", "", 200, &[r#"{"tags":{"c/d":"2"}}"#], &[]),
        ("DELETE /tags/<path>?tagKeys=c%2Fd", "", 200, &["{}"], &[]),
        ("DELETE /tags/<path>", "", 400, &[VALIDATION, "UntagResource.tagKeys is a required attribute"], &[]),
        ("DELETE /tags/<path>?tagKeys=", "", 400, &[VALIDATION, "Member must satisfy constraint: ["], &[]),
        ("DELETE /tags/<path>?tagKeys=aws:a", "", 400, &[VALIDATION, "aws:"], &[]),
        (&keys_51, "", 400, &[VALIDATION, "50"], &[]),
        ("POST /tags/<path>", "{}", 400, &[VALIDATION, "TagResource.tags is a required attribute"], &[]),
        ("POST /tags/<path>", r#"{"tags":{"k":1}}"#, 400, &[SERIALIZATION], &[]),
        ("POST /tags/<path>", r#"{"tags":[]}"#, 400, &[SERIALIZATION], &[]),
        ("POST /tags/<path>", r#"{"tags":{"a*":""}}"#, 400, &[VALIDATION, "Map keys"], &[]),
        ("POST /tags/<path>", r#"{"tags":{"Aws:a":""}}"#, 400, &[VALIDATION, "aws:"], &[]),
        ("POST /tags/<path>", &key_129, 400, &[VALIDATION, "Map keys"], &[]),
        ("POST /tags/<path>", &value_257, 400, &[VALIDATION, "Map value"], &[]),
        ("POST /tags/<path>", &too_many, 400, &[VALIDATION, "50"], &[]),
        ("POST /tags/<path>", &fifty, 200, &["{}"], &[]),
        ("POST /tags/<path>", &one_more, 400, &[VALIDATION, "at most 50"], &[]),
        (&keys_50, "", 200, &["{}"], &[]),
        ("POST /tags/<path>", &key_128, 200, &["{}"], &[]),
        ("POST /tags/<path>", r#"{"tags":{}}"#, 200, &["{}"], &[]),
        ("GET /tags/<path>x", "", 404, &[NOT_FOUND], &[]),
        ("GET /tags/arn%3Aaws%3Aivs%3Aus-west-2%3A000000000000%3Aplayback-restriction-policy%2Fa", "", 404, &[NOT_FOUND], &[]),
        ("GET /tags/arn%3Aaws%3Aivs%3Aus-west-2%3A111111111111%3Achannel%2Fa", "", 403, &["AccessDeniedException"], &[]),
        ("GET /tags/nonsense", "", 400, &[VALIDATION, "resourceArn"], &[]),
        ("GET /tags/%FF", "", 400, &[VALIDATION], &[]),
        ("PUT /tags/<path>", "", 404, &["UnknownOperationException"], &[]),
        ("CreateRecordingConfiguration", r#"{"destinationConfiguration":{"s3":{"bucketName":"abc"}}}"#, 200, &[], &[("rec", "/recordingConfiguration/arn")]),
        ("POST /tags/<rec>", r#"{"tags":{"k":"rec"}}"#, 200, &[], &[]),
        ("GetRecordingConfiguration", r#"{"arn":"<rec>"}"#, 200, &[r#"{"k":"rec"}"#], &[]),
        ("CreateChannel", "", 200, &[], &[("key", "/streamKey/arn")]),
        ("POST /tags/<key>", r#"{"tags":{"k":"key"}}"#, 200, &[], &[]),
        ("GetStreamKey", r#"{"arn":"<key>"}"#, 200, &[r#"{"k":"key"}"#], &[]),
    ];
    let fixture = Fixture::start(Options::default()).await;
    let path = DEMO_CHANNEL.replace(':', "%3A").replace('/', "%2F");
    let mut names = Names::from([("demo", DEMO_CHANNEL.to_owned()), ("path", path)]);
    check(&fixture, &mut names, steps).await;
}

/// Whatever is asked for, a body that is no structure, has a member twice or is no JSON is refused in
/// the same words, and none of them are the parser's.
#[tokio::test]
async fn one_reader_reads_all_inputs() {
    let fixture = Fixture::start(Options::default()).await;
    let tags = format!("/tags/{}", DEMO_CHANNEL.replace('/', "%2F"));
    let mut paths: Vec<String> = common::OPERATIONS
        .iter()
        .map(|name| format!("/{name}"))
        .collect();
    paths.push(tags);
    for path in &paths {
        for (body, part) in [
            ("[]", "START_ARRAY can not be converted to a structure"),
            (
                r#"["arn","text"]"#,
                "START_ARRAY can not be converted to a structure",
            ),
            (r#""x""#, "STRING_VALUE can not be converted to a structure"),
            ("null", "NULL can not be converted to a structure"),
            (r#"{"a":1,"a":1}"#, "The member 'a' is there more than once"),
            (
                r#"{"a":{"b":1,"b":1}}"#,
                "The member 'b' is there more than once",
            ),
            (
                r#"{"a":tru}"#,
                "The request body is not JSON: line 1, column 9",
            ),
        ] {
            let answer = fixture.call("POST", path, body, &Signer::default()).await;
            let (status, code, text) = answer.unwrap().error();
            assert_eq!(
                (status, &*code),
                (400, SERIALIZATION),
                "{path} {body}: {text}"
            );
            assert_eq!(text, part, "{path} {body}");
        }
    }
    let channel = format!(
        "/_local/channels/{}/stream",
        DEMO_CHANNEL.replace('/', "%2F")
    );
    for path in [
        "/_local/limits",
        "/_local/faults",
        "/_local/events",
        "/_local/ingest",
        &channel,
    ] {
        for (body, part) in [
            (r#"["live"]"#, "must be an object, not a"),
            (r#"{"a":1,"a":1}"#, "'a' is there twice"),
            (r#"{"a":tru}"#, "not JSON (line 1, column 9)"),
        ] {
            let answer = fixture.local("POST", path, body).await.unwrap();
            assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
            assert!(answer.body.contains(part), "{path} {body}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn keys_are_limited_to_operations() {
    let keys = "
        [[key]]
        access_key_id = 'reader'
        secret_access_key = 'x'
        account = '000000000000'
        operations = ['ivs:Get*', 'ivs:List*']
        [[key]]
        access_key_id = 'all'
        secret_access_key = 'x'
        account = '000000000000'
        operations = ['ivs:*']
        [[key]]
        access_key_id = 'tagger'
        secret_access_key = 'x'
        account = '000000000000'
        operations = ['ivs:TagResource', 'ivs:UntagResource']";
    let fixture = Fixture::start(Options {
        keys: Keys::from_toml(keys).unwrap(),
        ..Options::default()
    })
    .await;
    let demo = format!(r#"{{"arn":"{DEMO_CHANNEL}"}}"#);
    let stream = format!(r#"{{"channelArn":"{DEMO_CHANNEL}"}}"#);
    let tags = format!(
        "/tags/{}",
        DEMO_CHANNEL.replace(':', "%3A").replace('/', "%2F")
    );
    #[rustfmt::skip]
    let cases = [
        ("reader", "POST", "/GetChannel", &*demo, 200),
        ("reader", "POST", "/ListStreams", "", 200),
        ("reader", "GET", &*tags, "", 200),
        ("reader", "POST", &*tags, r#"{"tags":{"a":"b"}}"#, 403),
        ("reader", "POST", "/StopStream", &*stream, 403),
        ("reader", "POST", "/CreateChannel", "", 403),
        // Permission comes before the input.
        ("reader", "POST", "/CreateChannel", "[", 403),
        ("all", "POST", "/CreateChannel", "", 200),
        ("all", "POST", "/PutMetadata", "{}", 400),
        ("tagger", "POST", &*tags, r#"{"tags":{"a":"b"}}"#, 200),
        ("tagger", "DELETE", &*format!("{tags}?tagKeys=a"), "", 200),
        ("tagger", "GET", &*tags, "", 403),
        ("nobody", "POST", "/GetChannel", &*demo, 403),
    ];
    for (key, method, path, body, status) in cases {
        let signer = Signer {
            key,
            secret: "x",
            ..Signer::default()
        };
        let answer = fixture.call(method, path, body, &signer).await.unwrap();
        assert_eq!(answer.status, status, "{key} {method} {path}: {answer:?}");
        if status == 403 && key != "nobody" {
            let (_, code, message) = answer.error();
            assert_eq!(code, "AccessDeniedException");
            assert!(
                message.contains("is not authorized to perform: ivs:"),
                "{message}"
            );
        }
    }
}
