//! The operations on playback key pairs: their inputs, and their answers.

use super::Operation;
use super::error::ApiError;
use super::fields::Fields;
use super::page::PageInput;
use super::public_key;
use super::validate::{NAME, Rule};
use crate::limits::QUOTA_PLAYBACK_KEY_PAIRS;
use crate::state::{Regional, Rejection, Tags};
use serde_json::{Value, json};

const PAIR_ARN: Rule = Rule::Arn("playback-key");

/// `maxResults` of the service model; the default is the quota, which is less.
const PAGE_MOST: u32 = 100;

#[derive(Debug)]
pub(super) enum Input {
    Import {
        name: String,
        fingerprint: String,
        tags: Tags,
    },
    Get(String),
    List(PageInput),
    Delete(String),
}

impl Input {
    pub(super) fn read(operation: Operation, mut fields: Fields<'_>) -> Result<Self, ApiError> {
        let input = match operation {
            Operation::ImportPlaybackKeyPair => {
                let material = fields.required_text("publicKeyMaterial", Rule::Any);
                let name = fields.text("name", NAME).unwrap_or_default();
                let tags = fields.tags("tags").unwrap_or_default();
                fields.finish()?;
                let fingerprint = public_key::fingerprint(&material)
                    .map_err(|error| ApiError::validation(error.to_string()))?;
                return Ok(Self::Import {
                    name,
                    fingerprint,
                    tags,
                });
            }
            Operation::ListPlaybackKeyPairs => {
                let default = u32::try_from(QUOTA_PLAYBACK_KEY_PAIRS).unwrap_or(PAGE_MOST);
                let page = PageInput::read(&mut fields, PAGE_MOST, default);
                fields.finish()?;
                return Ok(Self::List(page.bind("ListPlaybackKeyPairs".to_owned())?));
            }
            Operation::DeletePlaybackKeyPair => Self::Delete(fields.required_text("arn", PAIR_ARN)),
            _ => Self::Get(fields.required_text("arn", PAIR_ARN)),
        };
        fields.finish()?;
        Ok(input)
    }

    pub(super) fn arns(&self) -> Vec<&str> {
        match self {
            Self::Get(arn) | Self::Delete(arn) => vec![arn],
            Self::Import { .. } | Self::List(_) => Vec::new(),
        }
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        Ok(match self {
            Self::Import {
                name,
                fingerprint,
                tags,
            } => json!({ "keyPair": ivs.import_key_pair(name, fingerprint, tags)? }),
            Self::Get(arn) => json!({ "keyPair": ivs.key_pair(arn)? }),
            Self::List(page) => {
                let listed = ivs.key_pairs(&page.page);
                let things = listed
                    .things
                    .iter()
                    .map(|pair| json!({ "arn": pair.arn, "name": pair.name, "tags": pair.tags }));
                page.answer("keyPairs", things.collect(), listed.last.as_deref())
            }
            Self::Delete(arn) => {
                ivs.delete_key_pair(arn)?;
                json!({})
            }
        })
    }
}
