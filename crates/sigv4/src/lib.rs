//! Verification of requests signed with AWS Signature Version 4, for every door that
//! speaks an AWS API.
//!
//! The signature is recomputed with AWS's own signer (`aws-sigv4`) over the received
//! request at the time it claims, and compared in constant time. So the canonical request
//! is defined in one place, and that place is AWS's.
//!
//! | room | what it holds |
//! |---|---|
//! | [`verify`] | the one entry: every check, in order |
//! | `authorization` | the `Authorization` header, taken apart |
//! | `request` | the request and the secret, as the caller gives them |
//! | `recompute` | the received request, signed once more |
//! | `timestamp` | `20260102T030405Z` and back |
//! | [`Error`] | what can be wrong, with AWS's code, status and words |
//!
//! This crate never does I/O, never reads a clock, keeps no state and holds no secrets:
//! the time and the secrets are arguments. It knows header signatures of a body that is
//! there as a whole; presigned URLs, `SigV4a` and chunked signing are refused in words.

mod authorization;
mod error;
mod recompute;
mod request;
mod timestamp;
mod verify;

pub use error::Error;
pub use request::{Request, Secret};
pub use verify::{MAX_SKEW, Verified, is_presigned, verify};
