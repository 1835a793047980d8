//! Which channels and accounts there are, and how they are found.
//!
//! Listed channels stay, whether the file lists them or the API made them; unlisted ones come with their first event and go when they are idle
//! and the room is needed. Both are bounded.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use dashmap::DashMap;
use engine::{ChannelId, ChannelPolicy, Queue, Rebuild, Span, Time};
use tokio::task::JoinHandle;

use super::channel::{Account, Channel};
use super::definitions::Listing;
use super::driver::Driver;
use super::home::Home;
use super::report::AccountReport;
use super::shared::Shared;
use crate::arn::ChannelArn;
use crate::config::Settings;
use crate::telemetry::labels::OTHER_ACCOUNTS;
use crate::telemetry::{AccountSnapshot, Meters};

/// Most accounts and regions of one process: each has a task and a pool of connections.
const ACCOUNTS_MAX: usize = 256;

/// What an idle account's round trip is taken for until one was measured.
const ROUND_TRIP_GUESS: Span = Span::from_millis(50);

/// How often a full registry is searched for idle channels while it finds none: a look
/// goes over all of them.
const LOOK_EVERY: Span = Span::from_millis(250);

/// Accounts by id and region, each with its task.
type Accounts = HashMap<(String, String), (Arc<Account>, JoinHandle<()>)>;

#[derive(Default)]
pub(super) struct Registry {
    by_alias: RwLock<HashMap<Arc<str>, Arc<Channel>>>,
    by_arn: DashMap<ChannelArn, Arc<Channel>>,
    accounts: Mutex<Accounts>,
    next_id: AtomicU32,
    /// When the last look for idle channels found none.
    looked: Mutex<Option<Time>>,
    /// Accounts with series of their own; they never lose them.
    listed_accounts: Mutex<BTreeSet<(String, String)>>,
}

/// A bound was reached.
#[derive(Debug)]
pub(super) struct Full(pub &'static str);

impl Registry {
    pub(super) fn by_alias(&self, alias: &str) -> Option<Arc<Channel>> {
        self.by_alias
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(alias)
            .cloned()
    }

    pub(super) fn by_arn(&self, arn: &ChannelArn) -> Option<Arc<Channel>> {
        self.by_arn.get(arn).map(|channel| Arc::clone(&channel))
    }

    /// The channel of that ARN, made if it is not known, with this label in metrics.
    pub(super) fn open(
        &self,
        shared: &Arc<Shared>,
        settings: &Settings,
        arn: &ChannelArn,
        policy: &Arc<ChannelPolicy>,
        label: Option<&Arc<str>>,
    ) -> Result<Arc<Channel>, Full> {
        if let Some(channel) = self.by_arn(arn) {
            return Ok(channel);
        }
        if self.by_arn.len() >= settings.limits.channels_max && self.retire_idle(shared) == 0 {
            return Err(Full("limits.channels_max"));
        }
        self.make(
            shared,
            settings,
            arn,
            policy,
            label,
            (None, Rebuild::default()),
        )
    }

    /// The channel of that ARN, made with a queue as the journal holds it, and with its home; none: its
    /// account's.
    pub(super) fn make(
        &self,
        shared: &Arc<Shared>,
        settings: &Settings,
        arn: &ChannelArn,
        policy: &Arc<ChannelPolicy>,
        label: Option<&Arc<str>>,
        (home, kept): (Option<&Arc<Home>>, Rebuild),
    ) -> Result<Arc<Channel>, Full> {
        let account = self.account(shared, settings, arn.account(), arn.region())?;
        let made = self.by_arn.entry(arn.clone()).or_insert_with(|| {
            let id = ChannelId(self.next_id.fetch_add(1, Ordering::Relaxed));
            // Within the lock of the entry: whoever moves the account looks at all entries afterwards.
            let home = home.cloned().or_else(|| account.home().ok());
            let policy = Arc::clone(policy);
            let queue = queue(shared, settings, &account, home.as_deref(), policy, kept);
            Arc::new(Channel::new(
                id,
                arn.clone(),
                account,
                home,
                queue,
                label.cloned(),
            ))
        });
        Ok(Arc::clone(&made))
    }

    /// The account in that region, made with its task if it is not known.
    pub(super) fn account(
        &self,
        shared: &Arc<Shared>,
        settings: &Settings,
        id: &str,
        region: &str,
    ) -> Result<Arc<Account>, Full> {
        let mut accounts = self.lock_accounts();
        let key = (id.to_owned(), region.to_owned());
        if let Some((account, _)) = accounts.get(&key) {
            return Ok(Arc::clone(account));
        }
        if accounts.len() >= ACCOUNTS_MAX {
            self.retire_idle(shared);
            forget_idle_account(&mut accounts, shared.clock.now());
        }
        if accounts.len() >= ACCOUNTS_MAX {
            return Err(Full("256 accounts and regions"));
        }
        let policy = settings.account_policy(id, region);
        let account = Arc::new(Account::new(
            id,
            region,
            policy,
            settings.quota.payload_max_bytes,
            shared,
        ));
        let task = Driver::start(Arc::clone(&account), shared);
        accounts.insert(key, (Arc::clone(&account), task));
        Ok(account)
    }

    /// Forgets unlisted channels that are idle and of which nothing counts any more; the answer
    /// is how many. With every channel busy a look at all of them finds nothing, so there is one
    /// look an interval: a batch of invented ARNs must not make a thousand.
    pub(super) fn retire_idle(&self, shared: &Arc<Shared>) -> usize {
        let now = shared.clock.now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|last| now.since(last) < LOOK_EVERY) {
            return 0;
        }
        let before = self.by_arn.len();
        self.by_arn.retain(|_, channel| {
            // Nobody else holds it, so nobody can be about to put an event in.
            if channel.alias().is_some() || Arc::strong_count(channel) > 1 {
                return true;
            }
            let idle = channel.look(shared, |state| {
                state.queue.is_idle()
                    && state.paused().is_none()
                    && state.definition.get().is_none()
            });
            // A channel that comes again has fresh tokens, so the account must agree.
            if !idle || !channel.account.engine().forget(now, channel.id) {
                return true;
            }
            channel.look(shared, |state| {
                shared.aggregates.forget(&mut state.counted, &state.queue);
            });
            false
        });
        // Where one was found, the next may be too.
        let found = before - self.by_arn.len();
        *looked = (found == 0).then_some(now);
        found
    }

    /// Gives the listed channels their names; the others lose theirs.
    pub(super) fn set_listed(&self, shared: &Shared, listed: &[(Listing, Arc<Channel>)]) {
        let listings: HashMap<ChannelId, &Listing> = listed
            .iter()
            .map(|(listing, channel)| (channel.id, listing))
            .collect();
        // One that stays is never without: whoever may use the channel by it may at any moment.
        for channel in &self.by_arn {
            channel.set_listing(shared, listings.get(&channel.id).copied());
        }
        let aliases = listed.iter();
        *self.aliases() = aliases
            .map(|(listing, channel)| (Arc::clone(&listing.alias), Arc::clone(channel)))
            .collect();
    }

    /// Gives one channel its name; the others keep theirs.
    pub(super) fn list(&self, shared: &Shared, listing: Listing, channel: &Arc<Channel>) {
        channel.set_listing(shared, Some(&listing));
        self.aliases().insert(listing.alias, Arc::clone(channel));
    }

    /// No channel has that alias any more. The channel's own note of it stays.
    pub(super) fn unlist(&self, alias: &str) {
        self.aliases().remove(alias);
    }

    fn aliases(&self) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Arc<Channel>>> {
        self.by_alias
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Every channel, in no order.
    pub(super) fn channels(&self) -> Vec<Arc<Channel>> {
        self.by_arn
            .iter()
            .map(|channel| Arc::clone(&channel))
            .collect()
    }

    /// The channels of which metrics may say something else than at the last scrape, in no order.
    pub(super) fn stirred(&self) -> Vec<Arc<Channel>> {
        self.by_arn
            .iter()
            .filter(|channel| channel.is_stirred())
            .map(|channel| Arc::clone(&channel))
            .collect()
    }

    /// Every account and region, in order.
    pub(super) fn accounts(&self) -> Vec<Arc<Account>> {
        let mut accounts: Vec<_> = self
            .lock_accounts()
            .values()
            .map(|(account, _)| Arc::clone(account))
            .collect();
        accounts.sort_by(|a, b| (&a.id, &a.region).cmp(&(&b.id, &b.region)));
        accounts
    }

    /// The accounts that have series of their own: those of listed channels, and those with
    /// a table.
    pub(super) fn set_listed_accounts(&self, settings: &Settings, meters: &Meters) {
        let mut listed = self
            .listed_accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let channels = settings
            .channels
            .iter()
            .map(|c| (c.arn.account(), c.arn.region()));
        let tables = settings
            .accounts
            .iter()
            .map(|a| (a.id.as_str(), a.region.as_str()));
        for (account, region) in channels.chain(tables) {
            meters.list_account(account, region);
            listed.insert((account.to_owned(), region.to_owned()));
        }
    }

    /// The listed accounts, and all others together.
    pub(super) fn account_snapshots(&self, now: Time) -> Vec<AccountSnapshot> {
        let listed = self
            .listed_accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut other = AccountSnapshot {
            account: OTHER_ACCOUNTS.to_owned(),
            region: OTHER_ACCOUNTS.to_owned(),
            tokens_available: 0,
            tokens_limit: 0,
            up: true,
            is_here: true,
        };
        let mut snapshots = Vec::new();
        for account in self.accounts() {
            let report = AccountReport::of(now, &account);
            let is_here = account.home().is_ok();
            let (available, limit) = (report.tokens.available.into(), report.tokens.limit.into());
            if listed.contains(&(account.id.clone(), account.region.clone())) {
                snapshots.push(AccountSnapshot {
                    account: report.account,
                    region: report.region,
                    tokens_available: available,
                    tokens_limit: limit,
                    up: report.up,
                    is_here,
                });
            } else {
                other.tokens_available += available;
                other.tokens_limit += limit;
                other.up &= report.up;
                other.is_here &= is_here;
            }
        }
        snapshots.push(other);
        snapshots
    }

    /// Gives an account that is known a task that knows of no call; the one before it ends.
    pub(super) async fn renew_task(&self, shared: &Arc<Shared>, account: &Arc<Account>) {
        let key = (account.id.clone(), account.region.clone());
        let before = self.lock_accounts().get_mut(&key).map(|(account, task)| {
            let next = Driver::start(Arc::clone(account), shared);
            std::mem::replace(task, next)
        });
        if let Some(before) = before {
            before.abort();
            // An error says that it was aborted.
            let _ = before.await;
        }
    }

    /// The channels of an account, in no order.
    pub(super) fn channels_of(&self, account: &Arc<Account>) -> Vec<Arc<Channel>> {
        self.by_arn
            .iter()
            .filter(|channel| Arc::ptr_eq(&channel.account, account))
            .map(|channel| Arc::clone(&channel))
            .collect()
    }

    /// Ends the accounts' tasks.
    pub(super) fn stop(&self) {
        for (_, task) in self.lock_accounts().values() {
            task.abort();
        }
    }

    fn lock_accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel's queue, with what a journal has of it.
pub(super) fn queue(
    shared: &Shared,
    settings: &Settings,
    account: &Account,
    home: Option<&Home>,
    policy: Arc<ChannelPolicy>,
    kept: Rebuild,
) -> Queue {
    let rules = settings.account_policy(&account.id, &account.region);
    let round = Span::SECOND + ROUND_TRIP_GUESS + rules.grace;
    let interval = Span::from_micros(round.micros() / u64::from(rules.channel_tps));
    let first_n = shared.clock.number_ms();
    let first_n = first_n.max(home.map_or(0, |home| home.journal.n_floor()));
    let payload_max = account.payload_max();
    if home.is_some_and(|home| home.journal.is_on()) {
        let (now, origin) = (shared.clock.now(), shared.clock.wall_origin());
        Queue::rebuild(policy, payload_max, first_n, interval, now, origin, kept)
    } else {
        Queue::new(policy, payload_max, first_n, interval)
    }
}

/// Forgets one account that has no channel, no token out and nothing else to remember.
fn forget_idle_account(accounts: &mut Accounts, now: Time) {
    // The map and the account's own task hold it: nobody else, so no channel. A call has a token out.
    let idle = accounts
        .iter()
        .find(|(_, (account, _))| Arc::strong_count(account) == 2 && account.engine().is_idle(now));
    if let Some(key) = idle.map(|(key, _)| key.clone())
        && let Some((_, task)) = accounts.remove(&key)
    {
        task.abort();
    }
}
