//! A panic of a part of the gateway ends its process, and the next one delivers what was accepted.
//!
//! This program is both the test and the gateway that fails: it links the library and passes the
//! fault in, because the shipped program has nothing that could make it fail. What is asserted is
//! the surface all the same: an exit code, a message, and what the local IVS took.

#[path = "../blackbox/support/mod.rs"]
#[expect(dead_code, reason = "the black-box tests use the rest")]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cuegate::app::{self, Source};
use cuegate::lifecycle::{Fault, Supervisor};
use cuegate::telemetry::logs::{self, LogFormat};
use support::emulator::Emulator;
use support::payloads::data;
use support::process::{Gateway, arn, command_of};
use support::{SOON, eventually};

/// The task that is to fail; the gateway's own arguments follow.
const FAILS: &str = "CUEGATE_TEST_FAILS";

/// The file whose appearance is the moment.
const MOMENT: &str = "CUEGATE_TEST_MOMENT";

fn main() -> ExitCode {
    if let (Ok(task), Ok(moment)) = (std::env::var(FAILS), std::env::var(MOMENT)) {
        return serve(task, moment.into());
    }
    // As the standard harness takes them.
    let filter = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    for task in TASKS {
        if filter.as_deref().is_none_or(|filter| task.contains(filter)) {
            println!("test {task} ...");
            a_panic_ends_the_process_and_loses_nothing(task);
        }
    }
    ExitCode::SUCCESS
}

/// The gateway with a task that panics once the moment has come.
fn serve(task: String, moment: PathBuf) -> ExitCode {
    let failed = AtomicBool::new(false);
    let fault: Fault = Arc::new(move |goes_on| {
        let fails = goes_on == task && moment.exists() && !failed.swap(true, Ordering::Relaxed);
        assert!(!fails, "as planned");
    });
    let file = std::env::args().skip_while(|it| it != "--config").nth(1);
    let source = Source {
        file: file.map(Into::into),
    };
    let settings = source.load().expect("settings");
    let security = app::security(&settings).expect("keys");
    logs::init(LogFormat::Human, None).expect("a log");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let supervisor = Supervisor::with_fault(fault);
    let served = app::serve_supervised(source, settings, security, LogFormat::Human, supervisor);
    match runtime.block_on(served) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logs::fail(LogFormat::Human, &error.to_string());
            ExitCode::from(1)
        }
    }
}

/// Of each kind one: what the gateway cannot go on without.
const TASKS: [&str; 7] = [
    "the task of an account",
    "a call to the API",
    "the journal's thread",
    "the producers' door",
    "the operators' door",
    "the watch over streams",
    "the watch over the wall clock",
];

fn a_panic_ends_the_process_and_loses_nothing(task: &str) {
    let emulator = Emulator::start(&[]);
    let quiz = arn("quiz");
    emulator.api.stream(&quiz, "live");
    let directory = tempfile::tempdir().expect("a directory");
    let (journal, moment) = (
        directory.path().join("journal"),
        directory.path().join("moment"),
    );
    let config = format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\n\
        [journal]\ndir = \"{}\"\n[tuning]\nrestart_hold_ms = 1000\n\
        [[channel]]\nname = \"quiz\"\narn = \"{quiz}\"\nttl_ms = 600000\n",
        emulator.api.0,
        journal.display(),
    );
    let this = std::env::current_exe().expect("this program");
    let environment = [(FAILS, task), (MOMENT, &moment.to_string_lossy())];
    let mut gateway = Gateway::spawn_by(command_of(&this), &config, &environment, &[]).served();
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2},{"data":3}]"#);
    std::fs::write(&moment, "").expect("a file");
    // Whatever it waits for, it goes on now. It may be gone before it has answered.
    for (address, path) in [
        (gateway.admin, "/admin/overview"),
        (gateway.metrics, "/healthz"),
        (gateway.producers, "/v1/channels/quiz/resume"),
    ] {
        let _ = support::http::try_send(address, "POST", path, &[], b"");
    }
    let (status, log) = gateway.process.wait(SOON);
    assert_eq!(status.code(), Some(1), "{task}: {log}");
    assert!(
        log.contains(&format!("{task} panicked: as planned")),
        "{log}"
    );
    assert!(log.contains("the next start has it"), "{log}");

    let next = Gateway::start(&config);
    next.resume("quiz");
    eventually("what was accepted is delivered", || {
        let taken = emulator.api.metadata(&quiz);
        let all = data(taken.iter().map(|taken| taken.text.as_str()));
        [1, 2, 3]
            .iter()
            .all(|event| all.iter().any(|data| data == event))
            .then_some(())
    });
}
