//! What this machine gives the process: room for the journal, descriptors, certificates, addresses.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Finding;
use crate::access::read_bounded;
use crate::config::{Errors, JournalMode, JournalSettings, Settings};
use crate::ingest::listener::descriptors::Connections;
use crate::ingest::listener::tls;
use crate::journal;
use crate::timestamp::rfc3339;

/// As the alert `CuegateCertificateExpiring` has it.
const ENDS_SOON_S: i64 = 14 * 86400;

/// Whose limit that is.
const RUNS: &str = "the running gateway";

/// What `statfs` calls file systems that are in memory (tmpfs, ramfs).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// And those of a container itself (overlayfs).
const OF_A_CONTAINER: u64 = 0x794c_7630;

/// What a gateway needs of this machine whether it runs or not: `now_s` is in seconds since 1970.
#[must_use]
pub fn of_gateway(settings: &Settings, now_s: i64) -> Vec<Finding> {
    let mut found = vec![disk(&settings.journal)];
    found.extend(certificates(settings, now_s));
    found
}

/// What is wrong with the keys and certificates that the settings name.
#[must_use]
pub fn secrets(errors: Option<&Errors>) -> Vec<Finding> {
    let errors = errors.into_iter().flat_map(|errors| &errors.0);
    let found = errors.map(|error| {
        Finding::action("keys", "files and variables", error.to_string())
            .advise("the gateway does not start like this; run the doctor in its environment")
    });
    found.collect()
}

/// Whether a gateway would have the descriptors that it may need. `limit` is that of the one that
/// runs; none: this process's, after it was raised.
#[must_use]
pub fn descriptors(settings: &Settings, limit: Option<u64>) -> Finding {
    let (check, wanted) = ("descriptors", settings.server.max_connections);
    let (connections, whose) = match limit {
        Some(_) => (Connections::within(limit, settings), RUNS),
        None => (Connections::of(settings), "this process"),
    };
    match connections.limit {
        None => {
            let text = format!("enough for {wanted} connections of producers");
            Finding::ok(check, whose, text)
        }
        Some(limit) => {
            let most = connections.most;
            let text = format!(
                "{limit} open files leave room for {most} connections of producers; server.max_connections is {wanted}"
            );
            let advice = "raise the limit (LimitNOFILE=, --ulimit nofile=, ulimit -n), or lower server.max_connections";
            // A service has a limit of its own; and few producers need all of it.
            let needs_action = whose == RUNS && most < wanted / 2;
            let finding = if needs_action {
                Finding::action
            } else {
                Finding::note
            };
            finding(check, whose, text).advise(advice)
        }
    }
}

/// Whether a gateway could listen where it is to. Only while none runs.
#[must_use]
pub fn addresses(settings: &Settings) -> Vec<Finding> {
    let doors = [
        ("server.listen", settings.server.listen),
        ("metrics.listen", settings.metrics.listen),
        ("admin.listen", settings.admin.listen),
    ];
    doors.map(|(key, address)| door(key, address)).into()
}

fn door(key: &str, address: SocketAddr) -> Finding {
    let about = format!("{key} {address}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("addresses", &about, "free"),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "another program listens there: stop it, or choose another port"
                }
                io::ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0",
                _ => "choose an address and port that this user may listen on",
            };
            Finding::action("addresses", &about, error.to_string()).advise(advice)
        }
    }
}

/// What was seen of the place of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory, or the nearest above it that is there.
    pub path: PathBuf,
    /// Whether this user may write there.
    pub writable: bool,
    /// The kind of its file system, as `statfs` has it.
    pub kind: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that the journal takes already.
    pub used: u64,
}

impl Place {
    fn of(dir: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(dir)?;
        let there = absolute.ancestors().find(|path| path.exists());
        let path = there.unwrap_or(Path::new("/")).to_owned();
        let (kind, room) = (rustix::fs::statfs(&path)?, rustix::fs::statvfs(&path)?);
        let access = Access::WRITE_OK | Access::EXEC_OK;
        Ok(Self {
            writable: path.is_dir() && rustix::fs::access(&path, access).is_ok(),
            // The kernel has 32 bits; some systems extend their sign.
            kind: u64::from(u32::try_from(kind.f_type & 0xffff_ffff).unwrap_or_default()),
            free: room.f_bavail.saturating_mul(room.f_frsize),
            used: journal::space_used(dir),
            path,
        })
    }
}

fn disk(settings: &JournalSettings) -> Finding {
    let about = settings.dir.display().to_string();
    if settings.mode == JournalMode::Off {
        let text = "the journal is off: what is queued is lost with the process";
        return Finding::note("disk", &about, text);
    }
    match Place::of(&settings.dir) {
        Ok(place) => judge_disk(settings, &place),
        Err(error) => Finding::action("disk", &about, error.to_string())
            .advise("let this user look at journal.dir"),
    }
}

pub(super) fn judge_disk(settings: &JournalSettings, place: &Place) -> Finding {
    let (check, about) = ("disk", settings.dir.display().to_string());
    let needed = settings.max_bytes.saturating_sub(place.used);
    let (mib, path) = (|bytes: u64| bytes >> 20, place.path.display());
    if !place.writable {
        return Finding::action(check, &about, format!("this user may not write to {path}"))
            .advise(
                "give journal.dir to the user that runs the gateway; run the doctor as that user",
            );
    }
    if place.free < needed {
        let text = format!(
            "{} MiB are free, and journal.max_bytes lets the journal grow by {} MiB more",
            mib(place.free),
            mib(needed)
        );
        return Finding::action(check, &about, text).advise(
            "free room, or lower journal.max_bytes: events are refused when the disk is full",
        );
    }
    if IN_MEMORY.contains(&place.kind) {
        let text = "in memory (tmpfs): the journal is lost when the machine restarts";
        return match settings.mode {
            JournalMode::Fsync => Finding::action(check, &about, text)
                .advise("set journal.dir to a disk, as journal.mode = \"fsync\" means to"),
            _ => Finding::note(check, &about, text).advise("set journal.dir to a disk"),
        };
    }
    if place.kind == OF_A_CONTAINER {
        let text = "the container's own file system: the journal is lost with the container";
        return Finding::note(check, &about, text).advise("mount a volume at journal.dir");
    }
    let text = format!(
        "{} MiB are free; the journal takes {} MiB of at most {}",
        mib(place.free),
        mib(place.used),
        mib(settings.max_bytes)
    );
    Finding::ok(check, &about, text)
}

fn certificates(settings: &Settings, now_s: i64) -> Vec<Finding> {
    let Some(files) = settings.server.tls() else {
        return Vec::new();
    };
    let mut found = vec![of_file("server.tls_cert", &files.cert, now_s)];
    if let Some(authority) = &files.client_ca {
        found.push(of_file("server.tls_client_ca", authority, now_s));
    }
    found
}

fn of_file(key: &str, path: &Path, now_s: i64) -> Finding {
    let about = format!("{key} {}", path.display());
    match read_bounded(path) {
        Ok(pem) => judge_certificate(&about, tls::ends_s(&pem), now_s),
        Err(error) => Finding::action("certificates", &about, error.to_string())
            .advise("let the user that runs the gateway read it"),
    }
}

pub(super) fn judge_certificate(about: &str, ends_s: Option<u32>, now_s: i64) -> Finding {
    let check = "certificates";
    let Some(ends_s) = ends_s.map(i64::from) else {
        return Finding::action(check, about, "no certificates as PEM")
            .advise("put the chain there, the server's own certificate first");
    };
    let (left_s, end) = (ends_s - now_s, rfc3339(ends_s.saturating_mul(1000)));
    let day = end.split('T').next().unwrap_or_default();
    if left_s > ENDS_SOON_S {
        let text = format!("good until {day}, {} days", left_s / 86400);
        return Finding::ok(check, about, text);
    }
    let text = if left_s > 0 {
        format!("ends on {day}, in {} days", left_s / 86400)
    } else {
        format!("ended on {day}")
    };
    Finding::action(check, about, text)
        .advise("replace the file; it is read again by itself, without a restart")
}
