//! Who sends events: from nothing at all to far too much.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use engine::{
    Admission, Cancelled, ChannelPolicy, Compress, Data, Envelope, EnvelopeFields, Event,
    Keyframes, Merge, Offline, OnUnknown, Overflow, Priority, Span, Time, Wall,
};

use crate::books::Appointment;
use crate::driver::Driver;
use crate::random::Random;
use crate::scenario::{SECOND, Traffic};

/// The producers of one channel.
pub struct Producer {
    id: u32,
    pub traffic: Traffic,
    seq: u64,
    /// Ids in use, by the number of their event.
    ids: VecDeque<u64>,
}

impl Producer {
    pub const fn new(id: u32, traffic: Traffic) -> Self {
        Self {
            id,
            traffic,
            seq: 0,
            ids: VecDeque::new(),
        }
    }

    /// Rules for the channel: those that fit its traffic, the others at random.
    pub fn policy(&self, random: &mut Random) -> Arc<ChannelPolicy> {
        let mut policy = ChannelPolicy {
            fields: EnvelopeFields {
                kind: true,
                key: random.chance(5000),
                id: random.chance(2000),
            },
            compress: match self.id % 10 {
                2 | 3 => Compress::Deflate,
                _ => Compress::Off,
            },
            // Where nothing is compressed it is nothing.
            event_max_bytes: 65_536,
            keyframes: Keyframes {
                on: self.id % 3 != 1,
                max_keys: random.pick(&[2, 1000]),
                ..Keyframes::default()
            },
            ..ChannelPolicy::default()
        };
        match self.traffic {
            Traffic::Flood => {
                policy.queue_max_bytes = 20_000;
                policy.ttl_ms = 60_000;
                policy.overflow = random.pick(&[Overflow::Reject, Overflow::DropOldest]);
            }
            Traffic::Mixed => {
                // `raw` shows counts where `array` does too, so it stays what it is.
                policy.envelope = match self.id % 10 {
                    7 => Envelope::Raw,
                    _ => random.pick(&[Envelope::Cue, Envelope::Cue, Envelope::Array]),
                };
                policy.queue_max_events = random.pick(&[50, 500]);
                policy.overflow = random.pick(&[
                    Overflow::DropLowestPriority,
                    Overflow::Reject,
                    Overflow::DropOldest,
                ]);
                policy.offline =
                    random.pick(&[Offline::Hold, Offline::Hold, Offline::Drop, Offline::Reject]);
                policy.on_unknown =
                    random.pick(&[OnUnknown::Retry, OnUnknown::Retry, OnUnknown::Drop]);
                policy.dedup_window = Span::from_millis(random.pick(&[1000, 300_000]));
                policy.lookahead = usize::try_from(random.within(0..3)).expect("small");
            }
            _ => {}
        }
        Arc::new(policy)
    }

    /// Does what is to be done now; the answer is the time to the next, in µs.
    pub fn work(&mut self, now: Time, driver: &mut Driver, random: &mut Random) -> u64 {
        match self.traffic {
            Traffic::Lone(mean) => {
                self.put(now, driver, random, |_, _| {});
                random.within(0..2 * mean)
            }
            Traffic::Bursts => {
                for _ in 0..random.within(1..80) {
                    self.put(now, driver, random, |_, _| {});
                }
                let soon = random.chance(6000);
                random.within(if soon {
                    1000..50_000
                } else {
                    SECOND..20 * SECOND
                })
            }
            Traffic::Flood => {
                for _ in 0..12 {
                    self.put(now, driver, random, |_, _| {});
                }
                random.within(0..200_000)
            }
            Traffic::Counters => {
                for _ in 0..random.within(1..6) {
                    if random.chance(5000) {
                        self.count(now, driver, random);
                    } else {
                        self.put(now, driver, random, |event, random| {
                            let key = random.within(1..4);
                            event.content.key = Some(format!("k{key}").into());
                            event.content.merge = Some(Merge::Replace);
                        });
                    }
                }
                let busy = random.chance(9900);
                random.within(if busy { 0..60_000 } else { SECOND..10 * SECOND })
            }
            Traffic::Mixed => {
                for _ in 0..random.within(1..10) {
                    self.mixed(now, driver, random);
                }
                let busy = random.chance(9000);
                random.within(if busy { 0..200_000 } else { SECOND..8 * SECOND })
            }
        }
    }

    /// One event whose data says what the checks want to know of it.
    fn put(
        &mut self,
        now: Time,
        driver: &mut Driver,
        random: &mut Random,
        change: impl FnOnce(&mut Event, &mut Random),
    ) {
        let seq = self.seq;
        self.seq += 1;
        let mut event = Event::new(Data::Json("".into()));
        event.waiter = seq + 1;
        change(&mut event, random);
        let key = event
            .content
            .key
            .as_ref()
            .and_then(|key| key[1..].parse().ok())
            .unwrap_or(0);
        let channel = &mut driver.world.channels[self.id as usize];
        let at = event.at.map(|at| at.time(driver.world.origin));
        let due = at.map_or(now, |at| at.max(now)).micros();
        let ttl = u64::from(event.ttl_ms.unwrap_or(channel.queue.policy().ttl_ms)) * 1000;
        let policy = channel.queue.policy();
        let is_sliced = policy.compress == Compress::Deflate && policy.envelope == Envelope::Cue;
        let pad = if is_sliced && event.at.is_none() && random.chance(400) {
            noise(random)
        } else {
            "x".repeat(usize::try_from(random.within(0..80)).expect("small"))
        };
        let data = format!(r#"[{key},{seq},{due},{},"{pad}"]"#, due + ttl);
        event.content.data = Data::Json(data.into());
        self.offer(now, driver, event, false);
    }

    /// One vote, which merges with the others.
    fn count(&mut self, now: Time, driver: &mut Driver, random: &mut Random) {
        let mut event = Event::new(Data::Json("1".into()));
        event.waiter = self.seq + 1;
        self.seq += 1;
        event.content.key = Some(random.pick(&["votes", "likes"]).into());
        event.content.merge = Some(Merge::Sum);
        self.offer(now, driver, event, true);
    }

    fn offer(&mut self, now: Time, driver: &mut Driver, event: Event, is_count: bool) {
        let (seq, id) = (event.waiter - 1, self.id);
        let origin = driver.world.origin;
        let answer = driver.with(id, |channel| {
            let ttl_ms = event.ttl_ms.unwrap_or(channel.queue.policy().ttl_ms);
            let (at, merges) = (event.at, event.content.merge.is_some());
            let answer = channel.queue.accept(now, event);
            if answer == Ok(Admission::Accepted) {
                channel.books.accepted(seq, is_count);
                if let Some(at) = at {
                    let due = Appointment {
                        due: at.time(origin).max(now),
                        ttl: Span::from_millis(u64::from(ttl_ms)),
                        merges,
                    };
                    channel.books.waits(seq, at, now, &due);
                }
            }
            answer
        });
        driver.mark(seq ^ u64::from(answer.is_ok()));
    }

    fn mixed(&mut self, now: Time, driver: &mut Driver, random: &mut Random) {
        let recent = self
            .ids
            .get(usize::try_from(random.within(0..20)).expect("small"))
            .copied();
        match random.within(0..100) {
            0..4 => {
                if let Some(id) = recent {
                    let answer = driver.with(self.id, |channel| {
                        channel.queue.cancel(now, &format!("i{id}"))
                    });
                    driver.mark(u64::from(answer == Cancelled::Done));
                }
                return;
            }
            4 if random.chance(1000) => {
                let key = random.pick(&[Some("k1"), Some("k2"), None]);
                let count =
                    driver.with(self.id, |channel| channel.queue.purge(now, Some("t"), key));
                driver.mark(count as u64);
                return;
            }
            5..15 if self.id % 10 != 7 => return self.count(now, driver, random),
            _ => {}
        }
        let number = self.seq;
        let origin = driver.world.origin;
        let mut new_id = None;
        self.put(now, driver, random, |event, random| {
            if random.chance(5000) {
                event.content.key = Some(format!("k{}", random.within(1..6)).into());
                event.content.merge = random.pick(&[None, None, Some(Merge::Replace)]);
            }
            if random.chance(3000) {
                // Now and then one that was seen before.
                let id = recent.filter(|_| random.chance(2000)).unwrap_or(number);
                new_id = Some(id);
                event.content.id = Some(format!("i{id}").into());
            }
            if random.chance(3000) {
                event.content.kind = Some("t".into());
            }
            event.content.priority = random.pick(&[
                Priority::Low,
                Priority::Normal,
                Priority::Normal,
                Priority::High,
            ]);
            if random.chance(4000) {
                event.ttl_ms = Some(random.pick(&[50, 500, 3000, 30_000]));
            }
            if random.chance(1500) {
                let at = now + Span::from_micros(random.within(0..20 * SECOND));
                event.at = Some(Wall::from_micros(
                    at.micros().cast_signed() + origin.micros(),
                ));
            }
        });
        if let Some(id) = new_id {
            self.ids.push_front(id);
            self.ids.truncate(20);
        }
    }
}

/// What leaves in two to five slices.
fn noise(random: &mut Random) -> String {
    let mut digits = String::new();
    for _ in 0..random.within(120..420) {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{:016x}", random.next());
    }
    digits
}
