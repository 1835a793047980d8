//! A gateway that stops itself between the commit of a call's attempt and the call. A signal of another
//! process nearly never hits that moment.
//!
//! It is this test program, which links the library: the shipped program has nothing that could stop it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cuegate::app::{self, Source};
use cuegate::lifecycle::{Fault, Supervisor};
use cuegate::telemetry::logs::{self, LogFormat};

use crate::support::process::command_of;

const CONFIGURATION: &str = "CUEGATE_TEST_PAUSING_CONFIG";

/// The file whose appearance arms it.
pub const MOMENT: &str = "CUEGATE_TEST_PAUSING_MOMENT";

/// It takes the arguments of the gateway.
pub fn program() -> Command {
    let mut shell = command_of(Path::new("sh"));
    let test = "cluster::faults::pausing::is_a_program_of_another_test";
    let line = format!("export {CONFIGURATION}=\"$3\"; exec \"$0\" {test} --exact --nocapture");
    let this = std::env::current_exe().expect("this program");
    shell.args(["-c", &line]).arg(this);
    shell
}

#[test]
fn is_a_program_of_another_test() {
    let (Ok(file), Ok(moment)) = (std::env::var(CONFIGURATION), std::env::var(MOMENT)) else {
        return;
    };
    let source = Source {
        file: Some(file.into()),
    };
    let settings = source.load().expect("settings");
    let security = app::security(&settings).expect("keys");
    logs::init(LogFormat::Human, None).expect("a log");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let supervisor = Supervisor::with_fault(stops(moment.into()));
    let served = app::serve_supervised(source, settings, security, LogFormat::Human, supervisor);
    runtime.block_on(served).expect("it ends well");
}

/// Stops this process once, when a call goes on that began after the moment: it waited for its commit.
fn stops(moment: PathBuf) -> Fault {
    let (begun, has_stopped) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    Arc::new(move |task| {
        if task != "a call to the API" || has_stopped.load(Ordering::Relaxed) || !moment.exists() {
            return;
        }
        let waited = !begun.lock().expect("calls").insert(tokio::task::id());
        if waited && !has_stopped.swap(true, Ordering::Relaxed) {
            let stopped = Command::new("sh").args(["-c", "kill -STOP $PPID"]).status();
            assert!(stopped.expect("a shell").success());
        }
    })
}
