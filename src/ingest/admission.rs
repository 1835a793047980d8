//! A batch meets the gateway: channels are found, events offered, and the metrics of the edge
//! kept. The one place that counts events as received and as rejected.
//!
//! Accepted events and duplicates are counted by their queues.
//!
//! - `elsewhere`: events whose accounts are at other nodes.

mod elsewhere;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use engine::{Admission, Event, Replaced};

use crate::access::Caller;
use crate::dispatch::{Channel, Commits, Gateway, Manner, Standing, Unavailable, already_sent};
use crate::ingest::context::ApiContext;
use crate::ingest::parse::batch::Batch;
use crate::refusal::{Code, Refusal};
use crate::telemetry::{Meters, RefusalSample, Transport};
use elsewhere::Group;
pub use elsewhere::{Following, finish, from_peer};

/// What became of the events of a batch.
#[derive(Default)]
pub struct Tally {
    /// Taken in.
    pub accepted: usize,
    /// Positions of those that are known already.
    pub duplicates: Vec<usize>,
    /// Positions and refusals, in order.
    pub refused: Vec<(usize, Refusal)>,
    /// How the channels stand now.
    pub standing: Standing,
    /// What must be committed before anything of it is promised.
    pub commits: Commits,
    /// A queued event was cancelled for the one that was accepted.
    pub replaced: bool,
    /// Those at other nodes that somebody waits for.
    pub following: Vec<Following>,
    /// What is to be offered to other nodes.
    pub(crate) elsewhere: Vec<Group>,
}

impl Tally {
    fn admit(&mut self, admission: Admission, position: usize) {
        match admission {
            Admission::Accepted => self.accepted += 1,
            Admission::Duplicate => self.duplicates.push(position),
        }
    }

    /// The refusals from this one on, in the order in which they were noted.
    fn refusals_from(&self, first: usize) -> impl Iterator<Item = &Refusal> + Clone {
        self.refused[first..].iter().map(|(_, refusal)| refusal)
    }

    /// Whether nothing at all was taken. Asked after [`finish`].
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.accepted == 0 && self.duplicates.is_empty()
    }
}

/// Where events came in, and how.
#[derive(Clone, Copy)]
struct IngressMetrics<'a> {
    gateway: &'a Gateway,
    meters: &'a Meters,
    transport: Transport,
}

impl<'a> IngressMetrics<'a> {
    fn of(context: &'a ApiContext, transport: Transport) -> Self {
        Self {
            gateway: &context.gateway,
            meters: &context.meters,
            transport,
        }
    }

    fn received(&self, events: usize) {
        self.meters.received(self.transport, events as u64);
    }

    /// Counts refusals of a channel, and keeps the first of each code for people.
    fn reject<'r>(
        &self,
        channel: Option<&str>,
        refusals: impl Iterator<Item = &'r Refusal> + Clone,
    ) {
        let mut counts = [0_u64; Code::ALL.len()];
        for refusal in refusals.clone() {
            counts[refusal.code as usize] += 1;
        }
        for refusal in refusals {
            let events = std::mem::take(&mut counts[refusal.code as usize]);
            if events > 0 {
                self.meters.refused(&RefusalSample {
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
pub fn count_refusal(
    context: &ApiContext,
    transport: Transport,
    channel: Option<&str>,
    refusal: &Refusal,
) {
    let metrics = IngressMetrics::of(context, transport);
    metrics.received(1);
    metrics.reject(channel, std::iter::once(refusal));
}

/// Offers every event for itself. `channel` is the path's, which the caller may publish to;
/// without one, every event names its own. Nothing of it is promised before [`finish`].
#[must_use]
pub fn offer(
    context: &ApiContext,
    caller: &Caller,
    transport: Transport,
    channel: Option<&Arc<Channel>>,
    mut batch: Batch<'_>,
) -> Tally {
    let metrics = IngressMetrics::of(context, transport);
    metrics.received(batch.total());
    if let Some((taken, refusal)) = beyond_its_rate(caller, batch.total()) {
        batch.refuse_from(taken, &refusal);
    }
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
    let mut tally = Tally {
        refused: std::mem::take(&mut batch.refused),
        ..Tally::default()
    };
    if !tally.refused.is_empty() {
        let name = channel.map(|channel| channel.name());
        metrics.reject(name.as_deref(), tally.refusals_from(0));
    }
    let admitter = Admitter::of(context, metrics, caller);
    match channel {
        Some(channel) => admitter.to(channel, batch.events, position, &mut tally),
        None => admitter.to_each(&batch.channels, batch.events, position, &mut tally),
    }
    tally
        .refused
        .sort_unstable_by_key(|(position, _)| *position);
    tally.duplicates.sort_unstable();
    tally
}

/// How many of so many events the caller's own rate lets through, if not all, and what the
/// others are refused for.
fn beyond_its_rate(caller: &Caller, events: usize) -> Option<(usize, Refusal)> {
    let (taken, exceeded) = caller.limits()?.take_events(events);
    Some((taken, exceeded?.into()))
}

/// The same of events to one channel.
fn beyond_its_channel_rate(
    caller: &Caller,
    channel: &Channel,
    events: &[Event],
) -> Option<(usize, Refusal)> {
    let limits = caller.limits()?;
    if !limits.has_channel_rates() {
        return None;
    }
    let sizes: Vec<usize> = events.iter().map(Event::bytes).collect();
    let (taken, exceeded) = limits.take_of_channel(channel.arn(), &sizes);
    Some((taken, exceeded?.into()))
}

/// Somebody's events on their way to their queues.
struct Admitter<'a> {
    context: &'a ApiContext,
    metrics: IngressMetrics<'a>,
    caller: &'a Caller,
    /// A near name was looked for: once a batch, for that costs.
    has_looked: Cell<bool>,
}

impl<'a> Admitter<'a> {
    const fn of(context: &'a ApiContext, metrics: IngressMetrics<'a>, caller: &'a Caller) -> Self {
        Self {
            context,
            metrics,
            caller,
            has_looked: Cell::new(false),
        }
    }

    fn to(
        &self,
        channel: &Arc<Channel>,
        mut events: Vec<Event>,
        position: impl Fn(usize) -> usize,
        tally: &mut Tally,
    ) {
        let before = tally.refused.len();
        if let Some((taken, refusal)) = beyond_its_channel_rate(self.caller, channel, &events) {
            let refused = (taken..events.len()).map(|index| (position(index), refusal.clone()));
            tally.refused.extend(refused);
            events.truncate(taken);
        }
        if let Some(producer) = self.caller.producer() {
            for event in &mut events {
                event.producer = Some(producer);
            }
        }
        let count = events.len();
        let mut results = Vec::with_capacity(count);
        let gateway = self.metrics.gateway;
        match gateway.offer(channel, &mut events, &mut results) {
            Ok((standing, commits)) => {
                tally.standing = tally.standing.and(standing);
                tally.commits = std::mem::take(&mut tally.commits).and(commits);
            }
            Err(Unavailable::Elsewhere) if gateway.others().is_some() => {
                let events = events.into_iter().enumerate();
                let events = events.map(|(index, event)| (position(index), event));
                tally.later(self.caller, channel, events);
            }
            Err(refused) => {
                let refusal = Refusal::from(refused);
                tally
                    .refused
                    .extend((0..count).map(|index| (position(index), refusal.clone())));
            }
        }
        for (index, result) in results.into_iter().enumerate() {
            match result {
                Ok(admission) => tally.admit(admission, position(index)),
                Err(refusal) => tally.refused.push((position(index), refusal.into())),
            }
        }
        if tally.refused.len() > before {
            self.metrics
                .reject(Some(&channel.name()), tally.refusals_from(before));
        }
    }

    /// Offers the events of each channel together, in their order.
    fn to_each(
        &self,
        names: &[Cow<'_, str>],
        events: Vec<Event>,
        position: impl Fn(usize) -> usize,
        tally: &mut Tally,
    ) {
        let mut found: HashMap<&str, Result<usize, Refusal>> = HashMap::new();
        // An alias and an ARN may name the same channel, whose order is one.
        let mut known: HashMap<*const Channel, usize> = HashMap::new();
        let mut groups: Vec<(Arc<Channel>, Vec<usize>, Vec<Event>)> = Vec::new();
        let (before, mut unknown) = (tally.refused.len(), None);
        for (index, (event, name)) in events.into_iter().zip(names).enumerate() {
            let group = found.entry(name).or_insert_with(|| {
                let channel = self.channel(name)?;
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
            self.metrics.reject(Some(name), tally.refusals_from(before));
        }
        for (channel, positions, events) in groups {
            self.to(&channel, events, |index| positions[index], tally);
        }
    }

    fn replace(&self, channel: &Arc<Channel>, mut event: Event) -> Result<Tally, Refusal> {
        if let Some((_, refusal)) = beyond_its_rate(self.caller, 1) {
            return Err(refusal);
        }
        event.producer = self.caller.producer();
        let one = std::slice::from_ref(&event);
        if let Some((_, refusal)) = beyond_its_channel_rate(self.caller, channel, one) {
            return Err(refusal);
        }
        let gateway = self.metrics.gateway;
        if gateway.others().is_some() && gateway.is_elsewhere(channel) {
            let events = vec![(Arc::clone(channel), event)];
            return Ok(self.all_elsewhere(Manner::Replacing, events));
        }
        match gateway.replace(channel, event)?? {
            (Replaced::Gone, ..) => Err(already_sent()),
            (replaced, standing, commits) => Ok(Tally {
                accepted: 1,
                standing,
                commits,
                replaced: replaced == Replaced::Replaced,
                ..Tally::default()
            }),
        }
    }

    fn all_elsewhere(&self, manner: Manner, events: Vec<(Arc<Channel>, Event)>) -> Tally {
        Tally {
            elsewhere: Group::of(manner, self.caller, events).into_iter().collect(),
            ..Tally::default()
        }
    }

    fn channel(&self, name: &str) -> Result<Arc<Channel>, Refusal> {
        let (context, caller) = (self.context, self.caller);
        let found = context.find_addressee(caller, name);
        found.map_err(|refusal| {
            if refusal.code == Code::UnknownChannel && !self.has_looked.replace(true) {
                context.with_near_name(refusal, caller, name)
            } else {
                refusal
            }
        })
    }

    fn all(
        &self,
        channel: Option<&Arc<Channel>>,
        mut batch: Batch<'_>,
    ) -> Result<Tally, (usize, Refusal)> {
        if let Some(beyond) = beyond_its_rate(self.caller, batch.total()) {
            return Err(beyond);
        }
        if !batch.refused.is_empty() {
            return Err(batch.refused.swap_remove(0));
        }
        let channels = match channel {
            Some(channel) => vec![Arc::clone(channel); batch.events.len()],
            None => (batch.channels.iter().enumerate())
                .map(|(index, name)| self.channel(name).map_err(|refusal| (index, refusal)))
                .collect::<Result<_, _>>()?,
        };
        for (index, (channel, event)) in channels.iter().zip(&mut batch.events).enumerate() {
            event.producer = self.caller.producer();
            let one = std::slice::from_ref(event);
            if let Some((_, refusal)) = beyond_its_channel_rate(self.caller, channel, one) {
                return Err((index, refusal));
            }
        }
        let gateway = self.metrics.gateway;
        let is_elsewhere = |channel: &Arc<Channel>| gateway.is_elsewhere(channel);
        let elsewhere = gateway.others().is_some() && channels.iter().any(is_elsewhere);
        if elsewhere {
            elsewhere::one_node(gateway, channels.iter()).map_err(|refusal| (0, refusal))?;
        }
        let events = channels.into_iter().zip(batch.events).collect();
        if elsewhere {
            return Ok(self.all_elsewhere(Manner::All, events));
        }
        let (admissions, standing, commits) = gateway
            .offer_all(events)
            .map_err(|refused| (0, refused.into()))?
            .map_err(|(index, refusal)| (index, refusal.into()))?;
        let mut tally = Tally {
            standing,
            commits,
            ..Tally::default()
        };
        for (position, admission) in admissions.into_iter().enumerate() {
            tally.admit(admission, position);
        }
        Ok(tally)
    }
}

/// Offers an event in the place of the queued one of its id. Nothing of it is promised before [`finish`].
///
/// # Errors
/// Why it was refused; nothing has changed.
pub fn replace(
    context: &ApiContext,
    caller: &Caller,
    channel: &Arc<Channel>,
    event: Result<Event, Refusal>,
) -> Result<Tally, Refusal> {
    let metrics = IngressMetrics::of(context, Transport::Http);
    metrics.received(1);
    let admitter = Admitter::of(context, metrics, caller);
    let replaced = event.and_then(|event| admitter.replace(channel, event));
    if let Err(refusal) = &replaced {
        metrics.reject(Some(&channel.name()), std::iter::once(refusal));
    }
    replaced
}

/// Offers all events or none. Nothing of it is promised before [`finish`], which may still refuse them
/// where another node has them.
///
/// # Errors
/// The position and the refusal of the first that was refused; nothing has changed.
pub fn offer_all(
    context: &ApiContext,
    caller: &Caller,
    transport: Transport,
    channel: Option<&Arc<Channel>>,
    batch: Batch<'_>,
) -> Result<Tally, (usize, Refusal)> {
    let metrics = IngressMetrics::of(context, transport);
    let total = batch.total();
    let result = Admitter::of(context, metrics, caller).all(channel, batch);
    metrics.received(total);
    if let Err((_, refusal)) = &result {
        let name = channel.map(|channel| channel.name());
        // All of them were refused, for what the first was.
        metrics.reject(name.as_deref(), std::iter::repeat_n(refusal, total));
    }
    result
}
