//! Channels made by API whose accounts other nodes have: every node tells those of its own accounts, and knows all.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::gateway::Gateway;
use super::home::{AccountKey, key};
use crate::arn::ChannelArn;
use crate::journal::Definition;

/// The channels made by API of a node's accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Another one once anything of it has changed.
    pub revision: u64,
    /// The accounts.
    pub accounts: Vec<AccountKey>,
    channels: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    arn: String,
    alias: String,
    number: u64,
    revision: u64,
    settings: String,
}

impl Named {
    fn of(arn: &ChannelArn, definition: &Definition) -> Self {
        Self {
            arn: arn.to_string(),
            alias: definition.alias.to_string(),
            number: definition.number,
            revision: definition.revision,
            settings: definition.settings.to_string(),
        }
    }

    /// None: it is of a program that has other ARNs.
    fn told(self) -> Option<(ChannelArn, Arc<Definition>)> {
        let definition = Definition {
            alias: self.alias.into(),
            number: self.number,
            revision: self.revision,
            settings: self.settings.into(),
        };
        Some((self.arn.parse().ok()?, Arc::new(definition)))
    }
}

impl Gateway {
    /// The channels made by API of the accounts that are here; none: they are as at that revision.
    pub async fn names(&self, known: Option<u64>) -> Option<Names> {
        let definitions = self.definitions.lock().await;
        let revision = definitions.revision();
        if known == Some(revision) {
            return None;
        }
        let accounts = self.shared.homes.accounts();
        let channels = definitions.all().filter(|(arn, _)| self.has(&key(arn)));
        Some(Names {
            revision,
            channels: channels.map(|(arn, it)| Named::of(arn, it)).collect(),
            accounts,
        })
    }

    /// Another node told what it has. Those of accounts that are here meanwhile do not count. True: a channel has
    /// another name now.
    pub async fn hear(&self, names: Names) -> bool {
        let mut definitions = self.definitions.lock().await;
        let accounts = names.accounts.into_iter();
        let accounts: HashSet<AccountKey> = accounts.filter(|account| !self.has(account)).collect();
        let told = names.channels.into_iter().filter_map(Named::told);
        let changed = definitions.hear(|arn| accounts.contains(&key(arn)), told.collect());
        if changed {
            for failed in self.put_in_force(&mut definitions, self.settings()) {
                tracing::error!("{failed}");
            }
        }
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        heard.extend(accounts);
        changed
    }

    /// Whether a name that is not known may be that of a channel which another node has and nobody told of yet.
    pub(super) fn may_be_elsewhere(&self) -> bool {
        if !self.shared.homes.are_shared() {
            return false;
        }
        let heard = self.heard.read().unwrap_or_else(PoisonError::into_inner);
        let accounts = self.known_accounts().into_iter();
        accounts
            .filter(|account| !self.has(account))
            .any(|account| !heard.contains(&account))
    }
}
