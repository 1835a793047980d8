//! A real PostgreSQL: a primary and, if asked for, its synchronous standby, on this machine alone.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ports;

/// Starting takes tenths of a second on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

/// Debian's `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65_534;

/// Where the server's programs are. `None`: `CUEGATE_TEST_POSTGRES` does not say.
fn programs() -> Option<PathBuf> {
    let programs = PathBuf::from(std::env::var_os("CUEGATE_TEST_POSTGRES")?);
    assert!(programs.join("postgres").exists(), "{}", programs.display());
    Some(programs)
}

/// A primary, perhaps with a standby. They end with it.
pub struct Cluster {
    pub primary: Server,
    pub standby: Option<Server>,
    _directory: tempfile::TempDir,
}

/// One server.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
    data: PathBuf,
}

impl Cluster {
    /// A primary without a standby. `None`: there is no PostgreSQL for tests, which is said.
    pub fn alone() -> Option<Self> {
        Self::start(None::<fn(SocketAddr) -> SocketAddr>, &["fsync=off"])
    }

    /// A primary that waits for its standby.
    pub fn replicated() -> Option<Self> {
        Self::replicated_by(|primary| primary)
    }

    /// The same where the standby reaches its primary by another address.
    pub fn replicated_by(way: impl FnOnce(SocketAddr) -> SocketAddr) -> Option<Self> {
        Self::replicated_as(way, &["fsync=off"])
    }

    /// The same with these settings of both.
    pub fn replicated_as(
        way: impl FnOnce(SocketAddr) -> SocketAddr,
        both: &[&str],
    ) -> Option<Self> {
        Self::start(Some(way), both)
    }

    fn start(way: Option<impl FnOnce(SocketAddr) -> SocketAddr>, both: &[&str]) -> Option<Self> {
        let replicated = way.is_some();
        let Some(programs) = programs() else {
            println!("skipped: CUEGATE_TEST_POSTGRES does not say where PostgreSQL's programs are");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let is_root = directory.path().metadata().expect("metadata").uid() == 0;
        if is_root {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        let data = directory.path().join("primary");
        let made = command(&programs, "initdb", is_root)
            .args([
                "--auth=trust",
                "--username=cuegate",
                "--locale=C",
                "--encoding=UTF8",
            ])
            .args(["--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let copy = directory.path().join("standby");
        if replicated {
            // Before the first start they are the same to the byte, which is all a base backup is.
            copy_all(&data, &copy, is_root);
            std::fs::write(copy.join("standby.signal"), "").expect("a file");
        }
        let names = if replicated { "*" } else { "" };
        let synchronous = format!("synchronous_standby_names={names}");
        // A standby starts with no fewer than its primary's data say, which is initdb's 100.
        let connections = if replicated {
            "max_connections=100"
        } else {
            "max_connections=20"
        };
        let primary = Server::start(
            &programs,
            data,
            is_root,
            &[both, &[&synchronous, connections, "wal_keep_size=256MB"]].concat(),
        );
        let standby = way.map(|way| {
            let port = way(primary.address).port();
            let from = format!("primary_conninfo=host=127.0.0.1 port={port} user=cuegate");
            Server::start(
                &programs,
                copy,
                is_root,
                &[both, &[&from, "wal_retrieve_retry_interval=100ms"]].concat(),
            )
        });
        Some(Self {
            primary,
            standby,
            _directory: directory,
        })
    }

    /// Of all servers; the session goes to the one that takes writes.
    pub fn url(&self) -> String {
        let standby = self.standby.as_ref();
        let other = standby.map_or(String::new(), |server| format!(",{}", server.address));
        let primary = self.primary.address;
        format!("postgres://cuegate@{primary}{other}/postgres?target_session_attrs=read-write")
    }

    /// Stops the standby's processes where they are.
    pub fn freeze_standby(&self) {
        self.standby.as_ref().expect("a standby").signal("STOP");
    }

    /// Lets them go on.
    pub fn thaw_standby(&self) {
        self.standby.as_ref().expect("a standby").signal("CONT");
    }
}

impl Server {
    fn start(programs: &Path, data: PathBuf, is_root: bool, settings: &[&str]) -> Self {
        let address = ports::free();
        let mut server = command(programs, "postgres", is_root);
        server.arg("-D").arg(&data);
        let port = format!("port={}", address.port());
        let common = [
            &port,
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "shared_buffers=16MB",
        ];
        for setting in common.iter().chain(settings) {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(data.with_extension("log")).expect("a file");
        let process = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres");
        let mut started = Self {
            address,
            process,
            data,
        };
        started.await_ready();
        started
    }

    /// Until its pid file says so.
    fn await_ready(&mut self) {
        let file = self.data.join("postmaster.pid");
        let deadline = Instant::now() + SOON;
        loop {
            let state = std::fs::read_to_string(&file).unwrap_or_default();
            let state = state.lines().nth(7).unwrap_or_default().trim();
            if matches!(state, "ready" | "standby") {
                return;
            }
            let ended = self.process.try_wait().expect("waited");
            let log = || std::fs::read_to_string(self.data.with_extension("log"));
            assert!(ended.is_none() && Instant::now() < deadline, "{:?}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a machine that loses its power does.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.process.wait().expect("ended");
    }

    /// Makes a standby the primary that waits for no other.
    pub fn promote(&self) {
        std::fs::write(self.data.join("promote"), "").expect("a file");
        signal(self.process.id(), "USR1");
    }

    /// To the server and all its processes.
    pub fn signal(&self, name: &str) {
        let server = self.process.id();
        for child in children(server) {
            signal(child, name);
        }
        signal(server, name);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.process.wait();
    }
}

fn command(programs: &Path, name: &str, is_root: bool) -> Command {
    let program = programs.join(name);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    // Unpacked, and not installed.
    if let Some(libraries) = std::env::var_os("CUEGATE_TEST_POSTGRES_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

fn copy_all(from: &Path, to: &Path, is_root: bool) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(to, private).expect("permissions");
    if is_root {
        chown(to, Some(NOBODY), Some(NOBODY)).expect("given away");
    }
}

fn signal(process: u32, name: &str) {
    let (name, process) = (format!("-{name}"), process.to_string());
    // It may be gone.
    let _ = Command::new("kill")
        .args([name, process])
        .stderr(Stdio::null())
        .status();
}

fn children(of: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("/proc");
    let processes = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        parent == Some(&of.to_string())
    };
    processes.filter(is_child).collect()
}
