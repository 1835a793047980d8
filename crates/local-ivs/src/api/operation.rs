//! The operations that are there: one table, and the request line that means each.
//!
//! Rates are of the IVS user guide, "Service Quotas": calls per second, account and region.

use super::error::ApiError;
use http::{Method, StatusCode};

/// The operations that are there, in the order of [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    BatchGetChannel,
    CreateChannel,
    DeleteChannel,
    GetChannel,
    ListChannels,
    UpdateChannel,
    BatchGetStreamKey,
    CreateStreamKey,
    DeleteStreamKey,
    GetStreamKey,
    ListStreamKeys,
    GetStream,
    GetStreamSession,
    ListStreamSessions,
    ListStreams,
    PutMetadata,
    StopStream,
    DeletePlaybackKeyPair,
    GetPlaybackKeyPair,
    ImportPlaybackKeyPair,
    ListPlaybackKeyPairs,
    CreateRecordingConfiguration,
    DeleteRecordingConfiguration,
    GetRecordingConfiguration,
    ListRecordingConfigurations,
    ListTagsForResource,
    TagResource,
    UntagResource,
}

/// What is known of an operation without a request.
#[derive(Debug)]
struct Row {
    operation: Operation,
    action: &'static str,
    tps: u32,
    status: StatusCode,
    writes: bool,
}

/// What an operation does to the resources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Only looks.
    Read,
    /// Changes them, and answers 200.
    Write,
    /// Changes them, and answers 204.
    WriteInSilence,
}

const fn row(operation: Operation, action: &'static str, tps: u32, does: Does) -> Row {
    Row {
        operation,
        action,
        tps,
        status: match does {
            Does::Read | Does::Write => StatusCode::OK,
            Does::WriteInSilence => StatusCode::NO_CONTENT,
        },
        writes: !matches!(does, Does::Read),
    }
}

#[rustfmt::skip]
const TABLE: [Row; 28] = [
    row(Operation::BatchGetChannel, "ivs:BatchGetChannel", 5, Does::Read),
    row(Operation::CreateChannel, "ivs:CreateChannel", 5, Does::Write),
    row(Operation::DeleteChannel, "ivs:DeleteChannel", 5, Does::WriteInSilence),
    row(Operation::GetChannel, "ivs:GetChannel", 5, Does::Read),
    row(Operation::ListChannels, "ivs:ListChannels", 5, Does::Read),
    row(Operation::UpdateChannel, "ivs:UpdateChannel", 5, Does::Write),
    row(Operation::BatchGetStreamKey, "ivs:BatchGetStreamKey", 5, Does::Read),
    row(Operation::CreateStreamKey, "ivs:CreateStreamKey", 5, Does::Write),
    row(Operation::DeleteStreamKey, "ivs:DeleteStreamKey", 5, Does::WriteInSilence),
    row(Operation::GetStreamKey, "ivs:GetStreamKey", 5, Does::Read),
    row(Operation::ListStreamKeys, "ivs:ListStreamKeys", 5, Does::Read),
    row(Operation::GetStream, "ivs:GetStream", 5, Does::Read),
    row(Operation::GetStreamSession, "ivs:GetStreamSession", 5, Does::Read),
    row(Operation::ListStreamSessions, "ivs:ListStreamSessions", 5, Does::Read),
    row(Operation::ListStreams, "ivs:ListStreams", 5, Does::Read),
    // Its rates are per channel and per account, and `Options::rates` has them. What it
    // changes is not kept beyond a restart.
    row(Operation::PutMetadata, "ivs:PutMetadata", 155, Does::Read),
    row(Operation::StopStream, "ivs:StopStream", 5, Does::Write),
    row(Operation::DeletePlaybackKeyPair, "ivs:DeletePlaybackKeyPair", 3, Does::Write),
    row(Operation::GetPlaybackKeyPair, "ivs:GetPlaybackKeyPair", 3, Does::Read),
    row(Operation::ImportPlaybackKeyPair, "ivs:ImportPlaybackKeyPair", 3, Does::Write),
    row(Operation::ListPlaybackKeyPairs, "ivs:ListPlaybackKeyPairs", 3, Does::Read),
    row(Operation::CreateRecordingConfiguration, "ivs:CreateRecordingConfiguration", 3, Does::Write),
    row(Operation::DeleteRecordingConfiguration, "ivs:DeleteRecordingConfiguration", 3, Does::WriteInSilence),
    row(Operation::GetRecordingConfiguration, "ivs:GetRecordingConfiguration", 3, Does::Read),
    row(Operation::ListRecordingConfigurations, "ivs:ListRecordingConfigurations", 3, Does::Read),
    row(Operation::ListTagsForResource, "ivs:ListTagsForResource", 10, Does::Read),
    row(Operation::TagResource, "ivs:TagResource", 10, Does::Write),
    row(Operation::UntagResource, "ivs:UntagResource", 10, Does::Write),
];

/// Operations of the real API that are not here.
const ABSENT: [&str; 18] = [
    "BatchStartViewerSessionRevocation",
    "CreateAdConfiguration",
    "CreateFailoverSlateConfiguration",
    "CreatePlaybackRestrictionPolicy",
    "DeleteAdConfiguration",
    "DeleteFailoverSlateConfiguration",
    "DeletePlaybackRestrictionPolicy",
    "GetAdConfiguration",
    "GetFailoverSlateConfiguration",
    "GetPlaybackRestrictionPolicy",
    "InsertAdBreak",
    "ListAdConfigurations",
    "ListFailoverSlateConfigurations",
    "ListPlaybackRestrictionPolicies",
    "StartViewerSessionRevocation",
    "UpdateAdConfiguration",
    "UpdateFailoverSlateConfiguration",
    "UpdatePlaybackRestrictionPolicy",
];

const TAGS: &str = "/tags/";

impl Operation {
    /// The operation a request line means.
    ///
    /// # Errors
    ///
    /// `UnknownOperationException`.
    pub(super) fn route(method: &Method, path: &str) -> Result<Self, ApiError> {
        if tagged(path).is_some() {
            match *method {
                Method::GET => return Ok(Self::ListTagsForResource),
                Method::POST => return Ok(Self::TagResource),
                Method::DELETE => return Ok(Self::UntagResource),
                _ => {}
            }
        }
        let name = path.strip_prefix('/').unwrap_or_default();
        let has_own_path = |operation| {
            !matches!(
                operation,
                Self::ListTagsForResource | Self::TagResource | Self::UntagResource
            )
        };
        TABLE
            .iter()
            .find(|row| row.name() == name && method == Method::POST && has_own_path(row.operation))
            .map(|row| row.operation)
            .ok_or_else(|| {
                let is_absent = method == Method::POST && ABSENT.contains(&name);
                ApiError::unknown_operation(method, path, is_absent)
            })
    }

    /// As policies and messages write it.
    pub(crate) fn action(self) -> &'static str {
        self.row().action
    }

    /// Calls per second of one account in one region.
    pub(crate) fn tps(self) -> u32 {
        self.row().tps
    }

    /// Of its success.
    pub(super) fn status(self) -> StatusCode {
        self.row().status
    }

    /// Whether it changes what a restart must not lose.
    pub(crate) fn writes(self) -> bool {
        self.row().writes
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl Row {
    fn name(&self) -> &'static str {
        self.action.strip_prefix("ivs:").unwrap_or_default()
    }
}

/// The ARN in the path of the tag operations, still percent-encoded.
pub(super) fn tagged(path: &str) -> Option<&str> {
    path.strip_prefix(TAGS).filter(|arn| !arn.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Operation, TABLE};
    use http::Method;

    #[test]
    fn the_table_is_in_the_order_of_the_operations() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.operation as usize, index, "{}", row.action);
            assert_eq!(row.name(), format!("{:?}", row.operation));
        }
    }

    #[test]
    fn request_lines_mean_operations() {
        let check = |method: Method, path: &str, expected: Option<Operation>| {
            let routed = Operation::route(&method, path);
            assert_eq!(routed.ok(), expected, "{method} {path}");
        };
        check(Method::POST, "/GetStream", Some(Operation::GetStream));
        check(Method::GET, "/GetStream", None);
        check(Method::POST, "/getstream", None);
        check(Method::POST, "/GetStream/", None);
        check(Method::POST, "/TagResource", None);
        check(Method::POST, "/tags/a", Some(Operation::TagResource));
        check(
            Method::GET,
            "/tags/a/b",
            Some(Operation::ListTagsForResource),
        );
        check(Method::DELETE, "/tags/%3A", Some(Operation::UntagResource));
        check(Method::PUT, "/tags/a", None);
        check(Method::GET, "/tags/", None);
        check(Method::POST, "/", None);
        check(Method::POST, "/InsertAdBreak", None);
    }
}
