//! What a scrape sees. Only channels that are not at rest are looked at, and each is locked for as
//! long as it takes to read it.

use std::sync::Arc;

use engine::{Health, Span, Time};

use super::aggregate::{Gauges, Peaks, Sums};
use super::channel::Channel;
use super::registry::Registry;
use super::shared::Shared;
use crate::telemetry::Snapshot;

/// Queues and accounts as they stand, for a scrape. What is added of a channel is one moment of it,
/// so the books of each balance.
pub(super) fn snapshot(shared: &Shared, registry: &Registry) -> Snapshot {
    let now = shared.clock.now();
    let mut sums = shared.aggregates.sums();
    look_at_all(&mut sums, shared, now, &registry.stirred());
    sums.settle(&shared.aggregates);
    let homes = shared.homes.all();
    Snapshot {
        channels: sums.channels(),
        accounts: registry.account_snapshots(now),
        queue_bytes: sums.queue_bytes(),
        journal_bytes: homes.iter().map(|home| home.journal.bytes()).sum(),
        journal_errors: homes.iter().map(|home| home.journal.errors()).sum(),
        journal_lost_blocks: homes.iter().map(|home| home.journal.lost()).sum(),
        dead_letters: homes.iter().map(|home| home.letters.len() as u64).sum(),
    }
}

pub(super) fn look_at_all(sums: &mut Sums, shared: &Shared, now: Time, channels: &[Arc<Channel>]) {
    sums.begin();
    for channel in channels {
        look_at(sums, shared, now, channel);
    }
}

fn look_at(sums: &mut Sums, shared: &Shared, now: Time, channel: &Arc<Channel>) {
    // Whatever changes from here on asks for another look.
    channel.stirs(false);
    let status = channel.account.channel_status(now, channel.id);
    let tokens_out = status.tokens_available < status.tokens_limit;
    let at_rest = channel.look(shared, |state| {
        let depth = state.queue.depth(now);
        let since = |moment: Option<Time>| moment.map_or(Span::ZERO, |moment| now.since(moment));
        let gauges = Gauges {
            events: depth.events as u64,
            bytes: depth.bytes as u64,
            tokens: status.tokens_available.into(),
            state_keys: state.queue.state_keys() as u64,
            state: Some(state.shown(status.health)),
        };
        let peaks = Peaks {
            age: since(depth.oldest),
            eta: depth.eta,
            paused: since(state.paused()),
        };
        sums.add(&mut state.counted, state.queue.ledger(), gauges, peaks);
        depth.events == 0 && state.paused().is_none() && status.health == Health::Live
    });
    // Time alone changes these.
    if !at_rest || tokens_out {
        channel.stirs(true);
    }
}
