//! What goes wrong beside the kills: the API, the stream, the disk, the clock.

use std::path::{Path, PathBuf};
use std::process::Command;

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
