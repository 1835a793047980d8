//! What somebody may do: scopes, channels, and the limits of what it sends.
//!
//! How it proved who it is was decided before.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use engine::Producer;

use super::limits::Limits;
use crate::config::glob::{Glob, InvalidGlob};
use crate::config::{ApiKeySettings, Scope, Secret};
use crate::refusal::{Code, Refusal};

/// Most of a queue that the events of one token's subject take, in percent: as a key's default.
pub(super) const DEFAULT_PERCENT: u8 = 50;

/// The subject of the certificate that a connection's client showed, as requests carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(pub Arc<str>);

/// How producers prove who they are, to tell those of one name apart.
const KEY: &str = "key";
const TOKEN: &str = "token";

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Who it is was not shown, or not in a way that is taken.
    Unknown(Cow<'static, str>),
    /// It is known, and may not do this.
    Forbidden(Cow<'static, str>),
}

impl Denied {
    pub(super) const NOTHING_SHOWN: Self =
        Self::Unknown(Cow::Borrowed("a key is needed: Authorization: Bearer KEY"));
    pub(super) const NOT_BEARER: Self = Self::Unknown(Cow::Borrowed(
        "one Authorization header is taken, of the form: Bearer KEY",
    ));
    pub(super) const UNKNOWN_KEY: Self = Self::Unknown(Cow::Borrowed("the key is not known"));
    pub(super) const UNKNOWN_CERTIFICATE: Self = Self::Unknown(Cow::Borrowed(
        "no [[api_key]] has the name of the certificate's subject",
    ));

    /// Why, for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Unknown(detail) | Self::Forbidden(detail) => detail,
        }
    }
}

/// How a caller proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// It did not have to.
    None,
    /// By a key with this SHA-256.
    Key([u8; 32]),
    /// By a token.
    Token(Secret),
    /// By a client certificate of this subject.
    Certificate(Arc<str>),
    /// By a signature of AWS's.
    Signature,
}

/// The channels somebody may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    All,
    Only(Vec<Glob>),
}

impl Channels {
    pub(super) fn of(globs: Vec<Glob>) -> Self {
        if globs.iter().any(Glob::is_everything) {
            Self::All
        } else {
            Self::Only(globs)
        }
    }
}

/// Scopes, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes(u8);

impl Scopes {
    const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(
            scopes
                .into_iter()
                .fold(0, |all, scope| all | 1 << scope as u8),
        )
    }
}

/// Somebody whose request is looked at.
#[derive(Clone, Debug)]
pub struct Caller {
    name: Arc<str>,
    scopes: Scopes,
    channels: Channels,
    limits: Option<Arc<Limits>>,
    producer: Option<Producer>,
    /// From then on it is nobody any more: seconds since 1970.
    expires_s: Option<u64>,
    pub(super) credential: Credential,
}

impl Caller {
    /// Whoever asks, where nobody has to show anything.
    pub(super) fn anyone() -> Self {
        Self {
            name: "anyone".into(),
            scopes: Scope::ALL.into_iter().collect(),
            channels: Channels::All,
            limits: None,
            producer: None,
            expires_s: None,
            credential: Credential::None,
        }
    }

    /// Whoever asked another node of the cluster, which let it in: for channels of these patterns, if there are
    /// any.
    ///
    /// # Errors
    /// One is no pattern.
    pub fn of_peer(name: &str, channels: &[String]) -> Result<Self, InvalidGlob> {
        let globs = channels.iter().map(|pattern| pattern.parse());
        let globs: Vec<Glob> = globs.collect::<Result<_, _>>()?;
        let channels = if globs.is_empty() {
            Channels::All
        } else {
            Channels::of(globs)
        };
        Ok(Self {
            name: name.into(),
            channels,
            ..Self::anyone()
        })
    }

    /// Patterns of the channels that it may use, for another node; none: all.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        match &self.channels {
            Channels::All => Vec::new(),
            // Of nobody's channel.
            Channels::Only(globs) if globs.is_empty() => vec![":".to_owned()],
            Channels::Only(globs) => globs.iter().map(ToString::to_string).collect(),
        }
    }

    /// The owner of a key.
    pub(super) fn of_key(
        name: &Arc<str>,
        key: &ApiKeySettings,
        limits: Option<Arc<Limits>>,
    ) -> Self {
        Self {
            name: Arc::clone(name),
            scopes: key.scopes.iter().copied().collect(),
            channels: Channels::of(key.channels.clone()),
            limits,
            producer: producer(KEY, name, key.queue_percent),
            expires_s: None,
            credential: key.sha256.map_or(Credential::None, Credential::Key),
        }
    }

    /// The subject of a token.
    pub(super) fn of_token(
        subject: &str,
        scopes: Scopes,
        channels: Vec<Glob>,
        expires_s: u64,
        token: Secret,
    ) -> Self {
        Self {
            name: subject.into(),
            scopes,
            channels: Channels::of(channels),
            limits: None,
            producer: producer(TOKEN, subject, DEFAULT_PERCENT),
            expires_s: Some(expires_s),
            credential: Credential::Token(token),
        }
    }

    /// The same, who proved it so.
    pub(super) fn shown(&self, credential: Credential) -> Self {
        Self {
            credential,
            ..self.clone()
        }
    }

    /// The same on the operators' side, where `admin` is all that is asked for.
    ///
    /// # Errors
    /// It has not the scope.
    pub fn as_operator(&self) -> Result<Self, Denied> {
        self.may(Scope::Admin)?;
        Ok(Self {
            scopes: Scope::ALL.into_iter().collect(),
            channels: Channels::All,
            ..self.clone()
        })
    }

    /// Its name, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may send; none: as much as the gateway takes.
    #[must_use]
    pub const fn limits(&self) -> Option<&Arc<Limits>> {
        self.limits.as_ref()
    }

    /// Whose share of a queue its events take.
    #[must_use]
    pub const fn producer(&self) -> Option<Producer> {
        self.producer
    }

    /// The same for every node of a cluster: how it proved who it is, its name, and its part of a queue in
    /// percent ([`producer`]).
    #[must_use]
    pub fn share(&self) -> Option<(&'static str, &Arc<str>, u8)> {
        let kind = match self.credential {
            Credential::Token(_) => TOKEN,
            _ => KEY,
        };
        let producer = self.producer?;
        Some((kind, &self.name, producer.percent))
    }

    /// When it stops being somebody, in seconds since 1970.
    #[must_use]
    pub const fn expires_s(&self) -> Option<u64> {
        self.expires_s
    }

    /// Whether it may do such things at all.
    ///
    /// # Errors
    /// [`Denied::Forbidden`].
    pub fn may(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        let detail = format!("{} has not the scope {}", self.name, scope.name());
        Err(Denied::Forbidden(detail.into()))
    }

    /// Whether a channel of this name, alias or ARN, is among those it may use.
    #[must_use]
    pub fn may_use(&self, name: &str) -> bool {
        match &self.channels {
            Channels::All => true,
            Channels::Only(globs) => globs.iter().any(|glob| glob.matches(name)),
        }
    }

    /// That a channel is not.
    #[must_use]
    pub fn not_its_channel(&self) -> Denied {
        Denied::Forbidden(format!("{} may not use this channel", self.name).into())
    }
}

/// A number for a producer that stays the same while the process lives, however often the
/// configuration is read, without a table that could grow: two producers of a thousand share one
/// with a probability of 1 in 8,000, and then share their part of a queue.
#[must_use]
pub fn producer(kind: &str, name: &str, percent: u8) -> Option<Producer> {
    static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let hash = HASH.hash_one((kind, name));
    let id = NonZeroU32::new(u32::try_from(hash >> 32).unwrap_or(1)).unwrap_or(NonZeroU32::MIN);
    (percent < 100).then_some(Producer { id, percent })
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown(detail) => Self::new(Code::Unauthenticated, detail),
            Denied::Forbidden(detail) => Self::new(Code::Forbidden, detail),
        }
    }
}
