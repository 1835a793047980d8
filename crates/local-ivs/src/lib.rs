//! A strict local emulator of the Amazon IVS API.
//!
//! It enforces what the real API enforces (signatures, limits, the order of its checks, its
//! errors) and keeps books of every call, so that a client can be tested end to end without
//! a cloud account. It also does what the real one does rarely: it is slow, throttles,
//! breaks and loses answers, on demand and repeatably.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use local_ivs::{DEMO_CHANNEL, Options, Server};
//!
//! let server = Server::bind("127.0.0.1:4580", Options::default()).await?;
//! server.state().set_live(DEMO_CHANNEL)?;
//! println!("http://{}", server.local_addr());
//! server.serve(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where AWS does not say how it is, or cannot be followed, it is so here:
//!
//! - A call is refused for its signature, its key's permissions, its input, an ARN of another
//!   account, its rate, and what it is about, in this order; only a call that gets to its
//!   rate counts against it. A resource of another region is not found.
//! - Channels made below `/_local/` and those of [`Options::live_channels`] are channels like
//!   any other, named by their ID and with a stream key.
//! - `StopStream` disconnects the encoder, which can come back at once. A second encoder is
//!   refused unless its priority is greater than that of the first, and a stream is taken over
//!   100 times at most.
//! - A live stream does not outlive the server. With a data directory the next start ends
//!   it, with its events.
//! - A page's token stays good while resources come and go: the next page begins after the
//!   last one's last ARN, be that still there or not.
//! - A playback URL leads to the emulator itself, and needs no token, authorised or not. It shows what the
//!   channel's encoder sends by RTMP; without one, a test picture, which begins three seconds before its stream.
//! - Metadata is written into an encoder's video where the video stands when it is taken.
//! - The rates of ad and failover slate configurations and of `InsertAdBreak` are 5, and their
//!   quotas, as that of playback restriction policies, 20.
//! - An ad break needs an ad configuration of its channel, and an identifier that its stream has
//!   not used; else it is a conflict.
//!
//! | room | what it holds |
//! |---|---|
//! | `options` | what a server is started with |
//! | `server` | sockets, connections, the way of one request; carries out faults |
//! | `context` | what every connection shares |
//! | `connection` | a socket that can be reset |
//! | `api` | the IVS API: which operation, its input, its errors |
//! | `input` | every JSON input held against the shape of what is asked for |
//! | `auth` | keys, accounts, signatures |
//! | `state` | accounts by region, their resources, streams, the books; who is throttled |
//! | `events` | the news of streams, on their way to `EventBridge` |
//! | `ids` | identifiers, from a seed |
//! | `store`, `saver` | the data directory: locked, read, written; when |
//! | `timestamp` | times as the API writes them |
//! | `window` | how a rate is measured |
//! | `ingest` | encoders that stream by RTMP |
//! | `playback` | what viewers get: HLS of a test picture or an encoder's, with the metadata in it |
//! | `faults` | what shall go wrong: rules and draws |
//! | `local`, `guard` | the endpoints below `/_local/`; what pages in a browser may not ask of them |
//! | `limits` | every other bound, with its reason |
//! | `clock` | the time, as an argument |
//!
//! There is no global state: any number of servers live side by side in a process.

mod api;
mod arn;
mod auth;
mod clock;
mod connection;
mod context;
mod events;
mod faults;
mod guard;
mod ids;
mod ingest;
mod input;
mod limits;
mod local;
mod options;
mod playback;
mod saver;
mod server;
mod state;
mod store;
mod timestamp;
mod window;

pub use auth::{Keys, KeysError};
pub use clock::{Clock, ManualClock, SystemClock};
pub use events::{EventsError, EventsTally, EventsTarget};
pub use options::{Options, PlaybackUrl, Rates};
pub use server::{BindError, ServeError, Server};
pub use state::{ChannelError, ChannelReport, OperationTally, Played, Report, State, Tally};
pub use store::DataError;
pub use window::{Limiter, Measure};

/// The channel that is live from the start in the binary, and in the gateway's local mode.
pub const DEMO_CHANNEL: &str = "arn:aws:ivs:us-west-2:000000000000:channel/demo";
