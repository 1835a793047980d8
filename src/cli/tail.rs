//! `cuegate tail`: a channel's payloads as they are delivered, one a line. Those that were compressed are
//! printed plain, those in slices with the last one.

use cuegate_client::Update;

use super::{Error, Target, output};

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
    let client = arguments.target.client()?;
    let mut payloads = client.payloads(&arguments.channel, None).await?;
    let mut reader = engine::Reader::default();
    loop {
        match payloads.next().await? {
            Update::Payload { text, .. } => {
                if let Some(plain) = reader.read(&text) {
                    output::line(&plain)?;
                }
            }
            Update::Notice { name, data } => output::error(&format!("{name}: {data}")),
            // Of a gateway that is newer than this program.
            _ => {}
        }
    }
}
