//! Pages of lists: how many, after which, and the opaque token that says so.
//!
//! A token holds the key of the last thing on its page, and the next page begins with the
//! first key after it: so it stays good while things come and go. It is bound to what was
//! listed by a checksum, which is against mistakes and not against forgers.

use super::error::ApiError;
use crate::input::Members;
use crate::state::Paging;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Which part of a list is asked for.
#[derive(Debug, Clone)]
pub(super) struct PageInput {
    /// The operation with its filters: tokens of another one are refused.
    scope: String,
    pub(super) page: Paging,
}

impl PageInput {
    /// Reads `maxResults` (else `default`) and `nextToken`, where `scope` is the operation with its
    /// filters.
    ///
    /// # Errors
    ///
    /// `ValidationException` for a token that is not of this list.
    pub(super) fn read(input: &Members, default: u32, scope: String) -> Result<Self, ApiError> {
        let most = input.get("maxResults").and_then(Value::as_u64);
        let token = input.get("nextToken").and_then(Value::as_str);
        let after = match token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(decode(&scope, token).ok_or_else(|| {
                ApiError::validation("The nextToken is not one that this operation gave out")
            })?),
        };
        let most = most.unwrap_or(u64::from(default));
        Ok(Self {
            scope,
            page: Paging {
                after,
                most: usize::try_from(most).unwrap_or(usize::MAX),
            },
        })
    }

    /// The body of an answer; `last` is the key of its last thing if there are more.
    pub(super) fn answer(&self, member: &str, things: Vec<Value>, last: Option<&str>) -> Value {
        let mut body = Value::Object(Map::from_iter([(member.to_owned(), things.into())]));
        if let Some(last) = last {
            body["nextToken"] = encode(&self.scope, last).into();
        }
        body
    }
}

fn encode(scope: &str, last: &str) -> String {
    let mut bytes = checksum(scope, last).to_be_bytes().to_vec();
    bytes.extend_from_slice(last.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(scope: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sum, last) = bytes.split_first_chunk::<8>()?;
    let last = std::str::from_utf8(last).ok()?;
    (u64::from_be_bytes(*sum) == checksum(scope, last)).then(|| last.to_owned())
}

/// FNV-1a, with the parts kept apart.
fn checksum(scope: &str, last: &str) -> u64 {
    scope
        .bytes()
        .chain([0])
        .chain(last.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn tokens_are_good_where_they_came_from() {
        let token = encode("ListChannels", "arn:aws:ivs:a:1:channel/a");
        assert!(token.len() <= 1024);
        let check = |scope: &str, token: &str, good: bool| {
            assert_eq!(decode(scope, token).is_some(), good, "{scope} {token}");
        };
        check("ListChannels", &token, true);
        check("ListStreams", &token, false);
        check("ListChannels", "", false);
        check("ListChannels", "AAAA", false);
        check("ListChannels", &token[1..], false);
        check("ListChannels", &format!("{token}A"), false);
        check("ListChannels", &token.replacen('Y', "Z", 1), false);
    }
}
