//! What the operations on most resources have in common: created, got, listed, updated, deleted.
//!
//! A [`Family`] says what is its own. A new kind of resource is one file with a family, the
//! shapes of its inputs and its operations.

use super::error::ApiError;
use super::operation::{Run, typed};
use super::page::PageInput;
use crate::input::{Member, Members, NEXT_TOKEN, Rule, Shape, optional};
use crate::state::{Document, Kind, Tags};
use serde::Deserialize;
use serde_json::{Value, json};

/// A kind of resource as the API shows it.
pub(super) trait Family: 'static {
    const KIND: Kind;
    /// The member of an answer that holds one, and the one that holds a list of them.
    const ONE: &'static str;
    const MANY: &'static str;
    /// What lists do not show.
    const NOT_LISTED: &'static [&'static str] = &[];
    /// How many a page has if nobody says.
    const PAGE: u32;

    /// Fills in the defaults of what is made, and checks what hangs together.
    ///
    /// # Errors
    ///
    /// What does not go together, in words.
    fn complete(_members: &mut Members) -> Result<(), String> {
        Ok(())
    }
}

/// The input of a list: `maxResults` is at most 100 in the service model.
pub(super) const LIST: &[Member] = &[
    optional("nextToken", Shape::Text(NEXT_TOKEN)),
    optional("maxResults", Shape::Whole(1, 100)),
];

/// The input of what is about one resource.
pub(super) const fn arn_of(kind: &'static str) -> Member {
    Member {
        name: "arn",
        shape: Shape::Text(Rule::Arn(kind)),
        is_required: true,
    }
}

#[derive(Deserialize)]
pub(super) struct Arn {
    pub(super) arn: String,
}

/// As the API shows it.
pub(super) fn shown<F: Family>(document: &Document, now_us: u64) -> Value {
    let mut shown = document.members.clone();
    shown.insert("arn".to_owned(), (*document.arn).into());
    shown.insert("tags".to_owned(), json!(document.tags));
    if let Some(state) = F::KIND.state(document, now_us) {
        shown.insert("state".to_owned(), state.into());
    }
    shown.into()
}

fn summary<F: Family>(document: &Document, now_us: u64) -> Value {
    let mut shown = shown::<F>(document, now_us);
    if let Value::Object(members) = &mut shown {
        members.retain(|name, _| !F::NOT_LISTED.contains(&name.as_str()));
    }
    shown
}

pub(super) fn create<F: Family>(input: &Members) -> Result<Run, ApiError> {
    let tags = tags_of(input)?;
    let mut members = input.clone();
    members.remove("tags");
    F::complete(&mut members).map_err(ApiError::validation)?;
    Ok(Box::new(move |ivs| {
        let made = ivs.create(&F::KIND, &members, &tags)?;
        Ok(json!({ F::ONE: shown::<F>(&made, ivs.now_us()) }))
    }))
}

/// The tags of what is created.
pub(super) fn tags_of(input: &Members) -> Result<Tags, ApiError> {
    #[derive(Deserialize)]
    struct Tagged {
        #[serde(default)]
        tags: Tags,
    }
    let Tagged { tags } = typed(input)?;
    Ok(tags)
}

pub(super) fn get<F: Family>(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        let found = ivs.document(&F::KIND, &arn)?;
        Ok(json!({ F::ONE: shown::<F>(&found, ivs.now_us()) }))
    }))
}

pub(super) fn list<F: Family>(input: &Members) -> Result<Run, ApiError> {
    let page = PageInput::read(input, F::PAGE, F::MANY.to_owned())?;
    Ok(Box::new(move |ivs| {
        let now_us = ivs.now_us();
        let listed = ivs.documents(&F::KIND, &page.page);
        let found = listed.things.iter();
        let things = found.map(|found| summary::<F>(found, now_us)).collect();
        Ok(page.answer(F::MANY, things, listed.last.as_deref()))
    }))
}

/// Members that are not given stay as they are.
pub(super) fn update<F: Family>(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    let mut members = input.clone();
    members.remove("arn");
    Ok(Box::new(move |ivs| {
        let updated = ivs.update(&F::KIND, &arn, &members, F::complete)?;
        Ok(json!({ F::ONE: shown::<F>(&updated, ivs.now_us()) }))
    }))
}

pub(super) fn delete<F: Family>(input: &Members) -> Result<Run, ApiError> {
    let Arn { arn } = typed(input)?;
    Ok(Box::new(move |ivs| {
        ivs.delete(&F::KIND, &arn)?;
        Ok(Value::Null)
    }))
}

/// Puts a default in the place of a member that is not there.
pub(super) fn default(members: &mut Members, name: &str, value: impl Into<Value>) {
    members
        .entry(name.to_owned())
        .or_insert_with(|| value.into());
}
