//! How traces get to their collector: `POST` over the HTTP client that is here already.
//!
//! The exporter's thread has no runtime, so requests run on ours and are waited for. What goes
//! wrong is said once a minute at most, and nobody else hears of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long one export may take, tries included.
pub(super) const EXPORT_TIME: Duration = Duration::from_secs(2);

/// How often it is said that traces cannot be exported.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// An answer only says which spans were refused.
const ANSWER_MAX_BYTES: usize = 64 << 10;
/// Exports come one after the other, a second apart: a connection is kept that long and more.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// The way to a collector.
#[derive(Clone)]
pub(super) struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
    complaints: Arc<Mutex<Complaints>>,
}

/// When it was last said that traces cannot be exported.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    over: bool,
}

impl Collector {
    pub(super) fn new(runtime: Handle) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(1)
            .build_http();
        Self {
            client,
            runtime,
            complaints: Arc::default(),
        }
    }

    /// Nothing is said from now on: the last line of the log is the drain's.
    pub(super) fn complain_no_more(&self) {
        self.complaints().over = true;
    }

    fn complaints(&self) -> std::sync::MutexGuard<'_, Complaints> {
        self.complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, reason: &dyn fmt::Display) {
        let now = Instant::now();
        let mut complaints = self.complaints();
        let lately = complaints
            .last
            .is_some_and(|last| now.duration_since(last) < COMPLAIN_EVERY);
        if lately || complaints.over {
            return;
        }
        complaints.last = Some(now);
        drop(complaints);
        tracing::warn!(%reason, "traces cannot be exported and are dropped; events go on");
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let answer = self.client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout(EXPORT_TIME, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {EXPORT_TIME:?}").into()))
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'async_trait>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        let (tell, told) = oneshot::channel();
        let collector = self.clone();
        self.runtime.spawn(async move {
            let _ = tell.send(collector.post(request).await);
        });
        Box::pin(async move {
            let answer = told
                .await
                .unwrap_or_else(|_| Err("the process ends".into()));
            match &answer {
                Ok(answer) if answer.status().is_success() => {}
                Ok(answer) => {
                    self.complain(&format_args!("the collector answers {}", answer.status()));
                }
                Err(error) => self.complain(&Causes(&**error)),
            }
            answer
        })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

/// An error with everything it came from: "client error (Connect)" alone helps nobody.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
