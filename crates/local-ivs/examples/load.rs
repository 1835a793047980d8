//! What the program costs: signed calls of `PutMetadata` at a steady rate over many live
//! channels while viewers play some of them, and the processor time the server used for all
//! of it (Linux).
//!
//! `cargo run --release -p local-ivs --example load -- target/release/local-ivs [CALLS_PER_SECOND] [SECONDS] [CHANNELS] [VIEWERS]`
//!
//! The calls are signed by this process, so their signing is not part of the figure. A viewer
//! does what a player does: every second it reads its channel's playlist and the segments that
//! are new in it. The goal at 155 calls a second with 20 viewers is 15 % of a core.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use std::error::Error;
use std::fmt::Write;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    let viewers = number(20)?;

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
    for n in 0..channels {
        let path = format!("/_local/channels/{}/stream", arn(n));
        let request = request("POST", &address, &path, &[], r#"{"state":"live"}"#);
        expect(&mut connections[0], &request, 200).await?;
    }

    let segments = Arc::new(AtomicU64::new(0));
    for n in 0..viewers {
        let (address, seen) = (address.clone(), Arc::clone(&segments));
        tokio::spawn(async move {
            if let Err(error) = view(&address, &arn(n % channels), &seen).await {
                eprintln!("a viewer has gone: {error}");
                std::process::exit(1);
            }
        });
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
        "{calls} calls over {channels} channels in {elapsed:.2} s, {} segments to {viewers} viewers: {used:.2} s of processor time, {:.2} % of a core",
        segments.load(Ordering::Relaxed),
        100.0 * used / elapsed,
    );
    server.kill().await?;
    Ok(())
}

fn arn(n: u32) -> String {
    format!("arn:aws:ivs:us-west-2:000000000000:channel/c{n:05}")
}

/// Plays a channel for as long as it is asked to, and counts the segments that it got.
async fn view(address: &str, arn: &str, segments: &AtomicU64) -> Result<()> {
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let place = format!("/_local/channels/{}", arn.replace('/', "%2F"));
    let mut last = String::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let playlist = get(
            &mut connection,
            address,
            &format!("{place}/playback-high.m3u8"),
        )
        .await?;
        let playlist = String::from_utf8(playlist)?;
        let names: Vec<&str> = playlist.lines().filter(|it| !it.starts_with('#')).collect();
        let known = names.iter().rposition(|name| *name == last);
        for name in &names[known.map_or(0, |at| at + 1)..] {
            get(&mut connection, address, &format!("{place}/{name}")).await?;
            segments.fetch_add(1, Ordering::Relaxed);
        }
        last = (*names.last().ok_or("an empty playlist")?).to_owned();
    }
}

async fn get(connection: &mut TcpStream, address: &str, path: &str) -> Result<Vec<u8>> {
    match exchange(connection, &request("GET", address, path, &[], "")).await? {
        (200, body) => Ok(body),
        (status, _) => Err(format!("{path}: {status}").into()),
    }
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
    Ok(request("POST", address, "/PutMetadata", &headers, body))
}

fn request(
    method: &str,
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text
}

async fn expect(connection: &mut TcpStream, request: &str, status: u16) -> Result<()> {
    expect_one_of(connection, request, &[status]).await
}

async fn expect_one_of(connection: &mut TcpStream, request: &str, statuses: &[u16]) -> Result<()> {
    let (status, body) = exchange(connection, request).await?;
    if statuses.contains(&status) {
        Ok(())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// Sends a request and reads its answer: status and body.
async fn exchange(connection: &mut TcpStream, request: &str) -> Result<(u16, Vec<u8>)> {
    connection.write_all(request.as_bytes()).await?;
    let mut reader = BufReader::new(connection);
    let (mut status, mut length, mut line) = (None, 0, String::new());
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if status.is_none() {
            status = line.split(' ').nth(1).map(str::parse).transpose()?;
        } else if let Some(told) = line.strip_prefix("content-length: ") {
            length = told.trim_end().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok((status.ok_or("no status")?, body))
}
