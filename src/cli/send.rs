//! `cuegate send`: one event, or NDJSON from standard input.

mod input;

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Error, Target, http, output};
use input::Input;

/// What to send, and where.
#[derive(clap::Args, Debug)]
pub struct Send {
    /// The channel: its alias or its ARN.
    channel: String,
    /// The event's data as JSON, or `-` for events as NDJSON from standard input. The options below
    /// are then for every line that does not say otherwise.
    #[arg(allow_negative_numbers = true)]
    data: String,
    #[command(flatten)]
    target: Target,
    /// The event's type.
    #[arg(long = "type")]
    kind: Option<String>,
    /// Its id, for deduplication and cancelling; not of several events.
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
    if arguments.id.is_some() {
        let several = "--id is of one event: events from standard input bring their own";
        return Err(Error::Usage(several.to_owned()));
    }
    let members = members(&arguments);
    let mut input = Input::open();
    let mut refused = 0;
    while let Some(batch) = input.next(&members).await? {
        refused += send_lines(&arguments, batch).await?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(Error::Refused(format!("{refused} events were refused"))),
    }
}

/// Sends some lines; how many of them were refused for themselves. Those are told by their index
/// in the whole input, and the others go on.
async fn send_lines(arguments: &Send, batch: input::Batch) -> Result<usize, Error> {
    let first = batch.first;
    let (status, answer) = ask(arguments, "application/x-ndjson", batch.body).await?;
    let refused = input::refusals(&answer, first);
    if matches!(status, StatusCode::ACCEPTED | StatusCode::OK) {
        output::line(&input::with_indexes(&answer, &refused))?;
    } else if !status.is_client_error() || refused.is_empty() {
        return Err(Error::Refused(answer));
    }
    for refusal in &refused {
        output::error(&refusal.to_string());
    }
    Ok(refused.len())
}

fn event(arguments: &Send) -> Result<String, Error> {
    let data: Box<RawValue> = RawValue::from_string(arguments.data.clone()).map_err(|error| {
        Error::Usage(format!(
            "DATA is not JSON ({error}); a text needs quotes of its own: '\"text\"'"
        ))
    })?;
    // The data keeps its digits and its order: it is not parsed.
    let rest = Value::Object(members(arguments)).to_string();
    let comma = if rest == "{}" { "" } else { "," };
    Ok(format!("{{\"data\":{}{comma}{}", data.get(), &rest[1..]))
}

/// What the options say of an event.
fn members(arguments: &Send) -> Map<String, Value> {
    let mut members = Map::new();
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
            members.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    if let Some(ttl_ms) = arguments.ttl_ms {
        members.insert("ttl_ms".to_owned(), Value::from(ttl_ms));
    }
    members
}

async fn post(arguments: &Send, content_type: &str, body: Vec<u8>) -> Result<(), Error> {
    let (status, answer) = ask(arguments, content_type, body).await?;
    let taken = matches!(status, StatusCode::ACCEPTED | StatusCode::OK);
    if taken && input::refusals(&answer, 0).is_empty() {
        Ok(output::line(&answer)?)
    } else {
        Err(Error::Refused(answer))
    }
}

async fn ask(
    arguments: &Send,
    content_type: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, String), Error> {
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
    Ok((status, answer))
}
