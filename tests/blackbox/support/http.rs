//! HTTP/1.1 by hand, so that tests can send what no client library would.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes: the longest wait of the surface is 30 s.
const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// One answer, read whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header by its name in lower case; empty: it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `code` of a problem document; empty if it is none.
    pub fn code(&self) -> String {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.and_then(|body| body["code"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// The bytes of a request on a connection of its own.
pub fn encode(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n")
        .into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let has_length = headers
        .iter()
        .any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding"));
    if !has_length {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    Ok(stream)
}

/// One request on a connection of its own.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    try_send(address, method, path, headers, body)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// The same where there may be no answer.
pub fn try_send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    exchange(
        address,
        &encode(method, path, headers, body),
        method == "HEAD",
    )
}

/// Sends these bytes and reads the first answer.
pub fn exchange(address: SocketAddr, bytes: &[u8], is_head: bool) -> io::Result<Response> {
    let mut stream = connect(address)?;
    // A server may refuse before it has read everything; its answer is there all the same.
    let written = stream.write_all(bytes);
    let answer = read_response(&mut BufReader::new(stream), is_head);
    answer.map_err(|error| written.err().unwrap_or(error))
}

/// The head and the body of the next final answer.
pub fn read_response(reader: &mut impl BufRead, is_head: bool) -> io::Result<Response> {
    let mut response = read_head(reader)?;
    while response.status == 100 {
        response = read_head(reader)?;
    }
    if !is_head && !matches!(response.status, 101 | 204 | 304) {
        response.body = read_body(reader, &response)?;
    }
    Ok(response)
}

/// Status and headers.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Response> {
    let bad =
        |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line:?}"));
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.trim().parse().ok())
        .ok_or_else(|| bad(&line))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Response {
                status,
                headers,
                body: Vec::new(),
            });
        }
        let (name, value) = text.split_once(':').ok_or_else(|| bad(text))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(reader: &mut impl BufRead, head: &Response) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.header("transfer-encoding") == "chunked" {
        while let Some(chunk) = read_chunk(reader)? {
            body.extend(chunk);
        }
    } else if let Ok(length) = head.header("content-length").parse() {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

/// The next chunk of a chunked body; none at its end.
pub fn read_chunk(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let size = usize::from_str_radix(line.trim(), 16).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{error}: {line:?}"))
    })?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(size);
    Ok((size > 0).then_some(chunk))
}

/// A problem document is whole (RFC 9457), and says the same as the status line and headers.
pub fn check_problem(answer: &Response, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{answer:?}"
    );
    let body = answer.json();
    assert_eq!(body["type"], format!("urn:cuegate:problem:{code}"));
    assert_eq!(body["status"], status);
    for text in ["title", "detail"] {
        assert!(
            body[text].as_str().is_some_and(|text| !text.is_empty()),
            "{text}: {body}"
        );
    }
    let seconds = answer.header("retry-after").parse::<u64>().ok();
    let ms = body["retry_after_ms"].as_u64();
    assert_eq!(seconds, ms.map(|ms| ms.div_ceil(1000).max(1)), "{answer:?}");
    let must_say_when = matches!(status, 429 | 503);
    assert_eq!(ms.is_some(), must_say_when, "{answer:?}");
}
