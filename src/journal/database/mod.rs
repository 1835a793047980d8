//! The log in a database that nodes share: rows of groups, each written under its owner's epoch.
//!
//! - `row`: groups as bytes, and what a log says, out of them.
//!
//! A commit whose answer is missing, or which the standby may not have, is *in doubt*: it is sent
//! again under the same number, which the database takes once, and an empty entry is written behind
//! it. Once that one is confirmed, so is all before it. Until then nothing is acknowledged.
//!
//! The committer's thread waits here for the database, with a runtime of its own: no other thread
//! uses the session.

mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::error::OpenError;
use super::log::{CommitError, Epoch, Group, Log, Repair, Verdict, Whole};
use super::recovery::{self, Recovery};
use crate::clock::Clock;
use crate::cluster::rows::{self, Appended, Entry, Position, ROW_BYTES};
use crate::cluster::{self, Key};
use crate::postgres::{Address, Error, Session, SqlState};
use crate::telemetry::Meters;
use row::{Kind, Replay};

/// Between two attempts of a commit.
const RETRY: Duration = Duration::from_millis(50);

/// A log below this is not written anew: that would cost more than its rows do.
const RENEW_BYTES: u64 = 8 << 20;

/// How a shared log is opened.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where the database is.
    pub address: Address,
    /// Whose log it is.
    pub key: Key,
    /// Of our take.
    pub epoch: Epoch,
    /// How long a commit may be in doubt before those who wait for it are told.
    pub patience: Duration,
    /// What counts commits.
    pub meters: Arc<Meters>,
}

/// The log of an account in a region, under one epoch.
pub(super) struct DatabaseLog {
    runtime: Runtime,
    shared: Shared,
    session: Option<Session>,
    /// The number of the next entry.
    next: u64,
    /// What was sent and is not confirmed.
    pending: Option<Entry>,
    /// Entries below this are to be deleted.
    obsolete: Option<u64>,
    max_bytes: u64,
    bytes: u64,
}

/// Opens the log of a lease that was taken, and reads what it holds. Not on a runtime's own thread.
pub(super) fn open(
    shared: &Shared,
    max_bytes: u64,
    clock: &Arc<Clock>,
) -> Result<(DatabaseLog, Recovery), OpenError> {
    let (log, replay) = connect(shared, max_bytes)?;
    let mut recovery = recovery::read(&replay, clock)?;
    recovery.fresh = replay.last == 0;
    Ok((log, recovery))
}

/// Connects, and replays the log.
fn connect(shared: &Shared, max_bytes: u64) -> Result<(DatabaseLog, Replay), OpenError> {
    let place = place(shared);
    let failed = |error: &dyn std::fmt::Display| OpenError::Storage {
        path: place.as_str().into(),
        error: error.to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let (session, replay) = runtime
        .block_on(async {
            let mut session = Session::connect(&shared.address, shared.patience).await?;
            cluster::check_version(&mut session).await?;
            cluster::durability(&mut session).await?;
            let replay = read(&mut session, shared).await?;
            Ok::<_, cluster::SchemaError>((session, replay))
        })
        .map_err(|error| failed(&error))?;
    let log = DatabaseLog {
        runtime,
        shared: shared.clone(),
        session: Some(session),
        next: replay.last + 1,
        pending: None,
        obsolete: None,
        max_bytes,
        bytes: replay.bytes,
    };
    Ok((log, replay))
}

fn place(shared: &Shared) -> String {
    let Key {
        cluster,
        account,
        region,
    } = &shared.key;
    format!("{}: {cluster}, {account} {region}", shared.address)
}

/// Reads the whole log.
async fn read(session: &mut Session, shared: &Shared) -> Result<Replay, Error> {
    let letters = rows::letters(session, &shared.key).await?;
    let mut replay = Replay::new(place(shared), letters);
    let mut position = Position::default();
    // An entry's parts, which two pages may share.
    let mut entry: Option<(u64, Vec<u8>)> = None;
    loop {
        let page = rows::page(session, &shared.key, &mut position).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            match &mut entry {
                Some((seq, bytes)) if *seq == row.seq => bytes.extend(row.block),
                _ => {
                    if let Some((seq, bytes)) = entry.replace((row.seq, row.block)) {
                        replay.learn(seq, &bytes);
                    }
                }
            }
        }
    }
    if let Some((seq, bytes)) = entry {
        replay.learn(seq, &bytes);
    }
    Ok(replay)
}

impl Log for DatabaseLog {
    fn place(&self) -> String {
        place(&self.shared)
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    fn commit(&mut self, group: Group) -> Result<(), CommitError> {
        self.write(Kind::of(group.phase), group)
    }

    fn repair(&mut self) -> Result<Repair, CommitError> {
        self.settle()?;
        Ok(Repair::Resent)
    }

    /// No call leaves that is not recorded: another node may own the account by then.
    fn set_calls_told(&mut self, told: bool) -> Result<(), CommitError> {
        if told {
            return Ok(());
        }
        let why = "calls wait for the database";
        Err(CommitError::Failed(why.to_owned()))
    }

    fn rewrite(
        &mut self,
        channels: &mut dyn Iterator<Item = Whole>,
        rest: Group,
    ) -> Result<(), OpenError> {
        let place = self.place();
        let written = self.write_snapshot(channels, rest);
        written.map_err(|error| OpenError::Storage {
            path: place.into(),
            error: error.to_string(),
        })
    }

    fn measure(&mut self, alive: u64) -> (u64, Verdict) {
        let verdict = Verdict {
            full: self.bytes >= self.max_bytes - self.max_bytes / 8,
            renew: self.bytes >= RENEW_BYTES.min(self.max_bytes / 2) && alive < self.bytes / 4,
        };
        (self.bytes, verdict)
    }

    /// Deletes some of what a snapshot has replaced. If that fails, it is done the next time.
    fn look_after(&mut self) -> Result<(), CommitError> {
        let (Some(obsolete), Some(session)) = (self.obsolete, &mut self.session) else {
            return Ok(());
        };
        let Shared { key, epoch, .. } = &self.shared;
        let pruned = rows::prune(session, key, epoch.0, obsolete);
        match self.runtime.block_on(pruned) {
            Ok(true) => {}
            Ok(false) => self.obsolete = None,
            Err(error) => {
                tracing::warn!(%error, "old rows of the journal could not be deleted");
                self.session = None;
            }
        }
        Ok(())
    }
}

impl DatabaseLog {
    /// Writes a group behind what is in doubt, and returns when it is confirmed.
    fn write(&mut self, kind: Kind, group: Group) -> Result<(), CommitError> {
        self.settle()?;
        let parts = row::encode(kind, &group).map_err(failed)?;
        // Of a letter that was added and removed, the last word counts.
        let letters: BTreeMap<_, _> = group.letters.into_iter().collect();
        let mut entry = Entry {
            seq: self.next,
            parts,
            ..Entry::default()
        };
        for (number, letter) in letters {
            match letter {
                Some(letter) => entry.letters.push((number, letter)),
                None => entry.removed.push(number),
            }
        }
        self.pending = Some(entry);
        let began = Instant::now();
        self.settle()?;
        self.shared.meters.commit_took(began.elapsed());
        Ok(())
    }

    /// Sends what is in doubt until it is confirmed, as long as our patience lasts.
    fn settle(&mut self) -> Result<(), CommitError> {
        let until = Instant::now() + self.shared.patience;
        let mut is_doubted = false;
        while let Some(entry) = self.pending.take() {
            let left = until.saturating_duration_since(Instant::now());
            let sent = self.send(&entry, left);
            match sent {
                Ok(Appended::Durable) => self.is_in(&entry),
                Ok(Appended::Unconfirmed) => {
                    self.shared.meters.commit_doubtful();
                    tracing::warn!(
                        seq = entry.seq,
                        "a commit is in doubt: the database has it, its standby may not"
                    );
                    self.is_in(&entry);
                    self.pending = Some(self.confirmation()?);
                }
                Ok(Appended::Fenced) => {
                    self.shared.meters.commit_fenced();
                    return Err(CommitError::Fenced);
                }
                Err(error) => {
                    if error.is_in_doubt() && !std::mem::replace(&mut is_doubted, true) {
                        self.shared.meters.commit_doubtful();
                    }
                    self.pending = Some(entry);
                    if !may_pass(&error) || Instant::now() + RETRY >= until {
                        return Err(failed(error));
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
        Ok(())
    }

    fn is_in(&mut self, entry: &Entry) {
        self.next = entry.seq + 1;
        let lengths = entry.parts.iter().map(|part| part.len() as u64);
        self.bytes += lengths.sum::<u64>();
    }

    /// An entry that says nothing. When it is confirmed, so is all before it.
    fn confirmation(&self) -> Result<Entry, CommitError> {
        Ok(Entry {
            seq: self.next,
            parts: row::encode(Kind::Confirmation, &Group::default()).map_err(failed)?,
            ..Entry::default()
        })
    }

    fn send(&mut self, entry: &Entry, patience: Duration) -> Result<Appended, Error> {
        let Shared {
            address,
            key,
            epoch,
            ..
        } = &self.shared;
        let until = Instant::now() + patience;
        let session = &mut self.session;
        let sent = self.runtime.block_on(async {
            let connected = match session.take() {
                Some(connected) => connected,
                None => Session::connect(address, patience).await?,
            };
            let connected = session.insert(connected);
            let left = until.saturating_duration_since(Instant::now());
            rows::append(connected, key, epoch.0, entry, left).await
        });
        if sent.is_err() {
            // Of a session that has failed once, nobody knows what its next answer belongs to.
            self.session = None;
        }
        sent
    }

    /// Writes everything as a snapshot; what was before it is deleted later.
    fn write_snapshot(
        &mut self,
        channels: &mut dyn Iterator<Item = Whole>,
        rest: Group,
    ) -> Result<(), CommitError> {
        self.settle()?;
        let (first, before) = (self.next, self.bytes);
        let old = self.read_again()?;
        let mut part = Group::default();
        let mut bytes = 0;
        for channel in channels {
            let blocks = match channel {
                Whole::Snapshot(block) => vec![block],
                Whole::Unopened { arn, numbers } => numbers
                    .filter_map(|number| old.block(&arn, number))
                    .collect(),
            };
            for block in blocks.into_iter().filter(|block| !block.bytes.is_empty()) {
                bytes += block.bytes.len();
                part.blocks.push(block);
                if bytes >= ROW_BYTES {
                    bytes = 0;
                    self.write(Kind::Part(first), std::mem::take(&mut part))?;
                }
            }
        }
        if !part.blocks.is_empty() {
            self.write(Kind::Part(first), part)?;
        }
        let mut rest = rest;
        let gone = old.letters.iter().map(|(number, _)| (*number, None));
        // First: those that there are replace their removal.
        rest.letters.splice(0..0, gone);
        self.write(Kind::Snapshot(first), rest)?;
        self.bytes -= before;
        self.obsolete = Some(first);
        Ok(())
    }

    fn read_again(&mut self) -> Result<Replay, CommitError> {
        let (shared, session) = (&self.shared, &mut self.session);
        let read = self.runtime.block_on(async {
            let connected = match session.take() {
                Some(connected) => connected,
                None => Session::connect(&shared.address, shared.patience).await?,
            };
            read(session.insert(connected), shared).await
        });
        if read.is_err() {
            self.session = None;
        }
        read.map_err(failed)
    }
}

/// Whether the same commit may succeed soon.
fn may_pass(error: &Error) -> bool {
    match error {
        // An attempt before it still waits for the standby, with its locks.
        Error::Refused { code, .. } => *code == SqlState::LOCK_NOT_AVAILABLE,
        Error::Lost(_) | Error::Connect { .. } => true,
        Error::Settings(_) | Error::Answer(_) => false,
    }
}

fn failed(error: impl std::fmt::Display) -> CommitError {
    CommitError::Failed(error.to_string())
}
