//! A disk that does not answer, or refuses what is written: what producers and the API see of it, and
//! what the next process knows.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::shim::Shim;
use super::{Journal, kill};
use crate::support::http::send;
use crate::support::process::Gateway;
use crate::support::{SOON, eventually};

/// A journal on a disk that does as it is told.
struct Lives {
    journal: Journal,
    shim: Shim,
}

impl Lives {
    fn new(rest: &str) -> Self {
        let journal = Journal::new(rest);
        let shim = Shim::new(&journal.path());
        Self { journal, shim }
    }

    fn start(&self) -> Gateway {
        let environment = self.shim.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
        Gateway::start_with(&self.journal.config(), &environment)
    }
}

/// Accepted now, and sent in a moment.
fn publish_for_later(gateway: &Gateway, in_a: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after");
    let at = (now + in_a).as_millis();
    gateway.publish("b", &format!(r#"{{"data":"later","at":{at}}}"#));
}

fn is_delivered(gateway: &Gateway) -> bool {
    gateway.taken("b").len() == 1
}

/// The event has a token, and stays here.
fn a_call_waits(gateway: &Gateway) {
    eventually("its time has come", || {
        (gateway.status("b")["tokens"]["available"] == 4).then_some(())
    });
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        assert!(!is_delivered(gateway), "it is not on record");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn accepts(gateway: &Gateway) {
    eventually("events are accepted again", || {
        let answer = gateway.post("/v1/channels/quiz/events", r#"{"data":2}"#);
        (answer.status == 202).then_some(())
    });
}

/// It refuses an event, and says why.
fn refuses(gateway: &Gateway) {
    let answer = gateway.post("/v1/channels/quiz/events", r#"{"data":1}"#);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["code"], "overloaded", "{answer:?}");
}

#[test]
fn a_disk_that_hangs_is_told_and_calls_wait_for_it() {
    let lives = Lives::new("[server]\ndrain_timeout_ms = 100\n");
    let mut gateway = lives.start();
    publish_for_later(&gateway, Duration::from_secs(1));
    lives.shim.hang(true);
    let began = Instant::now();
    refuses(&gateway);
    assert!(began.elapsed() < SOON, "it is told within seconds");
    gateway.process.logged("does not answer");
    let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.json()["journal"].is_string(), "{ready:?}");
    assert!(gateway.scrape().get("cuegate_journal_errors_total") > 0.5);
    // The next process could not know of a call.
    a_call_waits(&gateway);
    lives.shim.hang(false);
    eventually("what was accepted is delivered", || {
        is_delivered(&gateway).then_some(())
    });
    accepts(&gateway);
    assert!(gateway.is_ready());
    gateway.process.logged("answers again");
    // Nor does the end wait for it.
    lives.shim.hang(true);
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    assert!(log.contains("could not be closed"), "{log}");
}

const HOLD: &str = "[tuning]\nrestart_hold_ms = 60000\n";

fn is_held(gateway: &Gateway) -> bool {
    gateway.status("b")["tokens"]["available"] == 0
}

/// Calls go on that no record tells of, so the next process relies on none.
#[test]
fn after_calls_that_could_not_be_recorded_the_next_process_holds_back() {
    let lives = Lives::new(HOLD);
    let gateway = lives.start();
    publish_for_later(&gateway, Duration::from_secs(1));
    lives.shim.fail(Some("but mark"));
    refuses(&gateway);
    gateway.process.logged("deliveries go on");
    eventually("it is delivered all the same", || {
        is_delivered(&gateway).then_some(())
    });
    kill(gateway);
    lives.shim.fail(None);
    let next = lives.start();
    assert!(is_held(&next));
    next.process.logged("does not tell of all its calls");
    // Nor does it know more by ending itself.
    kill(next);
    assert!(is_held(&lives.start()));
}

/// As soon as all calls are on record again, the next process relies on that.
#[test]
fn a_disk_that_recovers_has_all_calls_on_record() {
    let lives = Lives::new(HOLD);
    let gateway = lives.start();
    lives.shim.fail(Some("but mark"));
    refuses(&gateway);
    gateway.process.logged("deliveries go on");
    lives.shim.fail(None);
    accepts(&gateway);
    gateway.drained("quiz");
    // Those before may be of the group that was written anew.
    gateway.publish("quiz", r#"{"data":3}"#);
    gateway.publish("quiz", r#"{"data":4}"#);
    kill(gateway);
    let next = lives.start();
    eventually("the tokens are back", || (!is_held(&next)).then_some(()));
}

/// A disk that does not even take the note that calls are not recorded: none is made.
#[test]
fn a_call_that_nothing_tells_of_is_not_made() {
    let lives = Lives::new("");
    let gateway = lives.start();
    publish_for_later(&gateway, Duration::from_secs(1));
    lives.shim.fail(Some("all"));
    refuses(&gateway);
    gateway.process.logged("no call is made");
    a_call_waits(&gateway);
    lives.shim.fail(None);
    accepts(&gateway);
    eventually("what was accepted is delivered", || {
        is_delivered(&gateway).then_some(())
    });
}
