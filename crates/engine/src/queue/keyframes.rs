//! The state of the channel's keys in its queue: what changes when payloads end, entries behind the
//! items of a payload, and payloads of their own.
//!
//! A queue that keeps no state has none of this, and pays one comparison for it.

use std::sync::Arc;

use super::carried::Carried;
use super::changes::Change;
use super::fill::Filled;
use super::pack::{InFlightPayload, KILOBYTE, Payload, PayloadId, Settled};
use super::{Queue, small};
use crate::call::{Outcome, Rejection};
use crate::envelope::Envelope;
use crate::event::Data;
use crate::form::{Compressor, DECODED_MAX};
use crate::policy::{ChannelPolicy, Keyframes};
use crate::state::{Fits, Item, PublicState, State, StateChange, StateEntry, Tail, Window};
use crate::time::{Span, Time};

/// Bytes of a payload with one entry and nothing else, the entry aside and with the longest numbers:
/// `{"v":1,"n":N,"e":[],"s":[],"c":[N,N,1],"r":N}`.
const OWN_OVERHEAD: usize = 36 + 7 + 42 + 21;

/// Payloads that are compressed to find how many entries fit.
const TRIALS: usize = 3;

/// How long no payload of state alone goes after the API rejected one: what it lacks, a permission or
/// the channel, does not come by asking every second.
const AFTER_A_REJECTION: Span = Span::from_millis(10_000);

/// A payload that is filled to more than this is not tried: no entry is so short.
const LEAST_ROOM: usize = 40;

/// A payload with nothing but state. It is never sent again.
#[derive(Clone, Debug)]
struct Own {
    id: PayloadId,
    n: u64,
    text: Arc<str>,
    plain_bytes: usize,
    carried: Box<Carried>,
}

/// What a queue with a state has beside it.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub state: State,
    /// What is told over HTTP, where that is wanted.
    window: Option<Box<Window>>,
    /// Payloads of their own that are out.
    own: Vec<Own>,
    /// When the next one may go.
    next_own: Time,
    /// The account was told that there is one to send.
    told: bool,
}

impl Keeping {
    pub(super) fn new(state: State, window: Option<Box<Window>>) -> Box<Self> {
        Box::new(Self {
            state,
            window,
            own: Vec::new(),
            next_own: Time::ZERO,
            told: false,
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state.is_empty() && self.own.is_empty()
    }

    /// Bytes of memory, about.
    pub(super) fn footprint(&self) -> usize {
        let window = self.window.as_ref();
        self.state.footprint() + window.map_or(0, |window| window.footprint())
    }

    /// The changes that make it.
    pub(super) fn snapshot(&self) -> Vec<StateChange> {
        let window = self.window.as_ref().map(|window| window.snapshot());
        let mut changes = window.unwrap_or_default();
        changes.extend(self.state.snapshot());
        changes
    }

    /// Tells of payloads over HTTP or not, as the rules say; one that was not told of for a while begins
    /// anew. The answer is what a journal has to hear.
    fn follow_http(&mut self, now: Time, rules: &Keyframes) -> Option<StateChange> {
        match (&self.window, rules.http) {
            (None, true) => self.window = Some(Box::new(Window::begin(now, &self.state))),
            (Some(_), false) => self.window = None,
            _ => return None,
        }
        Some(StateChange::Untold)
    }
}

impl Queue {
    /// The value of every key, in the order of their names; none: the channel keeps no state.
    #[must_use]
    pub fn state(&self) -> Option<Vec<StateEntry>> {
        let keeping = self.keeping.as_ref()?;
        Some(keeping.state.entries().collect())
    }

    /// The number that no payload has which the state is of: less than those of all that are out.
    #[must_use]
    pub fn state_n(&self) -> u64 {
        let keeping = self.keeping.as_ref();
        let own = keeping.into_iter().flat_map(|keeping| &keeping.own);
        let out = self.outs.iter().map(InFlightPayload::own_n);
        let out = out.chain(own.map(|own| own.n));
        out.min().unwrap_or(self.next_n).min(self.next_n)
    }

    /// How many keys have a value.
    #[must_use]
    pub fn state_keys(&self) -> usize {
        let keeping = self.keeping.as_ref();
        keeping.map_or(0, |keeping| keeping.state.len())
    }

    /// What is told of the state over HTTP.
    pub fn public_state(&mut self, now: Time) -> PublicState {
        self.advance(now);
        let (out, rules) = (self.state_n(), self.policy.keyframes());
        let (Some(keeping), Some(rules)) = (&mut self.keeping, rules) else {
            return PublicState::Off;
        };
        let Some(window) = &mut keeping.window else {
            return PublicState::Off;
        };
        window.pass(self.now, out, &rules);
        window.public(self.now, out, &keeping.state, &rules)
    }

    /// A key is to be deleted: the next payload with room tells it. False: the channel keeps no state.
    pub fn delete_state(&mut self, now: Time, key: &str) -> bool {
        self.advance(now);
        self.on_state(|state, _| state.delete(key))
    }

    /// The state is empty from now on, and no payload that is out changes it. False: the channel
    /// keeps no state.
    pub fn clear_state(&mut self, now: Time) -> bool {
        self.advance(now);
        // A payload that is out in slices has the number of the last.
        let outs = self.outs.iter().map(|out| out.own_n() + 1);
        self.next_n = outs.fold(self.next_n, u64::max);
        let n = self.next_n;
        self.on_state(|state, _| state.clear(n))
    }

    /// When a payload of state alone may go, if nothing else happens; none: there is nothing to tell,
    /// or events come first.
    pub fn state_due(&mut self) -> Option<Time> {
        let due = self.own_due();
        if let Some(keeping) = &mut self.keeping {
            keeping.told = due.is_some();
        }
        due
    }

    /// Whether a payload of state alone may go by now or later, and nobody was told so.
    pub(super) fn has_state_news(&self) -> bool {
        let keeping = self.keeping.as_ref();
        keeping.is_some_and(|keeping| !keeping.told) && self.own_due().is_some()
    }

    fn own_due(&self) -> Option<Time> {
        let keeping = self.keeping.as_ref()?;
        self.policy.keyframes()?.idle()?;
        let is_free =
            self.outs.is_empty() && keeping.own.is_empty() && !self.order.is_anything_waiting();
        is_free.then_some(keeping.next_own)
    }

    /// A payload of state alone, which is never sent again. None: there is nothing to tell.
    pub fn take_state(&mut self, now: Time) -> Option<Payload> {
        self.advance(now);
        if self.own_due().is_none_or(|due| due > now) {
            return None;
        }
        let idle = self.policy.keyframes()?.idle()?;
        let (text, plain_bytes, tail) = self.own_payload()?;
        let (n, id) = (self.next_n, self.take_payload_id());
        self.next_n += 1;
        let text: Arc<str> = text.into();
        let keeping = self.keeping.as_mut()?;
        keeping.next_own = now + idle;
        keeping.state.carried(n, &tail);
        keeping.own.push(Own {
            id,
            n,
            text: Arc::clone(&text),
            plain_bytes,
            carried: Box::new(Carried::of(tail)),
        });
        Some(Payload {
            id,
            n,
            text,
            events: 0,
            plain_bytes,
        })
    }

    /// The text of a payload of state alone, and what it tells.
    fn own_payload(&mut self) -> Option<(String, usize, Tail)> {
        let mut plain = String::new();
        Envelope::Cue.open(self.next_n, &mut plain);
        Envelope::Cue.close(&mut plain);
        if self.policy.compresses()
            && let Some(key) = self.keeping.as_ref()?.state.first_long(self.entry_max())
        {
            if let Some(found) = self.long_payload(&plain) {
                return Some(found);
            }
            self.keeping.as_mut()?.state.name_alone(&key);
        }
        let bytes = plain.len();
        self.extended(&plain, plain.len(), bytes, true)
    }

    /// A payload with the one key that was told longest ago, if it fits compressed.
    fn long_payload(&self, plain: &str) -> Option<(String, usize, Tail)> {
        let fits = Fits {
            room: DECODED_MAX - plain.len(),
            entry_max: DECODED_MAX - OWN_OVERHEAD,
            waits: false,
            keys_max: 1,
            is_own: true,
        };
        let tail = self.tail(fits)?;
        let (text, plain_bytes) = sealed(plain, &tail, &mut Some(Compressor::new()));
        (text.len() <= self.payload_max()).then_some((text, plain_bytes, tail))
    }

    /// Adds entries to a payload that is filled with events, in the bytes that are left.
    pub(super) fn carry(&mut self, filled: Filled) -> (Filled, Option<Box<Carried>>) {
        if self.keeping.is_none() || filled.text.len() + LEAST_ROOM > self.payload_max() {
            return (filled, None);
        }
        let is_verbatim =
            |&index: &u32| matches!(self.order.items[index].content.data, Data::Verbatim(_));
        if filled.items.iter().any(is_verbatim) {
            return (filled, None);
        }
        let plain = if filled.text.starts_with('{') {
            filled.text.clone()
        } else {
            self.write(&filled.items)
        };
        let extended = self.extended(&plain, filled.text.len(), filled.plain_bytes, false);
        let Some((text, plain_bytes, tail)) = extended else {
            return (filled, None);
        };
        let n = self.next_n;
        if let Some(keeping) = &mut self.keeping {
            keeping.state.carried(n, &tail);
        }
        let longer = Filled {
            items: filled.items,
            text,
            plain_bytes,
            slices: 0,
        };
        (longer, Some(Box::new(Carried::of(tail))))
    }

    /// A plain payload, which is sent in so many bytes, with entries behind its items.
    fn extended(
        &self,
        plain: &str,
        sent: usize,
        plain_bytes: usize,
        is_own: bool,
    ) -> Option<(String, usize, Tail)> {
        let limit = self.payload_max();
        let compresses = self.policy.compresses();
        let mut compressor = compresses.then(Compressor::new);
        let mut room = if compresses {
            // Entries of one state are alike, and compress at least as well as the events did.
            let free = limit.saturating_sub(sent);
            free.max(self.gain.plain(free))
        } else {
            limit.saturating_sub(plain_bytes)
        };
        for _ in 0..TRIALS {
            let tail = self.tail(Fits {
                room,
                entry_max: self.entry_max(),
                waits: compresses,
                keys_max: usize::MAX,
                is_own,
            })?;
            let (text, plain_bytes) = sealed(plain, &tail, &mut compressor);
            if text.len() <= limit {
                return Some((text, plain_bytes, tail));
            }
            room /= 2;
        }
        None
    }

    /// Whether the payload of that number waits to be sent again.
    #[cfg(test)]
    pub(super) fn waits_again(&self, n: u64) -> bool {
        self.outs.iter().any(|out| out.n == n && out.again)
    }

    fn entry_max(&self) -> usize {
        self.payload_max().saturating_sub(OWN_OVERHEAD)
    }

    fn tail(&self, fits: Fits) -> Option<Tail> {
        let keeping = self.keeping.as_ref()?;
        let keys: Vec<&str> = self
            .outs
            .iter()
            .flat_map(|out| &out.items)
            .filter_map(|&index| self.order.item(index)?.content.key.as_deref())
            .collect();
        keeping
            .state
            .tail(self.next_n, fits, |key| keys.contains(&key))
    }

    /// A payload with events ended, having reached the stream or perhaps: its items are still there.
    pub(super) fn state_takes(&mut self, out: &InFlightPayload) {
        let Some(keeping) = &mut self.keeping else {
            return;
        };
        let Some(rules) = self.policy.keyframes() else {
            return;
        };
        let order = &self.order;
        let items = out.items.iter().filter_map(|&index| {
            let item = order.item(index)?;
            let Data::Json(data) = &item.content.data else {
                return None;
            };
            Some(Item {
                key: item.content.key.clone()?,
                merge: item.content.merge?,
                data: Arc::clone(data),
                kind: item.content.kind.clone(),
            })
        });
        let carried = out.carried.as_deref();
        let deletions = carried.map_or(&[][..], |carried| &carried.deletions);
        if rules.http {
            keeping.state.tell(out.own_n(), out.whole(), self.now);
        }
        keeping
            .state
            .payload(out.own_n(), deletions, items, self.now, &rules);
        self.ledger.state_entries += carried.map_or(0, |carried| carried.entries);
        self.record_state();
    }

    /// A payload certainly did not reach the stream.
    pub(super) fn state_lost(&mut self, out: &InFlightPayload) {
        if let (Some(keeping), Some(carried)) = (&mut self.keeping, &out.carried) {
            keeping.state.lost(&carried.deletions);
        }
    }

    /// The call of a payload of state alone ended.
    pub(super) fn settle_own(&mut self, payload: PayloadId, outcome: Outcome) -> Settled {
        let Some(keeping) = &mut self.keeping else {
            return Settled::default();
        };
        let Some(place) = keeping.own.iter().position(|own| own.id == payload) else {
            return Settled::default();
        };
        let own = keeping.own.remove(place);
        let mut settled = Settled::default();
        match outcome {
            Outcome::Delivered | Outcome::Unknown => {
                if let Some(rules) = self.policy.keyframes() {
                    let (deletions, items) = (&own.carried.deletions, std::iter::empty());
                    let state = &mut keeping.state;
                    if rules.http {
                        state.tell(own.n, &own.text, self.now);
                    }
                    state.payload(own.n, deletions, items, self.now, &rules);
                }
                if outcome == Outcome::Unknown {
                    // Viewers may miss a part of the cycle.
                    keeping.state.lost(&[]);
                } else {
                    self.ledger.state_payloads += 1;
                    self.ledger.state_entries += own.carried.entries;
                    self.ledger.plain_bytes += own.plain_bytes as u64;
                    settled.delivered = Some((own.n, own.text));
                }
                self.record_state();
            }
            Outcome::TooLarge => {
                keeping.state.lost(&own.carried.deletions);
                if own.text.len() > KILOBYTE {
                    self.payload_max = small(self.payload_max().min(KILOBYTE));
                    settled.payload_max = Some(self.payload_max());
                }
            }
            Outcome::Rejected(
                Rejection::AccessDenied | Rejection::NoSuchChannel | Rejection::Validation,
            ) => {
                keeping.state.lost(&own.carried.deletions);
                keeping.next_own = self.now + AFTER_A_REJECTION;
            }
            Outcome::Throttled(_) | Outcome::Offline | Outcome::Failed | Outcome::Refused => {
                keeping.state.lost(&own.carried.deletions);
            }
        }
        settled
    }

    /// Keeps a state or none, as the rules say. One that was not kept for a while begins anew.
    pub(super) fn follow_keyframes(&mut self) {
        let n = self.next_n;
        match (self.policy.keyframes(), &mut self.keeping) {
            (Some(rules), Some(keeping)) => keeping.state.expire(self.now, &rules),
            (Some(_), None) => self.keeping = Some(Keeping::new(State::begin(n), None)),
            (None, Some(_)) => {
                self.keeping = None;
                self.record(Change::State(StateChange::Off));
            }
            (None, None) => {}
        }
        self.record_state();
        if let (Some(rules), Some(keeping)) = (self.policy.keyframes(), &mut self.keeping)
            && let Some(change) = keeping.follow_http(self.now, &rules)
        {
            self.record(Change::State(change));
        }
    }

    /// Lets time pass for the state.
    pub(super) fn expire_state(&mut self) {
        if self.keeping.is_some()
            && self
                .next_state_expiry()
                .is_some_and(|over| over <= self.now)
        {
            self.on_state(|_, _| {});
        }
    }

    /// When a key ends that does not change before.
    pub(super) fn next_state_expiry(&self) -> Option<Time> {
        let keeping = self.keeping.as_ref()?;
        keeping.state.next_expiry(&self.policy.keyframes()?)
    }

    fn on_state(&mut self, change: impl FnOnce(&mut State, &Keyframes)) -> bool {
        let (Some(keeping), Some(rules)) = (&mut self.keeping, self.policy.keyframes()) else {
            return false;
        };
        keeping.state.expire(self.now, &rules);
        change(&mut keeping.state, &rules);
        self.record_state();
        true
    }

    fn record_state(&mut self) {
        let (out, rules) = (self.state_n(), self.policy.keyframes());
        let Some(keeping) = &mut self.keeping else {
            return;
        };
        let log = keeping.state.take_log();
        self.ledger.state_evicted += keeping.state.take_evicted();
        if let (Some(window), Some(rules)) = (&mut keeping.window, rules) {
            for change in &log {
                window.hear(change);
            }
            window.pass(self.now, out, &rules);
        }
        for change in log {
            self.record(Change::State(change));
        }
    }
}

/// A plain payload with the entries behind its items, in the shortest form.
fn sealed(plain: &str, tail: &Tail, compressor: &mut Option<Compressor>) -> (String, usize) {
    let mut text = String::with_capacity(plain.len() + tail.text.len());
    text.push_str(plain.strip_suffix('}').unwrap_or(plain));
    text.push_str(&tail.text);
    text.push('}');
    let plain_bytes = text.len();
    let compressed = compressor
        .as_mut()
        .filter(|_| plain_bytes <= DECODED_MAX)
        .and_then(|compressor| compressor.compress(&text));
    (compressed.unwrap_or(text), plain_bytes)
}

impl ChannelPolicy {
    /// Whether players may take what another sends for a payload of ours.
    pub(super) fn reads_forms(&self) -> bool {
        self.compresses() || self.keyframes().is_some()
    }
}
