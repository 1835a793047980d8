//! The programs as users meet them: every test starts the real binaries on ports of its own,
//! talks HTTP and WebSocket to them, and reads what the local IVS took.
//!
//! Nothing here looks inside: what is asserted is the surface. The AWS clients have their own
//! tests in `tests/interop`.

mod support;

mod access;
mod accounts;
mod admission;
mod aws_mode;
mod bad_input;
mod channels_by_api;
mod cli;
mod client;
mod clocks;
mod cluster;
mod conservation;
mod console;
mod control;
mod data;
mod end_to_end;
mod events;
mod export;
mod folded;
mod gzip;
mod http2;
mod journal;
mod keyframes;
mod lifecycle;
mod limits;
mod load;
mod local_ivs;
mod merging;
mod metrics;
mod observed;
mod offline;
mod ordering;
mod output;
mod pause;
mod publish;
mod put_metadata;
mod reload;
mod restart;
mod slices;
mod slow;
mod status;
mod stream;
mod viewers;
mod webhooks;
mod websocket;
