//! `cuegate dead-letters list|replay|purge`: the events that could not be delivered.

use cuegate_client::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Error, Proof, output};

/// What to do with dead letters.
#[derive(clap::Subcommand, Debug)]
pub enum DeadLetters {
    /// Print them, one JSON object a line, oldest first.
    List(Which),
    /// Accept their events once more, with fresh TTLs: once what was wrong is mended.
    Replay(Which),
    /// Forget them.
    Purge(Which),
}

/// Which of them; without an option, all.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// One letter, by its id.
    #[arg(long)]
    id: Option<u64>,
    /// Those of a channel: its alias or its ARN.
    #[arg(long)]
    channel: Option<String>,
    /// Those with this reason, such as expired.
    #[arg(long)]
    reason: Option<String>,
    /// The gateway's address for administration.
    #[arg(
        long,
        env = "CUEGATE_ADMIN_URL",
        default_value = "http://127.0.0.1:8081"
    )]
    admin_url: String,
    #[command(flatten)]
    proof: Proof,
}

#[derive(Deserialize)]
struct Page {
    dead_letters: Vec<Box<RawValue>>,
    next: Option<u64>,
}

/// Carries a command out.
///
/// # Errors
/// A refusal, or no gateway.
pub async fn run(command: DeadLetters) -> Result<(), Error> {
    match command {
        DeadLetters::List(which) => list(&which).await,
        DeadLetters::Replay(which) => {
            let answer = ask(&which, Method::POST, None).await?;
            Ok(output::line(&answer)?)
        }
        DeadLetters::Purge(which) => {
            let answer = ask(&which, Method::DELETE, None).await?;
            Ok(output::line(&answer)?)
        }
    }
}

async fn list(which: &Which) -> Result<(), Error> {
    let mut after = None;
    loop {
        let text = ask(which, Method::GET, after).await?;
        let page: Page = serde_json::from_str(&text)
            .map_err(|error| Error::Refused(format!("not an answer of Cuegate: {error}")))?;
        for letter in &page.dead_letters {
            output::line(letter.get())?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn ask(which: &Which, method: Method, after: Option<u64>) -> Result<String, Error> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, number) in [("id", which.id), ("after", after)] {
        if let Some(number) = number {
            query.append_pair(name, &number.to_string());
        }
    }
    for (name, text) in [("channel", &which.channel), ("reason", &which.reason)] {
        if let Some(text) = text {
            query.append_pair(name, text);
        }
    }
    let path = format!("/admin/dead-letters?{}", query.finish());
    let client = which.proof.client(&which.admin_url)?;
    Ok(client.call(method, &path, None).await?)
}
