//! `cuegate key new`: a fresh API key, shown once, and the lines of the configuration for it.

use super::{Error, output};
use crate::access::{hash, hex};
use crate::config::Scope;

/// Bytes of randomness in a key: as many as its hash has.
const KEY_BYTES: usize = 32;

/// What a key begins with, so that whoever finds one knows what it opens.
const PREFIX: &str = "cuegate_";

/// API keys.
#[derive(clap::Subcommand, Debug)]
pub enum Key {
    /// Make a key: print it, and the lines for the configuration.
    ///
    /// The key is shown once and kept nowhere; the lines hold its hash, and may be read by anyone.
    New(New),
}

/// What the key is for.
#[derive(clap::Args, Debug)]
pub struct New {
    /// What logs call its owner.
    #[arg(long, default_value = "my-backend")]
    name: String,
    /// Channels it may use: aliases, or patterns as show-*; again or with commas for more.
    #[arg(long, value_delimiter = ',', default_value = "*", value_name = "NAME")]
    channel: Vec<String>,
    /// What it may do: publish, read, control, admin; again or with commas for more.
    #[arg(long, value_delimiter = ',', default_value = "publish")]
    scope: Vec<String>,
}

/// Prints a key, and its lines.
///
/// # Errors
/// An unknown scope; a system without randomness.
pub fn run(command: &Key) -> Result<(), Error> {
    let Key::New(new) = command;
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::Refused(error.to_string()))?;
    let key = format!("{PREFIX}{}", hex(&bytes));
    let lines = lines(new, &key)?;
    output::lines(&format!(
        "The key, shown this once; it goes to the producer:\n\n  {key}\n\n\
         For the configuration, where the hash says nothing of the key:\n\n{lines}\n"
    ))?;
    Ok(())
}

fn lines(new: &New, key: &str) -> Result<String, Error> {
    for scope in &new.scope {
        if !Scope::ALL.iter().any(|known| known.name() == scope) {
            let known = Scope::ALL.map(Scope::name).join(", ");
            return Err(Error::Usage(format!("{scope:?} is no scope: {known}")));
        }
    }
    let list = |words: &[String]| {
        let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        quoted.join(", ")
    };
    let text = format!(
        "[[api_key]]\nname = {:?}\nsha256 = \"{}\"\nchannels = [{}]\nscopes = [{}]\n",
        new.name,
        hex(&hash(key)),
        list(&new.channel),
        list(&new.scope),
    );
    let none: [(String, String); 0] = [];
    let checked = crate::config::parse(
        Some(("these lines", &format!("upstream.mode = \"local\"\n{text}"))),
        none,
    );
    checked.map_err(|errors| Error::Usage(errors.to_string()))?;
    Ok(text)
}
