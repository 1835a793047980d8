//! A disk that does not answer: no error, and no end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Journal;
use super::shim::Shim;
use crate::support::http::send;
use crate::support::process::Gateway;
use crate::support::{SOON, eventually};

#[test]
fn a_disk_that_hangs_is_told_and_deliveries_go_on() {
    let journal = Journal::new("[server]\ndrain_timeout_ms = 100\n");
    let shim = Shim::new(&journal.path());
    let environment = shim.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut gateway = Gateway::start_with(&journal.config(), &environment);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after");
    let at = (now + Duration::from_secs(2)).as_millis();
    gateway.publish("b", &format!(r#"{{"data":"later","at":{at}}}"#));
    shim.hang(true);
    let began = Instant::now();
    let answer = gateway.post("/v1/channels/quiz/events", r#"{"data":1}"#);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["code"], "overloaded", "{answer:?}");
    assert!(began.elapsed() < SOON, "it is told within seconds");
    gateway.process.logged("does not answer");
    let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.json()["journal"].is_string(), "{ready:?}");
    assert!(gateway.scrape().get("cuegate_journal_errors_total") > 0.5);
    eventually("what was accepted is delivered", || {
        (gateway.taken("b").len() == 1).then_some(())
    });
    shim.hang(false);
    eventually("events are accepted again", || {
        let answer = gateway.post("/v1/channels/quiz/events", r#"{"data":2}"#);
        (answer.status == 202).then_some(())
    });
    assert!(gateway.is_ready());
    gateway.process.logged("answers again");
    // Nor does the end wait for it.
    shim.hang(true);
    gateway.process.signal("TERM");
    let (_, log) = gateway.process.wait(SOON);
    assert!(log.contains("could not be closed"), "{log}");
}
