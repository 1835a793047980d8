//! The task of an account: tells the engine's account what happened, and makes its calls.
//!
//! It wakes for three things: news (a queue has something, a call ended), a moment a queue
//! changes by itself, and the moment the engine named. What is done then is the engine's word;
//! here are the locks, the clock and the meters.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{
    ChannelId, Health, Look, Outcome, Payload, PayloadId, Queue, Rejection, Settled, Step, Time,
    View,
};

use super::call::{Call, Calls, News, Parcel, make_call};
use super::channel::{Account, Channel, Payloads, State};
use super::last_error::LastError;
use super::recent::Delivered;
use super::shared::Shared;
use tokio::task::JoinHandle;

use crate::telemetry::warnings::Warning;
use crate::upstream::Answer;

/// The task's own state.
pub(super) struct Driver {
    calls: Arc<Calls>,
    queues: Queues,
}

/// The queues as the engine's account gets at them.
struct Queues {
    shared: Arc<Shared>,
    /// The channels that the engine may ask for.
    channels: HashMap<ChannelId, Arc<Channel>>,
    /// What the API said of the call that is being settled.
    error: Option<LastError>,
}

impl Driver {
    /// Starts the task of an account.
    pub(super) fn start(account: Arc<Account>, shared: &Arc<Shared>) -> JoinHandle<()> {
        let driver = Self::new(account, Arc::clone(shared));
        shared
            .supervisor
            .spawn("the task of an account", driver.run())
    }

    fn new(account: Arc<Account>, shared: Arc<Shared>) -> Self {
        Self {
            calls: Arc::new(Calls::new(account)),
            queues: Queues {
                shared,
                channels: HashMap::new(),
                error: None,
            },
        }
    }

    /// Runs until it is aborted.
    async fn run(mut self) {
        loop {
            let next = self.step();
            let bell = self.calls.account.rung();
            if next == Time::NEVER {
                bell.await;
            } else {
                // Past, present or future: a timeout in the past fires at once.
                let wait = self.queues.shared.clock.until(next);
                let _ = tokio::time::timeout(wait, bell).await;
            }
        }
    }

    /// Does all there is to do now, and says when there is more.
    fn step(&mut self) -> Time {
        for channel in self.calls.account.take_woken() {
            self.woken(channel);
        }
        for news in self.calls.take() {
            self.hear(news);
        }
        while !self.calls.account.is_quiet() {
            // The lock is taken for one decision at a time: others look at the account too.
            let now = self.queues.shared.clock.now();
            let step = self.calls.account.engine().step(now, &mut self.queues);
            match step {
                Step::Call(call, parcel) => {
                    let (calls, shared) = (&self.calls, &self.queues.shared);
                    let call = make_call(Arc::clone(calls), Arc::clone(shared), call, parcel);
                    self.queues
                        .shared
                        .supervisor
                        .spawn("a call to the API", call);
                }
                Step::Wait(until) => return until,
            }
        }
        Time::NEVER
    }

    fn woken(&mut self, channel: Arc<Channel>) {
        let now = self.queues.shared.clock.now();
        channel.seen();
        let id = channel.id;
        self.queues.know(&channel);
        drop(channel);
        self.calls.account.engine().woken(now, id, &mut self.queues);
    }

    /// The clock is read after the news came, because a token's way back is counted from here.
    fn hear(&mut self, news: News) {
        let now = self.queues.shared.clock.now();
        match news {
            News::Answered(call, answer, took) => {
                let outcome = answer.outcome;
                self.meter(outcome, took);
                self.answered(&call, answer);
                let random = fastrand::u64(..);
                let mut engine = self.calls.account.engine();
                let settled = engine.finished(now, call.engine, outcome, random, &mut self.queues);
                drop(engine);
                self.account_for(&call, &settled);
            }
            News::GaveUp(call, took) => {
                self.meter(Outcome::Unknown, took);
                let limit = self.queues.shared.call_timeout().as_millis();
                let message = format!("no answer within {limit} ms; it may have been applied");
                self.expect(&call, Outcome::Unknown, Some((None, None, message)));
                let random = fastrand::u64(..);
                let mut engine = self.calls.account.engine();
                let settled = engine.gave_up(now, call.engine, random, &mut self.queues);
                drop(engine);
                self.account_for(&call, &settled);
            }
            News::Late(call, answer) => {
                let outcome = answer.outcome;
                if outcome == Outcome::Delivered {
                    self.answered(&call, answer);
                }
                let mut engine = self.calls.account.engine();
                let settled = engine.late(now, call.engine, outcome, &mut self.queues);
                drop(engine);
                if let Some(settled) = settled {
                    self.account_for(&call, &settled);
                }
            }
        }
    }

    fn meter(&self, outcome: Outcome, took: Duration) {
        let meters = &self.queues.shared.meters;
        let (account, region) = (&self.calls.account.id, &self.calls.account.region);
        if matches!(outcome, Outcome::Throttled(_)) {
            let account = format!("{account} in {region}");
            meters.warnings().count(Warning::Throttled, 1, &account);
        }
        meters.call(account, region, outcome, took);
    }

    /// What an answer says of the account, and the error to keep with the channel.
    fn answered(&mut self, call: &Call, answer: Answer) {
        let now = self.queues.shared.clock.now();
        let denied = answer.outcome == Outcome::Rejected(Rejection::AccessDenied);
        // Others say nothing of permissions, or nobody knows what they say.
        let says_nothing = matches!(
            answer.outcome,
            Outcome::Failed | Outcome::Refused | Outcome::Unknown
        );
        // A throttle is an answer to a call that was permitted, too.
        let permitted = !denied && !says_nothing && !answer.account_trouble;
        if permitted {
            self.calls.account.permitted(now);
        }
        // Where others are permitted it is the channel that is refused, and not the account.
        let trouble =
            answer.account_trouble || (denied && !self.calls.account.was_permitted_lately(now));
        let message = answer.error.as_ref().map(|error| error.message.clone());
        if trouble {
            self.calls
                .account
                .set_trouble(message.or_else(|| Some("the account cannot send".to_owned())));
        } else if permitted {
            self.calls.account.set_trouble(None);
        }
        let error = answer
            .error
            .map(|error| (error.code, error.status, error.message));
        self.expect(call, answer.outcome, error);
    }

    /// The engine is about to settle this call.
    fn expect(
        &mut self,
        call: &Call,
        outcome: Outcome,
        error: Option<(Option<String>, Option<u16>, String)>,
    ) {
        self.queues.know(&call.channel);
        let at_ms = self.queues.shared.clock.epoch_ms();
        self.queues.error = error.map(|(code, status, message)| {
            tracing::debug!(channel = %call.channel.arn, ?outcome, %message, "PutMetadata was not delivered");
            LastError {
                code,
                status,
                message,
                at_ms,
            }
        });
    }

    fn account_for(&self, call: &Call, settled: &Settled) {
        let shared = &self.queues.shared;
        if settled.delivered.is_some() {
            let events = settled.latencies.len() as u64;
            shared.delivered.fetch_add(events, Ordering::Relaxed);
            shared.meters.payload(call.bytes, &settled.latencies);
        }
        if let Some(bytes) = settled.payload_max {
            tracing::warn!(
                account = %self.calls.account.id, region = %self.calls.account.region, payload_max_bytes = bytes,
                "the API refused a payload of {} bytes as too large: payloads of this account stay within {bytes} from now on; set quota.payload_max_bytes",
                call.bytes,
            );
        }
    }
}

impl Queues {
    fn know(&mut self, channel: &Arc<Channel>) {
        self.channels
            .entry(channel.id)
            .or_insert_with(|| Arc::clone(channel));
    }

    /// A payload of the channel's queue, with what its call needs; `open` calls are on record with it.
    fn parcel(
        &self,
        channel: ChannelId,
        open: u32,
        take: impl FnOnce(&mut Queue) -> Option<Payload>,
    ) -> Option<(PayloadId, Parcel)> {
        let channel = self.channels.get(&channel)?;
        let changed = channel.change(&self.shared, |state| {
            let payload = take(&mut state.queue)?;
            state.set_open(open);
            let origins = state.origins_of(&payload);
            Some((payload, origins, Arc::clone(state.home()?)))
        });
        let (taken, commits) = changed.ok()?;
        let (payload, origins, home) = taken?;
        let parcel = Parcel {
            channel: Arc::clone(channel),
            payload,
            origins,
            home,
            commits,
        };
        Some((parcel.payload.id, parcel))
    }

    /// Shows a delivered payload to whoever looks, now or a little later.
    fn show(&self, channel: ChannelId, payloads: &mut Option<Payloads>, n: u64, text: &Arc<str>) {
        let delivered = Arc::new(Delivered {
            n,
            at_ms: self.shared.clock.epoch_ms(),
            text: Arc::clone(text),
        });
        self.shared.recent.add(channel, [&delivered]);
        if let Some(listeners) = payloads {
            // Nobody listening is not an error.
            let _ = listeners.send(delivered);
            if listeners.receiver_count() == 0 {
                *payloads = None;
            }
        }
    }
}

/// Notes whether a channel's calls are permitted, and logs a change of that.
fn tell_permission(channel: &Channel, state: &mut State, outcome: Outcome) {
    let denied = match outcome {
        Outcome::Rejected(Rejection::AccessDenied) => true,
        // It says nothing of permissions, or nobody knows what it says.
        Outcome::Failed | Outcome::Refused | Outcome::Unknown => return,
        _ => false,
    };
    if std::mem::replace(&mut state.denied, denied) == denied {
        return;
    }
    let name = channel.name();
    if denied {
        let last_error = state.last_error.as_ref();
        let reason = last_error.map_or("", |error| error.message.as_str());
        tracing::warn!(channel = %name, reason, "the channel is failing: its calls are not permitted, and their events become dead letters");
    } else {
        tracing::info!(channel = %name, "the channel's calls are permitted again");
    }
}

/// Logs a change of a channel's state, with its reason.
fn tell_health(channel: &Channel, state: &State, now: Health) {
    if now == state.outlook.health {
        return;
    }
    let name = channel.name();
    let last_error = state.last_error.as_ref();
    let reason = last_error.map_or("", |error| error.message.as_str());
    match now {
        Health::Live => tracing::info!(channel = %name, "the channel delivers again"),
        Health::Offline => {
            tracing::info!(channel = %name, reason, "the channel is offline: its stream is not live");
        }
        Health::Failing => {
            tracing::info!(channel = %name, reason, "the channel is failing: its calls are retried with growing pauses");
        }
    }
}

impl engine::Queues for Queues {
    type Parcel = Parcel;

    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look> {
        let channel = self.channels.get(&channel)?;
        Some(channel.with(&self.shared, |state| {
            tell_health(channel, state, view.channel.health);
            state.outlook = view.channel;
            state.set_open(view.open);
            let look = view.look(&mut state.queue);
            // Nobody watches for the state of a channel that is not listed and has none, and it must
            // not be kept for that.
            let has_state = channel.alias().is_some() || !state.queue.is_idle();
            Look {
                state: look.state.filter(|_| has_state),
                ..look
            }
        }))
    }

    fn take(&mut self, now: Time, channel: ChannelId, open: u32) -> Option<(PayloadId, Parcel)> {
        self.parcel(channel, open, |queue| queue.take(now))
    }

    fn take_state(
        &mut self,
        now: Time,
        channel: ChannelId,
        open: u32,
    ) -> Option<(PayloadId, Parcel)> {
        self.parcel(channel, open, |queue| queue.take_state(now))
    }

    fn settle(&mut self, call: engine::Call, view: &View, outcome: Outcome) -> Settled {
        let error = self.error.take();
        let Some(channel) = self.channels.get(&call.channel) else {
            return Settled::default();
        };
        channel.with(&self.shared, |state| {
            let note = |error: Option<&LastError>| {
                if let Some(home) = state.home() {
                    home.note_error(channel.arn.as_str(), error);
                }
            };
            if let Some(error) = error {
                note(Some(&error));
                state.last_error = Some(Box::new(error));
            } else if outcome == Outcome::Delivered && state.last_error.is_some() {
                note(None);
            }
            tell_health(channel, state, view.channel.health);
            state.outlook = view.channel;
            state.set_open(view.open);
            tell_permission(channel, state, outcome);
            let settled = view.settle(&mut state.queue, call.payload, outcome);
            if let Some((n, text)) = &settled.delivered {
                self.show(call.channel, &mut state.payloads, *n, text);
            }
            settled
        })
    }

    fn rest(&mut self, channel: ChannelId) {
        self.channels.remove(&channel);
    }
}
