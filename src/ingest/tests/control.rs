//! Status, cancel, purge, pause and resume; payloads live; paths and methods.

use super::*;
use serde_json::json;
use tokio::time::{Duration, timeout};

#[tokio::test]
#[rustfmt::skip] // a table
async fn paths_and_methods() {
    let stand = Stand::new().await;
    for (method, path, status, allow) in [
        ("GET", "/", 404, None),
        ("POST", "/v1/event", 404, None),
        ("POST", "/v1/channels/quiz/events/", 404, None),
        ("POST", "/openapi.json", 405, Some("GET, HEAD")),
        ("PATCH", "/v1/channels/quiz/events", 405, Some("GET, HEAD, POST, DELETE")),
        ("POST", "/v1/channels/quiz", 405, Some("GET, HEAD, PUT, DELETE")),
        ("GET", "/v1/events", 405, Some("POST")),
        ("GET", "/PutMetadata", 405, Some("POST")),
        ("GET", "/v1/channels/quiz/pause", 405, Some("POST")),
        ("GET", "/v1/channels/quiz/ws", 400, None),
        ("GET", "/v1/channels/nope", 404, None),
        ("POST", "/v1/channels/nope/pause", 404, None),
        ("DELETE", "/v1/channels/nope/events", 404, None),
        ("GET", "/v1/channels/nope/payloads", 404, None),
        ("GET", "/v1/channels/nope/ws", 404, None),
    ] {
        let answer = stand.send(method, path, None, Body::empty()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.headers.get("allow").map(|value| value.to_str().unwrap()), allow, "{method} {path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
    }
}

#[tokio::test]
async fn status_and_pages() {
    let stand = Stand::new().await;
    let answer = stand
        .send("GET", "/v1/channels/quiz", None, Body::empty())
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["arn"]),
        (200, &json!(QUIZ)),
        "{}",
        answer.text
    );
    let mut names = Vec::new();
    let mut path = "/v1/channels?limit=1".to_owned();
    loop {
        let page = stand.send("GET", &path, None, Body::empty()).await.json();
        assert_eq!(page["channels"].as_array().unwrap().len(), 1, "{page}");
        names.push(page["channels"][0]["channel"].as_str().unwrap().to_owned());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/channels?limit=1&after={next}");
    }
    assert_eq!(names, ["quiz", "small"]);
    for query in ["limit=0", "limit=1001", "limit=x", "page=2"] {
        let answer = stand
            .send("GET", &format!("/v1/channels?{query}"), None, Body::empty())
            .await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.code()),
            (400, "malformed"),
            "{query}"
        );
    }
}

#[tokio::test]
#[rustfmt::skip] // a table
async fn cancelling_and_purging() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let events = r#"[{"data":1,"id":"a/b c"},{"data":2,"type":"t"},{"data":3,"type":"t","key":"k"},{"data":4,"key":"k"}]"#;
    stand.publish("quiz", events).await;
    stand.send("POST", "/v1/channels/small/events?wait=delivered", Some("application/json"), r#"{"data":1,"id":"sent"}"#).await;
    for (path, status, expected) in [
        ("/v1/channels/quiz/events/a%2Fb%20c", 204, json!(null)),
        ("/v1/channels/quiz/events/a%2Fb%20c", 204, json!(null)),
        ("/v1/channels/small/events/sent", 409, json!("already_sent")),
        ("/v1/channels/quiz/events/other", 404, json!("unknown_event")),
        ("/v1/channels/quiz/events?typ=t", 400, json!("malformed")),
        ("/v1/channels/quiz/events?type=t&key=k", 200, json!(1)),
        ("/v1/channels/quiz/events?type=&key=k", 400, json!("malformed")),
        ("/v1/channels/quiz/events?key=k", 200, json!(1)),
        ("/v1/channels/quiz/events", 400, json!("malformed")),
        ("/v1/channels/quiz/events?all=true", 200, json!(1)),
    ] {
        let answer = stand.send("DELETE", path, None, Body::empty()).await;
        let body = answer.json();
        let found = body.get("code").or_else(|| body.get("cancelled")).cloned().unwrap_or_default();
        assert_eq!((answer.status.as_u16(), found), (status, expected), "{path}");
    }
    stand.check_books();
}

#[tokio::test]
async fn pausing_resuming_and_watching() {
    let stand = Stand::new().await;
    assert_eq!(
        stand
            .send("POST", "/v1/channels/quiz/pause", None, Body::empty())
            .await
            .status,
        204
    );
    let request = Request::get("/v1/channels/quiz/payloads")
        .body(Body::empty())
        .unwrap();
    let response = stand.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body();
    stand.publish("quiz", r#"{"data":{"a":1}}"#).await;
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, ":\n\n");
    assert!(
        timeout(Duration::from_millis(200), stream.frame())
            .await
            .is_err(),
        "paused"
    );
    assert_eq!(
        stand
            .send("POST", "/v1/channels/quiz/resume", None, Body::empty())
            .await
            .status,
        204
    );
    let payload = timeout(Duration::from_secs(5), stream.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let text = String::from_utf8(payload.into_data().unwrap().to_vec()).unwrap();
    let (id, data) = text
        .strip_prefix("id: ")
        .unwrap()
        .split_once("\ndata: ")
        .unwrap();
    let payload: Value = serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
    assert_eq!(
        (&payload["n"], &payload["e"][0]["d"]),
        (&json!(id.parse::<u64>().unwrap()), &json!({"a":1}))
    );
    stand.life.send_replace(Life::Stopping);
    assert!(
        stream.frame().await.is_none(),
        "the stream ends with the process"
    );
}
