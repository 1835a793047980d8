//! What goes wrong beside the kills: the API, the stream, the disk, the clock, the journal's own files.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::journal::{log_file, used};

use crate::support::emulator::EmulatorApi;
pub use crate::support::wall_clock::WallClock;

/// Faults of the API, each for a while. None is handled more than 100 ms after it arrived, so
/// that what a killed process sent is not handled after the hold.
const FAULTS: &[&str] = &[
    r#""kind":"reply_lost","probability":0.3"#,
    r#""kind":"reset","probability":0.3"#,
    r#""kind":"throttle","probability":0.3"#,
    r#""kind":"error","status":500,"code":"InternalServerException","probability":0.5"#,
    r#""kind":"error","status":503,"bare":true,"probability":0.3"#,
    r#""kind":"error","status":403,"code":"AccessDeniedException","probability":0.2"#,
    r#""kind":"hang","probability":0.1"#,
    r#""kind":"latency","when":"before","latency":{"uniform_ms":[1,100]}"#,
    r#""kind":"latency","when":"after","latency":{"heavy_tail":{"median_ms":5,"p_stall":0.05,"stall_ms":1500}}"#,
];

/// One fault from now on, for up to a second and a half.
pub fn fault(api: EmulatorApi, random: &mut fastrand::Rng) {
    let fault = FAULTS[random.usize(..FAULTS.len())];
    let (ms, seed) = (random.u32(50..1500), random.u32(..));
    api.faults(&format!(r#"{{{fault},"duration_ms":{ms},"seed":{seed}}}"#));
}

/// A small disk that can be filled: a tmpfs of its own, where the system lets us have one.
pub struct Disk {
    path: PathBuf,
    pub is_full: bool,
}

/// Room for a journal many times over; its log is allocated in larger steps, but sparsely.
const DISK_MIB: u64 = 16;

impl Disk {
    pub fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a directory");
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "cuegate-test"])
            .arg(path)
            .output();
        mounted
            .is_ok_and(|done| done.status.success())
            .then(|| Self {
                path: path.to_owned(),
                is_full: false,
            })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Nothing more can be written.
    pub fn fill(&mut self) {
        use std::io::Write as _;
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        for size in [1 << 16, 1 << 12] {
            while ballast
                .write(&vec![1; size])
                .is_ok_and(|written| written > 0)
            {}
        }
        self.is_full = true;
    }

    pub fn empty(&mut self) {
        if self.is_full {
            std::fs::remove_file(self.ballast()).expect("removed");
            self.is_full = false;
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Damage to a journal of which something was promised, to be undone. Each of it stops a start.
pub enum Damage {
    /// A file is not there: its name, and what it is called meanwhile.
    Missing(PathBuf, PathBuf),
    /// These bytes were at that place of a file.
    Changed(PathBuf, u64, Vec<u8>),
}

impl Damage {
    pub fn of(journal: &Path, random: &mut fastrand::Rng) -> Self {
        let log = log_file(journal);
        let length = used(&std::fs::read(&log).expect("the log"));
        // In a short one there may be nothing that was promised: it is in the storage's tables, or was not
        // answered yet.
        let kinds = if length > 4096 { 4 } else { 2 };
        match random.u8(..kinds) {
            0 => Self::missing(journal.join("current")),
            1 => Self::change(journal.join("promised"), 0, &[0x55; 1024]),
            2 => Self::missing(log),
            _ => Self::change(log, (length / 2) as u64, &vec![0; length - length / 2]),
        }
    }

    fn missing(file: PathBuf) -> Self {
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside).expect("renamed");
        Self::Missing(file, aside)
    }

    fn change(file: PathBuf, at: u64, bytes: &[u8]) -> Self {
        let open = OpenOptions::new().read(true).write(true).open(&file);
        let open = open.expect("a file");
        let mut before = vec![0; bytes.len()];
        open.read_exact_at(&mut before, at).expect("read");
        open.write_all_at(bytes, at).expect("written");
        Self::Changed(file, at, before)
    }

    pub fn undo(self) {
        match self {
            Self::Missing(file, aside) => std::fs::rename(aside, file).expect("renamed"),
            Self::Changed(file, at, before) => {
                let open = OpenOptions::new().write(true).open(file).expect("a file");
                open.write_all_at(&before, at).expect("written");
            }
        }
    }
}
