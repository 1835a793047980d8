//! What needs a real connection: sizes beyond the bounds, broken bodies, too many clients,
//! HTTP/2, the end of the process.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

/// Everything the server says until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_string(&mut text)).await;
    read.expect("the server closes").expect("it does not reset");
    text
}

fn post(length: usize) -> String {
    format!(
        "POST /v1/channels/quiz/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_oversized_body_is_discarded_so_that_the_answer_is_seen() {
    let stand = Stand::new().await;
    let address = stand.serve(10).await;
    for length in [1_048_577, 4 << 20] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(post(length).as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; length]).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"),
            "{answer}"
        );
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = post(0).replace("content-length: 0", "transfer-encoding: chunked");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..20 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413 "));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = post(2 << 20).replace("connection: close", "expect: 100-continue");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(
        rest(&mut stream).await.starts_with("HTTP/1.1 413 "),
        "no 100 Continue for nothing"
    );
    stand.check_books();
}

#[tokio::test]
async fn a_body_that_breaks_off_publishes_nothing() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = r#"[{"data":1},{"data":2}]"#;
    stream
        .write_all(post(body.len() + 5).as_bytes())
        .await
        .unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stand.count("cuegate_queue_events"), 0);
    stand.check_books();
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let stand = Stand::new().await;
    let address = stand.serve(2).await;
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET /v1/channels HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    second.read_u8().await.unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    third
        .write_all(b"GET /v1/channels HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(&mut third).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"overloaded\""),
        "{answer}"
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{answer}"
    );
    assert!(serde_json::from_str::<Value>(body).is_ok(), "{body}");
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut fourth = TcpStream::connect(address).await.unwrap();
    fourth
        .write_all(b"GET /v1/channels HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(
        rest(&mut fourth).await.starts_with("HTTP/1.1 200 "),
        "the place is free again"
    );
}

#[tokio::test]
async fn the_end_of_the_process_ends_connections() {
    let stand = Stand::new().await;
    stand.pause("quiz");
    let address = stand.serve(10).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /v1/channels HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let body = r#"{"data":1}"#;
    let head = post(body.len()).replace("/events ", "/events?wait=delivered ");
    waiting.write_all((head + body).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stand.life.send_replace(Life::Stopping);
    let answer = rest(&mut waiting).await;
    assert!(
        answer.starts_with("HTTP/1.1 202 ") && answer.contains("\"pending\":1"),
        "{answer}"
    );
    rest(&mut idle).await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}
