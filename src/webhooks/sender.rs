//! One endpoint's task: takes batches as they come and tells them, one after the other, until the endpoint has
//! them or they are given up.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;
use tokio::sync::watch;
use tokio::time::Instant;

use super::body::body;
use super::client::Client;
use super::endpoint::Endpoint;
use super::verdict::{Verdict, pause};
use crate::dispatch::{Batch, Gateway, Outbox};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cuegate/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Tells one endpoint.
pub(super) struct Sender {
    outbox: Arc<Outbox>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
    gateway: Arc<Gateway>,
    client: Client,
}

/// A batch with its id, which is the same in every attempt.
struct Message {
    id: String,
    body: Bytes,
}

impl Sender {
    pub(super) fn new(
        outbox: Arc<Outbox>,
        endpoint: watch::Receiver<Arc<Endpoint>>,
        gateway: Arc<Gateway>,
    ) -> Self {
        Self {
            outbox,
            endpoint,
            gateway,
            client: Client::default(),
        }
    }

    /// Tells what comes until no more does.
    pub(super) async fn run(mut self) {
        loop {
            let endpoint = self.endpoint();
            let settings = &endpoint.settings;
            let batch = self.outbox.next(settings.batch_max, settings.batch).await;
            let Some(batch) = batch else { return };
            match self.tell(&batch).await {
                Verdict::Taken => self.outbox.told(&batch),
                Verdict::Again(_) | Verdict::Never => self.outbox.not_told(&batch),
                Verdict::Gone => {
                    self.outbox.not_told(&batch);
                    if !self.rest(&endpoint).await {
                        return;
                    }
                }
            }
        }
    }

    fn endpoint(&mut self) -> Arc<Endpoint> {
        Arc::clone(&self.endpoint.borrow_and_update())
    }

    /// Tries until it is clear what becomes of a batch; the answer is the last verdict.
    async fn tell(&mut self, batch: &Batch) -> Verdict {
        let message = Message {
            id: new_id(),
            body: body(batch, self.now_ms()).into(),
        };
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let endpoint = self.endpoint();
            let verdict = self.attempt(&endpoint, &message).await;
            let Verdict::Again(asked) = verdict else {
                return verdict;
            };
            failures += 1;
            let settings = &endpoint.settings;
            let pause = pause(settings.retry, failures, asked, fastrand::f64());
            if begun.elapsed() + pause > settings.give_up {
                return verdict;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Another URL or secret may do at once.
                Ok(()) = self.endpoint.changed() => {}
            }
        }
    }

    async fn attempt(&mut self, endpoint: &Arc<Endpoint>, message: &Message) -> Verdict {
        let begun = Instant::now();
        let request = match self.request(endpoint, message) {
            Ok(request) => request,
            Err(error) => return self.failed(Verdict::Never, &error.to_string()),
        };
        let answer = self.client.post(endpoint, request).await;
        self.outbox.took(begun.elapsed());
        match answer {
            Ok((status, headers)) => match Verdict::of(status, &headers, self.now()) {
                Verdict::Taken => Verdict::Taken,
                verdict => self.failed(verdict, status.as_str()),
            },
            Err(why) => self.failed(Verdict::Again(Duration::ZERO), &why),
        }
    }

    fn failed(&self, verdict: Verdict, why: &str) -> Verdict {
        self.outbox.failed(why);
        verdict
    }

    /// Signed anew with every attempt, as it carries the attempt's time.
    fn request(
        &self,
        endpoint: &Endpoint,
        message: &Message,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let Message { id, body } = message;
        let at_s = self.now_ms() / 1000;
        let path = endpoint.uri.path_and_query();
        let host = endpoint.uri.authority().map_or("", |it| it.as_str());
        Request::post(path.map_or("/", |path| path.as_str()))
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, JSON)
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", endpoint.secret.sign(id, at_s, body))
            .body(Full::new(body.clone()))
    }

    fn now_ms(&self) -> u64 {
        self.gateway.clock().epoch_ms()
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    /// The endpoint is gone: nothing is told before the configuration says something else of it. False: the
    /// process ends.
    async fn rest(&mut self, endpoint: &Endpoint) -> bool {
        let webhook = &endpoint.settings.name;
        tracing::warn!(%webhook, "the endpoint answers 410 and is told no more, until a reload changes it or the next start");
        self.outbox.close(true);
        let changed = self.endpoint.changed().await;
        self.outbox.close(false);
        changed.is_ok()
    }
}

/// An id that nobody else has made, without a full stop.
fn new_id() -> String {
    let mut random = [0_u8; 16];
    // Where the system has no randomness, the ids of this process at least differ from each other.
    if getrandom::fill(&mut random).is_err() {
        fastrand::fill(&mut random);
    }
    random.iter().fold("msg_".to_owned(), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}
