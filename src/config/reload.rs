//! What a reload changes, what it cannot change, and the settings that are then in force.

use std::collections::HashMap;

use super::catalog::PLAIN;
use super::keys::ACCOUNT;
use super::setting::Effect;
use super::settings::Settings;
use super::tables::AccountSettings;

/// What a changed file comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// The settings that are in force from now on: the new ones, without what needs a restart.
    pub in_force: Settings,
    /// What differs, a line each.
    pub changes: Vec<String>,
    /// The keys that differ and take effect only after a restart, by name.
    pub needs_restart: Vec<String>,
}

/// Compares what is in force with a changed file.
#[must_use]
pub fn reload(old: &Settings, mut new: Settings) -> Reload {
    let mut changes = lists(old, &new);
    let mut needs_restart = Vec::new();
    for part in PLAIN {
        for change in part.changed(old, &new) {
            let key = format!("{}.{}", part.section(), change.key);
            changes.push(format!("{key}: {} -> {}", change.old, change.new));
            if change.needs_restart() {
                needs_restart.push(key);
            }
        }
    }
    needs_restart.extend(clients(old, &new));
    for part in PLAIN {
        part.keep(old, &mut new);
    }
    for account in &mut new.accounts {
        account.policy.abandon = new.account_defaults.abandon;
    }
    Reload {
        in_force: new,
        changes,
        needs_restart,
    }
}

fn lists(old: &Settings, new: &Settings) -> Vec<String> {
    let channels = tables("channel", &old.channels, &new.channels, |channel| {
        channel.name.to_string()
    });
    let accounts = tables("account", &old.accounts, &new.accounts, |account| {
        format!("{} {}", account.id, account.region)
    });
    let keys = tables("api_key", &old.api_keys, &new.api_keys, |key| {
        key.name.clone()
    });
    let webhooks = tables("webhook", &old.webhooks, &new.webhooks, |webhook| {
        webhook.name.clone()
    });
    [channels, accounts, keys, webhooks].concat()
}

/// Tables of a list that come, go or say something else.
fn tables<T: PartialEq>(
    list: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> String,
) -> Vec<String> {
    let by_name = |tables: &'_ [T]| -> HashMap<String, usize> {
        let tables = tables.iter().enumerate();
        tables.map(|(index, table)| (name(table), index)).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let mut lines = Vec::new();
    for table in new {
        let name = name(table);
        match before.get(&name) {
            None => lines.push(format!("{list} {name} added")),
            Some(index) if old[*index] != *table => lines.push(format!("{list} {name} changed")),
            Some(_) => {}
        }
    }
    let names = old.iter().map(&name);
    let gone = names.filter(|name| !after.contains_key(name));
    lines.extend(gone.map(|name| format!("{list} {name} removed")));
    lines
}

/// The keys by which an account gets a client of its own, where they differ. Its rates can change
/// at any time.
fn clients(old: &Settings, new: &Settings) -> Vec<String> {
    let with_rules_of =
        |account: &AccountSettings, policy: &engine::AccountPolicy| AccountSettings {
            id: account.id.clone(),
            region: account.region.clone(),
            ..AccountSettings::new(policy.clone())
        };
    let find = |settings: &Settings, of: &AccountSettings| {
        let mut accounts = settings.accounts.iter();
        let found = accounts.find(|it| (&it.id, &it.region) == (&of.id, &of.region));
        found
            .cloned()
            .unwrap_or_else(|| with_rules_of(of, &of.policy))
    };
    let all = old.accounts.iter().chain(&new.accounts);
    let pairs: Vec<_> = all
        .map(|account| (find(old, account), find(new, account)))
        .collect();
    let restart = ACCOUNT.iter().filter(|it| it.effect() == Effect::Restart);
    restart
        .filter(|setting| pairs.iter().any(|(old, new)| setting.differs(old, new)))
        .map(|setting| format!("account.{}", setting.key()))
        .collect()
}
