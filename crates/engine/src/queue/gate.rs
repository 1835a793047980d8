//! Whether events are let in.

/// What a channel lets through of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Everything.
    Open,
    /// One event, if nothing waits.
    Probe,
    /// Nothing.
    Shut,
}
