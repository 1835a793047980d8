//! The payloads of late, for whoever looks at a channel after they were sent.
//!
//! Bounded per channel, so that a busy channel does not push out a quiet one's, and in all,
//! because an idle channel must cost next to nothing. What is here is a convenience: the
//! oldest go in silence.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Payloads kept of a channel: four seconds at full pace, and more than a screen shows.
const PER_CHANNEL: usize = 20;

/// Bytes of payloads kept in all: the last 20 full ones of some 200 channels.
const BYTES_MAX: usize = 4 << 20;

/// What a payload takes beside its text, about: a small one must not be free.
const OVERHEAD: usize = 160;

/// The payloads of late, over all channels.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    next: u64,
    bytes: usize,
    /// In the order in which they were delivered.
    payloads: BTreeMap<u64, (ChannelId, Arc<Delivered>)>,
    /// Those of a channel, oldest first. None is empty.
    by_channel: HashMap<ChannelId, VecDeque<u64>>,
}

impl Recent {
    /// Keeps a payload, and forgets what is too much then.
    pub(super) fn add(&self, channel: ChannelId, payload: &Arc<Delivered>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.add(channel, payload);
    }

    /// Those of a channel, oldest first.
    pub(super) fn of(&self, channel: ChannelId) -> Vec<Arc<Delivered>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = kept.by_channel.get(&channel).into_iter().flatten();
        numbers
            .filter_map(|number| kept.payloads.get(number))
            .map(|(_, payload)| Arc::clone(payload))
            .collect()
    }
}

impl Kept {
    fn add(&mut self, channel: ChannelId, payload: &Arc<Delivered>) {
        let number = self.next;
        self.next += 1;
        self.bytes += weight(payload);
        self.payloads.insert(number, (channel, Arc::clone(payload)));
        let own = self.by_channel.entry(channel).or_default();
        own.push_back(number);
        if own.len() > PER_CHANNEL
            && let Some(oldest) = own.front().copied()
        {
            self.forget(oldest);
        }
        while self.bytes > BYTES_MAX
            && let Some((oldest, _)) = self.payloads.first_key_value()
        {
            self.forget(*oldest);
        }
    }

    /// Forgets a payload that is the oldest of its channel.
    fn forget(&mut self, number: u64) {
        let Some((channel, payload)) = self.payloads.remove(&number) else {
            return;
        };
        self.bytes -= weight(&payload);
        if let Some(own) = self.by_channel.get_mut(&channel) {
            own.pop_front();
            if own.is_empty() {
                self.by_channel.remove(&channel);
            }
        }
    }
}

fn weight(payload: &Delivered) -> usize {
    payload.text.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(n: u64, bytes: usize) -> Arc<Delivered> {
        Arc::new(Delivered {
            n,
            at_ms: 0,
            text: "x".repeat(bytes).into(),
        })
    }

    fn numbers(recent: &Recent, channel: u32) -> Vec<u64> {
        let kept = recent.of(ChannelId(channel));
        kept.iter().map(|payload| payload.n).collect()
    }

    #[test]
    fn a_busy_channel_leaves_a_quiet_one_its_own() {
        let recent = Recent::default();
        recent.add(ChannelId(1), &payload(1, 10));
        for n in 0..1000 {
            recent.add(ChannelId(2), &payload(n, 1024));
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
            recent.add(id, &payload(7, 1024));
        }
        let kept = recent.0.lock().expect("the lock");
        assert!(kept.bytes <= BYTES_MAX, "{}", kept.bytes);
        assert_eq!(kept.payloads.len(), BYTES_MAX / (1024 + OVERHEAD));
        assert_eq!(kept.by_channel.len(), kept.payloads.len());
        drop(kept);
        assert_eq!(numbers(&recent, 0), [0; 0], "the oldest went");
        let last = u32::try_from(channels - 1).expect("few");
        assert_eq!(numbers(&recent, last), [7]);
    }
}
