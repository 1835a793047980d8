//! The state of channels whose accounts other nodes have: their pages, asked for once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cuegate_client::segment;
use engine::ChannelId;
use tokio::time::{Instant, timeout};

use super::page::Page;
use super::pages::Pages;
use super::{not_yet, nothing};
use crate::dispatch::{Answered, Asked, Channel, Gateway};
use crate::refusal::Refusal;

/// Where another node finds what viewers are told.
pub const PREFIX: &str = "/viewers";

/// A page is a few MB at the very most.
const PAGE_MAX: usize = 16 << 20;

/// How long another node may take for a page: a player asks again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who asks for a page now: whoever comes meanwhile waits for it.
#[derive(Default)]
pub(super) struct Asking(Mutex<HashMap<ChannelId, Weak<tokio::sync::Mutex<()>>>>);

impl Asking {
    fn of(&self, channel: ChannelId) -> Arc<tokio::sync::Mutex<()>> {
        let mut asking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = asking.get(&channel).and_then(Weak::upgrade) {
            return turn;
        }
        asking.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        asking.insert(channel, Arc::downgrade(&turn));
        turn
    }
}

/// The page of a channel whose account another node has.
pub(super) async fn page(
    gateway: &Gateway,
    pages: &Pages,
    asking: &Asking,
    channel: &Channel,
) -> Result<Arc<Page>, Refusal> {
    let turn = asking.of(channel.id());
    let _mine = turn.lock().await;
    if let Some(known) = pages.known(channel.id(), gateway.now()) {
        return known;
    }
    let told = timeout(PATIENCE, told(gateway, channel)).await;
    let page = match told.unwrap_or(Err(Untold::NotYet)) {
        Ok(page) => Some(page),
        Err(Untold::Nothing) => return Err(nothing()),
        Err(Untold::NotYet) => None,
    };
    pages.keep(channel.id(), gateway.now(), page.clone());
    page.ok_or_else(not_yet)
}

enum Untold {
    Nothing,
    NotYet,
}

async fn told(gateway: &Gateway, channel: &Channel) -> Result<Arc<Page>, Untold> {
    let others = gateway.others().ok_or(Untold::NotYet)?;
    let arn = channel.arn();
    let path = format!("{PREFIX}/v1/channels/{}/state", segment(arn.as_str()));
    let asked = Asked {
        account: Some((arn.account().to_owned(), arn.region().to_owned())),
        ..Asked::get("viewers", path)
    };
    let answered = others.call(&asked, Instant::now()).await;
    let answered = answered.map_err(|_| Untold::NotYet)?;
    match answered.status {
        200 => page_of(answered).await.ok_or(Untold::NotYet),
        404 => Err(Untold::Nothing),
        _ => Err(Untold::NotYet),
    }
}

async fn page_of(answered: Answered) -> Option<Arc<Page>> {
    let etag = answered.headers.get(axum::http::header::ETAG)?.clone();
    let body = answered.whole(PAGE_MAX).await.ok()?;
    Some(Arc::new(Page::told(etag, body)))
}
