//! The task that says that this node lives. A beat that the database takes is also what tells the node
//! that it may go on believing in what it owns.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::parts::Parts;
use super::{Options, connected};
use crate::clock::Clock;
use crate::cluster;

use crate::postgres::Session;

/// How often nodes that are long gone are forgotten.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// Beats for as long as it runs.
pub(super) async fn beat(
    options: Arc<Options>,
    me: cluster::Node,
    parts: Arc<Parts>,
    clock: Arc<Clock>,
) {
    // A beat that is lost is followed by another: it need not wait for a standby.
    let address = options.address.clone().without_waiting_for_commits();
    let (mut session, mut is_silent) = (None, false);
    let mut tick = tokio::time::interval(options.beat);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut prune = Instant::now();
    loop {
        let at = tick.tick().await;
        let sent = clock.now_with_sleep();
        let beaten = match connected(&mut session, &address).await {
            Ok(session) => cluster::beat(session, &options.cluster, &me).await,
            Err(error) => Err(error),
        };
        match beaten {
            Ok(()) => {
                parts.each(|_, part| part.confirmed(sent));
                if std::mem::take(&mut is_silent) {
                    tracing::info!("the database takes this node's beats again");
                }
                if at >= prune {
                    // At the start, too: each start leaves a row of its own.
                    prune = at + PRUNE_EVERY;
                    forget_the_gone(&mut session, &options.cluster).await;
                }
            }
            Err(error) => {
                session = None;
                if !std::mem::replace(&mut is_silent, true) {
                    tracing::warn!(%error, "the database takes no beat of this node: others may take what it owns");
                }
            }
        }
    }
}

/// Forgets nodes that are long gone. It is tried again the next time: a row more costs nothing.
async fn forget_the_gone(session: &mut Option<Session>, cluster: &str) {
    if let Some(open) = session
        && let Err(error) = cluster::prune(open, cluster).await
    {
        tracing::warn!(%error, "nodes that are gone could not be forgotten");
        *session = None;
    }
}
