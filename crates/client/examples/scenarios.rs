//! Does the steps of `clients/scenarios.json` with this client: `scenarios URL`. A step is a line of
//! standard input, and what came of it a line of standard output. What should have come of it, the
//! caller knows (`tests/interop/test_clients.py`).

use std::io::{BufRead as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cuegate_client::{
    Body, Client, Error, Event, Merge, Message, Publish, Purge, Receipt, Rejected, Session, Update,
};
use serde_json::{Value, json};

type Sending = Pin<Box<dyn Future<Output = Result<Receipt, Error>>>>;

struct Runner {
    url: String,
    client: Client,
    session: Option<Arc<Session>>,
    receipts: Vec<Receipt>,
    /// A message that waits for room.
    pending: Option<Sending>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("an address is needed")?;
    let mut runner = Runner {
        client: Client::new(&url)?,
        url,
        session: None,
        receipts: Vec::new(),
        pending: None,
    };
    let (steps, mut given) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines
            .map_while(Result::ok)
            .all(|line| steps.send(line).is_ok())
    });
    while let Some(line) = given.recv().await {
        let step: Value = serde_json::from_str(&line)?;
        let outcome = runner
            .step(&step)
            .await
            .unwrap_or_else(|error| error_of(&error));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{outcome}")?;
        out.flush()?;
    }
    Ok(())
}

impl Runner {
    async fn step(&mut self, step: &Value) -> Result<Value, Error> {
        let channel = text(step, "channel");
        let id = text(step, "id");
        match text(step, "do") {
            "client" => {
                let url = step["url"].as_str().unwrap_or(&self.url);
                let mut builder = Client::builder(url);
                if let Some(key) = step["key"].as_str() {
                    builder = builder.key(key);
                }
                if let Some(file) = step["ca"].as_str() {
                    builder = builder.ca(file);
                }
                self.client = builder.build()?;
            }
            "sleep" => tokio::time::sleep(millis(step, "ms").unwrap_or_default()).await,
            "publish" => return self.publish(step, channel).await,
            "replace" => {
                let event = event(&step["event"])?;
                let answer = self.client.replace(channel, id, &event).await?;
                return Ok(json!({"replaced": answer.replaced, "queued": answer.queued}));
            }
            "event" => {
                let answer = self.client.event(channel, id).await?;
                return Ok(json!({"id": answer.id, "state": answer.state}));
            }
            "cancel" => self.client.cancel(channel, id).await?,
            "purge" => {
                // The empty type stands for the request that the API of this client cannot make.
                let which = Purge::Kind(text(step, "type"));
                let cancelled = self.client.purge(channel, which).await?;
                return Ok(json!({"cancelled": cancelled}));
            }
            "pause" => self.client.pause(channel).await?,
            "resume" => self.client.resume(channel).await?,
            "status" => {
                let answer = self.client.status(channel).await?;
                return Ok(json!({"state": answer.state, "queued": answer.queued}));
            }
            "channels" => {
                let all = self.client.channels().await?.channels;
                let names: Vec<String> = all.into_iter().map(|one| one.name).collect();
                return Ok(json!({"names": names}));
            }
            "payload" => {
                return match self.client.payloads(channel, Some(1)).await?.next().await? {
                    Update::Payload { n, text } => {
                        Ok(json!({"kind": "payload", "numbered": n > Some(1), "text": text}))
                    }
                    other => Ok(json!({"kind": format!("{other:?}")})),
                };
            }
            "open" => self.open(step, channel).await?,
            "send" => self.send(step).await?,
            "send_waits" => return self.send_waits(step).await,
            "send_ends" => {
                if let Some(pending) = self.pending.take() {
                    self.receipts.push(pending.await?);
                }
            }
            "acks" => return Ok(self.acks().await),
            "close" => {
                let session = self.session.take().and_then(Arc::into_inner);
                let unopened = || Error::Usage("no session of its own is open".to_owned());
                session.ok_or_else(unopened)?.close().await?;
            }
            other => return Err(Error::Usage(format!("no such step: {other}"))),
        }
        Ok(json!({}))
    }

    async fn publish(&self, step: &Value, channel: &str) -> Result<Value, Error> {
        let body = match (&step["json"], &step["events"]) {
            (Value::String(json), _) => Body::json(json.clone()),
            (_, Value::Array(_)) => Body::from(events(&step["events"])?),
            (_, one) => Body::from(event(one)?),
        };
        let mut publish: Publish<'_> = if step["to_many"] == true {
            self.client.publish_to_many(body)
        } else {
            self.client.publish(channel, body)
        };
        if step["atomic"] == true {
            publish = publish.atomic();
        }
        if let Some(time) = millis(step, "wait_ms") {
            publish = publish.wait(time);
        }
        if let Some(time) = millis(step, "retry_for_ms") {
            publish = publish.retry_for(time);
        }
        if let Some(key) = step["idempotency_key"].as_str() {
            publish = publish.idempotency_key(key);
        }
        let answer = publish.await?;
        Ok(json!({
            "accepted": answer.accepted,
            "duplicates": answer.duplicates,
            "duplicate": answer.duplicate,
            "queued": answer.queued,
            "delivered": answer.delivered,
            "pending": answer.pending,
            "rejected": rejected_of(&answer.rejected),
        }))
    }

    async fn open(&mut self, step: &Value, channel: &str) -> Result<(), Error> {
        let mut builder = if step["to_many"] == true {
            self.client.session_to_many()
        } else {
            self.client.session(channel)
        };
        if let Some(resend) = step["resend"].as_bool() {
            builder = builder.resend(resend);
        }
        if let Some(window) = number(step, "window") {
            builder = builder.window(window);
        }
        if let Some(bytes) = number(step, "window_bytes") {
            builder = builder.window_bytes(bytes);
        }
        if let Some(time) = millis(step, "ack_timeout_ms") {
            builder = builder.ack_timeout(time);
        }
        if let Some(time) = millis(step, "give_up_after_ms") {
            builder = builder.give_up_after(time);
        }
        self.receipts.clear();
        self.session = Some(Arc::new(builder.open().await?));
        Ok(())
    }

    fn session(&self) -> Result<Arc<Session>, Error> {
        let unopened = || Error::Usage("no session is open".to_owned());
        self.session.clone().ok_or_else(unopened)
    }

    async fn send(&mut self, step: &Value) -> Result<(), Error> {
        let session = self.session()?;
        let (Some(first), Some(last)) = (step["from"].as_u64(), step["to"].as_u64()) else {
            self.receipts.push(session.send(message(step)?).await?);
            return Ok(());
        };
        let batch = step["batch"].as_u64().unwrap_or(1).max(1);
        let mut next = first;
        while next < last {
            let until = (next + batch).min(last);
            let numbers: Result<Vec<Event>, Error> = (next..until).map(Event::new).collect();
            self.receipts.push(session.send(numbers?).await?);
            next = until;
            if let Some(pace) = millis(step, "pace_ms") {
                tokio::time::sleep(pace).await;
            }
        }
        Ok(())
    }

    async fn send_waits(&mut self, step: &Value) -> Result<Value, Error> {
        let (session, message) = (self.session()?, message(step)?);
        let mut sending: Sending = Box::pin(async move { session.send(message).await });
        let time = millis(step, "ms").unwrap_or_default();
        let sent = tokio::time::timeout(time, &mut sending).await;
        let waited = sent.is_err();
        match sent {
            Ok(receipt) => self.receipts.push(receipt?),
            Err(_) => self.pending = Some(sending),
        }
        Ok(json!({"waited": waited}))
    }

    async fn acks(&mut self) -> Value {
        let (mut acknowledged, mut lost, mut rejected) = (0, 0, Vec::new());
        let mut told = json!({});
        for (message, receipt) in self.receipts.drain(..).enumerate() {
            match receipt.await {
                Ok(answer) => {
                    acknowledged += 1;
                    rejected.extend(rejected_of(&answer.rejected).into_iter().map(|mut one| {
                        one["message"] = message.into();
                        one
                    }));
                }
                Err(error) => {
                    lost += 1;
                    told = error_of(&error);
                }
            }
        }
        told["acknowledged"] = acknowledged.into();
        told["lost"] = lost.into();
        told["rejected"] = rejected.into();
        told
    }
}

fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step[name].as_str().unwrap_or_default()
}

fn millis(step: &Value, name: &str) -> Option<Duration> {
    step[name].as_u64().map(Duration::from_millis)
}

fn number(step: &Value, name: &str) -> Option<usize> {
    step[name]
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
}

fn message(step: &Value) -> Result<Message, Error> {
    match (&step["json"], &step["events"]) {
        (Value::String(json), _) => Ok(Message::json(json.clone())),
        (_, Value::Array(_)) => Ok(Message::from(events(&step["events"])?)),
        (_, one) => Ok(Message::from(event(one)?)),
    }
}

fn events(value: &Value) -> Result<Vec<Event>, Error> {
    value.as_array().into_iter().flatten().map(event).collect()
}

/// An event of the scenarios: not every member can be one that this client's types cannot say.
fn event(value: &Value) -> Result<Event, Error> {
    let mut event = Event::new(&value["data"])?;
    for (name, member) in value.as_object().into_iter().flatten() {
        let text = member.as_str().unwrap_or_default();
        let number = member.as_u64().unwrap_or_default();
        event = match name.as_str() {
            "type" => event.kind(text),
            "id" => event.id(text),
            "key" => event.key(text),
            "channel" => event.channel(text),
            "merge" => event.merge(Merge::Sum),
            "ttl_ms" => event.ttl(Duration::from_millis(number)),
            "at" => event.at(std::time::UNIX_EPOCH + Duration::from_millis(number)),
            _ => event,
        };
    }
    Ok(event)
}

fn rejected_of(rejected: &[Rejected]) -> Vec<Value> {
    let shown = rejected.iter().map(
        |one| json!({"index": one.index, "code": one.code, "retryable": one.code.is_retryable()}),
    );
    shown.collect()
}

fn error_of(error: &Error) -> Value {
    let kind = match error {
        Error::Usage(_) => "usage",
        Error::Unreachable { .. } => "unreachable",
        Error::Refused(_) => "refused",
        _ => "unexpected",
    };
    let mut shown = json!({
        "kind": kind,
        "text": error.to_string(),
        "retryable": error.is_retryable(),
        "retry_after": error.retry_after().is_some(),
    });
    if let Some(refusal) = error.refusal() {
        // This client has one type with all codes.
        shown["family"] = "by its code".into();
        shown["code"] = refusal.code.as_str().into();
        shown["status"] = refusal.status.as_u16().into();
        shown["index"] = refusal.index.into();
        shown["rejected"] = rejected_of(&refusal.rejected).into();
    }
    json!({"error": shown})
}
