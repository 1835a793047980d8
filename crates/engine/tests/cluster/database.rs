//! The database: one lease, the open calls of the log, the beats; every statement is carried out at
//! one moment, in one order with all others.

use std::collections::{BTreeMap, HashMap};

use engine::{Answer, ChannelId, Epoch, LeaseLeft, NodeId, Reading};

/// What a node sends.
#[derive(Clone, Debug)]
pub enum Statement {
    Beat,
    Look,
    Take {
        seen: Epoch,
    },
    /// A group: how many calls of these channels are open.
    Commit {
        epoch: Epoch,
        seq: u64,
        open: Vec<(ChannelId, u32)>,
    },
    /// The first half of a group that is committed in two statements.
    Check {
        epoch: Epoch,
        seq: u64,
    },
    /// The second half: nothing is looked at any more.
    Insert {
        seq: u64,
        open: Vec<(ChannelId, u32)>,
    },
    /// What the predecessor left.
    ReadLog,
    Release {
        epoch: Epoch,
        leases: Vec<LeaseLeft>,
    },
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Beaten,
    Looked(Reading),
    Took(Answer),
    /// Whether it is in.
    Committed(Answer, u64),
    Checked(Answer, u64),
    Log {
        open: Vec<(ChannelId, u32)>,
        handed: Option<Vec<LeaseLeft>>,
    },
    Released(Answer),
}

#[derive(Clone, Debug, Default)]
pub struct Database {
    epoch: Epoch,
    owner: Option<NodeId>,
    beats: HashMap<NodeId, u64>,
    open: BTreeMap<ChannelId, u32>,
    handed: Option<Vec<LeaseLeft>>,
    pub takes: u64,
}

impl Database {
    fn is_current(&self, epoch: Epoch) -> bool {
        self.epoch == epoch && self.owner.is_some()
    }

    pub fn execute(&mut self, node: NodeId, statement: &Statement) -> Reply {
        match statement {
            Statement::Beat => {
                *self.beats.entry(node).or_default() += 1;
                Reply::Beaten
            }
            Statement::Look => Reply::Looked(Reading {
                epoch: self.epoch,
                owner: self.owner,
                beat: self
                    .owner
                    .and_then(|owner| self.beats.get(&owner).copied())
                    .unwrap_or(0),
            }),
            Statement::Take { seen } if *seen == self.epoch => {
                self.takes += 1;
                self.epoch = Epoch(seen.0 + 1);
                if self.owner.is_some() {
                    self.handed = None;
                }
                self.owner = Some(node);
                Reply::Took(Answer::Done)
            }
            Statement::Take { .. } => Reply::Took(Answer::TooLate),
            Statement::Commit { epoch, seq, open } => {
                if !self.is_current(*epoch) {
                    return Reply::Committed(Answer::TooLate, *seq);
                }
                self.open.extend(open.iter().copied());
                self.handed = None;
                Reply::Committed(Answer::Done, *seq)
            }
            Statement::Check { epoch, seq } => {
                let answer = if self.is_current(*epoch) {
                    Answer::Done
                } else {
                    Answer::TooLate
                };
                Reply::Checked(answer, *seq)
            }
            Statement::Insert { seq, open } => {
                self.open.extend(open.iter().copied());
                Reply::Committed(Answer::Done, *seq)
            }
            Statement::ReadLog => Reply::Log {
                open: self
                    .open
                    .iter()
                    .map(|(channel, open)| (*channel, *open))
                    .collect(),
                handed: self.handed.clone(),
            },
            Statement::Release { epoch, leases } => {
                if !self.is_current(*epoch) {
                    return Reply::Released(Answer::TooLate);
                }
                self.owner = None;
                self.handed = Some(leases.clone());
                Reply::Released(Answer::Done)
            }
        }
    }

    /// The standby that takes over has the beats or not: they are not waited for.
    pub fn fail_over(&mut self, standby: Self) {
        let takes = self.takes;
        *self = standby;
        self.takes = takes;
    }
}
