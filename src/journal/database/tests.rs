//! The log on a real PostgreSQL. Without `CUEGATE_TEST_POSTGRES` the tests say that they were skipped.

#[path = "../../../tests/blackbox/support/ports.rs"]
mod ports;
#[expect(dead_code, reason = "the program's tests need more of it")]
#[path = "../../../tests/blackbox/support/postgres.rs"]
mod postgres;

use super::*;
use crate::cluster::Holder;
use crate::journal::log::{Block, Contents as _, Handed, Held, Phase};
use postgres::Cluster;

const SOON: Duration = Duration::from_secs(30);
const ARN: &str = "arn:aws:ivs:us-west-2:123456789012:channel/a";

/// A database with the tables, and a session to ask it.
struct Database {
    cluster: Cluster,
    runtime: Runtime,
    session: Session,
    key: Key,
}

impl Database {
    fn of(cluster: Option<Cluster>) -> Option<Self> {
        let cluster = cluster?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let address = Address::parse(&cluster.url()).expect("an address");
        let session = runtime.block_on(async {
            let mut session = Session::connect(&address, SOON).await.expect("a session");
            cluster::init(&mut session).await.expect("tables");
            session
        });
        let key = Key {
            cluster: "here".to_owned(),
            account: "123456789012".to_owned(),
            region: "us-west-2".to_owned(),
        };
        Some(Self {
            cluster,
            runtime,
            session,
            key,
        })
    }

    /// Takes the lease, and opens its log.
    fn take(&mut self, patience: Duration) -> (DatabaseLog, Replay) {
        let session = &mut self.session;
        let epoch = self.runtime.block_on(async {
            let lease = cluster::read(session, &self.key).await.expect("read");
            let seen = lease.map_or(0, |lease| lease.epoch);
            let me = Holder {
                node: "a".to_owned(),
                nonce: seen.to_string(),
                address: String::new(),
            };
            match cluster::take(session, &self.key, seen, &me).await {
                Ok(cluster::Taken::Ours(epoch)) => Epoch(epoch),
                other => panic!("{other:?}"),
            }
        });
        let shared = Shared {
            address: Address::parse(&self.cluster.url()).expect("an address"),
            key: self.key.clone(),
            epoch,
            patience,
            meters: Arc::new(Meters::off()),
        };
        connect(&shared, 1 << 30).expect("opened")
    }

    fn ask(&mut self, statement: &str) -> usize {
        let answer = self.session.run(statement, &[], SOON);
        self.runtime.block_on(answer).expect("an answer").rows.len()
    }

    /// Until there is an answer with a row.
    fn await_row(&mut self, statement: &str) {
        let deadline = Instant::now() + SOON;
        while self.ask(statement) == 0 {
            assert!(Instant::now() < deadline, "{statement}");
        }
    }
}

fn group(number: u64, replaces: std::ops::Range<u64>, bytes: usize) -> Group {
    let block = Block {
        arn: ARN.into(),
        replaces,
        number,
        bytes: vec![u8::try_from(number).expect("small"); bytes],
    };
    Group {
        blocks: vec![block],
        ..Group::default()
    }
}

/// What the log holds: number and length of each block, and what is beside them.
fn contents(log: &mut DatabaseLog) -> (Vec<(u64, usize)>, Held) {
    let replay = log.read_again().expect("read");
    let mut blocks = Vec::new();
    let held = replay.read(&mut |arn, number, bytes| {
        assert_eq!(arn, ARN);
        assert!(bytes.iter().all(|byte| u64::from(*byte) == number));
        blocks.push((number, bytes.len()));
    });
    (blocks, held.expect("whole"))
}

#[test]
fn groups_are_read_as_they_were_written() {
    let Some(mut database) = Database::of(Cluster::alone()) else {
        return;
    };
    let (mut log, before) = database.take(SOON);
    assert_eq!(before.last, 0);
    let begin = Group {
        n_floor: Some(7),
        counts: true,
        phase: Phase::Begin,
        letters: vec![
            (1, Some(b"one".to_vec())),
            (2, Some(b"two".to_vec())),
            (1 << 63, Some(b"beyond".to_vec())),
            (u64::MAX, Some(b"last".to_vec())),
        ],
        ..Group::default()
    };
    log.commit(begin).expect("written");
    // In three rows.
    for written in [
        group(0, 0..0, 600_000),
        group(1, 0..0, 5),
        group(2, 0..1, 6),
    ] {
        log.commit(written).expect("written");
    }
    let removal = Group {
        letters: vec![(1, Some(b"again".to_vec())), (1, None), (u64::MAX, None)],
        ..Group::default()
    };
    log.commit(removal).expect("written");
    let (blocks, held) = contents(&mut log);
    assert_eq!(blocks, [(1, 5), (2, 6)]);
    assert_eq!((held.n_floor, held.unclean, held.counts), (7, true, true));
    let beyond = (1 << 63, b"beyond".to_vec());
    assert_eq!(held.letters, [(2, b"two".to_vec()), beyond]);

    // Its next owner, and its end.
    let (mut next, _) = database.take(SOON);
    assert!(matches!(
        log.commit(group(3, 0..0, 5)),
        Err(CommitError::Fenced)
    ));
    assert!(
        matches!(log.repair(), Ok(Repair::Resent)),
        "nothing is left to send"
    );
    next.commit(group(3, 1..3, 8)).expect("written");
    let end = Group {
        phase: Phase::End { clean: true },
        ..Group::default()
    };
    next.commit(end).expect("written");
    let (blocks, held) = contents(&mut next);
    assert_eq!(blocks, [(3, 8)]);
    assert!(!held.unclean);

    // One that hands tokens over: no other is withheld, until the next has begun.
    let token = Handed {
        arn: ARN.to_owned(),
        left: engine::Span::from_millis(250),
        open: true,
    };
    let end = Group {
        phase: Phase::End { clean: false },
        handed: vec![token.clone()],
        ..Group::default()
    };
    next.commit(end).expect("written");
    let (_, held) = contents(&mut next);
    assert_eq!((held.unclean, held.handed), (false, vec![token]));
    let begin = Group {
        phase: Phase::Begin,
        ..Group::default()
    };
    next.commit(begin).expect("written");
    let (_, held) = contents(&mut next);
    assert_eq!((held.unclean, held.handed), (true, vec![]));
}

#[test]
fn a_snapshot_takes_the_place_of_all_before() {
    let Some(mut database) = Database::of(Cluster::alone()) else {
        return;
    };
    let (mut log, _) = database.take(SOON);
    for number in 0..3 {
        log.commit(group(number, 0..0, 200_000)).expect("written");
    }
    // One that comes no further, as far as a reader can tell.
    let first = log.next;
    log.write(Kind::Part(first), group(9, 0..0, 3))
        .expect("written");
    assert_eq!(contents(&mut log).0.len(), 3);

    let rest = Group {
        n_floor: Some(9),
        letters: vec![(4, Some(b"four".to_vec()))],
        ..Group::default()
    };
    let unopened = Whole::Unopened {
        arn: ARN.into(),
        numbers: 1..3,
    };
    log.rewrite(&mut std::iter::once(unopened), rest)
        .expect("written");
    log.commit(group(3, 0..0, 4)).expect("written");
    let expected = [(1, 200_000), (2, 200_000), (3, 4)];
    assert_eq!(contents(&mut log).0, expected);
    while log.obsolete.is_some() {
        log.look_after().expect("deleted");
    }
    assert_eq!(database.ask("SELECT 1 FROM cuegate_log WHERE seq <= 4"), 0);
    let (blocks, held) = contents(&mut log);
    assert_eq!(blocks, expected);
    assert_eq!((held.n_floor, held.unclean), (9, true));
    assert_eq!(held.letters, [(4, b"four".to_vec())]);

    // A row that is lost behind it is told, until a snapshot makes up for it.
    log.commit(group(4, 0..0, 4)).expect("written");
    database.ask("DELETE FROM cuegate_log WHERE seq = (SELECT max(seq) - 1 FROM cuegate_log)");
    let damage = log.read_again().expect("read").damage.expect("damage");
    assert!(damage.contains("is missing"), "{damage}");
    log.rewrite(&mut std::iter::empty(), Group::default())
        .expect("written");
    assert_eq!(contents(&mut log).0, []);
}

/// Not acknowledged while the standby does not have it, whatever the server answers; then in once.
#[test]
fn a_commit_in_doubt_is_sent_again() {
    let Some(mut database) = Database::of(Cluster::replicated()) else {
        return;
    };
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    for what in ["pg_cancel_backend", "pg_terminate_backend", "abs"] {
        let (mut log, _) = database.take(Duration::from_secs(3));
        let (before, _) = contents(&mut log);
        let number = before.len() as u64;
        database.cluster.freeze_standby();
        let committed = std::thread::spawn(move || {
            let result = log.commit(group(number, 0..0, 4));
            (log, result)
        });
        database.await_row(&format!("SELECT {what}(pid) {waiting}"));
        let (mut log, result) = committed.join().expect("ran");
        assert!(
            matches!(result, Err(CommitError::Failed(_))),
            "{what}: {result:?}"
        );
        assert!(log.repair().is_err(), "{what}: the standby is still away");
        database.cluster.thaw_standby();
        log.shared.patience = SOON;
        assert_eq!(log.repair().expect("sent"), Repair::Resent, "{what}");
        log.commit(group(number + 1, 0..0, 4)).expect("written");
        let expected: Vec<_> = (0..number + 2).map(|number| (number, 4)).collect();
        assert_eq!(contents(&mut log).0, expected, "{what}");
    }
}
