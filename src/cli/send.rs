//! `cuegate send`: one event, or NDJSON from standard input.

mod input;

use engine::{Merge, Priority};
use std::time::Duration;

use cuegate_client::{Body, Client};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Error, Target, output};
use input::Input;

/// How long `--wait` waits: the most that the gateway does.
const WAIT: Duration = Duration::from_secs(30);

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
    #[arg(long, help = merges())]
    merge: Option<String>,
    #[arg(long, help = either(&Priority::ALL.map(Priority::name)))]
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

fn merges() -> String {
    let words = either(&Merge::ALL.map(Merge::name));
    format!("How it merges with the last queued event of its key: {words}")
}

/// "a, b or c".
fn either(words: &[&str]) -> String {
    let [first @ .., last] = words else {
        return String::new();
    };
    format!("{} or {last}", first.join(", "))
}

/// Sends, and prints what the gateway answered.
///
/// # Errors
/// A refusal of any event, or no gateway.
pub async fn run(arguments: Send) -> Result<(), Error> {
    let client = arguments.target.client()?;
    if arguments.data != "-" {
        return send_one(&client, &arguments).await;
    }
    if arguments.id.is_some() {
        let several = "--id is of one event: events from standard input bring their own";
        return Err(Error::Usage(several.to_owned()));
    }
    let members = members(&arguments);
    let mut input = Input::open();
    let mut refused = 0;
    while let Some(batch) = input.next(&members).await? {
        refused += send_lines(&client, &arguments, batch).await?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(Error::Refused(format!("{refused} events were refused"))),
    }
}

/// Sends one event.
async fn send_one(client: &Client, arguments: &Send) -> Result<(), Error> {
    let body = Body::json(event(arguments)?);
    let answer = publish(client, arguments, body).await?;
    if input::refusals(&answer, 0).is_empty() {
        Ok(output::line(&answer)?)
    } else {
        Err(Error::Refused(answer))
    }
}

/// Sends some lines; how many of them were refused for themselves. Those are told by their index
/// in the whole input, and the others go on.
async fn send_lines(
    client: &Client,
    arguments: &Send,
    batch: input::Batch,
) -> Result<usize, Error> {
    let first = batch.first;
    let refused = match publish(client, arguments, Body::ndjson(batch.body)).await {
        Ok(answer) => {
            let refused = input::refusals(&answer, first);
            output::line(&input::with_indexes(&answer, &refused))?;
            refused
        }
        Err(error) => {
            let refusal = error.refusal();
            let refusal = refusal.filter(|refusal| refusal.status.is_client_error());
            let refused = refusal.map(|refusal| input::refusals(&refusal.document, first));
            match refused {
                Some(refused) if !refused.is_empty() => refused,
                _ => return Err(error.into()),
            }
        }
    };
    for refusal in &refused {
        output::error(&refusal.to_string());
    }
    Ok(refused.len())
}

/// Publishes, and returns the gateway's answer as it is.
async fn publish(
    client: &Client,
    arguments: &Send,
    body: Body,
) -> Result<String, cuegate_client::Error> {
    let mut publish = client.publish(&arguments.channel, body);
    if arguments.wait {
        publish = publish.wait(WAIT);
    }
    Ok(publish.await?.document)
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
