//! A server on loopback that says what it is told to, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server does with one request.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Answers, and keeps the connection.
    Say(&'static str),
    /// Answers, and closes the connection without a word.
    SayAndClose(&'static str),
    /// Reads the request and resets the connection.
    Reset,
    /// Resets the connection before reading anything.
    ResetAtOnce,
    /// Reads the request and never answers.
    Hang,
    /// Takes the connection and never reads from it.
    HangAtOnce,
}

/// Plays one step after the other, over however many connections; after the last it repeats it.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    /// Rung when a step that hangs is reached.
    pub hanging: Arc<Notify>,
}

impl Server {
    pub async fn start(steps: &[Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = Self {
            address,
            seen: Arc::default(),
            hanging: Arc::default(),
        };
        let play = Play {
            steps: steps.into(),
            next: Arc::default(),
            seen: server.seen.clone(),
            hanging: server.hanging.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play.clone().serve(stream));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request read so far, heads and bodies.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

#[derive(Clone)]
struct Play {
    steps: Arc<[Step]>,
    next: Arc<Mutex<usize>>,
    seen: Arc<Mutex<Vec<String>>>,
    hanging: Arc<Notify>,
}

impl Play {
    fn peek(&self) -> Step {
        let next = *self.next.lock().expect("no panic");
        self.steps[next.min(self.steps.len() - 1)]
    }

    fn advance(&self) {
        *self.next.lock().expect("no panic") += 1;
    }

    async fn serve(self, mut stream: TcpStream) {
        loop {
            match self.peek() {
                Step::ResetAtOnce => {
                    self.advance();
                    return reset(stream);
                }
                Step::HangAtOnce => {
                    self.hanging.notify_one();
                    return std::future::pending().await;
                }
                _ => {}
            }
            let Some(request) = read_request(&mut stream).await else {
                return;
            };
            self.seen.lock().expect("no panic").push(request);
            let step = self.peek();
            self.advance();
            match step {
                Step::Say(text) => stream.write_all(text.as_bytes()).await.expect("written"),
                Step::SayAndClose(text) => {
                    stream.write_all(text.as_bytes()).await.expect("written");
                    return;
                }
                Step::Reset | Step::ResetAtOnce => return reset(stream),
                Step::Hang | Step::HangAtOnce => {
                    self.hanging.notify_one();
                    return std::future::pending().await;
                }
            }
        }
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a socket");
    drop(stream);
}

/// One request with its body; none at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}
