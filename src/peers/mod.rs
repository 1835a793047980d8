//! The nodes of a cluster among themselves, over gRPC: what comes to a node that does not have the account is
//! handed to the one that has.
//!
//! - `cuegate.proto`: what is asked and answered; `protocol`: the code that is made of it, and the words of
//!   it in ours;
//! - `service`: answers other nodes;
//! - `links`: the connections to other nodes, each to a node that is known to speak the same;
//! - `forward`: finds the owner of what is asked, waits for one, and says what is certain;
//! - `trust`: certificates or a secret, by which nodes know each other.

mod forward;
mod links;
mod protocol;
mod service;
#[cfg(test)]
mod tests;
mod trust;

pub use forward::Others;
pub use service::serve;
pub use trust::{Trust, Untrusted};
