//! `POST /PutMetadata` in the forms of the IVS API.

use super::*;
use crate::dispatch::Delivered;
use serde_json::json;

async fn put(stand: &Stand, arn: &str, metadata: &str, invocation: Option<&str>) -> Answer {
    let mut request = Request::post("/PutMetadata").header("content-type", "application/json");
    if let Some(id) = invocation {
        request = request.header("amz-sdk-invocation-id", id);
    }
    let body = json!({ "channelArn": arn, "metadata": metadata }).to_string();
    stand.ask(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_string_leaves_byte_for_byte_and_once() {
    let stand = Stand::new().await;
    let mut payloads = stand
        .gateway
        .payloads(&stand.gateway.channel("quiz").unwrap());
    for _ in 0..2 {
        let answer = put(&stand, QUIZ, "  {\"é\" : 1}\n", Some("b1e5-17")).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
        assert!(answer.headers.contains_key("x-amzn-requestid"));
    }
    put(&stand, QUIZ, "second", None).await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let delivered: Arc<Delivered> = payloads.recv().await.unwrap();
        texts.push(delivered.text.to_string());
    }
    assert_eq!(texts, ["  {\"é\" : 1}\n", "second"]);
    assert_eq!(stand.count("cuegate_events_duplicates_total"), 1);
    stand.check_books();
}

#[tokio::test]
async fn errors_in_the_apis_own_form() {
    let stand = Stand::new().await;
    stand.pause("small");
    for _ in 0..2 {
        assert_eq!(put(&stand, SMALL, "x", None).await.status, 204);
    }
    let unlisted = "arn:aws:ivs:us-west-2:000000000000:channel/other";
    let big = "é".repeat(513);
    for (arn, metadata, status, name) in [
        ("quiz", "x", 400, "ValidationException"),
        ("", "x", 400, "ValidationException"),
        (QUIZ, "", 400, "ValidationException"),
        (QUIZ, &big, 400, "ValidationException"),
        (unlisted, "x", 404, "ResourceNotFoundException"),
        (SMALL, "x", 429, "ThrottlingException"),
    ] {
        let answer = put(&stand, arn, metadata, None).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.headers["x-amzn-errortype"].to_str().unwrap()
            ),
            (status, name),
            "{arn} {metadata:.20}"
        );
        assert!(
            answer.json()["exceptionMessage"].is_string()
                && answer.headers.contains_key("x-amzn-requestid")
        );
        stand.check_books();
    }
    let answer = stand.send("POST", "/PutMetadata", None, "{").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["x-amzn-errortype"]),
        (400, &"ValidationException".parse().unwrap())
    );
    for path in ["/GetChannel", "/tags/arn%3Aaws%3Aivs"] {
        let answer = stand.send("POST", path, None, "{}").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["x-amzn-errortype"]),
            (404, &"UnknownOperationException".parse().unwrap())
        );
    }
    stand.gateway.drain(tokio::time::Duration::from_secs(5));
    let answer = put(&stand, QUIZ, "x", None).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["x-amzn-errortype"]),
        (503, &"ServiceUnavailable".parse().unwrap())
    );
    stand.check_books();
}

#[tokio::test]
async fn as_the_channels_other_events() {
    let stand = Stand::with("put_metadata.envelope = \"channel\"").await;
    let mut payloads = stand
        .gateway
        .payloads(&stand.gateway.channel("quiz").unwrap());
    put(&stand, QUIZ, "{\"a\": \"é\"}", None).await;
    let payload: Value = serde_json::from_str(&payloads.recv().await.unwrap().text).unwrap();
    assert_eq!(payload["e"][0]["d"], "{\"a\": \"é\"}");
}
