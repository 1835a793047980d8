//! `cuegate tail`: a channel's payloads as they are delivered, one a line.

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;

use super::{Error, Target, http, output};

/// Which channel.
#[derive(clap::Args, Debug)]
pub struct Tail {
    /// The channel: its alias or its ARN.
    channel: String,
    #[command(flatten)]
    target: Target,
}

/// Prints payloads until the connection ends.
///
/// # Errors
/// An unknown channel, no gateway, or the end of the connection.
pub async fn run(arguments: Tail) -> Result<(), Error> {
    let path = http::channel_path(&arguments.channel, "payloads");
    let response = http::request(&arguments.target, Method::GET, &path, "", Vec::new()).await?;
    let lost = |reason: String| Error::Unreachable {
        url: arguments.target.url.clone(),
        reason,
    };
    let status = response.status();
    let mut body = response.into_body();
    if status != StatusCode::OK {
        let answer = body
            .collect()
            .await
            .map_err(|error| lost(error.to_string()))?;
        return Err(Error::Refused(
            String::from_utf8_lossy(&answer.to_bytes()).into_owned(),
        ));
    }
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        for event in lines.push(&data) {
            match event {
                Event::Payload(payload) => output::line(&payload)?,
                Event::Notice(notice) => output::error(&notice),
            }
        }
    }
    Err(lost("the gateway closed the stream".to_owned()))
}

/// A server-sent event.
#[derive(Debug, PartialEq)]
enum Event {
    /// A delivered payload.
    Payload(String),
    /// Something that the gateway says of the stream, as that payloads were missed.
    Notice(String),
}

/// Server-sent events out of a stream of bytes.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    name: Option<String>,
    data: Option<String>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            if let Some(name) = line.strip_prefix("event:") {
                self.name = Some(name.trim().to_owned());
            } else if let Some(data) = line.strip_prefix("data:") {
                let data = data.strip_prefix(' ').unwrap_or(data);
                match &mut self.data {
                    Some(before) => {
                        before.push('\n');
                        before.push_str(data);
                    }
                    None => self.data = Some(data.to_owned()),
                }
            } else if line.is_empty() {
                let name = self.name.take();
                events.extend(self.data.take().map(|data| match name {
                    Some(name) => Event::Notice(format!("{name}: {data}")),
                    None => Event::Payload(data),
                }));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let stream = b": hello\n\nid: 1\ndata: {\"a\":1}\n\nevent: lagged\ndata: {\"missed\":3}\n\nid: 2\ndata: two\ndata: lines\n\n";
        let expected = [
            Event::Payload("{\"a\":1}".to_owned()),
            Event::Notice("lagged: {\"missed\":3}".to_owned()),
            Event::Payload("two\nlines".to_owned()),
        ];
        for cut in 0..stream.len() {
            let mut lines = Lines::default();
            let mut events = lines.push(&stream[..cut]);
            events.extend(lines.push(&stream[cut..]));
            assert_eq!(events, expected, "cut at {cut}");
        }
    }
}
