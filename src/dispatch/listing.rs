//! What a channel has queued, for people.

use std::sync::Arc;

use engine::{Listed, Outline, Rank};

use super::channel::Channel;
use super::gateway::Gateway;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only of this type.
    pub kind: Option<String>,
    /// Only of this key.
    pub key: Option<String>,
    /// What is after this place.
    pub after: Option<Rank>,
    /// Most events.
    pub limit: usize,
}

/// A page of what is queued.
#[derive(Debug)]
pub struct QueuedPage {
    /// In the order they would leave, each with the ms that it takes; none while the channel is paused
    /// or offline.
    pub events: Vec<(Listed, Option<u64>)>,
    /// The place of the last one, if there are more.
    pub next: Option<Rank>,
}

impl Gateway {
    /// What is queued, as of about now. `None`: it failed, and the log says why.
    ///
    /// One list at a time: a long one takes some ms of a processor, and 64 bytes of memory an event.
    pub async fn list(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        wanted: Wanted,
    ) -> Option<QueuedPage> {
        let _turn = self.listing.acquire().await.ok()?;
        let (gateway, channel) = (Arc::clone(self), Arc::clone(channel));
        let list = tokio::task::spawn_blocking(move || gateway.look_through(&channel, &wanted));
        let listed = list.await;
        listed
            .inspect_err(|error| tracing::error!(%error, "a list of what is queued failed"))
            .ok()
    }

    /// Locks the channel for a part of the queue at a time.
    fn look_through(&self, channel: &Arc<Channel>, wanted: &Wanted) -> QueuedPage {
        let mut outline = Outline::default();
        let (kind, key) = (wanted.kind.as_deref(), wanted.key.as_deref());
        while channel.with(&self.shared, |state| {
            state.queue.outline(self.now(), &mut outline, kind, key)
        }) {}
        let page = outline.page(wanted.after, wanted.limit);
        let last = page.spots.last().filter(|_| page.has_more);
        let next = last.map(|spot| spot.rank);
        let events = channel.with(&self.shared, |state| {
            let leaves = !state.is_held();
            let spots = page.spots.iter();
            let there = spots.filter_map(|spot| {
                let eta_ms = leaves.then(|| spot.leaves_in.millis_ceil());
                Some((state.queue.listed(spot)?, eta_ms))
            });
            there.collect()
        });
        QueuedPage { events, next }
    }
}
