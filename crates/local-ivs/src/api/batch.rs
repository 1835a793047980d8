//! Answers of the batch operations: what was found, and an error for each ARN that was not.

use super::error::NOT_FOUND;
use crate::state::{Regional, Rejection};
use serde::Serialize;
use serde_json::{Value, json};

/// ARNs of one call, of the service model.
pub(super) const BATCH_MOST: usize = 50;

/// ARNs of other accounts are not found either: in a batch none is refused for another.
pub(super) fn answer<'a, T: Serialize>(
    ivs: &mut Regional<'a>,
    member: &str,
    arns: &[String],
    get: impl Fn(&mut Regional<'a>, &str) -> Result<T, Rejection>,
) -> Value {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for arn in arns {
        match get(ivs, arn) {
            Ok(thing) => found.push(thing),
            Err(_) => errors.push(json!({
                "arn": arn,
                "code": NOT_FOUND,
                "message": format!("Resource: {arn} not found"),
            })),
        }
    }
    json!({ member: found, "errors": errors })
}
