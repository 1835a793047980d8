//! The whole way through the SDK, against a server on loopback that answers canned bytes.

mod server;
mod sockets;

use std::time::Duration;

use engine::{Outcome, Rejection, ThrottleScope};

use super::*;
use server::{Server, Step};

const ARN: &str = "arn:aws:ivs:us-west-2:000000000000:channel/demo";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const SECRET: &str = "a-secret-that-must-not-show";

fn options(url: String) -> UpstreamOptions {
    let mut options = UpstreamOptions::local(url, Duration::from_secs(20), Duration::from_secs(30));
    options.credentials = Credentials::fixed("AKIDEXAMPLE", SECRET);
    options
}

async fn call(upstream: &Upstream) -> Answer {
    upstream
        .put_metadata("000000000000", "us-west-2", ARN, "{\"score\":\"2–1\"}")
        .await
}

#[tokio::test]
async fn sends_what_it_was_given() {
    let server = Server::start(&[Step::Say(NO_CONTENT)]).await;
    let upstream = Upstream::new(options(server.url()));
    assert_eq!(call(&upstream).await, Answer::DELIVERED);
    assert_eq!(call(&upstream).await, Answer::DELIVERED);

    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    let (head, body) = seen[0].split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /PutMetadata HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("Credential=AKIDEXAMPLE/") && head.contains("/us-west-2/ivs/aws4_request"),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let expected = serde_json::json!({"channelArn": ARN, "metadata": "{\"score\":\"2–1\"}"});
    assert_eq!(body, expected);
    assert!(
        !format!("{upstream:?}").contains(SECRET),
        "a secret in Debug"
    );
}

/// A whole response: status, a header line or none, body.
fn say(status: u16, header: &str, body: &str) -> Step {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} x\r\n{header}content-length: {length}\r\n\r\n{body}");
    Step::Say(text.leak())
}

/// Plays `step`, calls once, and compares outcome, code, status and a part of the message.
async fn check(
    step: Step,
    outcome: Outcome,
    code: Option<&str>,
    status: Option<u16>,
    message: &str,
) {
    let server = Server::start(&[step]).await;
    let answer = call(&Upstream::new(options(server.url()))).await;
    assert_eq!(answer.outcome, outcome, "{step:?} {answer:?}");
    assert!(server.seen().len() <= 1, "{step:?}: called again");
    let Some(error) = answer.error else {
        return assert_eq!(outcome, Outcome::Delivered, "{step:?}");
    };
    assert_eq!(
        (error.code.as_deref(), error.status),
        (code, status),
        "{step:?}"
    );
    assert!(
        error.message.contains(message),
        "{step:?}: {}",
        error.message
    );
    assert!(error.message.chars().count() <= 400 && !error.message.contains('\n'));
}

#[tokio::test]
async fn reads_every_answer() {
    const ERROR: &str = "x-amzn-errortype";
    let throttled = Outcome::Throttled;
    let named = r#"{"exceptionMessage":"5 for resource: arn:aws:ivs:us-west-2:1:channel/a"}"#;
    let header = |code: &str| format!("{ERROR}: {code}\r\n");
    let step = say(429, &header("ThrottlingException"), named);
    let code = Some("ThrottlingException");
    check(
        step,
        throttled(ThrottleScope::Channel),
        code,
        Some(429),
        "5 for resource",
    )
    .await;

    // With such bodies the SDK itself finds no code.
    let step = say(404, &header("ChannelNotBroadcasting"), "");
    let nothing = "HTTP status 404 without a message";
    check(
        step,
        Outcome::Offline,
        Some("ChannelNotBroadcasting"),
        Some(404),
        nothing,
    )
    .await;
    let step = say(
        404,
        &header("ns#ResourceNotFoundException:http://x/"),
        "<html>",
    );
    let outcome = Outcome::Rejected(Rejection::NoSuchChannel);
    check(
        step,
        outcome,
        Some("ResourceNotFoundException"),
        Some(404),
        nothing,
    )
    .await;

    // As the layers in front of the API write it.
    let body = r#"{"__type":"x#UnrecognizedClientException","Message":"bad\ntoken"}"#;
    let code = Some("UnrecognizedClientException");
    check(
        say(403, "", body),
        Outcome::Failed,
        code,
        Some(403),
        "bad token",
    )
    .await;

    for (status, body, outcome) in [
        (429, "", throttled(ThrottleScope::Unnamed)),
        (404, "not found", Outcome::Failed),
        (503, "<html>", Outcome::Failed),
        (504, "<html>", Outcome::Unknown),
        (413, "{}", Outcome::TooLarge),
        (200, "<html>", Outcome::Delivered),
        (302, "", Outcome::Failed),
    ] {
        check(
            say(status, "", body),
            outcome,
            None,
            Some(status),
            "without a message",
        )
        .await;
    }
}

#[tokio::test]
async fn reads_what_is_left_of_an_answer() {
    let validation =
        "HTTP/1.1 400 x\r\nx-amzn-errortype: ValidationException\r\ncontent-length: 9\r\n\r\n{";
    let outcome = Outcome::Rejected(Rejection::Validation);
    let code = Some("ValidationException");
    check(Step::SayAndClose(validation), outcome, code, Some(400), "").await;
    let taken = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    check(
        Step::SayAndClose(taken),
        Outcome::Delivered,
        None,
        Some(200),
        "",
    )
    .await;

    for step in [
        Step::SayAndClose("HTTP/1.1 204 No Con"),
        Step::SayAndClose("nonsense\r\n\r\n"),
        Step::SayAndClose(""),
        Step::Reset,
        Step::ResetAtOnce,
    ] {
        check(step, Outcome::Unknown, None, None, "no answer").await;
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_is_never_tried_again_once_used() {
    let server = Server::start(&[Step::Say(NO_CONTENT), Step::Reset]).await;
    let upstream = Upstream::new(options(server.url()));
    assert_eq!(call(&upstream).await.outcome, Outcome::Delivered);
    assert_eq!(call(&upstream).await.outcome, Outcome::Unknown);
    assert_eq!(server.seen().len(), 2);
}

/// The server closes each connection with its answer, without saying so: whether the next call
/// notices in time is a race; both ends of it are honest.
#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_second_call() {
    const CALLS: usize = 50;
    let server = Server::start(&[Step::SayAndClose(NO_CONTENT)]).await;
    let upstream = Upstream::new(options(server.url()));
    let mut delivered = 0;
    for _ in 0..CALLS {
        match call(&upstream).await.outcome {
            Outcome::Delivered => delivered += 1,
            Outcome::Unknown => {}
            other => panic!("{other:?}"),
        }
    }
    let seen = server.seen().len();
    assert!(
        delivered <= seen && seen <= CALLS,
        "{delivered} delivered, {seen} seen"
    );
    assert!(delivered >= CALLS / 2, "{delivered} delivered");
}

#[tokio::test]
async fn no_connection_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let refused = call(&Upstream::new(options(format!("http://{address}")))).await;
    assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
    assert!(!refused.account_trouble);

    // TLS that cannot be agreed on is no connection either.
    let server = Server::start(&[Step::ResetAtOnce]).await;
    let refused = call(&Upstream::new(options(format!(
        "https://{}",
        server.address
    ))))
    .await;
    assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
}

/// The clock stands still from the moment the server hangs: the runtime then moves it to the
/// next timer by itself, which is the time-out.
async fn hangs(step: Step, scheme: &str) -> (Answer, Duration) {
    let server = Server::start(&[step]).await;
    let upstream = Upstream::new(options(format!("{scheme}://{}", server.address)));
    let freeze = async {
        server.hanging.notified().await;
        tokio::time::pause();
        tokio::time::Instant::now()
    };
    let (answer, frozen) = tokio::join!(call(&upstream), freeze);
    (answer, frozen.elapsed())
}

#[tokio::test]
async fn ends_a_call_that_hangs() {
    let (answer, took) = hangs(Step::Hang, "http").await;
    assert_eq!(answer.outcome, Outcome::Unknown, "{answer:?}");
    assert!(
        took > Duration::from_secs(45) && took < Duration::from_secs(51),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_hangs_is_no_connection() {
    let (answer, took) = hangs(Step::HangAtOnce, "https").await;
    assert_eq!(answer.outcome, Outcome::Refused, "{answer:?}");
    assert!(
        took > Duration::from_secs(14) && took < Duration::from_secs(16),
        "{took:?}"
    );
}

const ASSUMED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
    <AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

const DENIED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
    <ErrorResponse><Error><Code>AccessDenied</Code><Message>not your role</Message></Error>\
    </ErrorResponse>";

/// Assumes a role at `sts`, and calls at `ivs`.
async fn with_role(sts: &Server, ivs: &Server) -> Upstream {
    let mut options = options(ivs.url());
    options.accounts.push(AccountOptions {
        account: "000000000000".to_owned(),
        region: "us-west-2".to_owned(),
        role_arn: Some("arn:aws:iam::000000000000:role/cues".to_owned()),
        external_id: Some("ext-1".to_owned()),
        endpoint_url: None,
        credentials: None,
    });
    let base = client::base(&options, "us-west-2").await;
    let base = base.into_builder().endpoint_url(sts.url()).build();
    let upstream = Upstream::new(options);
    upstream.base.set(base).expect("empty");
    upstream
}

#[tokio::test]
async fn assumes_a_role_once() {
    let sts = Server::start(&[Step::SayAndClose(ASSUMED)]).await;
    let ivs = Server::start(&[Step::Say(NO_CONTENT)]).await;
    let upstream = with_role(&sts, &ivs).await;
    for _ in 0..3 {
        assert_eq!(call(&upstream).await, Answer::DELIVERED);
    }
    // Another account goes with the credentials as they are.
    let other = upstream
        .put_metadata("111111111111", "us-west-2", ARN, "x")
        .await;
    assert_eq!(other, Answer::DELIVERED);

    let asked = sts.seen();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("Action=AssumeRole") && asked[0].contains("ExternalId=ext-1"),
        "{asked:?}"
    );
    let calls = ivs.seen();
    assert!(
        calls[..3]
            .iter()
            .all(|call| call.contains("Credential=ASIAROLE/")),
        "{calls:?}"
    );
    assert!(calls[3].contains("Credential=AKIDEXAMPLE/"), "{calls:?}");
    assert!(
        !format!("{upstream:?}").contains("role-secret"),
        "a secret in Debug"
    );
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let sts = Server::start(&[Step::SayAndClose(DENIED)]).await;
    let ivs = Server::start(&[Step::Say(NO_CONTENT)]).await;
    let upstream = with_role(&sts, &ivs).await;
    let answer = call(&upstream).await;
    assert_eq!(
        (answer.outcome, answer.account_trouble),
        (Outcome::Failed, true),
        "{answer:?}"
    );
    let message = answer.error.expect("a reason").message;
    assert!(
        message.contains("not sent") && message.contains("AccessDenied"),
        "{message}"
    );
    assert_eq!(ivs.seen().len(), 0);

    let error = upstream
        .check_credentials("000000000000", "us-west-2")
        .await
        .expect_err("denied");
    assert!(error.message.contains("AccessDenied"), "{error:?}");
    upstream
        .check_credentials("111111111111", "us-west-2")
        .await
        .expect("fixed ones");
}

#[tokio::test]
async fn nothing_is_sent_after_it_was_given_up() {
    let server = Server::start(&[Step::Say(NO_CONTENT)]).await;
    let mut options = options(server.url());
    options.call_timeout = Duration::ZERO;
    let answer = call(&Upstream::new(options)).await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
    assert!(
        answer
            .error
            .expect("a reason")
            .message
            .contains("took longer")
    );
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn clients_are_bounded() {
    let upstream = Upstream::new(options("http://127.0.0.1:1".to_owned()));
    for n in 0..CLIENTS_MAX {
        assert!(upstream.cell("000000000000", &format!("r-{n}")).is_some());
    }
    assert!(
        upstream.cell("111111111111", "r-0").is_some(),
        "unlisted accounts share a client"
    );
    let answer = upstream
        .put_metadata("000000000000", "one-more", ARN, "x")
        .await;
    assert_eq!(
        (answer.outcome, answer.account_trouble),
        (Outcome::Failed, true)
    );
}
