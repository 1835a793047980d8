//! THE map of refusals: why something was refused, for producers and operators alike, and what each surface
//! answers: the status, the problem document ([`problem`]), the IVS API's form ([`ivs`]).
//!
//! It decides nothing. Codes are promises of the surface; details are for people. What can be a refusal
//! says so beside its own definition, with a `From`.

pub mod ivs;
pub mod problem;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::Duration;

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal,)*) => {
        /// The stable name of a reason to refuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, so that every series of a metric can start at 0.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in answers and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it is called in a problem document.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    Malformed "malformed" BAD_REQUEST "Not what the format asks for",
    Unauthenticated "unauthenticated" UNAUTHORIZED "No valid key",
    Forbidden "forbidden" FORBIDDEN "The key does not allow this",
    UnknownChannel "unknown_channel" NOT_FOUND "No such channel",
    ChannelOffline "channel_offline" CONFLICT "The channel is not live",
    EventTooLarge "event_too_large" PAYLOAD_TOO_LARGE "The event cannot fit one payload",
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "No such media type here",
    InvalidEvent "invalid_event" UNPROCESSABLE_ENTITY "A value of the event is not allowed",
    QueueFull "queue_full" TOO_MANY_REQUESTS "The channel's queue is full",
    WouldExpire "would_expire" TOO_MANY_REQUESTS "The event would expire in the queue",
    RateLimited "rate_limited" TOO_MANY_REQUESTS "The producer's own limit",
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The gateway is overloaded",
    Draining "draining" SERVICE_UNAVAILABLE "The gateway is shutting down",
    NotFound "not_found" NOT_FOUND "No such path",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The path has no such method",
    SlowRequest "slow_request" REQUEST_TIMEOUT "The request came too slowly",
    UnknownEvent "unknown_event" NOT_FOUND "No event with this id was seen",
    UpgradeRequired "upgrade_required" UPGRADE_REQUIRED "Another version of WebSocket",
    AlreadySent "already_sent" CONFLICT "The event has left the queue",
    InvalidChannel "invalid_channel" UNPROCESSABLE_ENTITY "A setting of the channel is not allowed",
    ChannelConflict "channel_conflict" CONFLICT "The channel is not the API's to change",
    EventsWait "events_wait" CONFLICT "Events wait in the channel",
    NoJournal "no_journal" CONFLICT "There is no journal",
    MisdirectedRequest "misdirected_request" MISDIRECTED_REQUEST "Not the name of this address",
    InvalidConfiguration "invalid_configuration" UNPROCESSABLE_ENTITY "The configuration has errors",
    Internal "internal" INTERNAL_SERVER_ERROR "The gateway failed",
}

impl Code {
    /// Why events are refused: each has a series of metrics from the start.
    pub const OF_EVENTS: [Self; 15] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownChannel,
        Self::ChannelOffline,
        Self::EventTooLarge,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidEvent,
        Self::QueueFull,
        Self::WouldExpire,
        Self::RateLimited,
        Self::Overloaded,
        Self::Draining,
        Self::SlowRequest,
    ];

    /// Whether only operators' addresses answer with it.
    #[must_use]
    pub const fn is_operators(self) -> bool {
        matches!(
            self,
            Self::MisdirectedRequest | Self::InvalidConfiguration | Self::Internal
        )
    }
}

/// An answer of this process that another node of the cluster can give, as an extension of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere;

/// Longest detail, in bytes: it may quote what was sent.
pub const DETAIL_MAX: usize = 240;

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Of what, as the `RateLimit` field names it.
    pub policy: &'static str,
    /// Units that may come at once.
    pub burst: u64,
    /// How long it takes until a whole burst may come again, in s.
    pub window_s: u64,
    /// When trying again makes sense; none: that much may never come at once.
    pub wait: Option<Duration>,
}

/// One refusal, of an event or of a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// Why, for people; at most [`DETAIL_MAX`] bytes.
    pub detail: Cow<'static, str>,
    /// When trying again makes sense, in ms. (Not 0, and so no larger than a number alone: a body
    /// can be refused in a hundred thousand pieces.)
    pub retry_after_ms: Option<NonZeroU64>,
    /// The producer's limit that was reached.
    pub limit: Option<Box<Exceeded>>,
    /// What it is about is at another node of the cluster.
    is_elsewhere: bool,
    /// It is the coding of the body that is not taken, and the answer says which are.
    names_codings: bool,
}

impl Refusal {
    /// A refusal that no waiting mends. A detail beyond [`DETAIL_MAX`] is cut.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if detail.len() > DETAIL_MAX {
            let end = detail.floor_char_boundary(DETAIL_MAX - '…'.len_utf8());
            detail = format!("{}…", &detail[..end]).into();
        }
        // A body of rubbish is many refusals, and a text that was written has room for twice it.
        if let Cow::Owned(text) = &mut detail {
            text.shrink_to_fit();
        }
        Self {
            code,
            detail,
            retry_after_ms: None,
            limit: None,
            is_elsewhere: false,
            names_codings: false,
        }
    }

    /// The same of what another node of the cluster has: its answer carries [`Elsewhere`].
    #[must_use]
    pub const fn elsewhere(mut self) -> Self {
        self.is_elsewhere = true;
        self
    }

    /// The same for the coding of a body: its answer says which are taken (RFC 9110, section 12.5.3).
    #[must_use]
    pub const fn accept_encoding(mut self) -> Self {
        self.names_codings = true;
        self
    }

    /// The same, worth another try after this many ms, at least 1.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(NonZeroU64::new(ms).unwrap_or(NonZeroU64::MIN));
        self
    }

    /// [`Code::BodyTooLarge`], of bodies that may have `max` bytes.
    #[must_use]
    pub fn body_too_large(max: usize) -> Self {
        let detail = format!("a body has at most {max} bytes");
        Self::new(Code::BodyTooLarge, detail)
    }

    /// [`Code::Malformed`].
    #[must_use]
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, detail)
    }

    /// [`Code::InvalidEvent`].
    #[must_use]
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidEvent, detail)
    }

    /// [`Code::Draining`].
    #[must_use]
    pub fn draining(retry_after_ms: u64) -> Self {
        Self::new(
            Code::Draining,
            "the gateway is shutting down and takes no new events",
        )
        .retry_after(retry_after_ms)
    }

    /// [`Code::NotFound`].
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing at this path")
    }
}

impl From<engine::Refusal> for Refusal {
    fn from(refusal: engine::Refusal) -> Self {
        let (code, retry_after) = match refusal {
            engine::Refusal::TooLarge { .. }
            | engine::Refusal::TooLargeForChannel { .. }
            | engine::Refusal::TooManySlices { .. } => (Code::EventTooLarge, None),
            engine::Refusal::InvalidData(_) => (Code::InvalidEvent, None),
            engine::Refusal::QueueFull { retry_after }
            | engine::Refusal::ShareFull { retry_after, .. } => {
                (Code::QueueFull, Some(retry_after))
            }
            engine::Refusal::WouldExpire { retry_after, .. } => {
                (Code::WouldExpire, Some(retry_after))
            }
            engine::Refusal::Offline => (Code::ChannelOffline, None),
        };
        let detail = match refusal {
            engine::Refusal::InvalidData(why) => Cow::Borrowed(why),
            engine::Refusal::QueueFull { .. } => Cow::Borrowed("the channel's queue is full"),
            other => Cow::Owned(other.to_string()),
        };
        let refusal = Self {
            code,
            detail,
            retry_after_ms: None,
            limit: None,
            is_elsewhere: false,
            names_codings: false,
        };
        match retry_after {
            Some(span) => refusal.retry_after(span.millis_ceil()),
            None => refusal,
        }
    }
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { policy, burst, .. } = exceeded;
        let Some(wait) = exceeded.wait else {
            let detail = format!(
                "more than the {burst} that the producer's limit of {policy} lets come at once"
            );
            return Self::new(Code::BodyTooLarge, detail);
        };
        let detail = format!("the producer's limit of {policy} is reached");
        let ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        let limit = Some(Box::new(exceeded));
        Self {
            limit,
            ..Self::new(Code::RateLimited, detail).retry_after(ms)
        }
    }
}
