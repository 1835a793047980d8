//! `GET …/payloads` and `GET …/ends`: what was delivered, and how events ended, as server-sent events.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::http::{Response, check_problem, connect, encode, read_chunk, read_head};
use crate::support::process::{Gateway, local};

/// A reader of one channel's payloads or ends.
struct Stream {
    head: Response,
    reader: BufReader<TcpStream>,
    text: String,
}

impl Stream {
    fn open(gateway: &Gateway, channel: &str) -> Self {
        Self::open_after(gateway, channel, None)
    }

    /// A reader of ends.
    fn ends(gateway: &Gateway, channel: &str, last: Option<u64>) -> Self {
        let last = last.map(|last| last.to_string());
        Self::follow(
            gateway,
            &format!("/v1/channels/{channel}/ends"),
            last.as_deref(),
        )
    }

    /// As a reader that comes back.
    fn open_after(gateway: &Gateway, channel: &str, last: Option<&str>) -> Self {
        Self::follow(gateway, &format!("/v1/channels/{channel}/payloads"), last)
    }

    fn follow(gateway: &Gateway, path: &str, last: Option<&str>) -> Self {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let mut stream = connect(gateway.producers).expect("a connection");
        stream
            .write_all(&encode("GET", path, &headers, b""))
            .expect("to send");
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader).expect("a head");
        let mut stream = Self {
            head,
            reader,
            text: String::new(),
        };
        // A first comment: from now on whatever happens is shown.
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

impl Stream {
    /// The next end: its number, and what it says but the time.
    fn end(&mut self) -> (u64, Value) {
        let (number, text) = self.event();
        let mut end: Value = serde_json::from_str(&text).expect("JSON");
        let at = end.as_object_mut().and_then(|end| end.remove("at"));
        assert!(
            at.is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))),
            "{text}"
        );
        (number, end)
    }
}

#[test]
fn every_event_with_an_id_has_an_end() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("other", "")]));
    let (mut first, mut second) = (
        Stream::ends(&gateway, "quiz", None),
        Stream::ends(&gateway, "quiz", None),
    );
    assert_eq!(
        (first.head.status, first.head.header("content-type")),
        (200, "text/event-stream")
    );
    let mut last = 0;
    let mut told = |expected: Value| {
        let (number, end) = first.end();
        assert_eq!(end, expected);
        assert!(last == 0 || number == last + 1, "{number} after {last}");
        assert_eq!(second.end(), (number, end), "every reader is told");
        last = number;
    };
    let delivered = "/v1/channels/quiz/events?wait=delivered";
    gateway.post(delivered, r#"[{"data":0},{"data":1,"id":"a"}]"#);
    let n = gateway.request("GET", "/v1/channels/quiz/events/a").json()["n"].clone();
    told(json!({"id": "a", "end": "delivered", "n": n}));
    gateway.post(
        "/v1/channels/other/events",
        r#"{"data":1,"id":"elsewhere"}"#,
    );

    gateway.pause("quiz");
    let sum =
        |data: u32, id: &str| format!(r#"{{"data":{data},"id":"{id}","key":"k","merge":"sum"}}"#);
    gateway.publish("quiz", &sum(1, "b"));
    gateway.publish("quiz", &sum(2, "c"));
    told(json!({"id": "b", "end": "merged", "into": "c"}));
    assert_eq!(
        gateway
            .request("DELETE", "/v1/channels/quiz/events/c")
            .status,
        204
    );
    told(json!({"id": "c", "end": "cancelled"}));
    gateway.publish("quiz", r#"{"data":1,"id":"d","ttl_ms":20}"#);
    told(json!({"id": "d", "end": "expired"}));
    // All or none: what was taken back had no end.
    let atomic = "/v1/channels/quiz/events?atomic=true";
    let batch = format!("[{},{},{{}}]", sum(1, "x"), sum(2, "y"));
    assert_eq!(gateway.post(atomic, &batch).status, 400);
    gateway.resume("quiz");
    gateway.post(delivered, &sum(5, "e"));
    let n = gateway.request("GET", "/v1/channels/quiz/events/e").json()["n"].clone();
    told(json!({"id": "e", "end": "delivered", "n": n}));
    check_problem(
        &gateway.request("GET", "/v1/channels/nowhere/ends"),
        404,
        "unknown_channel",
    );
}

#[test]
fn a_reader_of_ends_that_comes_back_has_missed_nothing_or_is_told() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let deliver = |id: &str| {
        let path = "/v1/channels/quiz/events?wait=delivered";
        let body = format!(r#"{{"data":0,"id":"{id}"}}"#);
        assert_eq!(gateway.post(path, &body).json()["delivered"], 1);
    };
    let lagged = |stream: &mut Stream, missed: &str| {
        let expected = format!("event: lagged\ndata: {{\"missed\":{missed}}}\n");
        assert_eq!(stream.block(), expected);
    };
    let mut first = Stream::ends(&gateway, "quiz", None);
    deliver("a");
    let seen = first.end().0;
    drop(first);
    deliver("b");
    let mut back = Stream::ends(&gateway, "quiz", Some(seen));
    deliver("c");
    for (id, number) in [("b", seen + 1), ("c", seen + 2)] {
        let (found, end) = back.end();
        assert_eq!((found, &end["id"]), (number, &json!(id)));
    }
    // More than is kept: cancelled ones, to be quick.
    gateway.pause("quiz");
    let ids = 0..1500;
    let batch: Vec<_> = ids
        .map(|id| format!(r#"{{"data":0,"id":"{id}"}}"#))
        .collect();
    let body = format!("[{}]", batch.join(","));
    assert_eq!(
        gateway.post("/v1/channels/quiz/events", &body).json()["accepted"],
        1500
    );
    let purge = "/v1/channels/quiz/events?all=true";
    assert_eq!(gateway.request("DELETE", purge).json()["cancelled"], 1500);
    let mut late = Stream::ends(&gateway, "quiz", Some(seen + 2));
    lagged(&mut late, "500");
    let (number, end) = late.end();
    assert_eq!((number, &end["id"]), (seen + 503, &json!("500")));
    // One whose number is of another time.
    let mut alien = Stream::ends(&gateway, "quiz", Some(7));
    lagged(&mut alien, "null");
    // One that has it all.
    let mut whole = Stream::ends(&gateway, "quiz", Some(seen + 1502));
    gateway.resume("quiz");
    deliver("d");
    assert_eq!(whole.end().0, seen + 1503);
}
