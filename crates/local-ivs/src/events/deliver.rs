//! The task that takes changes off the queue and posts them, one request at a time, as the
//! schedule says. It alone waits.

use super::schedule::{Failed, Next, Post, Schedule};
use super::settings::Settings;
use super::{Bus, EventReceiver, News, body, post};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
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
    let mut round = None;
    let mut number = 0;
    loop {
        renew(&mut round, &mut settings);
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
            _ = settings.changed() => {}
            () = wait(started, due) => {}
            news = events.recv(), if has_room => {
                let Some(news) = news else { return };
                number += 1;
                // Whatever this was told under was set before it was told.
                renew(&mut round, &mut settings);
                take(&news, number, round.as_mut(), &bus, started.elapsed());
            }
        }
    }
}

impl Round {
    fn new(settings: Arc<Settings>) -> Self {
        let schedule = Schedule::new(settings.mishaps);
        Self { settings, schedule }
    }

    /// Which settings: another setting of the same words is another round.
    fn of(&self) -> *const Settings {
        Arc::as_ptr(&self.settings)
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

/// The schedule of the settings that hold now: what waits under others is forgotten.
fn renew(round: &mut Option<Round>, settings: &mut watch::Receiver<Option<Arc<Settings>>>) {
    let now = settings.borrow_and_update().clone();
    if round.as_ref().map(Round::of) != now.as_ref().map(Arc::as_ptr) {
        *round = now.map(Round::new);
    }
}

fn take(news: &News, number: u64, round: Option<&mut Round>, bus: &Bus, now: Duration) {
    let event = &news.event;
    tracing::debug!(event = event.name(), channel = %event.channel_arn, "{}", event.kind);
    let told_under = news.settings.as_ref().map(Arc::as_ptr);
    let Some(round) = round.filter(|round| Some(round.of()) == told_under) else {
        return;
    };
    let is_posted = round.schedule.take(now, &body::render(event, number));
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

#[cfg(test)]
mod tests {
    use super::deliver;
    use crate::events::{Bus, Event, EventSender, STATE};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn tell(events: &EventSender, stream: &str) {
        let detail = serde_json::json!({ "event_name": "Stream Start", "stream_id": stream });
        events.tell(Event {
            time_us: 1,
            channel_arn: "arn:aws:ivs:us-west-2:000000000000:channel/c".into(),
            kind: STATE,
            detail: detail.as_object().expect("an object").clone(),
        });
    }

    /// The body of the next post, which is answered.
    async fn next(listener: &TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.expect("a post");
        let mut text = String::new();
        while !text.ends_with("}}") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.expect("a request");
            text += std::str::from_utf8(&bytes[..read]).expect("UTF-8");
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("a client");
        text
    }

    /// However late the task gets to run: tests here run on one thread, so it finds the change
    /// of before, the new place and the change of after all at once, and it takes whichever it
    /// likes first.
    #[tokio::test]
    async fn a_place_gets_what_happens_after_it_was_set_and_nothing_else() {
        let places = [0, 1].map(|_| async { TcpListener::bind("127.0.0.1:0").await });
        let [one, other] = places;
        let places = [one.await.expect("a port"), other.await.expect("a port")];
        let bus = Arc::new(Bus::new(None).expect("no place"));
        let (events, receiver) = bus.queue();
        let task = tokio::spawn(deliver(receiver, Arc::clone(&bus)));
        for number in 0..32 {
            let place = &places[number % 2];
            let addr = place.local_addr().expect("an address");
            tell(&events, &format!("before-{number}"));
            let settings = format!(r#"{{"url":"http://{addr}/"}}"#);
            bus.set(settings.as_bytes()).expect("a place");
            tell(&events, &format!("after-{number}"));
            let body = next(place).await;
            assert!(body.contains(&format!("after-{number}\"")), "{body}");
        }
        task.abort();
    }
}
