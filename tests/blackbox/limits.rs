//! Bounds of the whole process: memory of the queues, channels, connections.

mod crowds;

use std::io::{BufReader, Write as _};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::emulator::encoded;
use crate::support::eventually;
use crate::support::http::{check_problem, connect, encode, read_response, send, try_send};
use crate::support::metrics::same;
use crate::support::process::{ACCOUNT, Gateway, arn, local};
use crate::support::ws::Client;

#[test]
fn queues_have_a_bound_together() {
    let rest = "[limits]\nqueue_total_bytes = 1024";
    let gateway = Gateway::start(&local(rest, &[("a", "ttl_ms = 60000"), ("b", "")]));
    let mut socket = Client::open(gateway.producers, "/v1/channels/b/ws");
    gateway.pause("a");
    for _ in 0..3 {
        let body = format!(r#"{{"data":"{}"}}"#, "x".repeat(500));
        let _ = gateway.post("/v1/channels/a/events", &body);
    }
    check_problem(
        &gateway.post("/v1/channels/b/events", r#"{"data":1}"#),
        503,
        "overloaded",
    );
    let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 503, "{ready:?}");
    let why = ready.json()["queues"].to_string();
    assert!(why.contains("limits.queue_total_bytes"), "{ready:?}");
    socket.send(r#"{"data":1}"#);
    assert_eq!(socket.next()["code"], "overloaded");
    assert_eq!(socket.close_code(), 1013);
    // What was accepted is harmed by none of that.
    gateway.resume("a");
    gateway.drained("a");
    assert!(!gateway.taken("a").is_empty());
    assert!(gateway.is_ready());
    gateway.publish("b", r#"{"data":1}"#);
    gateway.scrape().check_books(true);
}

/// What is remembered of events that have ended gives way to new ones, and the bound heals by
/// itself: nobody scrapes or asks for a channel's status here.
#[test]
fn remembered_ids_give_way_to_events() {
    let rest = "[limits]\nqueue_total_bytes = 1000000";
    let gateway = Gateway::start(&local(rest, &[("a", ""), ("b", ""), ("c", "")]));
    let publish = |channel: &str, batch: usize| {
        let event = |nth: usize| {
            json!({"data": nth, "key": "k", "merge": "replace", "ttl_ms": 60000,
                "id": format!("{batch}-{nth}")})
        };
        let batch: Vec<_> = (0..500).map(event).collect();
        gateway.publish(channel, &json!(batch).to_string())
    };
    // 15,000 ids of 140 bytes: twice what all queues may take.
    for channel in ["a", "b", "c"] {
        for batch in 0..10 {
            let answer = publish(channel, batch);
            assert_eq!(answer["accepted"], 500, "{channel} {batch}: {answer}");
        }
    }
    assert_eq!(gateway.readiness(), Some(200));
    // The latest ids are still known, and the first are not.
    assert_eq!(publish("c", 9)["duplicates"], 500);
    assert_eq!(publish("a", 0)["accepted"], 500);
    gateway.scrape().check_books(true);
}

/// Nobody looks while ids of unlisted channels expire: their room is there afterwards.
#[test]
fn channels_that_remember_nothing_make_room_unasked() {
    let rest = "[limits]\nchannels_max = 2\n[channels]\nallow_unlisted = true\n[channel_defaults]\ndedup_window_ms = 1000\n";
    let gateway = Gateway::start(&local(rest, &[("a", "")]));
    for id in ["one", "two", "three"] {
        let path = format!("/v1/channels/{}/events", encoded(&arn(id)));
        eventually("there is room", || {
            let answer = gateway.post(&path, r#"{"data":1,"id":"i"}"#);
            (answer.status == 202).then_some(())
        });
    }
}

#[test]
fn unlisted_channels_have_a_bound() {
    let rest = "[limits]\nchannels_max = 2\n[channels]\nallow_unlisted = true";
    let gateway = Gateway::start(&local(rest, &[("a", "")]));
    let path =
        |id: &str| format!("/v1/channels/arn:aws:ivs:us-west-2:{ACCOUNT}:channel%2F{id}/events");
    let at = r#"{"data":1,"ttl_ms":60000}"#;
    assert_eq!(gateway.post(&path("one"), at).status, 202);
    // The emulator knows no such channel, so its event ends; then its room can be taken.
    eventually("the second one finds room", || {
        (gateway.post(&path("two"), at).status == 202).then_some(())
    });
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(metrics.get(r#"cuegate_events_accepted_total{channel="_other"}"#) >= 2.0);
}

/// A channel that was forgotten to make room comes again with the tokens it had.
#[test]
fn forgotten_channels_keep_the_quota() {
    let rest = "[limits]\nchannels_max = 2\n[channels]\nallow_unlisted = true";
    let gateway = Gateway::start(&local(rest, &[("quiz", "")]));
    for id in ["aaa", "bbb"] {
        gateway.emulator.stream(&arn(id), "live");
    }
    let path = |id: &str, query: &str| {
        let channel = arn(id).replace('/', "%2F");
        format!("/v1/channels/{channel}/events{query}")
    };
    let wait = "?wait=delivered&timeout_ms=10000";
    for _ in 0..3 {
        for (id, events) in [("aaa", 5), ("bbb", 1)] {
            for _ in 0..events {
                eventually("there is room", || {
                    let answer = gateway.post(&path(id, wait), r#"{"data":1}"#);
                    (answer.status == 200).then_some(())
                });
            }
        }
    }
    let report = gateway.emulator.report().to_string();
    for id in ["aaa", "bbb"] {
        let taken = gateway.emulator.metadata(&arn(id));
        assert!(taken.len() >= 3, "{id}: {report}");
        for six in taken.windows(6) {
            assert!(
                six[5].time_us - six[0].time_us >= 1_000_000,
                "{id}: {report}"
            );
        }
    }
    assert!(report.contains("\"throttled\":0"), "{report}");
    assert!(!report.contains("\"throttled\":1"), "{report}");
}

#[test]
fn connections_have_a_bound() {
    let rest = "[server]\nmax_connections = 3";
    let gateway = Gateway::start(&local(rest, &[("a", "")]));
    let held: Vec<_> = (0..3)
        .map(|_| Client::open(gateway.producers, "/v1/channels/a/ws"))
        .collect();
    eventually("all three are counted", || {
        let open = gateway
            .scrape()
            .get(r#"cuegate_connections{transport="websocket"}"#);
        same(open, 3.0).then_some(())
    });
    let stream = connect(gateway.producers).expect("a connection");
    let answer = read_response(&mut BufReader::new(stream), false).expect("an answer");
    check_problem(&answer, 503, "overloaded");
    drop(held);
    eventually("there is room again", || {
        let answer = try_send(gateway.producers, "GET", "/v1/channels/a", &[], b"").ok()?;
        (answer.status == 200).then_some(())
    });
}

/// A probe that is not answered kills a process that is well: nobody may take all the places at the
/// operators' addresses.
#[test]
fn probes_are_answered_whatever_else_is_connected() {
    let gateway = Gateway::start(&local("", &[("a", "")]));
    let half_a_head = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n";
    // Streams do not end by themselves.
    let stream = encode("GET", "/admin/channels/a/payloads", &[], b"");
    for (name, count, bytes) in [
        ("silent", 64, &b""[..]),
        ("silent", 200, b""),
        ("half a head", 200, half_a_head),
        ("busy", 200, &stream),
    ] {
        for (address, path) in [
            (gateway.metrics, "/healthz"),
            (gateway.metrics, "/readyz"),
            (gateway.admin, "/admin/overview"),
        ] {
            let others: Vec<_> = (0..count)
                .map(|_| {
                    let mut stream = connect(address).expect("a connection");
                    let _ = stream.write_all(bytes);
                    stream
                })
                .collect();
            for probe in 0..25 {
                let answer = try_send(address, "GET", path, &[], b"");
                let status = answer.map(|answer| answer.status).ok();
                assert_eq!(status, Some(200), "{path}, {count} {name}, probe {probe}");
            }
            drop(others);
        }
    }
}

/// As many descriptors as containers have by default: producers do not get those that calls, the
/// journal and probes need.
#[test]
fn descriptors_are_left_for_calls_and_probes() {
    let limits = "ulimit -Sn 256 && ulimit -Hn 1024";
    let config = local("", &[("a", "ttl_ms = 60000"), ("b", "")]);
    let gateway = Gateway::start_within(limits, &config);
    gateway.process.logged("the limit of open files is low");
    let (mut open, mut refused) = (Vec::new(), 0);
    let nobody = "Bearer x";
    for _ in 0..1100 {
        match Client::try_open_as(gateway.producers, "/v1/channels/a/ws", nobody) {
            Ok(client) => open.push(client),
            Err(status) => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
        // The limit was raised: more than the soft one had room for. And nobody is left unanswered.
        if refused == 50 {
            break;
        }
    }
    assert_eq!(refused, 50, "{} are open", open.len());
    assert!(open.len() > 256, "{} are open", open.len());
    for probe in 0..25 {
        let answer = try_send(gateway.metrics, "GET", "/healthz", &[], b"");
        assert_eq!(answer.map(|it| it.status).ok(), Some(200), "probe {probe}");
    }
    for client in open.iter_mut().take(20) {
        client.send(r#"{"data":1}"#);
        client.until_ack(1);
    }
    eventually("the events are delivered", || {
        let delivered = gateway
            .scrape()
            .get(r#"cuegate_events_delivered_total{channel="a"}"#);
        same(delivered, 20.0).then_some(())
    });
    assert!(gateway.scrape().get("process_open_fds") < 1024.0);
    drop(open);
    eventually("there is room again", || {
        let answer = try_send(gateway.producers, "GET", "/v1/channels/b", &[], b"").ok()?;
        (answer.status == 200).then_some(())
    });
}

/// One after another: as many as fit are held, and no other.
#[test]
fn as_many_unfinished_messages_as_fit_are_held() {
    const SIZE: usize = 1_000_000;
    let gateway = Gateway::start(&local("", &[("a", "")]));
    let fit = (256 << 20) / SIZE;
    let mut clients: Vec<_> = (0..fit + 30)
        .map(|_| Client::open(gateway.producers, "/v1/channels/a/ws"))
        .collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        let expected = if nth < fit { Ok(()) } else { Err(1013) };
        assert_eq!(client.hold(SIZE), expected, "message {nth}");
    }
    let name = r#"cuegate_events_rejected_total{code="overloaded"}"#;
    let scrape = gateway.scrape();
    assert!(same(scrape.get(name), 30.0));
    // What is counted is what is held, about.
    let memory = scrape.get("process_resident_memory_bytes");
    assert!(memory < f64::from(450 << 20), "{memory} bytes");
    scrape.check_books(true);
}

/// What a client has sent once costs nothing for as long as it stays: no budget counts its connection.
#[test]
fn connections_give_the_memory_of_long_messages_back() {
    const SIZE: usize = 1_000_000;
    let gateway = Gateway::start(&local("", &[("a", "")]));
    let long = format!("{}{}", " ".repeat(SIZE), r#"{"data":1}"#);
    let clients: Vec<_> = (0..300)
        .map(|nth| {
            let mut client = Client::open(gateway.producers, "/v1/channels/a/ws");
            // All of it is on its way before the first is handled.
            for message in [&long, r#"{"data":2}"#, "[]", &long] {
                client
                    .socket
                    .write(Message::text(message))
                    .expect("to send");
            }
            client.socket.flush().expect("to send");
            let answers = client.until_ack(4);
            let refused = answers
                .iter()
                .filter(|answer| answer["code"] == "malformed");
            assert_eq!(refused.count(), 1, "client {nth}: {answers:?}");
            client
        })
        .collect();
    let scrape = gateway.scrape();
    let memory = scrape.get("process_resident_memory_bytes");
    assert!(memory < f64::from(150 << 20), "{memory} bytes");
    assert!(same(
        scrape.get(r#"cuegate_connections{transport="websocket"}"#),
        300.0
    ));
    scrape.check_books(true);
    drop(clients);
    eventually("no connection is counted", || {
        let name = r#"cuegate_connections{transport="websocket"}"#;
        same(gateway.scrape().get(name), 0.0).then_some(())
    });
}

/// Unfinished messages are held as unfinished bodies are, so they share their budget: 256 MiB.
#[test]
fn unfinished_messages_have_a_bound_together() {
    const SIZE: usize = 1_000_000;
    let gateway = Gateway::start(&local("", &[("a", ""), ("b", "")]));
    let mut clients: Vec<_> = (0..330)
        .map(|_| Client::open(gateway.producers, "/v1/channels/a/ws"))
        .collect();
    for client in &mut clients {
        // One that is refused meanwhile is written to all the same, or not.
        let _ = client.begin(SIZE);
    }
    let refused = || {
        let name = r#"cuegate_events_rejected_total{code="overloaded"}"#;
        gateway.scrape().get(name)
    };
    // So many do not fit.
    let too_many = 330.0 - (f64::from(256 << 20) / 1e6).floor();
    eventually("those beyond the bound are refused", || {
        (refused() >= too_many).then_some(())
    });
    let memory = gateway.scrape().get("process_resident_memory_bytes");
    assert!(memory < f64::from(450 << 20), "{memory} bytes");
    drop(clients);
    eventually("there is room again", || {
        let mut client = Client::open(gateway.producers, "/v1/channels/b/ws");
        client.begin(SIZE).ok()?;
        client.socket.get_mut().write_all(b" ").ok()?;
        // A message of blanks is no event, but it is answered.
        (client.next()["code"] == "malformed").then_some(())
    });
    gateway.scrape().check_books(true);
}
