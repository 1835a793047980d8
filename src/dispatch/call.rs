//! One call to the API, from its send to its last answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use engine::{Outcome, Payload, Time};
use tracing::Instrument as _;

use super::channel::{Account, Channel};
use super::commits::Commits;
use super::home::Home;
use super::shared::Shared;
use crate::clock::Clock;
use crate::telemetry::spans::{self, Origin};
use crate::upstream::Answer;

/// A call in flight, or given up and still listened to.
#[derive(Clone)]
pub(super) struct Call {
    /// As the engine knows it.
    pub engine: engine::Call,
    pub channel: Arc<Channel>,
    pub bytes: usize,
}

/// What is heard of a call.
pub(super) enum News {
    /// It was answered, or its connection failed.
    Answered(Call, Answer, Duration),
    /// It timed out.
    GaveUp(Call, Duration),
    /// It had timed out and was answered after all.
    Late(Call, Answer),
}

/// The calls of one account: what was heard of them, for the account's task.
pub(super) struct Calls {
    pub account: Arc<Account>,
    heard: Mutex<Vec<News>>,
}

impl Calls {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self {
            account,
            heard: Mutex::default(),
        }
    }

    fn tell(&self, news: News) {
        self.lock().push(news);
        self.account.ring();
    }

    /// What was heard since this was last asked.
    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<News>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call carries: the payload, the requests that its events came with, and the commit to
/// wait for.
pub(super) struct Parcel {
    pub channel: Arc<Channel>,
    pub payload: Payload,
    pub origins: Vec<Origin>,
    pub home: Arc<Home>,
    pub commits: Commits,
}

/// One call, heard to its end: a call that is given up is still listened to, because its
/// late answer frees its tokens sooner.
pub(super) async fn make_call(
    calls: Arc<Calls>,
    shared: Arc<Shared>,
    call: engine::Call,
    parcel: Parcel,
) {
    let Parcel {
        channel,
        payload,
        origins,
        home,
        commits,
    } = parcel;
    let call = Call {
        engine: call,
        channel,
        bytes: payload.text.len(),
    };
    let account = &calls.account;
    // Its events, its number and the call itself are recorded before it goes: after a crash the
    // payload goes again as the same one, and the next process knows that the API may still handle
    // this call. A disk that fails does not stop deliveries; one that does not answer does.
    commits.recorded().await;
    if !home.may_call(&shared.clock) {
        calls.tell(News::Answered(call, Answer::dropped(), Duration::ZERO));
        return;
    }
    let over = shared.clock.now_with_sleep() + time_of(&shared).into();
    let started = Instant::now();
    let arn = call.channel.arn.clone();
    let answer =
        shared
            .upstream
            .put_metadata(&account.id, &account.region, arn.as_str(), &payload.text);
    let answer = pin!(answer);
    let mut answer = until(&shared.clock, over, answer);
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
    let in_time = in_time.instrument(span.clone()).await.ok().flatten();
    let outcome = in_time.as_ref().map(|answer| answer.outcome);
    spans::called(&span, outcome.unwrap_or(Outcome::Unknown));
    // The span ends here: what comes later frees tokens and tells nobody anything else.
    drop(span);
    if let Some(answer) = in_time {
        calls.tell(News::Answered(call, answer, started.elapsed()));
    } else {
        calls.tell(News::GaveUp(call.clone(), started.elapsed()));
        if let Ok(Some(answer)) = tokio::time::timeout(shared.abandon(), answer).await {
            calls.tell(News::Late(call, answer));
        }
    }
}

/// How long a call is listened to.
fn time_of(shared: &Shared) -> Duration {
    shared.call_timeout().saturating_add(shared.abandon())
}

/// Lets a call go on until its time is over, and not once more. After this process stood still, or its machine
/// slept, a call that had not left yet would leave now, when the next owner counts it no longer.
fn until<'a, F: Future>(
    clock: &'a Clock,
    over: Time,
    mut call: Pin<&'a mut F>,
) -> impl Future<Output = Option<F::Output>> + Unpin + 'a {
    poll_fn(move |context| {
        if clock.now_with_sleep() >= over {
            return Poll::Ready(None);
        }
        call.as_mut().poll(context).map(Some)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Waker};

    use engine::Span;

    use super::*;
    use crate::clock::manual::Machine;

    #[test]
    fn a_call_does_not_go_on_when_its_time_is_over() {
        does_not_go_on(|machine| machine.pass_ms(1000));
        does_not_go_on(|machine| machine.sleep_ms(1000));
    }

    fn does_not_go_on(stand_still: impl Fn(&Machine)) {
        let machine = Machine::new();
        let clock = machine.start();
        let polls = Cell::new(0);
        let mut call = pin!(poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        }));
        let mut listened = until(&clock, clock.now() + Span::SECOND, call.as_mut());
        let mut poll = || Pin::new(&mut listened).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(poll(), Poll::Pending);
        stand_still(&machine);
        assert_eq!([poll(), poll()], [Poll::Ready(None); 2]);
        assert_eq!(polls.get(), 1);
    }
}
