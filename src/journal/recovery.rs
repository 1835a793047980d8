//! What a log holds, as queues that can be built again.

use std::fmt::Display;
use std::sync::Arc;

use engine::{Rebuild, Time};

use super::definition::{Defined, Definition};
use super::error::OpenError;
use super::log::{Contents, Handed};
use super::record::{self, Entry, Pause, Reading};
use crate::arn::ChannelArn;
use crate::clock::Clock;
use crate::config::DEDUP_MAX_IDS;

/// A channel of the journal.
pub struct RecoveredChannel {
    /// Its ARN.
    pub arn: ChannelArn,
    /// Its queue, to be built with the present rules.
    pub queue: Rebuild,
    /// Since when it is paused, if it is.
    pub paused: Option<Time>,
    /// How many of its calls may still be handled, as far as was recorded.
    pub open: u32,
    /// What it is by API, if it was made so.
    pub definition: Option<Arc<Definition>>,
    pub(super) blocks: Blocks,
}

/// Which blocks there are of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// The first one's number.
    pub first: u64,
    /// One more than the last one's.
    pub next: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// All that a journal holds.
#[derive(Default)]
pub struct Recovery {
    /// Channels with something in them.
    pub channels: Vec<RecoveredChannel>,
    /// The last process did not end cleanly: the API may still count calls of it. When the
    /// last one left is not asked of the disk: a full one takes no record, a call leaves later
    /// than it was recorded, and the wall clock may have been set since.
    pub unclean: bool,
    /// The tokens that the last owner handed over, because the API still counted their calls.
    pub handed: Vec<Handed>,
    /// The records say which calls of the last process are open. Not those of an older program, nor
    /// where some of them are lost.
    pub counted: bool,
    /// Nothing is known of a process before this one: there is no journal, or it was just begun.
    pub fresh: bool,
    /// Blocks that were written but not synced before the machine went down.
    pub lost: u64,
    /// The dead letters, by number.
    pub(super) letters: Vec<(u64, Vec<u8>)>,
    pub(super) n_floor: u64,
}

impl Recovery {
    /// Of a process that cannot know what was before it.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            fresh: true,
            ..Self::default()
        }
    }

    /// Whether all is known of the calls that the API may still count. `api_is_new`: nobody called it
    /// before this process.
    pub(super) const fn counts(&self, api_is_new: bool) -> bool {
        if self.fresh {
            return api_is_new;
        }
        !self.unclean || self.counted
    }

    /// Calls of the last process that may still be handled.
    #[must_use]
    pub fn open(&self) -> u64 {
        let open = self.channels.iter().map(|kept| u64::from(kept.open));
        open.sum()
    }

    /// The channels that were made by API, in the order in which they were made; of an alias that was moving
    /// to another ARN, the later one.
    #[must_use]
    pub fn definitions(&self) -> Vec<Arc<Definition>> {
        let mut all: Vec<_> = self
            .channels
            .iter()
            .filter_map(|kept| kept.definition.clone())
            .collect();
        all.sort_by_key(|it| (it.number, std::cmp::Reverse(it.revision)));
        all.dedup_by(|later, earlier| later.alias == earlier.alias);
        all
    }

    /// Events in it. Some may have expired meanwhile.
    #[must_use]
    pub fn events(&self) -> usize {
        self.channels.iter().map(|kept| kept.queue.len()).sum()
    }
}

/// Reads everything, or says what cannot be read.
pub(super) fn read(log: &dyn Contents, clock: &Arc<Clock>) -> Result<Recovery, OpenError> {
    let mut first = None;
    let recovery = read_some(log, clock, |error| {
        first.get_or_insert(error);
    })?;
    first.map_or(Ok(recovery), Err)
}

/// Reads what can be read, and passes on what cannot.
pub(super) fn read_some(
    log: &dyn Contents,
    clock: &Arc<Clock>,
    mut damaged: impl FnMut(OpenError),
) -> Result<Recovery, OpenError> {
    let mut recovery = Recovery::default();
    let mut reading = Reading::new(clock);
    log.read(&mut |_, _, block| reading.learn(block))?;
    let held = log.read(&mut |arn, number, block| {
        let Ok(arn) = arn.parse::<ChannelArn>() else {
            let what = format_args!("{arn:?} is no channel's ARN");
            return damaged(log.damaged(&what));
        };
        let channel = recovery.channel(arn, number);
        let arn = channel.arn.as_str();
        let mut block_damaged = |number: u64, error: &dyn Display| {
            damaged(log.damaged(&format_args!("block {number} of {arn}: {error}")));
        };
        if channel.blocks.next != number {
            // They are numbered one after another, and only removed all at once.
            block_damaged(channel.blocks.next, &"it is missing");
        }
        channel.blocks.next = number + 1;
        channel.blocks.bytes += block.len() as u64;
        let mut unusable = None;
        let decoded = record::decode(block, &reading, |entry| match entry {
            Entry::Change(change) => {
                if let Err(error) = channel.queue.apply(change) {
                    unusable.get_or_insert(error);
                }
            }
            Entry::Pause(Pause::Since(since)) => channel.paused = Some(since),
            Entry::Pause(Pause::Over) => channel.paused = None,
            Entry::Open(calls) => channel.open = calls,
            Entry::Defined(Defined::As(definition)) => channel.definition = Some(definition),
            Entry::Defined(Defined::NoLonger) => channel.definition = None,
        });
        // The policy is not known here; its bound is at most this.
        let now = clock.now();
        channel.queue.forget(now, DEDUP_MAX_IDS);
        if let Err(error) = decoded {
            block_damaged(number, &error);
        }
        if let Some(error) = unusable {
            block_damaged(number, &error);
        }
    })?;
    recovery.letters = held.letters;
    recovery.n_floor = held.n_floor;
    recovery.unclean = held.unclean;
    recovery.handed = held.handed;
    recovery.counted = held.counts;
    Ok(recovery)
}

impl Recovery {
    /// The channel that blocks are read of now; a scan meets each one once.
    fn channel(&mut self, arn: ChannelArn, first: u64) -> &mut RecoveredChannel {
        if self.channels.last().is_none_or(|last| last.arn != arn) {
            self.channels.push(RecoveredChannel {
                arn,
                queue: Rebuild::default(),
                paused: None,
                open: 0,
                definition: None,
                blocks: Blocks {
                    first,
                    next: first,
                    bytes: 0,
                },
            });
        }
        let last = self.channels.len() - 1;
        &mut self.channels[last]
    }
}
