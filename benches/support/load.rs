//! Load over loopback, as cheap for this side as it gets: requests are made once and sent
//! again and again, answers are only counted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process::Gateway;

/// What was done in which time.
pub struct Done {
    pub events: f64,
    pub took: Duration,
}

impl Done {
    pub fn rate(&self) -> f64 {
        self.events / self.took.as_secs_f64()
    }
}

/// One event of `size` bytes in all.
pub fn event(size: usize) -> String {
    let open = r#"{"type":"quiz.answer","data":{"player":"p-1234567","answer":"#;
    let close = r"}}";
    format!(
        "{open}\"{}\"{close}",
        "x".repeat(size - open.len() - close.len() - 2)
    )
}

pub fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, content_type, "", body)
}

/// The same with more lines of its head.
pub fn post_with(path: &str, content_type: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n{more}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// A connection for each request, which it sends again and again, waiting for each answer.
pub struct Load {
    pub address: SocketAddr,
    pub requests: Vec<Vec<u8>>,
    pub per_request: usize,
}

impl Load {
    pub async fn run(&self, length: Duration) -> Done {
        let started = Instant::now();
        let each = self
            .requests
            .iter()
            .map(|request| requests(self.address, request, started + length));
        let answered: usize = futures_util::future::join_all(each).await.into_iter().sum();
        Done {
            events: float(answered * self.per_request),
            took: started.elapsed(),
        }
    }
}

async fn requests(address: SocketAddr, request: &[u8], until: Instant) -> usize {
    let mut connection = Connection::open(address).await;
    let mut answered = 0;
    while Instant::now() < until {
        connection.request(request).await;
        answered += 1;
    }
    answered
}

/// One request; its answer's body.
pub async fn once(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    Connection::open(address).await.request(request).await
}

/// One connection, used again and again.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        }
    }

    /// A request that is granted; its answer's body.
    pub async fn request(&mut self, request: &[u8]) -> Vec<u8> {
        let (head, body) = self.exchange(request).await;
        assert!(head.starts_with("http/1.1 2"), "{head}");
        body
    }

    /// A request that is answered; its head in lower case, and its body.
    pub async fn exchange(&mut self, request: &[u8]) -> (String, Vec<u8>) {
        self.stream.write_all(request).await.expect("to send");
        self.buffer.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("an answer");
            assert!(
                read > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let text = std::str::from_utf8(&self.buffer[..head])
                .expect("a head")
                .to_ascii_lowercase();
            let length: usize = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().expect("a length"));
            if self.buffer.len() >= head + 4 + length {
                let body = self.buffer[head + 4..head + 4 + length].to_vec();
                return (text, body);
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "events of a few seconds: far below 2^53"
)]
pub fn float(count: usize) -> f64 {
    count as f64
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Events one a message, as fast as they are read, until every one is acknowledged.
pub async fn websocket(
    address: SocketAddr,
    paths: &[&str],
    event: &[u8],
    length: Duration,
) -> Done {
    let started = Instant::now();
    let each = paths
        .iter()
        .map(|path| one_websocket(address, path, event, started + length));
    let sent: usize = futures_util::future::join_all(each).await.into_iter().sum();
    Done {
        events: float(sent),
        took: started.elapsed(),
    }
}

async fn one_websocket(address: SocketAddr, path: &str, event: &[u8], until: Instant) -> usize {
    const BATCH: usize = 256;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let hello = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(hello.as_bytes()).await.expect("to send");
    let mut head = Vec::new();
    while find(&head, b"\r\n\r\n").is_none() {
        assert!(
            stream.read_buf(&mut head).await.expect("an answer") > 0,
            "closed"
        );
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let (mut reader, mut writer) = stream.into_split();
    let batch = frame(event).repeat(BATCH);
    let sending = async move {
        let mut sent = 0;
        while Instant::now() < until {
            writer.write_all(&batch).await.expect("to send");
            sent += BATCH;
        }
        (sent, writer)
    };
    let (total_out, sent) = tokio::sync::watch::channel(None);
    let acks = async move {
        let mut buffer = Vec::with_capacity(64 * 1024);
        let mut acked = 0;
        loop {
            if sent.borrow().is_some_and(|sent: usize| acked >= sent) {
                return;
            }
            buffer.drain(..consumed(&buffer, &mut acked));
            if sent.borrow().is_some_and(|sent: usize| acked >= sent) {
                return;
            }
            let more = tokio::time::timeout(Duration::from_secs(5), reader.read_buf(&mut buffer));
            assert!(
                more.await.expect("an ack in time").expect("an ack") > 0,
                "closed"
            );
        }
    };
    let finishing = async {
        let (done, writer) = sending.await;
        total_out.send_replace(Some(done));
        (done, writer)
    };
    let ((all, _writer), ()) = tokio::join!(finishing, acks);
    all
}

/// Reads the acknowledgements of whole frames; the answer is how many bytes they took.
fn consumed(buffer: &[u8], acked: &mut usize) -> usize {
    let mut at = 0;
    while buffer.len() >= at + 2 {
        let (length, head) = match buffer[at + 1] {
            126 if buffer.len() >= at + 4 => (
                usize::from(u16::from_be_bytes([buffer[at + 2], buffer[at + 3]])),
                4,
            ),
            126 | 127 => break,
            length => (usize::from(length), 2),
        };
        if buffer.len() < at + head + length {
            break;
        }
        let text = String::from_utf8_lossy(&buffer[at + head..at + head + length]);
        if let Some(rest) = text.strip_prefix("{\"ack\":") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            *acked = digits.parse().expect("a number");
        } else if buffer[at] & 0x0f == 1 {
            panic!("refused: {text}");
        }
        at += head + length;
    }
    at
}

/// A masked text frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81];
    if payload.len() < 126 {
        frame.push(0x80 | u8::try_from(payload.len()).expect("short"));
    } else {
        frame.push(0x80 + 126);
        frame.extend_from_slice(&u16::try_from(payload.len()).expect("short").to_be_bytes());
    }
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// For lone events on an idle channel, ms from the producer's send until the call is at the
/// emulator and answered (`?wait=delivered`), and the same for a `PutMetadata` of the SDK that
/// goes straight to the emulator, to another channel, in turns.
pub async fn delays(gateway: &Gateway, arn: &str, count: usize) -> (Vec<f64>, Vec<f64>) {
    let config = aws_sdk_ivs::Config::builder()
        .behavior_version(aws_sdk_ivs::config::BehaviorVersion::latest())
        .region(aws_sdk_ivs::config::Region::new("us-west-2"))
        .credentials_provider(aws_sdk_ivs::config::Credentials::new(
            "test", "test", None, None, "bench",
        ))
        .retry_config(aws_sdk_ivs::config::retry::RetryConfig::disabled())
        .endpoint_url(format!("http://{}", gateway.emulator))
        .build();
    let client = aws_sdk_ivs::Client::from_conf(config);
    let mut connection = Connection::open(gateway.producers).await;
    let event = event(150);
    let request = post(
        "/v1/channels/flood0/events?wait=delivered&timeout_ms=5000",
        "application/json",
        event.as_bytes(),
    );
    let (mut delays, mut floors) = (Vec::new(), Vec::new());
    for round in 0..count {
        let started = Instant::now();
        connection.request(&request).await;
        let delay = started.elapsed();
        let started = Instant::now();
        client
            .put_metadata()
            .channel_arn(arn)
            .metadata(&event)
            .send()
            .await
            .expect("to be taken");
        let floor = started.elapsed();
        // The first ones open connections and warm caches.
        if round >= 20 {
            delays.push(delay.as_secs_f64() * 1e3);
            floors.push(floor.as_secs_f64() * 1e3);
        }
        // An idle channel: both calls' windows are over.
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    (delays, floors)
}
