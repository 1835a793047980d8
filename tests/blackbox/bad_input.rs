//! Whatever comes in: an answer that says what is wrong, and no harm to anything else.
//!
//! The requests are data (`table`); one gateway takes them all, one after the other and then
//! all at once, and afterwards a good event still gets through and the books balance.

mod bodies;
mod bytes;
mod heads;
mod table;

use std::sync::LazyLock;

use crate::support::http::{Response, exchange};
use crate::support::process::{Gateway, local};

/// Bytes of a request, and what is answered.
pub struct Case {
    pub name: &'static str,
    pub request: Vec<u8>,
    pub status: u16,
    /// Of the problem document, or `x-amzn-ErrorType`; empty: there is none.
    pub code: &'static str,
}

/// The body bound of the gateway under test: small, so that too much is little.
pub const MAX_BODY: usize = 20_000;

fn start() -> Gateway {
    let rest = format!("[server]\nmax_body_bytes = {MAX_BODY}");
    Gateway::start(&local(
        &rest,
        &[(
            "quiz",
            "ttl_ms = 600000\nqueue_max_events = 1000000\nqueue_max_bytes = 100000000",
        )],
    ))
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let parts = [
        bodies::cases(),
        table::cases(),
        heads::cases(),
        bytes::cases(),
    ];
    parts.into_iter().flatten().collect()
});

fn code(answer: &Response) -> String {
    match answer.header("x-amzn-errortype") {
        "" => answer.code(),
        name => name.to_owned(),
    }
}

fn check(gateway: &Gateway, case: &Case) {
    let answer = exchange(
        gateway.producers,
        &case.request,
        case.request.starts_with(b"HEAD"),
    );
    let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (case.status, case.code),
        "{}: {answer:?}",
        case.name
    );
    if answer.header("content-type") == "application/problem+json" {
        crate::support::http::check_problem(&answer, case.status, case.code);
    }
}

#[test]
fn whatever_comes_in_is_answered() {
    let gateway = start();
    let cases = &*CASES;
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        check(&gateway, case);
    }
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(8)) {
            let gateway = &gateway;
            scope.spawn(move || part.iter().for_each(|case| check(gateway, case)));
        }
    });
    after(&gateway);
}

/// A good event gets through, and every event that came in is in the books.
pub fn after(gateway: &Gateway) {
    gateway.publish("quiz", r#"{"data":"good"}"#);
    gateway.drained("quiz");
    let last = gateway.taken("quiz").pop().expect("a payload");
    assert!(last.contains(r#"{"d":"good"}"#), "{last}");
    gateway.scrape().check_books(true);
    assert!(
        !gateway.process.log().contains("panicked"),
        "{}",
        gateway.process.log()
    );
}

/// Connections that end in the middle of a request, at every place there is.
#[test]
fn connections_that_break_harm_nobody() {
    let gateway = start();
    let body = br#"{"data":"half"}"#;
    let whole = crate::support::http::encode(
        "POST",
        "/v1/channels/quiz/events",
        &[("content-type", "application/json")],
        body,
    );
    for cut in 0..whole.len() {
        let mut stream = crate::support::http::connect(gateway.producers).expect("a connection");
        std::io::Write::write_all(&mut stream, &whole[..cut]).expect("to send");
    }
    let published = gateway.status("quiz")["totals"]["accepted"].clone();
    assert_eq!(published, 0, "an event that came by half was taken");
    crate::support::eventually("the books balance", || {
        let metrics = gateway.scrape();
        let received = metrics.sum("cuegate_events_received_total");
        (received - metrics.sum("cuegate_events_rejected_total"))
            .abs()
            .lt(&0.5)
            .then_some(())
    });
    after(&gateway);
}

/// Bytes at random, and requests with bytes changed at random.
#[test]
fn rubbish_is_survived() {
    let mut random = fastrand::Rng::with_seed(crate::support::seed());
    let gateway = start();
    for _ in 0..400 {
        let case = &CASES[random.usize(..CASES.len())];
        let mut bytes = case.request.clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let end = random.usize(1..=bytes.len());
        let mut stream = crate::support::http::connect(gateway.producers).expect("a connection");
        // It may be refused, and closed, before all was sent.
        let _ = std::io::Write::write_all(&mut stream, &bytes[..end]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    gateway.publish("quiz", r#"{"data":"good"}"#);
    gateway.drained("quiz");
    crate::support::eventually("no request is under way", || {
        (gateway
            .scrape()
            .get(r#"cuegate_connections{transport="http"}"#)
            < 0.5)
            .then_some(())
    });
    after(&gateway);
}
