//! Arbitrary requests, signed and unsigned: no panic, and no 5xx without a fault. A failing
//! case is printed with its seed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, Signer, exchange};
use local_ivs::{Clock, DEMO_CHANNEL, Options};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What one server makes of one request after another.
fn check(runtime: &Runtime, fixture: &Fixture, request: &[u8]) -> Result<(), TestCaseError> {
    runtime.block_on(async {
        // A server may close on what is no HTTP; it may not answer with a 5xx, nor die.
        if let Ok(answer) = exchange(fixture.addr, request).await {
            prop_assert!((200..500).contains(&answer.status), "{answer:?}");
        }
        let alive = fixture.local("GET", "/_local/report", "").await;
        prop_assert_eq!(alive.unwrap().status, 200);
        Ok(())
    })
}

fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/PutMetadata".to_owned()),
        Just("/_local/report".to_owned()),
        Just("/_local/reset".to_owned()),
        Just("/_local/limits".to_owned()),
        Just("/_local/faults".to_owned()),
        Just("/_local/ingest".to_owned()),
        "/_local/channels/[!-~]{0,30}/(metadata|stream)(\\?after=[0-9a-z%]{0,22})?",
        "/_local/channels/arn:aws:ivs:[a-z]{1,3}:[0-9]{1,3}:channel/[a-z%]{1,3}/(metadata|stream)",
        "/[!-~]{0,60}",
        "[ -~]{0,20}",
    ]
}

/// A call of any operation: every member of the service model, right or nearly so.
fn operations() -> impl Strategy<Value = (&'static str, String, String)> {
    let names = prop::sample::select(common::OPERATIONS);
    let by_name = (names, members()).prop_map(|(name, body)| ("POST", format!("/{name}"), body));
    let tagged = (
        prop::sample::select(vec!["GET", "POST", "DELETE", "PUT"]),
        prop_oneof![
            Just(DEMO_CHANNEL.replace(':', "%3A").replace('/', "%2F")),
            Just(DEMO_CHANNEL.to_owned()),
            "[a-zA-Z0-9:/%.-]{0,60}",
        ],
        "(\\?(tagKeys=[a-zA-Z0-9%+:]{0,6}&?){0,4}|)",
        members(),
    )
        .prop_map(|(method, arn, query, body)| (method, format!("/tags/{arn}{query}"), body));
    prop_oneof![4 => by_name, 1 => tagged]
}

/// A JSON object of members of the API with values of every kind.
fn members() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "arn",
        "arns",
        "channelArn",
        "name",
        "type",
        "latencyMode",
        "authorized",
        "preset",
        "recordingConfigurationArn",
        "tags",
        "insecureIngest",
        "multitrackInputConfiguration",
        "containerFormat",
        "playbackRestrictionPolicyArn",
        "filterByName",
        "filterBy",
        "maxResults",
        "nextToken",
        "streamId",
        "metadata",
        "publicKeyMaterial",
        "destinationConfiguration",
        "thumbnailConfiguration",
        "renditionConfiguration",
        "recordingReconnectWindowSeconds",
        "filterByRecordingConfigurationArn",
        "viewerId",
        "viewerSessions",
        "viewerSessionVersionsLessThanOrEqualTo",
        "allowedCountries",
        "allowedOrigins",
        "enableStrictOriginEnforcement",
        "mediaTailorPlaybackConfigurations",
        "postRollConfiguration",
        "durationSeconds",
        "adBreakId",
        "targetStartAt",
        "activationThresholdSeconds",
        "minSlateDisplaySeconds",
        "maxSlateDisplaySeconds",
    ]);
    let kind =
        "(channel|stream-key|playback-key|recording-configuration|ad-configuration|[a-z-]{1,9})";
    let arn = format!("arn:aws:ivs:us-west-2:(0{{12}}|1{{12}}):{kind}/(demo|[a-zA-Z0-9-]{{1,12}})");
    let text = prop_oneof![
        Just(DEMO_CHANNEL.to_owned()),
        proptest::string::string_regex(&arn).unwrap(),
        "(DE|US|https://example.com|STANDARD|BASIC|ADVANCED_HD|LOW|NORMAL|TS|FRAGMENTED_MP4|HEALTHY|ALLOW|FULL_HD)",
        "[a-zA-Z0-9_=-]{0,40}",
        ".{0,20}",
        Just("x".repeat(1_100)),
        "-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\n]{0,170}-----END PUBLIC KEY-----",
    ]
    .prop_map(serde_json::Value::from);
    let leaf = prop_oneof![
        5 => text,
        1 => any::<i64>().prop_map(serde_json::Value::from),
        1 => (0_i64..120).prop_map(serde_json::Value::from),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        1 => any::<f32>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
    ];
    let inner = prop::sample::select(vec![
        "s3",
        "bucketName",
        "health",
        "enabled",
        "policy",
        "maximumResolution",
        "storage",
        "recordingMode",
        "targetIntervalSeconds",
        "renditionSelection",
        "renditions",
        "channelArn",
        "viewerId",
        "playbackConfigurationArn",
        "durationSeconds",
        "k",
        "aws:k",
    ]);
    let value = leaf.prop_recursive(3, 60, 5, move |value| {
        prop_oneof![
            proptest::collection::vec(value.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((inner.clone(), value), 0..4).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect()
            }),
        ]
    });
    let object = proptest::collection::vec((name, value), 0..7).prop_map(|members| {
        let members = members.into_iter().map(|(k, v)| (k.to_owned(), v));
        serde_json::Value::Object(members.collect()).to_string()
    });
    prop_oneof![9 => object, 1 => bodies()]
}

fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,80}",
        "\\{\"channelArn\":\"[a-z:/0-9]{0,40}\",\"metadata\":\"[^\"\\\\]{0,40}\"\\}",
        Just(common::put_body(DEMO_CHANNEL, "x")),
        Just(r#"{"state":"live"}"#.to_owned()),
        "(\\[|\\{|\"|[0-9.eE+-]|:|,|\\}|\\]|null|true| ){0,30}",
        Just("[".repeat(50_000)),
    ]
}

#[test]
fn unsigned_requests_get_an_answer() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::start(Options::default()));
    proptest!(|(
        method in "(GET|POST|PUT|DELETE|HEAD|OPTIONS|[A-Z]{1,8})",
        path in paths(),
        headers in proptest::collection::vec(("[a-zA-Z-]{1,20}", "[ -~\u{e9}]{0,40}"), 0..6),
        authorization in proptest::option::of("AWS4-HMAC-SHA256 [ -~]{0,80}"),
        body in bodies(),
    )| {
        let authorization = authorization.map(|value| ("authorization".to_owned(), value));
        let mut headers: Vec<_> = headers.into_iter().chain(authorization).collect();
        // An event stream would not end by itself, and a switch of length is hyper's matter.
        headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-length"));
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let request = common::request(fixture.addr, &method, &path, &headers, &body);
        check(&runtime, &fixture, request.as_bytes())?;
    });
}

#[test]
fn signed_requests_get_an_answer() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::start(Options::default()));
    proptest!(|(
        path in prop_oneof![Just("/PutMetadata".to_owned()), "/[a-zA-Z/%.]{0,20}(\\?[a-z=&]{0,10})?"],
        region in prop_oneof![Just("us-west-2"), Just("x"), Just("é"), Just(" "), Just("..")],
        body in bodies(),
        step_us in 0_u64..400_000,
    )| {
        fixture.clock.advance_us(step_us);
        let signer = Signer { region, ..Signer::default() };
        let request = signer.signed(fixture.addr, fixture.clock.wall(), "POST", &path, &body);
        check(&runtime, &fixture, request.as_bytes())?;
    });
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::start(Options::default()));
    proptest!(|(
        start in "(|POST /PutMetadata HTTP/1.1\r\nhost: a\r\n)",
        bytes in proptest::collection::vec(any::<u8>(), 1..400),
    )| {
        // The end of the request, so that the server does not wait for more of it.
        let request = [start.as_bytes(), &bytes, b"\r\nconnection: close\r\n\r\n\r\n"].concat();
        let shut = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(fixture.addr).await.unwrap();
            let _ = stream.write_all(&request).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        };
        let answer = runtime.block_on(shut);
        prop_assert!(!answer.starts_with(b"HTTP/1.1 5"), "{:?}", String::from_utf8_lossy(&answer));
        check(&runtime, &fixture, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    });
}

/// Resources pile up from case to case, so that later ones meet them.
#[test]
fn every_operation_takes_anything() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::start(Options::default()));
    let config = ProptestConfig {
        cases: 1_000,
        ..ProptestConfig::default()
    };
    proptest!(config, |(
        (method, path, body) in operations(),
        step_us in 0_u64..400_000,
        is_signed in prop::bool::weighted(0.95),
    )| {
        fixture.clock.advance_us(step_us);
        let request = if is_signed && path.parse::<http::Uri>().is_ok() {
            Signer::default().signed(fixture.addr, fixture.clock.wall(), method, &path, &body)
        } else {
            common::request(fixture.addr, method, &path, &[], &body)
        };
        check(&runtime, &fixture, request.as_bytes())?;
    });
}
