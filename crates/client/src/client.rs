//! Calls over HTTP: one request each.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::backoff;
use crate::builder::Builder;
use crate::error::Error;
use crate::event::{Body, Event};
use crate::payloads::Payloads;
use crate::refusal::Rejected;
use crate::transport::{Payload, Transport, channel_path, segment};

/// A producer's client of one gateway. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

impl Builder {
    /// The client. It connects with its first request.
    ///
    /// # Errors
    /// [`Error::Usage`]: the address, the key or the file of authorities cannot be used.
    pub fn build(&self) -> Result<Client, Error> {
        Ok(Client::over(Transport::new(self)?))
    }
}

impl Client {
    /// A client of the gateway at this address, as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`Error::Usage`]: the address cannot be used.
    pub fn new(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// The same with a key, an authority or other times.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url)
    }

    pub(crate) const fn over(transport: Transport) -> Self {
        Self { transport }
    }

    pub(crate) const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The gateway's address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.transport.url()
    }

    /// Publishes an event or a batch to a channel, by alias or ARN. Await what is returned.
    pub fn publish(&self, channel: &str, body: impl Into<Body>) -> Publish<'_> {
        Publish::new(self, channel_path(channel, "/events"), body.into())
    }

    /// Publishes events that name their channels.
    pub fn publish_to_many(&self, body: impl Into<Body>) -> Publish<'_> {
        Publish::new(self, "/v1/events".to_owned(), body.into())
    }

    /// Takes an event back that has not left the queue. Its id stays taken.
    ///
    /// # Errors
    /// `unknown_event`: no event with this id is remembered. `already_sent`: it was sent or merged.
    pub async fn cancel(&self, channel: &str, id: &str) -> Result<(), Error> {
        let path = channel_path(channel, &format!("/events/{}", segment(id)));
        self.done(Method::DELETE, &path).await
    }

    /// Moves or corrects an event that is queued: it is replaced whole, key and merge too. Without a
    /// new `at` or key it keeps its place. An id that is not known, or whose event was cancelled,
    /// expired, evicted or dead-lettered, is taken in as a new event.
    ///
    /// # Errors
    /// `already_sent`: it was sent or merged. A refusal leaves the old event as it was.
    pub async fn replace(&self, channel: &str, id: &str, event: &Event) -> Result<Replaced, Error> {
        let payload = Payload {
            content_type: Some("application/json"),
            body: event.text()?.into(),
            ..Payload::default()
        };
        let path = channel_path(channel, &format!("/events/{}", segment(id)));
        let (status, _, body) = self.transport.ask(Method::PUT, &path, payload).await?;
        let mut replaced: Replaced = self.transport.parse(&body)?;
        replaced.replaced = status == StatusCode::OK;
        Ok(replaced)
    }

    /// Returns what became of an event, for as long as its id is remembered.
    ///
    /// # Errors
    /// `unknown_event`: no event with this id is remembered.
    pub async fn event(&self, channel: &str, id: &str) -> Result<EventState, Error> {
        let path = channel_path(channel, &format!("/events/{}", segment(id)));
        self.transport.get(&path).await
    }

    /// Takes the queued events back that `which` selects, and returns how many they were.
    ///
    /// # Errors
    /// `malformed`: an empty type or key.
    pub async fn purge(&self, channel: &str, which: Purge<'_>) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Answer {
            cancelled: u64,
        }
        let path = channel_path(channel, &format!("/events?{}", which.query()));
        let transport = &self.transport;
        let asked = transport.ask(Method::DELETE, &path, Payload::default());
        let answer: Answer = transport.parse(&asked.await?.2)?;
        Ok(answer.cancelled)
    }

    /// Stops sending to a channel. Events are still taken in, and expire as ever.
    ///
    /// # Errors
    /// What any request can fail with.
    pub async fn pause(&self, channel: &str) -> Result<(), Error> {
        self.done(Method::POST, &channel_path(channel, "/pause"))
            .await
    }

    /// Sends to a channel again.
    ///
    /// # Errors
    /// What any request can fail with.
    pub async fn resume(&self, channel: &str) -> Result<(), Error> {
        self.done(Method::POST, &channel_path(channel, "/resume"))
            .await
    }

    /// Follows the payloads of a channel as they are delivered; with `after`, from the payload
    /// after that number on, as far as the gateway keeps them.
    ///
    /// # Errors
    /// `unknown_channel`, and what any request can fail with.
    pub async fn payloads(&self, channel: &str, after: Option<u64>) -> Result<Payloads, Error> {
        Payloads::open(&self.transport, channel, after).await
    }

    /// Calls an endpoint that has no method here, as those for operators below `/admin`, and returns
    /// the answer's text.
    ///
    /// # Errors
    /// What any request can fail with.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        json: Option<&str>,
    ) -> Result<String, Error> {
        let payload = Payload {
            content_type: json.map(|_| "application/json"),
            body: json.unwrap_or_default().to_owned().into(),
            ..Payload::default()
        };
        let (_, _, body) = self.transport.ask(method, path, payload).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn done(&self, method: Method, path: &str) -> Result<(), Error> {
        self.transport.ask(method, path, Payload::default()).await?;
        Ok(())
    }
}

/// Which queued events a purge takes back.
#[derive(Clone, Copy, Debug)]
pub enum Purge<'a> {
    /// All of them.
    All,
    /// Those of a type.
    Kind(&'a str),
    /// Those of a key.
    Key(&'a str),
    /// Those of a type and a key.
    KindAndKey(&'a str, &'a str),
}

impl Purge<'_> {
    fn query(self) -> String {
        match self {
            Self::All => "all=true".to_owned(),
            Self::Kind(kind) => format!("type={}", segment(kind)),
            Self::Key(key) => format!("key={}", segment(key)),
            Self::KindAndKey(kind, key) => {
                format!("type={}&key={}", segment(kind), segment(key))
            }
        }
    }
}

/// What the gateway did with a request's events.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// Events that were taken in.
    #[serde(default)]
    pub accepted: usize,
    /// Events that were seen before, and were not taken in again.
    #[serde(default)]
    pub duplicates: usize,
    /// Which ones these were, counting from 0.
    #[serde(default)]
    pub duplicate: Vec<usize>,
    /// Events that were refused, each with its reason; the others were taken in.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// Events in the queue afterwards. Not with [`Publish::wait`].
    pub queued: Option<u64>,
    /// How long the queue takes, in milliseconds; `None` while the channel is paused or offline.
    pub eta_ms: Option<u64>,
    /// With [`Publish::wait`]: how many of them were delivered in time.
    pub delivered: Option<u64>,
    /// With [`Publish::wait`]: how many have ended otherwise, by their end.
    #[serde(default)]
    pub ended: std::collections::BTreeMap<String, u64>,
    /// With [`Publish::wait`]: how many are still queued.
    pub pending: Option<u64>,
    /// The answer's text as it came.
    #[serde(skip)]
    pub document: String,
}

/// What became of a replacement.
#[derive(Clone, Copy, Debug, Deserialize)]
#[non_exhaustive]
pub struct Replaced {
    /// Whether a queued event was replaced; else the event was taken in as a new one.
    #[serde(skip)]
    pub replaced: bool,
    /// Events in the queue afterwards.
    pub queued: Option<u64>,
    /// How long the queue takes, in milliseconds; `None` while the channel is paused or offline.
    pub eta_ms: Option<u64>,
}

/// What became of an event.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct EventState {
    /// Its id.
    pub id: String,
    /// `scheduled`, `waiting`, `in_flight`, or its end: `delivered`, `merged`, `expired`,
    /// `cancelled`, `evicted`, `dead_lettered`.
    pub state: String,
    /// Why it is a dead letter.
    pub reason: Option<String>,
    /// The `n` of the payload that it is or was in.
    pub n: Option<u64>,
    /// When it is due, if it is scheduled; when it ended, if it has. RFC 3339.
    pub at: Option<String>,
}

/// A request that publishes, until it is awaited.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Publish<'a> {
    client: &'a Client,
    path: String,
    body: Body,
    atomic: bool,
    wait: Option<Duration>,
    idempotency_key: Option<String>,
    retry_for: Duration,
}

impl<'a> Publish<'a> {
    const fn new(client: &'a Client, path: String, body: Body) -> Self {
        Self {
            client,
            path,
            body,
            atomic: false,
            wait: None,
            idempotency_key: None,
            retry_for: Duration::ZERO,
        }
    }

    /// All of the events, or none.
    pub const fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// Answers only when all events have ended, or after this time, at most 30 s.
    pub const fn wait(mut self, time: Duration) -> Self {
        self.wait = Some(time);
        self
    }

    /// Gives events that have no id the ids `KEY/0`, `KEY/1`, … so that they can be sent again; at
    /// most 100 bytes.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Tries again for so long where that can help: without an answer, and after a refusal of the
    /// whole request that passes by itself ([`crate::Code::is_retryable`]). `Retry-After` is
    /// honoured; other waits grow from 0.2 s to 10 s at most, half of each random.
    ///
    /// The request gets an idempotency key if it has none, so that no event is taken in twice. The
    /// gateway remembers ids for the channel's `dedup_window_ms`, 5 minutes by default: do not try
    /// for longer.
    pub const fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    async fn run(mut self) -> Result<Published, Error> {
        if self.retry_for.is_zero() {
            return self.once().await;
        }
        let key = || format!("{:016x}", fastrand::u64(..));
        self.idempotency_key.get_or_insert_with(key);
        let until = Instant::now() + self.retry_for;
        let mut nth = 0;
        loop {
            let error = match self.once().await {
                Err(error) if error.is_retryable() => error,
                done => return done,
            };
            let wait = backoff::wait(nth, error.retry_after(), fastrand::f64());
            if Instant::now() + wait > until {
                return Err(error);
            }
            sleep(wait).await;
            nth += 1;
        }
    }

    async fn once(&self) -> Result<Published, Error> {
        let mut payload = Payload {
            content_type: Some(self.body.content_type),
            body: self.body.bytes.clone()?,
            ..Payload::default()
        };
        if let Some(key) = &self.idempotency_key {
            let value = HeaderValue::try_from(key)
                .map_err(|error| Error::Usage(format!("the idempotency key: {error}")))?;
            let name = http::HeaderName::from_static("idempotency-key");
            payload.headers.push((name, value));
        }
        let path = format!("{}{}", self.path, self.query());
        let transport = &self.client.transport;
        let (_, _, body) = transport.ask(Method::POST, &path, payload).await?;
        let mut published: Published = transport.parse(&body)?;
        published.document = String::from_utf8_lossy(&body).into_owned();
        Ok(published)
    }

    fn query(&self) -> String {
        let mut query = Vec::new();
        if self.atomic {
            query.push("atomic=true".to_owned());
        }
        if let Some(time) = self.wait {
            query.push(format!("wait=delivered&timeout_ms={}", time.as_millis()));
        }
        if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        }
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Published, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
