//! The local IVS: what it reports, what it took, and what shall go wrong with it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::process::Process;
use super::{eventually, http, ports};

/// The emulator's own endpoints, in the gateway's process or in one of its own.
#[derive(Clone, Copy)]
pub struct EmulatorApi(pub SocketAddr);

/// A payload as the emulator took it.
#[derive(Clone, Debug)]
pub struct Taken {
    pub text: String,
    pub time_us: u64,
}

impl EmulatorApi {
    pub fn report(self) -> Value {
        http::send(self.0, "GET", "/_local/report", &[], b"").json()
    }

    /// Everything a channel took, in order.
    pub fn metadata(self, arn: &str) -> Vec<Taken> {
        self.metadata_after(arn, &mut 0)
    }

    /// The same, of what came after that sequence number, which becomes the last one's.
    pub fn metadata_after(self, arn: &str, after: &mut u64) -> Vec<Taken> {
        let mut taken = Vec::new();
        loop {
            let path = format!("/_local/channels/{}/metadata?after={after}", encoded(arn));
            let answer = http::send(self.0, "GET", &path, &[], b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.json();
            let entries = page["metadata"].as_array().expect("a list");
            assert!(
                page["dropped_before"].as_u64() <= Some(*after + 1),
                "payloads were forgotten: {arn}"
            );
            let Some(last) = entries.last() else {
                return taken;
            };
            *after = last["seq"].as_u64().expect("a number");
            taken.extend(entries.iter().map(|entry| Taken {
                text: entry["metadata"].as_str().expect("a string").to_owned(),
                time_us: entry["time_us"].as_u64().expect("a number"),
            }));
        }
    }

    /// Makes a channel live or offline; makes it if there is none.
    pub fn stream(self, arn: &str, state: &str) {
        let path = format!("/_local/channels/{}/stream", encoded(arn));
        let answer = http::send(
            self.0,
            "POST",
            &path,
            &[],
            format!(r#"{{"state":"{state}"}}"#).as_bytes(),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub fn faults(self, rules: &str) {
        let answer = http::send(self.0, "POST", "/_local/faults", &[], rules.as_bytes());
        assert_eq!(answer.status, 200, "{rules}: {answer:?}");
    }

    /// How many calls the first rule has met.
    pub fn faults_hit(self) -> u64 {
        let listed = http::send(self.0, "GET", "/_local/faults", &[], b"").json();
        let hit = listed["faults"][0]["hit"].as_u64();
        hit.unwrap_or_else(|| panic!("{listed}"))
    }

    pub fn no_faults(self) {
        let answer = http::send(self.0, "DELETE", "/_local/faults", &[], b"");
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}

/// An ARN as one segment of a path.
pub fn encoded(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

/// The emulator as a process of its own.
pub struct Emulator {
    /// Ended when this is dropped.
    _process: Process,
    pub api: EmulatorApi,
}

impl Emulator {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(ports::free(), arguments)
    }

    pub fn start_at(address: SocketAddr, arguments: &[&str]) -> Self {
        Self::start_with(address, arguments, &[])
    }

    /// The same with more of an environment.
    pub fn start_with(
        address: SocketAddr,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        // Cargo names only the binaries of this package; the workspace's lie beside them.
        let binary = Path::new(env!("CARGO_BIN_EXE_cuegate")).with_file_name("local-ivs");
        assert!(
            binary.exists(),
            "{}: `cargo test --workspace` builds it",
            binary.display()
        );
        let mut command = Command::new(binary);
        command
            .args(["--listen", &address.to_string()])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(std::process::Stdio::null());
        let mut process = Process::start(&mut command);
        eventually("the emulator listens", || {
            assert!(!process.has_ended(), "it ended at once: {}", process.log());
            http::try_send(address, "GET", "/_local/report", &[], b"").ok()
        });
        Self {
            _process: process,
            api: EmulatorApi(address),
        }
    }
}
