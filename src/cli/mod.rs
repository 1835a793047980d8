//! The commands that talk to a running gateway, and those that read what one left.

mod channels;
pub mod dead_letters;
mod http;
pub mod journal;
pub mod key;
pub mod load;
pub mod output;
pub mod send;
pub mod tail;
mod tls;
pub mod top;

use std::path::PathBuf;

use crate::config::Secret;

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

impl Error {
    /// Whether nobody reads what is written any more, as after `| head -1`.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// Where the gateway is.
#[derive(clap::Args, Debug, Clone)]
pub struct Target {
    /// The gateway's address for producers.
    #[arg(long, env = "CUEGATE_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// What is shown to it.
    #[command(flatten)]
    pub proof: Proof,
}

impl Target {
    /// A place where nothing has to be shown.
    fn open(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            proof: Proof::default(),
        }
    }
}

/// What a gateway with keys wants to see, and what it is known by.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Proof {
    /// The API key, or a token. Better in the environment: arguments can be seen by others.
    #[arg(long = "api-key", value_name = "KEY", env = "CUEGATE_KEY", hide_env_values = true, value_parser = secret)]
    pub api_key: Option<Secret>,
    /// The authority of an https:// gateway's certificate, as PEM, beside those of the system.
    #[arg(long, env = "CUEGATE_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

fn secret(text: &str) -> Result<Secret, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
        .ok_or_else(|| "a key has visible ASCII characters only".to_owned())
}
