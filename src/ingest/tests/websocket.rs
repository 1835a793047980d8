//! `…/ws`: acknowledgements, refusals, close codes.

use super::*;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

type Client = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr, path: &str, protocol: Option<&str>) -> (Client, HeaderMap) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut request = Request::get(format!("ws://{address}{path}"))
        .header("host", "x")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    if let Some(protocol) = protocol {
        request = request.header("sec-websocket-protocol", protocol);
    }
    let (client, response) = tokio_tungstenite::client_async(request.body(()).unwrap(), stream)
        .await
        .unwrap();
    (client, response.into_parts().0.headers)
}

async fn next(client: &mut Client) -> Message {
    loop {
        let message = timeout(Duration::from_secs(5), client.next())
            .await
            .expect("an answer")
            .unwrap()
            .unwrap();
        if !matches!(message, Message::Ping(_)) {
            return message;
        }
    }
}

async fn text(client: &mut Client) -> Value {
    serde_json::from_str(next(client).await.to_text().unwrap()).unwrap()
}

/// The code the server closes with, after whatever it says before.
async fn close_code(client: &mut Client) -> u16 {
    loop {
        match next(client).await {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn acks_and_refusals() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let (mut client, headers) =
        connect(address, "/v1/channels/quiz/ws", Some("other, cuegate.v1")).await;
    assert_eq!(headers["sec-websocket-protocol"], "cuegate.v1");
    client.send(Message::text(r#"{"data":1}"#)).await.unwrap();
    assert_eq!(text(&mut client).await, json!({"ack":1,"queued":1}));
    client
        .send(Message::text(
            r#"[{"data":1},{"data":2,"ttl_ms":0},{"data":3},7]"#,
        ))
        .await
        .unwrap();
    for (index, code) in [(1, "invalid_event"), (3, "malformed")] {
        let refusal = text(&mut client).await;
        assert_eq!(
            (&refusal["msg"], &refusal["index"], &refusal["code"]),
            (&json!(2), &json!(index), &json!(code))
        );
        assert!(refusal["detail"].is_string());
    }
    assert_eq!(text(&mut client).await, json!({"ack":2,"queued":3}));
    client.send(Message::text("{")).await.unwrap();
    assert_eq!(text(&mut client).await["code"], "malformed");
    assert_eq!(text(&mut client).await, json!({"ack":3,"queued":3}));
    client.close(None).await.unwrap();
    stand.check_books();
}

#[tokio::test]
async fn many_messages_are_acked_in_order_and_often() {
    let stand = Stand::with("channel_defaults.queue_max_bytes = 100000000\nchannel_defaults.queue_max_events = 1000000\nchannel_defaults.overflow = \"drop_oldest\"").await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let (client, _) = connect(address, "/v1/channels/quiz/ws", None).await;
    let (mut sink, mut answers) = client.split();
    let sender = tokio::spawn(async move {
        for n in 1..=2000 {
            let text = if n % 500 == 0 {
                "bad".to_owned()
            } else {
                format!(r#"{{"data":{n}}}"#)
            };
            sink.feed(Message::text(text)).await.unwrap();
        }
        sink.flush().await.unwrap();
        sink
    });
    let (mut acked, mut refused) = (0, Vec::new());
    while acked < 2000 {
        let Message::Text(text) = answers.next().await.unwrap().unwrap() else {
            continue;
        };
        let answer: Value = serde_json::from_str(&text).unwrap();
        if let Some(ack) = answer["ack"].as_u64() {
            assert!(ack > acked && ack - acked <= 256, "{acked} then {ack}");
            acked = ack;
        } else {
            let message = answer["msg"].as_u64().unwrap();
            assert!(
                message > acked,
                "a refusal comes before the ack that covers it"
            );
            refused.push(message);
        }
    }
    assert_eq!(refused, [500, 1000, 1500, 2000]);
    drop(sender.await.unwrap());
    assert_eq!(stand.count("cuegate_queue_events"), 1996);
    stand.check_books();
}

#[tokio::test]
async fn events_name_their_channel() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let (mut client, _) = connect(address, "/v1/ws", None).await;
    client
        .send(Message::text(
            r#"[{"channel":"quiz","data":1},{"channel":"nope","data":1},{"data":1}]"#,
        ))
        .await
        .unwrap();
    assert_eq!(text(&mut client).await["code"], "unknown_channel");
    assert_eq!(text(&mut client).await["code"], "malformed");
    assert_eq!(text(&mut client).await, json!({"ack":1,"queued":1}));
    stand.check_books();
}

#[tokio::test]
async fn close_codes() {
    let stand = Stand::with("server.max_body_bytes = 100000").await;
    let address = stand.serve(10).await;
    let bad_text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    for (message, code) in [
        (Message::binary(vec![1]), 1003),
        (Message::Frame(bad_text), 1007),
        (Message::text("x".repeat(100_001)), 1009),
    ] {
        let (mut client, _) = connect(address, "/v1/channels/quiz/ws", None).await;
        client.send(Message::text(r#"{"data":1}"#)).await.unwrap();
        client.send(message).await.unwrap();
        assert_eq!(close_code(&mut client).await, code);
    }
    let (mut client, _) = connect(address, "/v1/channels/quiz/ws", None).await;
    client.send(Message::text(r#"{"data":1}"#)).await.unwrap();
    assert_eq!(text(&mut client).await["ack"], 1);
    stand.life.send_replace(Life::Draining);
    assert_eq!(close_code(&mut client).await, 1012);
    stand.check_books();
}

#[tokio::test]
async fn a_draining_gateway_closes_with_1012() {
    let stand = Stand::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let meters = Arc::clone(stand.telemetry.meters());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or(()) };
    let gateway = Arc::clone(&stand.gateway);
    let security = crate::ingest::Security {
        keyring: Arc::clone(&stand.keyring),
        tls: None,
    };
    let served = crate::ingest::serve(listener, gateway, meters, security, stopped);
    let served = tokio::spawn(served);
    let (mut client, _) = connect(address, "/v1/ws", None).await;
    stand.gateway.drain(Duration::from_secs(5));
    assert_eq!(close_code(&mut client).await, 1012);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /v1/channels HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200 "),
        "status is there until the end: {answer}"
    );
    stop.send(()).unwrap();
    timeout(Duration::from_secs(5), served)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_full_process_closes_with_1013() {
    let stand = Stand::with("limits.queue_total_bytes = 1024").await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let (mut client, _) = connect(address, "/v1/channels/quiz/ws", None).await;
    let filler = format!(r#"{{"data":"{}"}}"#, "x".repeat(900));
    for _ in 0..3 {
        client.send(Message::text(filler.clone())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(close_code(&mut client).await, 1013);
    stand.check_books();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from() {
    let stand = Stand::new().await;
    let address = stand.serve(10).await;
    let (client, _) = connect(address, "/v1/channels/quiz/ws", None).await;
    let mut stream = client.into_inner();
    // Every event of these messages is refused, so that answers are larger than requests.
    let text = format!("[{}1]", "1,".repeat(20_000));
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    let sent = timeout(Duration::from_secs(3), async {
        for _ in 0..10_000 {
            stream.write_all(&frame).await.unwrap();
        }
    });
    assert!(sent.await.is_err(), "the server stops reading");
}

#[tokio::test]
async fn handshakes_that_are_none() {
    let stand = Stand::new().await;
    let upgrade = || {
        Request::get("/v1/ws")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "websocket")
    };
    for (request, status) in [
        (
            upgrade()
                .header("sec-websocket-version", "8")
                .header("sec-websocket-key", "x"),
            426,
        ),
        (upgrade().header("sec-websocket-version", "13"), 400),
        (
            upgrade()
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "c2l4dGVlbiBieXRlcw=="),
            400,
        ),
        (
            Request::get("/v1/ws").header("sec-websocket-version", "13"),
            400,
        ),
    ] {
        let answer = stand.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}
