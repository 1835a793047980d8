//! How far the requests of a connection are, and how idle it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

/// How far the requests of a connection are, as its service sees it.
#[derive(Debug, Default)]
pub struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
    exempt: AtomicBool,
    /// Where it matters, for that costs a look at the clock each time.
    watched: Option<Watched>,
}

/// When something last moved on a connection.
#[derive(Debug)]
struct Watched {
    since: Instant,
    last_ms: AtomicU64,
}

/// How idle a connection is; the greatest gives way first.
pub type Idleness = (IsIdle, std::cmp::Reverse<u64>);

/// Nothing is being answered.
type IsIdle = bool;

impl Progress {
    /// One that also knows when something last moved; now, for the beginning.
    #[must_use]
    pub fn watched(since: Instant) -> Self {
        let progress = Self {
            watched: Some(Watched {
                since,
                last_ms: AtomicU64::default(),
            }),
            ..Self::default()
        };
        progress.moved();
        progress
    }

    /// Bytes came or went.
    pub fn moved(&self) {
        if let Some(watched) = &self.watched {
            let ms = u64::try_from(watched.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            watched.last_ms.store(ms, Ordering::Relaxed);
        }
    }

    /// How idle it is, among those that are watched.
    #[must_use]
    pub fn idleness(&self) -> Idleness {
        let last = |watched: &Watched| watched.last_ms.load(Ordering::Relaxed);
        let last_ms = self.watched.as_ref().map_or(u64::MAX, last);
        (!self.is_under_way(), std::cmp::Reverse(last_ms))
    }

    /// A head is complete. The request is under way until the guard is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// From now on this connection has no heads of requests: it is a WebSocket.
    pub fn exempt(&self) {
        self.exempt.store(true, Ordering::Relaxed);
    }

    /// Whether [`exempt`](Self::exempt) was called.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        self.exempt.load(Ordering::Relaxed)
    }

    /// How many heads are complete.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.begun.load(Ordering::Relaxed) != self.ended.load(Ordering::Relaxed)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct UnderWay(Arc<Progress>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
