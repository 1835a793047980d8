//! The task that takes changes off the queue and posts them, one request at a time, as the
//! schedule says. It alone waits.

use super::schedule::{Failed, Next, Post, Schedule};
use super::settings::Settings;
use super::{Bus, EventReceiver, StateChange, body, post};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The schedule of the settings that hold.
struct Round {
    settings: Arc<Settings>,
    schedule: Schedule,
}

/// Delivers the events of a server until its state is gone. The time between two events is
/// Tokio's: the server's clock may be one that a test moves by hand.
pub(crate) async fn deliver(mut events: EventReceiver, bus: Arc<Bus>) {
    let mut settings = bus.settings.subscribe();
    let started = Instant::now();
    let mut round = settings.borrow_and_update().clone().map(Round::new);
    let mut number = 0;
    loop {
        if settings.has_changed().unwrap_or(false) {
            round = settings.borrow_and_update().clone().map(Round::new);
        }
        let now = started.elapsed();
        let next = match &mut round {
            Some(round) => round.schedule.next(now),
            None => Next::Idle,
        };
        let due = match next {
            Next::Post(post) => {
                if let Some(round) = &mut round {
                    round.try_to(post, &bus, started).await;
                }
                continue;
            }
            Next::TooOld => {
                bus.books().failed += 1;
                continue;
            }
            Next::WaitUntil(due) => Some(due),
            Next::Idle => None,
        };
        let has_room = round.as_ref().is_none_or(|round| round.schedule.has_room());
        tokio::select! {
            _ = settings.changed() => {
                round = settings.borrow_and_update().clone().map(Round::new);
            }
            () = wait(started, due) => {}
            change = events.recv(), if has_room => {
                let Some(change) = change else { return };
                number += 1;
                take(&change, number, round.as_mut(), &bus, started.elapsed());
            }
        }
    }
}

impl Round {
    fn new(settings: Arc<Settings>) -> Self {
        let schedule = Schedule::new(settings.mishaps);
        Self { settings, schedule }
    }

    async fn try_to(&mut self, post: Post, bus: &Bus, started: Instant) {
        let destination = &self.settings.destination;
        let Err(error) = post::post(destination, post.body.clone()).await else {
            bus.books().posted += 1;
            return;
        };
        let outcome = if error.may_pass() {
            self.schedule.failed(started.elapsed(), post)
        } else {
            Failed::GivenUp
        };
        match outcome {
            Failed::TriedAgain => {
                tracing::debug!(%error, url = %destination.url, "an event is posted again later");
                bus.books().retried += 1;
            }
            Failed::GivenUp => {
                tracing::warn!(%error, url = %destination.url, "an event is given up");
                bus.books().failed += 1;
            }
        }
    }
}

fn take(change: &StateChange, number: u64, round: Option<&mut Round>, bus: &Bus, now: Duration) {
    tracing::debug!(
        event = change.kind.name(),
        channel = %change.channel_arn,
        stream = change.stream_id,
        "stream state change"
    );
    let Some(round) = round else {
        return;
    };
    let is_posted = round.schedule.take(now, &body::render(change, number));
    let mut books = bus.books();
    books.events += 1;
    books.dropped += u64::from(!is_posted);
}

/// Until then, or for ever.
async fn wait(started: Instant, due: Option<Duration>) {
    match due {
        Some(due) => sleep_until(started + due).await,
        None => std::future::pending().await,
    }
}
