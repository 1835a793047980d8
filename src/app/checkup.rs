//! The doctor at the start: what it finds goes to the log, and nothing waits for it.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::config::{Settings, UpstreamMode};
use crate::dispatch::Gateway;
use crate::doctor::{self, Finding, Level, account, machine};

/// Findings that are told one by one; what is beyond is counted.
const TOLD: usize = 20;

/// Looks once, in aws mode. Nobody supervises it: whatever becomes of it, the gateway goes on.
pub(super) fn begin(gateway: &Arc<Gateway>) -> Option<JoinHandle<()>> {
    let gateway = Arc::clone(gateway);
    let is_aws = gateway.settings().upstream.mode == UpstreamMode::Aws;
    is_aws.then(|| tokio::spawn(look(gateway)))
}

async fn look(gateway: Arc<Gateway>) {
    let settings = gateway.settings();
    let now_s = i64::try_from(gateway.clock().epoch_ms() / 1000).unwrap_or(i64::MAX);
    let mut found = doctor::accounts(gateway.upstream(), &settings).await;
    found.extend(permissions(&gateway, &settings).await);
    // The disk may be on a network.
    let machine = tokio::task::spawn_blocking(move || machine::of_gateway(&settings, now_s));
    found.extend(machine.await.unwrap_or_default());
    tell(&found);
}

/// Whether each account may call, by one call of its own. One after the other: nobody waits.
async fn permissions(gateway: &Gateway, settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let accounts = doctor::channels_by_account(settings).into_iter();
    for ((account, region), channels) in accounts.take(doctor::ACCOUNTS_MAX) {
        let Some(channel) = channels.first().and_then(|arn| gateway.known(arn)) else {
            continue;
        };
        if let Some(answer) = gateway.ask_permission(&channel).await {
            found.extend(account::permitted(&account, &region, &answer));
        }
    }
    found
}

fn tell(found: &[Finding]) {
    let wrong = || {
        found
            .iter()
            .filter(|finding| finding.level == Level::Action)
    };
    for finding in wrong().take(TOLD) {
        let advice = finding.advice.as_deref().unwrap_or_default();
        tracing::warn!(check = finding.check, about = %finding.about, todo = %advice, "{}", finding.found);
    }
    let more = wrong().count().saturating_sub(TOLD);
    if more > 0 {
        tracing::warn!("{more} more findings like these: `cuegate doctor` has all of them");
    }
}
