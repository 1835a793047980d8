//! `POST /PutMetadata`: the IVS API's own form, its errors included. AWS's clients speak to it
//! in `tests/interop`.

use serde_json::json;

use crate::support::emulator::EmulatorApi;
use crate::support::eventually;
use crate::support::http::{Response, check_problem, send};
use crate::support::process::{Gateway, arn, local};

fn put_bytes(gateway: &Gateway, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let answer = send(gateway.producers, "POST", "/PutMetadata", headers, body);
    assert!(!answer.header("x-amzn-requestid").is_empty(), "{answer:?}");
    answer
}

fn put(gateway: &Gateway, arn: &str, metadata: &str) -> Response {
    let body = json!({"channelArn": arn, "metadata": metadata}).to_string();
    put_bytes(
        gateway,
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

fn check_error(answer: &Response, status: u16, name: &str) {
    assert_eq!(
        (answer.status, answer.header("x-amzn-errortype")),
        (status, name),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let message = answer.json()["exceptionMessage"].as_str().map(str::len);
    assert!(message > Some(0), "{answer:?}");
}

#[test]
fn errors_in_the_apis_own_form() {
    let channels = [
        ("quiz", ""),
        ("full", "queue_max_events = 1\nttl_ms = 60000"),
        ("off", "offline = \"reject\"\nttl_ms = 60000"),
    ];
    let gateway = Gateway::start(&local("", &channels));
    let quiz = arn("quiz");
    let unlisted = arn("NobodyListed");
    let large = "x".repeat(1025);
    for (arn, metadata, status, name) in [
        (quiz.as_str(), "", 400, "ValidationException"),
        (&quiz, &large, 400, "ValidationException"),
        ("quiz", "x", 400, "ValidationException"),
        ("", "x", 400, "ValidationException"),
        (
            "arn:aws:ivs:us-west-2:000000000000:stream-key/abc",
            "x",
            400,
            "ValidationException",
        ),
        (&unlisted, "x", 404, "ResourceNotFoundException"),
    ] {
        check_error(&put(&gateway, arn, metadata), status, name);
    }
    for body in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"metadata":"x"}"#,
        &format!(r#"{{"channelArn":"{quiz}"}}"#),
        &format!(r#"{{"channelArn":"{quiz}","metadata":null}}"#),
        &format!(r#"{{"channelArn":"{quiz}","metadata":5}}"#),
        &format!(r#"{{"channelArn":"{quiz}","metadata":"\ud800"}}"#),
    ] {
        check_error(
            &put_bytes(&gateway, &[], body.as_bytes()),
            400,
            "ValidationException",
        );
    }
    check_error(
        &put_bytes(&gateway, &[], b"{\"metadata\":\"\xff\"}"),
        400,
        "ValidationException",
    );

    gateway.pause("full");
    assert_eq!(put(&gateway, &arn("full"), "first").status, 204);
    let answer = put(&gateway, &arn("full"), "second");
    check_error(&answer, 429, "ThrottlingException");
    check_told_when(&answer);

    gateway.emulator.stream(&arn("off"), "offline");
    let answer = eventually("it is known to be offline", || {
        let answer = put(&gateway, &arn("off"), "x");
        (answer.status != 204).then_some(answer)
    });
    check_error(&answer, 404, "ChannelNotBroadcasting");

    for (method, path) in [
        ("POST", "/GetChannel"),
        ("POST", "/ListStreams"),
        ("GET", "/tags/arn%3Aaws%3Aivs"),
    ] {
        let answer = send(gateway.producers, method, path, &[], b"{}");
        check_error(&answer, 404, "UnknownOperationException");
        assert!(!answer.header("x-amzn-requestid").is_empty());
    }
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(metrics.get(r#"cuegate_events_received_total{transport="put_metadata"}"#) > 17.0);
}

/// SDKs wait as long as `x-amz-retry-after` says, and other clients as `Retry-After` says.
fn check_told_when(answer: &Response) {
    let wait = |name: &str| answer.header(name).parse::<u64>();
    let (Ok(s), Ok(ms)) = (wait("retry-after"), wait("x-amz-retry-after")) else {
        panic!("{answer:?}");
    };
    assert!(ms > 0 && s == ms.div_ceil(1000), "{answer:?}");
}

/// Both reasons for a 503 are told as the API does, with how long to wait.
#[test]
fn overload_and_the_end_say_when_to_come_again() {
    let rest = "[limits]\nqueue_total_bytes = 1024";
    let mut gateway = Gateway::start(&local(rest, &[("full", "ttl_ms = 60000"), ("quiz", "")]));
    gateway.pause("full");
    for _ in 0..3 {
        put(&gateway, &arn("full"), &"x".repeat(500));
    }
    let answer = put(&gateway, &arn("quiz"), "x");
    check_error(&answer, 503, "ServiceUnavailable");
    check_told_when(&answer);
    let purged = gateway.request("DELETE", "/v1/channels/full/events?all=true");
    assert_eq!(purged.status, 200, "{purged:?}");
    // What is paused holds up the end, so that there is time to ask.
    assert_eq!(put(&gateway, &arn("full"), "x").status, 204);
    gateway.process.signal("TERM");
    let answer = eventually("it drains", || {
        let answer = put(&gateway, &arn("quiz"), "x");
        (answer.status != 204).then_some(answer)
    });
    assert!(answer.text().contains("shutting down"), "{answer:?}");
    check_error(&answer, 503, "ServiceUnavailable");
    check_told_when(&answer);
    gateway.process.kill();
}

/// A presigned URL has a token. Both doors say what they do not take, and not that none is there.
#[test]
fn presigned_requests_are_told_that_they_are_not_supported() {
    let key = r#"
[[api_key]]
name = "quiz-backend"
channels = ["*"]
scopes = ["publish"]
aws_access_key_id = "AKIDQUIZ"
aws_secret_env = "SECRET_OF_QUIZ"
"#;
    let environment = [("SECRET_OF_QUIZ", "the-secret-of-quiz")];
    let gateway = Gateway::start_with(&local(key, &[("quiz", "")]), &environment);
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDQUIZ%2F20261122%2Fus-west-2%2Fivs%2Faws4_request\
        &X-Amz-Date=20261122T200000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let body = json!({"channelArn": arn("quiz"), "metadata": "x"}).to_string();
    let json = [("content-type", "application/json")];
    for address in [gateway.producers, gateway.emulator.0] {
        for (path, name, text) in [
            (
                format!("/PutMetadata?{query}"),
                "IncompleteSignatureException",
                "Presigned requests are not supported",
            ),
            (
                "/PutMetadata".to_owned(),
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
        ] {
            let answer = send(address, "POST", &path, &json, body.as_bytes());
            let said = (answer.status, answer.header("x-amzn-errortype"));
            assert_eq!(said, (403, name), "{address}: {answer:?}");
            assert!(answer.text().contains(text), "{address}: {answer:?}");
        }
    }
}

#[test]
fn a_string_leaves_byte_for_byte_alone_in_its_payload() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000")]));
    let quiz = arn("quiz");
    let longest = "é".repeat(512);
    let strings = [
        "plain",
        "\"quoted\" \\ back / slash",
        "  spaces and\ttabs\r\nand lines\n",
        "😀 👩‍👩‍👧 \u{202e}\u{0}\u{1f}",
        r#"{"a": 1.0, "b": [1, 2]}"#,
        &longest,
    ];
    for text in strings {
        let answer = put(&gateway, &quiz, text);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{answer:?}");
    }
    gateway.drained("quiz");
    assert_eq!(gateway.taken("quiz"), strings);
}

#[test]
fn or_merged_as_the_channels_other_events() {
    let rest = "[put_metadata]\nenvelope = \"channel\"";
    let gateway = Gateway::start(&local(rest, &[("quiz", "")]));
    gateway.pause("quiz");
    assert_eq!(put(&gateway, &arn("quiz"), "a \"é\"").status, 204);
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.resume("quiz");
    gateway.drained("quiz");
    let payloads = gateway.taken("quiz");
    assert_eq!(
        crate::support::payloads::all_items(&payloads),
        r#"{"d":"a \"é\""},{"d":1}"#
    );
}

#[test]
fn a_retry_of_the_same_call_is_queued_once() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let body = json!({"channelArn": arn("quiz"), "metadata": "once"}).to_string();
    for (invocation, accepted) in [("2f3a", 1), ("2f3a", 1), ("9b1c", 2), ("2f3a", 2)] {
        let headers = [
            ("amz-sdk-invocation-id", invocation),
            ("amz-sdk-request", "attempt=2; max=3"),
        ];
        assert_eq!(put_bytes(&gateway, &headers, body.as_bytes()).status, 204);
        assert_eq!(
            gateway.status("quiz")["totals"]["accepted"],
            accepted,
            "{invocation}"
        );
    }
    // A client that gives every call the same id still says what it says.
    let body = json!({"channelArn": arn("quiz"), "metadata": "other"}).to_string();
    for accepted in [3, 3] {
        let headers = [("amz-sdk-invocation-id", "2f3a")];
        assert_eq!(put_bytes(&gateway, &headers, body.as_bytes()).status, 204);
        assert_eq!(gateway.status("quiz")["totals"]["accepted"], accepted);
    }
    gateway.drained("quiz");
    assert_eq!(gateway.taken("quiz"), ["once", "once", "other"]);
    gateway.scrape().check_books(true);
}

/// The gateway's own calls are what the emulator counts: nothing malformed, nothing unsigned.
#[test]
fn the_emulator_found_nothing_wrong_with_the_calls() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    for text in ["a", "é", "😀"] {
        assert_eq!(put(&gateway, &arn("quiz"), text).status, 204);
    }
    gateway.drained("quiz");
    let EmulatorApi(address) = gateway.emulator;
    let report = gateway.emulator.report();
    let all = &report["all"];
    assert_eq!(
        (&all["calls"], &all["delivered"]),
        (&json!(3), &json!(3)),
        "{address}: {report}"
    );
}

/// Players of a channel with compressed payloads would take these for the gateway's.
#[test]
fn texts_that_players_would_take_for_payloads() {
    let channels = [("quiz", ""), ("forms", "compress = \"deflate\"")];
    let gateway = Gateway::start(&local("", &channels));
    for text in ["~", "~0AA", r#"{"v":1,"n":1,"e":[{"d":1}]}"#] {
        assert_eq!(put(&gateway, &arn("quiz"), text).status, 204, "{text}");
        let refused = put(&gateway, &arn("forms"), text);
        check_error(&refused, 400, "ValidationException");
        let event = json!({"data": text, "envelope": "raw"}).to_string();
        let refused = gateway.post("/v1/channels/forms/events", &event);
        check_problem(&refused, 422, "invalid_event");
    }
    assert_eq!(put(&gateway, &arn("forms"), "as it is").status, 204);
    gateway.drained("forms");
    assert_eq!(gateway.taken("forms"), ["as it is"]);
}
