//! The runtime around the engine: channels and their locks, accounts and their tasks, calls
//! in flight.
//!
//! It reads the clock, takes the locks, sleeps and spawns, and decides nothing: what goes
//! when is the scheduler's word, what becomes of an event the queue's. A producer's way is
//! one lock of one channel; nothing is held across an await.
//!
//! - [`gateway`]: what the edges call;
//! - `channel`: one channel: its queue behind its lock, and what waits on it;
//! - `account`: one account and region; `driver`: its task and timers; `call`: one call;
//! - `registry`: which channels and accounts there are;
//! - `room`: memory for events, where ids of the past take it;
//! - `streams`: which channels are said to be live;
//! - `credentials`: which accounts have any;
//! - `letters`: the events that can never be delivered; `replay`: what operators do with them;
//! - `recent`: the payloads of late, for whoever looks after they were sent;
//! - `origins`: the requests that events came with, for traces;
//! - `waiters`: producers that wait for the ends of their events;
//! - `report`: what operators are told; `aggregate`: what metrics say of channels, by label;
//! - `clock`: the monotonic clock the engine is driven by, and the wall's.

mod account;
mod aggregate;
mod call;
mod channel;
mod credentials;
mod driver;
mod gateway;
mod letters;
mod listing;
mod origins;
mod recent;
mod registry;
mod replay;
mod report;
mod room;
mod shared;
mod streams;
#[cfg(test)]
mod tests;
mod unavailable;
mod waiters;

pub use account::Account;
pub use channel::{Channel, Delivered, LastError};
pub use gateway::{Gateway, NotOpened, Standing};
pub use letters::{DeadLetters, Letter, LetterFilter, ShownLetter};
pub use listing::{QueuedPage, Wanted};
pub use replay::{NotReplayed, Replayed};
pub use report::{AccountReport, ChannelReport};
pub use shared::Parts;
pub use streams::Notice;
pub use unavailable::Unavailable;
pub use waiters::{Ends, Waiter};
