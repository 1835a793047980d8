//! A library that is preloaded into the gateway, built by the system's compiler: `shim.c`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, and the files that tell it what to do.
pub struct Shim {
    directory: tempfile::TempDir,
    journal: PathBuf,
}

impl Shim {
    pub fn new(journal: &Path) -> Self {
        let shim = Self {
            directory: tempfile::tempdir().expect("a directory"),
            journal: journal.to_owned(),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blackbox/journal/shim.c");
        let built = Command::new("gcc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(shim.file("shim.so"))
            .arg(source)
            .arg("-ldl")
            .status()
            .expect("gcc");
        assert!(built.success(), "{built}");
        shim.boot("11111111-1111-4111-8111-111111111111");
        shim
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The next process runs in this boot of the machine.
    pub fn boot(&self, id: &str) {
        std::fs::write(self.file("boot_id"), format!("{id}\n")).expect("written");
    }

    /// From now on, or from now on no more, the journal's disk does not answer.
    pub fn hang(&self, hangs: bool) {
        let file = self.file("hang");
        if hangs {
            std::fs::write(file, "").expect("written");
        } else {
            std::fs::remove_file(file).expect("removed");
        }
    }

    /// From now on the journal's disk refuses what is written: `but mark`: except for how far it
    /// promised; `all`: everything; none: nothing any more.
    pub fn fail(&self, what: Option<&str>) {
        let (file, next) = (self.file("fail"), self.file("next"));
        match what {
            Some(what) => {
                std::fs::write(&next, what).expect("written");
                std::fs::rename(next, file).expect("renamed");
            }
            None => std::fs::remove_file(file).expect("removed"),
        }
    }

    /// The paths that were synced.
    pub fn synced(&self) -> Vec<PathBuf> {
        let text = std::fs::read_to_string(self.file("synced")).unwrap_or_default();
        text.lines().map(PathBuf::from).collect()
    }

    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD", text(self.file("shim.so"))),
            ("SHIM_DIR", text(self.journal.clone())),
            ("SHIM_HANG", text(self.file("hang"))),
            ("SHIM_FAIL", text(self.file("fail"))),
            ("SHIM_BOOT_ID", text(self.file("boot_id"))),
            ("SHIM_SYNCED", text(self.file("synced"))),
        ]
    }
}
