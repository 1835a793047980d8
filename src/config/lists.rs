//! The lists of tables: `[[channel]]`, `[[account]]`, `[[api_key]]` and `[[webhook]]`, none twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use engine::{AccountPolicy, ChannelPolicy, Compress, Envelope};

use super::catalog::read;
use super::keys::{ACCOUNT, API_KEY, CHANNEL_POLICY, ChannelTable, RATES, WEBHOOK};
use super::reader::{Reader, Table};
use super::tables::{AccountSettings, ApiKeySettings, ChannelSettings, WebhookSettings};
use super::types::JournalMode;

/// `[[channel]]`: no name and no ARN twice, the rules over `defaults`.
pub(super) fn channels(
    reader: &mut Reader<'_>,
    defaults: &Arc<ChannelPolicy>,
    journal: JournalMode,
) -> Vec<ChannelSettings> {
    let mut names = HashMap::new();
    let mut arns = HashMap::new();
    reader.tables("channel", |t| {
        let mut channel = ChannelTable::default();
        let mut policy = (**defaults).clone();
        read(ChannelTable::KEYS, &mut channel, t);
        read(CHANNEL_POLICY, &mut policy, t);
        for (key, what) in policy_faults(&policy, journal) {
            // What the defaults say is told once, there.
            if !policy_faults(defaults, journal).contains(&(key, what)) {
                t.error(key, what);
            }
        }
        let ChannelTable {
            name,
            arn,
            playback_url,
        } = channel;
        once(t, &mut names, "name", name.clone());
        once(t, &mut arns, "arn", arn.clone());
        // Most channels have no keys of their own: one policy for all of those.
        let policy = if policy == **defaults {
            Arc::clone(defaults)
        } else {
            Arc::new(policy)
        };
        Some(ChannelSettings {
            name: name?.into(),
            arn: arn?,
            playback_url: playback_url.map(Into::into),
            policy,
        })
    })
}

/// What of a channel's rules does not go together: the setting to change, and why.
pub(super) fn policy_faults(
    policy: &ChannelPolicy,
    journal: JournalMode,
) -> Vec<(&'static str, &'static str)> {
    let is_cue = policy.envelope == Envelope::Cue;
    let keeps = policy.keyframes.on;
    let faults = [
        (
            policy.compress == Compress::Deflate && !is_cue,
            "compress",
            "\"deflate\" works only with envelope = \"cue\": change one or the other",
        ),
        (
            policy.event_max_bytes > 0 && policy.compress != Compress::Deflate,
            "event_max_bytes",
            "works only with compress = \"deflate\", because slices are of compressed payloads: set it, or leave this at 0",
        ),
        (
            keeps && !is_cue,
            "keyframes",
            "true works only with envelope = \"cue\": change one or the other",
        ),
        (
            keeps && journal == JournalMode::Off,
            "keyframes",
            "true needs a journal, because players take no number of a payload twice: set journal.mode to \"os\"",
        ),
        (
            policy.keyframes.http && !keeps,
            "state_http",
            "true works only with keyframes = true: change one or the other",
        ),
    ];
    let there = faults.into_iter().filter(|(is_fault, ..)| *is_fault);
    there.map(|(_, key, what)| (key, what)).collect()
}

/// `[[account]]`: one for each id and region, the rates over `defaults`.
pub(super) fn accounts(reader: &mut Reader<'_>, defaults: &AccountPolicy) -> Vec<AccountSettings> {
    let mut seen = HashMap::new();
    reader.tables("account", |t| {
        let mut account = AccountSettings::new(defaults.clone());
        read(ACCOUNT, &mut account, t);
        read(RATES, &mut account.policy, t);
        if account.external_id.is_some() && account.role_arn.is_none() {
            t.error("external_id", "only of use with role_arn");
        }
        if account.id.is_empty() || account.region.is_empty() {
            return None;
        }
        let place = format!("{} in {}", account.id, account.region);
        once(t, &mut seen, "id", Some(place));
        Some(account)
    })
}

/// `[[api_key]]`: each its own name and proof; a certificate is proof where clients show one.
pub(super) fn api_keys(reader: &mut Reader<'_>, client_certificates: bool) -> Vec<ApiKeySettings> {
    let mut seen = Seen::default();
    reader.tables("api_key", |t| {
        let mut key = ApiKeySettings::default();
        read(API_KEY, &mut key, t);
        check_proof(t, &key, client_certificates);
        check_bursts(t, &key);
        seen.check(t, &key);
        (!key.name.is_empty()).then_some(key)
    })
}

/// `[[webhook]]`: each its own name and one secret.
pub(super) fn webhooks(reader: &mut Reader<'_>) -> Vec<WebhookSettings> {
    let mut names = HashMap::new();
    reader.tables("webhook", |t| {
        let mut webhook = WebhookSettings::default();
        read(WEBHOOK, &mut webhook, t);
        if webhook.secret_env.is_some() && webhook.secret_file.is_some() {
            t.error("secret_file", "there is secret_env already: leave out one");
        }
        if webhook.secret().is_none() {
            let what = "missing: the variable with the secret that signs, or secret_file";
            t.error("secret_env", what);
        }
        for (key, is_empty) in [
            ("channels", webhook.channels.is_empty()),
            ("ends", webhook.ends.is_empty()),
        ] {
            if is_empty {
                t.error(key, "empty, so that nothing is told: leave it out for all");
            }
        }
        if webhook.name.is_empty() || webhook.url.is_empty() {
            return None;
        }
        once(t, &mut names, "name", Some(&webhook.name));
        Some(webhook)
    })
}

/// How a key proves itself.
fn check_proof(t: &mut Table<'_, '_>, key: &ApiKeySettings, client_certificates: bool) {
    if key.aws_secret_env.is_some() && key.aws_secret_file.is_some() {
        let what = "there is aws_secret_env already: leave out one";
        t.error("aws_secret_file", what);
    }
    let has_secret = key.aws_secret_env.is_some() || key.aws_secret_file.is_some();
    if key.aws_access_key_id.is_some() != has_secret {
        t.error(
            "aws_access_key_id",
            "works only together with aws_secret_env or aws_secret_file: give both or neither",
        );
    }
    if key.sha256.is_none() && key.aws_access_key_id.is_none() && !client_certificates {
        t.error(
            "sha256",
            "the key proves itself by nothing: `cuegate key new` makes one",
        );
    }
}

fn check_bursts(t: &mut Table<'_, '_>, key: &ApiKeySettings) {
    let (all, channel) = (&key.rates, &key.channel_rates);
    let events =
        |rates: &super::RateSettings| (rates.events_per_second == 0, rates.events_burst == 0);
    let bytes = |rates: &super::RateSettings| (rates.bytes_per_second == 0, rates.bytes_burst == 0);
    for ((no_rate, no_burst), burst, rate) in [
        (events(all), "events_burst", "events_per_second"),
        (bytes(all), "bytes_burst", "bytes_per_second"),
        (
            events(channel),
            "channel_events_burst",
            "channel_events_per_second",
        ),
        (
            bytes(channel),
            "channel_bytes_burst",
            "channel_bytes_per_second",
        ),
    ] {
        if no_rate && !no_burst {
            t.error(burst, &format!("only of use with {rate}"));
        }
    }
}

/// What earlier keys have, each of which must be one key's alone.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    hashes: HashSet<[u8; 32]>,
    pairs: HashSet<String>,
}

impl Seen {
    fn check(&mut self, t: &mut Table<'_, '_>, key: &ApiKeySettings) {
        if !key.name.is_empty() {
            once(t, &mut self.names, "name", Some(&key.name));
        }
        let pair = key.aws_access_key_id.clone();
        if pair.is_some_and(|id| !self.pairs.insert(id)) {
            t.error("aws_access_key_id", "is another [[api_key]]'s already");
        }
        if key.sha256.is_some_and(|hash| !self.hashes.insert(hash)) {
            t.error(
                "sha256",
                "is another [[api_key]]'s already: every producer needs a key of its own",
            );
        }
    }
}

/// Reports a value that an earlier table of its kind has already.
fn once(
    t: &mut Table<'_, '_>,
    seen: &mut HashMap<String, usize>,
    key: &'static str,
    value: Option<impl ToString>,
) {
    let Some(value) = value.map(|value| value.to_string()) else {
        return;
    };
    if let Some(line) = seen.get(&value) {
        t.error(key, &format!("{value} is already in line {line}"));
    } else {
        let line = t.line();
        seen.insert(value, line);
    }
}
