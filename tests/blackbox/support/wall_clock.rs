//! The wall clock of a gateway, set under it.

use std::path::{Path, PathBuf};

/// A wall clock that is set back and forth under the gateway, with libfaketime.
pub struct WallClock {
    library: String,
    file: PathBuf,
}

impl WallClock {
    /// None: `CUEGATE_TEST_FAKETIME` does not say where the library is.
    pub fn new(file: PathBuf) -> Option<Self> {
        let library = std::env::var("CUEGATE_TEST_FAKETIME").ok()?;
        assert!(Path::new(&library).exists(), "{library}");
        let clock = Self { library, file };
        clock.set(0);
        Some(clock)
    }

    /// So many seconds from the true time.
    pub fn set(&self, seconds: i32) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).expect("a file");
        std::fs::rename(next, &self.file).expect("renamed");
    }

    pub fn environment(&self) -> Vec<(&str, &str)> {
        vec![
            ("LD_PRELOAD", &self.library),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.file.to_str().expect("UTF-8"),
            ),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}
