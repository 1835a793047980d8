//! What a channel did of late, for whoever looks at it afterwards: payloads, and ends of events.
//!
//! Bounded per channel, so that a busy channel does not push out a quiet one's, and in all,
//! because an idle channel must cost next to nothing. What is here is a convenience: the
//! oldest go in silence.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::ChannelId;

/// A payload the API took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its number within the channel.
    pub n: u64,
    /// When the API's answer was there, in ms since 1970.
    pub at_ms: u64,
    /// The metadata.
    pub text: Arc<str>,
}

/// What is kept of a kind.
pub(super) trait Bounded {
    /// Most of a channel.
    const PER_CHANNEL: usize;

    /// Most bytes over all channels.
    const BYTES_MAX: usize;

    /// What it takes beside its texts, about: a small one must not be free.
    const OVERHEAD: usize = 160;

    /// Bytes of its texts.
    fn text_bytes(&self) -> usize;

    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        self.text_bytes() + Self::OVERHEAD
    }
}

impl Bounded for Delivered {
    /// Four seconds at full pace, and more than a screen shows.
    const PER_CHANNEL: usize = 20;

    /// The last 20 full ones of some 200 channels.
    const BYTES_MAX: usize = 4 << 20;

    fn text_bytes(&self) -> usize {
        self.text.len()
    }
}

/// The latest of a kind, over all channels.
pub(super) struct Recent<T>(Mutex<Kept<T>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            next: 0,
            bytes: 0,
            all: BTreeMap::new(),
            by_channel: HashMap::new(),
        }))
    }
}

struct Kept<T> {
    next: u64,
    bytes: usize,
    /// In the order in which they came.
    all: BTreeMap<u64, (ChannelId, Arc<T>)>,
    /// Those of a channel, oldest first. None is empty.
    by_channel: HashMap<ChannelId, VecDeque<u64>>,
}

impl<T: Bounded> Recent<T> {
    /// Keeps what came of a channel, in this order, and forgets what is too much then.
    pub(super) fn add<'t>(&self, channel: ChannelId, came: impl IntoIterator<Item = &'t Arc<T>>)
    where
        T: 't,
    {
        let mut kept = self.lock();
        for one in came {
            kept.add(channel, one);
        }
    }

    /// Those of a channel, oldest first.
    pub(super) fn of(&self, channel: ChannelId) -> Vec<Arc<T>> {
        let kept = self.lock();
        let numbers = kept.by_channel.get(&channel).into_iter().flatten();
        numbers
            .filter_map(|number| kept.all.get(number))
            .map(|(_, one)| Arc::clone(one))
            .collect()
    }

    /// Forgets those of a channel.
    pub(super) fn clear(&self, channel: ChannelId) {
        let mut kept = self.lock();
        while let Some(oldest) = kept.oldest_of(channel) {
            kept.forget(oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Bounded> Kept<T> {
    fn add(&mut self, channel: ChannelId, one: &Arc<T>) {
        let number = self.next;
        self.next += 1;
        self.bytes += one.weight();
        self.all.insert(number, (channel, Arc::clone(one)));
        let own = self.by_channel.entry(channel).or_default();
        own.push_back(number);
        if own.len() > T::PER_CHANNEL
            && let Some(oldest) = own.front().copied()
        {
            self.forget(oldest);
        }
        while self.bytes > T::BYTES_MAX
            && let Some((oldest, _)) = self.all.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    fn oldest_of(&self, channel: ChannelId) -> Option<u64> {
        self.by_channel.get(&channel)?.front().copied()
    }

    /// Forgets one that is the oldest of its channel.
    fn forget(&mut self, number: u64) {
        let Some((channel, one)) = self.all.remove(&number) else {
            return;
        };
        self.bytes -= one.weight();
        if let Some(own) = self.by_channel.get_mut(&channel) {
            own.pop_front();
            if own.is_empty() {
                self.by_channel.remove(&channel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_CHANNEL: usize = Delivered::PER_CHANNEL;
    const BYTES_MAX: usize = Delivered::BYTES_MAX;

    fn payload(n: u64, bytes: usize) -> Arc<Delivered> {
        Arc::new(Delivered {
            n,
            at_ms: 0,
            text: "x".repeat(bytes).into(),
        })
    }

    fn numbers(recent: &Recent<Delivered>, channel: u32) -> Vec<u64> {
        let kept = recent.of(ChannelId(channel));
        kept.iter().map(|payload| payload.n).collect()
    }

    #[test]
    fn a_busy_channel_leaves_a_quiet_one_its_own() {
        let recent = Recent::default();
        recent.add(ChannelId(1), &[payload(1, 10)]);
        for n in 0..1000 {
            recent.add(ChannelId(2), &[payload(n, 1024)]);
        }
        assert_eq!(numbers(&recent, 1), [1]);
        let last: Vec<u64> = (1000 - PER_CHANNEL as u64..1000).collect();
        assert_eq!(numbers(&recent, 2), last);
        assert_eq!(numbers(&recent, 3), [0; 0]);
    }

    #[test]
    fn all_together_have_a_bound() {
        let recent = Recent::default();
        let channels = 10 * BYTES_MAX / 1024;
        for channel in 0..channels {
            let id = ChannelId(u32::try_from(channel).expect("few"));
            recent.add(id, &[payload(7, 1024)]);
        }
        let kept = recent.0.lock().expect("the lock");
        assert!(kept.bytes <= BYTES_MAX, "{}", kept.bytes);
        assert_eq!(kept.all.len(), BYTES_MAX / (1024 + Delivered::OVERHEAD));
        assert_eq!(kept.by_channel.len(), kept.all.len());
        drop(kept);
        assert_eq!(numbers(&recent, 0), [0; 0], "the oldest went");
        let last = u32::try_from(channels - 1).expect("few");
        assert_eq!(numbers(&recent, last), [7]);
        recent.clear(ChannelId(last));
        assert_eq!(numbers(&recent, last), [0; 0], "forgotten");
        assert_eq!(numbers(&recent, last - 1), [7]);
    }
}
