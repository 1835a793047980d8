//! How WebSocket connections end: close codes, broken ones, and clients that do not read.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{PATH, check_answers, start};
use crate::support::payloads::data;
use crate::support::ws::Client;
use crate::support::{SOON, within};

#[test]
fn how_connections_end() {
    let gateway = start();
    let text =
        |bytes: Vec<u8>| Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true));
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (text(vec![b'"', 0xff, b'"']), 1007),
        (
            Message::text(format!(r#"{{"data":"{}"}}"#, "x".repeat(1 << 20))),
            1009,
        ),
        (
            Message::Frame(Frame::message(
                vec![],
                OpCode::Data(Data::Reserved(3)),
                true,
            )),
            1002,
        ),
    ] {
        let mut client = Client::open(gateway.producers, PATH);
        client.send(r#"{"data":1}"#);
        client.socket.send(message).expect("to send");
        assert_eq!(client.close_code(), code);
    }
    // The client's own close is answered; what came before it was taken.
    let mut client = Client::open(gateway.producers, PATH);
    client.send(r#"{"data":"last"}"#);
    client.socket.close(None).expect("to close");
    while client.socket.read().is_ok() {}
    gateway.drained("quiz");
    let shown = data(gateway.taken("quiz").iter().map(String::as_str)).len();
    assert_eq!(shown, 5, "the message before the end of each connection");
}

#[test]
fn after_a_reconnect_what_was_not_acked_is_sent_again() {
    let gateway = start();
    let message = |nth: u64| format!(r#"{{"data":{nth},"id":"m-{nth}"}}"#);
    let mut first = Client::open(gateway.producers, PATH);
    for nth in 0..300 {
        first.send(&message(nth));
    }
    // The connection breaks with all acks unread.
    drop(first);
    let mut second = Client::open(gateway.producers, PATH);
    for nth in 0..300 {
        second.send(&message(nth));
    }
    check_answers(&second.until_ack(300), 300);
    gateway.drained("quiz");
    let expected: Vec<_> = (0..300).map(|nth| json!(nth)).collect();
    assert_eq!(
        data(gateway.taken("quiz").iter().map(String::as_str)),
        expected
    );
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!((metrics.get(r#"cuegate_events_accepted_total{channel="quiz"}"#) - 300.0).abs() < 0.5);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let gateway = start();
    let mut client = Client::open(gateway.producers, PATH);
    client.set_timeouts(Duration::from_secs(2));
    // Each message makes refusals of fifty times its length. What sockets hold in both
    // directions, about 10 MB, can always be sent.
    let batch = format!("[{}]", vec!["1"; 100].join(","));
    let mut sent = 0_u64;
    let stopped =
        (0..300_000).find_map(|_| match client.socket.send(Message::text(batch.clone())) {
            Ok(()) => {
                sent += 1;
                None
            }
            Err(error) => Some(error),
        });
    let error = stopped
        .unwrap_or_else(|| panic!("{sent} messages were read from a client that reads nothing"));
    println!("after {sent} messages: {error}");
    let memory = gateway.scrape().get("process_resident_memory_bytes");
    assert!(memory < 200e6, "{memory} bytes for one client");
    // Others are served meanwhile.
    gateway.publish("b", r#"{"data":1}"#);
    drop(client);
    within(SOON, "the connection is gone", || {
        (gateway
            .scrape()
            .get(r#"cuegate_connections{transport="websocket"}"#)
            < 0.5)
            .then_some(())
    });
    gateway.scrape().check_books(true);
}
