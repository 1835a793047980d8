//! From a run's books to its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use cuegate_client::Channel;

use super::Load;
use super::book::Book;
use super::emulator::{Observer, Report, home};
use super::judge::{Books, Calls, ChannelBooks, Ended, Findings};
use super::producers::Run;
use super::report::{Allowed, Figures, Most, Shares, Times, float};

/// A second, in microseconds.
const SECOND_US: u64 = 1_000_000;

/// What is known at the end of a run beside its book.
pub(super) struct Outcome {
    /// The channels before and after.
    pub(super) before: Vec<Channel>,
    pub(super) after: Vec<Channel>,
    /// How long it was to send, or did until it was ended early.
    pub(super) length: Duration,
    pub(super) interrupted: bool,
    pub(super) start_us: u64,
    pub(super) connections: usize,
    /// Who saw what came out, and the calls.
    pub(super) observed: Option<(Observer, Report)>,
    pub(super) notes: Vec<String>,
}

/// The figures of a run.
pub(super) fn figures(load: &Load, run: &Run, outcome: Outcome) -> Figures {
    let book = run.book();
    let books = books(&book, &outcome);
    let found = Findings::of(&books);
    let planned = run.plan.due_by(outcome.length) as u64;
    // A run that was ended early has the last request of each connection open.
    let open = (outcome.connections * run.plan.batch) as u64;
    let slack = if outcome.interrupted { open } else { 0 };
    let seconds = outcome.length.max(book.last_sent).as_secs_f64();
    let observed = outcome.observed.is_some();
    let known = |count: u64| observed.then_some(count);
    let faults = if observed { found.faults() } else { Vec::new() };
    let ended = books.channels.iter().map(|channel| channel.ended);
    Figures {
        ok: faults.is_empty(),
        faults,
        url: load.target.url.clone(),
        transport: if load.ws { "websocket" } else { "http" },
        run: run.form.run.clone(),
        channels: run.plan.channels,
        connections: outcome.connections,
        rate: run.plan.rate,
        batch: run.plan.batch,
        size: run.form.size,
        seconds,
        interrupted: outcome.interrupted,
        planned,
        sent: book.sent,
        rate_reached: float(book.sent) / seconds.max(0.001),
        kept_pace: (book.sent + slack) * 100 >= planned * 99,
        accepted: book.accepted,
        refused: book.refused.clone(),
        unanswered: book.unanswered(),
        ack_ms: Times::of(&book.acks),
        late_ms: Times::of(&book.lateness),
        gateway: ended.fold(Ended::default(), Ended::and),
        local_ivs: outcome
            .observed
            .as_ref()
            .map(|(observer, _)| observer.emulator.url().to_owned()),
        delivered: known(found.delivered),
        delivered_unacknowledged: known(found.unacknowledged),
        lost: known(found.lost),
        duplicated: known(found.duplicated),
        out_of_order: known(found.out_of_order),
        delivery_ms: Times::of(&book.delays),
        payloads: known(book.payloads),
        payloads_repeated: known(book.repeated),
        payload_fill: fill(&book, &outcome).filter(|_| observed),
        throttled: outcome
            .observed
            .as_ref()
            .map(|(_, report)| report.all.throttled),
        quota_used: quota_used(&book, &books, &outcome),
        max_calls_per_second: most(&books, &outcome),
        limits: allowed(&outcome),
        notes: outcome.notes,
    }
}

fn books(book: &Book, outcome: &Outcome) -> Books {
    let pairs = outcome.before.iter().zip(&outcome.after);
    let mut channels: Vec<ChannelBooks> = book
        .seen()
        .into_iter()
        .zip(pairs)
        .map(|(seen, (before, after))| ChannelBooks {
            seen,
            ended: Ended::between(&before.totals, &after.totals, after.queued),
            calls: Calls::default(),
        })
        .collect();
    let mut accounts: BTreeMap<String, Calls> = BTreeMap::new();
    let mut forgotten = 0;
    if let Some((observer, report)) = &outcome.observed {
        forgotten = observer.forgotten;
        for (books, channel) in channels.iter_mut().zip(&outcome.before) {
            let limits = &channel.limits;
            let tally = report.channels.get(&channel.arn).map(|found| found.tally);
            let tally = tally.unwrap_or_default();
            books.calls = tally.calls(limits.channel_tps, report.limits.channel_tps);
            if let Some(home) = home(&channel.arn) {
                let tally = report.accounts.get(&home).copied().unwrap_or_default();
                let calls = tally.calls(limits.account_tps, report.limits.account_tps);
                accounts.insert(home, calls);
            }
        }
    }
    Books {
        channels,
        accounts: accounts.into_values().collect(),
        forgotten,
    }
}

fn fill(book: &Book, outcome: &Outcome) -> Option<f64> {
    let largest = outcome
        .before
        .iter()
        .map(|found| found.limits.payload_max_bytes)
        .max()?;
    let room = book.payloads * largest;
    (room > 0).then(|| float(book.payload_bytes) / float(room))
}

/// A call holds its token for a second, so the tokens there were are those of the time from the
/// start to the last payload, and of a second more.
fn quota_used(book: &Book, books: &Books, outcome: &Outcome) -> Shares {
    let took_us = book.last_taken_us.saturating_sub(outcome.start_us);
    let tokens = |limit: u64| float(limit * (took_us + SECOND_US)) / float(SECOND_US);
    let share = |calls: &Calls| (calls.limit > 0).then(|| float(calls.made) / tokens(calls.limit));
    if outcome.observed.is_none() {
        return Shares::default();
    }
    Shares {
        channel: books
            .channels
            .iter()
            .filter_map(|channel| share(&channel.calls))
            .reduce(f64::max),
        account: books.accounts.iter().filter_map(share).reduce(f64::max),
    }
}

fn most(books: &Books, outcome: &Outcome) -> Most {
    let Some((_, report)) = &outcome.observed else {
        return Most::default();
    };
    Most {
        channel: books
            .channels
            .iter()
            .map(|channel| channel.calls.most)
            .max(),
        account: books.accounts.iter().map(|calls| calls.most).max(),
        all: Some(report.all.max_calls_per_second),
    }
}

fn allowed(outcome: &Outcome) -> Allowed {
    let emulator = outcome.observed.as_ref().map(|(_, report)| report.limits);
    let limits = outcome.before.iter().map(|found| &found.limits);
    let channel = limits.clone().map(|limits| limits.channel_tps);
    let account = limits.map(|limits| limits.account_tps);
    Allowed {
        channel: channel
            .chain(emulator.map(|limits| limits.channel_tps))
            .min()
            .unwrap_or_default(),
        account: account
            .chain(emulator.map(|limits| limits.account_tps))
            .min()
            .unwrap_or_default(),
    }
}
