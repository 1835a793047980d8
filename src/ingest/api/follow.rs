//! Server-sent events without end: who follows, and how long.
//!
//! A reader that is too slow misses some, and is told how many. The stream ends with the process, and when its reader
//! may read no more.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::ingest::context::{ApiContext, Life};
use crate::ingest::limits::SSE_KEEP_ALIVE;
use crate::ingest::session::Session;

/// What a reader of server-sent events says when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Keeps a connection alive, and takes the headers through proxies that wait for a body.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// What is followed.
pub(super) trait Sent: Send + Sync + 'static {
    /// Its `id`: one that was written is not written again.
    fn number(&self) -> u64;

    /// It as a server-sent event.
    fn event(&self) -> Bytes;
}

/// Where it comes from.
pub(super) trait Source<T>: Send + 'static {
    /// What comes from now on.
    fn received(&mut self) -> &mut Receiver<Arc<T>>;
}

impl<T: Sent> Source<T> for Receiver<Arc<T>> {
    fn received(&mut self) -> &mut Receiver<Arc<T>> {
        self
    }
}

/// The last number that a reader had; none: it is new, or brings an id that is none of ours.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    let last = headers.get(LAST_EVENT_ID)?;
    last.to_str().ok()?.trim().parse().ok()
}

/// So many were missed; none: nobody knows how many.
pub(super) fn lagged(missed: Option<u64>) -> Bytes {
    let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
    format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n").into()
}

/// One who follows.
pub(super) struct Follower<T, S> {
    context: Arc<ApiContext>,
    session: Session,
    source: S,
    /// What is written before anything that comes.
    first: VecDeque<Bytes>,
    /// The numbers among that.
    shown: HashSet<u64>,
    _sent: std::marker::PhantomData<fn() -> T>,
}

impl<T: Sent, S: Source<T>> Follower<T, S> {
    /// One who is told of a gap, if there is one, and of what it missed, before it hears from the source.
    pub(super) fn new(
        context: Arc<ApiContext>,
        session: Session,
        source: S,
        gap: Option<Bytes>,
        missed: &[Arc<T>],
    ) -> Self {
        let missed_events = missed.iter().map(|one| one.event());
        Self {
            context,
            session,
            source,
            first: [COMMENT]
                .into_iter()
                .chain(gap)
                .chain(missed_events)
                .collect(),
            shown: missed.iter().map(|one| one.number()).collect(),
            _sent: std::marker::PhantomData,
        }
    }

    /// The answer.
    pub(super) fn response(self) -> Response {
        let events = stream::unfold(self, |mut follower| async {
            let bytes = follower.next().await?;
            Some((Ok::<_, Infallible>(bytes), follower))
        });
        let mut response = Response::new(Body::from_stream(events));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// What is written next; none at the end of the process, or when the reader may read no more.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.first.pop_front() {
            return Some(bytes);
        }
        loop {
            return tokio::select! {
                biased;
                _ = self.session.until_denied() => None,
                received = self.source.received().recv() => match received {
                    Ok(sent) if self.shown.contains(&sent.number()) => continue,
                    Ok(sent) => Some(sent.event()),
                    Err(RecvError::Lagged(missed)) => Some(lagged(Some(missed))),
                    Err(RecvError::Closed) => None,
                },
                () = tokio::time::sleep(SSE_KEEP_ALIVE) => Some(COMMENT),
                () = self.context.reaches(Life::Stopping) => None,
            };
        }
    }
}
