//! What keeps a gateway from sending, found before a show does: whose credentials sign, what may be
//! read, the clock, the network, the disk, descriptors, certificates. Each finding says what to do.
//!
//! It reads and changes nothing, here and at AWS. The command never calls `PutMetadata`: beside a running
//! gateway its calls would break the limit. What that gateway's own calls came to is shown instead. A
//! gateway that starts has the tokens, and calls it once for each account.
//!
//! - [`account`]: what answers of the API say of an account. Pure.
//! - [`gateway`]: a gateway that runs by the same configuration.
//! - [`machine`]: what this machine gives the process.

pub mod account;
pub mod gateway;
pub mod machine;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;

use crate::config::Settings;
use crate::upstream::Upstream;

/// Accounts and regions that are looked at; what is beyond is counted.
pub const ACCOUNTS_MAX: usize = 100;

/// Of them at the same time.
const AT_ONCE: usize = 8;

/// How long one may take: the chain of credentials asks an instance's metadata for seconds, and
/// 1000 channels are looked for in 10 s.
const ACCOUNT_PATIENCE: Duration = Duration::from_mins(1);

/// Whether anything is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is as it should be.
    Ok,
    /// Good to know; it works as it is.
    Note,
    /// Something is to be done.
    Action,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: `credentials`, `permissions`, `network`, `clock`, …
    pub check: &'static str,
    /// Whether anything is to be done.
    pub level: Level,
    /// Which one: an account and region, a directory, an address.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, about: &str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            about: about.to_owned(),
            found: found.into(),
            advice: None,
        }
    }

    fn note(check: &'static str, about: &str, found: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::ok(check, about, found)
        }
    }

    fn action(check: &'static str, about: &str, found: impl Into<String>) -> Self {
        Self {
            level: Level::Action,
            ..Self::ok(check, about, found)
        }
    }

    fn advise(mut self, what: impl Into<String>) -> Self {
        self.advice = Some(what.into());
        self
    }
}

/// Looks at every account of the settings, in aws mode, by reads of the API alone.
pub async fn accounts(upstream: &Upstream, settings: &Settings) -> Vec<Finding> {
    let accounts = channels_by_account(settings);
    let more = accounts.len().saturating_sub(ACCOUNTS_MAX);
    let looks = accounts.into_iter().take(ACCOUNTS_MAX);
    let looks = looks.map(|((account, region), channels)| async move {
        let examined = upstream.examine(&account, &region, &channels);
        let examined = tokio::time::timeout(ACCOUNT_PATIENCE, examined).await;
        examined.map_or_else(
            |_| vec![account::no_end(&account, &region, ACCOUNT_PATIENCE)],
            |examined| account::judge(&account, &region, channels.len(), &examined),
        )
    });
    let found: Vec<_> = futures_util::stream::iter(looks)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut found = found.concat();
    if more > 0 {
        let text = format!("{more} more accounts and regions were not looked at");
        found.push(Finding::note("credentials", "other accounts", text));
    }
    found
}

/// In place of all of it, in local mode.
#[must_use]
pub fn local() -> Finding {
    let text = "upstream.mode is \"local\": the emulator in the process; AWS is not asked anything";
    Finding::note("credentials", "local mode", text)
}

/// The ARNs of the listed channels by account and region; none of an account that only has a table.
#[must_use]
pub fn channels_by_account(settings: &Settings) -> BTreeMap<(String, String), Vec<String>> {
    let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for own in &settings.accounts {
        accounts
            .entry((own.id.clone(), own.region.clone()))
            .or_default();
    }
    for channel in &settings.channels {
        let arn = &channel.arn;
        accounts
            .entry((arn.account().to_owned(), arn.region().to_owned()))
            .or_default()
            .push(arn.as_str().to_owned());
    }
    accounts
}
