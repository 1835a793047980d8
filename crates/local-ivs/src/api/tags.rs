//! The operations on tags: the resource is in the path, and the keys to remove in the query.

use super::Operation;
use super::error::ApiError;
use super::fields::{Fields, RESERVED, is_reserved, of_members};
use super::operation::tagged;
use super::validate::{Rule, TAG_KEY};
use crate::arn::ResourceArn;
use crate::limits::MAX_TAGS;
use crate::state::{Regional, Rejection, Tags};
use http::Uri;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Input {
    arn: ResourceArn,
    does: Does,
}

#[derive(Debug)]
enum Does {
    List,
    Tag(Tags),
    Untag(Vec<String>),
}

impl Input {
    pub(super) fn read(
        operation: Operation,
        uri: &Uri,
        mut fields: Fields<'_>,
    ) -> Result<Self, ApiError> {
        let text = decoded(tagged(uri.path()).unwrap_or_default());
        fields.check("resourceArn", &text, Rule::AnyArn);
        let does = match operation {
            Operation::TagResource => {
                fields.require("tags");
                Does::Tag(fields.tags("tags").unwrap_or_default())
            }
            Operation::UntagResource => {
                Does::Untag(read_keys(uri.query().unwrap_or_default(), &mut fields))
            }
            _ => Does::List,
        };
        fields.finish()?;
        let arn = ResourceArn::parse(&text)
            .ok_or_else(|| ApiError::validation("resourceArn is not an ARN"))?;
        Ok(Self { arn, does })
    }

    pub(super) fn arn(&self) -> &ResourceArn {
        &self.arn
    }

    pub(super) fn handle(&self, ivs: &mut Regional<'_>) -> Result<Value, Rejection> {
        Ok(match &self.does {
            Does::List => json!({ "tags": ivs.tags(&self.arn)? }),
            Does::Tag(tags) => {
                ivs.tag(&self.arn, tags)?;
                json!({})
            }
            Does::Untag(keys) => {
                ivs.untag(&self.arn, keys)?;
                json!({})
            }
        })
    }
}

/// `tagKeys=a&tagKeys=b`.
fn read_keys(query: &str, fields: &mut Fields<'_>) -> Vec<String> {
    let keys: Vec<String> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("tagKeys="))
        .map(|key| decoded(&key.replace('+', " ")))
        .collect();
    let shown = format!("[{}]", keys.join(", "));
    if keys.is_empty() {
        fields.violate("tagKeys", None, "Member must not be null");
    }
    if keys.len() > MAX_TAGS {
        let rule = format!("Member must have length less than or equal to {MAX_TAGS}");
        fields.violate("tagKeys", Some(&shown), &rule);
    }
    if let Some(broken) = of_members(keys.iter().map(String::as_str), TAG_KEY) {
        let rule = format!("Member must satisfy constraint: {broken}");
        fields.violate("tagKeys", Some(&shown), &rule);
    }
    if keys.iter().any(|key| is_reserved(key)) {
        fields.violate("tagKeys", Some(&shown), RESERVED);
    }
    keys
}

/// What is no UTF-8 becomes U+FFFD, which no ARN and no tag key may hold.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
