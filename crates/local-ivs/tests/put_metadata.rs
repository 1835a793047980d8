//! `PutMetadata` from the outside: every check in its order, both limits to the microsecond,
//! and the books.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::too_many_lines, reason = "tables of cases")]

mod common;

use common::{Fixture, Signer, put_body, request};
use local_ivs::{DEMO_CHANNEL, Keys, Measure, Options, Rates};

const OTHER: &str = "arn:aws:ivs:us-west-2:000000000000:channel/other";

/// Method, path and body.
type Call<'a> = (&'a str, &'a str, &'a str);
/// Status, code and a part of the message.
type Expected<'a> = (u16, &'a str, &'a str);

/// Sends one signed call and compares status, code and a part of the message.
async fn check(
    fixture: &Fixture,
    name: &str,
    call: Call<'_>,
    signer: &Signer,
    expected: Expected<'_>,
) {
    let (method, path, body) = call;
    let answer = fixture.call(method, path, body, signer).await.unwrap();
    let (status, code, message) = answer.error();
    assert_eq!(
        (status, code.as_str()),
        (expected.0, expected.1),
        "{name}: {message}"
    );
    assert!(message.contains(expected.2), "{name}: {message}");
    assert_eq!(answer.header("x-amzn-requestid").len(), 36, "{name}");
    if status == 204 {
        assert_eq!(answer.body, "", "{name}");
    }
}

#[tokio::test]
async fn calls_are_checked_like_the_real_ones() {
    let keys = "
        [[key]]
        access_key_id = 'test'
        secret_access_key = 'test'
        account = '000000000000'
        [[key]]
        access_key_id = 'reader'
        secret_access_key = 'x'
        account = '000000000000'
        operations = ['ivs:GetStream']
        [[key]]
        access_key_id = 'stranger'
        secret_access_key = 'x'
        account = '111111111111'
        operations = ['ivs:PutMetadata']";
    let fixture = Fixture::start(Options {
        keys: Keys::from_toml(keys).unwrap(),
        ..Options::default()
    })
    .await;
    fixture.state.set_offline(OTHER).unwrap();

    let usual = Signer::default();
    let with = |key: &'static str, secret: &'static str, region: &'static str| Signer {
        key,
        secret,
        region,
        ..usual.clone()
    };
    let put = "/PutMetadata";
    let good = put_body(DEMO_CHANNEL, "x");
    let most = put_body(DEMO_CHANNEL, &"é".repeat(512));
    let escaped = format!(
        r#"{{"channelArn":"{DEMO_CHANNEL}","metadata":"{}"}}"#,
        r"\u00e9".repeat(512)
    );
    let old_form = good.replace(":ivs:", ":svs:");
    let over = put_body(DEMO_CHANNEL, &("é".repeat(512) + "x"));
    let offline = put_body(OTHER, "x");
    let missing = put_body("arn:aws:ivs:us-west-2:000000000000:channel/none", "x");
    let long = put_body(
        &format!(
            "arn:aws:ivs:us-west-2:000000000000:channel/{}",
            "x".repeat(90)
        ),
        "x",
    );
    let offline_and_over = put_body(OTHER, &"x".repeat(1025));
    let no_metadata = format!(r#"{{"channelArn":"{DEMO_CHANNEL}"}}"#);
    let empty_metadata = put_body(DEMO_CHANNEL, "");
    let other_members = good.replace('{', r#"{"later":1,"#);
    let refused = 403;
    let validation = (400, "ValidationException");
    let serialization = "SerializationException";
    let array = format!(r#"["{DEMO_CHANNEL}","x"]"#);
    let twice = good.replace('{', r#"{"metadata":"y","#);
    #[rustfmt::skip]
    let cases: Vec<(&str, Call, Signer, Expected)> = vec![
        ("good", ("POST", put, &good), usual.clone(), (204, "", "")),
        ("1024 bytes", ("POST", put, &most), usual.clone(), (204, "", "")),
        ("1024 bytes, escaped", ("POST", put, &escaped), usual.clone(), (204, "", "")),
        ("1025 bytes", ("POST", put, &over), usual.clone(), (validation.0, validation.1, "Metadata size exceeds payload limit")),
        ("size before state", ("POST", put, &offline_and_over), usual.clone(), (validation.0, validation.1, "Metadata size")),
        ("offline", ("POST", put, &offline), usual.clone(), (404, "ChannelNotBroadcasting", "Channel: arn:aws:ivs:us-west-2:000000000000:channel/other is not currently online")),
        ("missing", ("POST", put, &missing), usual.clone(), (404, "ResourceNotFoundException", "channel/none not found")),
        ("another region's", ("POST", put, &good), with("test", "test", "eu-west-1"), (404, "ResourceNotFoundException", "not found")),
        ("not JSON", ("POST", put, "{"), usual.clone(), (400, serialization, "The request body is not JSON: line 1, column 1")),
        ("empty body", ("POST", put, ""), usual.clone(), (validation.0, validation.1, "2 validation errors detected: PutMetadata.channelArn is a required attribute; PutMetadata.metadata is a required attribute")),
        ("lone surrogate", ("POST", put, r#"{"metadata":"\ud800"}"#), usual.clone(), (400, serialization, "not JSON")),
        ("wrong type", ("POST", put, r#"{"channelArn":1}"#), usual.clone(), (400, serialization, "NUMBER_VALUE can not be converted to a String")),
        ("an array", ("POST", put, &array), usual.clone(), (400, serialization, "START_ARRAY can not be converted to a structure")),
        ("a member twice", ("POST", put, &twice), usual.clone(), (400, serialization, "The member 'metadata' is there more than once")),
        ("no ARN", ("POST", put, r#"{"metadata":"x"}"#), usual.clone(), (validation.0, validation.1, "PutMetadata.channelArn is a required attribute")),
        ("empty ARN", ("POST", put, r#"{"channelArn":"","metadata":"x"}"#), usual.clone(), (validation.0, validation.1, "length greater than or equal to 1")),
        ("bad ARN", ("POST", put, r#"{"channelArn":"demo","metadata":"x"}"#), usual.clone(), (validation.0, validation.1, "Value 'demo' at 'channelArn' failed to satisfy constraint: Member must satisfy regular expression pattern: ^arn:aws:ivs:")),
        ("an ARN of the old form", ("POST", put, &old_form), usual.clone(), (validation.0, validation.1, "regular expression")),
        ("long ARN", ("POST", put, &long), usual.clone(), (validation.0, validation.1, "less than or equal to 128")),
        ("no metadata", ("POST", put, &no_metadata), usual.clone(), (validation.0, validation.1, "PutMetadata.metadata is a required attribute")),
        ("empty metadata", ("POST", put, &empty_metadata), usual.clone(), (validation.0, validation.1, "Value '' at 'metadata'")),
        ("other members", ("POST", put, &other_members), usual.clone(), (204, "", "")),
        ("unknown key", ("POST", put, &good), with("nobody", "test", "us-west-2"), (refused, "UnrecognizedClientException", "security token")),
        ("wrong secret", ("POST", put, &good), with("test", "wrong", "us-west-2"), (refused, "InvalidSignatureException", "does not match")),
        ("wrong service", ("POST", put, &good), Signer { service: "s3", ..usual.clone() }, (refused, "InvalidSignatureException", "correct service: 'ivs'")),
        ("signature before input", ("POST", put, "{"), with("test", "wrong", "us-west-2"), (refused, "InvalidSignatureException", "does not match")),
        ("not allowed", ("POST", put, &good), with("reader", "x", "us-west-2"), (refused, "AccessDeniedException", "user/reader is not authorized to perform: ivs:PutMetadata on resource: arn:aws:ivs:us-west-2:000000000000:channel/demo")),
        ("another account's", ("POST", put, &good), with("stranger", "x", "us-west-2"), (refused, "AccessDeniedException", "arn:aws:iam::111111111111:user/stranger")),
        ("another operation", ("POST", "/CreateStage", "{}"), usual.clone(), (404, "UnknownOperationException", "POST /CreateStage is no operation of Amazon IVS low-latency streaming")),
        ("another method", ("GET", put, ""), usual.clone(), (404, "UnknownOperationException", "GET /PutMetadata")),
        ("the root", ("GET", "/", ""), usual.clone(), (404, "UnknownOperationException", "/_local/")),
    ];
    for (name, call, signer, expected) in cases {
        fixture.clock.advance_us(1_000_000);
        check(&fixture, name, call, &signer, expected).await;
    }

    let unsigned = request(fixture.addr, "POST", put, &[], &good);
    let answer = common::exchange(fixture.addr, unsigned.as_bytes())
        .await
        .unwrap();
    assert_eq!(answer.error().1, "MissingAuthenticationTokenException");
    let huge = request(fixture.addr, "POST", put, &[], &" ".repeat(64 * 1024 + 1));
    let answer = common::exchange(fixture.addr, huge.as_bytes())
        .await
        .unwrap();
    assert_eq!(answer.error().0, 413);

    let report = fixture.report().await;
    let all = &report["all"];
    let ends = [
        ("delivered", 4),
        ("throttled", 0),
        ("oversize", 3),
        ("malformed", 13),
        ("unauthenticated", 5),
        ("denied", 2),
        ("not_found", 2),
        ("not_broadcasting", 1),
    ];
    for (end, expected) in ends {
        assert_eq!(all[end], expected, "{end}: {all}");
    }
    assert_eq!(all["calls"], ends.iter().map(|(_, n)| n).sum::<i32>());
    assert_eq!(report["channels"][OTHER]["oversize"], 1);
    assert_eq!(report["channels"][OTHER]["not_broadcasting"], 1);
    assert_eq!(report["channels"][OTHER]["live"], false);
    assert_eq!(report["channels"][DEMO_CHANNEL]["last_seq"], 4);
}

#[tokio::test]
async fn a_signature_is_good_for_a_quarter_of_an_hour() {
    let fixture = Fixture::start(Options::default()).await;
    let signed = Signer::default().signed(
        fixture.addr,
        local_ivs::Clock::wall(&*fixture.clock),
        "POST",
        "/PutMetadata",
        &put_body(DEMO_CHANNEL, "x"),
    );
    for (minutes, expected) in [(0, 204), (15, 204), (1, 403)] {
        fixture.clock.advance_us(minutes * 60_000_000);
        let answer = common::exchange(fixture.addr, signed.as_bytes())
            .await
            .unwrap();
        assert_eq!(answer.status, expected, "{minutes}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_channel_has_five_calls_in_any_second() {
    let fixture = Fixture::start(Options::default()).await;
    let per_channel =
        format!("Operation: ivs:PutMetadata exceeded call rate: 5 for resource: {DEMO_CHANNEL}");
    // (microseconds to move on, taken?)
    let steps = [
        (0, true),
        (100_000, true),
        (0, true),
        (0, true),
        (0, true), // 0, 0.1 x 4
        (0, false),
        (0, false),
        (899_999, false), // 0.999999
        (1, true),        // 1.0: the first is a whole second ago
        (99_999, false),  // 1.099999
        (1, true),
        (0, true),
        (0, true),
        (0, true),
        (0, false), // 1.1
    ];
    for (index, (us, taken)) in steps.into_iter().enumerate() {
        fixture.clock.advance_us(us);
        let answer = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
        if taken {
            assert_eq!(answer.status, 204, "step {index}");
        } else {
            let expected = (429, "ThrottlingException".to_owned(), per_channel.clone());
            assert_eq!(answer.error(), expected, "step {index}");
        }
    }
    let report = fixture.report().await;
    let channel = &report["channels"][DEMO_CHANNEL];
    assert_eq!(channel["delivered"], 10);
    assert_eq!(channel["throttled"], 5);
    assert_eq!(channel["max_delivered_per_second"], 5);
    // In [0.1, 1.1): six at 0.1, and one each at 0.999999, 1.0 and 1.099999.
    assert_eq!(channel["max_calls_per_second"], 9);
}

#[tokio::test]
async fn an_account_has_155_calls_in_any_second() {
    let fixture = Fixture::start(Options::default()).await;
    let arn = |n: u32| format!("arn:aws:ivs:us-west-2:000000000000:channel/c{n}");
    for n in 0..40 {
        fixture.state.set_live(&arn(n)).unwrap();
    }
    for n in 0..155 {
        let answer = fixture.put(&arn(n % 31), "x").await.unwrap();
        assert_eq!(answer.status, 204, "call {n}: {}", answer.body);
    }
    let answer = fixture.put(&arn(39), "x").await.unwrap();
    let expected = "Operation: ivs:PutMetadata exceeded call rate: 155 for resource: arn:aws:ivs:us-west-2:000000000000";
    assert_eq!(answer.error().2, expected);
    // Both are over: the channel's is said.
    let answer = fixture.put(&arn(0), "x").await.unwrap();
    assert!(
        answer.error().2.contains("call rate: 5 for"),
        "{}",
        answer.body
    );
    // Channels that do not exist count too, and another region does not.
    let answer = fixture.put(&arn(99), "x").await.unwrap();
    assert_eq!(answer.status, 429);
    let elsewhere = "arn:aws:ivs:eu-west-1:000000000000:channel/a";
    fixture.state.set_live(elsewhere).unwrap();
    let signer = Signer {
        region: "eu-west-1",
        ..Signer::default()
    };
    let answer = fixture
        .call("POST", "/PutMetadata", &put_body(elsewhere, "x"), &signer)
        .await;
    assert_eq!(answer.unwrap().status, 204);

    fixture.clock.advance_us(999_999);
    assert_eq!(fixture.put(&arn(39), "x").await.unwrap().status, 429);
    fixture.clock.advance_us(1);
    assert_eq!(fixture.put(&arn(39), "x").await.unwrap().status, 204);

    let report = fixture.report().await;
    let home = &report["accounts"]["arn:aws:ivs:us-west-2:000000000000"];
    assert_eq!(home["max_delivered_per_second"], 155);
    assert_eq!(home["delivered"], 156);
    assert_eq!(home["throttled"], 4);
    assert_eq!(report["all"]["max_delivered_per_second"], 156);
    assert_eq!(report["channels"].as_object().unwrap().len(), 42);
}

#[tokio::test]
async fn throttling_comes_before_existence_and_refused_calls_take_nothing() {
    let fixture = Fixture::start(Options::default()).await;
    let ghost = "arn:aws:ivs:us-west-2:000000000000:channel/ghost";
    for n in 0..5 {
        assert_eq!(
            fixture.put(ghost, "x").await.unwrap().status,
            404,
            "call {n}"
        );
    }
    assert_eq!(fixture.put(ghost, "x").await.unwrap().status, 429);
    // Made now, it keeps the rate that was used up.
    fixture.state.set_live(ghost).unwrap();
    assert_eq!(fixture.put(ghost, "x").await.unwrap().status, 429);
    // Malformed and oversize calls cost nothing.
    for _ in 0..9 {
        assert_eq!(fixture.put(DEMO_CHANNEL, "").await.unwrap().status, 400);
        assert_eq!(
            fixture
                .put(DEMO_CHANNEL, &"x".repeat(1025))
                .await
                .unwrap()
                .status,
            400
        );
    }
    for n in 0..5 {
        assert_eq!(
            fixture.put(DEMO_CHANNEL, "x").await.unwrap().status,
            204,
            "call {n}"
        );
    }
}

#[tokio::test]
async fn the_other_measures_work_too() {
    for (measure, at_half_a_second, at_the_edge) in
        [(Measure::Bucket, 204, 204), (Measure::Fixed, 429, 204)]
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
        for _ in 0..5 {
            assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 204);
        }
        assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 429);
        fixture.clock.advance_us(500_000);
        let answer = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
        assert_eq!(answer.status, at_half_a_second, "{measure:?}");
        fixture.clock.advance_us(500_000);
        let answer = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
        assert_eq!(answer.status, at_the_edge, "{measure:?}");
    }
}

/// The SDKs of Python and JavaScript and the CLI show `message` of an error that is not in the
/// service model, and `exceptionMessage` of one that is.
#[tokio::test]
async fn errors_have_their_text_where_clients_look_for_it() {
    let fixture = Fixture::start(Options::default()).await;
    let wrong_secret = Signer {
        secret: "wrong",
        ..Signer::default()
    };
    let put = put_body(DEMO_CHANNEL, "x");
    let presigned = "/PutMetadata?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    #[rustfmt::skip]
    let cases = [
        (fixture.call("POST", "/PutMetadata", &put, &wrong_secret).await, "InvalidSignatureException", false),
        (fixture.call("POST", "/CreateStage", "{}", &Signer::default()).await, "UnknownOperationException", false),
        (fixture.local("POST", presigned, &put).await, "IncompleteSignatureException", false),
        (fixture.local("POST", "/PutMetadata", &put).await, "MissingAuthenticationTokenException", false),
        (fixture.call("POST", "/CreateChannel", "[]", &Signer::default()).await, "SerializationException", false),
        (fixture.call("POST", "/GetChannel", "{}", &Signer::default()).await, "ValidationException", true),
    ];
    for (answer, code, is_modelled) in cases {
        let answer = answer.unwrap();
        assert_eq!(answer.error().1, code);
        let body = answer.json();
        let text = body["exceptionMessage"].as_str().unwrap();
        assert!(!text.is_empty());
        if is_modelled {
            assert_eq!(body.as_object().unwrap().len(), 1, "{code}: {body}");
        } else {
            assert_eq!(body["message"], text, "{code}");
        }
        if code.starts_with("Incomplete") {
            assert!(
                text.starts_with("Presigned requests are not supported"),
                "{text}"
            );
        }
    }
}

/// A signer may add the hash of the body as a header after it has signed.
#[tokio::test]
async fn the_hash_of_the_body_need_not_be_signed() {
    let fixture = Fixture::start(Options::default()).await;
    let body = put_body(DEMO_CHANNEL, "x");
    let signed = Signer::default().signed(
        fixture.addr,
        local_ivs::Clock::wall(&*fixture.clock),
        "POST",
        "/PutMetadata",
        &body,
    );
    for (hash, header) in [("2d71", "x-amz-content-sha256"), ("2d71", "x-amz-other")] {
        let more = format!("\r\n{header}: {hash}\r\n\r\n{{");
        let request = signed.replacen("\r\n\r\n{", &more, 1);
        let answer = common::exchange(fixture.addr, request.as_bytes())
            .await
            .unwrap();
        let expected = if header == "x-amz-other" { 403 } else { 204 };
        assert_eq!(answer.status, expected, "{header}: {answer:?}");
    }
}
