//! The task of an account: drives its scheduler, its timers and its calls.
//!
//! It wakes for three things: news (a queue has something, a call ended), a moment a queue
//! changes by itself, and the moment the scheduler named. It makes at most as many calls as
//! the scheduler hands out tokens for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{ChannelId, Next, Outcome, Settled, Time};

use super::account::{Account, News};
use super::call::{Call, make_call};
use super::channel::{Channel, Delivered, LastError, Payloads};
use super::shared::Shared;
use crate::telemetry::warnings::Warning;
use crate::upstream::Answer;

/// Timers that no longer count, beyond as many as there are busy channels, before they are
/// cleared away.
const TIMERS_SLACK: usize = 64;

/// The task's own state.
pub(super) struct Driver {
    account: Arc<Account>,
    shared: Arc<Shared>,
    /// Channels that have something to send or change by themselves.
    busy: HashMap<ChannelId, Busy>,
    timers: BinaryHeap<Reverse<(Time, ChannelId)>>,
}

struct Busy {
    channel: Arc<Channel>,
    /// When its queue changes by itself.
    timer: Option<Time>,
}

impl Driver {
    pub(super) fn new(account: Arc<Account>, shared: Arc<Shared>) -> Self {
        Self {
            account,
            shared,
            busy: HashMap::new(),
            timers: BinaryHeap::new(),
        }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let next = self.step();
            let bell = self.account.news();
            if next == Time::NEVER {
                bell.await;
            } else {
                // Past, present or future: a timeout in the past fires at once.
                let _ = tokio::time::timeout(self.shared.clock.until(next), bell).await;
            }
        }
    }

    /// Does all there is to do now, and says when there is more.
    fn step(&mut self) -> Time {
        for news in self.account.take_news() {
            self.hear(news);
        }
        self.run_timers();
        loop {
            let now = self.shared.clock.now();
            let next = self.account.scheduler().poll(now);
            match next {
                Next::Send(channel) => self.send(now, channel),
                Next::Wait(until) => {
                    let timer = self
                        .timers
                        .peek()
                        .map_or(Time::NEVER, |Reverse((at, _))| *at);
                    return until.min(timer);
                }
            }
        }
    }

    fn hear(&mut self, news: News) {
        let now = self.shared.clock.now();
        match news {
            News::Wake(channel) => {
                channel.seen();
                self.look(now, &channel);
            }
            News::Answered(call, answer, took) => {
                self.account
                    .scheduler()
                    .finished(now, call.id, answer.outcome, fastrand::u64(..));
                self.meter(answer.outcome, took);
                self.settle(now, &call, answer);
            }
            News::GaveUp(call, took) => {
                self.account
                    .scheduler()
                    .gave_up(now, call.id, fastrand::u64(..));
                self.meter(Outcome::Unknown, took);
                let limit = self.shared.call_timeout().as_millis();
                let error = LastError {
                    code: None,
                    status: None,
                    message: format!("no answer within {limit} ms; it may have been applied"),
                    at_ms: self.shared.clock.epoch_ms(),
                };
                self.settle_as(now, &call, Outcome::Unknown, Some(error));
            }
            News::Late(call, answer) => {
                self.account.scheduler().late(now, call.id);
                if answer.outcome == Outcome::Delivered {
                    self.settle(now, &call, answer);
                }
            }
            News::Look => {}
        }
    }

    fn meter(&self, outcome: Outcome, took: Duration) {
        if matches!(outcome, Outcome::Throttled(_)) {
            let account = format!("{} in {}", self.account.id, self.account.region);
            let warnings = self.shared.meters.warnings();
            warnings.count(Warning::Throttled, 1, &account);
        }
        self.shared
            .meters
            .call(&self.account.id, &self.account.region, outcome, took);
    }

    fn settle(&mut self, now: Time, call: &Call, answer: Answer) {
        let trouble = answer.account_trouble;
        let message = answer.error.as_ref().map(|error| error.message.clone());
        if trouble {
            self.account
                .set_trouble(message.or_else(|| Some("the account cannot send".to_owned())));
        } else if !matches!(
            answer.outcome,
            Outcome::Failed | Outcome::Refused | Outcome::Unknown
        ) {
            self.account.set_trouble(None);
        }
        let at_ms = self.shared.clock.epoch_ms();
        let error = answer.error.map(|error| LastError {
            code: error.code,
            status: error.status,
            message: error.message,
            at_ms,
        });
        self.settle_as(now, call, answer.outcome, error);
    }

    fn settle_as(&mut self, now: Time, call: &Call, outcome: Outcome, error: Option<LastError>) {
        if let Some(error) = &error {
            tracing::debug!(channel = %call.channel.arn, ?outcome, message = %error.message, "PutMetadata was not delivered");
        }
        let link = self.account.scheduler().link(now, call.channel.id);
        let settled = call.channel.with(&self.shared, |state| {
            state.queue.set_link(link);
            if let Some(error) = error {
                state.last_error = Some(Box::new(error));
            }
            let settled = state.queue.settle(now, call.payload, outcome);
            if let Some((n, text)) = &settled.delivered {
                self.show(call.channel.id, &mut state.payloads, *n, text);
            }
            settled
        });
        self.account_for(call, &settled);
        let channel = Arc::clone(&call.channel);
        self.look(now, &channel);
    }

    /// Shows a delivered payload to whoever looks, now or a little later.
    fn show(&self, channel: ChannelId, payloads: &mut Option<Payloads>, n: u64, text: &Arc<str>) {
        let delivered = Arc::new(Delivered {
            n,
            at_ms: self.shared.clock.epoch_ms(),
            text: Arc::clone(text),
        });
        self.shared.recent.add(channel, &delivered);
        if let Some(listeners) = payloads {
            // Nobody listening is not an error.
            let _ = listeners.send(delivered);
            if listeners.receiver_count() == 0 {
                *payloads = None;
            }
        }
    }

    fn account_for(&self, call: &Call, settled: &Settled) {
        if settled.delivered.is_some() {
            let events = settled.latencies.len() as u64;
            self.shared.delivered.fetch_add(events, Ordering::Relaxed);
            self.shared.meters.payload(call.bytes, &settled.latencies);
        }
        if let Some(bytes) = settled.payload_max
            && self.account.learn_payload_max(bytes)
        {
            tracing::warn!(
                account = %self.account.id, region = %self.account.region, payload_max_bytes = bytes,
                "the API refused a payload of {} bytes as too large: payloads of this account stay within {bytes} from now on; set quota.payload_max_bytes",
                call.bytes,
            );
        }
    }

    /// Asks a queue what it wants and when it changes, and tells the scheduler.
    fn look(&mut self, now: Time, channel: &Arc<Channel>) {
        let link = self.account.scheduler().link(now, channel.id);
        let payload_max = self.account.payload_max();
        let (demand, timer) = channel.with(&self.shared, |state| {
            state.queue.set_link(link);
            if state.queue.payload_max() != payload_max {
                let policy = Arc::clone(state.queue.policy());
                state.queue.set_policy(policy, payload_max);
            }
            (state.queue.demand(now), state.queue.timer())
        });
        self.account.scheduler().update(now, channel.id, demand);
        if demand.is_none() && timer.is_none() {
            // Nothing to send and nothing to wait for: its next event, or the answer of a
            // call in flight, brings it back.
            self.busy.remove(&channel.id);
            return;
        }
        let busy = self.busy.entry(channel.id);
        let busy = busy.or_insert_with(|| Busy {
            channel: Arc::clone(channel),
            timer: None,
        });
        if busy.timer != timer {
            busy.timer = timer;
            if let Some(at) = timer {
                self.timers.push(Reverse((at, channel.id)));
            }
            if self.timers.len() > 2 * self.busy.len() + TIMERS_SLACK {
                let busy = &self.busy;
                self.timers.retain(|Reverse((at, id))| {
                    busy.get(id).is_some_and(|busy| busy.timer == Some(*at))
                });
            }
        }
    }

    fn run_timers(&mut self) {
        let now = self.shared.clock.now();
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(busy) = self.busy.get_mut(&id).filter(|busy| busy.timer == Some(at)) else {
                continue;
            };
            busy.timer = None;
            let channel = Arc::clone(&busy.channel);
            self.look(now, &channel);
        }
    }

    /// Makes the call the scheduler asked for, if the queue still has something to send.
    fn send(&mut self, now: Time, id: ChannelId) {
        let Some(channel) = self.busy.get(&id).map(|busy| Arc::clone(&busy.channel)) else {
            self.account.scheduler().update(now, id, None);
            return;
        };
        let (taken, ticket) = channel.change(&self.shared, |state| {
            let payload = state.queue.take(now)?;
            let origins = state.origins_of(&payload);
            Some((payload, origins))
        });
        if let Some((payload, origins)) = taken {
            let call = self.account.scheduler().sent(now, id);
            let call = Call {
                id: call,
                channel: Arc::clone(&channel),
                payload: payload.id,
                bytes: payload.text.len(),
            };
            tokio::spawn(make_call(
                Arc::clone(&self.account),
                Arc::clone(&self.shared),
                call,
                payload,
                origins,
                ticket,
            ));
        }
        self.look(now, &channel);
    }
}
