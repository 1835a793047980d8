//! The servers that are measured, each a process of its own, ended with its handle.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on {address}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A directory with this configuration. Beside the binaries: one for temporary files may be memory.
fn directory(config: &str) -> tempfile::TempDir {
    let binaries = std::path::Path::new(env!("CARGO_BIN_EXE_cuegate")).parent();
    let directory = tempfile::tempdir_in(binaries.expect("a directory")).expect("a directory");
    std::fs::write(directory.path().join("cuegate.toml"), config).expect("a file");
    directory
}

/// One request on a connection of its own; the whole answer.
fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("to send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// One request that is granted; the answer's body.
fn fetch(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let answer = exchange(address, method, path, body);
    assert!(
        answer.starts_with("HTTP/1.1 2"),
        "{method} {path}: {answer}"
    );
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

/// CPU time of a process so far, user and system.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 =
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    // Linux counts in hundredths of a second on every platform this runs on.
    Duration::from_millis(ticks * 10)
}

fn memory_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kib / 1024.0
}

/// The real binary with a configuration of its own.
pub struct Gateway {
    child: process::Child,
    pub producers: SocketAddr,
    pub metrics: SocketAddr,
    pub emulator: SocketAddr,
    mode: String,
    directory: tempfile::TempDir,
}

impl Gateway {
    /// Without a journal.
    pub fn start(config: &str) -> Self {
        Self::journaled(config, "off")
    }

    pub fn journaled(config: &str, mode: &str) -> Self {
        Self::start_in(directory(config), mode)
    }

    /// A node of a cluster, once it takes events.
    pub fn of_cluster(config: &str, own: &[(&str, &str)]) -> Self {
        Self::started_in(directory(config), "os", own)
    }

    /// A command that comes to a good end.
    pub fn command(config: &str, arguments: &[&str]) {
        let directory = directory(config);
        let done = Command::new(env!("CARGO_BIN_EXE_cuegate"))
            .args(arguments)
            .arg("--config")
            .arg(directory.path().join("cuegate.toml"))
            .output()
            .expect("the program");
        assert!(done.status.success(), "{done:?}");
    }

    fn start_in(directory: tempfile::TempDir, mode: &str) -> Self {
        Self::started_in(directory, mode, &[])
    }

    fn started_in(directory: tempfile::TempDir, mode: &str, own: &[(&str, &str)]) -> Self {
        let file = directory.path().join("cuegate.toml");
        let (producers, metrics, admin, emulator) =
            (free_port(), free_port(), free_port(), free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_cuegate"))
            .args(["serve", "--config"])
            .arg(&file)
            .env("CUEGATE__SERVER__LISTEN", producers.to_string())
            .env("CUEGATE__METRICS__LISTEN", metrics.to_string())
            .env("CUEGATE__ADMIN__LISTEN", admin.to_string())
            .env("CUEGATE__LOCAL_IVS__LISTEN", emulator.to_string())
            .env("CUEGATE__JOURNAL__MODE", mode)
            .env("CUEGATE__JOURNAL__DIR", directory.path().join("journal"))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .envs(own.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway");
        wait_for(producers);
        // The address is bound before the journal is read; only then are answers given.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !exchange(metrics, "GET", "/readyz", "").starts_with("HTTP/1.1 2") {
            assert!(Instant::now() < deadline, "it takes no events");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child,
            producers,
            metrics,
            emulator,
            mode: mode.to_owned(),
            directory,
        }
    }

    /// Kills the process and starts another one on its journal; how long that took to answer.
    pub fn kill_and_start(&mut self) -> Duration {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let empty = tempfile::tempdir().expect("a directory");
        let directory = std::mem::replace(&mut self.directory, empty);
        let mode = self.mode.clone();
        let started = Instant::now();
        *self = Self::start_in(directory, &mode);
        started.elapsed()
    }

    /// The sum of all series that begin so.
    pub fn sum(&self, series: &str) -> f64 {
        let metrics = fetch(self.metrics, "GET", "/metrics", "");
        let lines = metrics.lines().filter(|line| line.starts_with(series));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    pub fn memory_mb(&self) -> f64 {
        memory_mb(self.child.id())
    }

    pub fn delivered_calls(&self) -> f64 {
        let metrics = fetch(self.metrics, "GET", "/metrics", "");
        let calls = metrics.lines().filter(|line| {
            line.starts_with("cuegate_put_metadata_calls_total{")
                && line.contains("outcome=\"delivered\"")
        });
        calls
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The process of this handle, and no other.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The emulator as a process of its own.
pub struct Emulator {
    child: process::Child,
    pub address: SocketAddr,
}

impl Emulator {
    pub fn start() -> Self {
        let address = free_port();
        let gateway = std::path::Path::new(env!("CARGO_BIN_EXE_cuegate"));
        let child = Command::new(gateway.with_file_name("local-ivs"))
            .args(["--listen", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("local-ivs: build it with `cargo build --release` first");
        wait_for(address);
        Self { child, address }
    }

    pub fn post(&self, path: &str, body: &str) {
        fetch(self.address, "POST", path, body);
    }

    pub fn throttled(&self) -> f64 {
        let report: serde_json::Value =
            serde_json::from_str(&fetch(self.address, "GET", "/_local/report", "")).expect("JSON");
        report["all"]["throttled"]
            .as_f64()
            .unwrap_or_else(|| panic!("no figure in {report}"))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that is this program again.
pub struct Child {
    child: process::Child,
    pub address: SocketAddr,
}

impl Child {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its address");
        let address = line.trim().parse().expect("its address");
        Self { child, address }
    }

    pub fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
