//! The way of one request: its body, its faults, its handling, its answer.
//!
//! Carries out what `faults` drew. Decides nothing about calls: `api` does.

use super::body::read_body;
use super::headers;
use crate::api::error::{ApiError, REQUEST_ID};
use crate::api::{self, Call};
use crate::context::{Body, BodyError, Shared};
use crate::faults::{FaultAnswer, FaultError, Plan, Verdict};
use crate::limits::HANG;
use crate::local;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("an injected fault ended the connection without an answer")]
pub(super) struct NoAnswer;

/// One request, from its body to its answer, or to none.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, NoAnswer> {
    let (parts, body) = request.into_parts();
    let body = read_body(body).await;
    if local::is_local(parts.uri.path()) {
        let response = local::answer(&shared, &parts, body);
        let waits = response.status().is_success() && local::waits_for_saving(parts.uri.path());
        if waits && let Err(reason) = shared.durable().await {
            return Ok(local::not_saved(&reason));
        }
        return Ok(response);
    }
    let answered = match (headers::preflight(&parts), body) {
        (Some(allowed), _) => Answer::Api(Ok(allowed)),
        (None, Ok(body)) => call(&shared, parts, body).await?,
        (None, Err(BodyError::TooLarge)) => Answer::Api(Err(api::too_large(&shared, &parts))),
        (None, Err(error)) => Answer::Api(Err(error.into())),
    };
    let response = match answered {
        Answer::Api(answered) => {
            let mut response = answered.unwrap_or_else(ApiError::into_response);
            let all = response.headers_mut();
            all.insert(REQUEST_ID, shared.request_id());
            headers::add(all, shared.state.clock().wall());
            response
        }
        Answer::Edge(response) => response,
    };
    Ok(response.map(BodyExt::boxed_unsync))
}

type Answered = Result<Response<Full<Bytes>>, ApiError>;

/// Who answers a call.
enum Answer {
    Api(Answered),
    /// What stands before the API: none of its headers are there.
    Edge(Response<Full<Bytes>>),
}

/// One API call, with the faults that befall it.
async fn call(shared: &Arc<Shared>, parts: Parts, body: Bytes) -> Result<Answer, NoAnswer> {
    let call = match Call::read(&parts, &body) {
        Ok(call) => call,
        Err(unknown) => return Ok(Answer::Api(Err(unknown))),
    };
    let now_us = shared.state.clock().now_us();
    let Plan {
        before,
        after,
        verdict,
    } = shared.faults.plan(call.channel(), now_us);
    let throttled = (verdict == Verdict::Throttle).then(|| {
        let resource = call.channel().unwrap_or("*");
        let tps = match call.operation {
            operation if operation.is_put_metadata() => shared.state.channel_tps(),
            operation => operation.tps,
        };
        ApiError::throttled(call.operation.action, tps, resource)
    });

    let is_handled = match verdict {
        Verdict::Handle | Verdict::ReplyLost => true,
        Verdict::Error { handled, .. } | Verdict::Hang { handled } => handled,
        Verdict::Throttle | Verdict::Reset => false,
    };
    let answered = if is_handled {
        Some(handle_after(before, shared, parts, body, call).await?)
    } else {
        pause(before).await;
        None
    };

    // What the client gets; `None` is no answer at all.
    let answer = match verdict {
        Verdict::Handle => answered.map(Answer::Api),
        Verdict::Throttle => throttled.map(|error| Answer::Api(Err(error))),
        Verdict::Error { error, .. } => Some(fault_answer(shared, error)),
        Verdict::Hang { .. } => {
            sleep(HANG).await;
            None
        }
        Verdict::Reset | Verdict::ReplyLost => None,
    };
    pause(after).await;
    answer.ok_or(NoAnswer)
}

/// Handles a call, `delay` from now. A delayed call is under way in the network: it is
/// handled even if its client gives up meanwhile and this future is dropped.
async fn handle_after(
    delay: Duration,
    shared: &Arc<Shared>,
    parts: Parts,
    body: Bytes,
    call: Call,
) -> Result<Answered, NoAnswer> {
    if delay.is_zero() {
        return Ok(handle(shared, &parts, &body, &call).await);
    }
    let Ok(place) = Arc::clone(&shared.delayed).try_acquire_owned() else {
        pause(delay).await;
        return Ok(handle(shared, &parts, &body, &call).await);
    };
    let (answer, answered) = oneshot::channel();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut closing = shared.closing.clone();
        tokio::select! {
            () = sleep(delay) => {}
            () = closing.begins() => return,
        }
        // Nobody may be left to hear it.
        let _ = answer.send(handle(&shared, &parts, &body, &call).await);
        drop(place);
    });
    answered.await.map_err(|_| NoAnswer)
}

/// Handles a call now; one that changed something is answered when that is saved.
async fn handle(shared: &Shared, parts: &Parts, body: &[u8], call: &Call) -> Answered {
    let answered = api::handle(shared, parts, body, call)?;
    if call.operation.writes() {
        shared
            .durable()
            .await
            .map_err(|reason| ApiError::not_saved(&reason))?;
    }
    Ok(answered)
}

fn fault_answer(shared: &Shared, error: FaultError) -> Answer {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match error.answer {
        FaultAnswer::Api(code, message) => Answer::Api(Err(ApiError::new(status, code, message))),
        FaultAnswer::Bare => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            Answer::Api(Ok(response))
        }
        FaultAnswer::CloudFront => Answer::Edge(cloudfront(status, shared.request_id())),
    }
}

/// As `CloudFront`, which stands before the API, answers by itself: in HTML, and with headers of its
/// own only.
fn cloudfront(status: StatusCode, id: HeaderValue) -> Response<Full<Bytes>> {
    let code = status.as_u16();
    let page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\" \"http://www.w3.org/TR/html4/loose.dtd\">\n<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY>\n<H1>{code} ERROR</H1>\n<H2>The request could not be satisfied.</H2>\n</BODY></HTML>\n"
    );
    let mut response = Response::new(Full::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::SERVER, "CloudFront"),
        (header::CONTENT_TYPE, "text/html"),
        (header::VIA, "1.1 local-ivs.cloudfront.net (CloudFront)"),
        (HeaderName::from_static("x-cache"), "Error from cloudfront"),
        (HeaderName::from_static("x-amz-cf-pop"), "SEA900-P1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static("x-amz-cf-id"), id);
    response
}

/// Tokio's timer rounds up to a millisecond, so no delay must not become one.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
