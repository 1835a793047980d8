//! The decisions of Cuegate, and nothing else: no I/O, no clock, no threads, no randomness.
//!
//! Time and random numbers come in as arguments, decisions go out as values, so that a day
//! of traffic runs in a second and any failure replays from its seed.
//!
//! - `event`, `policy`, `call`, `time`: the words.
//! - `form`: the forms of a payload: compressed, and in slices.
//! - `state`: the value of each key, and which of them the next payload tells.
//! - `queue`: one per channel: accepts, merges, orders, expires, packs, settles.
//! - `scheduler`: one per account and region: whose turn it is, and when.
//! - `account`: drives the scheduler and the timers of its channels' queues.
//! - `ownership`: which of several nodes makes an account's calls, and when another takes over.

mod account;
mod call;
mod envelope;
mod event;
mod form;
mod merge;
mod ownership;
mod policy;
mod queue;
mod scheduler;
mod state;
mod time;

pub use account::{Account, Call, Look, Queues, Step, View};
pub use call::{
    CallId, ChannelCondition, ChannelId, Demand, Entry, Health, Outcome, Rejection, ThrottleScope,
};
pub use envelope::{Envelope, EnvelopeFields};
pub use event::{Content, Data, Event, Priority, Producer};
pub use form::{Reader, Undecodable, decode};
pub use merge::Merge;
pub use ownership::{
    Action, Answer, Epoch, NodeId, Ownership, OwnershipRules, OwnershipState, Reading,
};
pub use policy::{
    AccountPolicy, ChannelPolicy, Compress, Keyframes, Offline, OnUnknown, Overflow, Pacing,
};
pub use queue::{
    Admission, Cancelled, Change, DeadLetter, DeadLetterReason, Depth, End, Ended, EventState,
    Fate, Ledger, Listed, NoRank, Outline, Page, Payload, PayloadId, Queue, QueuedEvent, Rank,
    Rebuild, Receipt, Refusal, Replaced, Scheduled, Settled, Slices, Spot, Unusable,
};
pub use scheduler::{AccountOutlook, AccountStatus, ChannelOutlook, ChannelStatus, LeaseLeft};
pub use state::{PublicState, StateChange, StateEntry, ToldState};
pub use time::{Span, Time, Wall};
