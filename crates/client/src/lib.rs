#![doc = include_str!("../README.md")]

mod backoff;
mod builder;
mod channels;
mod client;
mod error;
mod event;
mod ids;
mod limits;
mod payloads;
mod refusal;
mod session;
mod tls;
mod transport;

pub use builder::Builder;
pub use channels::{Channel, Channels, LastError, Limits, Tokens, Totals, Upstream};
pub use client::{Client, EventState, Publish, Published, Purge, Replaced};
pub use error::Error;
pub use event::{Body, Event, Merge, Priority};
pub use http::{Method, StatusCode};
pub use payloads::{Payloads, Update};
pub use refusal::{Code, Refusal, Rejected};
pub use session::{Acknowledged, Message, Prepared, Receipt, Session, SessionBuilder};
pub use transport::segment;
