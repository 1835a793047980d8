//! `GET …/payloads`: what was delivered, as server-sent events.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::http::{Response, check_problem, connect, encode, read_chunk, read_head};
use crate::support::process::{Gateway, local};

/// A reader of one channel's payloads.
struct Stream {
    head: Response,
    reader: BufReader<TcpStream>,
    text: String,
}

impl Stream {
    fn open(gateway: &Gateway, channel: &str) -> Self {
        Self::open_after(gateway, channel, None)
    }

    /// As a reader that comes back.
    fn open_after(gateway: &Gateway, channel: &str, last: Option<&str>) -> Self {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let mut stream = connect(gateway.producers).expect("a connection");
        let path = format!("/v1/channels/{channel}/payloads");
        stream
            .write_all(&encode("GET", &path, &headers, b""))
            .expect("to send");
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader).expect("a head");
        let mut stream = Self {
            head,
            reader,
            text: String::new(),
        };
        // A first comment: from now on whatever is delivered is shown.
        assert_eq!(stream.block(), ":\n");
        stream
    }

    /// Everything up to the next empty line.
    fn block(&mut self) -> String {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let mut block = std::mem::replace(&mut self.text, rest);
                block.pop();
                return block;
            }
            let chunk = read_chunk(&mut self.reader)
                .expect("a chunk")
                .expect("it goes on");
            self.text
                .push_str(&String::from_utf8(chunk).expect("UTF-8"));
        }
    }

    /// The next payload and its `id`.
    fn event(&mut self) -> (u64, String) {
        loop {
            let block = self.block();
            if block.starts_with(':') {
                continue;
            }
            let mut lines = block.lines();
            let id = lines
                .next()
                .and_then(|line| line.strip_prefix("id: "))
                .expect("an id");
            let data: Vec<_> = lines
                .map(|line| line.strip_prefix("data: ").expect("data"))
                .collect();
            return (id.parse().expect("a number"), data.join("\n"));
        }
    }
}

#[test]
fn payloads_as_they_are_delivered() {
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", ""), ("other", ""), ("raw", "envelope = \"raw\"")],
    ));
    gateway.publish("quiz", r#"{"data":"before"}"#);
    gateway.drained("quiz");
    let (mut first, mut second) = (
        Stream::open(&gateway, "quiz"),
        Stream::open(&gateway, "quiz"),
    );
    assert_eq!(
        (first.head.status, first.head.header("content-type")),
        (200, "text/event-stream")
    );
    gateway.publish("other", r#"{"data":"elsewhere"}"#);
    let mut last = 0;
    for nth in 0..3 {
        gateway.publish("quiz", &format!(r#"{{"data":{nth}}}"#));
        let (id, payload) = first.event();
        let json: Value = serde_json::from_str(&payload).expect("JSON");
        assert_eq!(
            (json["n"].as_u64(), &json["e"][0]["d"]),
            (Some(id), &nth.into()),
            "{payload}"
        );
        assert!(id > last, "n grows");
        last = id;
        assert_eq!(
            gateway.taken("quiz").last(),
            Some(&payload),
            "as the API took it"
        );
        assert_eq!(second.event(), (id, payload), "every reader gets it");
    }

    let mut raw = Stream::open(&gateway, "raw");
    gateway.publish("raw", r#"{"data":"two\nlines: é\n\n"}"#);
    assert_eq!(raw.event().1, "two\nlines: é\n\n");
    check_problem(
        &gateway.request("GET", "/v1/channels/nowhere/payloads"),
        404,
        "unknown_channel",
    );
}

#[test]
fn a_reader_that_comes_back_has_missed_nothing() {
    let gateway = Gateway::start(&local("", &[("quiz", "envelope = \"raw\"")]));
    let deliver = |data: u32| {
        let body = format!("{{\"data\":{data}}}");
        let path = "/v1/channels/quiz/events?wait=delivered";
        assert_eq!(gateway.post(path, &body).json()["delivered"], 1);
    };
    let mut first = Stream::open(&gateway, "quiz");
    deliver(1);
    let (seen, text) = first.event();
    assert_eq!(text, "1");
    drop(first);
    deliver(2);
    deliver(3);
    let mut back = Stream::open_after(&gateway, "quiz", Some(&seen.to_string()));
    deliver(4);
    let mut last = seen;
    for expected in ["2", "3", "4"] {
        let (id, text) = back.event();
        assert_eq!(text, expected);
        assert!(id > last, "{id} after {last}");
        last = id;
    }
    // One that has it all, and one whose id is none of ours, get what comes.
    for id in [last.to_string(), "yesterday".to_owned()] {
        let mut other = Stream::open_after(&gateway, "quiz", Some(&id));
        deliver(5);
        assert_eq!(other.event().1, "5");
    }
}
