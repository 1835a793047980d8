//! How a client is made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{ANSWER_TIME, CONNECT_TIME};

/// What a [`Client`](crate::Client) needs to know.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    pub(crate) url: String,
    pub(crate) key: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) connect_time: Duration,
    pub(crate) answer_time: Duration,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            ca: None,
            connect_time: CONNECT_TIME,
            answer_time: ANSWER_TIME,
        }
    }

    /// The API key or the token that is shown to the gateway.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A file of PEM with the authority of an https:// gateway, beside those of the system.
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// How long connecting may take; 5 s if nothing is said.
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_time = time;
        self
    }

    /// How long an answer may take, from the request to its last byte; 35 s if nothing is said,
    /// because the gateway waits up to 30 s with `wait`. Streams of payloads have no such end.
    pub const fn timeout(mut self, time: Duration) -> Self {
        self.answer_time = time;
        self
    }
}
