//! The thread that writes: takes the open group, makes blocks of its changes, commits them,
//! and keeps the journal within its room.
//!
//! When the disk refuses, nothing that was committed is touched and nothing in memory is
//! lost: the thread writes the whole journal anew, from the queues as they are, as soon as
//! the disk takes it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::directory::{Directory, OpenError};
use super::group_commit::{Group, GroupCommit};
use super::promise::Promises;
use super::record;
use super::recovery::{Blocks, Recovery};
use super::source::{DeadLetterStore, Drained, Source};
use super::space::{self, Space, Verdict};
use super::store::{self, Mark, Store};
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

/// What is on disk of a channel.
struct Log {
    /// None: it came from an earlier process, and nobody has opened its channel yet.
    source: Option<Weak<dyn Source>>,
    blocks: Blocks,
    /// Bytes of the last snapshot.
    base: u64,
    /// The first number that no payload had at the last snapshot.
    n_next: u64,
}

pub(super) struct Committer {
    directory: Directory,
    store: Store,
    max_bytes: u64,
    shelf: Arc<dyn DeadLetterStore>,
    gate: Arc<GroupCommit>,
    clock: Arc<Clock>,
    logs: HashMap<Arc<str>, Log>,
    /// Numbers below this are reserved on disk.
    n_floor: u64,
    /// The first number that no payload has yet.
    n_next: u64,
    written: u64,
    measured: u64,
    /// Bytes on disk right after it was written anew; 0: it was not.
    anew: u64,
    swept: Instant,
    room_checked: Instant,
    /// The number of the last block that was written.
    sequence: u64,
    /// None before the first commit of this process.
    promises: Option<Promises>,
}

/// A generation that was written, what is on it of each channel, and its last block's number.
type Generation = (Store, HashMap<Arc<str>, Log>, u64);

impl Committer {
    pub(super) fn new(
        directory: Directory,
        store: Store,
        max_bytes: u64,
        recovery: &Recovery,
        shelf: Arc<dyn DeadLetterStore>,
        gate: Arc<GroupCommit>,
        clock: Arc<Clock>,
    ) -> Result<Self, OpenError> {
        let logs = recovery.channels.iter().map(|channel| {
            let log = Log {
                source: None,
                blocks: channel.blocks,
                base: 0,
                n_next: 0,
            };
            (Arc::from(channel.arn.as_str()), log)
        });
        let now = Instant::now();
        let mut committer = Self {
            directory,
            max_bytes,
            shelf,
            gate,
            logs: logs.collect(),
            n_floor: recovery.n_floor,
            n_next: recovery.n_floor,
            written: 0,
            measured: 0,
            anew: 0,
            swept: now,
            room_checked: now,
            sequence: recovery.sequence,
            promises: None,
            store,
            clock,
        };
        let storage = |error: fjall::Error| OpenError::Storage {
            path: committer.store.path().to_owned(),
            error: error.to_string(),
        };
        let floor = committer.floor_ahead();
        let mut batch = committer.store.batch();
        batch.set(Mark::Unclean, 1);
        batch.set(Mark::NFloor, signed(floor));
        batch.synced();
        let sequence = batch.number(committer.sequence);
        batch.commit().map_err(storage)?;
        committer.sequence = sequence;
        committer.n_floor = floor;
        committer.promise_anew()?;
        committer.measure();
        Ok(committer)
    }

    /// Writes until it is told to end. `goes_on` is called before each group.
    pub(super) fn run(mut self, goes_on: &dyn Fn()) {
        // Not before: a disk that has no room must not keep the gateway from delivering.
        self.keep_room();
        loop {
            goes_on();
            self.gate.rests();
            let group = self.gate.take(IDLE);
            self.gate.came_on();
            let (number, closing) = (group.number, group.closing);
            if let Err(error) = self.write(group)
                && !self.recover(&error)
            {
                return;
            }
            self.gate.wrote(number);
            self.look_after();
            if let Some(clean) = closing {
                return self.finish(clean);
            }
        }
    }

    /// Writes a group. On an error none of it is written, and the journal takes no more.
    fn write(&mut self, group: Group) -> store::Result<()> {
        let mut taken: Vec<(Arc<dyn Source>, Drained)> = Vec::with_capacity(group.members.len());
        for source in group.members {
            let news = source.take();
            taken.push((source, news));
        }
        let reserve = self.floor_to_reserve(&taken);
        let mut batch = self.store.batch();
        let mut is_empty = true;
        for (source, news) in taken {
            if news.is_nothing() {
                continue;
            }
            let log = self
                .logs
                .entry(source.arn().into())
                .or_insert_with(|| Log::new(&source));
            log.source = Some(Arc::downgrade(&source));
            let written = log.write(&source, &news, &mut batch, &self.clock);
            // Those are waited for in the next group, which reserves.
            self.n_next = self.n_next.max(log.n_next);
            self.written += written.unwrap_or(0);
            is_empty &= written.is_none();
        }
        if let Some(floor) = reserve {
            batch.set(Mark::NFloor, signed(floor));
            batch.synced();
            is_empty = false;
        }
        if group.shelf {
            for (number, thing) in self.shelf.take() {
                batch.shelve(number, thing);
                is_empty = false;
            }
        }
        if is_empty {
            return Ok(());
        }
        let sequence = batch.number(self.sequence);
        batch.commit()?;
        self.promised(sequence)?;
        if let Some(floor) = reserve {
            self.n_floor = floor;
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

    /// Tries until the disk takes everything again; false: the end has come first.
    fn recover(&mut self, error: &dyn std::fmt::Display) -> bool {
        // With room for the ends of what was accepted, nobody has to hear of a full disk.
        if self.directory.give_back() && self.renew().is_ok() {
            tracing::warn!(%error, dir = %self.store.path().display(), "the journal could not be written; it was written anew, with the room set aside for that");
            return true;
        }
        tracing::error!(%error, dir = %self.store.path().display(), "the journal cannot be written; no event is accepted until it can, deliveries go on");
        loop {
            self.gate.failed();
            std::thread::sleep(RETRY);
            self.gate.came_on();
            match self.renew() {
                Ok(()) => {
                    tracing::info!("the journal can be written again");
                    return true;
                }
                Err(error) if self.gate.is_closing() => {
                    tracing::error!(%error, "the journal could not be written to the end: what changed since the first error is lost with the process");
                    return false;
                }
                Err(error) => tracing::warn!(%error, "the journal still cannot be written"),
            }
        }
    }

    /// Writes the whole journal anew, from the queues as they are.
    fn renew(&mut self) -> Result<(), OpenError> {
        let (number, path) = self.directory.next()?;
        let renewed = self.write_generation(&path);
        let (store, logs, sequence) = match renewed {
            Ok(renewed) => renewed,
            Err(error) => {
                // What was begun would take the room the next attempt needs.
                let _ = std::fs::remove_dir_all(&path);
                return Err(OpenError::Storage {
                    path,
                    error: error.to_string(),
                });
            }
        };
        let switched = self.directory.switch(number);
        if switched.is_err() && self.directory.current_number()? != Some(number) {
            let _ = std::fs::remove_dir_all(&path);
            return switched;
        }
        // It is what a start reads, even if that could not be synced.
        self.store = store;
        self.logs = logs;
        self.sequence = sequence;
        let n_next = self.logs.values().map(|log| log.n_next).max();
        self.n_next = self.n_next.max(n_next.unwrap_or(0));
        switched?;
        self.promise_anew()?;
        self.directory.remove_others(number)?;
        self.anew = self.directory.used();
        self.measure();
        Ok(())
    }

    /// A snapshot of every channel, in the present generation.
    fn write_snapshots(&mut self) -> store::Result<()> {
        let mut batch = self.store.batch();
        for log in self.logs.values_mut() {
            if let Some(source) = log.source.as_ref().and_then(Weak::upgrade) {
                self.written += log.write_snapshot(&source, &mut batch, &self.clock);
                self.n_next = self.n_next.max(log.n_next);
            }
        }
        for (number, thing) in self.shelf.all() {
            batch.shelve(number, Some(thing));
        }
        let sequence = batch.number(self.sequence);
        batch.commit()?;
        self.promised(sequence)
    }

    /// The mark in a file of its own making: the one before may be what failed.
    fn promise_anew(&mut self) -> Result<(), OpenError> {
        let dir = self.directory.path();
        let begun = Promises::begin(dir, self.store.durability(), self.sequence);
        self.promises = Some(begun.map_err(OpenError::io(dir))?);
        Ok(())
    }

    /// The commit with this number is written: from now on it is promised.
    fn promised(&mut self, sequence: u64) -> store::Result<()> {
        self.sequence = sequence;
        if let Some(promises) = &mut self.promises {
            promises.promise(sequence)?;
        }
        Ok(())
    }

    fn write_generation(&mut self, path: &Path) -> store::Result<Generation> {
        let store = Store::open_raw(path, self.store.durability())?;
        let mut sequence = self.sequence;
        let mut logs = HashMap::new();
        for (arn, log) in &self.logs {
            let mut batch = store.batch();
            let renewed = match log.source.as_ref().map(Weak::upgrade) {
                Some(Some(source)) => {
                    let mut renewed = Log::new(&source);
                    renewed.write_snapshot(&source, &mut batch, &self.clock);
                    renewed
                }
                // Forgotten by all, because nothing of it was alive.
                Some(None) => continue,
                None => {
                    for number in log.blocks.first..log.blocks.next {
                        if let Some(block) = self.store.block(arn, number)? {
                            batch.put(arn, number, block);
                        }
                    }
                    Log {
                        source: None,
                        ..*log
                    }
                }
            };
            sequence = batch.number(sequence);
            batch.commit()?;
            logs.insert(Arc::clone(arn), renewed);
        }
        let mut batch = store.batch();
        for (number, thing) in self.shelf.all() {
            batch.shelve(number, Some(thing));
        }
        batch.set(Mark::Unclean, 1);
        batch.set(Mark::NFloor, signed(self.n_floor));
        sequence = batch.number(sequence);
        batch.commit()?;
        store.sync()?;
        Ok((store, logs, sequence))
    }

    /// Space, and channels that have become idle without a word.
    fn look_after(&mut self) {
        let now = Instant::now();
        if let Some(Err(error)) = self.promises.as_mut().map(Promises::look_after) {
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
        let reserve = space::reserve(self.max_bytes);
        if self.directory.free().is_ok_and(|free| free > 4 * reserve) {
            // A file system that cannot do that has none.
            let _ = self.directory.set_aside(reserve);
        }
        if self.measure().renew
            && let Err(error) = self.renew()
        {
            tracing::warn!(%error, "the journal could not be written anew to save space");
            // What changed meanwhile was asked for, and is in no generation that counts.
            if let Err(error) = self.write_snapshots() {
                self.recover(&error);
            }
        }
    }

    fn measure(&mut self) -> Verdict {
        self.measured = self.written;
        let used = self.directory.used();
        let space = Space {
            used,
            alive: self.logs.values().map(|log| log.blocks.bytes).sum(),
            anew: self.anew,
            // Where the system does not say, the bound alone counts.
            free: self.directory.free().unwrap_or(u64::MAX),
        };
        let verdict = space::judge(space, self.max_bytes);
        self.gate.set_space(used, verdict.full);
        verdict
    }

    /// Ids are forgotten without a word, and then whole channels.
    fn sweep(&mut self) {
        let mut batch = self.store.batch();
        self.logs.retain(|arn, log| {
            match log.source.as_ref().map(Weak::upgrade) {
                Some(Some(source)) if log.blocks.bytes > 0 => {
                    self.gate.mark(source);
                }
                Some(None) => {
                    log.clear(arn, &mut batch);
                    return false;
                }
                _ => {}
            }
            true
        });
        let sequence = batch.number(self.sequence);
        let written = batch.commit();
        if let Err(error) = written.and_then(|()| self.promised(sequence)) {
            self.recover(&error);
        }
    }

    fn finish(mut self, clean: bool) {
        let mut batch = self.store.batch();
        batch.set(Mark::NFloor, signed(self.n_next));
        if clean {
            batch.unset(Mark::Unclean);
        }
        let sequence = batch.number(self.sequence);
        let written = batch.commit().and_then(|()| self.store.sync());
        let written = written.and_then(|()| self.promised(sequence));
        let written = written.and_then(|()| match &mut self.promises {
            Some(promises) => Ok(promises.sync()?),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::error!(%error, "the journal could not be closed; the next start will repair it");
        }
    }
}

impl Log {
    fn new(source: &Arc<dyn Source>) -> Self {
        Self {
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
        batch: &mut store::Batch<'_>,
        clock: &Clock,
    ) -> Option<u64> {
        if news.is_idle {
            let had_any = self.blocks.bytes > 0;
            self.clear(source.arn(), batch);
            return had_any.then_some(0);
        }
        if news.anew {
            return Some(self.write_snapshot(source, batch, clock));
        }
        let block = record::encode(&news.changes, news.pause, clock)?;
        let bytes = block.len() as u64;
        // What was alive at the last snapshot may be gone.
        let alive = self.base.min(news.alive as u64);
        if self.blocks.bytes + bytes > 2 * alive + SLACK_BYTES {
            return Some(self.write_snapshot(source, batch, clock));
        }
        self.put(source.arn(), block, batch);
        Some(bytes)
    }

    /// One block with everything alive in place of all before it; its bytes.
    fn write_snapshot(
        &mut self,
        source: &Arc<dyn Source>,
        batch: &mut store::Batch<'_>,
        clock: &Clock,
    ) -> u64 {
        self.clear(source.arn(), batch);
        let alive = source.snapshot();
        self.n_next = alive.n_next;
        let block = record::encode(&alive.changes, alive.pause, clock).unwrap_or_default();
        let bytes = block.len() as u64;
        if bytes > 0 {
            self.put(source.arn(), block, batch);
        }
        self.base = bytes;
        bytes
    }

    fn put(&mut self, arn: &str, block: Vec<u8>, batch: &mut store::Batch<'_>) {
        self.blocks.bytes += block.len() as u64;
        batch.put(arn, self.blocks.next, block);
        self.blocks.next += 1;
    }

    fn clear(&mut self, arn: &str, batch: &mut store::Batch<'_>) {
        for number in self.blocks.first..self.blocks.next {
            batch.remove(arn, number);
        }
        self.blocks.first = self.blocks.next;
        self.blocks.bytes = 0;
        self.base = 0;
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
