//! The gateway as a process of its own, ended by its handle and by nothing else.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::emulator::EmulatorApi;
use super::http::{self, Response};
use super::metrics::Metrics;
use super::{SOON, eventually, ports, within};

/// The account that the emulator knows without a credentials file.
pub const ACCOUNT: &str = "000000000000";

/// The ARN that [`local`] gives a channel.
pub fn arn(name: &str) -> String {
    format!("arn:aws:ivs:us-west-2:{ACCOUNT}:channel/{name}")
}

/// A configuration in local mode: channels by their names, each with its own lines.
pub fn local(rest: &str, channels: &[(&str, &str)]) -> String {
    let mut text = format!("[upstream]\nmode = \"local\"\n{rest}\n");
    for (name, keys) in channels {
        let arn = arn(name);
        let _ = writeln!(
            text,
            "[[channel]]\nname = \"{name}\"\narn = \"{arn}\"\n{keys}"
        );
    }
    text
}

/// The gateway's binary with nothing of the tests' own environment that could configure it.
pub fn command() -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_cuegate")))
}

/// The same of another program.
pub fn command_of(program: &Path) -> Command {
    clean(Command::new(program))
}

/// The gateway's binary with limits, as the shell's `ulimit` takes them.
fn limited(limits: &str) -> Command {
    let mut command = Command::new("sh");
    let line = format!("{limits}; exec \"$0\" \"$@\"");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_cuegate")]);
    clean(command)
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CUEGATE_") || name.starts_with("AWS_") {
            command.env_remove(&*name);
        }
    }
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    // The standard chain must not find a profile of whoever runs the tests.
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.stdin(Stdio::null());
    command
}

/// Sends a signal to a process of ours. The shell's own `kill`: minimal systems lack the program.
pub fn signal(child: &Child, name: &str) {
    let line = format!("kill -{name} {}", child.id());
    let status = Command::new("sh")
        .args(["-c", &line])
        .status()
        .expect("a shell");
    assert!(status.success(), "{line}: {status}");
}

/// A running child whose standard error is kept. It is killed when this is dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let mut errors = BufReader::new(child.stderr.take().expect("its standard error"));
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while errors
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                kept.lock()
                    .expect("the log")
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self {
            child,
            log,
            reader: Some(reader),
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a text in its log. What it wrote is read by a thread of its own, so that a
    /// log taken right after an answer may not have it yet.
    pub fn logged(&self, part: &str) {
        eventually(&format!("{part:?} is in the log"), || {
            self.log().contains(part).then_some(())
        });
    }

    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// As `kill -9`, at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_some()
    }

    /// How it ended, and all it wrote to standard error.
    pub fn wait(&mut self, limit: Duration) -> (ExitStatus, String) {
        let status = within(limit, "the process ends", || {
            self.child.try_wait().expect("its status")
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of its log");
        }
        (status, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- its log ---\n{}", self.log());
        }
    }
}

/// A run of a program to its end.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command that is to end by itself.
pub fn run(command: &mut Command, input: &str) -> Ended {
    let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = process.child.stdin.take().expect("its input");
    // One that reads no input may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let mut stdout = process.child.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || {
        let mut out = String::new();
        stdout.read_to_string(&mut out).expect("UTF-8");
        out
    });
    let (status, err) = process.wait(SOON);
    Ended {
        code: status.code(),
        out: reader.join().expect("its output"),
        err,
    }
}

/// A gateway that serves.
pub struct Gateway {
    pub process: Process,
    pub producers: SocketAddr,
    pub metrics: SocketAddr,
    pub admin: SocketAddr,
    pub emulator: EmulatorApi,
    directory: tempfile::TempDir,
}

impl Gateway {
    /// Local mode, by this configuration; the addresses come from the environment.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more of an environment.
    pub fn start_with(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_as(config, environment, &[])
    }

    /// The same with more arguments.
    pub fn start_as(config: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn_as(config, environment, arguments).served()
    }

    /// Waits until it serves.
    pub fn served(mut self) -> Self {
        eventually("the gateway is ready", || {
            let has_ended = self.process.has_ended();
            assert!(!has_ended, "it ended at once: {}", self.process.log());
            self.is_ready().then_some(())
        });
        self
    }

    /// The same within limits of the system, as the shell's `ulimit` takes them.
    pub fn start_within(limits: &str, config: &str) -> Self {
        Self::spawn_by(limited(limits), config, &[], &[]).served()
    }

    /// Starts one without waiting for it.
    pub fn spawn(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn_as(config, environment, &[])
    }

    fn spawn_as(config: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn_by(command(), config, environment, arguments)
    }

    /// The same by any program that is a gateway.
    pub fn spawn_by(
        mut command: Command,
        config: &str,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("cuegate.toml");
        std::fs::write(&file, config).expect("a file");
        let (producers, metrics, admin, emulator) =
            (ports::free(), ports::free(), ports::free(), ports::free());
        let nodes = ports::free();
        command
            .args(["serve", "--config"])
            .arg(&file)
            .args(arguments)
            .current_dir(directory.path())
            .env("CUEGATE__SERVER__LISTEN", producers.to_string())
            .env("CUEGATE__METRICS__LISTEN", metrics.to_string())
            .env("CUEGATE__ADMIN__LISTEN", admin.to_string())
            .env("CUEGATE__LOCAL_IVS__LISTEN", emulator.to_string())
            .env("CUEGATE__CLUSTER__LISTEN", nodes.to_string())
            .envs(environment.iter().copied())
            .stdout(Stdio::null());
        Self {
            process: Process::start(&mut command),
            producers,
            metrics,
            admin,
            emulator: EmulatorApi(emulator),
            directory,
        }
    }

    /// Whether it serves, and takes events.
    pub fn is_ready(&self) -> bool {
        self.readiness() == Some(200)
    }

    /// The status of `/readyz`, if it answers.
    pub fn readiness(&self) -> Option<u16> {
        let answer = http::try_send(self.metrics, "GET", "/readyz", &[], b"");
        answer.ok().map(|answer| answer.status)
    }

    /// Whether it owns the account of the tests' channels; without a cluster it does.
    pub fn owns(&self) -> bool {
        let metrics = self.scrape();
        let mut owner = metrics.of("cuegate_cluster_owner");
        owner.any(|(labels, owns)| labels.contains(ACCOUNT) && owns > 0.5)
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("cuegate.toml")
    }

    pub fn request(&self, method: &str, path: &str) -> Response {
        http::send(self.producers, method, path, &[], b"")
    }

    /// `POST` of a body of JSON.
    pub fn post(&self, path: &str, body: &str) -> Response {
        http::send(
            self.producers,
            "POST",
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    }

    /// Publishes to a channel; the answer is JSON and of status 202.
    pub fn publish(&self, channel: &str, body: &str) -> Value {
        let answer = self.post(&format!("/v1/channels/{channel}/events"), body);
        assert_eq!(answer.status, 202, "{body}: {answer:?}");
        answer.json()
    }

    pub fn status(&self, channel: &str) -> Value {
        let answer = self.request("GET", &format!("/v1/channels/{channel}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub fn pause(&self, channel: &str) {
        let answer = self.request("POST", &format!("/v1/channels/{channel}/pause"));
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    pub fn resume(&self, channel: &str) {
        let answer = self.request("POST", &format!("/v1/channels/{channel}/resume"));
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// Waits until a channel has nothing queued.
    pub fn drained(&self, channel: &str) {
        eventually("the queue is empty", || {
            (self.status(channel)["queued"] == 0).then_some(())
        });
    }

    /// Every payload the emulator took for a channel, in its order.
    pub fn taken(&self, channel: &str) -> Vec<String> {
        self.emulator
            .metadata(&arn(channel))
            .into_iter()
            .map(|taken| taken.text)
            .collect()
    }

    pub fn scrape(&self) -> Metrics {
        let answer = http::send(self.metrics, "GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        Metrics::parse(&answer.text())
    }
}
