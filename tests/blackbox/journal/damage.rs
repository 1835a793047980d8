//! A journal with less in it than was promised stops the start, and nothing of it is changed: by a
//! start or by the tools that read it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::shim::Shim;
use super::{Journal, copy_all, kill, log_file, used};
use crate::support::SOON;
use crate::support::process::{Gateway, command, run};

/// Every file with what is in it, but for the lock's holder.
pub fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut look = vec![dir.to_owned()];
    while let Some(dir) = look.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files.insert(path.clone(), Vec::new());
                look.push(path);
            } else {
                let is_lock = path.ends_with("lock");
                let log = std::fs::read(&path).expect("a file");
                let length = if is_lock { 0 } else { used(&log) };
                files.insert(path, log[..length].to_vec());
            }
        }
    }
    files
}

/// A journal with three events that were promised one after another, of a process that was killed.
fn three(journal: &Journal, environment: &[(&str, &str)]) {
    let first = Gateway::start_with(&journal.config(), environment);
    first.pause("quiz");
    for n in 0..3 {
        first.publish("quiz", &format!(r#"{{"data":"event-{n}"}}"#));
    }
    kill(first);
}

fn rewrite(log: &Path, change: impl FnOnce(&mut Vec<u8>, usize)) {
    let mut bytes = std::fs::read(log).expect("the log");
    let end = used(&bytes);
    change(&mut bytes, end);
    std::fs::write(log, bytes).expect("written");
}

fn cut_in_half(log: &Path) {
    rewrite(log, |log, end| log[end / 2..].fill(0));
}

type Damage = (&'static str, fn(&Path));

const DAMAGES: &[Damage] = &[
    ("current names another", |dir| {
        std::fs::write(dir.join("current"), "generation-2\n").expect("written");
    }),
    ("current is missing", |dir| {
        std::fs::remove_file(dir.join("current")).expect("removed");
    }),
    ("current is noise", |dir| {
        std::fs::write(dir.join("current"), [0xff, 0x07, 0x80]).expect("written");
    }),
    ("current and the mark are missing", |dir| {
        std::fs::remove_file(dir.join("current")).expect("removed");
        std::fs::remove_file(dir.join("promised")).expect("removed");
    }),
    ("the log is missing", |dir| {
        std::fs::remove_file(log_file(dir)).expect("removed");
    }),
    ("the log is emptied", |dir| {
        std::fs::write(log_file(dir), "").expect("written");
    }),
    ("the log is zeros", |dir| {
        rewrite(&log_file(dir), |log, _| log.fill(0));
    }),
    ("the log is cut in half", |dir| cut_in_half(&log_file(dir))),
    ("the log lost its last byte but one", |dir| {
        rewrite(&log_file(dir), |log, end| log.truncate(end - 2));
    }),
    ("the log is noise", |dir| {
        rewrite(&log_file(dir), |log, end| {
            for (at, byte) in log[..end].iter_mut().enumerate() {
                *byte = u8::try_from(at * 131 % 251).expect("a byte") | 1;
            }
        });
    }),
    ("the mark is noise", |dir| {
        std::fs::write(dir.join("promised"), [0x55; 1024]).expect("written");
    }),
];

#[test]
fn less_than_was_promised_stops_the_start_and_changes_nothing() {
    let journal = Journal::new("");
    three(&journal, &[]);
    let whole = tempfile::tempdir().expect("a directory");
    copy_all(&journal.path(), whole.path());
    let temporary = tempfile::tempdir().expect("a directory");
    for (what, damage) in DAMAGES {
        std::fs::remove_dir_all(journal.path()).expect("removed");
        copy_all(whole.path(), &journal.path());
        damage(&journal.path());
        let before = everything(&journal.path());
        for tool in ["check", "list", "export"] {
            let ended = run(
                command()
                    .args(["journal", tool])
                    .arg(journal.path())
                    .env("TMPDIR", temporary.path()),
                "",
            );
            assert_eq!(ended.code, Some(1), "{what}: {tool}: {ended:?}");
            assert!(!ended.out.contains("ok:"), "{what}: {ended:?}");
            assert_eq!(everything(&journal.path()), before, "{what}: {tool}");
        }
        let left = std::fs::read_dir(temporary.path()).expect("a directory");
        assert_eq!(left.count(), 0, "{what}: copies are removed");
        let mut gateway = Gateway::spawn(&journal.config(), &[]);
        let (status, log) = gateway.process.wait(SOON);
        assert_eq!(status.code(), Some(1), "{what}: {log}");
        assert!(log.contains("is damaged"), "{what}: {log}");
        assert_eq!(everything(&journal.path()), before, "{what}: serve");
    }
    // What can still be read is exported, and the exit says that something is missing.
    std::fs::remove_dir_all(journal.path()).expect("removed");
    copy_all(whole.path(), &journal.path());
    std::fs::remove_file(journal.path().join("current")).expect("removed");
    let exported = journal.tool("export");
    assert_eq!(exported.out.lines().count(), 3, "{exported:?}");
}

/// `os` does not promise what another boot does not find; `fsync` does.
#[test]
fn another_boot_may_find_less_only_where_the_mode_says_so() {
    for (mode, goes_on) in [("os", true), ("fsync", false)] {
        let journal = Journal::new("");
        let shim = Shim::new(&journal.path());
        let environment = shim.environment();
        let mut environment: Vec<(&str, &str)> =
            environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
        environment.push(("CUEGATE__JOURNAL__MODE", mode));
        three(&journal, &environment);
        let before = std::fs::read(log_file(&journal.path())).expect("the log");
        rewrite(&log_file(&journal.path()), |log, end| {
            log[end - 30..].fill(0);
        });
        let damaged = everything(&journal.path());
        // Within the boot that promised it, it is damage whatever the mode.
        let mut second = Gateway::spawn(&journal.config(), &environment);
        let (status, log) = second.process.wait(SOON);
        assert_eq!(status.code(), Some(1), "{mode}: {log}");
        assert_eq!(everything(&journal.path()), damaged, "{mode}");
        assert!(used(&before) > 30);
        shim.boot("22222222-2222-4222-8222-222222222222");
        let mut third = Gateway::spawn(&journal.config(), &environment);
        if goes_on {
            third.process.logged("not promise");
            crate::support::eventually("it is ready", || third.is_ready().then_some(()));
            let log = third.process.log();
            assert!(log.contains("WARN"), "{log}");
            let lost = third.scrape().get("cuegate_journal_lost_blocks_total");
            assert!((lost - 1.0).abs() < 0.1, "{lost}");
            kill(third);
            let events = journal.exported();
            let data: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
            assert_eq!(data, [json!("event-0"), json!("event-1")]);
        } else {
            let (status, log) = third.process.wait(SOON);
            assert_eq!(status.code(), Some(1), "{mode}: {log}");
            assert!(log.contains("is damaged"), "{mode}: {log}");
            assert_eq!(everything(&journal.path()), damaged, "{mode}");
        }
    }
}

/// A start that was killed before it had made its journal promised nobody anything.
#[test]
fn a_first_start_that_was_cut_short_is_begun_again() {
    let journal = Journal::new("");
    kill(journal.start());
    let cuts: &[fn(&Path)] = &[
        |dir| std::fs::remove_file(dir.join("promised")).expect("removed"),
        |dir| {
            std::fs::remove_dir_all(dir.join("generation-1")).expect("removed");
            std::fs::create_dir(dir.join("generation-1")).expect("made");
            std::fs::write(dir.join("generation-1/0.jnl"), [0; 4096]).expect("written");
        },
    ];
    std::fs::remove_file(journal.path().join("current")).expect("removed");
    for cut in cuts {
        cut(&journal.path());
        let checked = journal.tool("check");
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let gateway = journal.start();
        gateway.pause("quiz");
        gateway.publish("quiz", r#"{"data":1}"#);
        kill(gateway);
        assert_eq!(journal.exported().len(), 1);
        std::fs::remove_dir_all(journal.path()).expect("removed");
        kill(journal.start());
        std::fs::remove_file(journal.path().join("current")).expect("removed");
        std::fs::remove_file(journal.path().join("promised")).expect("removed");
    }
}

/// The tools write nothing in a directory that they are shown, and say what is not there.
#[test]
fn tools_only_read() {
    let empty = tempfile::tempdir().expect("a directory");
    for dir in [empty.path().to_owned(), empty.path().join("none")] {
        for tool in ["check", "list", "export"] {
            let ended = run(command().args(["journal", tool]).arg(&dir), "");
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.err.contains("no journal in"), "{ended:?}");
        }
    }
    assert_eq!(everything(empty.path()).len(), 0);
    let journal = Journal::new("");
    three(&journal, &[]);
    let before = everything(&journal.path());
    for tool in ["check", "list", "export"] {
        assert_eq!(journal.tool(tool).code, Some(0));
        assert_eq!(everything(&journal.path()), before);
    }
    // A held one names its holder, and stays as it is.
    let holder = journal.start();
    let lock = std::fs::read(journal.path().join("lock")).expect("the lock");
    for tool in ["check", "list", "export"] {
        let ended = journal.tool(tool);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let pid = holder.process.id().to_string();
        assert!(ended.err.contains(&pid), "{ended:?}");
    }
    let after = std::fs::read(journal.path().join("lock")).expect("the lock");
    assert_eq!(after, lock);
}

/// Events are their owner's: nobody else may read them.
#[test]
fn the_directory_is_its_owners_and_its_name_is_synced() {
    let outer = tempfile::tempdir().expect("a directory");
    let dir = outer.path().join("a/b/journal");
    let mut journal = Journal::new("");
    journal.at = Some(dir.clone());
    let shim = Shim::new(&dir);
    let environment = shim.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    three(&journal, &environment);
    let mode = |path: &Path| std::fs::metadata(path).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for path in everything(&dir).into_keys() {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    let synced = shim.synced();
    for path in ["", "a", "a/b", "a/b/journal"] {
        let path = outer.path().join(path);
        let path = path.canonicalize().expect("a path");
        assert!(synced.contains(&path), "{}: {synced:?}", path.display());
    }
    // What an earlier version left open is closed.
    let log = log_file(&dir);
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o644)).expect("opened");
    kill(journal.start());
    assert_eq!(mode(&log), 0o600);
}
