//! What a channel took: as a page of JSON, or as server-sent events that go on.
//!
//! Only reads. A client that does not read its events holds up nobody: the stream waits, and
//! finds on its next turn what is still retained.

use super::{LocalError, json};
use crate::arn::ChannelArn;
use crate::context::{Body, Closing, Shared};
use crate::limits::{MAX_PAGE, MAX_SSE_BATCH, SSE_KEEP_ALIVE};
use crate::state::{Page, State};
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::watch;

pub(super) fn answer(
    shared: &Arc<Shared>,
    parts: &Parts,
    arn: &ChannelArn,
) -> Result<Response<Body>, LocalError> {
    let wants_events = parts
        .headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/event-stream"));
    let after = after(parts)?;
    let missing = || LocalError::not_found(format!("no channel {}", arn.as_str()));
    if !wants_events {
        let page = shared.state.metadata_after(arn, after, MAX_PAGE);
        return Ok(json(StatusCode::OK, &page.ok_or_else(missing)?));
    }
    let tail = Tail {
        news: shared.state.news_of(arn).ok_or_else(missing)?,
        closing: shared.closing.clone(),
        state: Arc::clone(&shared.state),
        arn: arn.clone(),
        after,
    };
    let chunks = stream::unfold(tail, |mut tail| async move {
        let chunk = tail.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), tail))
    });
    let mut response = Response::new(StreamBody::new(chunks).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `?after=SEQ`, or where a browser's `EventSource` left off; from the beginning otherwise.
fn after(parts: &Parts) -> Result<u64, LocalError> {
    let mut after = None;
    for pair in parts.uri.query().unwrap_or_default().split('&') {
        match pair.split_once('=') {
            Some(("after", seq)) => after = Some(seq),
            _ if pair.is_empty() => {}
            _ => {
                return Err(LocalError::bad_request(format!(
                    "unknown parameter '{pair}': there is only after=SEQ"
                )));
            }
        }
    }
    let reconnected = parts
        .headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    match reconnected.or(after) {
        None => Ok(0),
        Some(seq) => seq.parse().map_err(|_| {
            LocalError::bad_request(format!("after must be a sequence number, not '{seq}'"))
        }),
    }
}

/// Follows a channel.
struct Tail {
    state: Arc<State>,
    arn: ChannelArn,
    /// The last sequence number that was sent.
    after: u64,
    news: watch::Receiver<u64>,
    closing: Closing,
}

impl Tail {
    /// The next chunk of events; `None` when the server closes.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Marked seen before looking, so that what comes in between wakes the wait below.
            self.news.borrow_and_update();
            let page = self
                .state
                .metadata_after(&self.arn, self.after, MAX_SSE_BATCH)?;
            if let Some(last) = page.metadata.last() {
                let chunk = events(&page, self.after);
                self.after = last.seq;
                return Some(chunk);
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = self.closing.begins() => return None,
                () = tokio::time::sleep(SSE_KEEP_ALIVE) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }
}

/// One event per payload, its `id` the sequence number, after an event `dropped` if payloads
/// since `after` are no longer there.
fn events(page: &Page, after: u64) -> Bytes {
    let mut text = String::new();
    if after.saturating_add(1) < page.dropped_before {
        let _ = write!(
            text,
            "event: dropped\ndata: {{\"dropped_before\":{}}}\n\n",
            page.dropped_before
        );
    }
    for entry in &page.metadata {
        // JSON has no bare line breaks, so one data line holds it.
        let data = serde_json::to_string(entry).unwrap_or_default();
        let _ = write!(text, "id: {}\ndata: {data}\n\n", entry.seq);
    }
    text.into()
}
