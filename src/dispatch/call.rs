//! One call to the API, from its send to its last answer.

use std::sync::Arc;
use std::time::Instant;

use engine::{Outcome, Payload};
use tracing::Instrument as _;

use super::account::{Account, News};
use super::channel::Channel;
use super::shared::Shared;
use crate::journal::Ticket;
use crate::telemetry::spans::{self, Origin};

/// A call in flight, or given up and still listened to.
#[derive(Clone)]
pub(super) struct Call {
    /// As the engine knows it.
    pub engine: engine::Call,
    pub channel: Arc<Channel>,
    pub bytes: usize,
}

/// What a call carries: the payload, the requests that its events came with, and the commit to
/// wait for.
pub(super) struct Parcel {
    pub channel: Arc<Channel>,
    pub payload: Payload,
    pub origins: Vec<Origin>,
    pub ticket: Ticket,
}

/// One call, heard to its end: a call that is given up is still listened to, because its
/// late answer frees its tokens sooner.
pub(super) async fn make_call(
    account: Arc<Account>,
    shared: Arc<Shared>,
    call: engine::Call,
    parcel: Parcel,
) {
    let Parcel {
        channel,
        payload,
        origins,
        ticket,
    } = parcel;
    let call = Call {
        engine: call,
        channel,
        bytes: payload.text.len(),
    };
    // Its events and its number are on disk before it goes: after a crash it goes again as
    // the same payload. A disk that fails does not stop deliveries.
    let _ = shared.journal.committed(ticket).await;
    let started = Instant::now();
    let arn = call.channel.arn.clone();
    let answer =
        shared
            .upstream
            .put_metadata(&account.id, &account.region, arn.as_str(), &payload.text);
    let mut answer = std::pin::pin!(answer);
    let span = spans::put_metadata(
        &account.id,
        &account.region,
        arn.as_str(),
        spans::Payload {
            n: payload.n,
            bytes: payload.text.len(),
            items: payload.events,
            origins: &origins,
        },
    );
    let in_time = tokio::time::timeout(shared.call_timeout(), &mut answer);
    let in_time = in_time.instrument(span.clone()).await;
    let outcome = in_time.as_ref().map(|answer| answer.outcome);
    spans::called(&span, outcome.unwrap_or(Outcome::Unknown));
    // The span ends here: what comes later frees tokens and tells nobody anything else.
    drop(span);
    if let Ok(answer) = in_time {
        account.post(News::Answered(call, answer, started.elapsed()));
    } else {
        account.post(News::GaveUp(call.clone(), started.elapsed()));
        if let Ok(answer) = tokio::time::timeout(shared.abandon(), answer).await {
            account.post(News::Late(call, answer));
        }
    }
}
