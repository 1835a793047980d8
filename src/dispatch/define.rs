//! Channels made, changed and removed by API. A change takes effect as a reload's does, and is kept by the
//! channel's own record in the journal.

use std::sync::Arc;

use super::channel::Channel;
use super::commits::Commits;
use super::definitions::{Conflict, Definitions, ListedBy};
use super::gateway::Gateway;
use super::unavailable::Unavailable;
use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Misdefined, Settings, define};
use crate::journal::Definition;
use crate::refusal::{Code, Refusal};

/// What came of making a channel.
pub struct Defining {
    /// The channel.
    pub channel: Arc<Channel>,
    /// What was done.
    pub outcome: Outcome,
    /// Channels that were known have other names now: whoever may use them by a name is asked again.
    pub renames: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Made,
    /// It was there, and is something else now.
    Changed,
    /// It was there already, just so.
    Same,
}

/// Why a channel was not made, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDefined {
    /// There is no journal to keep it.
    NoJournal,
    /// The configuration file has this alias.
    InFile,
    /// Its ARN belongs to the channel of this alias.
    ArnTaken {
        /// The other channel.
        alias: Arc<str>,
        /// It is of the configuration file.
        in_file: bool,
    },
    /// Another channel has this alias, whose account another node has.
    AtAnotherNode,
    /// What is asked for has faults.
    Misdefined(Misdefined),
    /// No channel of this alias was made by API.
    Unknown,
    /// So many events wait in it.
    Waiting(usize),
    /// The process cannot take it.
    Unavailable(Unavailable),
}

impl From<Conflict> for NotDefined {
    fn from(conflict: Conflict) -> Self {
        let (alias, in_file) = match conflict {
            Conflict::AliasInFile => return Self::InFile,
            Conflict::ArnInFile(alias) => (alias, true),
            Conflict::ArnTaken(alias) => (alias, false),
        };
        Self::ArnTaken { alias, in_file }
    }
}

impl From<Unavailable> for NotDefined {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl From<NotDefined> for Refusal {
    fn from(why: NotDefined) -> Self {
        let (code, detail) = match why {
            NotDefined::NoJournal => (
                Code::NoJournal,
                "channels made by API are kept in the journal, and journal.mode is \"off\": set it to \"os\", or list the channel in the configuration file".into(),
            ),
            NotDefined::InFile => (
                Code::ChannelConflict,
                "the channel is listed in the configuration file, which wins: change or remove it there, and reload".into(),
            ),
            NotDefined::ArnTaken { alias, in_file } => {
                let place = if in_file { "the configuration file" } else { "the API" };
                let detail = format!("the ARN is that of channel {alias}, made by {place}: a channel has one alias");
                (Code::ChannelConflict, detail)
            }
            NotDefined::AtAnotherNode => (
                Code::ChannelConflict,
                "the alias is that of a channel of another account, which another node has: remove that one first".into(),
            ),
            NotDefined::Misdefined(Misdefined::Malformed(what)) => (Code::Malformed, what),
            NotDefined::Misdefined(Misdefined::Faults(faults)) => (Code::InvalidChannel, faults.join("; ")),
            NotDefined::Unknown => (
                Code::UnknownChannel,
                "no channel of this alias was made by API".into(),
            ),
            NotDefined::Waiting(events) => (
                Code::EventsWait,
                format!("{events} events wait in the channel: let them leave, purge them, or remove it with ?force=true, and they still leave"),
            ),
            NotDefined::Unavailable(why) => return why.into(),
        };
        Self::new(code, detail)
    }
}

impl Gateway {
    /// Makes a channel of this alias by a JSON object of its settings, or changes it. When this returns, that
    /// is as durable as an accepted event.
    ///
    /// # Errors
    /// [`NotDefined`]. After [`Unavailable::JournalFails`] it is in force, and not promised.
    pub async fn define(&self, alias: &str, json: &str) -> Result<Defining, NotDefined> {
        let (defining, commits) = {
            let mut definitions = self.definitions.lock().await;
            self.define_now(&mut definitions, alias, json)?
        };
        self.durable(commits).await?;
        Ok(defining)
    }

    fn define_now(
        &self,
        definitions: &mut Definitions,
        alias: &str,
        json: &str,
    ) -> Result<(Defining, Commits), NotDefined> {
        if self.shared.homes.keep_nothing() {
            return Err(NotDefined::NoJournal);
        }
        let settings = self.settings();
        definitions.check_alias(alias)?;
        let (wanted, text) = define(alias, json, &settings).map_err(NotDefined::Misdefined)?;
        let home = (self.shared.homes).of(wanted.arn.account(), wanted.arn.region());
        if home.is_none() {
            // Some node must take it.
            let (account, region) = (wanted.arn.account(), wanted.arn.region());
            let known = (self.registry).account(&self.shared, &settings, account, region);
            known.map_err(|full| Unavailable::Overloaded(full.0))?;
        }
        home.ok_or(Unavailable::Elsewhere)?.check_room()?;
        definitions.check(alias, &wanted.arn)?;
        let before = definitions.made(alias).map(|(arn, _)| arn);
        if before.is_some_and(|arn| self.is_at_another_node(arn)) {
            return Err(NotDefined::AtAnotherNode);
        }
        let is_same = |known: &Definition| *known.settings == *text;
        let known = definitions.made(alias);
        let outcome = match known {
            None => Outcome::Made,
            Some((_, known)) if is_same(known) => Outcome::Same,
            Some(_) => Outcome::Changed,
        };
        if outcome == Outcome::Same
            && let Some(channel) = self.in_force(alias, &wanted)
        {
            // Whoever said it first may still wait for its commit.
            let ((), commits) = channel.change(&self.shared, |_| ())?;
            return Ok((Defining::new(channel, outcome, false), commits));
        }
        let is_known = self.registry.by_arn(&wanted.arn).is_some();
        let channel = self.open_made(&settings, &wanted)?;
        let definition = Arc::new(definitions.draft(alias, text));
        let listing = definitions.listing(&definition.alias, &settings);
        let payload_max = channel.account.payload_max();
        let ((), commits) = channel.change(&self.shared, |state| {
            state
                .queue
                .set_policy(Arc::clone(&wanted.policy), payload_max);
            state.definition.set(Some(Arc::clone(&definition)));
        })?;
        self.registry.list(&self.shared, listing, &channel);
        let moved = definitions.put(wanted.arn, definition);
        let left = moved.as_ref().and_then(|arn| self.registry.by_arn(arn));
        // Only now: after a crash in between, both have it, and the later counts.
        let commits = match left {
            Some(left) => commits.and(self.let_go(&settings, &left)?),
            None => commits,
        };
        let renames = is_known || moved.is_some();
        Ok((Defining::new(channel, outcome, renames), commits))
    }

    fn is_at_another_node(&self, arn: &ChannelArn) -> bool {
        self.shared.homes.of(arn.account(), arn.region()).is_none()
    }

    /// The channel of that alias, if it has that ARN and was made by API.
    fn in_force(&self, alias: &str, wanted: &ChannelSettings) -> Option<Arc<Channel>> {
        let channel = self.registry.by_alias(alias)?;
        let by_api = channel.listed_by() == Some(ListedBy::Api);
        (by_api && channel.arn == wanted.arn).then_some(channel)
    }

    /// The channel, known to all that must know it before its first event is sent.
    fn open_made(
        &self,
        settings: &Settings,
        wanted: &ChannelSettings,
    ) -> Result<Arc<Channel>, Unavailable> {
        for failed in self.make_known(std::slice::from_ref(wanted)) {
            tracing::error!("{failed}");
        }
        let (arn, policy) = (&wanted.arn, &wanted.policy);
        let opened = self
            .registry
            .open(&self.shared, settings, arn, policy, None);
        opened.map_err(|full| Unavailable::Overloaded(full.0))
    }

    /// Removes a channel that was made by API. Events wait only with `force`: they leave as those of a channel
    /// that a reload removes. When this returns, it is as durable as an accepted event.
    ///
    /// # Errors
    /// [`NotDefined`]. After [`Unavailable::JournalFails`] it is gone, and that is not promised.
    pub async fn remove(&self, alias: &str, force: bool) -> Result<(), NotDefined> {
        let commits = {
            let mut definitions = self.definitions.lock().await;
            self.remove_now(&mut definitions, alias, force)?
        };
        Ok(self.durable(commits).await?)
    }

    fn remove_now(
        &self,
        definitions: &mut Definitions,
        alias: &str,
        force: bool,
    ) -> Result<Commits, NotDefined> {
        definitions.check_alias(alias)?;
        let Some((arn, _)) = definitions.made(alias) else {
            return Err(if self.may_be_elsewhere() {
                Unavailable::Elsewhere.into()
            } else {
                NotDefined::Unknown
            });
        };
        // None: it could not be opened.
        let Some(channel) = self.registry.by_arn(arn) else {
            return Err(Unavailable::Overloaded("256 accounts and regions").into());
        };
        let is_in_force = !definitions.is_shadowed(alias);
        let (waiting, _) = channel.change(&self.shared, |state| match state.queue.len() {
            events if events > 0 && is_in_force && !force => events,
            _ => {
                state.definition.set(None);
                0
            }
        })?;
        if waiting > 0 {
            return Err(NotDefined::Waiting(waiting));
        }
        definitions.remove(alias);
        let settings = self.settings();
        Ok(if is_in_force {
            self.registry.unlist(alias);
            self.let_go(&settings, &channel)?
        } else {
            channel.change(&self.shared, |_| ())?.1
        })
    }

    /// A channel is no longer defined by API: it is an unlisted one, as after a reload that removes it.
    fn let_go(&self, settings: &Settings, channel: &Arc<Channel>) -> Result<Commits, Unavailable> {
        let payload_max = channel.account.payload_max();
        let ((), commits) = channel.change(&self.shared, |state| {
            let policy = Arc::clone(&settings.channel_defaults);
            state.queue.set_policy(policy, payload_max);
            state.definition.set(None);
        })?;
        channel.set_listing(&self.shared, None);
        Ok(commits)
    }
}

impl Defining {
    const fn new(channel: Arc<Channel>, outcome: Outcome, renames: bool) -> Self {
        Self {
            channel,
            outcome,
            renames,
        }
    }
}
