//! Somebody who stays: a WebSocket or a stream of payloads. What it showed when it came is looked
//! at again when the configuration changes, and when it expires.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use crate::access::{Access, Caller, ConnectionPermit, Denied};
use crate::config::Scope;
use crate::dispatch::Channel;
use crate::ingest::context::{ApiContext, Listener};
use crate::refusal::{Code, Refusal};

/// The wall clock may be set meanwhile: it is looked at this often.
const CLOCK_LOOK: Duration = Duration::from_secs(20);

/// Somebody who stays, and what for.
pub struct Session {
    context: Arc<ApiContext>,
    caller: Arc<Caller>,
    scope: Scope,
    channel: Option<Arc<Channel>>,
    access: watch::Receiver<Arc<Access>>,
    _place: Option<ConnectionPermit>,
}

impl Session {
    /// Takes one of the caller's places. `channel` is what it stays for, if it is one only.
    ///
    /// # Errors
    /// `rate_limited`: its places are all taken.
    pub fn new(
        context: &Arc<ApiContext>,
        caller: Arc<Caller>,
        scope: Scope,
        channel: Option<Arc<Channel>>,
    ) -> Result<Self, Refusal> {
        let place = caller.limits().map(|limits| limits.enter()).transpose();
        let place = place.map_err(|most| {
            let detail = format!("{} has {most} connections open, its limit", caller.name());
            Refusal::new(Code::RateLimited, detail).retry_after(1000)
        })?;
        Ok(Self {
            context: Arc::clone(context),
            caller,
            scope,
            channel,
            access: context.access.clone(),
            _place: place,
        })
    }

    /// Who it is, as it was last looked at.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The channel it stays for, if it is one only.
    #[must_use]
    pub const fn channel(&self) -> Option<&Arc<Channel>> {
        self.channel.as_ref()
    }

    /// Returns when it may stay no longer. May be given up at any time and begun again.
    pub async fn until_denied(&mut self) -> Denied {
        loop {
            let left_s = self
                .caller
                .expires_s()
                .map(|end| end.saturating_sub(self.context.now_s()));
            // Whoever is busy begins this again before any time has gone by.
            if left_s == Some(0)
                && let Err(denied) = self.look_again()
            {
                return denied;
            }
            tokio::select! {
                changed = self.access.changed() => if changed.is_err() {
                    // Nobody is left to change it.
                    return pending().await;
                },
                () = expiry(left_s) => {}
            }
            if let Err(denied) = self.look_again() {
                return denied;
            }
        }
    }

    fn look_again(&mut self) -> Result<(), Denied> {
        if self.context.side == Listener::Nodes {
            return Ok(());
        }
        let access = Arc::clone(&self.access.borrow_and_update());
        let mut caller = access.identify_again(&self.caller, self.context.now_s())?;
        if self.context.side == Listener::Operators {
            caller = Arc::new(caller.as_operator()?);
        }
        caller.may(self.scope)?;
        if let Some(channel) = &self.channel
            && !self.context.may_use(&caller, channel.arn().as_str())
        {
            return Err(caller.not_its_channel());
        }
        self.caller = caller;
        Ok(())
    }
}

async fn expiry(left_s: Option<u64>) {
    match left_s {
        // The next second has begun then, whatever part of this one is over.
        Some(left) => sleep(CLOCK_LOOK.min(Duration::from_secs(left.max(1)))).await,
        None => pending().await,
    }
}
