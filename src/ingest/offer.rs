//! A batch meets the gateway: channels are found, events offered, and the books of the edge
//! kept. The one place that counts events as received and as rejected.
//!
//! Accepted events and duplicates are counted by their queues.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{Admission, Event};

use super::batch::Batch;
use super::door::Door;
use super::refusal::{Code, Refusal};
use crate::dispatch::{Channel, Gateway, Standing};
use crate::telemetry::{Meters, Refused, Transport};

/// What became of the events of a batch.
#[derive(Debug, Default)]
pub struct Tally {
    /// Taken in.
    pub accepted: usize,
    /// Known already.
    pub duplicates: usize,
    /// Positions and refusals, in order.
    pub refused: Vec<(usize, Refusal)>,
    /// How the channels stand now.
    pub standing: Standing,
}

impl Tally {
    fn admit(&mut self, admission: Admission) {
        match admission {
            Admission::Accepted => self.accepted += 1,
            Admission::Duplicate => self.duplicates += 1,
        }
    }

    /// The refusals from this one on, in the order in which they were noted.
    fn refusals_from(&self, first: usize) -> impl Iterator<Item = &Refusal> + Clone {
        self.refused[first..].iter().map(|(_, refusal)| refusal)
    }

    /// Whether nothing at all was taken.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.accepted == 0 && self.duplicates == 0
    }
}

/// Whose books are kept, and how the events came in.
struct Books<'a> {
    gateway: &'a Gateway,
    meters: &'a Meters,
    transport: Transport,
}

impl Books<'_> {
    /// Counts refusals of a channel, and keeps the first of each code for people.
    fn reject<'a>(
        &self,
        channel: Option<&str>,
        refusals: impl Iterator<Item = &'a Refusal> + Clone,
    ) {
        let mut counts = [0_u64; Code::ALL.len()];
        for refusal in refusals.clone() {
            counts[refusal.code as usize] += 1;
        }
        for refusal in refusals {
            let events = std::mem::take(&mut counts[refusal.code as usize]);
            if events > 0 {
                self.meters.refused(&Refused {
                    transport: self.transport,
                    channel,
                    code: refusal.code.name(),
                    detail: &refusal.detail,
                    events,
                    at_ms: self.gateway.clock().epoch_ms(),
                });
            }
        }
    }
}

/// Counts a request that was refused before anything of it was read, as one event.
pub fn count_refusal(door: &Door, transport: Transport, channel: Option<&str>, refusal: &Refusal) {
    let books = Books {
        gateway: &door.gateway,
        meters: &door.meters,
        transport,
    };
    books.meters.received(transport, 1);
    books.reject(channel, std::iter::once(refusal));
}

/// Offers every event for itself. `channel` is the path's; without one, every event names
/// its own.
pub fn offer(
    gateway: &Gateway,
    meters: &Meters,
    transport: Transport,
    channel: Option<&Arc<Channel>>,
    mut batch: Batch<'_>,
) -> Tally {
    meters.received(transport, batch.total() as u64);
    let positions: Vec<usize> = if batch.refused.is_empty() {
        Vec::new()
    } else {
        batch.positions().collect()
    };
    let position = |index: usize| {
        if positions.is_empty() {
            index
        } else {
            positions[index]
        }
    };
    let books = Books {
        gateway,
        meters,
        transport,
    };
    let mut tally = Tally {
        refused: std::mem::take(&mut batch.refused),
        ..Tally::default()
    };
    if !tally.refused.is_empty() {
        let name = channel.map(|channel| channel.name());
        books.reject(name.as_deref(), tally.refusals_from(0));
    }
    match channel {
        Some(channel) => offer_to(&books, channel, batch.events, position, &mut tally),
        None => offer_to_each(&books, batch, position, &mut tally),
    }
    tally
        .refused
        .sort_unstable_by_key(|(position, _)| *position);
    tally
}

fn offer_to(
    books: &Books<'_>,
    channel: &Arc<Channel>,
    events: Vec<Event>,
    position: impl Fn(usize) -> usize,
    tally: &mut Tally,
) {
    let count = events.len();
    let before = tally.refused.len();
    let mut results = Vec::with_capacity(count);
    match books.gateway.offer(channel, events, &mut results) {
        Ok(standing) => tally.standing = tally.standing.and(standing),
        Err(refused) => {
            let refusal = Refusal::from(refused);
            tally
                .refused
                .extend((0..count).map(|index| (position(index), refusal.clone())));
        }
    }
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(admission) => tally.admit(admission),
            Err(refusal) => tally.refused.push((position(index), refusal.into())),
        }
    }
    if tally.refused.len() > before {
        books.reject(Some(&channel.name()), tally.refusals_from(before));
    }
}

/// Offers the events of each channel together, in their order.
fn offer_to_each(
    books: &Books<'_>,
    batch: Batch<'_>,
    position: impl Fn(usize) -> usize,
    tally: &mut Tally,
) {
    let mut found: HashMap<&str, Result<usize, Refusal>> = HashMap::new();
    // An alias and an ARN may name the same channel, whose order is one.
    let mut known: HashMap<*const Channel, usize> = HashMap::new();
    let mut groups: Vec<(Arc<Channel>, Vec<usize>, Vec<Event>)> = Vec::new();
    let (before, mut unknown) = (tally.refused.len(), None);
    for (index, (event, name)) in batch.events.into_iter().zip(&batch.channels).enumerate() {
        let group = found.entry(name).or_insert_with(|| {
            let channel = books.gateway.channel(name)?;
            Ok(*known.entry(Arc::as_ptr(&channel)).or_insert_with(|| {
                groups.push((channel, Vec::new(), Vec::new()));
                groups.len() - 1
            }))
        });
        match group {
            Ok(group) => {
                groups[*group].1.push(position(index));
                groups[*group].2.push(event);
            }
            Err(refusal) => {
                tally.refused.push((position(index), refusal.clone()));
                unknown = Some(name);
            }
        }
    }
    if let Some(name) = unknown {
        books.reject(Some(name), tally.refusals_from(before));
    }
    for (channel, positions, events) in groups {
        offer_to(books, &channel, events, |index| positions[index], tally);
    }
}

/// Offers all events or none.
///
/// # Errors
/// The position and the refusal of the first that was refused; nothing has changed.
pub fn offer_all(
    gateway: &Gateway,
    meters: &Meters,
    transport: Transport,
    channel: Option<&Arc<Channel>>,
    batch: Batch<'_>,
) -> Result<Tally, (usize, Refusal)> {
    let total = batch.total();
    let result = offer_together(gateway, channel, batch);
    meters.received(transport, total as u64);
    if let Err((_, refusal)) = &result {
        let books = Books {
            gateway,
            meters,
            transport,
        };
        let name = channel.map(|channel| channel.name());
        // All of them were refused, for what the first was.
        books.reject(name.as_deref(), std::iter::repeat_n(refusal, total));
    }
    result
}

fn offer_together(
    gateway: &Gateway,
    channel: Option<&Arc<Channel>>,
    mut batch: Batch<'_>,
) -> Result<Tally, (usize, Refusal)> {
    if !batch.refused.is_empty() {
        return Err(batch.refused.swap_remove(0));
    }
    let channels = match channel {
        Some(channel) => vec![Arc::clone(channel); batch.events.len()],
        None => (batch.channels.iter().enumerate())
            .map(|(index, name)| {
                gateway
                    .channel(name)
                    .map_err(|refused| (index, refused.into()))
            })
            .collect::<Result<_, _>>()?,
    };
    let events = channels.into_iter().zip(batch.events).collect();
    let (admissions, standing) = gateway
        .offer_all(events)
        .map_err(|refused| (0, refused.into()))?
        .map_err(|(index, refusal)| (index, refusal.into()))?;
    let mut tally = Tally {
        standing,
        ..Tally::default()
    };
    for admission in admissions {
        tally.admit(admission);
    }
    Ok(tally)
}
