//! The name of an IVS channel, checked once at the edge and carried as a type from there on.
//!
//! It accepts exactly what `PutMetadata` documents for `channelArn`, so that no call leaves
//! that the API would refuse for its ARN. It never asks whether the channel exists.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// Longest ARN the API takes, in characters (`ChannelArn` of the service model).
pub const ARN_MAX_CHARS: usize = 128;

const PREFIX: &str = "arn:aws:ivs:";

/// The ARN of a channel: `arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+`, at most
/// [`ARN_MAX_CHARS`] characters. Cheap to clone; equal and hashed as its text.
#[derive(Clone)]
pub struct ChannelArn {
    text: Arc<str>,
    /// Where the region and the account end; below [`ARN_MAX_CHARS`].
    region_end: u8,
    account_end: u8,
}

/// The text is not the ARN of an IVS channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the ARN of a channel: it must read arn:aws:ivs:REGION:ACCOUNT:channel/ID, at most 128 characters"
)]
pub struct InvalidArn;

impl ChannelArn {
    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The region, as `us-west-2`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.text[PREFIX.len()..usize::from(self.region_end)]
    }

    /// The account's id, as `123456789012`.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.text[usize::from(self.region_end) + 1..usize::from(self.account_end)]
    }

    /// The ARN of a channel of the same account and region.
    #[must_use]
    pub fn sibling(&self, id: &str) -> String {
        let account = &self.text[..usize::from(self.account_end)];
        format!("{account}:channel/{id}")
    }
}

impl FromStr for ChannelArn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        if text.len() > ARN_MAX_CHARS {
            return Err(InvalidArn);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidArn)?;
        let (region, rest) = rest.split_once(':').ok_or(InvalidArn)?;
        let (account, rest) = rest.split_once(':').ok_or(InvalidArn)?;
        let id = rest.strip_prefix("channel/").ok_or(InvalidArn)?;
        let valid = is_region(region)
            && all(account, |c| c.is_ascii_digit())
            && all(id, |c| c.is_ascii_alphanumeric() || c == b'-');
        let region_end = PREFIX.len() + region.len();
        let end = |at: usize| u8::try_from(at).map_err(|_| InvalidArn);
        if !valid {
            return Err(InvalidArn);
        }
        Ok(Self {
            text: text.into(),
            region_end: end(region_end)?,
            account_end: end(region_end + 1 + account.len())?,
        })
    }
}

/// Whether `text` can be the region of an ARN: `[a-z0-9-]+`.
#[must_use]
pub fn is_region(text: &str) -> bool {
    all(text, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'
    })
}

/// Whether `text` is not empty and every byte fits.
fn all(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(fits)
}

impl PartialEq for ChannelArn {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ChannelArn {}

impl PartialOrd for ChannelArn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChannelArn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// As `str` hashes, so that a map keyed by ARN is searched with a `&str`.
impl Hash for ChannelArn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for ChannelArn {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ChannelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ChannelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn takes_what_the_api_takes() {
        let longest = format!("arn:aws:ivs:us-west-2:1:channel/{}", "a".repeat(96));
        let too_long = format!("{longest}a");
        let cases: &[(&str, Option<(&str, &str)>)] = &[
            (
                "arn:aws:ivs:us-west-2:123456789012:channel/AbC-9",
                Some(("us-west-2", "123456789012")),
            ),
            (&longest, Some(("us-west-2", "1"))),
            (&too_long, None),
            ("", None),
            ("quiz", None),
            ("arn:aws:ivs:us-west-2:123456789012:channel/", None),
            ("arn:aws:ivs::123456789012:channel/a", None),
            ("arn:aws:ivs:us-west-2::channel/a", None),
            ("arn:aws:ivs:US-west-2:123456789012:channel/a", None),
            ("arn:aws:ivs:us-west-2:12a:channel/a", None),
            ("arn:aws:ivs:us-west-2:1:channel/a_b", None),
            ("arn:aws:ivs:us-west-2:1:channel/a/b", None),
            ("arn:aws:ivs:us-west-2:1:stream-key/a", None),
            ("arn:aws:vs:us-west-2:1:channel/a", None),
            ("arn:aws-cn:ivs:us-west-2:1:channel/a", None),
            (" arn:aws:ivs:us-west-2:1:channel/a", None),
            ("arn:aws:ivs:us-west-2:1:channel/a\n", None),
            ("arn:aws:ivs:us-west-2:1:channel/é", None),
        ];
        for (text, expected) in cases {
            let got = text.parse::<ChannelArn>().ok();
            let parts = got.as_ref().map(|arn| (arn.region(), arn.account()));
            assert_eq!(parts, *expected, "{text:?}");
        }
    }

    #[test]
    fn is_found_by_its_text() {
        let text = "arn:aws:ivs:us-west-2:123456789012:channel/quiz";
        let arn: ChannelArn = text.parse().expect("valid");
        assert_eq!(HashMap::from([(arn, 7)]).get(text), Some(&7));
    }
}
