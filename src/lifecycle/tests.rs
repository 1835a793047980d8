//! Whoever dies is told of; and every place that starts a task was looked at.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::*;

/// Half a change, as the guards of channels and accounts are.
struct Change<'a>(&'a Supervisor);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let _ = self.0.left_half_done("a change");
    }
}

async fn check(what: &str, work: impl FnOnce(&Supervisor), told: Option<&str>) {
    let supervisor = Supervisor::default();
    work(&supervisor);
    let soon = match told {
        Some(_) => Duration::from_secs(20),
        None => Duration::from_millis(20),
    };
    let death = tokio::time::timeout(soon, supervisor.death()).await;
    let death = death.ok().map(|death| death.to_string());
    assert_eq!(death.as_deref(), told, "{what}");
}

#[tokio::test]
async fn the_first_that_panics_is_told() {
    check("nobody", |_| {}, None).await;
    let spawn = |it: &Supervisor| drop(it.spawn("a task", async { panic!("{} planned", "as") }));
    check("a task", spawn, Some("a task panicked: as planned")).await;
    let ends = |it: &Supervisor| drop(it.spawn("a task", async {}));
    check("one that ends", ends, None).await;
    let aborted = |it: &Supervisor| it.spawn("a task", std::future::pending()).abort();
    check("one that is aborted", aborted, None).await;
    let runs = |it: &Supervisor| assert_eq!(it.run("a thread", || panic!("so")), None::<()>);
    check("a thread", runs, Some("a thread panicked: so")).await;
    let blocking = |it: &Supervisor| {
        let it = it.clone();
        tokio::spawn(async move { it.blocking("long work", || panic!("so")).await });
    };
    check("long work", blocking, Some("long work panicked: so")).await;
    let half = |it: &Supervisor| {
        let it = it.clone();
        // On a thread that nobody supervises, as a connection is.
        let thread = std::thread::spawn(move || {
            let _change = Change(&it);
            panic!("so");
        });
        assert!(thread.join().is_err());
    };
    let told = "a change panicked: the log has its message";
    check("half a change", half, Some(told)).await;
    let whole = |it: &Supervisor| drop(Change(it));
    check("a whole change", whole, None).await;
    let two = |it: &Supervisor| {
        it.died("the first", "a");
        it.died("the second", "b");
    };
    check("two", two, Some("the first panicked: a")).await;
}

#[tokio::test]
async fn a_fault_is_for_the_task_of_that_name() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let supervisor = Supervisor::with_fault(Arc::new(move |task| {
        kept.lock().expect("the list").push(task);
        assert_ne!(task, "b");
    }));
    supervisor.spawn("a", async {}).await.expect("it ended");
    supervisor
        .spawn("b", async {})
        .await
        .expect("it was caught");
    assert_eq!(supervisor.death().await.task, "b");
    assert_eq!(*seen.lock().expect("the list"), ["a", "b"]);
}

/// Every place that starts a task or a thread, how many it has, and what a panic of theirs does.
/// A new one: either it is spawned by the supervisor, or it belongs here with its reason.
const LOOKED_AT: [(&str, usize, &str); 23] = [
    ("admin/mod.rs", 1, "one scrape, whose answer is a 500"),
    (
        "admin/views.rs",
        1,
        "one look at losses, whose answer is a 500",
    ),
    (
        "app/checkup.rs",
        2,
        "the doctor at the start, which only warns",
    ),
    ("app/local.rs", 1, "supervised"),
    ("app/mod.rs", 9, "supervised"),
    ("app/reload.rs", 1, "supervised"),
    ("app/store.rs", 1, "supervised"),
    (
        "cli/load/pace.rs",
        1,
        "of a command: the load generator's clock",
    ),
    (
        "cli/load/producers.rs",
        2,
        "of a command: the panic is in its output",
    ),
    ("cli/send/input.rs", 1, "of a command: it ends the input"),
    ("dispatch/driver.rs", 2, "supervised"),
    (
        "dispatch/listing.rs",
        1,
        "one list of what is queued, whose answer says that it failed",
    ),
    (
        "dispatch/moving.rs",
        1,
        "the end of a journal, of an account that is gone",
    ),
    ("ingest/api/websocket.rs", 1, "one client's connection"),
    ("ingest/listener/mod.rs", 2, "one client's connection"),
    ("journal/mod.rs", 2, "supervised"),
    ("lifecycle.rs", 2, "the supervisor itself"),
    ("node/mod.rs", 2, "supervised"),
    (
        "node/watch.rs",
        5,
        "supervised, but for the opening and the end of a journal, whose panics its supervisor hears",
    ),
    (
        "telemetry/collector.rs",
        1,
        "one export of traces, which has failed then",
    ),
    (
        "telemetry/traces.rs",
        1,
        "the last export of a process that ends",
    ),
    (
        "webhooks/client.rs",
        1,
        "one connection to an endpoint, whose requests fail",
    ),
    ("webhooks/mod.rs", 1, "supervised"),
];

#[test]
fn every_place_that_starts_a_task_was_looked_at() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    look(&root, &mut |path, text| {
        let count = text.matches("spawn(").count() + text.matches("spawn_blocking(").count();
        let count = count - text.matches("fn spawn(").count();
        if count > 0 {
            let path = path.strip_prefix(&root).expect("below it");
            found.push((path.to_string_lossy().into_owned(), count));
        }
    });
    found.sort();
    let looked_at = LOOKED_AT.map(|(path, count, _)| (path.to_owned(), count));
    assert_eq!(found, looked_at);
}

/// Every file of the program, without tests.
fn look(dir: &Path, each: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "tests" && name != "fuzzing" {
            look(&path, each);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            each(&path, &std::fs::read_to_string(&path).expect("a file"));
        }
    }
}
