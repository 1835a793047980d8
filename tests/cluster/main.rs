//! The shared store against a real PostgreSQL, a primary and its synchronous standby, with what goes
//! wrong between them. Without `CUEGATE_TEST_POSTGRES` the tests say that they were skipped.

#[path = "../blackbox/support/ports.rs"]
mod ports;
#[path = "../blackbox/support/postgres.rs"]
mod postgres;

use std::future::Future;
use std::time::Duration;

use cuegate::cluster::rows::{self, Appended, Entry, Position};
use cuegate::cluster::{self, Durability, Holder, Key, Node, SchemaError, Taken};
use cuegate::postgres::{Address, Error, Session};
use postgres::Cluster;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn session(cluster: &Cluster) -> Session {
    let address = Address::parse(&cluster.url()).expect("an address");
    Session::connect(&address, SOON).await.expect("a session")
}

/// A session with the tables there.
async fn ready(cluster: &Cluster) -> Session {
    let mut session = session(cluster).await;
    cluster::init(&mut session).await.expect("tables");
    session
}

fn key(cluster: &str) -> Key {
    Key {
        cluster: cluster.to_owned(),
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
    }
}

fn holder(nonce: &str) -> Holder {
    Holder {
        node: "a".to_owned(),
        nonce: nonce.to_owned(),
        address: "127.0.0.1:8082".to_owned(),
    }
}

fn entry(seq: u64) -> Entry {
    Entry {
        seq,
        parts: vec![seq.to_be_bytes().to_vec()],
        ..Entry::default()
    }
}

async fn seqs(session: &mut Session, key: &Key) -> Vec<(u64, u64)> {
    let mut position = Position::default();
    let mut found = Vec::new();
    loop {
        let page = rows::page(session, key, &mut position).await.expect("rows");
        if page.is_empty() {
            return found;
        }
        found.extend(page.iter().map(|row| (row.epoch, row.seq)));
    }
}

/// Asks until it answers with something.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, asking).await.expect(what)
}

/// Does `what` to every session whose commit waits for the standby; how many there were.
async fn to_waiting(session: &mut Session, what: &str) -> usize {
    let statement =
        format!("SELECT {what}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    let done = session.run(&statement, &[], SOON).await.expect("an answer");
    done.rows.len()
}

async fn to_one_waiting(session: &mut Session, what: &str) {
    let waited = async { while to_waiting(session, what).await == 0 {} };
    tokio::time::timeout(SOON, waited)
        .await
        .expect("a commit that waits");
}

#[tokio::test]
async fn tables_have_versions() {
    let Some(cluster) = Cluster::alone() else {
        return;
    };
    let mut session = session(&cluster).await;
    let missing = cluster::check_version(&mut session).await;
    assert!(matches!(missing, Err(SchemaError::Missing)), "{missing:?}");
    let error = cluster::read(&mut session, &key("a"))
        .await
        .expect_err("no table");
    assert!(
        error.to_string().contains("run `cuegate cluster init`"),
        "{error}"
    );

    assert_eq!(cluster::init(&mut session).await.expect("made"), 0);
    assert_eq!(
        cluster::init(&mut session).await.expect("again"),
        cluster::VERSION
    );
    cluster::check_version(&mut session)
        .await
        .expect("of this version");

    // As a program of version 1 left them.
    for change in [
        "ALTER TABLE cuegate_lease DROP COLUMN move_epoch, DROP COLUMN move_to",
        "DELETE FROM cuegate_schema WHERE version = 2",
    ] {
        session.run(change, &[], SOON).await.expect("changed");
    }
    let older = cluster::check_version(&mut session).await;
    assert!(matches!(older, Err(SchemaError::Older(1))), "{older:?}");
    assert_eq!(cluster::init(&mut session).await.expect("brought up"), 1);
    cluster::check_version(&mut session)
        .await
        .expect("of this version");
    let lease = cluster::read(&mut session, &key("a")).await;
    assert_eq!(lease.expect("read"), None);
    for (change, expected) in [
        (
            "INSERT INTO cuegate_schema (version) VALUES (1000)",
            "update this program",
        ),
        ("DELETE FROM cuegate_schema", "has no tables"),
    ] {
        session.run(change, &[], SOON).await.expect("changed");
        let error = cluster::check_version(&mut session)
            .await
            .expect_err(change);
        assert!(error.to_string().contains(expected), "{error}");
    }

    let durability = cluster::durability(&mut session).await.expect("settings");
    let expected = Durability {
        synchronous_commit: "on".to_owned(),
        standbys: String::new(),
    };
    assert_eq!(durability, expected);
    assert!(
        durability
            .warning()
            .is_some_and(|text| text.contains("synchronous_standby_names"))
    );
    session
        .run("SET synchronous_commit = off", &[], SOON)
        .await
        .expect("set");
    let off = cluster::durability(&mut session).await;
    assert!(
        matches!(off, Err(SchemaError::CommitsAreNotWaitedFor)),
        "{off:?}"
    );
}

#[tokio::test]
async fn a_role_needs_the_rights_that_are_printed() {
    let Some(cluster) = Cluster::alone() else {
        return;
    };
    let mut owner = ready(&cluster).await;
    owner
        .run("CREATE ROLE node LOGIN", &[], SOON)
        .await
        .expect("a role");
    let url = cluster.url().replace("cuegate@", "node@");
    let address = Address::parse(&url).expect("an address");
    let mut node = Session::connect(&address, SOON).await.expect("a session");
    let error = cluster::read(&mut node, &key("a"))
        .await
        .expect_err("no right");
    assert!(error.to_string().contains("prints the GRANTs"), "{error}");
    for grant in cluster::grants("node")
        .split(';')
        .filter(|grant| !grant.trim().is_empty())
    {
        owner.run(grant, &[], SOON).await.expect("granted");
    }
    cluster::check_version(&mut node)
        .await
        .expect("the version");
    let taken = cluster::take(&mut node, &key("a"), 0, &holder("1")).await;
    assert_eq!(taken.expect("taken"), Taken::Ours(1));
    let appended = rows::append(&mut node, &key("a"), 1, &entry(1), SOON).await;
    assert_eq!(appended.expect("appended"), Appended::Durable);
}

#[tokio::test]
async fn an_owner_of_before_writes_nothing() {
    let Some(cluster) = Cluster::replicated() else {
        return;
    };
    let mut session = ready(&cluster).await;
    let (here, there) = (key("here"), key("there"));
    assert_eq!(
        cluster::read(&mut session, &here).await.expect("read"),
        None
    );
    for (key, epoch, nonce) in [(&here, 1, "1"), (&there, 1, "2"), (&here, 2, "3")] {
        let taken = cluster::take(&mut session, key, epoch - 1, &holder(nonce)).await;
        assert_eq!(taken.expect("taken"), Taken::Ours(epoch));
        let late = cluster::take(&mut session, key, epoch - 1, &holder("late")).await;
        assert_eq!(late.expect("answered"), Taken::Changed);
        let lease = cluster::read(&mut session, key)
            .await
            .expect("read")
            .expect("a lease");
        assert!(lease.is_of(nonce) && !lease.is_of("late"), "{lease:?}");
        let first = entry(epoch);
        let appended = rows::append(&mut session, key, epoch, &first, SOON).await;
        assert_eq!(appended.expect("appended"), Appended::Durable);
    }
    let letter = Entry {
        letters: vec![(1, b"letter".to_vec())],
        ..entry(2)
    };
    let fenced = rows::append(&mut session, &here, 1, &letter, SOON).await;
    assert_eq!(fenced.expect("answered"), Appended::Fenced);
    assert_eq!(seqs(&mut session, &here).await, [(1, 1), (2, 2)]);
    assert_eq!(seqs(&mut session, &there).await, [(1, 1)]);
    assert_eq!(
        rows::letters(&mut session, &here).await.expect("letters"),
        []
    );
    rows::prune(&mut session, &here, 1, 2)
        .await
        .expect("answered");
    assert_eq!(seqs(&mut session, &here).await, [(1, 1), (2, 2)], "fenced");
    while rows::prune(&mut session, &here, 2, 2)
        .await
        .expect("pruned")
    {}
    assert_eq!(seqs(&mut session, &here).await, [(2, 2)]);

    assert!(
        !cluster::release(&mut session, &here, 1)
            .await
            .expect("answered")
    );
    assert!(
        cluster::release(&mut session, &here, 2)
            .await
            .expect("released")
    );
    let all = cluster::read_all(&mut session, "here")
        .await
        .expect("leases");
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].2.epoch, &all[0].2.holder), (2, &None));
}

#[tokio::test]
async fn letters_go_with_their_group() {
    let Some(cluster) = Cluster::alone() else {
        return;
    };
    let mut session = ready(&cluster).await;
    let key = key("a");
    cluster::take(&mut session, &key, 0, &holder("1"))
        .await
        .expect("taken");
    let large = Entry {
        parts: vec![vec![1; rows::ROW_BYTES], vec![2; 3]],
        letters: vec![(1, b"one".to_vec()), (2, b"two".to_vec())],
        ..entry(1)
    };
    let second = Entry {
        letters: vec![(2, b"changed".to_vec())],
        removed: vec![1],
        ..entry(2)
    };
    for entry in [&large, &second] {
        let appended = rows::append(&mut session, &key, 1, entry, SOON).await;
        assert_eq!(appended.expect("appended"), Appended::Durable);
    }
    let again = rows::append(&mut session, &key, 1, &large, SOON).await;
    assert_eq!(again.expect("answered"), Appended::Unconfirmed);
    let letters = rows::letters(&mut session, &key).await.expect("letters");
    assert_eq!(letters, [(2, b"changed".to_vec())]);
    let mut position = Position::default();
    let read = rows::page(&mut session, &key, &mut position)
        .await
        .expect("rows");
    let read: Vec<_> = read
        .iter()
        .map(|row| (row.seq, row.part, row.block.len()))
        .collect();
    assert_eq!(read, [(1, 1, rows::ROW_BYTES), (1, 2, 3), (2, 1, 8)]);
}

/// A commit that waits for its standby has not ended, so that a taker cannot read a log that lacks it.
#[tokio::test]
async fn a_take_waits_for_a_commit_that_is_under_way() {
    let Some(cluster) = Cluster::replicated() else {
        return;
    };
    let (mut owner, mut taker) = (ready(&cluster).await, session(&cluster).await);
    let key = key("a");
    cluster::take(&mut owner, &key, 0, &holder("1"))
        .await
        .expect("taken");
    cluster.freeze_standby();
    let its = key.clone();
    let first =
        tokio::spawn(async move { rows::append(&mut owner, &its, 1, &entry(1), SOON).await });
    let mut other = session(&cluster).await;
    to_one_waiting(&mut other, "abs").await;
    let early = cluster::take(&mut taker, &key, 1, &holder("2")).await;
    assert!(
        early.is_err_and(|error| !error.is_in_doubt()),
        "it waited for the lock in vain"
    );
    assert!(!first.is_finished());
    cluster.thaw_standby();
    assert_eq!(
        first.await.expect("ran").expect("appended"),
        Appended::Durable
    );
    let late = cluster::take(&mut taker, &key, 1, &holder("2")).await;
    assert_eq!(late.expect("taken"), Taken::Ours(2));
    assert_eq!(seqs(&mut taker, &key).await, [(1, 1)]);
}

/// The server answers `INSERT 0 1` although no standby has it: only a notice says so.
#[tokio::test]
async fn a_commit_whose_wait_is_cancelled_is_not_confirmed() {
    let Some(cluster) = Cluster::replicated() else {
        return;
    };
    let mut other = ready(&cluster).await;
    let key = key("a");
    cluster::take(&mut other, &key, 0, &holder("1"))
        .await
        .expect("taken");
    for (seq, what) in [(1, "pg_cancel_backend"), (2, "pg_terminate_backend")] {
        let mut owner = session(&cluster).await;
        cluster.freeze_standby();
        let its = key.clone();
        let append =
            tokio::spawn(async move { rows::append(&mut owner, &its, 1, &entry(seq), SOON).await });
        to_one_waiting(&mut other, what).await;
        match append.await.expect("ran") {
            Ok(Appended::Unconfirmed) => {}
            Err(Error::Lost(_)) if what == "pg_terminate_backend" => {}
            answer => panic!("{what}: {answer:?}"),
        }
        cluster.thaw_standby();
        let again = rows::append(&mut other, &key, 1, &entry(seq), SOON).await;
        assert_eq!(again.expect("answered"), Appended::Unconfirmed, "it was in");
    }
    let next = rows::append(&mut other, &key, 1, &entry(3), SOON).await;
    assert_eq!(next.expect("appended"), Appended::Durable);
    assert_eq!(seqs(&mut other, &key).await, [(1, 1), (1, 2), (1, 3)]);
}

#[tokio::test]
async fn what_was_confirmed_survives_the_primary() {
    let Some(mut cluster) = Cluster::replicated() else {
        return;
    };
    let mut before = ready(&cluster).await;
    let key = key("a");
    cluster::take(&mut before, &key, 0, &holder("1"))
        .await
        .expect("taken");
    for seq in 1..=20 {
        let appended = rows::append(&mut before, &key, 1, &entry(seq), SOON).await;
        assert_eq!(appended.expect("appended"), Appended::Durable);
    }
    cluster.primary.kill();
    let lost = rows::append(&mut before, &key, 1, &entry(21), SOON).await;
    assert!(lost.is_err_and(|error| error.is_in_doubt()));
    cluster.standby.as_ref().expect("a standby").promote();
    let address = Address::parse(&cluster.url()).expect("an address");
    let mut after = eventually("a promoted standby", || async {
        Session::connect(&address, SOON).await.ok()
    })
    .await;
    let expected: Vec<_> = (1..=20).map(|seq| (1, seq)).collect();
    assert_eq!(seqs(&mut after, &key).await, expected);
    let appended = rows::append(&mut after, &key, 1, &entry(21), SOON).await;
    assert_eq!(appended.expect("appended"), Appended::Durable);
}

#[tokio::test]
async fn beats_move_without_the_standby() {
    let Some(cluster) = Cluster::replicated() else {
        return;
    };
    ready(&cluster).await;
    cluster.freeze_standby();
    let address = Address::parse(&cluster.url()).expect("an address");
    let address = address.without_waiting_for_commits();
    let mut session = Session::connect(&address, SOON).await.expect("a session");
    let node = Node {
        node: "a".to_owned(),
        name: "one".to_owned(),
        address: "127.0.0.1:8082".to_owned(),
        version: "0.1.0".to_owned(),
    };
    for beat in 1..=3 {
        cluster::beat(&mut session, "here", &node)
            .await
            .expect("a beat");
        let nodes = cluster::nodes(&mut session, "here").await.expect("nodes");
        assert_eq!(nodes, [(node.clone(), beat)]);
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let Some(cluster) = Cluster::alone() else {
        return;
    };
    let server = cluster.primary.address;
    let unused = ports::free();
    for (url, expected) in [
        (
            format!("postgres://cuegate@{server}/nowhere"),
            "create the database",
        ),
        (
            format!("postgres://nobody:hunter2@{server}/postgres"),
            "\"nobody\" does not exist",
        ),
        (format!("postgres://cuegate@{unused}/postgres"), "refused"),
        (
            format!("postgres://cuegate@{server}/postgres?sslmode=require"),
            "TLS",
        ),
        (
            format!("postgres://cuegate@{server}/postgres?target_session_attrs=read-only"),
            "read",
        ),
    ] {
        let address = Address::parse(&url).expect("an address");
        let error = Session::connect(&address, SOON)
            .await
            .err()
            .expect(&url)
            .to_string();
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{url}: {error}"
        );
    }
    let address = Address::parse(&cluster.url()).expect("an address");
    let mut sessions = Vec::new();
    let full = loop {
        match Session::connect(&address, SOON).await {
            Ok(session) => sessions.push(session),
            Err(error) => break error.to_string(),
        }
        assert!(sessions.len() < 100);
    };
    assert!(full.contains("raise max_connections"), "{full}");
}
