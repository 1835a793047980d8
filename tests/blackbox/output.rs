//! Commands end with 0, 1 or 2 whatever their output is connected to, take numbers below zero, and
//! send lines as they come.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::process::{Gateway, command, local, run};
use crate::support::{SOON, eventually, within};

/// A pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    let device = File::options().write(true).open("/dev/full");
    device.expect("a device").into()
}

fn code(command: &mut Command) -> Option<i32> {
    let mut child = command.stdin(Stdio::null()).spawn().expect("it starts");
    let status = within(SOON, "it ends", || child.try_wait().expect("its status"));
    status.code()
}

#[test]
fn whatever_the_output_is_connected_to() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let url = format!("http://{}", gateway.producers);
    let admin = format!("http://{}", gateway.admin);
    let config = gateway.config_file();
    let config = config.to_str().expect("a path");
    let journal = tempfile::tempdir().expect("a directory");
    for (arguments, codes) in [
        (&["send", "quiz", "1", "--url", &url][..], [0, 1]),
        (&["check-config", config], [0, 1]),
        (&["key", "new"], [0, 1]),
        (
            &["top", "--once", "--interval", "0.1", "--url", &url],
            [0, 1],
        ),
        (&["dead-letters", "purge", "--admin-url", &admin], [0, 1]),
        (&["channels", "--url", &url], [0, 1]),
        (&["status", "quiz", "--url", &url], [0, 1]),
        (&["pause", "quiz", "--url", &url], [0, 1]),
        (&["purge", "quiz", "--all", "--url", &url], [0, 1]),
        (&["completions", "bash"], [0, 1]),
        (&["man"], [0, 1]),
        (&["--help"], [0, 0]),
        // What is wrong stays wrong, though nobody reads it.
        (&["send", "quiz", "nonsense", "--url", &url], [2, 2]),
        (&["send", "nobody", "1", "--url", &url], [1, 1]),
        (&["check-config", "nowhere.toml"], [2, 2]),
        (&["serve", "--config", "nowhere.toml"], [2, 2]),
    ] {
        for (output, expected) in [closed_pipe(), full()].into_iter().zip(codes) {
            let mut command = command();
            command.current_dir(journal.path()).args(arguments);
            command.stdout(output).stderr(full());
            assert_eq!(code(&mut command), Some(expected), "{arguments:?}");
        }
    }
    // Nobody hears of the start, which is no reason not to serve.
    let mut deaf = command();
    deaf.current_dir(journal.path())
        .args(["serve", "--config", config])
        .env("CUEGATE__SERVER__LISTEN", gateway.producers.to_string())
        .stdout(closed_pipe())
        .stderr(full());
    // Its address is taken: 1, and not the code of a panic.
    assert_eq!(code(&mut deaf), Some(1));
}

#[test]
fn numbers_below_zero_are_data() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    gateway.pause("quiz");
    let url = format!("http://{}", gateway.producers);
    for (data, options) in [
        ("-5", &["--merge", "sum", "--key", "k"][..]),
        ("-1.50", &[]),
        ("-2e3", &[]),
    ] {
        let mut command = command();
        command
            .args(["send", "quiz", data, "--url", &url])
            .args(options);
        let ended = run(&mut command, "");
        assert_eq!(ended.code, Some(0), "{data}: {ended:?}");
    }
    gateway.resume("quiz");
    gateway.drained("quiz");
    let items = crate::support::payloads::all_items(&gateway.taken("quiz"));
    assert_eq!(
        items,
        r#"{"d":-5,"k":"k","m":"sum"},{"d":-1.50},{"d":-2e3}"#
    );
}

#[test]
fn lines_are_sent_as_they_come() {
    let gateway = Gateway::start(&local(
        "",
        &[("quiz", "envelope_fields = [\"type\", \"key\"]")],
    ));
    let url = format!("http://{}", gateway.producers);
    let options = ["--type", "t", "--key", "k", "--url", &url];
    let mut child = command()
        .args(["send", "quiz", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut answer = || -> Value {
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    // The first is there before the second is written, with what the options say.
    writeln!(input, r#"{{"data":1.50}}"#).expect("to write");
    assert_eq!(answer()["accepted"], 1);
    eventually("it is delivered", || {
        (gateway.taken("quiz").len() == 1).then_some(())
    });
    writeln!(input, "\n{{\"data\":2,\"key\":\"own\"}}").expect("to write");
    assert_eq!(answer()["accepted"], 1);
    // A bad line is told by its place in all of the input, and harms no other.
    writeln!(input, "nonsense").expect("to write");
    let mut errors = BufReader::new(child.stderr.take().expect("its errors"));
    let mut refusal = String::new();
    errors.read_line(&mut refusal).expect("a line");
    let refusal: Value = serde_json::from_str(&refusal).expect("JSON");
    assert_eq!(
        (&refusal["index"], &refusal["code"]),
        (&json!(2), &json!("malformed"))
    );
    writeln!(input, r#"{{"data":3}}"#).expect("to write");
    assert_eq!(answer()["accepted"], 1);
    drop(input);
    assert_eq!(child.wait().expect("its status").code(), Some(1));
    gateway.drained("quiz");
    let items = crate::support::payloads::all_items(&gateway.taken("quiz"));
    assert_eq!(
        items,
        r#"{"d":1.50,"t":"t","k":"k"},{"d":2,"t":"t","k":"own"},{"d":3,"t":"t","k":"k"}"#
    );

    let id = run(
        command().args(["send", "quiz", "-", "--id", "a", "--url", &url]),
        "",
    );
    assert_eq!(id.code, Some(2), "{id:?}");
}
