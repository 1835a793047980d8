//! What is said of events whose owner is gone after it was asked.

use std::thread;

use serde_json::json;

use super::Stage;
use crate::support::eventually;
use crate::support::postgres::Cluster;
use crate::support::ws::Client;

#[test]
fn who_waits_for_events_of_a_killed_owner_is_told_that_they_are_pending() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (mut owner, other) = stage.pair("");
    owner.pause("there");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let path = "/v1/channels/there/events?wait=delivered&timeout_ms=1500";
            other.post(path, r#"[{"id":"a","data":1},{"id":"b","data":2}]"#)
        });
        eventually("the owner has taken the events", || {
            let taken = other.scrape().get("cuegate_cluster_forwarded_events_total");
            (taken > 1.5).then_some(())
        });
        owner.process.kill();
        let answer = waiting.join().expect("an answer");
        let pending = answer.json()["pending"].clone();
        assert_eq!((answer.status, pending), (202, json!(2)), "{answer:?}");
    });
}

/// The owner stands still with what it was sent: nobody knows whether it has it.
#[test]
fn a_websocket_in_doubt_is_closed_unless_all_events_have_ids() {
    let Some(mut stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    stage.timing = "lease_ms = 3000\nbeat_ms = 200\ncommit_timeout_ms = 500\nhold_ms = 20000\n";
    let (mut owner, other) = stage.pair("");
    let mut sockets = [(); 2].map(|()| Client::open(other.producers, "/v1/channels/there/ws"));
    for socket in &mut sockets {
        socket.send(r#"{"data":0}"#);
        socket.until_ack(1);
    }
    owner.process.signal("STOP");
    let [without, with] = &mut sockets;
    without.send(r#"{"data":1}"#);
    with.send(r#"[{"id":"a","data":2},{"id":"b","data":3}]"#);
    assert_eq!(without.close_code(), 1012);
    // The other node is the owner by then.
    with.until_ack(2);
    other.drained("there");
    let again = other.publish("there", r#"{"id":"a","data":2}"#);
    assert_eq!(again["duplicates"], 1, "{again}");
    owner.process.kill();
}
