//! An account comes to this node, or leaves it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::{LeaseLeft, Rebuild, Time};

use super::channel::{Account, Channel};
use super::gateway::Gateway;
use super::home::{Holdings, Home, MayCall};
use super::registry::queue;
use super::unavailable::Unavailable;
use crate::config::Settings;
use crate::journal::{Handed, Recovery};

/// How often a node that leaves an account looks whether its calls are over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Gateway {
    /// Every account and region that a channel was opened of.
    #[must_use]
    pub fn known_accounts(&self) -> Vec<(String, String)> {
        let accounts = self.registry.accounts().into_iter();
        accounts
            .map(|account| (account.id.clone(), account.region.clone()))
            .collect()
    }

    /// An account is this node's, which heard of it at `heard`: its queues are as the holdings say, and
    /// its calls go on as soon as those of the owner before it count no more. The answer is how many
    /// events came with it.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`]: there are too many accounts.
    pub async fn adopt(
        &self,
        id: &str,
        region: &str,
        holdings: Holdings,
        heard: Time,
        may_call: MayCall,
    ) -> Result<usize, Unavailable> {
        let mut definitions = self.definitions.lock().await;
        let settings = self.settings();
        let account = self.registry.account(&self.shared, &settings, id, region);
        let account = account.map_err(|full| Unavailable::Overloaded(full.0))?;
        holdings.letters.of_account(id, region);
        let mut holdings = holdings;
        let handed = self.handed(&settings, &mut holdings.recovery);
        let (home, mut recovery) = Home::new(heard, holdings, &settings, may_call);
        let (home, events) = (Arc::new(home), recovery.events());
        account.begin(settings.account_policy(id, region), Some(&home));
        account.engine().take_over(heard, handed);
        self.shared.homes.set(id, region, Some(&home));
        let mut kept: HashMap<_, _> = recovery
            .channels
            .iter_mut()
            .map(|kept| (kept.arn.clone(), std::mem::take(&mut kept.queue)))
            .collect();
        // Nobody is let in before all of it is there.
        for channel in self.registry.channels_of(&account) {
            let kept = kept.remove(&channel.arn).unwrap_or_default();
            self.settle(&channel, Some(&home), kept);
        }
        for channel in &mut recovery.channels {
            channel.queue = kept.remove(&channel.arn).unwrap_or_default();
        }
        // What the owner before told may be older than what its journal says.
        definitions.forget(|arn| arn.account() == id && arn.region() == region);
        let paused = self.take_back(&mut definitions, &settings, recovery, Some(&home));
        self.tell_paused(&paused);
        account.set_home(Some(&home));
        // Channels that were made meanwhile, of which the journal had nothing.
        for channel in self.registry.channels_of(&account) {
            if channel.with(&self.shared, |state| state.home().is_none()) {
                self.settle(&channel, Some(&home), Rebuild::default());
            }
        }
        // Those made by API have their names again.
        self.put_in_force(&mut definitions, settings);
        self.correct_letters();
        account.ring();
        Ok(events)
    }

    /// The channel has that home from now on, with what its journal kept of it; none: nothing of it is here.
    fn settle(&self, channel: &Arc<Channel>, home: Option<&Arc<Home>>, kept: Rebuild) {
        let (shared, settings) = (&self.shared, self.settings());
        let policy = channel.with(shared, |state| Arc::clone(state.queue.policy()));
        // Before the channel is locked: it asks the account's engine.
        let (account, its) = (&channel.account, home.map(Arc::as_ref));
        let queue = queue(shared, &settings, account, its, policy, kept);
        channel.settle(shared, home, queue);
    }

    /// The tokens that the last owner handed over. Where there is no room for their channels, it is as if
    /// that owner had not ended in order.
    fn handed(&self, settings: &Settings, recovery: &mut Recovery) -> Vec<LeaseLeft> {
        let handed = std::mem::take(&mut recovery.handed);
        let policy = &settings.channel_defaults;
        let leases = handed.iter().map(|handed| {
            let arn = handed.arn.parse().ok()?;
            let channel = (self.registry).open(&self.shared, settings, &arn, policy, None);
            Some(LeaseLeft {
                channel: channel.ok()?.id,
                left: handed.left,
                open: handed.open,
            })
        });
        let leases: Option<Vec<_>> = leases.collect();
        if leases.is_none() {
            (recovery.unclean, recovery.counted) = (true, true);
        }
        leases.unwrap_or_default()
    }

    /// An account leaves this node. Nothing is accepted and no call is begun from now on; calls that were
    /// made have `patience` to be answered or given up. Then the journal is closed, with the tokens that
    /// are still out, and what is queued is dropped: the next owner has it. True: nothing else of this
    /// node's calls counts.
    pub async fn leave(&self, id: &str, region: &str, patience: Duration) -> bool {
        let settings = self.settings();
        let account = self.registry.account(&self.shared, &settings, id, region);
        let (Ok(account), Some(home)) = (account, self.shared.homes.of(id, region)) else {
            return true;
        };
        account.set_home(None);
        account.quiet_down();
        let over = tokio::time::timeout(patience, self.calls_over(&account));
        let over = over.await.is_ok();
        let channels = self.registry.channels_of(&account);
        let handed = over.then(|| self.tokens_out(&account, &channels)).flatten();
        let is_handed = handed.is_some();
        for channel in &channels {
            channel.unsettle(&self.shared);
        }
        let journal = Arc::clone(&home.journal);
        let closed = tokio::task::spawn_blocking(move || match handed {
            Some(handed) => journal.hand_over(handed),
            None => journal.close(false),
        });
        // A panic was told where it was caught.
        let _ = closed.await;
        self.registry.renew_task(&self.shared, &account).await;
        account.begin(settings.account_policy(id, region), None);
        for channel in &channels {
            self.settle(channel, None, Rebuild::default());
        }
        self.shared.homes.set(id, region, None);
        let mut definitions = self.definitions.lock().await;
        // Its channels made by API keep their names, until the next owner tells of others.
        definitions.touch();
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        heard.insert((id.to_owned(), region.to_owned()));
        drop(heard);
        // As they are now: a reload may have come while calls were awaited.
        self.put_in_force(&mut definitions, self.settings());
        is_handed
    }

    /// Returns when every call of the account was answered or given up.
    async fn calls_over(&self, account: &Account) {
        while account.status(self.now()).in_flight > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the next owner of the account withholds. None: of some call nobody knows the channel.
    fn tokens_out(&self, account: &Account, channels: &[Arc<Channel>]) -> Option<Vec<Handed>> {
        let by_id: HashMap<_, _> = channels.iter().map(|it| (it.id, &it.arn)).collect();
        let leases = account.engine().leases(self.now());
        let handed = leases.into_iter().map(|lease| {
            Some(Handed {
                arn: by_id.get(&lease.channel)?.to_string(),
                left: lease.left,
                open: lease.open,
            })
        });
        handed.collect()
    }
}
