//! The commands that talk to a running gateway, and those that read what one left.

mod channels;
pub mod dead_letters;
mod http;
pub mod journal;
pub mod load;
pub mod send;
pub mod tail;
pub mod top;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The gateway cannot be reached, or the connection broke.
    #[error("{url}: {reason}; is the gateway running there?")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The gateway said no.
    #[error("{0}")]
    Refused(String),
    /// A run of events was carried out, and was not well.
    #[error("not well: {0}")]
    NotWell(String),
    /// Standard input or output failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Where the gateway is.
#[derive(clap::Args, Debug, Clone)]
pub struct Target {
    /// The gateway's address for producers.
    #[arg(long, env = "CUEGATE_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
}
