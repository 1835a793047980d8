//! A channel that is made by API: JSON in, and out what a `[[channel]]` table of the file would be, with the
//! same checks and the same faults.
//!
//! The JSON becomes the table that says the same, and is read as that: no rule is stated twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use toml::de::DeTable;

use super::lists;
use super::reader::Reader;
use super::settings::Settings;
use super::tables::ChannelSettings;
use crate::arn::ChannelArn;

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misdefined {
    /// It is not a JSON object, or has a member twice.
    Malformed(String),
    /// Its settings have these faults.
    Faults(Vec<String>),
}

/// A channel of this name by a JSON object of its settings, over the defaults of `settings`. Also: the
/// object, written so that equal ones are equal texts.
///
/// # Errors
/// [`Misdefined`]: every fault at once.
pub fn define(
    name: &str,
    json: &str,
    settings: &Settings,
) -> Result<(ChannelSettings, String), Misdefined> {
    let Members(members) =
        serde_json::from_str(json).map_err(|error| Misdefined::Malformed(error.to_string()))?;
    if let Some(channel) = plain(name, &members, settings) {
        return Ok((channel, normal(members)));
    }
    let mut faults = Vec::new();
    let text = table(name, &members, &mut faults);
    let (root, syntax) = DeTable::parse_recoverable(&text);
    // None is expected: it was written here.
    faults.extend(syntax.iter().map(|error| error.message().to_owned()));
    let env = BTreeMap::new();
    let mut reader = Reader::new(Some("the definition"), &text, root.get_ref(), &env);
    let journal = settings.journal.mode;
    let channel = lists::channels(&mut reader, &settings.channel_defaults, journal).pop();
    faults.extend(reader.finish().into_iter().map(|error| error.what));
    match channel {
        Some(channel) if faults.is_empty() => Ok((channel, normal(members))),
        _ => Err(Misdefined::Faults(faults)),
    }
}

/// The channel if it has nothing but an ARN, as most have: a start may have 100,000 of them to read.
fn plain(
    name: &str,
    members: &BTreeMap<String, Value>,
    settings: &Settings,
) -> Option<ChannelSettings> {
    let name = super::values::alias(name).ok()?;
    let arn = members.get("arn").filter(|_| members.len() == 1)?;
    let arn: ChannelArn = arn.as_str()?.parse().ok()?;
    Some(ChannelSettings {
        name: name.into(),
        arn,
        playback_url: None,
        policy: Arc::clone(&settings.channel_defaults),
    })
}

fn normal(members: BTreeMap<String, Value>) -> String {
    Value::Object(members.into_iter().collect()).to_string()
}

/// The table of the file that says the same.
fn table(name: &str, members: &BTreeMap<String, Value>, faults: &mut Vec<String>) -> String {
    let mut text = "[[channel]]\nname = ".to_owned();
    push_string(&mut text, name);
    for (key, value) in members {
        if key == "name" {
            faults.push("channel.name: it is in the path: leave it out".to_owned());
        } else if value.is_null() {
            faults.push(format!(
                "channel.{key}: null is no value: leave the key out"
            ));
        } else {
            text.push('\n');
            push_string(&mut text, key);
            text.push_str(" = ");
            push(&mut text, value);
        }
    }
    text
}

/// A value as TOML has it. A null within it becomes a table, which no setting takes.
fn push(text: &mut String, value: &Value) {
    match value {
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(text, "{value}");
        }
        Value::String(string) => push_string(text, string),
        Value::Array(values) => {
            text.push('[');
            for value in values {
                push(text, value);
                text.push(',');
            }
            text.push(']');
        }
        // What is in it does not matter: no setting is a table.
        Value::Null | Value::Object(_) => text.push_str("{}"),
    }
}

/// A string of JSON is one of TOML, but for the one control character that JSON leaves as it is.
fn push_string(text: &mut String, string: &str) {
    let quoted = Value::from(string).to_string();
    text.push_str(&quoted.replace('\u{7f}', "\\u007F"));
}

/// The members of an object, none twice.
struct Members(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadMembers)
    }
}

struct ReadMembers;

impl<'de> Visitor<'de> for ReadMembers {
    type Value = Members;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with the channel's settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if members.contains_key(&key) {
                let what = format!("{key}: the same key twice");
                return Err(serde::de::Error::custom(what));
            }
            members.insert(key, value);
        }
        Ok(Members(members))
    }
}
