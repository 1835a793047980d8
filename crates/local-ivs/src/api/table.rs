//! All operations, by family: the whole API of Amazon IVS low-latency streaming.

use super::error::ApiError;
use super::operation::Operation;
use super::{
    ad_configurations, channels, failover_slates, playback_keys, put_metadata, recordings,
    restriction_policies, stream_keys, streams, tags, viewer_sessions,
};
use http::Method;

static FAMILIES: [&[Operation]; 11] = [
    put_metadata::OPERATIONS,
    channels::OPERATIONS,
    stream_keys::OPERATIONS,
    streams::OPERATIONS,
    playback_keys::OPERATIONS,
    restriction_policies::OPERATIONS,
    recordings::OPERATIONS,
    ad_configurations::OPERATIONS,
    failover_slates::OPERATIONS,
    viewer_sessions::OPERATIONS,
    tags::OPERATIONS,
];

pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    FAMILIES.iter().copied().flatten()
}

/// The operation that a request line means.
///
/// # Errors
///
/// `UnknownOperationException`.
pub(super) fn route(method: &Method, path: &str) -> Result<&'static Operation, ApiError> {
    all()
        .find(|operation| operation.is_meant_by(method, path))
        .ok_or_else(|| ApiError::unknown_operation(method, path))
}

#[cfg(test)]
mod tests {
    use super::all;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_of_the_model_is_there_once() {
        let names: BTreeSet<_> = all().map(|operation| operation.action).collect();
        assert_eq!((names.len(), all().count()), (46, 46));
    }
}
