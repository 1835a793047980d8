//! Which channels are listed, and where that is said: in the configuration file, or by API. The file wins.
//!
//! Pure: it opens no channel and writes nothing. What the API said stays on record while the file has the
//! alias or the ARN, and is in force again when the file lets go of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Misdefined, Settings, define};
use crate::journal::Definition;

/// Where it is said that a channel is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedBy {
    File,
    Api,
}

/// How a listed channel is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub alias: Arc<str>,
    pub by: ListedBy,
    /// Metrics call it by its alias, and not `_other`.
    pub labelled: bool,
}

impl Listing {
    /// Its label in metrics; none: that of all others together.
    pub fn label(&self) -> Option<&Arc<str>> {
        self.labelled.then_some(&self.alias)
    }
}

/// A listed channel.
pub(super) struct Listed {
    pub listing: Listing,
    pub channel: ChannelSettings,
    /// What the API said, if that is in force.
    pub definition: Option<Arc<Definition>>,
}

/// A listed channel that is not there: it is unknown until another reload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel {name} could not be opened: {why}")]
pub struct NotOpened {
    /// Its alias.
    pub name: Arc<str>,
    why: String,
}

impl NotOpened {
    /// Because of a bound.
    pub(super) fn full(name: &Arc<str>, bound: &str) -> Self {
        Self {
            name: Arc::clone(name),
            why: format!("the bound is reached of {bound}"),
        }
    }
}

/// Every listed channel, and what is not.
#[derive(Default)]
pub(super) struct Everything {
    /// Those of the file first, then those made by API in the order in which they were made.
    pub listed: Vec<Listed>,
    /// Those made by API that have faults under these settings.
    pub failed: Vec<NotOpened>,
    /// Those made by API that give way to the file.
    pub shadowed: Vec<Arc<str>>,
}

/// Why something may not be made or removed by API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The file has the alias.
    AliasInFile,
    /// The file has the ARN, under this alias.
    ArnInFile(Arc<str>),
    /// The ARN is that of another channel made by API, of this alias.
    ArnTaken(Arc<str>),
}

/// A channel made by API.
struct Made {
    arn: ChannelArn,
    definition: Arc<Definition>,
}

#[derive(Default)]
pub(super) struct Definitions {
    /// The file's channels, both ways.
    file: HashMap<Arc<str>, ChannelArn>,
    file_arns: HashMap<ChannelArn, Arc<str>>,
    /// Those made by API, in force or not, both ways.
    made: HashMap<Arc<str>, Made>,
    made_arns: HashMap<ChannelArn, Arc<str>>,
    /// Aliases made by API that have had a label of their own. A series stays for as long as the process
    /// lives, so one that was given is never another's.
    labelled: HashSet<Arc<str>>,
    /// The number of the next channel that is made.
    next: u64,
    /// Grows with every change.
    revision: u64,
}

impl Definitions {
    /// Takes over what the journal has. Of two channels with one alias the later counts; the answer is the
    /// ARNs of the others.
    pub fn recover(
        &mut self,
        kept: impl Iterator<Item = (ChannelArn, Arc<Definition>)>,
    ) -> HashSet<ChannelArn> {
        self.touch();
        let mut lost = HashSet::new();
        for (arn, definition) in kept {
            self.next = self.next.max(definition.number + 1);
            let known = self.made.get(&definition.alias);
            if known.is_some_and(|known| known.definition.is_later(&definition)) {
                lost.insert(arn);
            } else if let Some(earlier) = self.put(arn, definition) {
                lost.insert(earlier);
            }
        }
        lost
    }

    /// The file lists these from now on.
    pub fn set_file(&mut self, channels: &[ChannelSettings]) {
        let channels = channels.iter();
        let names = channels.map(|it| (Arc::clone(&it.name), it.arn.clone()));
        self.file = names.collect();
        let arns = self.file.iter();
        self.file_arns = arns
            .map(|(name, arn)| (arn.clone(), Arc::clone(name)))
            .collect();
    }

    /// Every listed channel by these settings, whose file is [set](Self::set_file).
    pub fn everything(&mut self, settings: &Settings) -> Everything {
        let file = settings.channels.iter().map(|channel| Listed {
            listing: Listing {
                alias: Arc::clone(&channel.name),
                by: ListedBy::File,
                labelled: true,
            },
            channel: channel.clone(),
            definition: None,
        });
        let mut all = Everything {
            listed: file.collect(),
            ..Everything::default()
        };
        let mut made: Vec<Arc<Definition>> = self
            .made
            .values()
            .map(|made| Arc::clone(&made.definition))
            .collect();
        made.sort_unstable_by_key(|definition| definition.number);
        for definition in made {
            if self.is_shadowed(&definition.alias) {
                all.shadowed.push(Arc::clone(&definition.alias));
                continue;
            }
            match define(&definition.alias, &definition.settings, settings) {
                Ok((channel, _)) => all.listed.push(Listed {
                    listing: self.listing(&definition.alias, settings),
                    channel,
                    definition: Some(definition),
                }),
                Err(why) => all.failed.push(NotOpened {
                    name: Arc::clone(&definition.alias),
                    why: told(why),
                }),
            }
        }
        all
    }

    /// How a channel made by API is called.
    pub fn listing(&mut self, alias: &Arc<str>, settings: &Settings) -> Listing {
        let room = self.labelled.len() < settings.limits.channels_labelled;
        if room {
            self.labelled.insert(Arc::clone(alias));
        }
        Listing {
            alias: Arc::clone(alias),
            by: ListedBy::Api,
            labelled: room || self.labelled.contains(alias),
        }
    }

    /// Whether the API may make or change a channel of that alias and ARN.
    pub fn check(&self, alias: &str, arn: &ChannelArn) -> Result<(), Conflict> {
        self.check_alias(alias)?;
        if let Some(other) = self.file_arns.get(arn) {
            return Err(Conflict::ArnInFile(Arc::clone(other)));
        }
        match self.made_arns.get(arn) {
            Some(other) if **other != *alias => Err(Conflict::ArnTaken(Arc::clone(other))),
            _ => Ok(()),
        }
    }

    /// Whether an alias is the API's business.
    pub fn check_alias(&self, alias: &str) -> Result<(), Conflict> {
        if self.file.contains_key(alias) {
            return Err(Conflict::AliasInFile);
        }
        Ok(())
    }

    /// The channel made by API of that alias.
    pub fn made(&self, alias: &str) -> Option<(&ChannelArn, &Arc<Definition>)> {
        let made = self.made.get(alias)?;
        Some((&made.arn, &made.definition))
    }

    /// What a channel is from now on by API, once it is [put](Self::put).
    pub fn draft(&self, alias: &str, settings: String) -> Definition {
        let earlier = self.made.get(alias).map(|made| &made.definition);
        Definition {
            alias: earlier.map_or_else(|| alias.into(), |earlier| Arc::clone(&earlier.alias)),
            number: earlier.map_or(self.next, |earlier| earlier.number),
            revision: earlier.map_or(0, |earlier| earlier.revision + 1),
            settings: settings.into(),
        }
    }

    /// A channel was made or changed; the answer is the ARN that its alias had, if that was another.
    pub fn put(&mut self, arn: ChannelArn, definition: Arc<Definition>) -> Option<ChannelArn> {
        self.touch();
        self.next = self.next.max(definition.number + 1);
        let alias = Arc::clone(&definition.alias);
        let made = Made {
            arn: arn.clone(),
            definition,
        };
        let earlier = self.made.insert(Arc::clone(&alias), made);
        let earlier = earlier.map(|earlier| earlier.arn);
        let moved = earlier.filter(|earlier| *earlier != arn);
        if let Some(earlier) = &moved {
            self.made_arns.remove(earlier);
        }
        self.made_arns.insert(arn, alias);
        moved
    }

    /// A channel was removed.
    pub fn remove(&mut self, alias: &str) {
        self.touch();
        if let Some(made) = self.made.remove(alias) {
            self.made_arns.remove(&made.arn);
        }
    }

    /// Another node told all that were made by API of its accounts. One whose alias is another account's
    /// already stays out. Whether anything is new.
    pub fn hear(
        &mut self,
        is_its: impl Fn(&ChannelArn) -> bool,
        mut told: Vec<(ChannelArn, Arc<Definition>)>,
    ) -> bool {
        told.retain(|(arn, definition)| {
            let known = self.made.get(&definition.alias);
            is_its(arn) && known.is_none_or(|known| is_its(&known.arn))
        });
        let known = self.all().filter(|(arn, _)| is_its(arn));
        let known: HashMap<&ChannelArn, &Arc<Definition>> = known.collect();
        let is_known = told.iter().all(|(arn, it)| known.get(arn) == Some(&it));
        if is_known && known.len() == told.len() {
            return false;
        }
        self.forget(is_its);
        for (arn, definition) in told {
            self.put(arn, definition);
        }
        true
    }

    /// Something changes that others are told with it.
    pub fn touch(&mut self) {
        self.revision += 1;
    }

    /// Grows with every change.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// All that were made by API, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&ChannelArn, &Arc<Definition>)> {
        self.made.values().map(|made| (&made.arn, &made.definition))
    }

    /// Those of an account are not known any more: its journal, or another node, says which there are.
    pub fn forget(&mut self, is_gone: impl Fn(&ChannelArn) -> bool) {
        self.touch();
        self.made.retain(|_, made| !is_gone(&made.arn));
        self.made_arns.retain(|arn, _| !is_gone(arn));
    }

    /// How many were made by API.
    pub fn len(&self) -> usize {
        self.made.len()
    }

    /// Whether a channel made by API gives way to the file.
    pub fn is_shadowed(&self, alias: &str) -> bool {
        let arn = self.made.get(alias).map(|made| &made.arn);
        self.file.contains_key(alias) || arn.is_some_and(|arn| self.file_arns.contains_key(arn))
    }
}

fn told(why: Misdefined) -> String {
    match why {
        Misdefined::Malformed(what) => what,
        Misdefined::Faults(faults) => faults.join("; "),
    }
}

#[cfg(test)]
mod tests;
