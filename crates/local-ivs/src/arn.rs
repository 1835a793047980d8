//! ARNs: `arn:aws:ivs:REGION:ACCOUNT:KIND/ID`, checked once, then taken apart.
//!
//! Channels have a type of their own, because they are what most of the emulator is about.

use std::ops::Range;
use std::sync::Arc;

/// The longest ARN the API takes, in characters, which are all ASCII.
pub(crate) const MAX_ARN_LENGTH: usize = 128;

/// An ARN of at most 128 characters that names a resource of Amazon IVS, whether or not the
/// emulator has that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceArn {
    text: Arc<str>,
    region: Range<usize>,
    account: Range<usize>,
    kind: Range<usize>,
}

impl ResourceArn {
    /// `None` if it does not match the pattern or is too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ARN_LENGTH {
            return None;
        }
        let rest = text.strip_prefix("arn:aws:ivs:")?;
        let (region, rest) = rest.split_once(':')?;
        let (account, rest) = rest.split_once(':')?;
        let (kind, id) = rest.split_once('/')?;
        let matches = is_all(region, |b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
        }) && is_all(account, |b| b.is_ascii_digit())
            && is_all(kind, |b| b.is_ascii_lowercase() || b == b'-')
            && is_all(id, |b| b.is_ascii_alphanumeric() || b == b'-');
        if !matches {
            return None;
        }
        let region_start = "arn:aws:ivs:".len();
        let account_start = region_start + region.len() + 1;
        let kind_start = account_start + account.len() + 1;
        Some(Self {
            region: region_start..region_start + region.len(),
            account: account_start..account_start + account.len(),
            kind: kind_start..kind_start + kind.len(),
            text: text.into(),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the resource lives: `arn:aws:ivs:REGION:ACCOUNT`.
    pub(crate) fn home(&self) -> &str {
        &self.text[..self.account.end]
    }

    pub(crate) fn region(&self) -> &str {
        &self.text[self.region.clone()]
    }

    pub(crate) fn account(&self) -> &str {
        &self.text[self.account.clone()]
    }

    /// `channel`, `stream-key`, `playback-key`, `recording-configuration` or another.
    pub(crate) fn kind(&self) -> &str {
        &self.text[self.kind.clone()]
    }

    /// What comes after the slash.
    pub(crate) fn id(&self) -> &str {
        &self.text[self.kind.end + 1..]
    }
}

/// A channel ARN of at most 128 characters that matches the API's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelArn(ResourceArn);

impl ChannelArn {
    /// `None` if it does not match the pattern or is too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        ResourceArn::parse(text)
            .filter(|arn| arn.kind() == "channel")
            .map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0.text)
    }

    /// Where the channel lives: `arn:aws:ivs:REGION:ACCOUNT`.
    pub(crate) fn home(&self) -> &str {
        self.0.home()
    }

    pub(crate) fn region(&self) -> &str {
        self.0.region()
    }

    pub(crate) fn account(&self) -> &str {
        self.0.account()
    }

    pub(crate) fn id(&self) -> &str {
        self.0.id()
    }
}

fn is_all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::ChannelArn;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let parsed = ChannelArn::parse(text);
        let parts = parsed.as_ref().map(|arn| (arn.region(), arn.account()));
        assert_eq!(parts, expected, "{text}");
        if let Some(arn) = &parsed {
            assert_eq!(arn.as_str(), text);
        }
    }

    #[test]
    fn only_channel_arns_are_taken() {
        check(
            "arn:aws:ivs:us-west-2:123456789012:channel/AbC-9",
            Some(("us-west-2", "123456789012")),
        );
        check("arn:aws:ivs:eu-1:1:channel/a", Some(("eu-1", "1")));
        let long = |id: usize| format!("arn:aws:ivs:a:1:channel/{}", "x".repeat(id));
        check(&long(104), Some(("a", "1")));
        check(&long(105), None);
        for wrong in [
            "",
            "demo",
            "arn:aws:svs:us-west-2:123456789012:channel/a",
            "arn:aws:ivs:us-west-2:123456789012:channel/",
            "arn:aws:ivs:us-west-2:123456789012:stream-key/a",
            "arn:aws:ivs:us-west-2:123456789012:channel/a/b",
            "arn:aws:ivs:us-west-2:123456789012:channel/a b",
            "arn:aws:ivs:us-west-2:123456789012:channel/é",
            "arn:aws:ivs:US-WEST-2:123456789012:channel/a",
            "arn:aws:ivs::123456789012:channel/a",
            "arn:aws:ivs:us-west-2::channel/a",
            "arn:aws:ivs:us-west-2:abc:channel/a",
            "arn:aws-cn:ivs:us-west-2:1:channel/a",
            " arn:aws:ivs:us-west-2:1:channel/a",
            "arn:aws:ivs:us-west-2:1:channel/a\n",
        ] {
            check(wrong, None);
        }
    }
}
