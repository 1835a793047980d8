//! The lists of tables: `[[channel]]`, `[[account]]` and `[[api_key]]`, none twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use engine::{AccountPolicy, ChannelPolicy};

use super::bounds;
use super::policies::{channel_policy, rates};
use super::reader::{Reader, Table, choose};
use super::settings::{
    AccountSettings, ApiKeySettings, AwsKeySettings, ChannelSettings, RateSettings, Scope,
    SecretSource,
};
use super::values::{account_id, alias, path, region, role_arn, sha256, url, variable, word};
use crate::arn::ChannelArn;

/// `[[channel]]`: no name and no ARN twice, the rules over `defaults`.
pub(super) fn channels(
    reader: &mut Reader<'_>,
    defaults: &Arc<ChannelPolicy>,
) -> Vec<ChannelSettings> {
    let mut names = HashMap::new();
    let mut arns = HashMap::new();
    reader.tables("channel", |t| {
        let policy = channel_policy(t, defaults);
        let name = t.required("name", "the alias in paths, as name = \"quiz\"", alias);
        let arn = t.required("arn", "the ARN of the channel", |text| {
            text.parse::<ChannelArn>()
                .map_err(|error| error.to_string())
        });
        once(t, &mut names, "name", name.clone());
        once(t, &mut arns, "arn", arn.clone());
        // Most channels have no keys of their own: one policy for all of those.
        let policy = if policy == **defaults {
            defaults.clone()
        } else {
            Arc::new(policy)
        };
        Some(ChannelSettings {
            name: name?.into(),
            arn: arn?,
            policy,
        })
    })
}

/// `[[account]]`: one for each id and region, the rates over `defaults`.
pub(super) fn accounts(reader: &mut Reader<'_>, defaults: &AccountPolicy) -> Vec<AccountSettings> {
    let mut seen = HashMap::new();
    reader.tables("account", |t| {
        let id = t.required("id", "the account's 12 digits", account_id);
        let region = t.required("region", "as region = \"us-west-2\"", region);
        let role_arn = t.optional("role_arn", role_arn);
        let external_id = t.optional("external_id", word);
        if external_id.is_some() && role_arn.is_none() {
            t.error("external_id", "only of use with role_arn");
        }
        let endpoint_url = t.optional("endpoint_url", url);
        let policy = rates(t, defaults);
        let (id, region) = (id?, region?);
        once(t, &mut seen, "id", Some(format!("{id} in {region}")));
        Some(AccountSettings {
            id,
            region,
            role_arn,
            external_id,
            endpoint_url,
            policy,
        })
    })
}

/// `[[api_key]]`: each its own name and proof; a certificate is proof where clients show one.
pub(super) fn api_keys(reader: &mut Reader<'_>, client_certificates: bool) -> Vec<ApiKeySettings> {
    let mut names = HashMap::new();
    let mut hashes = HashSet::new();
    let mut pairs = HashSet::new();
    reader.tables("api_key", |t| {
        let name = t.required("name", "what logs and metrics call it", alias);
        let sha256 = t.optional("sha256", sha256);
        let access_key_id = t.optional("aws_access_key_id", word);
        let secret = aws_secret(t);
        if access_key_id.is_some() != secret.is_some() {
            t.error(
                "aws_access_key_id",
                "works only together with aws_secret_env or aws_secret_file: give both or neither",
            );
        }
        if sha256.is_none() && access_key_id.is_none() && !client_certificates {
            t.error(
                "sha256",
                "the key proves itself by nothing: `cuegate key new` makes one",
            );
        }
        once(t, &mut names, "name", name.clone());
        if access_key_id.clone().is_some_and(|id| !pairs.insert(id)) {
            t.error("aws_access_key_id", "is another [[api_key]]'s already");
        }
        if sha256.is_some_and(|hash| !hashes.insert(hash)) {
            t.error(
                "sha256",
                "is another [[api_key]]'s already: every producer needs a key of its own",
            );
        }
        let aws = access_key_id.zip(secret);
        Some(ApiKeySettings {
            sha256,
            channels: t.list("channels", Vec::new(), |text| {
                text.parse().map_err(|error| format!("{text:?} is {error}"))
            }),
            scopes: t.list("scopes", vec![Scope::Publish], |text| {
                choose(&Scope::ALL.map(|scope| (scope.name(), scope)), text)
            }),
            rates: key_rates(
                t,
                [
                    "events_per_second",
                    "events_burst",
                    "bytes_per_second",
                    "bytes_burst",
                ],
            ),
            channel_rates: key_rates(
                t,
                [
                    "channel_events_per_second",
                    "channel_events_burst",
                    "channel_bytes_per_second",
                    "channel_bytes_burst",
                ],
            ),
            max_connections: t.number("max_connections", bounds::KEY_MAX_CONNECTIONS, 0),
            queue_percent: percent(t.share("queue_share", 0.5)),
            aws: aws.map(|(access_key_id, secret)| AwsKeySettings {
                access_key_id,
                secret,
            }),
            name: name?,
        })
    })
}

/// Where the secret of a key pair is: a variable or a file.
fn aws_secret(t: &mut Table<'_, '_>) -> Option<SecretSource> {
    let variable = t.optional("aws_secret_env", variable);
    let file = t.optional("aws_secret_file", path);
    if variable.is_some() && file.is_some() {
        t.error(
            "aws_secret_file",
            "there is aws_secret_env already: leave out one",
        );
    }
    variable
        .map(SecretSource::Env)
        .or(file.map(SecretSource::File))
}

/// Rates by the names of their keys: events and their burst, bytes and theirs.
fn key_rates(t: &mut Table<'_, '_>, keys: [&'static str; 4]) -> RateSettings {
    let [events, events_burst, bytes, bytes_burst] = keys;
    let rates = RateSettings {
        events_per_second: t.number(events, bounds::KEY_EVENTS_PER_SECOND, 0),
        events_burst: t.number(events_burst, bounds::KEY_EVENTS_BURST, 0),
        bytes_per_second: t.number(bytes, bounds::KEY_BYTES_PER_SECOND, 0),
        bytes_burst: t.number(bytes_burst, bounds::KEY_BYTES_BURST, 0),
    };
    for (rate, burst, key, of) in [
        (
            u64::from(rates.events_per_second),
            u64::from(rates.events_burst),
            events_burst,
            events,
        ),
        (
            rates.bytes_per_second,
            rates.bytes_burst,
            bytes_burst,
            bytes,
        ),
    ] {
        if rate == 0 && burst != 0 {
            t.error(key, &format!("only of use with {of}"));
        }
    }
    rates
}

/// A share above 0 and at most 1 in percent, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 100"
)]
fn percent(share: f64) -> u8 {
    (share * 100.0).round().max(1.0) as u8
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
