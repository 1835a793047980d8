//! A server in the test's own process, and a client that sends raw HTTP signed by AWS's
//! signer, one connection per request.

#![allow(dead_code, reason = "each test file uses its own part")]

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use local_ivs::{Clock, DEMO_CHANNEL, ManualClock, Options, ServeError, Server, State};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// 2026-01-02T03:04:05Z.
pub const START_US: u64 = 1_767_323_045_000_000;

/// Those that are a `POST` to their name.
pub const OPERATIONS: &[&str] = &[
    "BatchGetChannel",
    "CreateChannel",
    "DeleteChannel",
    "GetChannel",
    "ListChannels",
    "UpdateChannel",
    "BatchGetStreamKey",
    "CreateStreamKey",
    "DeleteStreamKey",
    "GetStreamKey",
    "ListStreamKeys",
    "GetStream",
    "GetStreamSession",
    "ListStreamSessions",
    "ListStreams",
    "PutMetadata",
    "StopStream",
    "DeletePlaybackKeyPair",
    "GetPlaybackKeyPair",
    "ImportPlaybackKeyPair",
    "ListPlaybackKeyPairs",
    "CreateRecordingConfiguration",
    "DeleteRecordingConfiguration",
    "GetRecordingConfiguration",
    "ListRecordingConfigurations",
    "StartViewerSessionRevocation",
    "BatchStartViewerSessionRevocation",
    "CreatePlaybackRestrictionPolicy",
    "GetPlaybackRestrictionPolicy",
    "ListPlaybackRestrictionPolicies",
    "UpdatePlaybackRestrictionPolicy",
    "DeletePlaybackRestrictionPolicy",
    "CreateAdConfiguration",
    "GetAdConfiguration",
    "ListAdConfigurations",
    "UpdateAdConfiguration",
    "DeleteAdConfiguration",
    "InsertAdBreak",
    "CreateFailoverSlateConfiguration",
    "GetFailoverSlateConfiguration",
    "ListFailoverSlateConfigurations",
    "UpdateFailoverSlateConfiguration",
    "DeleteFailoverSlateConfiguration",
];

/// A running server on a clock that the test moves, with the demo channel live.
pub struct Fixture {
    pub addr: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Fixture {
    pub async fn start(options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(START_US));
        let server = Server::bind(
            "127.0.0.1:0",
            Options {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                live_channels: vec![DEMO_CHANNEL.to_owned()],
                ..options
            },
        )
        .await
        .unwrap();
        let (stop, stopped) = oneshot::channel();
        let (addr, state) = (server.local_addr(), server.state());
        let serving = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Self {
            addr,
            clock,
            state,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Stops the server and waits until it is gone, with what it kept.
    pub async fn ended(mut self) {
        self.stop();
        self.serving.take().unwrap().await.unwrap().unwrap();
    }

    /// An operation, signed as `test` for us-west-2.
    pub async fn api(&self, operation: &str, body: &str) -> Answer {
        let path = format!("/{operation}");
        self.call("POST", &path, body, &Signer::default())
            .await
            .unwrap()
    }

    /// Signed as `test` for us-west-2.
    pub async fn put(&self, arn: &str, metadata: &str) -> io::Result<Answer> {
        let body = put_body(arn, metadata);
        self.call("POST", "/PutMetadata", &body, &Signer::default())
            .await
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        signer: &Signer,
    ) -> io::Result<Answer> {
        let request = signer.signed(self.addr, self.clock.wall(), method, path, body);
        exchange(self.addr, request.as_bytes()).await
    }

    /// Unsigned, for `/_local/`.
    pub async fn local(&self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let request = request(self.addr, method, path, &[], body);
        exchange(self.addr, request.as_bytes()).await
    }

    pub async fn report(&self) -> serde_json::Value {
        self.local("GET", "/_local/report", "")
            .await
            .unwrap()
            .json()
    }
}

pub fn put_body(arn: &str, metadata: &str) -> String {
    serde_json::json!({ "channelArn": arn, "metadata": metadata }).to_string()
}

/// Whose signature, and for where.
#[derive(Clone)]
pub struct Signer {
    pub key: &'static str,
    pub secret: &'static str,
    pub region: &'static str,
    pub service: &'static str,
}

impl Default for Signer {
    fn default() -> Self {
        Self {
            key: "test",
            secret: "test",
            region: "us-west-2",
            service: "ivs",
        }
    }
}

impl Signer {
    pub fn signed(
        &self,
        addr: SocketAddr,
        now: SystemTime,
        method: &str,
        path: &str,
        body: &str,
    ) -> String {
        let identity = Credentials::new(self.key, self.secret, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(
            method,
            format!("http://{addr}{path}"),
            std::iter::once(("content-type", "application/json")),
            SignableBody::Bytes(body.as_bytes()),
        )
        .unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let mut headers: Vec<(&str, &str)> = instructions.headers().collect();
        headers.push(("content-type", "application/json"));
        request(addr, method, path, &headers, body)
    }
}

pub fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text
}

/// Sends a request and reads to the end of the connection; an end without a whole head is
/// an error, as it is to any client.
pub async fn exchange(addr: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Answer::parse(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            status,
            headers,
            body: body.to_owned(),
        })
    }

    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, `x-amzn-ErrorType` and `exceptionMessage`.
    pub fn error(&self) -> (u16, String, String) {
        let message = serde_json::from_str::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|body| body["exceptionMessage"].as_str().map(str::to_owned))
            .unwrap_or_default();
        (
            self.status,
            self.header("x-amzn-errortype").to_owned(),
            message,
        )
    }
}
