//! The types that settings have, beside numbers and texts.

use std::fmt;
use std::path::PathBuf;

use engine::{DeadLetterReason, End};

/// Which API payloads go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamMode {
    /// The emulator in this process.
    Local,
    /// The real API.
    Aws,
}

/// What survives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// Nothing.
    Off,
    /// What the operating system was handed: survives the process.
    Os,
    /// What the disk confirmed: survives the machine.
    Fsync,
}

/// How events from `POST /PutMetadata` become payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMetadataEnvelope {
    /// Byte for byte, alone in the payload.
    Raw,
    /// As the channel's other events.
    Channel,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Send events.
    Publish,
    /// Read channels and payloads.
    Read,
    /// Cancel and purge events, pause and resume channels.
    Control,
    /// Everything under `/admin`.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Read, Self::Control, Self::Admin];

    /// The word for it in the configuration and in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Control => "control",
            Self::Admin => "admin",
        }
    }
}

/// How events end.
pub(super) const ENDS: [&str; 6] = [
    End::Delivered.name(),
    End::Merged.name(),
    End::Expired.name(),
    End::Cancelled.name(),
    End::Evicted.name(),
    End::DeadLettered(DeadLetterReason::Offline).name(),
];

/// Where a secret is that is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In this environment variable.
    Env(String),
    /// In this file, read again when it changes.
    File(PathBuf),
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// A text that no log, error or report ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself. Compare what a client presents in constant time, not with `==`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
