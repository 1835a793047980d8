//! What a producer may send: events and bytes a second with a burst, in all and to each channel,
//! and how many connections it may hold.
//!
//! The arithmetic is governor's: a token bucket (GCRA) that starts full. It protects the gateway
//! from its producers; the API's own limits are the engine's business.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::arn::ChannelArn;
use crate::config::{ApiKeySettings, RateSettings};
use crate::refusal::Exceeded;

/// Bytes are counted in units, so that no more than this many come in a second: governor reckons
/// in whole nanoseconds.
const UNITS_A_SECOND: u64 = 10_000_000;

/// Channels of one producer whose rates are remembered at once: some 20 MB, and as many as
/// `limits.channels_max` allows by default. More share one rate until others are forgotten.
const CHANNELS_MAX: usize = 100_000;

/// What a producer may send.
#[derive(Debug)]
pub struct Limits {
    settings: (RateSettings, RateSettings, usize),
    events: Option<Rate<NotKeyed, InMemoryState>>,
    bytes: Option<Rate<NotKeyed, InMemoryState>>,
    channel_events: Option<Rate<ChannelArn, Channels>>,
    channel_bytes: Option<Rate<ChannelArn, Channels>>,
    connections: Arc<AtomicUsize>,
    /// Bytes of its unfinished bodies and messages.
    pub bodies: BodyBudget,
}

/// Bytes of bodies and messages that are on their way; a clone is the same budget.
#[derive(Clone, Debug, Default)]
pub struct BodyBudget(Arc<AtomicUsize>);

impl BodyBudget {
    /// Takes bytes, and says how many are taken then.
    #[expect(
        clippy::must_use_candidate,
        reason = "it takes, whatever the count is for"
    )]
    pub fn take(&self, bytes: usize) -> usize {
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Gives bytes back that were taken.
    pub fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A place among the connections of a producer, until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<AtomicUsize>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// The limits of a key. Connections, bodies and messages are counted on from `before`, whatever
    /// has changed.
    pub(super) fn of(key: &ApiKeySettings, before: Option<&Self>) -> Self {
        let (all, channel) = (&key.rates, &key.channel_rates);
        let connections = before.map(|before| Arc::clone(&before.connections));
        Self {
            settings: (*all, *channel, key.max_connections),
            events: Rate::events("events", all, RateLimiter::direct_with_clock),
            bytes: Rate::bytes("bytes", all, RateLimiter::direct_with_clock),
            channel_events: Rate::events("channel-events", channel, Channels::limiter),
            channel_bytes: Rate::bytes("channel-bytes", channel, Channels::limiter),
            connections: connections.unwrap_or_default(),
            bodies: before
                .map(|before| before.bodies.clone())
                .unwrap_or_default(),
        }
    }

    /// Whether the other allows the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings
    }

    /// Takes the bytes of one body or message, all or none.
    ///
    /// # Errors
    /// [`Exceeded`]: none was taken.
    pub fn take_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        match &self.bytes {
            Some(rate) => rate.take(rate.units(bytes), RateLimiter::check_n),
            None => Ok(()),
        }
    }

    /// Takes what it can of so many events: how many, and why no more.
    pub fn take_events(&self, events: usize) -> (usize, Option<Exceeded>) {
        match &self.events {
            Some(rate) => rate.take_some(events, RateLimiter::check_n),
            None => (events, None),
        }
    }

    /// The same of events to one channel, of these sizes in bytes.
    pub fn take_of_channel(
        &self,
        channel: &ChannelArn,
        sizes: &[usize],
    ) -> (usize, Option<Exceeded>) {
        let (mut taken, mut exceeded) = match &self.channel_events {
            Some(rate) => rate.take_some(sizes.len(), |limiter, n| limiter.check_key_n(channel, n)),
            None => (sizes.len(), None),
        };
        if let Some(rate) = &self.channel_bytes {
            for (index, bytes) in sizes[..taken].iter().enumerate() {
                let units = rate.units(*bytes);
                if let Err(why) = rate.take(units, |limiter, n| limiter.check_key_n(channel, n)) {
                    (taken, exceeded) = (index, Some(why));
                    break;
                }
            }
        }
        (taken, exceeded)
    }

    /// Whether anything is limited for each channel.
    #[must_use]
    pub const fn has_channel_rates(&self) -> bool {
        self.channel_events.is_some() || self.channel_bytes.is_some()
    }

    /// A place for one more connection.
    ///
    /// # Errors
    /// How many there may be: they are all taken.
    pub fn enter(&self) -> Result<ConnectionPermit, usize> {
        let most = match self.settings.2 {
            0 => usize::MAX,
            most => most,
        };
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        // Dropped where there is no room, which gives it back.
        let place = ConnectionPermit(Arc::clone(&self.connections));
        if before < most { Ok(place) } else { Err(most) }
    }

    /// Forgets channels whose limits are whole again.
    pub(super) fn tidy(&self) {
        for rate in [&self.channel_events, &self.channel_bytes]
            .into_iter()
            .flatten()
        {
            rate.limiter.retain_recent();
            rate.limiter.shrink_to_fit();
        }
    }
}

/// What was used of a rate, by channel. By its ARN: a channel that is forgotten and comes again has
/// another number, and must not have another burst.
#[derive(Default)]
struct Channels {
    each: DashMapStateStore<ChannelArn>,
    /// Of those for which there is no room.
    rest: InMemoryState,
}

impl Channels {
    fn limiter(quota: Quota, clock: Ticks) -> Limiter<ChannelArn, Self> {
        RateLimiter::new(quota, Self::default(), clock)
    }
}

impl StateStore for Channels {
    type Key = ChannelArn;

    fn measure_and_replace<T, F, E>(&self, channel: &ChannelArn, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if self.each.contains_key(channel) || self.each.len() < CHANNELS_MAX {
            self.each.measure_and_replace(channel, measure)
        } else {
            self.rest.measure_and_replace(&NotKeyed::NonKey, measure)
        }
    }
}

impl ShrinkableKeyedStateStore<ChannelArn> for Channels {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&self.each, drop_below);
    }

    fn shrink_to_fit(&self) {
        ShrinkableKeyedStateStore::shrink_to_fit(&self.each);
    }

    fn len(&self) -> usize {
        self.each.len()
    }

    fn is_empty(&self) -> bool {
        self.each.is_empty()
    }
}

type Limiter<K, S> = RateLimiter<K, S, Ticks, NoOpMiddleware<Nanos>>;

/// What governor says of `n` units: taken, not yet, or never.
type Checked = Result<Result<(), governor::NotUntil<Nanos>>, governor::InsufficientCapacity>;

/// So many units a second, and so many at once.
struct Rate<K, S: StateStore<Key = K>> {
    policy: &'static str,
    limiter: Limiter<K, S>,
    /// Bytes, or events, of one unit.
    unit: u64,
    burst: NonZeroU32,
    per_second: u64,
}

impl<K, S: StateStore<Key = K>> Rate<K, S> {
    fn events(
        policy: &'static str,
        settings: &RateSettings,
        make: impl Fn(Quota, Ticks) -> Limiter<K, S>,
    ) -> Option<Self> {
        let rate = u64::from(settings.events_per_second);
        Self::new(policy, rate, u64::from(settings.events_burst), 1, make)
    }

    fn bytes(
        policy: &'static str,
        settings: &RateSettings,
        make: impl Fn(Quota, Ticks) -> Limiter<K, S>,
    ) -> Option<Self> {
        let unit = settings.bytes_per_second.div_ceil(UNITS_A_SECOND).max(1);
        Self::new(
            policy,
            settings.bytes_per_second,
            settings.bytes_burst,
            unit,
            make,
        )
    }

    fn new(
        policy: &'static str,
        rate: u64,
        burst: u64,
        unit: u64,
        make: impl Fn(Quota, Ticks) -> Limiter<K, S>,
    ) -> Option<Self> {
        if rate == 0 {
            return None;
        }
        let burst = if burst == 0 { rate } else { burst };
        let burst = u32::try_from(burst / unit).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        // Rounded up: rather a little less than was allowed than more.
        let interval = (1_000_000_000 * unit).div_ceil(rate).max(1);
        let quota = Quota::with_period(Duration::from_nanos(interval))?.allow_burst(burst);
        Some(Self {
            policy,
            limiter: make(quota, Ticks::new()),
            unit,
            burst,
            per_second: rate,
        })
    }

    fn units(&self, bytes: usize) -> u64 {
        (bytes as u64).div_ceil(self.unit)
    }

    /// All or none.
    fn take(
        &self,
        units: u64,
        check: impl Fn(&Limiter<K, S>, NonZeroU32) -> Checked,
    ) -> Result<(), Exceeded> {
        if units == 0 {
            return Ok(());
        }
        let units = u32::try_from(units).ok().and_then(NonZeroU32::new);
        match units.map(|units| check(&self.limiter, units)) {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(not_until))) => {
                Err(self.exceeded(Some(not_until.wait_time_from(self.limiter.clock().now()))))
            }
            Some(Err(_)) | None => Err(self.exceeded(None)),
        }
    }

    /// As many as there are.
    fn take_some(
        &self,
        units: usize,
        check: impl Fn(&Limiter<K, S>, NonZeroU32) -> Checked,
    ) -> (usize, Option<Exceeded>) {
        let Err(_) = self.take(units as u64, &check) else {
            return (units, None);
        };
        for taken in 0..units {
            if let Err(exceeded) = self.take(1, &check) {
                return (taken, Some(exceeded));
            }
        }
        (units, None)
    }

    fn exceeded(&self, wait: Option<Duration>) -> Exceeded {
        let burst = u64::from(self.burst.get()) * self.unit;
        Exceeded {
            policy: self.policy,
            burst,
            window_s: burst.div_ceil(self.per_second),
            wait,
        }
    }
}

impl<K, S: StateStore<Key = K>> std::fmt::Debug for Rate<K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rate")
            .field("per_second", &self.per_second)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

/// governor's clock: tokio's, which tests can move.
#[derive(Clone, Debug)]
struct Ticks(Instant);

impl Ticks {
    fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}
