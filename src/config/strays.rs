//! Variables that look like the configuration's and are not: `CUEGATE_QUOTA_ACCOUNT_TPS` with one
//! underscore where two belong. They are told of, and no fault: other programs set variables too.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use toml::de::DeTable;

use super::reader::{PREFIX, Reader};
use super::resolve;
use super::settings::Settings;

/// How the variables of the product begin that are not the configuration's.
const NEAR_PREFIX: &str = "CUEGATE_";

/// Those of the commands, where one begins as a section does.
const OF_COMMANDS: [&str; 1] = ["CUEGATE_ADMIN_URL"];

/// A line for each variable that has no effect and was probably meant to have one. What the settings
/// take a secret from is not among them.
pub fn strays<K: Into<OsString>, V>(
    env: impl IntoIterator<Item = (K, V)>,
    settings: &Settings,
) -> Vec<String> {
    let known = variables();
    let names = env
        .into_iter()
        .filter_map(|(name, _)| name.into().into_string().ok());
    let mut lines: Vec<_> = names
        .filter(|name| !is_anothers(name) && !is_secret(name, settings))
        .filter_map(|name| Some((meant(&name, &known)?, name)))
        .map(|(meant, name)| {
            format!("{name} changes nothing: the variables of the configuration have two underscores, {meant}")
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// Every variable that sets something.
fn variables() -> BTreeSet<String> {
    let (root, env) = (DeTable::new(), BTreeMap::new());
    let mut reader = Reader::new(None, "", &root, &env);
    resolve::settings(&mut reader);
    reader.into_variables()
}

/// Set by Kubernetes for each service of the namespace, as for one named `cuegate-metrics`; or read
/// by a command.
fn is_anothers(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
        || OF_COMMANDS.contains(&name)
}

fn is_secret(name: &str, settings: &Settings) -> bool {
    let keys = settings.api_keys.iter();
    let keys = keys.filter_map(|key| key.aws_secret_env.as_deref());
    let webhooks = settings.webhooks.iter();
    let webhooks = webhooks.filter_map(|webhook| webhook.secret_env.as_deref());
    let mut secrets = keys.chain(webhooks);
    secrets.any(|secret| secret == name)
}

/// The variable that was meant, if the name begins as one of a section does.
fn meant(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let rest = name.strip_prefix(NEAR_PREFIX)?;
    if name.starts_with(PREFIX) {
        // One that is not known is a fault.
        return None;
    }
    let sections = known.iter().filter_map(|variable| {
        let (section, _) = variable.strip_prefix(PREFIX)?.split_once("__")?;
        Some(section)
    });
    // The longest: CHANNEL_DEFAULTS before CHANNEL.
    let section = sections
        .filter(|section| key_of(rest, section).is_some())
        .max_by_key(|section| section.len())?;
    let variable = format!("{PREFIX}{section}__{}", key_of(rest, section)?);
    Some(if known.contains(&variable) {
        variable
    } else {
        format!("{PREFIX}{section}__KEY")
    })
}

/// What follows the name of a section and its underscores.
fn key_of<'a>(rest: &'a str, section: &str) -> Option<&'a str> {
    let key = rest.strip_prefix(section)?.strip_prefix('_')?;
    Some(key.trim_start_matches('_')).filter(|key| !key.is_empty())
}
