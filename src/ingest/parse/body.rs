//! Bodies of requests: read whole within their bounds, or thrown away so that the client
//! sees why.
//!
//! It looks at no byte of them, but to unpack what is compressed.

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::content_type::Coding;
use super::gzip::Unpacker;
use super::share::Share;
use crate::access::BodyBudget;
use crate::ingest::limits::{
    BODY_SILENCE, BODY_TIME, DISCARD_MAX_BYTES, DISCARD_MAX_TIME, GZIP_OVERHEAD, GZIP_SHARE,
};
use crate::refusal::{Code, Refusal};

/// Reads a body of at most `max` bytes, unpacked. `own` is the caller's part of the budget, if it has
/// one.
///
/// # Errors
/// `body_too_large` (after discarding the rest), `slow_request`, `overloaded`, `rate_limited`, and
/// `malformed` for one that ended before its end, or cannot be unpacked.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    coding: Coding,
    max: usize,
    budget: &BodyBudget,
    own: Option<&BodyBudget>,
) -> Result<Bytes, Refusal> {
    let share = Share::of(budget, own);
    match coding {
        Coding::Identity => plain(headers, body, max, share).await,
        // Boxed: nearly every body is plain, and would carry this along.
        Coding::Gzip => Box::pin(packed(headers, body, max, share)).await,
    }
}

async fn plain(
    headers: &HeaderMap,
    mut body: Body,
    max: usize,
    mut share: Share<&BodyBudget>,
) -> Result<Bytes, Refusal> {
    let announced = body.size_hint().lower();
    if announced > u64::try_from(max).unwrap_or(u64::MAX) {
        discard(headers, body).await;
        return Err(Refusal::body_too_large(max));
    }
    let mut parts = Parts::default();
    let mut deadline = None;
    while let Some(bytes) = next(&mut body, &mut deadline).await? {
        if parts.len() + bytes.len() > max {
            discard(headers, body).await;
            return Err(Refusal::body_too_large(max));
        }
        share.grow(bytes.len())?;
        parts.push(bytes, announced);
    }
    Ok(parts.into_bytes())
}

/// A compressed body is unpacked as it comes, so that one of a thousand times its size is refused
/// where it exceeds the bound.
async fn packed(
    headers: &HeaderMap,
    mut body: Body,
    max: usize,
    share: Share<&BodyBudget>,
) -> Result<Bytes, Refusal> {
    // What does not shrink grows a little. More would be rubbish that unpacks to nothing.
    let most = max + max / GZIP_SHARE + GZIP_OVERHEAD;
    let mut came = 0;
    let mut deadline = None;
    let mut unpacker = Unpacker::new(max, share)?;
    while let Some(bytes) = next(&mut body, &mut deadline).await? {
        came += bytes.len();
        let pushed = if came > most {
            Err(Refusal::body_too_large(max))
        } else {
            unpacker.push(&bytes)
        };
        if let Err(refusal) = pushed {
            drop(unpacker);
            discard(headers, body).await;
            return Err(refusal);
        }
    }
    unpacker.finish()
}

/// The next bytes of a body; none at its end. The clock is read only once something has to be
/// waited for: most bodies came with their head.
async fn next(body: &mut Body, deadline: &mut Option<Instant>) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = if let Some(frame) = body.frame().now_or_never() {
            frame
        } else {
            let now = Instant::now();
            let by = *deadline.get_or_insert(now + BODY_TIME);
            timeout_at(by.min(now + BODY_SILENCE), body.frame())
                .await
                .map_err(|_| Refusal::new(Code::SlowRequest, "the body came too slowly"))?
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::malformed("the body ended before its end")),
            Some(Ok(frame)) => {
                // Trailers carry nothing for us.
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// Reads and drops what is left of a body, within the bounds: a connection that is closed
/// over unread bytes is reset, and the answer is lost. A client that waits for
/// `100 Continue` has sent nothing and is not asked to.
pub async fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let mut left = DISCARD_MAX_BYTES;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(size) else {
                return;
            };
            left = rest;
        }
    };
    let _ = timeout(DISCARD_MAX_TIME, all).await;
}

/// The pieces of a body; one piece is not copied.
#[derive(Default)]
struct Parts {
    first: Bytes,
    all: BytesMut,
}

impl Parts {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, bytes: Bytes, announced: u64) {
        if self.is_empty() {
            self.first = bytes;
            return;
        }
        if self.all.is_empty() {
            // At most `max`, which was checked.
            self.all.reserve(usize::try_from(announced).unwrap_or(0));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&bytes);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::limits::BODIES_OF_ONE_MAX_BYTES;
    use futures_util::stream;
    use std::convert::Infallible;

    fn pieces(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece)))
            .collect();
        Body::from_stream(stream::iter(pieces))
    }

    async fn read_all(body: Body, max: usize) -> Result<Bytes, Code> {
        let budget = BodyBudget::default();
        let result = read(
            &HeaderMap::new(),
            body,
            Coding::Identity,
            max,
            &budget,
            None,
        )
        .await;
        assert_eq!(budget.take(0), 0, "the budget is given back");
        result.map_err(|refusal| refusal.code)
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip] // a table
    async fn bodies_within_and_beyond_their_bounds() {
        for (body, expected) in [
            (Body::empty(), Ok(&b""[..])),
            (Body::from("abcd"), Ok(b"abcd")),
            (Body::from("abcde"), Err(Code::BodyTooLarge)),
            (pieces(&[b"ab", b"", b"cd"]), Ok(b"abcd")),
            (pieces(&[b"ab", b"cd", b"e"]), Err(Code::BodyTooLarge)),
            (Body::from_stream(stream::iter([Ok("ab"), Err("reset")])), Err(Code::Malformed)),
            (Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()), Err(Code::SlowRequest)),
        ] {
            assert_eq!(read_all(body, 4).await.as_deref(), expected.as_deref());
        }
    }

    #[tokio::test]
    async fn one_caller_has_a_part_of_the_budget() {
        let (all, own) = (BodyBudget::default(), BodyBudget::default());
        for (taken, expected) in [
            (BODIES_OF_ONE_MAX_BYTES - 4, None),
            (BODIES_OF_ONE_MAX_BYTES - 3, Some(Code::RateLimited)),
        ] {
            own.take(taken);
            let (headers, body) = (HeaderMap::new(), Body::from("abcd"));
            let read = read(&headers, body, Coding::Identity, 4, &all, Some(&own)).await;
            assert_eq!(read.err().map(|refusal| refusal.code), expected);
            assert_eq!((all.take(0), own.take(0)), (0, taken), "given back");
            own.give_back(taken);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_off() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(BODY_SILENCE / 2).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        let start = Instant::now();
        assert_eq!(
            read_all(Body::from_stream(drip), 1000).await,
            Err(Code::SlowRequest)
        );
        assert_eq!(start.elapsed(), BODY_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn discarding_has_an_end() {
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 1 << 16])));
        discard(&HeaderMap::new(), Body::from_stream(endless)).await;
        let start = Instant::now();
        discard(
            &HeaderMap::new(),
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
        )
        .await;
        assert_eq!(start.elapsed(), DISCARD_MAX_TIME);
    }
}
