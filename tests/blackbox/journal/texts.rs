//! What is said where a journal cannot be had: what to do, and about which path.

use std::path::{Path, PathBuf};

use super::damage::everything;
use super::{Journal, kill};
use crate::support::SOON;
use crate::support::process::{Gateway, command, run};

/// A gateway that cannot start: its exit code is 1, and this is what it says.
fn refusal(journal: &Journal) -> String {
    let mut gateway = Gateway::spawn(&journal.config(), &[]);
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(1), "{log}");
    log
}

/// One process owns an account: the advice is to stop the other, and never a second directory.
#[test]
fn one_that_is_held_says_who_holds_it_and_what_to_do() {
    let journal = Journal::new("");
    let holder = journal.start();
    let log = refusal(&journal);
    let dir = journal.path().display().to_string();
    let holder = format!("in use by process {}", holder.process.id());
    for part in [dir.as_str(), &holder, "stop that one first"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!log.contains("of its own"), "{log}");
}

/// Where no directory can be made, its path is told, whatever is in the way.
#[test]
fn one_that_cannot_be_made_is_named() {
    let outer = tempfile::tempdir().expect("a directory");
    let file = outer.path().join("file");
    std::fs::write(&file, "").expect("written");
    // Nothing can be made below `/proc`.
    for dir in [
        file.join("journal"),
        file.clone(),
        PathBuf::from("/proc/nowhere/journal"),
    ] {
        let mut journal = Journal::new("");
        journal.at = Some(dir.clone());
        let log = refusal(&journal);
        let named = format!("the journal: {}: ", dir.display());
        assert!(log.contains(&named), "{named}: {log}");
    }
}

/// The tools read a copy. They make none where that would write in the journal that they only read.
#[test]
fn no_copy_is_made_inside_the_journal() {
    let journal = Journal::new("");
    let gateway = journal.start();
    gateway.pause("quiz");
    gateway.publish("quiz", r#"{"data":1}"#);
    kill(gateway);
    let inside = journal.path().join("generation-1/tmp");
    std::fs::create_dir(&inside).expect("made");
    let link = journal.directory.path().join("link");
    std::os::unix::fs::symlink(&inside, &link).expect("a link");
    let before = everything(&journal.path());
    let tool = |what: &str, temporary: &Path| {
        let mut command = command();
        command.args(["journal", what]).arg(journal.path());
        run(command.env("TMPDIR", temporary), "")
    };
    for what in ["check", "list", "export"] {
        for temporary in [&journal.path(), &inside, &link] {
            let ended = tool(what, temporary);
            assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
            assert!(ended.err.contains("set TMPDIR"), "{what}: {ended:?}");
            assert!(
                everything(&journal.path()) == before,
                "{what} with {} changed the journal",
                temporary.display()
            );
        }
        // Beside it there is room.
        let ended = tool(what, journal.directory.path());
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
    }
}
