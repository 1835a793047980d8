//! The thread that writes: takes the open group, makes blocks of its changes, commits them,
//! and keeps the journal within its room. Where the groups go is the [`Log`]'s.
//!
//! When the storage refuses, nothing that was committed is touched and nothing in memory is
//! lost: the thread writes the whole journal anew, from the queues as they are, as soon as
//! the storage takes it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Options;
use super::error::OpenError;
use super::group_commit::{self, GroupCommit};
use super::log::{Block, CommitError, Epoch, Group, Handed, Log, Phase, Repair, Whole};
use super::record;
use super::recovery::{Blocks, Recovery};
use super::source::{DeadLetterStore, Drained, Source};
use crate::clock::Clock;

/// How long nothing happens before the thread looks after itself.
const IDLE: Duration = Duration::from_secs(1);

/// How long between two attempts to write on a disk that refused.
const RETRY: Duration = Duration::from_secs(1);

/// Settled channels whose ids have been forgotten since are looked for this often.
const SWEEP: Duration = Duration::from_secs(30);

/// Blocks may outgrow what is alive of a channel by this much, and by its own size, before
/// the next one: at most twice the bytes are written, and a channel leaves at most this and
/// twice what is alive.
const SLACK_BYTES: u64 = 4096;

/// Bytes written before space is measured again, as a part of the bound.
const MEASURE_PART: u64 = 64;

/// Numbers of payloads are reserved this far ahead of the wall clock: a synced write every
/// half of it. A channel takes 5 numbers a second and the clock brings 1000.
const N_AHEAD: u64 = 60_000;

/// What the log holds of a channel.
struct ChannelLog {
    arn: Arc<str>,
    /// None: it came from an earlier process, and nobody has opened its channel yet.
    source: Option<Weak<dyn Source>>,
    blocks: Blocks,
    /// Bytes of the last snapshot.
    base: u64,
    /// The first number that no payload had at the last snapshot.
    n_next: u64,
}

pub(super) struct Committer {
    log: Box<dyn Log>,
    epoch: Epoch,
    max_bytes: u64,
    shelf: Arc<dyn DeadLetterStore>,
    gate: Arc<GroupCommit>,
    clock: Arc<Clock>,
    channels: HashMap<Arc<str>, ChannelLog>,
    /// Numbers below this are reserved in the log.
    n_floor: u64,
    /// The first number that no payload has yet.
    n_next: u64,
    /// Until then nobody knows which calls of an earlier process are open; none: the records say it.
    blind_until: Option<Instant>,
    /// The log says that calls are made of which its records do not tell.
    untold: bool,
    written: u64,
    measured: u64,
    swept: Instant,
    room_checked: Instant,
}

impl Committer {
    pub(super) fn new(
        log: Box<dyn Log>,
        options: &Options,
        recovery: &Recovery,
        shelf: Arc<dyn DeadLetterStore>,
        gate: Arc<GroupCommit>,
        clock: Arc<Clock>,
    ) -> Result<Self, OpenError> {
        let channels = recovery.channels.iter().map(|channel| {
            let arn: Arc<str> = channel.arn.as_str().into();
            let known = ChannelLog {
                arn: Arc::clone(&arn),
                source: None,
                blocks: channel.blocks,
                base: 0,
                n_next: 0,
            };
            (arn, known)
        });
        let now = Instant::now();
        let mut committer = Self {
            epoch: log.epoch(),
            max_bytes: options.max_bytes,
            shelf,
            gate,
            channels: channels.collect(),
            n_floor: recovery.n_floor,
            n_next: recovery.n_floor,
            blind_until: (!recovery.counts(options.api_is_new)).then(|| now + options.hold),
            untold: false,
            written: 0,
            measured: 0,
            swept: now,
            room_checked: now,
            log,
            clock,
        };
        let floor = committer.floor_ahead();
        let begin = Group {
            n_floor: Some(floor),
            counts: committer.blind_until.is_none(),
            phase: Phase::Begin,
            ..committer.group()
        };
        let written = committer.log.commit(begin);
        written.map_err(|error| committer.refused(&error))?;
        committer.n_floor = floor;
        committer.measure();
        Ok(committer)
    }

    fn refused(&self, error: &CommitError) -> OpenError {
        OpenError::Storage {
            path: self.log.place().into(),
            error: error.to_string(),
        }
    }

    /// A group of this owner, with nothing in it.
    fn group(&self) -> Group {
        Group {
            epoch: self.epoch,
            ..Group::default()
        }
    }

    /// Writes until it is told to end. `goes_on` is called before each group.
    pub(super) fn run(mut self, goes_on: &dyn Fn()) {
        // Not before: a disk that has no room must not keep the gateway from delivering.
        self.keep_room();
        loop {
            goes_on();
            self.gate.rests();
            // Every call that left unrecorded until now has its place in this group, or in one before.
            let tells = self.untold && !self.gate.lets_calls_go();
            let group = self.gate.take(IDLE);
            self.gate.came_on();
            let (number, closing) = (group.number, group.closing.clone());
            let written = self.write(group).and_then(|()| self.told(tells));
            if let Err(error) = written
                && !self.recover(&error)
            {
                return;
            }
            self.gate.wrote(number);
            self.look_after();
            if self.gate.is_fenced() {
                return;
            }
            if let Some((clean, handed)) = closing {
                return self.finish(clean, handed);
            }
        }
    }

    /// Writes a group. On an error none of it is acknowledged, and the log takes no more until it
    /// is repaired.
    fn write(&mut self, taken: group_commit::Group) -> Result<(), CommitError> {
        let mut members: Vec<(Arc<dyn Source>, Drained)> = Vec::with_capacity(taken.members.len());
        for source in taken.members {
            let news = source.take();
            members.push((source, news));
        }
        let reserve = self.floor_to_reserve(&members);
        let mut group = self.group();
        group.n_floor = reserve;
        group.counts = self
            .blind_until
            .is_some_and(|until| until <= Instant::now());
        let counts = group.counts;
        let mut is_empty = reserve.is_none() && !counts;
        for (source, news) in members {
            if news.is_nothing() {
                continue;
            }
            let arn: Arc<str> = source.arn().into();
            let channel = self
                .channels
                .entry(Arc::clone(&arn))
                .or_insert_with(|| ChannelLog::new(arn, &source));
            channel.source = Some(Arc::downgrade(&source));
            let written = channel.write(&source, &news, &mut group, &self.clock);
            // Those are waited for in the next group, which reserves.
            self.n_next = self.n_next.max(channel.n_next);
            self.written += written.unwrap_or(0);
            is_empty &= written.is_none();
        }
        if taken.shelf {
            group.letters = self.shelf.take();
            is_empty &= group.letters.is_empty();
        }
        if is_empty {
            return Ok(());
        }
        self.log.commit(group)?;
        if counts {
            self.blind_until = None;
        }
        if let Some(floor) = reserve {
            self.n_floor = floor;
        }
        Ok(())
    }

    /// All calls are recorded again, if `tells`: the log no longer says otherwise.
    fn told(&mut self, tells: bool) -> Result<(), CommitError> {
        if tells {
            self.log.set_calls_told(true)?;
            self.untold = false;
        }
        Ok(())
    }

    /// What must be reserved before this group's payloads may go, if anything.
    fn floor_to_reserve(&mut self, taken: &[(Arc<dyn Source>, Drained)]) -> Option<u64> {
        let next = taken.iter().map(|(_, news)| news.n_next).max();
        self.n_next = self.n_next.max(next.unwrap_or(0));
        self.gate.set_n_next(self.n_next);
        let wanted = self.clock.epoch_ms().max(self.n_next) + N_AHEAD / 2;
        (wanted > self.n_floor).then(|| self.floor_ahead())
    }

    fn floor_ahead(&self) -> u64 {
        self.clock.epoch_ms().max(self.n_next) + N_AHEAD
    }

    /// Tries until the log takes everything again; false: the end has come first.
    fn recover(&mut self, error: &CommitError) -> bool {
        if matches!(error, CommitError::Fenced) {
            self.fenced();
            return false;
        }
        // With room for the ends of what was accepted, nobody has to hear of a full disk.
        if self.log.give_back() && self.repair().is_ok() {
            tracing::warn!(%error, dir = %self.log.place(), "the journal could not be written; it was written anew, with the room set aside for that");
            return true;
        }
        self.let_calls_go();
        if self.untold {
            tracing::error!(%error, dir = %self.log.place(), "the journal cannot be written; no event is accepted until it can, deliveries go on");
        } else {
            tracing::error!(%error, dir = %self.log.place(), "the journal cannot be written, nor can it be noted that calls are not recorded; no event is accepted and no call is made until it can");
        }
        loop {
            self.gate.failed();
            std::thread::sleep(RETRY);
            self.gate.came_on();
            match self.repair() {
                Ok(()) => {
                    self.gate.keep_calls();
                    tracing::info!("the journal can be written again");
                    return true;
                }
                Err(_) if self.gate.is_fenced() => return false,
                Err(error) if self.gate.is_closing() => {
                    tracing::error!(%error, "the journal could not be written to the end: what changed since the first error is lost with the process");
                    return false;
                }
                Err(error) => tracing::warn!(%error, "the journal still cannot be written"),
            }
            self.let_calls_go();
        }
    }

    /// Calls go on although nothing records them, once the log says so. Then the next start relies
    /// on no record. Without that they wait: it could not know which of them are still handled.
    fn let_calls_go(&mut self) {
        if self.log.set_calls_told(false).is_ok() {
            self.untold = true;
            self.gate.let_calls_go();
        }
    }

    fn repair(&mut self) -> Result<(), OpenError> {
        match self.log.repair() {
            Ok(Repair::Rewrite) => self.renew(),
            Ok(Repair::Resent) => Ok(()),
            Err(error) => {
                if matches!(error, CommitError::Fenced) {
                    self.fenced();
                }
                Err(self.refused(&error))
            }
        }
    }

    /// Another owner has the log. What is in memory is its business now.
    fn fenced(&self) {
        tracing::error!(journal = %self.log.place(), "another node has taken this account and region; nothing more is written or sent here");
        self.gate.rests();
        self.gate.fence();
    }

    /// Writes the whole journal anew, from the queues as they are.
    fn renew(&mut self) -> Result<(), OpenError> {
        let rest = Group {
            letters: self.all_letters(),
            n_floor: Some(self.n_floor),
            counts: self.blind_until.is_none(),
            ..self.group()
        };
        let mut renewed = HashMap::new();
        let channels = self.channels.values();
        let mut wholes = channels.filter_map(|known| known.whole(&self.clock, &mut renewed));
        self.log.rewrite(&mut wholes, rest)?;
        drop(wholes);
        self.channels = renewed;
        let n_next = self.channels.values().map(|channel| channel.n_next).max();
        self.n_next = self.n_next.max(n_next.unwrap_or(0));
        self.measure();
        Ok(())
    }

    /// A snapshot of every channel, in the present log.
    fn write_snapshots(&mut self) -> Result<(), CommitError> {
        let mut group = self.group();
        for channel in self.channels.values_mut() {
            if let Some(source) = channel.source.as_ref().and_then(Weak::upgrade) {
                self.written += channel.write_snapshot(&source, &mut group, &self.clock);
                self.n_next = self.n_next.max(channel.n_next);
            }
        }
        group.letters = self.all_letters();
        self.log.commit(group)
    }

    fn all_letters(&self) -> Vec<(u64, Option<Vec<u8>>)> {
        let all = self.shelf.all().into_iter();
        all.map(|(number, letter)| (number, Some(letter))).collect()
    }

    /// Space, and channels that have become idle without a word.
    fn look_after(&mut self) {
        let now = Instant::now();
        if let Err(error) = self.log.look_after() {
            self.recover(&error);
        }
        let due = now.duration_since(self.room_checked) >= IDLE;
        if due || self.written - self.measured > self.max_bytes / MEASURE_PART {
            self.room_checked = now;
            self.keep_room();
        }
        if now.duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.sweep();
        }
    }

    /// Measures, sets room aside, and writes the journal anew where that makes room.
    fn keep_room(&mut self) {
        self.log.set_aside();
        if self.measure()
            && let Err(error) = self.renew()
        {
            tracing::warn!(%error, "the journal could not be written anew to save space");
            // What changed meanwhile was asked for, and is in no generation that counts.
            if let Err(error) = self.write_snapshots() {
                self.recover(&error);
            }
        }
    }

    /// Measures the room; true: the journal is to be written anew.
    fn measure(&mut self) -> bool {
        self.measured = self.written;
        let alive = self.channels.values().map(|channel| channel.blocks.bytes);
        let (used, verdict) = self.log.measure(alive.sum());
        self.gate.set_space(used, verdict.full);
        verdict.renew
    }

    /// Ids are forgotten without a word, and then whole channels.
    fn sweep(&mut self) {
        let mut group = self.group();
        self.channels.retain(|_, channel| {
            match channel.source.as_ref().map(Weak::upgrade) {
                Some(Some(source)) if channel.blocks.bytes > 0 => {
                    self.gate.mark(source);
                }
                Some(None) => {
                    channel.clear(&mut group);
                    return false;
                }
                _ => {}
            }
            true
        });
        if let Err(error) = self.log.commit(group) {
            self.recover(&error);
        }
    }

    fn finish(mut self, clean: bool, handed: Vec<Handed>) {
        let end = Group {
            n_floor: Some(self.n_next),
            phase: Phase::End { clean },
            handed,
            ..self.group()
        };
        if let Err(error) = self.log.commit(end) {
            tracing::error!(%error, "the journal could not be closed; the next start will repair it");
        }
    }
}

impl ChannelLog {
    fn new(arn: Arc<str>, source: &Arc<dyn Source>) -> Self {
        Self {
            arn,
            source: Some(Arc::downgrade(source)),
            blocks: Blocks::default(),
            base: 0,
            n_next: 0,
        }
    }

    /// Writes what a source has to say; the bytes, or none if nothing is written or removed.
    fn write(
        &mut self,
        source: &Arc<dyn Source>,
        news: &Drained,
        group: &mut Group,
        clock: &Clock,
    ) -> Option<u64> {
        if news.is_idle {
            let had_any = self.blocks.bytes > 0;
            self.clear(group);
            return had_any.then_some(0);
        }
        if news.anew {
            return Some(self.write_snapshot(source, group, clock));
        }
        let block = record::encode(&news.changes, &news.beside, clock)?;
        let bytes = block.len() as u64;
        // What was alive at the last snapshot may be gone.
        let alive = self.base.min(news.alive as u64);
        if self.blocks.bytes + bytes > 2 * alive + SLACK_BYTES {
            return Some(self.write_snapshot(source, group, clock));
        }
        let end = self.blocks.next;
        self.put(end..end, block, group);
        Some(bytes)
    }

    /// One block with everything alive in place of all before it; its bytes.
    fn write_snapshot(
        &mut self,
        source: &Arc<dyn Source>,
        group: &mut Group,
        clock: &Clock,
    ) -> u64 {
        let alive = source.snapshot();
        self.n_next = alive.n_next;
        let block = record::encode(&alive.changes, &alive.beside, clock).unwrap_or_default();
        let bytes = block.len() as u64;
        let replaces = self.forget();
        self.put(replaces, block, group);
        self.base = bytes;
        bytes
    }

    /// All of the channel, for a log that is written anew; what is known of it then goes to
    /// `renewed`. None: it was forgotten by all, because nothing of it was alive.
    fn whole(&self, clock: &Clock, renewed: &mut HashMap<Arc<str>, Self>) -> Option<Whole> {
        let arn = Arc::clone(&self.arn);
        let (known, whole) = if let Some(source) = &self.source {
            let source = source.upgrade()?;
            let mut known = Self::new(Arc::clone(&arn), &source);
            let mut group = Group::default();
            known.write_snapshot(&source, &mut group, clock);
            let block = group.blocks.pop().unwrap_or(Block {
                arn: Arc::clone(&arn),
                replaces: 0..0,
                number: 0,
                bytes: Vec::new(),
            });
            (known, Whole::Snapshot(block))
        } else {
            let numbers = self.blocks.first..self.blocks.next;
            let whole = Whole::Unopened {
                arn: Arc::clone(&arn),
                numbers,
            };
            let known = Self {
                arn: Arc::clone(&arn),
                source: None,
                ..*self
            };
            (known, whole)
        };
        renewed.insert(arn, known);
        Some(whole)
    }

    fn put(&mut self, replaces: Range<u64>, bytes: Vec<u8>, group: &mut Group) {
        let number = self.blocks.next;
        if !bytes.is_empty() {
            self.blocks.bytes += bytes.len() as u64;
            self.blocks.next += 1;
        }
        if !bytes.is_empty() || !replaces.is_empty() {
            group.blocks.push(Block {
                arn: Arc::clone(&self.arn),
                replaces,
                number,
                bytes,
            });
        }
    }

    fn clear(&mut self, group: &mut Group) {
        let replaces = self.forget();
        self.put(replaces, Vec::new(), group);
    }

    /// Its blocks count no more; their numbers.
    fn forget(&mut self) -> Range<u64> {
        let numbers = self.blocks.first..self.blocks.next;
        self.blocks.first = self.blocks.next;
        self.blocks.bytes = 0;
        self.base = 0;
        numbers
    }
}
