//! `cuegate pause|resume|purge|cancel`: what acts on a channel rather than publishing to it.

use cuegate_client::Purge as Which;

use super::{Error, Target, nonempty, output};

/// Channels to pause or to resume.
#[derive(clap::Args, Debug)]
pub struct Channels {
    /// The channels: their aliases or ARNs.
    #[arg(required = true, value_name = "CHANNEL", value_parser = nonempty)]
    channels: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Take queued events back.
///
/// Those of a type, of a key, or of both; or all of them. Prints how many they were, as
/// {"cancelled":n}.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub struct Purge {
    /// The channel: its alias or its ARN.
    #[arg(value_parser = nonempty)]
    channel: String,
    /// Those of this type.
    #[arg(long = "type", value_name = "TYPE", group = "which", value_parser = nonempty)]
    kind: Option<String>,
    /// Those of this key.
    #[arg(long, group = "which", value_parser = nonempty)]
    key: Option<String>,
    /// Every queued event.
    #[arg(long, group = "which", conflicts_with_all = ["kind", "key"])]
    all: bool,
    #[command(flatten)]
    target: Target,
}

/// Take an event back that has not left the queue.
///
/// Fails where no event with this id is remembered, and where it was sent or merged. Its id stays
/// taken.
#[derive(clap::Args, Debug)]
pub struct Cancel {
    /// The channel: its alias or its ARN.
    #[arg(value_parser = nonempty)]
    channel: String,
    /// The event's id.
    #[arg(value_parser = nonempty)]
    id: String,
    #[command(flatten)]
    target: Target,
}

/// Pauses channels, and says so of each.
///
/// # Errors
/// A refusal, which leaves the channels behind it as they are; or no gateway.
pub async fn pause(arguments: Channels) -> Result<(), Error> {
    let client = arguments.target.client()?;
    for channel in &arguments.channels {
        client.pause(channel).await?;
        output::line(&format!("{channel}: paused"))?;
    }
    Ok(())
}

/// Resumes channels, and says so of each.
///
/// # Errors
/// As [`pause`].
pub async fn resume(arguments: Channels) -> Result<(), Error> {
    let client = arguments.target.client()?;
    for channel in &arguments.channels {
        client.resume(channel).await?;
        output::line(&format!("{channel}: resumed"))?;
    }
    Ok(())
}

/// Takes queued events back, and prints how many.
///
/// # Errors
/// A refusal, or no gateway.
pub async fn purge(arguments: Purge) -> Result<(), Error> {
    let which = match (arguments.kind.as_deref(), arguments.key.as_deref()) {
        (Some(kind), Some(key)) => Which::KindAndKey(kind, key),
        (Some(kind), None) => Which::Kind(kind),
        (None, Some(key)) => Which::Key(key),
        (None, None) if arguments.all => Which::All,
        (None, None) => {
            return Err(Error::Usage("--type, --key or --all is needed".to_owned()));
        }
    };
    let client = arguments.target.client()?;
    let cancelled = client.purge(&arguments.channel, which).await?;
    Ok(output::line(&format!(r#"{{"cancelled":{cancelled}}}"#))?)
}

/// Takes an event back, and says so.
///
/// # Errors
/// `unknown_event`, `already_sent`, another refusal, or no gateway.
pub async fn cancel(arguments: Cancel) -> Result<(), Error> {
    let client = arguments.target.client()?;
    client.cancel(&arguments.channel, &arguments.id).await?;
    Ok(output::line(&format!("{}: cancelled", arguments.id))?)
}
