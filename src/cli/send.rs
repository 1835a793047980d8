//! `cuegate send`: one event, or NDJSON from standard input.

use std::io::Read as _;

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Error, Target, http};

/// Most bytes read from standard input and sent as one request: the gateway's own default
/// bound. Longer input goes as several.
const BATCH_BYTES: usize = 512 * 1024;

/// What to send, and where.
#[derive(clap::Args, Debug)]
pub struct Send {
    /// The channel: its alias or its ARN.
    channel: String,
    /// The event's data as JSON, or `-` for events as NDJSON from standard input.
    data: String,
    #[command(flatten)]
    target: Target,
    /// The event's type.
    #[arg(long = "type")]
    kind: Option<String>,
    /// Its id, for deduplication and cancelling.
    #[arg(long)]
    id: Option<String>,
    /// Its key, for order and merging.
    #[arg(long)]
    key: Option<String>,
    /// How it merges with the last queued event of its key: replace, sum, max, min or patch.
    #[arg(long)]
    merge: Option<String>,
    /// high, normal or low.
    #[arg(long)]
    priority: Option<String>,
    /// Time to live in milliseconds.
    #[arg(long)]
    ttl_ms: Option<u32>,
    /// Not before this moment (RFC 3339, as 2026-11-22T20:00:00Z).
    #[arg(long)]
    at: Option<String>,
    /// Return only when the events were delivered, or have ended otherwise.
    #[arg(long)]
    wait: bool,
}

/// Sends, and prints what the gateway answered.
///
/// # Errors
/// A refusal of any event, or no gateway.
pub async fn run(arguments: Send) -> Result<(), Error> {
    if arguments.data != "-" {
        let event = event(&arguments)?;
        return post(&arguments, "application/json", event.into_bytes()).await;
    }
    let mut rest = Vec::new();
    let mut input = std::io::stdin().lock();
    loop {
        let read = input
            .by_ref()
            .take(BATCH_BYTES as u64)
            .read_to_end(&mut rest)?;
        let end = if read == 0 {
            rest.len()
        } else {
            rest.iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1)
        };
        if end > 0 {
            let batch = rest.drain(..end).collect();
            post(&arguments, "application/x-ndjson", batch).await?;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn event(arguments: &Send) -> Result<String, Error> {
    let data: Box<RawValue> = RawValue::from_string(arguments.data.clone()).map_err(|error| {
        Error::Usage(format!(
            "DATA is not JSON ({error}); a text needs quotes of its own: '\"text\"'"
        ))
    })?;
    let mut rest = Map::new();
    let texts = [
        ("type", &arguments.kind),
        ("id", &arguments.id),
        ("key", &arguments.key),
        ("merge", &arguments.merge),
        ("priority", &arguments.priority),
        ("at", &arguments.at),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            rest.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    if let Some(ttl_ms) = arguments.ttl_ms {
        rest.insert("ttl_ms".to_owned(), Value::from(ttl_ms));
    }
    // The data keeps its digits and its order: it is not parsed.
    let rest = Value::Object(rest).to_string();
    let comma = if rest == "{}" { "" } else { "," };
    Ok(format!("{{\"data\":{}{comma}{}", data.get(), &rest[1..]))
}

async fn post(arguments: &Send, content_type: &str, body: Vec<u8>) -> Result<(), Error> {
    let wait = if arguments.wait {
        "?wait=delivered&timeout_ms=30000"
    } else {
        ""
    };
    let path = http::channel_path(&arguments.channel, &format!("events{wait}"));
    let response =
        http::request(&arguments.target, Method::POST, &path, content_type, body).await?;
    let status = response.status();
    let answer = response
        .into_body()
        .collect()
        .await
        .map_err(|error| Error::Unreachable {
            url: arguments.target.url.clone(),
            reason: error.to_string(),
        })?;
    let answer = String::from_utf8_lossy(&answer.to_bytes()).into_owned();
    let refused = serde_json::from_str::<Value>(&answer)
        .ok()
        .and_then(|answer| {
            answer
                .get("rejected")
                .and_then(Value::as_array)
                .map(|rejected| !rejected.is_empty())
        });
    match (status, refused) {
        (StatusCode::ACCEPTED | StatusCode::OK, None | Some(false)) => {
            println!("{answer}");
            Ok(())
        }
        _ => Err(Error::Refused(answer)),
    }
}
