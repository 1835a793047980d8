//! The runtime around the engine: channels and their locks, accounts and their tasks, calls
//! in flight.
//!
//! It reads the clock, takes the locks, sleeps and spawns, and decides nothing: what goes
//! when is the scheduler's word, what becomes of an event the queue's. A producer's way is
//! one lock of one channel; nothing is held across an await.
//!
//! - [`gateway`]: what the edges call, and `offer`: with events;
//! - `definitions`: which channels are listed, by the file or by API; `reload`: they are opened; `define`: they
//!   are made and removed by API; `own_definition`: what one is by API; `wall_clock`: when it was set;
//! - `channel`: one channel: its queue behind its lock, and what waits on it;
//! - `account`: one account and region; `driver`: its task and timers; `call`: one call;
//! - `home`: where what belongs to an account is kept; `past`: what the owner before this one left;
//! - `moving`: an account comes to this node, or leaves it;
//! - `commits`: what must be committed before anything is promised;
//! - `registry`: which channels and accounts there are;
//! - `room`: memory for events, where ids of the past take it;
//! - `streams`: which channels are said to be live; `notices`: the notices about them, told apart;
//! - `credentials`: which accounts have any; `permission`: whether one may call at all;
//! - `elsewhere`: events for accounts of other nodes, and from these nodes;
//! - `peers`: the other nodes; `standing`: how channels stand;
//! - `letters`: the events that can never be delivered; `replay`: what operators do with them;
//! - `recent`: the payloads and ends of late, for whoever looks afterwards; `receipts`, `ends`: those who follow the ends;
//! - `hooks`: the webhooks that are told of ends, and what waits for each;
//! - `origins`: the requests that events came with, for traces;
//! - `waiters`: producers that wait for the ends of their events;
//! - `listing`: what is queued, for people; `state`: the values of its keys;
//! - `report`: what operators are told; `scrape`: what metrics see; `aggregate`: what they say of
//!   channels, by label;
//! - `last_error`: what the API said of the last call that failed.

mod account;
mod aggregate;
mod call;
mod channel;
mod commits;
mod credentials;
mod define;
mod definitions;
mod driver;
mod elsewhere;
mod ends;
mod gateway;
mod home;
mod hooks;
mod last_error;
mod letters;
mod listing;
mod moving;
mod names;
mod notices;
mod offer;
mod origins;
mod own_definition;
mod past;
mod peers;
mod permission;
mod receipts;
mod recent;
mod registry;
mod reload;
mod replay;
mod report;
mod room;
mod scrape;
mod shared;
mod standing;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod unavailable;
mod waiters;
mod wall_clock;

pub use channel::Channel;
pub use commits::Commits;
pub use define::{Defining, NotDefined, Outcome};
pub use definitions::NotOpened;
pub use elsewhere::{already_sent, at_one_node};
pub use ends::EndsFollower;
pub use gateway::Gateway;
pub use home::{AccountKey, Holdings, MayCall};
pub use hooks::{Batch, NamedEnd, Outbox};
pub use last_error::LastError;
pub use letters::{DeadLetters, Letter, LetterFilter, ShownLetter};
pub use listing::{QueuedPage, Wanted};
pub use names::Names;
pub use notices::Notice;
pub use peers::{Answered, Asked, Manner, NotTaken, Offered, Peers, Sender, Taken};
pub use receipts::{Gap, NumberedReceipt};
pub use recent::Delivered;
pub use replay::{NotReplayed, Replayed};
pub use report::{AccountReport, ChannelReport};
pub use shared::{LocalUpstream, Parts};
pub use standing::Standing;
pub use state::KeptState;
pub use unavailable::Unavailable;
pub use waiters::{Ends, Waiter};
