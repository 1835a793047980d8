//! What operators may ask of the running gateway: how it stands, a reload, dead letters.
//!
//! - `elsewhere`: the same of the other nodes of a cluster.

mod elsewhere;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::Uri;
use cuegate_client::segment;

use super::local::Emulator;
use super::reload::Reload;
use super::store::Part;
use crate::admin::{
    AccountReadiness, Admin, DeadLetterPage, Doing, Losses, Overview, Played, Readiness, Reloading,
    ReplayRefusal, ReplayReport,
};
use crate::config::{self, UpstreamMode};
use crate::dispatch::{Gateway, Letter, LetterFilter, NotReplayed, ShownLetter};
use crate::journal::Room;
use crate::refusal::Refusal;
use crate::telemetry::{Snapshot, Telemetry};

/// Where IVS plays streams.
const IVS: &str = "https://*.live-video.net";
/// Other places that channels are played from: a header must not grow with the channels.
const ORIGINS_MAX: usize = 32;

/// What operators may ask of the running gateway.
pub(super) struct Control {
    gateway: Arc<Gateway>,
    telemetry: Arc<Telemetry>,
    reload: Arc<Reload>,
    /// In local mode.
    emulator: Option<Emulator>,
    /// In a cluster.
    part: Option<Part>,
}

impl Control {
    pub(super) const fn new(
        gateway: Arc<Gateway>,
        telemetry: Arc<Telemetry>,
        reload: Arc<Reload>,
        emulator: Option<Emulator>,
        part: Option<Part>,
    ) -> Self {
        Self {
            gateway,
            telemetry,
            reload,
            emulator,
            part,
        }
    }

    /// The same of what this node itself has.
    pub(super) fn of_this_node(&self) -> Self {
        Self {
            gateway: Arc::clone(&self.gateway),
            telemetry: Arc::clone(&self.telemetry),
            reload: Arc::clone(&self.reload),
            emulator: self.emulator.clone(),
            part: None,
        }
    }

    /// A letter with the alias that its channel has now.
    fn shown(&self, letter: Letter) -> ShownLetter {
        let channel = self.gateway.known(&letter.channel);
        let alias = channel.and_then(|channel| channel.alias());
        letter.shown(alias.as_deref())
    }

    /// The filter with its channel by ARN: letters outlive aliases.
    fn by_arn(&self, mut filter: LetterFilter) -> LetterFilter {
        if let Some(name) = &mut filter.channel
            && let Some(channel) = self.gateway.known(name)
        {
            channel.arn().as_str().clone_into(name);
        }
        filter
    }
}

impl Admin for Control {
    fn snapshot(&self) -> Snapshot {
        self.gateway.snapshot()
    }

    fn readiness(&self) -> Readiness {
        let draining = self.gateway.is_draining();
        let accounts = self
            .gateway
            .accounts()
            .into_iter()
            .map(|account| AccountReadiness {
                account: account.account,
                region: account.region,
                up: account.up,
                reason: account.reason,
            });
        let journal = match self.gateway.room() {
            Room::Enough => None,
            Room::Full => Some("journal.max_bytes, or the room on its disk, is reached"),
            Room::Failing => Some("the journal cannot be written"),
        };
        let queues = (!self.gateway.has_queue_room()).then_some(
            "limits.queue_total_bytes is reached: what is queued fills the memory that it may take",
        );
        let cluster = self.part.as_ref().and_then(unconnected);
        Readiness {
            ready: !draining && journal.is_none() && queues.is_none() && cluster.is_none(),
            draining,
            eta_ms: if draining {
                self.gateway.eta_ms()
            } else {
                None
            },
            journal,
            queues,
            cluster,
            accounts: accounts.collect(),
        }
    }

    fn reload(&self) -> Reloading<'_> {
        Box::pin(self.reload.run())
    }

    fn overview(&self) -> Pin<Box<dyn Future<Output = Overview> + Send + '_>> {
        Box::pin(self.overview_of_all())
    }

    fn playback_url(&self, channel: &str) -> Option<String> {
        let known = self.gateway.addressee(channel).ok()?;
        if self.emulator.is_some() {
            let name = segment(channel);
            return Some(format!("/admin/playback/{name}/playback.m3u8"));
        }
        let settings = self.gateway.settings();
        let listed = settings.channels.iter().find(|it| it.arn == *known.arn());
        let given = listed.and_then(|listed| listed.playback_url.as_deref());
        if let Some(url) = given {
            return Some(url.to_owned());
        }
        // Of a channel that the API made.
        let definition = self.gateway.report(&known).definition?;
        let members: serde_json::Value = serde_json::from_str(definition.get()).ok()?;
        Some(members.get("playback_url")?.as_str()?.to_owned())
    }

    fn playback_origins(&self) -> Vec<String> {
        if self.emulator.is_some() {
            return Vec::new();
        }
        let settings = self.gateway.settings();
        let urls = settings
            .channels
            .iter()
            .filter_map(|it| it.playback_url.as_deref());
        let mut origins: BTreeSet<String> = urls.filter_map(origin).take(ORIGINS_MAX).collect();
        // The lists of a stream lead to other hosts of IVS.
        origins.insert(IVS.to_owned());
        origins.into_iter().collect()
    }

    fn playback(&self, channel: &str, file: &str) -> Option<Played> {
        let emulator = self.emulator.as_ref()?;
        let channel = self.gateway.channel(channel).ok()?;
        let played = emulator.playback(channel.arn(), file)?;
        Some(Played {
            bytes: played.bytes,
            media_type: played.media_type,
        })
    }

    fn losses(&self) -> Losses {
        let meters = self.telemetry.meters();
        Losses::of(
            &self.gateway.snapshot(),
            meters.rejections(),
            meters.refusals(),
        )
    }

    fn config(&self) -> serde_json::Value {
        config::shown(&self.gateway.settings())
    }

    fn dead_letters(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Doing<'_, DeadLetterPage> {
        let filter = self.by_arn(filter.clone());
        Box::pin(async move {
            let here = self.letters_here(&filter, after, limit);
            self.letters_of_all(here, &filter, after, limit).await
        })
    }

    fn replay(&self, filter: LetterFilter) -> Doing<'_, ReplayReport> {
        let filter = self.by_arn(filter);
        Box::pin(async move {
            let there = self.replay_elsewhere(&filter).await?;
            let here = self.replay_here(&filter).await?;
            Ok(here.and(there))
        })
    }

    fn purge(&self, filter: LetterFilter) -> Doing<'_, usize> {
        let filter = self.by_arn(filter);
        Box::pin(async move {
            let there = self.purge_elsewhere(&filter).await?;
            Ok(there + self.gateway.purge_dead_letters(&filter).await?)
        })
    }
}

impl Control {
    fn overview_here(&self) -> Overview {
        let Readiness {
            draining, journal, ..
        } = self.readiness();
        let accounts = self.gateway.accounts().into_iter();
        let accounts =
            accounts.filter(|it| self.gateway.has(&(it.account.clone(), it.region.clone())));
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            mode: match self.gateway.settings().upstream.mode {
                UpstreamMode::Local => "local",
                UpstreamMode::Aws => "aws",
            },
            draining,
            journal,
            channels: self.gateway.channel_count(),
            queued: self.gateway.queued(),
            delivered: self.gateway.delivered(),
            dead_letters: self.gateway.dead_letter_count(),
            accounts: accounts.collect(),
            cluster: None,
        }
    }

    fn letters_here(
        &self,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> DeadLetterPage {
        // One more than is shown says whether there is a next page.
        let mut letters = self.gateway.dead_letters(filter, after, limit + 1);
        let more = letters.len() > limit;
        letters.truncate(limit);
        DeadLetterPage {
            next: letters.last().filter(|_| more).map(|last| last.id),
            dead_letters: letters.into_iter().map(|it| self.shown(it)).collect(),
            total: self.gateway.dead_letter_count(),
        }
    }

    async fn replay_here(&self, filter: &LetterFilter) -> Result<ReplayReport, Refusal> {
        let replayed = self.gateway.replay(filter).await?;
        let refused = replayed.refused.into_iter().map(|(id, why)| {
            let refusal = match why {
                NotReplayed::Channel(refused) => Refusal::from(refused),
                NotReplayed::Queue(refusal) => Refusal::from(refusal),
            };
            ReplayRefusal {
                id,
                code: refusal.code.name().to_owned(),
                detail: refusal.detail.into_owned(),
            }
        });
        Ok(ReplayReport {
            refused: refused.collect(),
            replayed: replayed.accepted,
        })
    }
}

/// The origin of a URL.
fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    // Nothing that would end a directive of the header.
    let is_plain = authority
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    is_plain.then(|| format!("{}://{authority}", uri.scheme_str().unwrap_or("https")))
}

/// Why a node is no better than none, if it has no account and cannot hand events to who has.
fn unconnected(part: &Part) -> Option<&'static str> {
    let accounts = part.node.accounts();
    let owns_any = accounts.iter().any(|account| account.is_here);
    let serves = owns_any || part.others.can_serve();
    (!serves).then_some("the node of the cluster that owns the account cannot be reached from here")
}
