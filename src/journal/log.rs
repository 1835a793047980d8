//! The seam between the journal and its storage: what the committer asks of a place that keeps
//! groups.
//!
//! Group commit, records and recovery are above it and know of no storage. A log is owned by one
//! process at a time. Whoever owns it has an [`Epoch`], which every commit carries, so that a
//! storage that several processes share can refuse those of an owner of before.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use engine::Span;

use super::error::OpenError;

/// Which owner writes. It grows with every take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of a log that one process locks for as long as it lives: there is nobody to fence.
    pub(super) const LOCKED: Self = Self(0);
}

/// One channel's part of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub arn: Arc<str>,
    /// The numbers of the channel's blocks that no longer count.
    pub replaces: Range<u64>,
    /// The number of this one.
    pub number: u64,
    /// Empty: nothing is alive, and there is no block of that number.
    pub bytes: Vec<u8>,
}

/// What is written together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub epoch: Epoch,
    pub blocks: Vec<Block>,
    /// Dead letters that were added (with their text) or removed, by number.
    pub letters: Vec<(u64, Option<Vec<u8>>)>,
    /// Numbers of payloads below this are reserved from now on. Such a group survives the machine
    /// whatever the mode.
    pub n_floor: Option<u64>,
    /// From here on the records say how many calls of each channel are open.
    pub counts: bool,
    pub phase: Phase,
    /// The tokens that are out, of an owner that hands them over: its end is not a clean one, and
    /// is as good as that for whoever reads them.
    pub handed: Vec<Handed>,
}

/// A token of an owner that handed its account over while the API counted its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The channel of the call.
    pub arn: String,
    /// How long the token is out, from the moment that the next owner heard of it.
    pub left: Span,
    /// The call may still be handled.
    pub open: bool,
}

/// Where in the life of its owner a group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first one: from here on the log ends uncleanly if nothing more is heard.
    Begin,
    #[default]
    Within,
    /// The last one.
    End {
        /// The API counts none of our calls any more.
        clean: bool,
    },
}

/// All of a channel, for a log that is written anew.
pub(super) enum Whole {
    /// A snapshot of everything alive: block 0.
    Snapshot(Block),
    /// The channel is known from the log only: its blocks stay as they are.
    Unopened { arn: Arc<str>, numbers: Range<u64> },
}

/// What a log knows beside the channels' blocks.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The dead letters, by number.
    pub letters: Vec<(u64, Vec<u8>)>,
    pub n_floor: u64,
    /// Its last owner neither ended cleanly nor handed its tokens over.
    pub unclean: bool,
    /// The tokens that it handed over.
    pub handed: Vec<Handed>,
    /// The records of its last owner say how many calls of each channel are open.
    pub counts: bool,
}

/// The state of a log's room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Nothing more is accepted: what is left is for the ends of what was.
    pub full: bool,
    /// Write the journal anew.
    pub renew: bool,
}

/// A commit was not confirmed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("{0}")]
    Failed(String),
    /// Another owner has the log: nothing was written, and nothing ever will be.
    #[error("another node has taken this account and region")]
    Fenced,
}

/// How a log goes on after a commit that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// From memory: what it holds can no longer be relied on, or takes nothing more.
    Rewrite,
    /// The group was written after all.
    Resent,
}

/// What can be read.
pub(super) trait Contents {
    /// Every block: its channel's ARN, its number, its bytes. Those of a channel come in order.
    fn read(&self, each: &mut dyn FnMut(&str, u64, &[u8])) -> Result<Held, OpenError>;

    /// The error that says what of it cannot be read.
    fn damaged(&self, what: &dyn Display) -> OpenError;
}

/// A place that keeps groups.
pub(super) trait Log: Send {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// Of its owner, in every group.
    fn epoch(&self) -> Epoch {
        Epoch::LOCKED
    }

    /// Writes a group. When this returns, it survives what the mode promises. On an error nobody
    /// knows whether it is in, and [`Log::repair`] must succeed before the next.
    fn commit(&mut self, group: Group) -> Result<(), CommitError>;

    /// Tries to go on after a commit that failed.
    fn repair(&mut self) -> Result<Repair, CommitError>;

    /// Notes whether the records tell of every call that is made from now on. They do not while
    /// commits fail and calls go on. On an error the note is as before.
    fn set_calls_told(&mut self, told: bool) -> Result<(), CommitError>;

    /// Writes everything anew, and then drops what was before: `channels`, and at last `rest`, as a
    /// [`Phase::Begin`]. Whether all calls are told of stays as it was. On an error the log is as
    /// before.
    fn rewrite(
        &mut self,
        channels: &mut dyn Iterator<Item = Whole>,
        rest: Group,
    ) -> Result<(), OpenError>;

    /// Measures the room: bytes that are taken, and what follows from it. `alive`: bytes of the
    /// blocks that count.
    fn measure(&mut self, alive: u64) -> (u64, Verdict);

    /// Sets room aside for a time when there is none.
    fn set_aside(&mut self) {}

    /// Gives back the room that was set aside; whether there was any.
    fn give_back(&mut self) -> bool {
        false
    }

    /// What is to be done now and then, after a group was acknowledged.
    fn look_after(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}
