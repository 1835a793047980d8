//! What an operation is: its name, rate and status, the shape of its input, and what reads it.
//! The operations themselves stand in their families' files, and `table` has them all.

use super::error::ApiError;
use crate::input::{self, Member, Members, Rule, Shape, Unknown};
use crate::state::{Regional, Rejection};
use http::request::Parts;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is known of an operation without a request.
pub(crate) struct Operation {
    /// As policies and messages write it: `ivs:GetStream`.
    pub(crate) action: &'static str,
    /// Calls per second of one account in one region.
    pub(crate) tps: u32,
    does: Does,
    place: Place,
    input: &'static [Member],
    pub(super) read: Read,
}

/// What an operation does to the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Only looks.
    Read,
    /// Changes them, and answers 200.
    Write,
    /// Changes them, and answers 204.
    WriteInSilence,
}

/// Where an operation's input is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In the body of a `POST` to the operation's name.
    Body,
    /// An ARN in the path after `/tags/`, and the rest in the body or the query.
    Tags(Method),
}

/// A call that is read and right, ready to be carried out under the lock.
pub(super) type Run = Box<dyn Fn(&mut Regional<'_>) -> Result<Value, Rejection> + Send + Sync>;

/// What becomes of an input whose members are what the shape says.
pub(super) enum Read {
    /// Its rates are a channel's and an account's, and the books tell how it ends.
    PutMetadata,
    /// Checks what hangs together between members.
    Resources(fn(&Members) -> Result<Run, ApiError>),
}

/// An operation whose input is in the body.
pub(super) const fn operation(
    action: &'static str,
    tps: u32,
    does: Does,
    input: &'static [Member],
    read: fn(&Members) -> Result<Run, ApiError>,
) -> Operation {
    Operation {
        action,
        tps,
        does,
        place: Place::Body,
        input,
        read: Read::Resources(read),
    }
}

/// An operation on tags.
pub(super) const fn of_tags(
    action: &'static str,
    method: Method,
    does: Does,
    input: &'static [Member],
    read: fn(&Members) -> Result<Run, ApiError>,
) -> Operation {
    Operation {
        action,
        tps: 10,
        does,
        place: Place::Tags(method),
        input,
        read: Read::Resources(read),
    }
}

/// `PutMetadata`. What it changes is not kept beyond a restart.
pub(super) const fn put_metadata(input: &'static [Member]) -> Operation {
    Operation {
        action: "ivs:PutMetadata",
        tps: 155,
        does: Does::Read,
        place: Place::Body,
        input,
        read: Read::PutMetadata,
    }
}

const TAGS: &str = "/tags/";

impl Operation {
    /// Whether a request line means it.
    pub(super) fn is_meant_by(&self, method: &Method, path: &str) -> bool {
        match &self.place {
            Place::Body => method == Method::POST && path.strip_prefix('/') == Some(self.name()),
            Place::Tags(of) => method == of && tagged(path).is_some(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.action.strip_prefix("ivs:").unwrap_or_default()
    }

    /// Of its success.
    pub(super) fn status(&self) -> StatusCode {
        match self.does {
            Does::Read | Does::Write if !self.is_put_metadata() => StatusCode::OK,
            _ => StatusCode::NO_CONTENT,
        }
    }

    /// Whether it changes what a restart must not lose.
    pub(crate) fn writes(&self) -> bool {
        self.does != Does::Read
    }

    pub(crate) fn is_put_metadata(&self) -> bool {
        matches!(self.read, Read::PutMetadata)
    }

    /// The input of a request, held against the operation's shape.
    pub(super) fn input(&self, parts: &Parts, body: &[u8]) -> Result<Members, input::Error> {
        let Place::Tags(method) = &self.place else {
            return input::read(body, self.input, Unknown::Ignored);
        };
        let has_body = method == Method::POST;
        let mut value = if has_body {
            input::object(body)?
        } else {
            Members::new()
        };
        let arn = decoded(tagged(parts.uri.path()).unwrap_or_default());
        value.insert("resourceArn".to_owned(), arn.into());
        if let Some(keys) = tag_keys(parts.uri.query().unwrap_or_default()) {
            value.insert("tagKeys".to_owned(), keys);
        }
        input::check(value.into(), self.input, Unknown::Ignored)
    }

    /// The ARNs in an input that must be of the caller's account. Lists are searched by ARNs of
    /// any account, and batches answer for each of theirs.
    pub(super) fn arns(&self, input: &Members) -> Vec<String> {
        let is_one = |member: &&Member| {
            let rule = matches!(
                member.shape,
                Shape::Text(Rule::Arn(_) | Rule::ArnOrEmpty(_) | Rule::AnyArn)
            );
            rule && !member.name.starts_with("filterBy")
        };
        let members = self.input.iter().filter(is_one);
        members
            .filter_map(|member| input.get(member.name)?.as_str())
            .filter(|arn| !arn.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The name of the member that has the channel's ARN, if the operation is about one.
    pub(super) fn channel_member(&self) -> Option<&'static str> {
        let mut members = self.input.iter();
        members
            .find(|member| matches!(member.shape, Shape::Text(Rule::Arn("channel"))))
            .map(|member| member.name)
    }
}

/// An input as the structure that a family wants. The shape has checked all of it before.
///
/// # Errors
///
/// The shape and the structure are not of one mind, which is a bug.
pub(super) fn typed<T: DeserializeOwned>(members: &Members) -> Result<T, ApiError> {
    input::typed(members).map_err(|_| ApiError::internal())
}

/// The ARN in the path of the tag operations, still percent-encoded.
fn tagged(path: &str) -> Option<&str> {
    path.strip_prefix(TAGS).filter(|arn| !arn.is_empty())
}

/// `tagKeys=a&tagKeys=b`; `None` if there are none.
fn tag_keys(query: &str) -> Option<Value> {
    let keys: Vec<Value> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("tagKeys="))
        .map(|key| decoded(&key.replace('+', " ")).into())
        .collect();
    (!keys.is_empty()).then(|| keys.into())
}

/// What is no UTF-8 becomes U+FFFD, which no ARN and no tag key may hold.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Operation;
    use http::Method;

    #[test]
    fn request_lines_mean_operations() {
        let check = |method: Method, path: &str, expected: Option<&str>| {
            let routed = super::super::table::route(&method, path).ok();
            assert_eq!(routed.map(Operation::name), expected, "{method} {path}");
        };
        check(Method::POST, "/GetStream", Some("GetStream"));
        check(Method::POST, "/InsertAdBreak", Some("InsertAdBreak"));
        check(Method::GET, "/GetStream", None);
        check(Method::POST, "/getstream", None);
        check(Method::POST, "/GetStream/", None);
        check(Method::POST, "/TagResource", None);
        check(Method::POST, "/tags/a", Some("TagResource"));
        check(Method::GET, "/tags/a/b", Some("ListTagsForResource"));
        check(Method::DELETE, "/tags/%3A", Some("UntagResource"));
        check(Method::PUT, "/tags/a", None);
        check(Method::GET, "/tags/", None);
        check(Method::POST, "/", None);
        check(Method::POST, "/CreateStage", None);
    }
}
