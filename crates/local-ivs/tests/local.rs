//! The emulator's own endpoints, and faults, from the outside.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, Signer, exchange, put_body, request};
use local_ivs::{DEMO_CHANNEL, Options};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEMO_ENCODED: &str = "arn%3Aaws%3Aivs%3Aus-west-2%3A000000000000%3Achannel%2Fdemo";

fn path(arn: &str, resource: &str) -> String {
    format!("/_local/channels/{arn}/{resource}")
}

async fn check(fixture: &Fixture, call: (&str, &str, &str), expected: (u16, &str)) {
    let (method, path, body) = call;
    let answer = fixture.local(method, path, body).await.unwrap();
    assert_eq!(answer.status, expected.0, "{call:?}: {}", answer.body);
    assert!(
        answer.body.contains(expected.1),
        "{call:?}: {}",
        answer.body
    );
}

#[tokio::test]
async fn endpoints_say_what_is_wrong() {
    let fixture = Fixture::start(Options::default()).await;
    let stream = path(DEMO_ENCODED, "stream");
    let metadata = path(DEMO_ENCODED, "metadata");
    let missing = path("arn:aws:ivs:us-west-2:1:channel/none", "metadata");
    let odd = path("demo", "stream");
    let other = path(DEMO_ENCODED, "other");
    let ticked = format!("{metadata}?after=x");
    let unknown = format!("{metadata}?before=1");
    let faults = "/_local/faults";
    #[rustfmt::skip]
    let cases = [
        (("GET", "/_local/", ""), (404, "/_local/report")),
        (("POST", "/_local/report", ""), (405, "takes GET")),
        (("PUT", "/_local/faults", ""), (405, "GET, POST, DELETE")),
        (("GET", &stream, ""), (405, "POST")),
        (("POST", &metadata, ""), (405, "GET")),
        (("GET", &other, ""), (404, "/metadata, /stream, /events, /revocations and /playback.m3u8")),
        (("GET", &missing, ""), (404, "no channel arn:aws:ivs:us-west-2:1:channel/none")),
        (("POST", &odd, r#"{"state":"live"}"#), (400, "'demo' is not a channel ARN")),
        (("POST", &stream, r#"{"state":"on"}"#), (400, "state must be one of live, offline")),
        (("POST", &stream, r#"{"state":"live","x":1}"#), (400, "no member 'x', only state")),
        (("POST", &stream, "live"), (400, "the body is not JSON (line 1, column 1)")),
        (("POST", &stream, r#"["live"]"#), (400, "the body must be an object, not an array")),
        (("POST", &stream, r#"{"state":"live","state":"offline"}"#), (400, "'state' is there twice")),
        (("POST", &stream, ""), (400, "state is missing")),
        (("GET", &ticked, ""), (400, "not 'x'")),
        (("GET", &unknown, ""), (400, "unknown parameter 'before=1'")),
        (("POST", "/_local/limits", r#"{"payload_max_bytes":0}"#), (400, "1 to 1024")),
        (("POST", "/_local/limits", r#"{"payload_max_bytes":1025}"#), (400, "1 to 1024")),
        (("POST", "/_local/limits", r"{}"), (400, "payload_max_bytes or operation_tps must be there")),
        (("POST", "/_local/limits", "[1024]"), (400, "the body must be an object")),
        (("POST", faults, r#"{"kind":"slow"}"#), (400, "rule 0: unknown kind 'slow'")),
        (("POST", faults, r#"[{"kind":"hang"},{"kind":"latency"}]"#), (400, "rule 1: kind latency needs")),
        (("POST", faults, r#"{"kind":"hang","chanel":"x"}"#), (400, "rule 0: there is no member 'chanel'")),
        (("POST", faults, r#"["hang"]"#), (400, "rule 0: the body must be an object, not a string")),
        (("POST", faults, r#"{"kind":"hang","probability":"1"}"#), (400, "probability must be a number, not a string")),
        (("POST", faults, r#"{"kind":"latency","latency":{}}"#), (400, "one of fixed_ms, uniform_ms and heavy_tail")),
        (("POST", faults, r#"{"kind":"latency","latency":{"heavy_tail":[1,0,1]}}"#), (400, "latency.heavy_tail must be an object")),
        (("POST", faults, r#"{"kind":"hang","channel":"x"}"#), (400, "not a channel ARN")),
        (("POST", faults, r#"{"kind":"hang","probability":1.5}"#), (400, "0 to 1, not 1.5")),
        (("POST", faults, r#"{"kind":"reset","when":"after"}"#), (400, "'when' is of kinds")),
        (("POST", faults, r#"{"kind":"reset","status":500}"#), (400, "of kinds error and cloudfront only")),
        (("POST", faults, r#"{"kind":"cloudfront","code":"X"}"#), (400, "of kind error only")),
        (("POST", faults, r#"{"kind":"cloudfront","status":200}"#), (400, "400 to 599")),
        (("POST", faults, r#"{"kind":"hang","latency":{"fixed_ms":1}}"#), (400, "of kind latency only")),
        (("POST", faults, r#"{"kind":"error"}"#), (400, "needs 'status'")),
        (("POST", faults, r#"{"kind":"error","status":204}"#), (400, "400 to 599")),
        (("POST", faults, r#"{"kind":"error","status":418}"#), (400, "needs a 'code'")),
        (("POST", faults, r#"{"kind":"error","status":500,"code":"a\r\nb"}"#), (400, "cannot be an error code")),
        (("POST", faults, r#"{"kind":"latency","latency":{"fixed_ms":60001}}"#), (400, "0 to 60000 ms")),
        (("POST", faults, r#"{"kind":"latency","latency":{"fixed_ms":-1}}"#), (400, "0 to 60000 ms")),
        (("POST", faults, r#"{"kind":"latency","latency":{"uniform_ms":[9,1]}}"#), (400, "[least, most]")),
        (("POST", faults, r#"{"kind":"latency","latency":{"heavy_tail":{"median_ms":1,"p_stall":2,"stall_ms":1}}}"#), (400, "p_stall")),
        (("GET", faults, ""), (200, r#"{"faults":[]}"#)),
    ];
    for (call, expected) in cases {
        check(&fixture, call, expected).await;
    }
    // Paths that only look like the emulator's own are the API's.
    let answer = fixture.local("GET", "/_locals", "").await.unwrap();
    assert_eq!(answer.error().1, "UnknownOperationException");
}

#[tokio::test]
async fn metadata_is_kept_in_order_with_its_time() {
    let fixture = Fixture::start(Options::default()).await;
    for text in ["one", "zwö\n", "\"three\""] {
        fixture.clock.advance_us(1_000_000);
        assert_eq!(fixture.put(DEMO_CHANNEL, text).await.unwrap().status, 204);
    }
    let second = common::START_US + 1_000_000;
    let all = serde_json::json!({
        "metadata": [
            { "seq": 1, "time_us": second, "metadata": "one" },
            { "seq": 2, "time_us": second + 1_000_000, "metadata": "zwö\n" },
            { "seq": 3, "time_us": second + 2_000_000, "metadata": "\"three\"" },
        ],
        "dropped_before": 1,
        "last_seq": 3,
    });
    for arn in [DEMO_CHANNEL, DEMO_ENCODED] {
        let answer = fixture
            .local("GET", &path(arn, "metadata"), "")
            .await
            .unwrap();
        assert_eq!(answer.json(), all, "{arn}");
    }
    for (after, left) in [("0", 3), ("2", 1), ("3", 0), ("18446744073709551615", 0)] {
        let path = format!("{}?after={after}", path(DEMO_ENCODED, "metadata"));
        let page = fixture.local("GET", &path, "").await.unwrap().json();
        assert_eq!(page["metadata"].as_array().unwrap().len(), left, "{after}");
        assert_eq!(page["last_seq"], 3);
    }
}

#[tokio::test]
async fn streams_start_and_end() {
    let fixture = Fixture::start(Options::default()).await;
    let arn = "arn:aws:ivs:us-west-2:000000000000:channel/new";
    let stream = path(arn, "stream");
    let live = (
        200,
        r#"{"arn":"arn:aws:ivs:us-west-2:000000000000:channel/new","state":"live"}"#,
    );
    assert_eq!(
        fixture.put(arn, "x").await.unwrap().error().1,
        "ResourceNotFoundException"
    );
    check(
        &fixture,
        ("POST", &stream, r#"{"state":"offline"}"#),
        (200, r#""state":"offline""#),
    )
    .await;
    assert_eq!(
        fixture.put(arn, "x").await.unwrap().error().1,
        "ChannelNotBroadcasting"
    );
    check(&fixture, ("POST", &stream, r#"{"state":"live"}"#), live).await;
    assert_eq!(fixture.put(arn, "x").await.unwrap().status, 204);
}

#[tokio::test]
async fn the_books_can_be_cleared_and_the_rate_cannot() {
    let fixture = Fixture::start(Options::default()).await;
    for _ in 0..6 {
        fixture.put(DEMO_CHANNEL, "x").await.unwrap();
    }
    for method in ["POST", "DELETE"] {
        check(&fixture, (method, "/_local/reset", ""), (204, "")).await;
    }
    assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 429);
    let report = fixture.report().await;
    assert_eq!(report["all"]["calls"], 1);
    assert_eq!(report["all"]["max_delivered_per_second"], 0);
    assert_eq!(report["channels"][DEMO_CHANNEL]["last_seq"], 5);
}

#[tokio::test]
async fn the_payload_limit_can_be_lowered() {
    let fixture = Fixture::start(Options::default()).await;
    assert_eq!(
        fixture
            .put(DEMO_CHANNEL, &"x".repeat(1024))
            .await
            .unwrap()
            .status,
        204
    );
    check(
        &fixture,
        ("POST", "/_local/limits", r#"{"payload_max_bytes":1000}"#),
        (204, ""),
    )
    .await;
    assert_eq!(
        fixture
            .put(DEMO_CHANNEL, &"x".repeat(1001))
            .await
            .unwrap()
            .status,
        400
    );
    assert_eq!(
        fixture
            .put(DEMO_CHANNEL, &"x".repeat(1000))
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(fixture.report().await["limits"]["payload_max_bytes"], 1000);
}

/// Reads from a stream of events until `until` has come.
async fn read_until(stream: &mut TcpStream, text: &mut String, until: &str) {
    let mut buffer = [0; 4096];
    while !text.contains(until) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "ended before {until:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let mut fixture = Fixture::start(Options::default()).await;
    for text in ["one", "two"] {
        fixture.put(DEMO_CHANNEL, text).await.unwrap();
    }
    let events = &[("accept", "text/event-stream"), ("last-event-id", "1")];
    let ask = request(
        fixture.addr,
        "GET",
        &path(DEMO_ENCODED, "metadata"),
        events,
        "",
    );
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, "\"two\"}\n\n").await;
    assert!(
        text.contains("content-type: text/event-stream\r\n"),
        "{text}"
    );
    assert!(!text.contains("\"one\""), "{text}");
    fixture.put(DEMO_CHANNEL, "three\r\ndata: x").await.unwrap();
    let third = format!(
        "id: 3\ndata: {{\"seq\":3,\"time_us\":{},\"metadata\":\"three\\r\\ndata: x\"}}\n\n",
        common::START_US
    );
    read_until(&mut stream, &mut text, &third).await;
    // A server that closes ends its streams.
    fixture.stop();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

async fn set_faults(fixture: &Fixture, rules: &str) -> serde_json::Value {
    let answer = fixture
        .local("POST", "/_local/faults", rules)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{rules}: {}", answer.body);
    answer.json()
}

#[tokio::test]
async fn faults_that_answer() {
    let throttled =
        format!("Operation: ivs:PutMetadata exceeded call rate: 5 for resource: {DEMO_CHANNEL}");
    // (rule, what the call gets, delivered after it)
    #[rustfmt::skip]
    let cases = [
        (r#"{"kind":"throttle"}"#, (429, "ThrottlingException", throttled.as_str()), 0),
        (r#"{"kind":"error","status":500}"#, (500, "InternalServerException", "An injected fault"), 0),
        (r#"{"kind":"error","status":503}"#, (503, "ServiceUnavailable", "An injected fault"), 0),
        (r#"{"kind":"error","status":503,"when":"after"}"#, (503, "ServiceUnavailable", "An injected fault"), 1),
        (r#"{"kind":"error","status":503,"code":"StreamUnavailable","message":"m"}"#, (503, "StreamUnavailable", "m"), 0),
        (r#"{"kind":"error","status":403,"message":"no"}"#, (403, "AccessDeniedException", "no"), 0),
        (r#"{"kind":"error","status":429,"bare":true}"#, (429, "", ""), 0),
        (r#"{"kind":"error","status":500,"probability":0}"#, (204, "", ""), 1),
        (r#"{"kind":"error","status":500,"channel":"arn:aws:ivs:us-west-2:1:channel/a"}"#, (204, "", ""), 1),
        (r#"[{"kind":"error","status":500},{"kind":"error","status":503}]"#, (500, "InternalServerException", "An injected fault"), 0),
    ];
    for (rule, (status, code, message), delivered) in cases {
        let fixture = Fixture::start(Options::default()).await;
        set_faults(&fixture, rule).await;
        let answer = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
        let expected = (status, code.to_owned(), message.to_owned());
        assert_eq!(answer.error(), expected, "{rule}");
        let report = fixture.report().await;
        assert_eq!(report["all"]["delivered"], delivered, "{rule}");
        assert_eq!(report["all"]["calls"], delivered, "{rule}");
        check(&fixture, ("DELETE", "/_local/faults", ""), (204, "")).await;
        assert_eq!(
            fixture.put(DEMO_CHANNEL, "x").await.unwrap().status,
            204,
            "{rule}"
        );
    }
}

#[tokio::test]
async fn faults_last_as_long_as_they_say() {
    let fixture = Fixture::start(Options::default()).await;
    set_faults(&fixture, r#"{"kind":"throttle","duration_ms":500}"#).await;
    fixture.clock.advance_us(499_999);
    assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 429);
    fixture.clock.advance_us(1);
    assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 204);
    check(
        &fixture,
        ("GET", "/_local/faults", ""),
        (200, r#"{"faults":[]}"#),
    )
    .await;
    assert_eq!(fixture.report().await["injected"]["throttle"], 1);
}

#[tokio::test]
async fn connections_are_reset_before_or_after_handling() {
    for (kind, delivered) in [("reset", 0), ("reply_lost", 1)] {
        let fixture = Fixture::start(Options::default()).await;
        set_faults(&fixture, &format!(r#"{{"kind":"{kind}"}}"#)).await;
        let error = fixture.put(DEMO_CHANNEL, "x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{kind}");
        let report = fixture.report().await;
        assert_eq!(report["all"]["delivered"], delivered, "{kind}");
        assert_eq!(report["injected"][kind], 1);
    }
}

/// The same seed gives the same faults, whatever happens on other channels.
#[tokio::test]
async fn a_seed_makes_faults_repeatable() {
    let mut runs = Vec::new();
    for others in [0, 3] {
        let fixture = Fixture::start(Options::default()).await;
        let rule = format!(
            r#"{{"kind":"error","status":500,"probability":0.5,"channel":"{DEMO_CHANNEL}","seed":42}}"#
        );
        let listed = set_faults(&fixture, &rule).await;
        assert_eq!(listed["faults"][0]["seed"], 42);
        let mut run = Vec::new();
        for _ in 0..32 {
            fixture.clock.advance_us(1_000_000);
            for _ in 0..others {
                let other = "arn:aws:ivs:us-west-2:000000000000:channel/other";
                fixture.put(other, "x").await.unwrap();
            }
            run.push(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status);
        }
        assert!(run.contains(&500) && run.contains(&204), "{run:?}");
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
}

/// On Tokio's paused clock, which jumps to the next timer when there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn latency_delays_both_ways_and_a_hang_ends() {
    let fixture = Fixture::start(Options::default()).await;
    for (when, latency) in [
        ("before", r#"{"fixed_ms":700}"#),
        ("after", r#"{"uniform_ms":[700,700]}"#),
        (
            "split",
            r#"{"heavy_tail":{"median_ms":1,"p_stall":1,"stall_ms":700}}"#,
        ),
    ] {
        set_faults(
            &fixture,
            &format!(r#"{{"kind":"latency","when":"{when}","latency":{latency}}}"#),
        )
        .await;
        let started = tokio::time::Instant::now();
        assert_eq!(fixture.put(DEMO_CHANNEL, "x").await.unwrap().status, 204);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(700), "{when}: {took:?}");
        assert!(took < Duration::from_millis(800), "{when}: {took:?}");
        fixture.local("DELETE", "/_local/faults", "").await.unwrap();
        fixture.clock.advance_us(1_000_000);
    }
    for (when, delivered) in [("before", 3), ("after", 4)] {
        set_faults(&fixture, &format!(r#"{{"kind":"hang","when":"{when}"}}"#)).await;
        let started = tokio::time::Instant::now();
        let error = fixture.put(DEMO_CHANNEL, "x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(started.elapsed() >= Duration::from_mins(1));
        assert_eq!(fixture.report().await["all"]["delivered"], delivered);
        fixture.local("DELETE", "/_local/faults", "").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_is_handled_though_its_client_gave_up() {
    let fixture = Fixture::start(Options::default()).await;
    set_faults(
        &fixture,
        r#"{"kind":"latency","when":"before","latency":{"fixed_ms":5000}}"#,
    )
    .await;
    let call = fixture.put(DEMO_CHANNEL, "x");
    assert!(
        tokio::time::timeout(Duration::from_secs(2), call)
            .await
            .is_err()
    );
    assert_eq!(fixture.report().await["all"]["delivered"], 0);
    tokio::time::sleep(Duration::from_millis(3_500)).await; // on the paused clock
    assert_eq!(fixture.report().await["all"]["delivered"], 1);
}

#[tokio::test]
async fn connections_are_kept_and_bodies_may_come_in_pieces() {
    let fixture = Fixture::start(Options::default()).await;
    let now = local_ivs::Clock::wall(&*fixture.clock);
    let signed = Signer::default()
        .signed(
            fixture.addr,
            now,
            "POST",
            "/PutMetadata",
            &put_body(DEMO_CHANNEL, "x"),
        )
        .replace("connection: close\r\n", "");
    let mut stream = TcpStream::connect(fixture.addr).await.unwrap();
    for _ in 0..3 {
        let (head, tail) = signed.split_at(signed.len() - 10);
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(tail.as_bytes()).await.unwrap();
        let mut text = String::new();
        read_until(&mut stream, &mut text, "\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 204 No Content\r\n"), "{text}");
        assert!(!text.contains("content-length"), "{text}");
    }
    let answer = exchange(fixture.addr, b"nonsense\r\n\r\n").await.unwrap();
    assert_eq!(answer.status, 400);
}

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// What a browser and its pages send, at an emulator of the name `ivs.test`.
#[tokio::test]
async fn pages_of_others_and_strange_names_are_refused() {
    let options = || Options {
        allow_hosts: vec!["ivs.test".to_owned()],
        ..Options::default()
    };
    let fixture = Fixture::start(options()).await;
    let own = fixture.addr.to_string();
    let port = fixture.addr.port();
    let (localhost, named) = (format!("localhost:{port}"), format!("IVS.test:{port}"));
    let of_page = format!("http://{own}");
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    let rebound = format!("evil.example:{port}");
    #[rustfmt::skip]
    let cases: [(&str, Headers<'_>, u16); 17] = [
        // Programs.
        (&own, &[], 200),
        (&localhost, &[], 200),
        ("[::1]", &[], 200),
        (&named, &[], 200),
        ("ivs.test", &[], 200),
        // Names that anybody could point here.
        (&rebound, &[], 421),
        (&rebound, &[("origin", "http://evil.example")], 421),
        ("10.1.2.3", &[], 421),
        ("ivs.test.evil.example", &[], 421),
        ("evil@127.0.0.1", &[], 421),
        ("a b", &[], 421),
        // Pages.
        (&own, &[("origin", &of_page)], 200),
        (&own, &[("sec-fetch-site", "none")], 200),
        (&own, &[("origin", "http://evil.example")], 403),
        (&own, &[("origin", &other_port)], 403),
        (&own, &[("origin", "null")], 403),
        (&own, &[("sec-fetch-site", "cross-site")], 403),
    ];
    let offline = r#"{"state":"offline"}"#;
    let stream = path(DEMO_ENCODED, "stream");
    for (host, headers, expected) in cases {
        fixture.state.set_live(DEMO_CHANNEL).unwrap();
        fixture.clock.advance_us(1_000_000);
        for (method, path, body) in [
            ("GET", "/_local/report", ""),
            ("POST", &*stream, offline),
            ("POST", "/_local/events", r#"{"url":"http://127.0.0.1:9/"}"#),
            ("DELETE", "/_local/events", ""),
        ] {
            let request = request(fixture.addr, method, path, headers, body);
            let request = request.replacen(&format!("host: {own}"), &format!("host: {host}"), 1);
            let answer = exchange(fixture.addr, request.as_bytes()).await.unwrap();
            let seen = if answer.status == 204 {
                200
            } else {
                answer.status
            };
            // hyper itself refuses some.
            let is_expected = seen == expected || (host == "a b" && seen == 400);
            assert!(
                is_expected,
                "{method} {path} {host} {headers:?}: {answer:?}"
            );
        }
        let live = fixture.put(DEMO_CHANNEL, "x").await.unwrap().status == 204;
        assert_eq!(live, expected != 200, "{host} {headers:?}");
    }
    // The API is signed, for whatever name: a wrong signature is all it says.
    let named = request(fixture.addr, "POST", "/ListStreams", &[], "{}");
    let named = named.replacen(&own, &rebound, 1);
    let answer = exchange(fixture.addr, named.as_bytes()).await.unwrap();
    assert_eq!(answer.error().1, "MissingAuthenticationTokenException");
}

/// What stands before the API answers without its headers, and in HTML.
#[tokio::test]
async fn cloudfront_answers_by_itself() {
    let fixture = Fixture::start(Options::default()).await;
    for (rule, status) in [
        (r#"{"kind":"cloudfront"}"#, 503),
        (r#"{"kind":"cloudfront","status":429,"when":"after"}"#, 429),
    ] {
        let set = fixture.local("POST", "/_local/faults", rule).await.unwrap();
        assert_eq!(set.status, 200, "{set:?}");
        let answer = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("server"), "CloudFront");
        assert_eq!(answer.header("content-type"), "text/html");
        assert!(
            answer.body.contains(&format!("{status} ERROR")),
            "{answer:?}"
        );
        for (name, _) in &answer.headers {
            assert!(
                !name.starts_with("x-amzn-") && !name.starts_with("access-"),
                "{name}"
            );
        }
        fixture.local("DELETE", "/_local/faults", "").await.unwrap();
    }
    let report = fixture.report().await;
    assert_eq!(report["injected"]["cloudfront"], 2);
    // Only the second was handled.
    assert_eq!(report["all"]["delivered"], 1);
}

/// A page of any origin may call the API, and read what it answers.
#[tokio::test]
async fn browsers_may_call_the_api() {
    let fixture = Fixture::start(Options::default()).await;
    let asked = "authorization,content-type,x-amz-date,amz-sdk-request";
    let headers = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ];
    let preflight = request(fixture.addr, "OPTIONS", "/PutMetadata", &headers, "");
    let answer = exchange(fixture.addr, preflight.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-headers"), asked);
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let good = fixture.put(DEMO_CHANNEL, "x").await.unwrap();
    let wrong = fixture.put("x", "x").await.unwrap();
    for answer in [answer, good, wrong] {
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{answer:?}"
        );
        assert!(
            answer
                .header("access-control-expose-headers")
                .contains("x-amzn-errortype")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'self'"
        );
        assert!(
            answer
                .header("strict-transport-security")
                .starts_with("max-age=")
        );
        assert_eq!(answer.header("cache-control"), "no-store, no-cache");
    }
    // The emulator's own endpoints stay closed to them.
    let own = request(fixture.addr, "OPTIONS", "/_local/report", &headers, "");
    let answer = exchange(fixture.addr, own.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
