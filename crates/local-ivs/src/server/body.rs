//! Reading a body within its bounds of size and time.

use crate::context::BodyError;
use crate::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

pub(super) async fn read_body(body: Incoming) -> Result<Bytes, BodyError> {
    let collected = Limited::new(body, MAX_BODY_BYTES).collect();
    match timeout(BODY_TIMEOUT, collected).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}
