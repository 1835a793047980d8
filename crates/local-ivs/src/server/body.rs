//! Reading a body within its bounds of size and time.

use crate::api::error::ApiError;
use crate::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::body_too_large(),
            BodyError::TooSlow => Self::body_timeout(),
            BodyError::Broken => Self::body_unreadable(),
        }
    }
}

pub(super) async fn read_body(body: Incoming) -> Result<Bytes, BodyError> {
    let collected = Limited::new(body, MAX_BODY_BYTES).collect();
    match timeout(BODY_TIMEOUT, collected).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}
