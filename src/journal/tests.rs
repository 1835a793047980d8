//! The journal's thread, with a source that does what no channel does.

use super::*;

struct Broken;

impl Source for Broken {
    fn arn(&self) -> &'static str {
        "arn:aws:ivs:us-west-2:123456789012:channel/a"
    }
    fn join(&self) -> bool {
        true
    }
    fn leave(&self) {}
    fn take(&self) -> Drained {
        panic!("as planned")
    }
    fn snapshot(&self) -> Drained {
        panic!("as planned")
    }
}

struct Empty;

impl DeadLetterStore for Empty {
    fn restore(&self, _: Vec<(u64, Vec<u8>)>) {}
    fn take(&self) -> Vec<(u64, Option<Vec<u8>>)> {
        Vec::new()
    }
    fn all(&self) -> Vec<(u64, Vec<u8>)> {
        Vec::new()
    }
}

/// Nobody waits for a thread that is gone, and whoever supervises it hears of it.
#[tokio::test]
async fn a_panic_of_the_thread_is_told_to_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        mode: JournalMode::Os,
        dir: dir.path().join("journal"),
        max_bytes: 1 << 30,
        hold: Duration::ZERO,
        api_is_new: true,
    };
    let clock = Arc::new(Clock::new());
    let supervisor = Supervisor::default();
    let (journal, _) =
        Journal::open(&options, &clock, Arc::new(Empty), &supervisor).expect("opened");
    let soon = Duration::from_secs(20);
    let death = tokio::time::timeout(Duration::from_millis(1), supervisor.death());
    assert!(death.await.is_err(), "it lives");
    let ticket = journal.mark(|| Arc::new(Broken));
    let committed = tokio::time::timeout(soon, journal.committed(ticket)).await;
    assert_eq!(committed, Ok(Err(Failing)));
    let death = tokio::time::timeout(soon, supervisor.death()).await;
    let death = death.expect("it is told").to_string();
    assert_eq!(death, "the journal's thread panicked: as planned");
    assert_eq!(journal.room(), Room::Failing);
    journal.close(true);
}

/// The number that its next payload gets.
struct Busy(u64);

impl Source for Busy {
    fn arn(&self) -> &'static str {
        "arn:aws:ivs:us-west-2:123456789012:channel/a"
    }
    fn join(&self) -> bool {
        true
    }
    fn leave(&self) {}
    /// More than its last snapshot, so that another one is made.
    fn take(&self) -> Drained {
        Drained {
            changes: vec![engine::Change::Remembered {
                id: "x".repeat(5000).into(),
                until: engine::Time::NEVER,
                fate: engine::Fate::of(engine::End::Delivered),
            }],
            ..nothing()
        }
    }
    /// A payload came and went since.
    fn snapshot(&self) -> Drained {
        Drained {
            n_next: self.0,
            ..nothing()
        }
    }
}

fn nothing() -> Drained {
    Drained {
        changes: Vec::new(),
        beside: Beside::default(),
        is_idle: false,
        alive: 0,
        anew: false,
        n_next: 0,
    }
}

/// A number that only a snapshot knows of is not given again, whatever the wall clock says.
#[tokio::test]
async fn numbers_that_a_snapshot_drained_are_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        mode: JournalMode::Os,
        dir: dir.path().join("journal"),
        max_bytes: 1 << 30,
        hold: Duration::ZERO,
        api_is_new: true,
    };
    let clock = Arc::new(Clock::new());
    let open = || {
        let opened = Journal::open(&options, &clock, Arc::new(Empty), &Supervisor::default());
        opened.expect("opened")
    };
    let (journal, _) = open();
    let next = clock.epoch_ms() + 1_000_000_000;
    let ticket = journal.mark(|| Arc::new(Busy(next)));
    journal.committed(ticket).await.expect("written");
    journal.close(true);
    let (journal, _) = open();
    assert!(journal.n_floor() >= next, "{} {next}", journal.n_floor());
    journal.close(true);
}
