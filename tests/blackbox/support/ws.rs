//! A WebSocket client that waits for what it expects.

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{self, Error, Message, WebSocket};

use super::http::connect;

pub struct Client {
    pub socket: WebSocket<TcpStream>,
    pub handshake: Response,
}

impl Client {
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_with(address, path, None)
    }

    /// The same, offering subprotocols.
    pub fn open_with(address: SocketAddr, path: &str, protocols: Option<&str>) -> Self {
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .expect("a request");
        if let Some(protocols) = protocols {
            request.headers_mut().insert(
                "sec-websocket-protocol",
                protocols.parse().expect("a header"),
            );
        }
        let stream = connect(address).expect("a connection");
        let (socket, handshake) = tungstenite::client(request, stream).expect("a WebSocket");
        Self { socket, handshake }
    }

    /// By whoever has this `Authorization`.
    pub fn open_as(address: SocketAddr, path: &str, authorization: &str) -> Self {
        let opened = Self::try_open_as(address, path, authorization);
        opened.unwrap_or_else(|status| panic!("{path}: {status}"))
    }

    /// The same, or the status of the refusal.
    pub fn try_open_as(address: SocketAddr, path: &str, authorization: &str) -> Result<Self, u16> {
        Self::try_open(address, path, ("authorization", authorization))
    }

    /// As a page of this origin does.
    pub fn try_open_from(address: SocketAddr, path: &str, origin: &str) -> Result<Self, u16> {
        Self::try_open(address, path, ("origin", origin))
    }

    fn try_open(
        address: SocketAddr,
        path: &str,
        (name, value): (&'static str, &str),
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .expect("a request");
        let value = value.parse().expect("a header");
        request.headers_mut().insert(name, value);
        let stream = connect(address).expect("a connection");
        match tungstenite::client(request, stream) {
            Ok((socket, handshake)) => Ok(Self { socket, handshake }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("to send");
    }

    /// Sends the beginning of a message of this many bytes: all but the last.
    pub fn begin(&mut self, bytes: usize) -> std::io::Result<()> {
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&(bytes as u64).to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.resize(frame.len() + bytes - 1, b' ');
        self.socket.get_mut().write_all(&frame)
    }

    /// Sends the first fragment of a message that never ends, and a ping behind it: the answer comes once
    /// the gateway has read all of that. Else the code with which it closed.
    pub fn hold(&mut self, bytes: usize) -> Result<(), u16> {
        let mut frames = vec![0x01, 0xff];
        frames.extend_from_slice(&(bytes as u64).to_be_bytes());
        frames.extend_from_slice(&[0; 4]);
        frames.resize(frames.len() + bytes, b' ');
        frames.extend_from_slice(&[0x89, 0x80, 0, 0, 0, 0]);
        // One that is refused on the way may not be read to its end.
        let _ = self.socket.get_mut().write_all(&frames);
        loop {
            match self.socket.read().expect("a pong or a close frame") {
                Message::Pong(_) => return Ok(()),
                Message::Close(Some(frame)) => return Err(frame.code.into()),
                _ => {}
            }
        }
    }

    /// A read that a signal broke off is tried again.
    fn read(&mut self) -> Result<Message, Error> {
        loop {
            match self.socket.read() {
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// The next message that is text, as JSON.
    pub fn next(&mut self) -> Value {
        loop {
            match self.read().expect("a message") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything up to the ack that covers message `n`.
    pub fn until_ack(&mut self, n: u64) -> Vec<Value> {
        let mut answers = Vec::new();
        loop {
            let answer = self.next();
            let covers = answer["ack"].as_u64().is_some_and(|ack| ack >= n);
            answers.push(answer);
            if covers {
                return answers;
            }
        }
    }

    /// The code of the close frame, whatever comes before it.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.read() {
                Ok(Message::Close(Some(frame))) => return frame.code.into(),
                Ok(Message::Close(None)) => panic!("a close frame without a code"),
                Ok(_) => {}
                Err(error) => panic!("no close frame: {error}"),
            }
        }
    }

    pub fn set_timeouts(&self, timeout: Duration) {
        let stream = self.socket.get_ref();
        stream.set_read_timeout(Some(timeout)).expect("a timeout");
        stream.set_write_timeout(Some(timeout)).expect("a timeout");
    }
}
