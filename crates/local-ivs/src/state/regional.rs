//! An account's region while an operation is at work in it: the operations' way to `state`.
//!
//! Whoever holds one holds the lock and has passed the operation's rate; the files beside
//! this one add what it can do, one family each.

use super::emulator_state::EmulatorState;
use super::region::Region;
use super::{Refusal, State};
use crate::arn::ResourceArn;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, MutexGuard};

/// Why an operation on resources did not go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// No such resource in the region; its ARN.
    NotFound(String),
    /// The channel has no live stream; its ARN.
    NotBroadcasting(String),
    Conflict(String),
    QuotaExceeded(String),
    /// Input that is wrong only as things stand.
    Invalid(String),
}

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Paging {
    /// The key after which to begin; from the beginning if `None`.
    pub(crate) after: Option<String>,
    pub(crate) most: usize,
}

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) things: Vec<T>,
    /// The key of the last thing, if more come after it.
    pub(crate) last: Option<String>,
}

/// One account in one region, locked.
pub(crate) struct Regional<'a> {
    pub(super) state: MutexGuard<'a, EmulatorState>,
    pub(super) now_us: u64,
    pub(super) home: &'a str,
}

impl State {
    /// Counts a call of an operation against its rate, and lets it in: `home` is the account
    /// and region it was signed for.
    pub(crate) fn enter<'a>(
        &'a self,
        home: &'a str,
        action: &'static str,
        tps: u32,
    ) -> Result<Regional<'a>, Refusal> {
        let (mut state, now_us) = self.lock();
        let admitted = state.admit(now_us, home, action, tps);
        state.note_operation(now_us, action, admitted.is_ok());
        admitted?;
        Ok(Regional {
            state,
            now_us,
            home,
        })
    }
}

impl Regional<'_> {
    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// It is there since the operation was let in.
    pub(super) fn region(&mut self) -> &mut Region {
        let Self { state, home, .. } = self;
        state.region_or_made(home)
    }

    /// `ARN:kind/ID` with an ID that no resource of the kind has. The region of a signature
    /// may be any text, and of some no ARN can be made.
    pub(super) fn new_arn(
        &mut self,
        kind: &str,
        is_taken: impl Fn(&Region, &str) -> bool,
    ) -> Result<Arc<str>, Rejection> {
        loop {
            let arn = format!("{}:{kind}/{}", self.home, self.state.ids.resource());
            if ResourceArn::parse(&arn).is_none() {
                let home = self.home;
                return Err(Rejection::Invalid(format!(
                    "{home} is no place for resources"
                )));
            }
            if !is_taken(self.region(), &arn) {
                return Ok(arn.into());
            }
        }
    }
}

/// A page of what is in `map`, in the order of its keys.
pub(super) fn list<T, U>(
    map: &BTreeMap<Arc<str>, T>,
    paging: &Paging,
    keep: impl Fn(&T) -> bool,
    show: impl Fn(&T) -> U,
) -> Listed<U> {
    let from = paging
        .after
        .as_deref()
        .map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = map
        .range::<str, _>((from, Bound::Unbounded))
        .filter(|(_, thing)| keep(thing));
    let mut last = None;
    let mut things = Vec::new();
    for (key, thing) in found.by_ref().take(paging.most) {
        last = Some(key);
        things.push(show(thing));
    }
    let last = found.next().and(last);
    Listed {
        things,
        last: last.map(ToString::to_string),
    }
}
