//! Several nodes on one PostgreSQL: one of them sends for the account, and another goes on when it
//! cannot. Without `CUEGATE_TEST_POSTGRES` the tests say that they were skipped.

mod anywhere;
mod database;
mod doubt;
mod faults;
mod moving;
mod owners;
mod trust;
mod verbs;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::support::emulator::Emulator;
use crate::support::payloads::{data, played};
use crate::support::postgres::Cluster;
use crate::support::process::{self, Gateway, arn, run};
use crate::support::{SOON, eventually, within};

/// The shortest lease, and what a busy machine takes beside it.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// Without calls where an account is handed over: 2 s, and what a busy machine takes beside it.
const HANDED_WITHIN: Duration = Duration::from_secs(4);

/// Without calls where an owner was killed: 5 s, and the same.
const REPLACED_WITHIN: Duration = Duration::from_secs(8);

/// A database with the tables, and an emulator whose channel is live.
struct Stage {
    database: Cluster,
    emulator: Emulator,
    /// The database's role that nodes and commands log in as.
    user: &'static str,
    /// The nodes' timing.
    timing: &'static str,
}

/// The shortest lease.
const QUICK: &str = "lease_ms = 3000\nbeat_ms = 200\n";

impl Stage {
    fn set(database: Option<Cluster>) -> Option<Self> {
        let database = database?;
        let emulator = Emulator::start(&[]);
        emulator.api.stream(&arn("quiz"), "live");
        let stage = Self {
            database,
            emulator,
            user: "cuegate",
            timing: QUICK,
        };
        let made = stage.command(&["init"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        Some(stage)
    }

    fn configuration(&self, node: &str) -> String {
        let (api, quiz) = (self.emulator.api.0, arn("quiz"));
        let url = self.database.url();
        let url = url.replacen("cuegate@", &format!("{}@", self.user), 1);
        let timing = self.timing;
        format!(
            "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{api}\"\n\
            [cluster]\nurl = \"{url}\"\nnode = \"{node}\"\n{timing}\
            [[channel]]\nname = \"quiz\"\narn = \"{quiz}\"\nttl_ms = 120000\n"
        )
    }

    /// A node that answers, be it ready or not.
    fn node(&self, name: &str) -> Gateway {
        let node = Gateway::spawn(&self.configuration(name), &[]);
        eventually("the node answers", || node.readiness());
        node
    }

    /// `cuegate cluster`.
    fn command(&self, arguments: &[&str]) -> process::Ended {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("cuegate.toml");
        std::fs::write(&file, self.configuration("operator")).expect("a file");
        let mut command = process::command();
        command
            .arg("cluster")
            .args(arguments)
            .arg("--config")
            .arg(&file);
        run(&mut command, "")
    }

    /// The longest time between two payloads.
    fn longest_silence(&self) -> Duration {
        let taken = self.emulator.api.metadata(&arn("quiz"));
        let pairs = taken.iter().zip(taken.iter().skip(1));
        let gaps = pairs.map(|(one, next)| next.time_us.saturating_sub(one.time_us));
        let longest = Duration::from_micros(gaps.max().unwrap_or(0));
        println!("the longest time without a payload: {longest:?}");
        longest
    }

    /// The data of all events that the API took, and what holds of them in any case.
    fn delivered(&self) -> BTreeSet<String> {
        let taken = self.emulator.api.metadata(&arn("quiz"));
        let texts = || taken.iter().map(|taken| taken.text.as_str());
        let mut numbers = HashMap::new();
        for text in texts() {
            let payload: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let n = payload["n"].as_u64().expect("a number");
            let same = numbers.insert(n, text).is_none_or(|before| before == text);
            assert!(same, "two payloads have the number {n}");
        }
        let firsts: Vec<_> = played(texts())
            .iter()
            .map(|payload| payload["n"].as_u64())
            .collect();
        assert!(
            firsts.is_sorted(),
            "numbers of new payloads grow: {firsts:?}"
        );
        let report = self.emulator.api.report();
        let most = report["all"]["max_calls_per_second"].as_u64();
        assert!(most <= Some(5), "in one second of all nodes: {report}");
        let data = data(texts());
        data.iter().map(ToString::to_string).collect()
    }
}

/// Waits until a node owns the account.
fn ready(node: &Gateway) {
    within(TAKEN_WITHIN, "the node owns the account", || {
        node.owns().then_some(())
    });
}

/// Publishes an event; its data, as it is delivered.
fn publish(node: &Gateway, nth: usize) -> String {
    node.publish("quiz", &format!(r#"{{"id":"e-{nth}","data":{nth}}}"#));
    nth.to_string()
}

#[test]
fn another_node_goes_on_where_the_owner_was_killed() {
    let Some(stage) = Stage::set(Cluster::replicated()) else {
        return;
    };
    let mut first = stage.node("first");
    ready(&first);
    let second = stage.node("second");
    assert!(!second.owns());
    let mut sent: BTreeSet<String> = (0..200).map(|nth| publish(&first, nth)).collect();
    first.process.kill();
    ready(&second);
    sent.extend((200..220).map(|nth| publish(&second, nth)));
    // An id that the killed node took is known to the next.
    let again = second.publish("quiz", r#"{"id":"e-7","data":7}"#);
    assert_eq!(again["duplicates"], 1, "{again}");
    second.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    let status = stage.command(&["status"]);
    assert!(status.out.contains("second"), "{status:?}");
    assert!(!status.out.contains("node     first"), "{status:?}");
}

/// A node that does not reach it either, and sees no beat of it, does not wait for the lease.
#[test]
fn an_owner_that_was_killed_is_replaced_long_before_its_lease_is_over() {
    let Some(mut stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    stage.timing = "lease_ms = 60000\n";
    let mut first = stage.node("first");
    ready(&first);
    let second = stage.node("second");
    let mut sent = BTreeSet::from([publish(&first, 0)]);
    // Its calls go: nothing of a node before it counts any more.
    first.drained("quiz");
    sent.extend((1..300).map(|nth| publish(&first, nth)));
    first.process.kill();
    ready(&second);
    sent.insert(publish(&second, 300));
    second.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    assert!(stage.longest_silence() < REPLACED_WITHIN);
}

#[test]
fn a_node_that_ends_hands_its_account_over() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let mut first = stage.node("first");
    ready(&first);
    let second = stage.node("second");
    let mut sent = BTreeSet::from([publish(&first, 0)]);
    // Its calls go: nothing of a node before it counts any more.
    first.drained("quiz");
    sent.extend((1..300).map(|nth| publish(&first, nth)));
    first.process.signal("TERM");
    let (status, log) = first.process.wait(SOON);
    assert_eq!(status.code(), Some(0), "{log}");
    ready(&second);
    sent.extend((300..310).map(|nth| publish(&second, nth)));
    second.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    assert!(log.contains("handed over"), "{log}");
    assert!(stage.longest_silence() < HANDED_WITHIN);
}

#[test]
fn an_owner_that_was_paused_finds_itself_replaced() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let first = stage.node("first");
    ready(&first);
    let second = stage.node("second");
    let mut sent: BTreeSet<String> = (0..200).map(|nth| publish(&first, nth)).collect();
    first.process.signal("STOP");
    ready(&second);
    first.process.signal("CONT");
    sent.extend((200..210).map(|nth| publish(&second, nth)));
    within(TAKEN_WITHIN, "the first finds out", || {
        (!first.owns()).then_some(())
    });
    second.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    let books = first.scrape();
    assert!(books.get("cuegate_events_unaccounted").abs() < 0.5);
    assert!(books.sum("cuegate_queue_events") < 0.5);
    let ended = second.process.log();
    assert!(ended.contains("this node owns the account"), "{ended}");
}

#[test]
fn the_owner_goes_on_where_its_database_fails_over() {
    let Some(mut stage) = Stage::set(Cluster::replicated()) else {
        return;
    };
    let node = stage.node("only");
    ready(&node);
    let mut sent: BTreeSet<String> = (0..50).map(|nth| publish(&node, nth)).collect();
    // Nothing is acknowledged that only one of the servers has.
    stage.database.freeze_standby();
    let refused = node.post("/v1/channels/quiz/events", r#"{"id":"e-50","data":50}"#);
    assert_eq!(refused.status, 503, "{refused:?}");
    stage.database.thaw_standby();
    let again = |nth: usize| {
        let body = format!(r#"{{"id":"e-{nth}","data":{nth}}}"#);
        within(TAKEN_WITHIN, "an event is taken", || {
            let answer = node.post("/v1/channels/quiz/events", &body);
            (answer.status == 202).then_some(())
        });
        nth.to_string()
    };
    sent.insert(again(50));
    stage.database.primary.kill();
    stage
        .database
        .standby
        .as_ref()
        .expect("a standby")
        .promote();
    sent.insert(again(51));
    sent.extend((52..60).map(|nth| publish(&node, nth)));
    node.drained("quiz");
    assert_eq!(stage.delivered(), sent);
}

#[test]
fn what_is_wrong_with_the_database_is_said_at_the_start() {
    let Some(database) = Cluster::alone() else {
        return;
    };
    let emulator = Emulator::start(&[]);
    let stage = Stage {
        database,
        emulator,
        user: "cuegate",
        timing: QUICK,
    };
    let start = |configuration: &str| {
        let mut node = Gateway::spawn(configuration, &[]);
        node.process.wait(SOON)
    };
    let (status, log) = start(&stage.configuration("first"));
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("cuegate cluster init"), "{log}");
    let made = [
        stage.command(&["init"]),
        stage.command(&["init", "--grants", "cue"]),
    ];
    assert!(made[0].out.contains("made the tables"), "{made:?}");
    assert!(made[1].out.contains("the tables are there"), "{made:?}");
    assert!(made[1].out.contains("TO \"cue\";"), "{made:?}");
    let nowhere = stage
        .database
        .url()
        .replace("cuegate@", "cuegate:secret-word@");
    let nowhere = nowhere.replace("/postgres?", "/nowhere?");
    let configuration = stage
        .configuration("first")
        .replace(&stage.database.url(), &nowhere);
    let (status, log) = start(&configuration);
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("nowhere") && !log.contains("secret-word"),
        "{log}"
    );
    let local = configuration.replace("\"aws\"", "\"local\"");
    let (status, log) = start(&local);
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("upstream.mode"), "{log}");
}
