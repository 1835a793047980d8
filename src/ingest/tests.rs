//! The doors against a whole gateway: over a router without a listener where that is
//! enough, over real connections where it is not. Calls go to a local IVS that is live.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod aws;
mod connections;
mod control;
mod openapi;
mod publish;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::access::{Access, Keyring};
use crate::clock::Clock;
use crate::config::{self, Settings};
use crate::dispatch::{Gateway, Holdings, Parts};
use crate::ingest::listener::permits::Permits;
use crate::ingest::{Life, listener, router};
use crate::lifecycle::Supervisor;
use crate::telemetry::Telemetry;
use crate::upstream::{Upstream, UpstreamOptions};

const QUIZ: &str = "arn:aws:ivs:us-west-2:000000000000:channel/quiz";
const SMALL: &str = "arn:aws:ivs:us-west-2:000000000000:channel/small";

/// A gateway with the channels `quiz` (paused where a test wants its queue to stay) and
/// `small`, whose queue holds two events.
struct Stand {
    gateway: Arc<Gateway>,
    telemetry: Telemetry,
    router: Router,
    keyring: Arc<Keyring>,
    life: watch::Sender<Life>,
    _local: JoinHandle<Result<(), local_ivs::ServeError>>,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Stand {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With these lines of configuration more.
    async fn with(more: &str) -> Self {
        let file = format!(
            r#"
            upstream.mode = "local"
            {more}
            [[channel]]
            name = "quiz"
            arn = "{QUIZ}"
            [[channel]]
            name = "small"
            arn = "{SMALL}"
            queue_max_events = 2
            "#
        );
        let none: [(String, String); 0] = [];
        let settings = Arc::new(config::parse(Some(("test", &file)), none).unwrap());
        let local = local_ivs::Server::bind("127.0.0.1:0", local_ivs::Options::default())
            .await
            .unwrap();
        local.state().set_live(QUIZ).unwrap();
        local.state().set_live(SMALL).unwrap();
        let upstream = upstream(&settings, local.local_addr());
        let local = tokio::spawn(local.serve(std::future::pending()));
        let telemetry = Telemetry::new("local");
        let gateway = Gateway::start(
            settings,
            Parts {
                clock: Arc::new(Clock::new()),
                upstream,
                emulator: None,
                meters: Arc::clone(telemetry.meters()),
                supervisor: Supervisor::default(),
            },
            Holdings::in_memory(),
        );
        let (tell, life) = watch::channel(Life::Serving);
        let access = Access::build(&gateway.settings(), &|_| None, None).unwrap();
        let keyring = Arc::new(Keyring::new(access));
        let router = router(
            Arc::clone(&gateway),
            Arc::clone(telemetry.meters()),
            life,
            &keyring,
        );
        Self {
            gateway,
            telemetry,
            router,
            keyring,
            life: tell,
            _local: local,
        }
    }

    /// Its events stay queued.
    fn pause(&self, name: &str) {
        assert!(
            self.gateway
                .pause(&self.gateway.channel(name).unwrap())
                .is_ok()
        );
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    /// A request by its method, path, media type (none: no body) and body.
    async fn send(
        &self,
        method: &str,
        path: &str,
        media: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// A body of JSON to a channel.
    async fn publish(&self, channel: &str, body: impl Into<Body>) -> Answer {
        let path = format!("/v1/channels/{channel}/events");
        self.send("POST", &path, Some("application/json"), body)
            .await
    }

    /// Serves real connections.
    async fn serve(&self, max_connections: usize) -> SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let options = listener::Options {
            places: Permits::kept(max_connections),
            when_full: "server.max_connections connections are open",
            h2_streams: 256,
            tls: None,
            meters: Some(Arc::clone(self.telemetry.meters())),
        };
        let life = self.life.subscribe();
        tokio::spawn(listener::serve(socket, self.router.clone(), options, life));
        address
    }

    /// The sum of a counter's series.
    fn count(&self, name: &str) -> u64 {
        let text = self.telemetry.scrape(|| self.gateway.snapshot());
        let lines = text
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// The books of the edge.
    fn check_books(&self) {
        let received = self.count("cuegate_events_received_total");
        let accepted = self.count("cuegate_events_accepted_total");
        let rejected = self.count("cuegate_events_rejected_total");
        let duplicates = self.count("cuegate_events_duplicates_total");
        assert_eq!(
            received,
            accepted + rejected + duplicates,
            "{accepted} + {rejected} + {duplicates}"
        );
    }
}

fn upstream(settings: &Settings, local: SocketAddr) -> Upstream {
    let abandon = settings.account_defaults.abandon.as_duration();
    Upstream::new(UpstreamOptions::local(
        format!("http://{local}"),
        settings.upstream.call_timeout,
        abandon,
    ))
}
