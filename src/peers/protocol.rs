//! The protocol of nodes, and its words in those of the gateway.

use bytes::Bytes;
use engine::{Content, Data, Event, Wall};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dispatch::{self, Asked, Manner, Offered, Sender, Standing};
use crate::refusal::{Code, Refusal};

/// As `cuegate.proto` has it. A test writes it anew:
/// `CUEGATE_REWRITE=1 cargo test -p cuegate --lib the_code_of_the_protocol`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "made by a program"
)]
mod made {
    include!("generated/cuegate.rs");
}

pub(super) use made::*;

/// What this program speaks. Nodes that speak another ask nothing of each other.
pub(super) const VERSION: u32 = 2;

/// Most bytes of a message: a request of the largest body is shorter in this form, save for events of a few
/// bytes each.
pub(super) const MESSAGE_MAX: usize = 256 << 20;

/// A message that makes no sense here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Senseless(pub &'static str);

impl From<&Offered> for Events {
    fn from(offered: &Offered) -> Self {
        let events = offered.events.iter();
        let millis =
            |wait: std::time::Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            account: offered.account.0.clone(),
            region: offered.account.1.clone(),
            channels: offered.channels.clone(),
            events: events.map(|(channel, it)| event(*channel, it)).collect(),
            atomic: offered.manner == Manner::All,
            replaces: offered.manner == Manner::Replacing,
            wait_ms: offered.wait.map(millis),
            producer: offered.sender.as_ref().map(|sender| Producer {
                kind: sender.kind.to_owned(),
                name: sender.name.to_string(),
                percent: sender.percent.into(),
            }),
        }
    }
}

fn event(channel: usize, event: &engine::Event) -> made::Event {
    let content = &event.content;
    let text = |text: &Option<std::sync::Arc<str>>| text.as_ref().map(ToString::to_string);
    made::Event {
        channel: number(channel),
        data: Some(match &content.data {
            Data::Json(text) => event::Data::Json(text.to_string()),
            Data::Verbatim(text) => event::Data::Verbatim(text.to_string()),
        }),
        r#type: text(&content.kind),
        id: text(&content.id),
        key: text(&content.key),
        merge: content.merge.map(|merge| match merge {
            engine::Merge::Replace => Merge::Replace,
            engine::Merge::Sum => Merge::Sum,
            engine::Merge::Max => Merge::Max,
            engine::Merge::Min => Merge::Min,
            engine::Merge::Patch => Merge::Patch,
        } as i32),
        priority: match content.priority {
            engine::Priority::Low => Priority::Low,
            engine::Priority::Normal => Priority::Normal,
            engine::Priority::High => Priority::High,
        } as i32,
        ttl_ms: event.ttl_ms,
        at_us: event.at.map(Wall::micros),
    }
}

/// Places count the events of one request, which has at most a body's.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl TryFrom<Events> for Offered {
    type Error = Senseless;

    fn try_from(events: Events) -> Result<Self, Senseless> {
        let channels = events.channels.len();
        let read = events.events.into_iter().map(|event| {
            let channel = event.channel as usize;
            if channel >= channels {
                return Err(Senseless("an event is for no channel"));
            }
            Ok((channel, event_of(event)?))
        });
        Ok(Self {
            account: (events.account, events.region),
            events: read.collect::<Result<_, _>>()?,
            channels: events.channels,
            manner: match (events.atomic, events.replaces) {
                (false, false) => Manner::Each,
                (true, false) => Manner::All,
                (_, true) => Manner::Replacing,
            },
            wait: events.wait_ms.map(std::time::Duration::from_millis),
            sender: events.producer.map(|producer| Sender {
                kind: if producer.kind == "token" {
                    "token"
                } else {
                    "key"
                },
                name: producer.name.into(),
                percent: u8::try_from(producer.percent).unwrap_or(100),
            }),
        })
    }
}

fn event_of(event: made::Event) -> Result<Event, Senseless> {
    let data = match event.data.ok_or(Senseless("an event has no data"))? {
        event::Data::Json(text) => Data::Json(text.into()),
        event::Data::Verbatim(text) => Data::Verbatim(text.into()),
    };
    let merge = event.merge.map(|merge| {
        let merge =
            Merge::try_from(merge).map_err(|_| Senseless("an event merges in no known way"))?;
        Ok(match merge {
            Merge::Replace => engine::Merge::Replace,
            Merge::Sum => engine::Merge::Sum,
            Merge::Max => engine::Merge::Max,
            Merge::Min => engine::Merge::Min,
            Merge::Patch => engine::Merge::Patch,
        })
    });
    let priority = Priority::try_from(event.priority);
    let content = Content {
        kind: event.r#type.map(Into::into),
        id: event.id.map(Into::into),
        key: event.key.map(Into::into),
        merge: merge.transpose()?,
        priority: match priority.map_err(|_| Senseless("an event has no known priority"))? {
            Priority::Low => engine::Priority::Low,
            Priority::Normal => engine::Priority::Normal,
            Priority::High => engine::Priority::High,
        },
        ..Content::new(data)
    };
    Ok(Event {
        ttl_ms: event.ttl_ms,
        at: event.at_us.map(Wall::from_micros),
        ..Event::from(content)
    })
}

impl From<&dispatch::Taken> for made::Taken {
    fn from(taken: &dispatch::Taken) -> Self {
        let (queued, leaves_ms, held) = taken.standing.parts();
        let refused = taken.refused.iter();
        Self {
            accepted: taken.accepted as u64,
            duplicates: taken.duplicates.iter().copied().map(number).collect(),
            refused: refused
                .map(|(place, refusal)| refused_at(*place, refusal))
                .collect(),
            queued: queued as u64,
            leaves_ms,
            held,
            replaced: taken.replaced,
        }
    }
}

/// A refusal of the event in that place.
pub(super) fn refused_at(place: usize, refusal: &Refusal) -> Refused {
    Refused {
        event: number(place),
        code: refusal.code.name().to_owned(),
        detail: refusal.detail.clone().into_owned(),
        retry_after_ms: refusal.retry_after_ms.map(std::num::NonZero::get),
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let mut codes = Code::ALL.iter();
        // Of a newer node; no waiting is known to mend it.
        let code = codes.find(|code| code.name() == refused.code);
        let refusal = Self::new(*code.unwrap_or(&Code::InvalidEvent), refused.detail);
        match refused.retry_after_ms {
            Some(ms) => refusal.retry_after(ms),
            None => refusal,
        }
    }
}

impl From<made::Taken> for dispatch::Taken {
    fn from(taken: made::Taken) -> Self {
        let refused = taken.refused.into_iter();
        Self {
            accepted: size(taken.accepted),
            duplicates: taken.duplicates.into_iter().map(|it| it as usize).collect(),
            refused: refused
                .map(|refused| (refused.event as usize, refused.into()))
                .collect(),
            standing: Standing::told(size(taken.queued), taken.leaves_ms, taken.held),
            replaced: taken.replaced,
            ends: None,
        }
    }
}

impl From<dispatch::Ends> for made::Ends {
    fn from(ends: dispatch::Ends) -> Self {
        Self {
            delivered: ends.delivered as u64,
            merged: ends.merged as u64,
            expired: ends.expired as u64,
            cancelled: ends.cancelled as u64,
            evicted: ends.evicted as u64,
            dead_lettered: ends.dead_lettered as u64,
            pending: ends.pending as u64,
        }
    }
}

impl From<made::Ends> for dispatch::Ends {
    fn from(ends: made::Ends) -> Self {
        Self {
            delivered: size(ends.delivered),
            merged: size(ends.merged),
            expired: size(ends.expired),
            cancelled: size(ends.cancelled),
            evicted: size(ends.evicted),
            dead_lettered: size(ends.dead_lettered),
            pending: size(ends.pending),
        }
    }
}

impl From<&Asked> for Request {
    fn from(asked: &Asked) -> Self {
        Self {
            caller: Some(made::Caller {
                name: asked.caller.clone(),
                channels: asked.channels.clone(),
            }),
            method: asked.method.to_string(),
            path: asked.path.clone(),
            headers: headers(&asked.headers),
            body: asked.body.clone(),
        }
    }
}

/// Headers as they cross.
pub(super) fn headers(headers: &HeaderMap) -> Vec<Header> {
    let headers = headers.iter().map(|(name, value)| Header {
        name: name.to_string(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    });
    headers.collect()
}

/// And back: what is none is left out.
pub(super) fn headers_of(headers: Vec<Header>) -> HeaderMap {
    let headers = headers.into_iter().filter_map(|header| {
        let name = HeaderName::try_from(header.name).ok()?;
        let value = HeaderValue::from_maybe_shared(header.value).ok()?;
        Some((name, value))
    });
    headers.collect()
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
