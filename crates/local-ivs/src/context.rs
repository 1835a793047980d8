//! What every connection of a server shares, and the types that its rooms hand to one another.
//!
//! It stands below `server`, `api` and `local`, so that none of them needs another one for it.

use crate::auth::Keys;
use crate::events::Bus;
use crate::faults::Faults;
use crate::guard::Guard;
use crate::ids::uuid;
use crate::limits::MAX_DELAYED_CALLS;
use crate::saver::Saved;
use crate::state::State;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::combinators::UnsyncBoxBody;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, watch};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// What every connection sees.
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) events: Arc<Bus>,
    pub(crate) closing: Closing,
    pub(crate) guard: Guard,
    /// `None`: nothing is saved.
    pub(crate) saved: Option<Saved>,
    /// Places for calls that are on their way under a latency fault.
    pub(crate) delayed: Arc<Semaphore>,
    requests: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        state: Arc<State>,
        keys: Keys,
        faults: Faults,
        events: Arc<Bus>,
        closing: Closing,
        guard: Guard,
        saved: Option<Saved>,
    ) -> Self {
        Self {
            state,
            keys,
            faults,
            events,
            closing,
            guard,
            saved,
            delayed: Arc::new(Semaphore::new(MAX_DELAYED_CALLS)),
            requests: AtomicU64::new(0),
        }
    }

    /// A UUID of version 4 in form; unique within the server, and the same for the same
    /// request number, so that runs can be compared.
    pub(crate) fn request_id(&self) -> HeaderValue {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id = uuid(number);
        HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    /// Ready once everything that was changed so far is saved, if it is at all.
    ///
    /// # Errors
    ///
    /// Why it could not be saved.
    pub(crate) async fn durable(&self) -> Result<(), String> {
        let Some(saved) = &self.saved else {
            return Ok(());
        };
        let changes = *self.state.changes().borrow();
        saved.until(changes).await
    }
}

/// Tells what outlives a request that the server closes.
#[derive(Debug, Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    pub(crate) fn new(closing: watch::Receiver<bool>) -> Self {
        Self(closing)
    }

    /// Ready once the server closes, or is gone altogether.
    pub(crate) async fn begins(&mut self) {
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}
