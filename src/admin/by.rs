//! Who sent a request that the guard let in, for the log.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::Caller;
use crate::telemetry::RequestId;
use crate::telemetry::actions::Actor;

/// The caller and the id of a request, as the layers around every route left them in it.
pub(super) struct By {
    caller: Option<Arc<Caller>>,
    request: Option<RequestId>,
}

impl By {
    pub(super) fn actor(&self) -> Actor<'_> {
        Actor {
            key: self.caller.as_ref().map_or("", |caller| caller.name()),
            request: self.request.as_ref(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            caller: head.extensions.get().cloned(),
            request: head.extensions.get().cloned(),
        })
    }
}
