//! Dead letters that several replay at once, or of which a replay is broken off: each event goes out once,
//! also where no id says which it is.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Journal, kill};
use crate::support::http::{connect, encode, send};
use crate::support::payloads::data;
use crate::support::process::Gateway;
use crate::support::{eventually, seed};

const LETTERS: usize = 250;

/// A gateway with so many dead letters without ids, whose channel is paused.
fn with_letters(journal: &Journal) -> Gateway {
    let gateway = journal.start();
    let denied = r#"{"kind":"error","status":403,"code":"AccessDeniedException"}"#;
    gateway.emulator.faults(denied);
    gateway.pause("quiz");
    let events: Vec<Value> = (0..LETTERS).map(|nth| json!({"data": nth})).collect();
    let answer = gateway.publish("quiz", &json!(events).to_string());
    assert_eq!(answer["accepted"], LETTERS, "{answer}");
    gateway.resume("quiz");
    gateway.drained("quiz");
    gateway.pause("quiz");
    kill(gateway);
    // The next process calls again at once.
    let gateway = journal.start();
    assert_eq!(letters(&gateway), LETTERS);
    gateway
}

fn letters(gateway: &Gateway) -> usize {
    let text = gateway.scrape().get("cuegate_dead_letters").to_string();
    text.parse().expect("a whole number")
}

fn replay(gateway: &Gateway) -> u64 {
    let answer = send(gateway.admin, "POST", "/admin/dead-letters", &[], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["replayed"].as_u64().expect("a number")
}

/// Every event comes out, and none twice.
fn each_came_once(gateway: &Gateway) {
    gateway.resume("quiz");
    gateway.drained("quiz");
    let taken = gateway.taken("quiz");
    let mut shown: Vec<u64> = data(taken.iter().map(String::as_str))
        .iter()
        .map(|data| data.as_u64().expect("a number"))
        .collect();
    shown.sort_unstable();
    let all: Vec<u64> = (0..LETTERS as u64).collect();
    assert_eq!(shown, all);
    gateway.scrape().check_books(true);
}

#[test]
fn several_at_once_send_no_letter_twice() {
    let journal = Journal::new("");
    let gateway = with_letters(&journal);
    let replayed: u64 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| replay(&gateway))).collect();
        all.into_iter()
            .map(|one| one.join().expect("it ends"))
            .sum()
    });
    assert_eq!(replayed, LETTERS as u64);
    assert_eq!(letters(&gateway), 0);
    each_came_once(&gateway);
}

#[test]
fn one_that_is_broken_off_sends_no_letter_twice() {
    let mut random = fastrand::Rng::with_seed(seed());
    let journal = Journal::new("");
    let gateway = with_letters(&journal);
    let request = encode("POST", "/admin/dead-letters", &[], b"");
    for _ in 0..20 {
        let mut stream = connect(gateway.admin).expect("a connection");
        stream.write_all(&request).expect("to send");
        let moment = Instant::now() + Duration::from_micros(random.u64(..3000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        drop(stream);
    }
    // Whatever is left; one that was broken off may still be at it.
    eventually("no letter is left", || {
        replay(&gateway);
        (letters(&gateway) == 0).then_some(())
    });
    each_came_once(&gateway);
}
