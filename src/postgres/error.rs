//! What went wrong with the database, and what to do about it. No message has a password in it.

use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::SqlState;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was configured cannot be used.
    #[error("{0}")]
    Settings(String),
    /// No session could be had. Nothing was carried out.
    #[error("{server}: {reason}")]
    Connect {
        /// Host and port.
        server: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The connection ended, or no answer came in time: the statement may have been carried out,
    /// may be on its way, or may not.
    #[error("the database's answer is missing: {0}")]
    Lost(String),
    /// The server refused the statement: nothing of it was carried out.
    #[error("{}", Refusal { code, message })]
    Refused {
        /// Its reason.
        code: SqlState,
        /// In the server's words.
        message: String,
    },
    /// The server's answer is not what the statement asks for.
    #[error("the database's answer cannot be read: {0}")]
    Answer(String),
}

impl Error {
    /// Whether the statement may have been carried out.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Answer(_))
    }

    /// The server's reason, if it refused.
    #[must_use]
    pub const fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The server took another transaction's side: the same statement may succeed the next time.
    pub(super) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// The connection ended, whatever the server said last.
    pub(super) fn lost(error: &tokio_postgres::Error) -> Self {
        Self::Lost(chain(error))
    }

    /// Of an attempt to connect.
    pub(super) fn connecting(server: &str, error: &tokio_postgres::Error) -> Self {
        let reason = error.as_db_error().map_or_else(
            || chain(error),
            |refused| {
                Refusal {
                    code: refused.code(),
                    message: refused.message(),
                }
                .to_string()
            },
        );
        Self::Connect {
            server: server.to_owned(),
            reason,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    /// Of a statement that was sent.
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // The server ends the session, and may have carried the statement out before it did.
            Some(refused) if ends_session(refused.code()) => Self::Lost(refused.message().into()),
            Some(refused) => Self::Refused {
                code: refused.code().clone(),
                message: refused.message().to_owned(),
            },
            None => Self::lost(&error),
        }
    }
}

/// A class 57P error comes of the server's end or the session's, a class 08 of the connection's.
/// 57014 is a statement that was cancelled, which a COMMIT that waits for its standby survives.
fn ends_session(code: &SqlState) -> bool {
    code.code().starts_with("57") || code.code().starts_with("08") || code.code().starts_with("XX")
}

/// An error with its causes. The driver's own text names only its kind.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

struct Refusal<'a> {
    code: &'a SqlState,
    message: &'a str,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.code())?;
        match advice(self.code) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// What an operator can do about it.
fn advice(code: &SqlState) -> Option<&'static str> {
    Some(match code.code() {
        "28P01" => {
            "the user or the password is wrong: look at cluster.url and cluster.password_file"
        }
        "28000" => {
            "the server does not let this user in from here: look at its pg_hba.conf, and at sslmode"
        }
        "3D000" => "create the database, or correct its name in the URL",
        "53300" => {
            "the server has no connection left: raise max_connections, or let fewer clients connect"
        }
        "57P03" => "the server is starting or recovering; this is tried again",
        "42P01" | "3F000" => "the tables are missing: run `cuegate cluster init`",
        "42703" => {
            "the tables are of another version: run `cuegate cluster init` with the newest version"
        }
        "42501" => {
            "this role lacks a right: run `cuegate cluster init` as the tables' owner; it prints the GRANTs"
        }
        "25006" => {
            "this server takes no writes: name all hosts in the URL, with target_session_attrs=read-write"
        }
        "53100" => "the database's disk is full: make room on it",
        _ => return None,
    })
}
