//! The scheduler's promises under an adversarial network, and its rules one by one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod invariants;
mod network;
mod timing;
mod world;
