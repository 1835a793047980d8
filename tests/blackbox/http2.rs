//! HTTP/2 without TLS on the producers' door: many requests on one connection.

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::payloads::data;
use crate::support::process::{Gateway, local};

type Body = Full<tokio_tungstenite::tungstenite::Bytes>;

#[tokio::test]
async fn many_requests_on_one_connection() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000")]));
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let url = format!("http://{}/v1/channels", gateway.producers);
    let mut requests = JoinSet::new();
    for nth in 0..200 {
        let (path, body) = match nth % 4 {
            0 => ("nowhere/events", r#"{"data":1}"#.to_owned()),
            1 => ("quiz/events", "nonsense".to_owned()),
            _ => ("quiz/events", format!(r#"{{"data":{nth},"id":"{nth}"}}"#)),
        };
        let request = hyper::Request::post(format!("{url}/{path}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .expect("a request");
        let client = client.clone();
        requests.spawn(async move {
            let answer = client.request(request).await.expect("an answer");
            let status = answer.status().as_u16();
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            (nth, status, body)
        });
    }
    for (nth, status, body) in requests.join_all().await {
        let expected = [404, 400, 202, 202][nth % 4];
        assert_eq!(status, expected, "{nth}: {body}");
        assert_eq!(body["status"].is_null(), status == 202, "{body}");
    }
    gateway.drained("quiz");
    let taken = gateway.taken("quiz");
    let mut shown: Vec<_> = data(taken.iter().map(String::as_str))
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    shown.sort_unstable();
    let sent: Vec<_> = (0..200).filter(|nth| nth % 4 > 1).collect();
    assert_eq!(shown, sent);
    gateway.scrape().check_books(true);
}
