//! Cuegate: a timed-metadata ingestion gateway for Amazon IVS.
//!
//! The program is `main.rs`; this library is its parts, so that tests and benches reach them.
//! `ARCHITECTURE.md` is the map.

pub mod access;
pub mod admin;
pub mod app;
pub mod arn;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod dispatch;
pub mod doctor;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod ingest;
pub mod journal;
pub mod lifecycle;
pub mod node;
pub mod peers;
pub mod postgres;
pub mod refusal;
pub mod telemetry;
pub mod timestamp;
pub mod upstream;
pub mod viewers;
pub mod webhooks;
