//! What is verified, and what is known of its key.

use http::{HeaderMap, Uri};
use std::fmt;

pub(crate) const DATE: &str = "x-amz-date";
pub(crate) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// A request as it was received, body included. Its size is for the caller to bound.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The request target, still percent-encoded as sent. Its authority stands in for a
    /// missing `Host` header (HTTP/2).
    pub uri: &'a Uri,
    /// All headers, as sent.
    pub headers: &'a HeaderMap,
    /// The whole body, after any transfer encoding was undone.
    pub body: &'a [u8],
}

/// What is known of an access key: its secret, and for temporary credentials the session
/// token that must come with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    secret_access_key: String,
    session_token: Option<String>,
}

impl Secret {
    /// The secret of a long-term key, which comes without a session token.
    #[must_use]
    pub fn new(secret_access_key: impl Into<String>) -> Self {
        Self {
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }

    /// The same for a temporary key: requests must carry exactly this token.
    #[must_use]
    pub fn with_session_token(mut self, session_token: impl Into<String>) -> Self {
        self.session_token = Some(session_token.into());
        self
    }

    pub(crate) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    pub(crate) fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(** redacted **)")
    }
}
