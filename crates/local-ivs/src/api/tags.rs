//! The operations on tags: the resource is in the path, and the keys to remove in the query.

use super::error::ApiError;
use super::operation::{Does, Operation, Run, of_tags, typed};
use crate::arn::ResourceArn;
use crate::input::{Member, Members, Rule, Shape, required};
use crate::limits::MAX_TAGS;
use crate::state::Tags;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

const ARN: Member = required("resourceArn", Shape::Text(Rule::AnyArn));
const KEYS: Shape = Shape::List(&Shape::Text(Rule::TagKey), 0, MAX_TAGS);

const LIST: &[Member] = &[ARN];
const TAG: &[Member] = &[ARN, required("tags", Shape::Tags)];
const UNTAG: &[Member] = &[ARN, required("tagKeys", KEYS)];

pub(super) const OPERATIONS: &[Operation] = &[
    of_tags(
        "ivs:ListTagsForResource",
        Method::GET,
        Does::Read,
        LIST,
        list,
    ),
    of_tags("ivs:TagResource", Method::POST, Does::Write, TAG, tag),
    of_tags(
        "ivs:UntagResource",
        Method::DELETE,
        Does::Write,
        UNTAG,
        untag,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    resource_arn: String,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// The input, with its ARN taken apart.
fn read(input: &Members) -> Result<(ResourceArn, Input), ApiError> {
    let input: Input = typed(input)?;
    let arn = ResourceArn::parse(&input.resource_arn).ok_or_else(ApiError::internal)?;
    Ok((arn, input))
}

fn list(input: &Members) -> Result<Run, ApiError> {
    let (arn, _) = read(input)?;
    Ok(Box::new(move |ivs| Ok(json!({ "tags": ivs.tags(&arn)? }))))
}

fn tag(input: &Members) -> Result<Run, ApiError> {
    let (arn, Input { tags, .. }) = read(input)?;
    Ok(Box::new(move |ivs| {
        ivs.tag(&arn, &tags)?;
        Ok(Value::Null)
    }))
}

fn untag(input: &Members) -> Result<Run, ApiError> {
    let (arn, Input { tag_keys, .. }) = read(input)?;
    Ok(Box::new(move |ivs| {
        ivs.untag(&arn, &tag_keys)?;
        Ok(Value::Null)
    }))
}
