//! Requests and messages to engine events. Nothing here knows of a gateway or a channel's queue.
//!
//! - [`content_type`], [`query`]: what a request's head says of its body;
//! - [`body`], [`gzip`], [`share`]: the bytes of a body, within their bounds and the memory for them;
//! - [`batch`]: many events; [`event`], [`cloudevents`]: one of each format; [`text`]: JSON strings;
//! - [`validate`]: the values of an event; [`json`]: JSON without a tree.

pub mod batch;
pub mod body;
pub mod cloudevents;
pub mod content_type;
pub mod event;
pub mod gzip;
pub mod json;
pub mod query;
pub mod share;
pub mod text;
pub mod validate;
