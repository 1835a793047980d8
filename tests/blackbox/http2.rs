//! HTTP/2 without TLS on the producers' door: many requests on one connection.

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use tokio::task::JoinSet;

use crate::support::http::connect;
use crate::support::payloads::data;
use crate::support::process::{Gateway, local};

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Streams that are opened and reset at once ("rapid reset"): the connection ends soon, and others
/// feel nothing of it.
#[test]
fn a_flood_of_resets_ends_its_connection() {
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u8 = 11;
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let mut stream = connect(gateway.producers).expect("a connection");
    let mut reader = stream.try_clone().expect("a handle");
    let flood = std::thread::spawn(move || {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(preface).expect("to send");
        stream.write_all(&frame(4, 0, 0, b"")).expect("to send");
        // GET, http, /, and an authority of one letter, as HPACK has them.
        let head = [0x82, 0x86, 0x84, 0x41, 1, b'h'];
        let mut sent = 0_u32;
        for nth in 0..100_000 {
            let id = 2 * nth + 1;
            let pair = [
                frame(1, 5, id, &head),
                frame(3, 0, id, &8_u32.to_be_bytes()),
            ];
            if stream.write_all(&pair.concat()).is_err() {
                break;
            }
            sent += 1;
        }
        sent
    });
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer);
    let sent = flood.join().expect("a flood");
    assert!(sent < 100_000, "it was never stopped");
    let mut frames = answer.as_slice();
    let mut last = None;
    while let [a, b, c, kind, ..] = *frames {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let Some(payload) = frames.get(9..9 + length) else {
            break;
        };
        if kind == GOAWAY {
            last = payload.get(7).copied();
        }
        frames = &frames[9 + length..];
    }
    // A reset of the connection may have taken the frame that says why.
    assert!(
        last.is_none_or(|code| code == ENHANCE_YOUR_CALM),
        "{last:?}"
    );
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.scrape().check_books(true);
}

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
