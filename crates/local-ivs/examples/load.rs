//! What the program costs: signed calls of `PutMetadata` at a steady rate over many live
//! channels, and the processor time the server used for them (Linux).
//!
//! `cargo run --release -p local-ivs --example load -- target/release/local-ivs [CALLS_PER_SECOND] [SECONDS] [CHANNELS]`
//!
//! The calls are signed by this process, so their signing is not part of the figure.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use std::error::Error;
use std::fmt::Write;
use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Connections that take turns, as a client's pool does.
const CONNECTIONS: usize = 8;

/// Of Linux for every program, whatever the kernel's own is.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("which program?")?;
    let mut number = |default: u32| -> Result<u32> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (rate, seconds, channels) = (number(155)?, number(10)?, number(5_000)?);

    let mut server = Command::new(program)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut output = BufReader::new(server.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    output.read_line(&mut line).await?;
    let address = line
        .split(['/', ','])
        .nth(2)
        .ok_or("no address")?
        .to_owned();
    let pid = server.id().ok_or("it ended")?;

    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(&address).await?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    let arn = |n: u32| format!("arn:aws:ivs:us-west-2:000000000000:channel/c{n:05}");
    for n in 0..channels {
        let path = format!("/_local/channels/{}/stream", arn(n));
        let request = request(&address, &path, &[], r#"{"state":"live"}"#);
        expect(&mut connections[0], &request, 200).await?;
    }

    let calls = rate * seconds;
    let before = processor_seconds(pid)?;
    let started = Instant::now();
    for call in 0..calls {
        let body = format!(
            r#"{{"channelArn":"{}","metadata":"{}"}}"#,
            arn(call % channels),
            "x".repeat(200)
        );
        let request = signed(&address, &body)?;
        let due = started + Duration::from_secs(1) * call / rate;
        tokio::time::sleep_until(due.into()).await;
        let connection = &mut connections[call as usize % CONNECTIONS];
        // At exactly the limit, a call may come a moment too early for the sliding second.
        expect_one_of(connection, &request, &[204, 429]).await?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    let used = processor_seconds(pid)? - before;
    println!(
        "{calls} calls over {channels} channels in {elapsed:.2} s: {used:.2} s of processor time, {:.2} % of a core, {:.0} us a call",
        100.0 * used / elapsed,
        1e6 * used / f64::from(calls),
    );
    server.kill().await?;
    Ok(())
}

/// User and system time of a process so far.
fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets, which may hold anything.
    let rest = stat.rsplit_once(')').ok_or("no name")?.1;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || -> Result<f64> { Ok(fields.next().ok_or("too short")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn signed(address: &str, body: &str) -> Result<String> {
    let identity = Credentials::new("test", "test", None, None, "load").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-west-2")
        .name("ivs")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new(
        "POST",
        format!("http://{address}/PutMetadata"),
        std::iter::once(("content-type", "application/json")),
        SignableBody::Bytes(body.as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let mut headers: Vec<(&str, &str)> = instructions.headers().collect();
    headers.push(("content-type", "application/json"));
    Ok(request(address, "/PutMetadata", &headers, body))
}

fn request(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text
}

async fn expect(connection: &mut TcpStream, request: &str, status: u16) -> Result<()> {
    expect_one_of(connection, request, &[status]).await
}

/// Sends a request and reads its answer, head and body.
async fn expect_one_of(connection: &mut TcpStream, request: &str, statuses: &[u16]) -> Result<()> {
    connection.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    let head = loop {
        let mut buffer = [0; 4096];
        let count = connection.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(Ok(0), str::parse)?;
            if body.len() >= length {
                break head.to_owned();
            }
        }
    };
    let status: u16 = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    if statuses.contains(&status) {
        Ok(())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)).into())
    }
}
