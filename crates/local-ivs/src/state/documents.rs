//! What is done with documents: kept by kind and ARN, within a quota, and not deleted while a channel
//! refers to them.

use super::State;
use super::document::{Document, Documents, Kind};
use super::regional::{Listed, Paging, Regional, Rejection, list};
use super::settings::Tags;
use crate::arn::ResourceArn;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

static NONE: Documents = BTreeMap::new();

impl Kind {
    fn check_settled(&self, document: &Document, now_us: u64) -> Result<(), Rejection> {
        let (Some(states), Some(state)) = (&self.states, self.state(document, now_us)) else {
            return Ok(());
        };
        if state == states.creating || Some(state) == states.updating {
            return Err(Rejection::Conflict(format!(
                "Resource: {} is {state}: wait until it is {}",
                document.arn, states.ready
            )));
        }
        Ok(())
    }
}

impl Regional<'_> {
    pub(crate) fn create(
        &mut self,
        kind: &Kind,
        members: &Map<String, Value>,
        tags: &Tags,
    ) -> Result<Arc<Document>, Rejection> {
        let there = self.of_kind(kind.arn);
        if let Some((member, words)) = kind.unique {
            let is_same = |it: &&Arc<Document>| it.members.get(member) == members.get(member);
            if let Some(same) = there.values().find(is_same) {
                return Err(Rejection::Conflict(format!("{words}: {}", same.arn)));
            }
        }
        if there.len() >= kind.quota {
            return Err(Rejection::QuotaExceeded(format!(
                "Quota exceeded: an account has at most {} {} in a region",
                kind.quota, kind.words
            )));
        }
        let arn = self.new_arn(kind.arn, |region, arn| {
            let there = region.documents.get(kind.arn);
            there.is_some_and(|there| there.contains_key(arn))
        })?;
        let document = Arc::new(Document {
            arn: Arc::clone(&arn),
            created_us: self.now_us,
            updated_us: None,
            failed: false,
            tags: tags.clone(),
            members: members.clone(),
        });
        let there = self.region().documents.entry(kind.arn.to_owned());
        there.or_default().insert(arn, Arc::clone(&document));
        self.state.touch();
        Ok(document)
    }

    pub(crate) fn document(&mut self, kind: &Kind, arn: &str) -> Result<Arc<Document>, Rejection> {
        let found = self.of_kind(kind.arn).get(arn);
        found.map(Arc::clone).ok_or_else(|| not_found(arn))
    }

    pub(crate) fn documents(&mut self, kind: &Kind, paging: &Paging) -> Listed<Arc<Document>> {
        list(self.of_kind(kind.arn), paging, |_| true, Arc::clone)
    }

    /// Replaces the members that are given; `complete` checks the result.
    pub(crate) fn update(
        &mut self,
        kind: &Kind,
        arn: &str,
        members: &Map<String, Value>,
        complete: fn(&mut Map<String, Value>) -> Result<(), String>,
    ) -> Result<Arc<Document>, Rejection> {
        let now_us = self.now_us;
        let document = self.document(kind, arn)?;
        kind.check_settled(&document, now_us)?;
        let mut new = document.members.clone();
        new.extend(members.clone());
        complete(&mut new).map_err(Rejection::Invalid)?;
        self.change(arn, |document| {
            document.members = new;
            document.updated_us = Some(now_us);
            document.failed = false;
        })?;
        self.document(kind, arn)
    }

    pub(crate) fn delete(&mut self, kind: &Kind, arn: &str) -> Result<(), Rejection> {
        let document = self.document(kind, arn)?;
        kind.check_settled(&document, self.now_us)?;
        if let Some(used) = kind.used {
            let mut channels = self.region().channels.values();
            if let Some(user) = channels.find(|channel| used(&channel.settings) == arn) {
                return Err(Rejection::Conflict(format!(
                    "Resource: {arn} is used by channel {}",
                    user.settings.arn
                )));
            }
        }
        if let Some(there) = self.region().documents.get_mut(kind.arn) {
            there.remove(arn);
        }
        self.state.touch();
        Ok(())
    }

    /// The document of an ARN of whatever kind.
    pub(super) fn any_document(&mut self, arn: &str) -> Result<Arc<Document>, Rejection> {
        self.region().document(arn).ok_or_else(|| not_found(arn))
    }

    /// Changes a document of whatever kind. What a session or a save still holds of it stays as
    /// it was.
    pub(super) fn change(
        &mut self,
        arn: &str,
        change: impl FnOnce(&mut Document),
    ) -> Result<(), Rejection> {
        let parsed = ResourceArn::parse(arn).ok_or_else(|| not_found(arn))?;
        let there = self.region().documents.get_mut(parsed.kind());
        let document = there.and_then(|there| there.get_mut(arn));
        change(Arc::make_mut(document.ok_or_else(|| not_found(arn))?));
        self.state.touch();
        Ok(())
    }

    fn of_kind(&mut self, kind: &str) -> &Documents {
        self.region().documents.get(kind).unwrap_or(&NONE)
    }
}

impl State {
    /// A resource could not be made after all; false if there is none of this ARN.
    pub(crate) fn fail_resource(&self, arn: &ResourceArn) -> bool {
        let (mut state, _) = self.lock();
        let region = state.regions.get_mut(arn.home());
        let there = region.and_then(|region| region.documents.get_mut(arn.kind()));
        let Some(document) = there.and_then(|there| there.get_mut(arn.as_str())) else {
            return false;
        };
        Arc::make_mut(document).failed = true;
        state.touch();
        true
    }
}

fn not_found(arn: &str) -> Rejection {
    Rejection::NotFound(arn.to_owned())
}
