//! Whether an account may call at all, found out before its first payload does.

use std::sync::Arc;
use std::time::Duration;

use engine::{CallId, Outcome, Time};

use super::channel::Channel;
use super::commits::Commits;
use super::gateway::Gateway;
use crate::upstream::Answer;

/// How long tokens are waited for: the longest hold after a start is shorter.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks for a token, at most: an answer may free one sooner than was said.
const LOOK: Duration = Duration::from_secs(1);

/// The channel that does not exist.
const NOWHERE: &str = "cuegate-may-I-call";

impl Gateway {
    /// Calls `PutMetadata` once for a channel that does not exist, so that no viewer sees anything:
    /// what the API says tells whether the account may. It takes tokens as every call does, with
    /// those of `channel`, and is on record as one of its open calls.
    ///
    /// None: another node has the account, or no token came free.
    pub async fn ask_permission(&self, channel: &Arc<Channel>) -> Option<Answer> {
        let (shared, account) = (&self.shared, &channel.account);
        let home = account.home().ok()?;
        let (call, commits) = tokio::time::timeout(PATIENCE, self.lent(channel))
            .await
            .ok()??;
        commits.recorded().await;
        let answer = if home.may_call(self.clock()) {
            let (id, region) = (&account.id, &account.region);
            let nowhere = channel.arn.sibling(NOWHERE);
            let called = shared.upstream.put_metadata(id, region, &nowhere, NOWHERE);
            called.await
        } else {
            Answer::dropped()
        };
        // An account that left and came back knows nothing of this call.
        if account.home().is_ok_and(|now| Arc::ptr_eq(&now, &home)) {
            let mut engine = account.engine();
            engine.repaid(self.now(), call, answer.outcome);
            drop(engine);
            channel.wake();
        }
        Some(answer)
    }

    /// The tokens of that call, when they are free. None: another node has the account.
    async fn lent(&self, channel: &Arc<Channel>) -> Option<(CallId, Commits)> {
        loop {
            match self.lend(channel)? {
                Ok(lent) => return Some(lent),
                Err(until) => tokio::time::sleep(self.clock().until(until).min(LOOK)).await,
            }
        }
    }

    /// The same now, or when to ask again.
    fn lend(&self, channel: &Arc<Channel>) -> Option<Result<(CallId, Commits), Time>> {
        let now = self.now();
        let mut engine = channel.account.engine();
        let call = match engine.lend(now, channel.id) {
            Ok(call) => call,
            Err(until) => return Some(Err(until)),
        };
        let open = engine.open(now, channel.id);
        // Under the engine's lock, so that the last word is the newest.
        let recorded = channel.change(&self.shared, |state| state.set_open(open));
        let Ok(((), commits)) = recorded else {
            engine.repaid(now, call, Outcome::Refused);
            return None;
        };
        drop(engine);
        channel.wake();
        Some(Ok((call, commits)))
    }
}
