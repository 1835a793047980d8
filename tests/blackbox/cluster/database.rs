//! The database of a cluster: what `cuegate cluster check` finds, the rights that suffice, the rows that
//! are forgotten.

use super::{Stage, TAKEN_WITHIN, publish, ready};
use crate::support::postgres::Cluster;
use crate::support::sql::Sql;
use crate::support::within;

fn sql(stage: &Stage) -> Sql {
    Sql::connect(stage.database.primary.address).expect("a session")
}

#[test]
fn a_check_says_what_the_database_keeps_and_costs() {
    let Some(stage) = Stage::set(Cluster::replicated()) else {
        return;
    };
    let checked = stage.command(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let lines: Vec<_> = checked.out.lines().collect();
    for (nth, (begin, part)) in [
        ("server    127.0.0.1:", "PostgreSQL"),
        ("settings  ", "synchronous_standby_names = '*'"),
        ("sessions  ", " of 100"),
        ("clock     ", " ms from this machine's"),
        ("commit    p50 ", " of 200"),
        ("take      p50 ", " of 20"),
        ("fence     ", "wrote nothing"),
        // The servers of the tests do not wait for their disks.
        ("warning   ", "fsync"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = lines[nth];
        assert!(line.starts_with(begin) && line.contains(part), "{line}");
    }
    // Nothing of it is left, and it owns nothing.
    let database = sql(&stage);
    for table in ["lease", "log", "node"] {
        let rows = database.rows(&format!("SELECT * FROM cuegate_{table}"));
        assert!(rows.is_empty(), "{table}: {rows:?}");
    }
    // Commits that nobody waits for are none.
    database.rows("ALTER ROLE cuegate SET synchronous_commit = local");
    let checked = stage.command(&["check"]);
    assert!(
        checked.out.contains("does not wait for the standby"),
        "{checked:?}"
    );
    database.rows("ALTER ROLE cuegate SET synchronous_commit = off");
    let checked = stage.command(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(
        checked.err.contains("synchronous_commit = off"),
        "{checked:?}"
    );
}

#[test]
fn a_check_warns_where_no_standby_is_named() {
    let Some(database) = Cluster::alone() else {
        return;
    };
    let Some(stage) = Stage::set(Some(database)) else {
        return;
    };
    let checked = stage.command(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.out.contains("synchronous_standby_names is empty"),
        "{checked:?}"
    );
}

#[test]
fn the_rights_that_are_printed_suffice() {
    let Some(mut stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let granted = stage.command(&["init", "--grants", "cue"]);
    let database = sql(&stage);
    database.rows("CREATE ROLE cue LOGIN");
    let statements = granted.out.lines().filter(|line| line.starts_with("GRANT"));
    for statement in statements {
        database.rows(statement);
    }
    stage.user = "cue";
    let may_make = database.rows("SELECT has_schema_privilege('cue', 'public', 'CREATE')");
    assert_eq!(may_make, [["f"]]);
    for command in ["init", "check", "status"] {
        let done = stage.command(&[command]);
        assert_eq!(done.code, Some(0), "{command}: {done:?}");
    }
    let mut first = stage.node("first");
    ready(&first);
    let mut sent: std::collections::BTreeSet<_> = (0..50).map(|nth| publish(&first, nth)).collect();
    first.pause("quiz");
    first.resume("quiz");
    first.process.kill();
    let second = stage.node("second");
    ready(&second);
    sent.extend((50..60).map(|nth| publish(&second, nth)));
    second.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    for node in [&first.process, &second.process] {
        let log = node.log();
        assert!(!log.contains("permission denied"), "{log}");
    }
}

#[test]
fn tables_may_be_made_by_several_at_once() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let database = sql(&stage);
    for _ in 0..3 {
        database.rows("DROP SCHEMA public CASCADE");
        database.rows("CREATE SCHEMA public");
        std::thread::scope(|scope| {
            let inits: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| stage.command(&["init"])))
                .collect();
            for init in inits {
                let done = init.join().expect("an end");
                assert_eq!(done.code, Some(0), "{done:?}");
            }
        });
        assert_eq!(stage.command(&["check"]).code, Some(0));
    }
}

#[test]
fn nodes_that_are_long_gone_are_forgotten() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let database = sql(&stage);
    let rows = [("gone", 25, ""), ("late", 23, ""), ("owner", 25, "owner")];
    for (node, hours, owns) in rows {
        database.rows(&format!(
            "INSERT INTO cuegate_node (cluster, node, name, address, version, beat, at)
            VALUES ('cuegate', '{node}', '{node}', '', '', 1, clock_timestamp() - interval '{hours} hours')"
        ));
        if !owns.is_empty() {
            database.rows(&format!(
                "INSERT INTO cuegate_lease (cluster, account, region, epoch, node, nonce, address)
                VALUES ('cuegate', '111111111111', 'eu-west-1', 1, '{owns}', 'x', '')"
            ));
        }
    }
    let _node = stage.node("first");
    within(TAKEN_WITHIN, "what is gone is forgotten", || {
        let names = database.rows("SELECT name FROM cuegate_node ORDER BY name");
        let names: Vec<_> = names.iter().map(|row| row[0].as_str()).collect();
        (names == ["first", "late", "owner"]).then_some(())
    });
}
