//! The way of one request: its body, its faults, its handling, its answer.
//!
//! Carries out what `faults` drew. Decides nothing about calls: `api` does.

use super::body::read_body;
use crate::api::error::{ApiError, REQUEST_ID};
use crate::api::{self, Call};
use crate::context::{Body, BodyError, Shared};
use crate::faults::{FaultError, Plan, Verdict};
use crate::limits::HANG;
use crate::local;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
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
    let answered = match body {
        Ok(body) => call(&shared, parts, body).await?,
        Err(BodyError::TooLarge) => Err(api::too_large(&shared, &parts)),
        Err(error) => Err(error.into()),
    };
    let mut response = answered.unwrap_or_else(ApiError::into_response);
    response
        .headers_mut()
        .insert(REQUEST_ID, shared.request_id());
    Ok(response.map(BodyExt::boxed_unsync))
}

type Answered = Result<Response<Full<Bytes>>, ApiError>;

/// One API call, with the faults that befall it.
async fn call(shared: &Arc<Shared>, parts: Parts, body: Bytes) -> Result<Answered, NoAnswer> {
    let call = match Call::read(&parts, &body) {
        Ok(call) => call,
        Err(unknown) => return Ok(Err(unknown)),
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
        Verdict::Handle => answered,
        Verdict::Throttle => throttled.map(Err),
        Verdict::Error { error, .. } => Some(fault_answer(error)),
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

fn fault_answer(error: FaultError) -> Answered {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some((code, message)) = error.code_and_message {
        return Err(ApiError::new(status, code, message));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

/// Tokio's timer rounds up to a millisecond, so no delay must not become one.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
