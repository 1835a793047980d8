//! This node's part in each account, as everybody here sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Action, Epoch, NodeId, Ownership, OwnershipRules, OwnershipState, Time};

use super::AccountView;

/// An account's id and region.
pub type Key = (String, String);

/// The state machines of all accounts.
pub(super) struct Parts {
    me: NodeId,
    rules: OwnershipRules,
    by_account: Mutex<BTreeMap<Key, Ownership>>,
}

impl Parts {
    pub(super) const fn new(me: NodeId, rules: OwnershipRules) -> Self {
        Self {
            me,
            rules,
            by_account: Mutex::new(BTreeMap::new()),
        }
    }

    /// The accounts that are known from now on, beside those that were.
    pub(super) fn know(&self, keys: impl IntoIterator<Item = Key>) {
        let mut parts = self.lock();
        for key in keys {
            let new = || Ownership::new(self.me, self.rules);
            parts.entry(key).or_insert_with(new);
        }
    }

    /// Works on the part in one account, if it is known.
    pub(super) fn with<R>(&self, key: &Key, work: impl FnOnce(&mut Ownership) -> R) -> Option<R> {
        self.lock().get_mut(key).map(work)
    }

    /// Works on all of them.
    pub(super) fn each(&self, mut work: impl FnMut(&Key, &mut Ownership)) {
        self.lock()
            .iter_mut()
            .for_each(|(key, part)| work(key, part));
    }

    /// The next thing to do, if there is one now.
    pub(super) fn next(&self, now: Time) -> Option<(Key, Action)> {
        let mut parts = self.lock();
        let owned = parts.values().filter(|part| part.epoch().is_some());
        let owned = u32::try_from(owned.count()).unwrap_or(u32::MAX);
        parts.iter_mut().find_map(|(key, part)| {
            let action = part.step(now, fastrand::u64(..), owned)?;
            Some((key.clone(), action))
        })
    }

    /// When to step next, if nothing is told before.
    pub(super) fn wake(&self, now: Time) -> Time {
        let parts = self.lock();
        let wakes = parts.values().map(|part| part.wake(now));
        wakes.min().unwrap_or(Time::NEVER)
    }

    /// The epoch under which this node owns an account, if it does.
    pub(super) fn epoch(&self, key: &Key) -> Option<Epoch> {
        self.with(key, |part| part.epoch()).flatten()
    }

    /// Whether a call of the account may leave now whose attempt is committed.
    pub(super) fn may_call(&self, key: &Key, now: Time) -> bool {
        self.with(key, |part| part.may_call(now)).unwrap_or(false)
    }

    pub(super) fn owns_any(&self) -> bool {
        self.lock().values().any(|part| part.epoch().is_some())
    }

    /// What is known of each account at that moment.
    pub(super) fn view(&self, now: Time) -> Vec<AccountView> {
        let parts = self.lock();
        let view = parts.iter().map(|((account, region), part)| AccountView {
            account: account.clone(),
            region: region.clone(),
            is_here: matches!(
                part.state(now),
                OwnershipState::Holding | OwnershipState::Owning
            ),
        });
        view.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Ownership>> {
        self.by_account
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use engine::{Answer, Reading};

    use super::*;
    use crate::clock::manual::Machine;

    #[test]
    fn an_owner_whose_machine_slept_makes_no_call_before_the_database_confirmed_something() {
        let machine = Machine::new();
        let clock = machine.start();
        let now = || clock.now_with_sleep();
        let parts = Parts::new(NodeId(1), OwnershipRules::default());
        let key = ("123456789012".to_owned(), "eu-west-1".to_owned());
        parts.know([key.clone()]);
        let vacant = Reading {
            epoch: Epoch(0),
            owner: None,
            beat: 0,
        };
        parts.with(&key, |part| part.read(now(), now(), vacant));
        parts.next(now());
        machine.pass_ms(1000);
        assert!(matches!(parts.next(now()), Some((_, Action::Take { .. }))));
        parts.with(&key, |part| {
            part.took(now(), Answer::Done);
            part.recovered(now());
        });
        assert!(parts.may_call(&key, now()));
        machine.sleep_ms(5000);
        assert!(!parts.may_call(&key, now()));
        parts.with(&key, |part| part.confirmed(now()));
        assert!(parts.may_call(&key, now()));
    }
}
