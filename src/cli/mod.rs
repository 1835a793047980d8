//! The commands that talk to a running gateway, and those that read what one left.

pub mod channels;
pub mod cluster;
pub mod control;
pub mod dead_letters;
pub mod doctor;
pub mod journal;
pub mod key;
pub mod load;
pub mod output;
pub mod pages;
pub mod send;
pub mod status;
pub mod tail;
pub mod top;
pub mod version;

use std::path::PathBuf;

use cuegate_client::Client;

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
    /// Something was looked at, and has to be changed.
    #[error("{0}")]
    NeedsAction(String),
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

impl From<cuegate_client::Error> for Error {
    fn from(error: cuegate_client::Error) -> Self {
        match error {
            cuegate_client::Error::Usage(what) => Self::Usage(what),
            cuegate_client::Error::Unreachable { url, reason } => Self::Unreachable { url, reason },
            // The whole document: a script can read it.
            cuegate_client::Error::Refused(refusal) if !refusal.document.is_empty() => {
                Self::Refused(refusal.document)
            }
            other => Self::Refused(other.to_string()),
        }
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
    /// A client of it.
    fn client(&self) -> Result<Client, Error> {
        self.proof.client(&self.url)
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

impl Proof {
    /// A client of the gateway at this address.
    fn client(&self, url: &str) -> Result<Client, Error> {
        let mut builder = Client::builder(url);
        if let Some(key) = &self.api_key {
            builder = builder.key(key.expose());
        }
        if let Some(ca) = &self.ca {
            builder = builder.ca(ca);
        }
        Ok(builder.build()?)
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
        .ok_or_else(|| "a key has visible ASCII characters only".to_owned())
}

/// An argument that must say something: what came out empty must not become everything.
fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}
