//! A channel's payloads as they are delivered: server-sent events.

use std::collections::VecDeque;

use http::{HeaderValue, Method};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::error::Error;
use crate::limits::LINE_MAX_BYTES;
use crate::transport::{Payload, Transport, channel_path};

/// The payloads of a channel, from [`Client::payloads`](crate::Client::payloads).
#[derive(Debug)]
pub struct Payloads {
    transport: Transport,
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Update>,
}

/// Something that a stream of payloads brings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// A delivered payload.
    Payload {
        /// Its number. Show the last one as `after` to go on where a stream ended.
        n: Option<u64>,
        /// Its text.
        text: String,
    },
    /// The gateway's word on the stream, as that this reader was too slow and missed payloads
    /// (`lagged`).
    Notice {
        /// What it is about.
        name: String,
        /// What it says.
        data: String,
    },
}

impl Payloads {
    pub(crate) async fn open(
        transport: &Transport,
        channel: &str,
        after: Option<u64>,
    ) -> Result<Self, Error> {
        let mut payload = Payload::default();
        if let Some(after) = after {
            let name = http::HeaderName::from_static("last-event-id");
            payload.headers.push((name, HeaderValue::from(after)));
        }
        let path = channel_path(channel, "/payloads");
        let response = transport.head(Method::GET, &path, payload).await?;
        Ok(Self {
            transport: transport.clone(),
            body: response.into_body(),
            parser: Parser::default(),
            ready: VecDeque::new(),
        })
    }

    /// Waits for what comes next. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the stream has ended, which the gateway's own end does too: open
    /// another with the number of the last payload.
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            let Some(frame) = self.body.frame().await else {
                return Err(self.transport.unreachable("the gateway closed the stream"));
            };
            let frame = frame.map_err(|error| self.transport.unreachable(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                let read = self.parser.push(&data, &mut self.ready);
                read.map_err(|what| self.transport.unexpected(what))?;
            }
        }
    }
}

/// Server-sent events out of a stream of bytes, however they are cut.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    name: Option<String>,
    id: Option<u64>,
    data: Option<String>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8], out: &mut VecDeque<Update>) -> Result<(), &'static str> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let kept = self.data.as_ref().map_or(0, String::len) + self.line.len();
            if kept + part.len() > LINE_MAX_BYTES {
                return Err("a line of the stream is too long");
            }
            self.line.extend_from_slice(part);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                let line = std::mem::take(&mut self.line);
                out.extend(self.take(&String::from_utf8_lossy(&line)));
            }
        }
        Ok(())
    }

    /// Takes a line; an empty one ends an event.
    fn take(&mut self, line: &str) -> Option<Update> {
        let value = |rest: &str| rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        if line.is_empty() {
            let (name, id) = (self.name.take(), self.id.take());
            let text = self.data.take()?;
            return Some(match name {
                Some(name) => Update::Notice { name, data: text },
                None => Update::Payload { n: id, text },
            });
        }
        if let Some(name) = line.strip_prefix("event:") {
            self.name = Some(value(name));
        } else if let Some(id) = line.strip_prefix("id:") {
            self.id = id.trim().parse().ok();
        } else if let Some(data) = line.strip_prefix("data:") {
            match &mut self.data {
                Some(before) => {
                    before.push('\n');
                    before.push_str(&value(data));
                }
                None => self.data = Some(value(data)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let stream = b": hello\n\nid: 1\ndata: {\"a\":1}\n\nevent: lagged\ndata: {\"missed\":3}\n\nid: 2\ndata: two\ndata: lines\n\n";
        let payload = |n, text: &str| Update::Payload {
            n: Some(n),
            text: text.to_owned(),
        };
        let expected = [
            payload(1, "{\"a\":1}"),
            Update::Notice {
                name: "lagged".to_owned(),
                data: "{\"missed\":3}".to_owned(),
            },
            payload(2, "two\nlines"),
        ];
        for cut in 0..stream.len() {
            let mut parser = Parser::default();
            let mut events = VecDeque::new();
            for part in [&stream[..cut], &stream[cut..]] {
                parser.push(part, &mut events).expect("short lines");
            }
            assert_eq!(events, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_without_line_ends_is_no_stream_of_payloads() {
        let mut parser = Parser::default();
        let mut events = VecDeque::new();
        let part = vec![b'x'; LINE_MAX_BYTES / 2];
        assert_eq!(parser.push(&part, &mut events), Ok(()));
        assert_eq!(parser.push(&part, &mut events), Ok(()));
        assert!(parser.push(b"x", &mut events).is_err());
        // Nor does one event grow without an end.
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &part, b"\n"].concat();
        assert_eq!(parser.push(&line, &mut events), Ok(()));
        assert!((0..2).any(|_| parser.push(&line, &mut events).is_err()));
    }
}
