//! The settings in force as operators may see them: by section and key, as in the file.
//!
//! Whether a value is shown is decided by its kind, where it is declared.

use serde_json::{Map, Value, json};

use super::catalog::{PLAIN, show};
use super::keys::{ACCOUNT, API_KEY, CHANNEL_POLICY, RATES, WEBHOOK};
use super::settings::Settings;
use super::tables::{AccountSettings, ChannelSettings};

/// The settings, without anything secret.
#[must_use]
pub fn shown(settings: &Settings) -> Value {
    let mut sections = Map::new();
    for part in PLAIN {
        let section = sections.entry(part.section()).or_insert_with(|| json!({}));
        if let Some(section) = section.as_object_mut() {
            part.show(settings, section);
        }
    }
    let channels: Vec<_> = settings.channels.iter().map(channel).collect();
    let accounts: Vec<_> = settings.accounts.iter().map(account).collect();
    let keys = settings.api_keys.iter().map(|key| show(API_KEY, key));
    sections.insert("channel".to_owned(), json!(channels));
    sections.insert("account".to_owned(), json!(accounts));
    let webhooks = settings.webhooks.iter().map(|it| show(WEBHOOK, it));
    sections.insert("webhook".to_owned(), json!(webhooks.collect::<Vec<_>>()));
    sections.insert("api_key".to_owned(), json!(keys.collect::<Vec<_>>()));
    Value::Object(sections)
}

fn channel(channel: &ChannelSettings) -> Value {
    let mut shown = show(CHANNEL_POLICY, &channel.policy);
    shown.insert("name".to_owned(), json!(channel.name));
    shown.insert("arn".to_owned(), json!(channel.arn.as_str()));
    Value::Object(shown)
}

fn account(account: &AccountSettings) -> Value {
    let mut shown = show(ACCOUNT, account);
    shown.extend(show(RATES, &account.policy));
    Value::Object(shown)
}
