//! The producers' client (`crates/client`) against a real gateway: what it promises when the
//! gateway refuses, is killed, drains, or is slow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use cuegate_client::{
    Acknowledged, Client, Code, Error, Event, Merge, Purge, Receipt, Session, Update,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::process::{Gateway, command, local, run};
use crate::support::{SOON, eventually, ports, seed};

/// Lives of a gateway at one address, on one journal.
struct Home {
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Home {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            address: ports::free(),
        }
    }

    fn start(&self) -> Gateway {
        let rest = format!(
            "[server]\ndrain_timeout_ms = 200\n[journal]\ndir = \"{}\"\n\
             [channel_defaults]\nttl_ms = 600000\nqueue_max_bytes = 10000000\n",
            self.journal().display()
        );
        let listen = self.address.to_string();
        let environment = [("CUEGATE__SERVER__LISTEN", listen.as_str())];
        let mut gateway = Gateway::start_with(&local(&rest, &[("quiz", "")]), &environment);
        gateway.producers = self.address;
        gateway
    }

    fn client(&self) -> Client {
        client(self.address)
    }

    fn journal(&self) -> std::path::PathBuf {
        self.directory.path().join("journal")
    }

    /// The events that are in the books of a gateway that is gone: their data, in order.
    fn books(&self) -> Vec<u64> {
        let exported = run(
            command().args(["journal", "export"]).arg(self.journal()),
            "",
        );
        assert_eq!(exported.code, Some(0), "{exported:?}");
        let data = exported.out.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("JSON");
            event["data"].as_u64().expect("a number")
        });
        data.collect()
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(format!("http://{address}")).expect("a client")
}

fn event(data: u64) -> Event {
    Event::new(data).expect("JSON")
}

fn kill(mut gateway: Gateway) {
    gateway.process.kill();
    gateway.process.wait(SOON);
}

/// Stops a gateway, and waits until none of its threads runs any more.
fn stop(gateway: &Gateway) {
    gateway.process.signal("STOP");
    let tasks = format!("/proc/{}/task", gateway.process.id());
    eventually("it stands still", || {
        let mut tasks = std::fs::read_dir(&tasks).expect("its threads");
        let stands = tasks.all(|task| {
            let stat = task.map(|task| std::fs::read_to_string(task.path().join("stat")));
            // The state comes behind the name, which is in brackets.
            stat.is_ok_and(|stat| stat.is_ok_and(|stat| stat.contains(") T ")))
        });
        stands.then_some(())
    });
}

async fn acknowledged(receipt: Receipt) -> Acknowledged {
    let told = timeout(SOON, receipt).await.expect("in time");
    told.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends numbers from `first` on, in messages of 1 to 20 events.
async fn send(
    session: &Session,
    first: u64,
    events: u64,
    random: &mut fastrand::Rng,
) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    let mut next = first;
    while next < first + events {
        let many = random.u64(1..=20).min(first + events - next);
        let message: Vec<Event> = (next..next + many).map(event).collect();
        receipts.push(session.send(message).await.expect("a session"));
        next += many;
    }
    receipts
}

/// The gateway is killed in the middle, or drains, or stands still longer than the client has
/// patience: each event is in its books once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_in_the_books_once_whatever_becomes_of_the_gateway() {
    let mut random = fastrand::Rng::with_seed(seed());
    let home = Home::new();
    let mut gateway = home.start();
    home.client().pause("quiz").await.expect("paused");
    let session = home
        .client()
        .session("quiz")
        .ack_timeout(Duration::from_secs(1));
    let session = session.open().await.expect("a session");
    let mut receipts = Vec::new();
    let mut sent = 0;
    for trouble in ["KILL", "TERM", "STOP", "KILL"] {
        receipts.extend(send(&session, sent, 800, &mut random).await);
        sent += 800;
        // Some are acknowledged, and others are on their way.
        let some = random.usize(0..40);
        for receipt in receipts.drain(..some) {
            assert_eq!(acknowledged(receipt).await.rejected, []);
        }
        if trouble == "STOP" {
            stop(&gateway);
            receipts.extend(send(&session, sent, 100, &mut random).await);
            sent += 100;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            gateway.process.signal("CONT");
            continue;
        }
        gateway.process.signal(trouble);
        gateway.process.wait(SOON);
        receipts.extend(send(&session, sent, 100, &mut random).await);
        sent += 100;
        gateway = home.start();
    }
    for receipt in receipts {
        assert_eq!(acknowledged(receipt).await.rejected, []);
    }
    timeout(SOON, session.close())
        .await
        .expect("in time")
        .expect("closed");
    let status = home.client().status("quiz").await.expect("its status");
    assert_eq!((status.queued, status.state.as_str()), (sent, "paused"));
    kill(gateway);
    assert_eq!(home.books(), (0..sent).collect::<Vec<_>>());
}

/// Without resend nothing is sent twice, and whoever sent hears what is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_resend_what_is_not_known_is_told() {
    let home = Home::new();
    let gateway = home.start();
    home.client().pause("quiz").await.expect("paused");
    let session = home.client().session("quiz").resend(false);
    let session = session.ack_timeout(Duration::from_millis(500));
    let session = session.open().await.expect("a session");
    acknowledged(session.send(event(0)).await.expect("sent")).await;
    stop(&gateway);
    let lost = session.send(event(1)).await.expect("sent");
    let told = timeout(SOON, lost).await.expect("in time");
    assert!(matches!(told, Err(Error::Unreachable { .. })), "{told:?}");
    kill(gateway);
    let gateway = home.start();
    acknowledged(session.send(event(2)).await.expect("sent")).await;
    session.close().await.expect("closed");
    kill(gateway);
    assert_eq!(home.books(), [0, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_waits_for_a_gateway_that_is_slow() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let session = client(gateway.producers).session("quiz").window(8);
    let session = session.open().await.expect("a session");
    stop(&gateway);
    let mut receipts = Vec::new();
    for nth in 0..8 {
        receipts.push(session.send(event(nth)).await.expect("room"));
    }
    let full = timeout(Duration::from_millis(300), session.send(event(8))).await;
    assert!(full.is_err(), "the window is full");
    gateway.process.signal("CONT");
    let ninth = timeout(SOON, session.send(event(8))).await.expect("room");
    receipts.push(ninth.expect("a session"));
    for receipt in receipts {
        assert_eq!(acknowledged(receipt).await.rejected, []);
    }
    // The same by bytes: one message is let through, though it is larger than the window.
    let session = client(gateway.producers).session("quiz").window_bytes(10);
    let session = session.open().await.expect("a session");
    stop(&gateway);
    let first = session.send(vec![event(0), event(1)]).await.expect("sent");
    let full = timeout(Duration::from_millis(300), session.send(event(8))).await;
    assert!(full.is_err(), "the window is full");
    gateway.process.signal("CONT");
    acknowledged(first).await;
    session.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_types() {
    let gateway = Gateway::start(&local("", &[("quiz", "queue_max_events = 5\n")]));
    let client = client(gateway.producers);
    client.pause("quiz").await.expect("paused");
    let events: Vec<Event> = (0..8).map(event).collect();
    let published = client.publish("quiz", &events).await.expect("some");
    let codes: Vec<_> = published
        .rejected
        .iter()
        .map(|rejected| (rejected.index, rejected.code.clone()))
        .collect();
    assert_eq!(published.accepted, 5);
    assert_eq!(published.queued, Some(5));
    assert_eq!(codes, [5, 6, 7].map(|index| (index, Code::QueueFull)));
    assert!(published.rejected[0].retry_after().is_some());

    let all = client.publish("quiz", &events).atomic().await;
    let refusal = all
        .expect_err("full")
        .refusal()
        .cloned()
        .expect("a refusal");
    assert_eq!(
        (refusal.code, refusal.status.as_u16()),
        (Code::QueueFull, 429)
    );
    assert!(refusal.retry_after.is_some_and(|after| !after.is_zero()));

    let session = client.session("quiz").open().await.expect("a session");
    let bad = event(1).merge(Merge::Sum);
    let receipt = session.send(vec![bad, event(2)]).await.expect("sent");
    let told = acknowledged(receipt).await;
    let codes: Vec<_> = told.rejected.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(
        (codes, told.queued),
        (vec!["invalid_event", "queue_full"], 5)
    );

    for (failed, code, status) in [
        (
            client.status("nowhere").await.map(drop),
            Code::UnknownChannel,
            404,
        ),
        (
            client.cancel("quiz", "nobody").await,
            Code::UnknownEvent,
            404,
        ),
        (
            client.purge("quiz", Purge::Kind("")).await.map(drop),
            Code::Malformed,
            400,
        ),
        (
            client.session("nowhere").open().await.map(drop),
            Code::UnknownChannel,
            404,
        ),
        (
            client.payloads("nowhere", None).await.map(drop),
            Code::UnknownChannel,
            404,
        ),
    ] {
        let error = failed.expect_err("a refusal");
        let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
        assert_eq!((&refusal.code, refusal.status.as_u16()), (&code, status));
        assert!(!error.is_retryable());
    }
    let nobody = self::client(ports::free());
    let error = nobody.status("quiz").await.expect_err("nobody is there");
    assert!(error.is_retryable(), "{error}");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_taken_once() {
    // The queue is full until the channel goes on.
    let gateway = Gateway::start(&local("", &[("quiz", "queue_max_events = 5\n")]));
    let full = client(gateway.producers);
    full.pause("quiz").await.expect("paused");
    let events: Vec<Event> = (0..5).map(event).collect();
    full.publish("quiz", &events).await.expect("taken");
    let trying = full.clone();
    let trying = tokio::spawn(async move {
        let publish = trying.publish("quiz", event(5)).retry_for(SOON);
        publish.await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!trying.is_finished(), "it waits");
    full.resume("quiz").await.expect("resumed");
    let published = trying.await.expect("a task").expect("taken");
    assert_eq!((published.accepted, published.duplicates), (1, 0));

    // The gateway is killed before it answers, and comes back.
    let home = Home::new();
    let gateway = home.start();
    home.client().pause("quiz").await.expect("paused");
    stop(&gateway);
    let trying = home.client();
    let trying = tokio::spawn(async move {
        let events: Vec<Event> = (0..10).map(event).collect();
        trying.publish("quiz", events).retry_for(SOON).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.process.signal("CONT");
    kill(gateway);
    let gateway = home.start();
    let published = trying.await.expect("a task").expect("taken");
    assert_eq!(published.accepted + published.duplicates, 10);
    kill(gateway);
    assert_eq!(home.books(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_where_no_try_can_help() {
    let home = Home::new();
    let gateway = home.start();
    let client = home.client();
    let session = client
        .session("quiz")
        .give_up_after(Duration::from_millis(500));
    let session = session.open().await.expect("a session");
    kill(gateway);
    let receipt = session.send(event(1)).await;
    let error = match receipt {
        Ok(receipt) => timeout(SOON, receipt).await.expect("in time").map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(error, Err(Error::Unreachable { .. })), "{error:?}");
    assert!(
        session.send(event(2)).await.is_err(),
        "and so for all after it"
    );
    assert!(session.close().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_operated_and_followed() {
    let gateway = Gateway::start(&local("", &[("a", ""), ("quiz", "")]));
    let client = client(gateway.producers);
    let all = client.channels().await.expect("a list");
    let names: Vec<_> = all.channels.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        (names, all.upstream.mode.as_str()),
        (vec!["a", "quiz"], "local")
    );

    let mut payloads = client.payloads("quiz", None).await.expect("a stream");
    let wait = client.publish("quiz", event(1)).wait(SOON).await;
    let published = wait.expect("delivered");
    assert_eq!((published.delivered, published.pending), (Some(1), Some(0)));
    let mut next = async || match timeout(SOON, payloads.next()).await {
        Ok(Ok(Update::Payload { n: Some(n), text })) => (n, text),
        other => panic!("{other:?}"),
    };
    let (first, text) = next().await;
    assert!(text.contains(r#""e":[{"d":1}]"#), "{text}");
    let wait = client.publish("quiz", event(2)).wait(SOON).await;
    wait.expect("delivered");
    let (second, _) = next().await;
    let mut again = client
        .payloads("quiz", Some(first))
        .await
        .expect("a stream");
    let missed = timeout(SOON, again.next()).await.expect("in time");
    assert!(matches!(missed, Ok(Update::Payload { n: Some(n), .. }) if n == second));

    client.pause("quiz").await.expect("paused");
    let kinds = ["x", "y", "x"].map(|kind| event(3).kind(kind).key("k"));
    client.publish("quiz", kinds.to_vec()).await.expect("taken");
    client
        .publish("quiz", event(4).id("four"))
        .await
        .expect("taken");
    let purge = async |which| client.purge("quiz", which).await.expect("purged");
    assert_eq!(purge(Purge::KindAndKey("x", "other")).await, 0);
    assert_eq!(purge(Purge::Kind("x")).await, 2);
    client.cancel("quiz", "four").await.expect("cancelled");
    assert_eq!(purge(Purge::All).await, 1);
    let status = client.status("quiz").await.expect("its status");
    assert_eq!((status.queued, status.totals.cancelled), (0, 4));
    assert!(status.paused_ms.is_some() && status.eta_ms.is_none());
    client.resume("quiz").await.expect("resumed");
    assert_eq!(client.status("quiz").await.expect("it").state, "live");

    // Events that name their channels.
    let session = client.session_to_many().open().await.expect("a session");
    let many = vec![event(5).channel("a"), event(6).channel("quiz")];
    acknowledged(session.send(many.clone()).await.expect("sent")).await;
    session.close().await.expect("closed");
    let published = client.publish_to_many(many).idempotency_key("k").await;
    assert_eq!(published.expect("taken").accepted, 2);
    let taken: BTreeMap<_, _> = client
        .channels()
        .await
        .expect("a list")
        .channels
        .into_iter()
        .map(|it| (it.name, it.totals.accepted))
        .collect();
    let mut shown = String::new();
    for (name, accepted) in taken {
        let _ = write!(shown, "{name} {accepted} ");
    }
    assert_eq!(shown, "a 2 quiz 8 ");
}
